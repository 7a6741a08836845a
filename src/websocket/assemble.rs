//! A message that is only partly there: it grows as its bytes come, from one frame or several (RFC 6455 §5.4).

use super::failure::Failure;
use super::frame::{First, Header, Opcode, rotate, unmask};
use super::utf8::Text;

/// What a client may send.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a message. A compressed one may have these bytes after it was inflated.
    pub(crate) max_message: usize,
    /// Frames of a message.
    pub(crate) max_fragments: usize,
    /// Whether messages may be compressed, because the handshake has said so.
    pub(crate) deflate: bool,
}

impl Limits {
    /// Most bytes of a message as it comes. What cannot be compressed becomes a little longer: zlib puts 5 bytes before
    /// each stored block, which has some hundred bytes at least.
    pub(super) const fn max_received(&self, deflated: bool) -> usize {
        let more = if deflated { self.max_message / 64 + 64 } else { 0 };
        self.max_message.saturating_add(more)
    }
}

/// A message that is only partly there.
#[derive(Debug)]
pub(super) struct Partial {
    content: Content,
    is_text: bool,
    /// The current frame ends the message.
    fin: bool,
    /// The key for the next byte of the current frame.
    key: [u8; 4],
    fragments: usize,
    /// Bytes of the current frame that are still to come.
    missing: usize,
}

#[derive(Debug)]
enum Content {
    Text(Text),
    Binary(Vec<u8>),
    Deflated(Vec<u8>),
}

/// A whole message.
pub(super) enum Message<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Deflated { text: bool, bytes: &'a [u8] },
}

impl Partial {
    /// A message whose first frame begins as `first` says.
    pub(super) fn new(first: First) -> Self {
        let is_text = first.opcode == Opcode::Text;
        let content = match (first.rsv1, is_text) {
            (true, _) => Content::Deflated(Vec::new()),
            (_, true) => Content::Text(Text::default()),
            (_, false) => Content::Binary(Vec::new()),
        };
        Self { content, is_text, fin: false, key: [0; 4], fragments: 0, missing: 0 }
    }

    /// Bytes that may still come.
    pub(super) fn room(&self, limits: &Limits) -> usize {
        limits.max_received(matches!(self.content, Content::Deflated(_))).saturating_sub(self.len())
    }

    /// Takes the header of its next frame.
    ///
    /// # Errors
    /// 1009 if it has too many frames.
    pub(super) fn begin(&mut self, header: &Header, limits: &Limits) -> Result<(), Failure> {
        if self.fragments >= limits.max_fragments {
            return Err(Failure::too_big("a message has too many fragments"));
        }
        self.fragments += 1;
        (self.fin, self.key, self.missing) = (header.first.fin, header.key, header.len);
        Ok(())
    }

    /// Takes the bytes of the current frame that `input` begins with. Returns how many these are.
    ///
    /// # Errors
    /// 1007 if its text is not UTF-8.
    pub(super) fn take(&mut self, input: &mut [u8], limits: &Limits) -> Result<usize, Failure> {
        let taken = self.missing.min(input.len());
        let piece = &mut input[..taken];
        unmask(piece, self.key);
        self.key = rotate(self.key, taken);
        self.grow(taken, limits);
        self.missing -= taken;
        match &mut self.content {
            Content::Text(text) => text.push(piece)?,
            Content::Binary(bytes) | Content::Deflated(bytes) => bytes.extend_from_slice(piece),
        }
        Ok(taken)
    }

    /// Makes room for the next bytes. The room follows what has come, not what was announced: it is at most doubled,
    /// and no larger than the message can become.
    fn grow(&mut self, taken: usize, limits: &Limits) {
        let len = self.len() + taken;
        if len <= self.capacity() {
            return;
        }
        let still = if self.fin { self.missing - taken } else { self.room(limits).saturating_sub(taken) };
        let wanted = len + still.min(len);
        match &mut self.content {
            Content::Text(text) => text.grow(wanted),
            Content::Binary(bytes) | Content::Deflated(bytes) => bytes.reserve_exact(wanted - bytes.len()),
        }
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        let content = match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) | Content::Deflated(bytes) => bytes.capacity(),
        };
        content + size_of::<Self>()
    }

    /// Whether the current frame is not all there.
    pub(super) const fn is_within_frame(&self) -> bool {
        self.missing > 0
    }

    /// Whether all of the message is there.
    ///
    /// # Errors
    /// 1007 if its text ends within a character.
    pub(super) fn is_whole(&self) -> Result<bool, Failure> {
        let is_whole = self.fin && self.missing == 0;
        if is_whole && let Content::Text(text) = &self.content {
            text.finish()?;
        }
        Ok(is_whole)
    }

    /// What has come.
    pub(super) fn message(&self) -> Message<'_> {
        match &self.content {
            Content::Text(text) => Message::Text(text.as_str()),
            Content::Binary(bytes) => Message::Binary(bytes),
            Content::Deflated(bytes) => Message::Deflated { text: self.is_text, bytes },
        }
    }

    pub(super) fn capacity(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.capacity(),
            Content::Binary(bytes) | Content::Deflated(bytes) => bytes.capacity(),
        }
    }

    fn len(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Binary(bytes) | Content::Deflated(bytes) => bytes.len(),
        }
    }
}
