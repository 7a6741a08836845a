//! From the bytes of a client to events: whole messages, and control frames.
//!
//! ```text
//!     input ─┬→ whole frame, which is a message or a control frame: unmasked in place, handed out from the input
//!            ├→ part of a message: goes into a `Partial`, unmasked and checked; handed out from there when it is whole
//!            └→ part of a header or of a control frame: stays in the input
//! ```
//!
//! After a Close frame or a failure nothing more has a meaning (RFC 6455 §1.4, §7.1.7): it is thrown away.

use super::assemble::{Limits, Message, Partial};
use super::close;
use super::failure::Failure;
use super::frame::{First, Header, Opcode, unmask};

/// What a client has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    /// A message that is still compressed. Text is not yet known to be UTF-8.
    Deflated {
        text: bool,
        bytes: &'a [u8],
    },
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// It is the last event.
    Close {
        code: Option<u16>,
        reason: &'a str,
    },
}

impl<'a> From<Message<'a>> for Event<'a> {
    fn from(message: Message<'a>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes),
            Message::Deflated { text, bytes } => Self::Deflated { text, bytes },
        }
    }
}

/// The reading side of a WebSocket of a server.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    partial: Option<Box<Partial>>,
    /// The message in `partial` was handed out.
    is_handed_out: bool,
    is_closed: bool,
}

/// Where the next event is.
enum Found {
    /// More input must come first.
    Nothing,
    /// In the last bytes that were used of the input, unmasked.
    Frame(Header),
    /// In `partial`.
    Message,
}

impl Decoder {
    pub(super) const fn new() -> Self {
        Self { partial: None, is_handed_out: false, is_closed: false }
    }

    /// Bytes of memory that it holds.
    pub(super) fn memory(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.memory())
    }

    /// Finds the next event. Returns how many bytes of the input were used, and the event if there is one; without one,
    /// what was not used (at most 131 bytes) must be passed again together with the next bytes. The payloads in
    /// the input are unmasked in place.
    ///
    /// # Errors
    /// What the client has done, and the code for the Close frame. From then on all input is used and gives no event.
    #[inline]
    pub(crate) fn next<'a>(
        &'a mut self,
        input: &'a mut [u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Event<'a>>), Failure> {
        if self.partial.is_none()
            && !self.is_closed
            && let Some((is_text, used)) = short_message(input, limits)
        {
            let (header, payload) = input[..used].split_at_mut(SHORT_HEADER);
            unmask(payload, [header[2], header[3], header[4], header[5]]);
            if !is_text {
                return Ok((used, Some(Event::Binary(payload))));
            }
            if let Ok(text) = std::str::from_utf8(payload) {
                return Ok((used, Some(Event::Text(text))));
            }
            self.fail();
            return Err(Failure::NOT_UTF8);
        }
        self.next_of_any(input, limits)
    }

    /// Does the same for any input.
    #[inline(never)]
    fn next_of_any<'a>(
        &'a mut self,
        input: &'a mut [u8],
        limits: &Limits,
    ) -> Result<(usize, Option<Event<'a>>), Failure> {
        self.done();
        let (used, found) = self.find(input, limits).inspect_err(|_| self.fail())?;
        let event = match found {
            Found::Nothing => None,
            Found::Frame(header) => {
                let event = event(header.first, &input[used - header.len..used]).inspect_err(|_| self.fail())?;
                self.is_closed = header.first.opcode == Opcode::Close;
                Some(event)
            }
            Found::Message => {
                self.is_handed_out = true;
                self.partial.as_ref().map(|partial| partial.message().into())
            }
        };
        Ok((used, event))
    }

    /// Frees the message that was handed out last. The next call of [`next`](Self::next) does it, too.
    pub(crate) fn done(&mut self) {
        if self.is_handed_out {
            self.partial = None;
            self.is_handed_out = false;
        }
    }

    /// Bytes of the buffer of a message that is partly there.
    #[cfg(any(test, fuzzing))]
    pub(super) fn capacity(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.capacity())
    }

    fn fail(&mut self) {
        self.is_closed = true;
        self.partial = None;
    }

    fn find(&mut self, input: &mut [u8], limits: &Limits) -> Result<(usize, Found), Failure> {
        if self.is_closed {
            return Ok((input.len(), Found::Nothing));
        }
        let mut used = 0;
        loop {
            if self.partial.as_ref().is_none_or(|partial| !partial.is_within_frame()) {
                let Some(header) = self.header(&input[used..], limits)? else { return Ok((used, Found::Nothing)) };
                let is_control = header.first.opcode.is_control();
                let begin = used + header.size;
                if is_control || (self.partial.is_none() && header.first.fin) {
                    if let Some(payload) = input[begin..].get_mut(..header.len) {
                        unmask(payload, header.key);
                        return Ok((begin + header.len, Found::Frame(header)));
                    }
                    if is_control {
                        return Ok((used, Found::Nothing));
                    }
                }
                let partial = self.partial.get_or_insert_with(|| Box::new(Partial::new(header.first)));
                partial.begin(&header, limits)?;
                used = begin;
            }
            let Some(partial) = &mut self.partial else { return Ok((used, Found::Nothing)) };
            used += partial.take(&mut input[used..], limits)?;
            if partial.is_whole()? {
                return Ok((used, Found::Message));
            }
            if partial.is_within_frame() {
                return Ok((used, Found::Nothing));
            }
        }
    }

    /// Reads the header of the next frame, which must fit to the frames before it.
    fn header(&self, bytes: &[u8], limits: &Limits) -> Result<Option<Header>, Failure> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let first = First::parse(first, limits.deflate)?;
        let room = match (&self.partial, first.opcode) {
            (Some(_), Opcode::Text | Opcode::Binary) => {
                return Err(Failure::protocol("a message begins within another one"));
            }
            (None, Opcode::Continuation) => return Err(Failure::protocol("a frame continues no message")),
            (Some(partial), _) => partial.room(limits),
            (None, _) => limits.max_received(first.rsv1),
        };
        Header::parse(first, bytes, room)
    }
}

/// Bytes of the header of a frame whose payload has at most 125 bytes.
const SHORT_HEADER: usize = 6;

/// Whether the input begins with a whole message of one frame with a short header, as nearly all are, that is not
/// compressed. Returns whether it is text, and the length of the frame.
#[inline(always)]
fn short_message(input: &[u8], limits: &Limits) -> Option<(bool, usize)> {
    let [first @ (0x81 | 0x82), second @ 0x80..=0xfd, ..] = *input else { return None };
    let len = usize::from(second & 0x7f);
    let is_whole = SHORT_HEADER + len <= input.len() && len <= limits.max_message;
    is_whole.then_some((first == 0x81, SHORT_HEADER + len))
}

/// The event of a whole frame.
fn event(first: First, payload: &[u8]) -> Result<Event<'_>, Failure> {
    Ok(match first.opcode {
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        Opcode::Close => {
            let (code, reason) = close::parse(payload)?;
            Event::Close { code, reason }
        }
        _ if first.rsv1 => Event::Deflated { text: first.opcode == Opcode::Text, bytes: payload },
        Opcode::Text => Event::Text(std::str::from_utf8(payload).map_err(|_| Failure::NOT_UTF8)?),
        _ => Event::Binary(payload),
    })
}
