//! A client. It sends its script in pieces, with pauses, and reads replies, with pauses. It checks each reply as it
//! comes. Random numbers decide what its manner leaves open.

use std::time::Duration;

use super::kernel::{Flavour, Kernel, Received, Sizes};
use super::replies::{Framing, Reply, ReplyReader, Shape};
use super::script::{Message, Script};
use crate::http::Moment;

/// How a client behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    /// The largest number of bytes in a send.
    pub(super) send: usize,
    /// The largest number of bytes in a receive.
    pub(super) receive: usize,
    /// A send ends where a head or a message ends.
    pub(super) orderly: bool,
    /// How many of a hundred sends and receives are followed by a pause.
    pub(super) pauses: usize,
    /// The longest pause.
    pub(super) pause: Duration,
    /// The number of requests that the client sends without waiting for replies.
    pub(super) window: usize,
    /// The client sends the content after a while although no 100 came.
    pub(super) impatient: bool,
    /// The client goes on sending after the last reply, and even after the server's FIN.
    pub(super) deaf: bool,
    /// The number of bytes after which the client closes its side.
    pub(super) fin_at: Option<usize>,
    /// The client closes its side when it has all replies.
    pub(super) fin_when_done: bool,
    /// The number of bytes after which the client resets the connection.
    pub(super) reset_at: Option<usize>,
    /// The number of bytes after which the client falls silent: it neither sends nor closes its side before the server
    /// has ended the connection.
    pub(super) silent_at: Option<usize>,
    /// How many of a hundred sends are followed by urgent data.
    pub(super) urgent: usize,
    /// The server has little memory, so it may refuse any request with a 503.
    pub(super) may_be_refused: bool,
}

/// How a connection ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The server closed its side.
    Clean,
    /// The server reset the connection.
    Reset,
    /// The client reset the connection.
    Ours,
}

#[derive(Debug)]
pub(super) struct Client {
    pub(super) number: usize,
    pub(super) script: Script,
    manner: Manner,
    /// When the client opens its connection.
    pub(super) connects_at: Moment,
    pub(super) connected: bool,
    pub(super) sent: usize,
    /// When the first byte of each message was sent.
    pub(super) begun: Vec<Moment>,
    send_at: Moment,
    receive_at: Moment,
    reader: ReplyReader,
    /// The number of requests that were answered, each by its own reply.
    pub(super) answered: usize,
    /// The number of bytes that the other protocol has echoed; `None` before its greeting has come.
    pub(super) echoed: Option<usize>,
    /// The connection has changed to the other protocol.
    upgraded: bool,
    /// A 100 has come for the next request.
    continued: bool,
    /// No 100 has come for the next request, and the client does not wait any longer.
    gave_up: bool,
    /// The last reply that the client will get, once it has it.
    pub(super) last: Option<Reply>,
    pub(super) fin_sent: bool,
    /// The client sends no more, reads what there is, and closes its side.
    pub(super) polite: bool,
    pub(super) ending: Option<Ending>,
}

impl Client {
    pub(super) fn new(number: usize, script: Script, manner: Manner, connects_at: Moment) -> Self {
        Self {
            number,
            script,
            manner,
            connects_at,
            connected: false,
            sent: 0,
            begun: Vec::new(),
            send_at: connects_at,
            receive_at: connects_at,
            reader: ReplyReader::default(),
            answered: 0,
            echoed: None,
            upgraded: false,
            continued: false,
            gave_up: false,
            last: None,
            fin_sent: false,
            polite: false,
            ending: None,
        }
    }

    pub(super) fn introduction(&self, flavour: Flavour, sizes: Sizes) -> String {
        let messages: Vec<String> = self.script.messages.iter().map(|message| self.script.show(message)).collect();
        let Self { number, manner, .. } = self;
        format!("client {number}, {flavour:?}, {sizes:?}, {manner:?}, says {}", messages.join(", "))
    }

    /// Whether the client has nothing more to do: the connection has ended and, if it ended cleanly, on both sides.
    pub(super) fn is_done(&self) -> bool {
        self.ending.is_some() && (self.fin_sent || self.ending != Some(Ending::Clean))
    }

