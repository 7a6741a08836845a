//! What a WebSocket keeps between two calls: how it writes, listens and ends.

use std::rc::Rc;
use std::time::Duration;

use super::assemble::Limits;
use super::close;
use super::compression;
use super::failure::{Failure, NO_CODE};
use super::frame::{Opcode, encode_header};
use super::member::Member;
use super::message::Message;
use super::offer::Deflate;
use super::settings::Settings;
use crate::exchange::{Output, ProtocolClose};

/// What a WebSocket keeps between two calls, beside the decoder and the handler. Every idle socket has one.
pub(super) struct Link {
    pub(super) settings: Rc<Settings>,
    /// The socket as rooms know it, from the first one on that it has joined.
    pub(super) member: Option<Rc<Member>>,
    /// How it has ended, once it has.
    pub(super) end: Option<Box<End>>,
    pub(super) stage: Stage,
    /// The kind of the message that is being sent in parts.
    pub(super) part: Option<Opcode>,
    /// The handler's `open` was called.
    pub(super) was_open: bool,
    /// So much was owed after the last call that the handler is told when it has left.
    pub(super) was_full: bool,
    /// A ping was sent, and nothing has come since.
    pub(super) awaits_pong: bool,
    /// How messages are compressed.
    pub(super) deflate: Deflate,
}

/// How far a WebSocket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The handler was not called yet.
    Opening,
    Open,
    /// Our Close frame is sent, and that of the client is awaited.
    Closing,
    /// Nothing more is sent or read.
    Closed,
}

/// How a WebSocket has ended.
pub(super) struct End {
    pub(super) code: u16,
    pub(super) reason: Box<str>,
    pub(super) is_clean: bool,
}

/// Writes a frame that is not fragmented.
pub(super) fn write_frame(out: &mut Output<'_>, opcode: Opcode, payload: &[u8]) {
    write_part(out, opcode, true, payload);
}

/// Writes a frame, perhaps the last one of its message.
pub(super) fn write_part(out: &mut Output<'_>, opcode: Opcode, is_last: bool, payload: &[u8]) {
    let inline = out.inline();
    encode_header(inline, opcode, is_last, false, payload.len());
    inline.extend_from_slice(payload);
}

impl Link {
    pub(super) const fn new(settings: Rc<Settings>, deflate: Deflate) -> Self {
        Self {
            settings,
            member: None,
            end: None,
            stage: Stage::Opening,
            part: None,
            was_open: false,
            was_full: false,
            awaits_pong: false,
            deflate,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Opening | Stage::Open)
    }

    /// What the client may send now.
    pub(super) fn limits(&self) -> Limits {
        let sizes = self.settings.sizes.get();
        Limits { max_message: sizes.message, max_fragments: sizes.fragments, deflate: self.deflate > 0 }
    }

    /// The end of a call: notes whether the handler waits for room, and what memory the socket holds. `memory` is that
    /// of a message that is only partly there.
    pub(super) fn settle(&mut self, memory: usize, out: &mut Output<'_>) {
        self.was_full = out.is_full();
        out.set_memory(memory + self.member.as_ref().map_or(0, |member| member.memory()));
    }

    #[inline]
    pub(super) fn write_message(&mut self, message: Message<'_>, out: &mut Output<'_>) {
        let content = message.as_bytes();
        match self.deflate {
            0 => write_frame(out, message.opcode(), content),
            bits => self.write_deflated(message, bits, out),
        }
        out.report_message(message.record(false));
    }

    /// Writes a message to a client that takes compressed ones.
    #[inline(never)]
    fn write_deflated(&self, message: Message<'_>, bits: Deflate, out: &mut Output<'_>) {
        let content = message.as_bytes();
        let is_worth_it = content.len() >= self.settings.sizes.get().deflate_from;
        match is_worth_it.then(|| compression::deflate(content, bits)).flatten() {
            Some(deflated) => {
                encode_header(out.inline(), message.opcode(), true, true, deflated.len());
                out.write(deflated);
            }
            None => write_frame(out, message.opcode(), content),
        }
    }

    /// Sends what rooms have given, as long as there is room, and closes the socket if a room wants that.
    pub(super) fn deliver(&mut self, out: &mut Output<'_>) {
        self.send_waiting(out, |out| !out.is_full());
        if self.part.is_none() {
            self.obey_room(out);
        }
    }

    /// The client takes nothing, so what rooms have given must wait.
    pub(super) fn blocked(&mut self, out: &mut Output<'_>) {
        if let Some(member) = &self.member {
            member.begin_sending(true);
            self.obey_room(out);
        }
    }