    /// Whether it sends urgent data, at which the last read of a drain may stop.
    pub(super) const fn sends_urgent(&self) -> bool {
        self.manner.urgent > 0
    }

    pub(super) fn become_polite(&mut self, now: Moment) {
        self.polite = true;
        if !self.connected {
            self.ending = Some(Ending::Ours);
        }
        (self.send_at, self.receive_at) = (now, now);
    }

    /// When the client will act next, if it has something to do.
    pub(super) fn next_action(&self, kernel: &Kernel) -> Option<Moment> {
        if !self.connected {
            return None;
        }
        let receives = self.wants_receive(kernel).then_some(self.receive_at);
        receives.into_iter().chain(self.wants_send(kernel).then_some(self.send_at)).min()
    }

    /// Sends or receives, whichever is due; if both are, `kernel.random` decides.
    pub(super) fn step(&mut self, kernel: &mut Kernel) {
        let receives = self.wants_receive(kernel) && self.receive_at <= kernel.now;
        let sends = self.wants_send(kernel) && self.send_at <= kernel.now;
        match (receives, sends) {
            (true, true) if kernel.random.percent(50) => self.receive(kernel),
            (_, true) => self.send(kernel),
            (true, false) => self.receive(kernel),
            (false, false) => {}
        }
    }

    // ---- sending ----------------------------------------------------------------------------------------------------

    fn wants_send(&self, kernel: &Kernel) -> bool {
        if self.fin_sent || matches!(self.ending, Some(Ending::Reset | Ending::Ours)) {
            return false;
        }
        if !self.polite && self.ending.is_none() && self.manner.silent_at.is_some_and(|at| self.sent >= at) {
            return false;
        }
        let socket = &kernel.sockets[self.number];
        let room = socket.client_room() > 0 || socket.facts.closed.is_some();
        self.wants_fin() || self.wants_reset() || (self.sent < self.limit() && room)
    }

    fn wants_fin(&self) -> bool {
        let all = self.sent == self.script.stream.len();
        // A client that has its reply may still be sending its content, or speaking the other protocol.
        let has_all = self.answered == self.script.messages.len() && all && !self.talks();
        let done = self.last.is_some() || has_all || self.ending.is_some();
        let deaf = self.manner.deaf && !all;
        self.polite
            || self.manner.fin_at.is_some_and(|at| self.sent >= at)
            || (!deaf && done && (self.manner.fin_when_done || self.ending.is_some()))
    }

    /// Whether the other protocol has not echoed everything yet.
    pub(super) fn talks(&self) -> bool {
        let Some(last) = self.script.messages.last().filter(|_| self.upgraded) else { return false };
        self.echoed.unwrap_or(0) < last.end - last.head_end
    }

    fn wants_reset(&self) -> bool {
        !self.polite && self.manner.reset_at.is_some_and(|at| self.sent >= at)
    }

    /// The place in the stream up to which the client may send for now.
    fn limit(&self) -> usize {
        let quiet = self.polite || (!self.manner.deaf && (self.last.is_some() || self.ending.is_some()));
        if quiet {
            return self.sent;
        }
        let whole = self.script.stream.len();
        let silent_at = self.manner.silent_at.filter(|_| self.ending.is_none());
        let ends = [self.manner.fin_at, self.manner.reset_at, silent_at];
        let most = ends.into_iter().flatten().fold(whole, usize::min);
        if self.manner.deaf {
            return most;
        }
        let messages = &self.script.messages;
        let window = messages.get(self.answered + self.manner.window).map_or(whole, |message| message.begin);
        // The client stops before content that it holds back until a 100 has come.
        let held_back = self.held_back().map_or(whole, |message| message.head_end);
        most.min(window).min(held_back)
    }

    /// The message whose content is held back.
    fn held_back(&self) -> Option<&Message> {
        let first = self.answered + usize::from(self.continued || self.gave_up);
        let mut messages = self.script.messages.iter().skip(first);
        messages.find(|message| message.expects_continue && self.sent <= message.head_end)
    }

    /// Whether the client waits for a 100 and does nothing until then.
    pub(super) fn waits_for_continue(&self) -> bool {
        let next = self.script.messages.get(self.answered);
        !(self.continued || self.gave_up || self.polite || self.manner.deaf)
            && self.last.is_none()
            && next.is_some_and(|next| next.expects_continue && self.sent == next.head_end)
    }

    fn send(&mut self, kernel: &mut Kernel) {
        if self.wants_reset() {
            kernel.client_reset(self.number);
            self.ending = Some(Ending::Ours);
            return;
        }
        let left = self.limit() - self.sent;
        if left == 0 || (self.wants_fin() && self.polite) {
            kernel.client_fin(self.number);
            self.fin_sent = true;
            return;
        }
        let mut piece = kernel.random.size(self.manner.send).min(left);
        if self.manner.orderly {
            let ends = self.script.messages.iter().flat_map(|message| [message.head_end, message.end]);
            let next = ends.filter(|end| *end > self.sent).min();
            piece = next.map_or(piece, |next| piece.min(next - self.sent));
        }
        let count = kernel.send(self.number, &self.script.stream[self.sent..self.sent + piece]);
        self.sent += count;
        // A broken pipe: nothing reads what the client sends, so it sends no FIN.
        self.fin_sent = kernel.sockets[self.number].broken;
        let messages = &self.script.messages;
        let begun = messages.iter().skip(self.begun.len()).take_while(|message| message.begin < self.sent).count();
        self.begun.extend(std::iter::repeat_n(kernel.now, begun));
        if kernel.random.percent(self.manner.urgent) {
            kernel.send_urgent(self.number);
        }
        // Data and FIN may share an edge.
        if !self.fin_sent && self.wants_fin() && kernel.random.percent(50) {
            kernel.client_fin(self.number);
            self.fin_sent = true;
        }
        self.send_at = self.pause(kernel);
        if self.manner.impatient && self.waits_for_continue() {
            self.gave_up = true;
            self.send_at = self.send_at.max(kernel.now + Duration::from_millis(100));
        }
    }

    fn pause(&self, kernel: &mut Kernel) -> Moment {
        if self.polite || !kernel.random.percent(self.manner.pauses) {
            return kernel.now;
        }
        let micros = kernel.random.size(self.manner.pause.as_micros() as usize);
        kernel.now + Duration::from_micros(micros as u64)
    }

    // ---- receiving --------------------------------------------------------------------------------------------------

    fn wants_receive(&self, kernel: &Kernel) -> bool {
        self.ending.is_none() && kernel.sockets[self.number].is_receivable()
    }

    fn receive(&mut self, kernel: &mut Kernel) {
        let most = if self.polite { usize::MAX } else { kernel.random.size(self.manner.receive) };
        match kernel.receive(self.number, most) {
            Received::Bytes(bytes) => {
                assert!(
                    self.last.is_none(),
                    "client {}: bytes after the last reply: {}",
                    self.number,
                    bytes.escape_ascii()
                );
                self.reader.push(&bytes);
                while !self.upgraded
                    && let Some(reply) = self.next_reply()
                {
                    kernel.trace.note(|| format!("client {}: has {reply}", self.number));
                    self.take(reply);
                }
                if self.upgraded {
                    self.listen();
                }
            }
            Received::Nothing => {}
            Received::End => {
                if let Some(reply) = self.reader.last() {
                    self.take(reply);
                }
                self.check_partial();
                self.ending = Some(Ending::Clean);
            }
            Received::Reset => {
                self.check_partial();
                self.ending = Some(Ending::Reset);
            }
        }
        self.receive_at = self.pause(kernel);
    }

    /// Reads the other protocol: a greeting `?`, then the echo, with `!` marks anywhere in it.
    fn listen(&mut self) {
        let rest = self.reader.take_rest();
        let message = &self.script.messages[self.answered - 1];
        for byte in rest {
            match (byte, &mut self.echoed) {
                (b'?', echoed @ None) => *echoed = Some(0),
                (b'!', Some(_)) => {}
                (byte, Some(at)) => {
                    let said = &self.script.stream[message.head_end..self.sent];
                    assert_eq!(said.get(*at), Some(&byte), "client {}: another echo at {at}", self.number);
                    *at += 1;
                }
                (byte, None) => panic!("client {}: not greeted, but {byte}", self.number),
            }
        }
    }