    /// Closes the socket, if a room wants that.
    fn obey_room(&mut self, out: &mut Output<'_>) {
        if let Some(member) = &self.member
            && let Some((code, reason)) = member.goodbye()
        {
            self.close(code, &reason, out);
        }
    }

    /// Sends what rooms have given, while `may_send` says so. A message in parts comes first.
    fn send_waiting(&mut self, out: &mut Output<'_>, may_send: impl Fn(&Output<'_>) -> bool) {
        let Some(member) = &self.member else { return };
        member.begin_sending(self.part.is_some());
        while self.part.is_none()
            && may_send(out)
            && let Some(prepared) = member.next()
        {
            prepared.write(self.deflate, self.settings.sizes.get().deflate_from, out);
            out.report_message(prepared.record);
        }
        member.end_sending();
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    /// Says goodbye, and goes on reading until the client has said so, too. What rooms have given before goes first. It
    /// is bounded, so it may be more than the output would take otherwise.
    pub(super) fn close(&mut self, code: u16, reason: &str, out: &mut Output<'_>) {
        if self.is_open() {
            self.send_waiting(out, |_| true);
            let reason = close::shortened(reason);
            close::encode(out.inline(), code, reason);
            self.end(Stage::Closing, code, reason, false);
            out.close_when(self.settings.times.get().close);
        }
    }

    /// Fails the connection (RFC 6455 §7.1.7): says why, and does not wait for an answer.
    #[cold]
    pub(super) fn fail(&mut self, failure: Failure, out: &mut Output<'_>) {
        log::debug!("conn {}: WebSocket: {}", out.id(), failure.why);
        if self.is_open() {
            close::encode(out.inline(), failure.code, failure.why);
            self.end(Stage::Closed, failure.code, failure.why, false);
        }
        self.stage = Stage::Closed;
        out.close();
    }

    /// The client has sent a Close frame: answers it, unless it is the answer.
    pub(super) fn closed_by_client(&mut self, code: Option<u16>, reason: &str, out: &mut Output<'_>) {
        let by_client = self.is_open();
        if by_client {
            match code {
                Some(code) => close::encode(out.inline(), code, ""),
                None => close::encode_empty(out.inline()),
            }
            self.end(Stage::Closed, code.unwrap_or(NO_CODE), reason, true);
        }
        self.stage = Stage::Closed;
        if let Some(end) = &mut self.end {
            end.is_clean = true;
            out.report_close(&ProtocolClose { code: end.code, reason: &end.reason, by_client });
        }
        out.close();
    }

    fn end(&mut self, stage: Stage, code: u16, reason: &str, is_clean: bool) {
        self.stage = stage;
        self.end = Some(Box::new(End { code, reason: reason.into(), is_clean }));
        self.leave_rooms();
    }

    pub(super) fn leave_rooms(&mut self) {
        if let Some(member) = self.member.take() {
            member.depart();
        }
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// Sets the alarm for the next ping.
    pub(super) fn begin_to_listen(&self, out: &mut Output<'_>) {
        self.set_alarm(self.settings.times.get().ping, out);
    }

    /// Notes that bytes have come, which answer a ping, whatever they are.
    #[inline]
    pub(super) fn hear(&mut self, out: &mut Output<'_>) {
        if std::mem::take(&mut self.awaits_pong) {
            self.begin_to_listen(out);
        }
    }

    fn set_alarm(&self, after: Duration, out: &mut Output<'_>) {
        if after < Duration::MAX {
            out.set_alarm(after.max(Duration::from_millis(1)));
        }
    }

    /// Sends a ping to a client that was silent, or finds out that it has not answered the last one. Returns whether it
    /// is still there, as far as we know.
    ///
    /// A client that has not taken what it is owed may not have seen the ping, and one that is paused was not heard. So
    /// nothing is asked of them.
    pub(super) fn listen(&mut self, out: &mut Output<'_>) -> bool {
        let times = self.settings.times.get();
        let (silence, is_excused) = (out.silence(), out.owed() > 0 || out.is_paused());
        let was_asked = std::mem::take(&mut self.awaits_pong);
        if is_excused {
            self.set_alarm(times.ping, out);
        } else if was_asked && silence >= times.pong {
            return false;
        } else if silence >= times.ping {
            write_frame(out, Opcode::Ping, b"");
            self.awaits_pong = true;
            self.set_alarm(times.pong, out);
        } else {
            self.set_alarm(times.ping.saturating_sub(silence), out);
        }
        true
    }
}