    fn next_reply(&mut self) -> Option<Reply> {
        let Self { reader, script, answered, .. } = self;
        reader.next(|reply| match script.messages.get(*answered) {
            Some(message) if message.is_head && reply.number.is_none() && reply.status >= 200 => Shape::Either,
            Some(message) if message.is_head => Shape::HeadOnly,
            _ => Shape::Whole,
        })
    }

    /// Checks a reply. The verdict at the end decides whether the server had a reason to make it the last one.
    fn take(&mut self, reply: Reply) {
        let number = self.number;
        assert!(self.last.is_none(), "client {number}: a reply after the last one: {reply:?}");
        let expected = self.script.messages.get(self.answered);
        if reply.status == 100 {
            let asked = expected.is_some_and(|message| message.expects_continue && message.head_end <= self.sent);
            assert!(asked && !self.continued, "client {number}: a 100 that it does not expect");
            self.continued = true;
            return;
        }
        if reply.status == 103 {
            let allowed = expected.is_some_and(|message| message.traits.hints);
            return assert!(allowed, "client {number}: hints that it does not expect: {expected:?}");
        }
        if let Some(answered) = reply.number {
            let message = expected.unwrap_or_else(|| panic!("client {number}: a reply to nothing: {reply:?}"));
            assert_eq!(answered, self.answered, "client {number}: the replies are out of order: {reply:?}");
            assert!(message.is_request, "client {number}: this was no request: {message:?}, {reply:?}");
            self.compare(message, &reply);
            self.answered += 1;
            self.upgraded = reply.status == 101;
            (self.continued, self.gave_up) = (false, false);
        } else {
            assert!(reply.closes, "client {number}: an error reply that does not close: {reply:?}");
            assert!(reply.status >= 400, "client {number}: {reply:?}");
        }
        if reply.closes {
            self.last = Some(Reply { content: Vec::new(), ..reply });
        }
    }

    /// Compares a whole reply with what the message asked for.
    fn compare(&self, message: &Message, reply: &Reply) {
        let (number, traits) = (self.number, message.traits);
        if traits.late && reply.closes && matches!(reply.status, 400 | 408 | 503) && reply.status != message.status {
            return;
        }
        if self.manner.may_be_refused && reply.status == 503 {
            return;
        }
        assert!(!traits.fails, "client {number}: this reply must never be whole: {message:?}, {reply}");
        assert_eq!(reply.status, message.status, "client {number}: {message:?}, {reply}");
        let without_beats = || reply.content.iter().copied().filter(|byte| *byte != b'!').collect::<Vec<_>>();
        let right = message.is_head
            || message.expected(reply).is_none_or(|content| match traits.beats {
                true => without_beats() == *content,
                false => reply.content == *content,
            });
        assert!(right, "client {number}: wrong content: {message:?}, {reply}");
        let trailer = traits.trailers && reply.framing == Framing::Chunked && !message.is_head;
        assert_eq!(reply.trailer, trailer, "client {number}: {message:?}, {reply}");
        let may_go_on = message.ends.is_none() || traits.unannounced;
        assert!(reply.closes || may_go_on, "client {number}: this must be the last reply: {message:?}, {reply}");
    }

    /// Checks a reply that was cut short: the part that came must be the right beginning, and not all of it.
    fn check_partial(&self) {
        let Some((reply, came)) = self.reader.partial().filter(|(reply, _)| reply.number == Some(self.answered)) else {
            return;
        };
        let message = &self.script.messages[self.answered];
        if reply.status == message.status
            && let Some(expected) = message.expected(reply)
        {
            let right = came.len() < expected.len() && expected.starts_with(came);
            assert!(right, "client {}: a reply has a wrong beginning: {message:?}, {reply}", self.number);
        }
    }

    /// Whether the stream of replies ended after a whole one.
    pub(super) fn is_between_replies(&self) -> bool {
        self.reader.is_between_replies()
    }
}
