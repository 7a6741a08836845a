//! The observer of the loop while a page is open. It counts, and keeps the last events; their sentences are made when a
//! frame is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use monoloop::server::{
    CloseReason, ConnectionId, DrainCause, FinishedReply, MessageRecord, Observer, ProtocolClose, Timeout,
};
use monoloop::{Endpoint, Error, Method};
use serde::Serialize;

/// How many plain events of a frame become sentences, and how many of those that are rare. A busy loop has thousands:
/// nobody reads them, and making them would cost what the page shows.
const PLAIN: usize = 40;
const RARE: usize = 24;

/// A reply that took so long is rare: its sentence must not be pushed out by those of quick ones.
const LONG: Duration = Duration::from_secs(1);

/// The longest part of a path in a sentence, in characters.
const MAX_PATH: usize = 60;

/// Counters since the page was opened.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) closed: u64,
    pub(super) replies: u64,
    /// Replies that were cut short.
    pub(super) cut: u64,
    /// Requests that were answered with an error.
    pub(super) failed: u64,
    /// WebSocket messages, in both directions.
    pub(super) messages: u64,
    /// Bytes of requests and of replies.
    pub(super) received: u64,
    pub(super) sent: u64,
    /// By the name of the timeout.
    pub(super) timeouts: BTreeMap<&'static str, u64>,
    /// By the reason, as a sentence.
    pub(super) reasons: BTreeMap<String, u64>,
}

/// What was seen since the last frame, and the counters.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) counts: Counts,
    events: Vec<Event>,
    plain: usize,
    rare: usize,
    left_out: u64,
}

/// What a page shows of an event.
#[derive(Debug, Serialize)]
pub(super) struct Sentence {
    pub(super) text: String,
    /// It is worth being read aloud.
    pub(super) rare: bool,
}

#[derive(Debug)]
enum Event {
    Opened(ConnectionId, Endpoint),
    Closed(ConnectionId, CloseReason),
    Replied { id: ConnectionId, method: Option<Method>, path: String, status: u16, took: Duration, cut: bool },
    Upgraded(ConnectionId),
    ProtocolClosed(ConnectionId, u16, bool),
    Failed(ConnectionId, u16),
    TimedOut(ConnectionId, Timeout),
    Held(ConnectionId, bool),
    Trouble(String),
    MemoryShort(usize, usize),
    Draining(DrainCause),
    Ended,
}

impl Notes {
    /// Takes the sentences of what was noted, and how many events are not among them.
    pub(super) fn take(&mut self) -> (Vec<Sentence>, u64) {
        (self.plain, self.rare) = (0, 0);
        let sentences = self.events.drain(..).map(|event| Sentence { text: event.to_string(), rare: event.is_rare() });
        (sentences.collect(), mem::take(&mut self.left_out))
    }

    /// Notes an event that is made only if there is room for it.
    fn note(&mut self, is_rare: bool, event: impl FnOnce() -> Event) {
        let (count, most) = if is_rare { (&mut self.rare, RARE) } else { (&mut self.plain, PLAIN) };
        if *count < most {
            *count += 1;
            self.events.push(event());
        } else {
            self.left_out += 1;
        }
    }
}

impl Event {
    fn is_rare(&self) -> bool {
        match self {
            Self::Opened(..) | Self::Closed(..) | Self::Upgraded(_) => false,
            Self::Replied { cut, took, .. } => *cut || *took >= LONG,
            _ => true,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(id, peer) => write!(f, "Connection {id} from {peer} was accepted."),
            Self::Closed(id, reason) => write!(f, "Connection {id} ended: {reason}."),
            Self::Replied { id, method, path, status, took, cut } => {
                let method = method.map_or("A request", Method::as_str);
                let space = if path.is_empty() { "" } else { " " };
                let how = if *cut { "was being answered with" } else { "was answered with" };
                let end = if *cut { "when it was cut short, after" } else { "in" };
                write!(f, "{method}{space}{path} on connection {id} {how} {status} {end} {}.", Took(*took))
            }
            Self::Upgraded(id) => write!(f, "Connection {id} speaks another protocol now."),
            Self::ProtocolClosed(id, code, by_client) => {
                let side = if *by_client { "the client" } else { "the server" };
                write!(f, "On connection {id}, {side} ended the WebSocket with code {code}.")
            }
            Self::Failed(id, status) => write!(f, "A request on connection {id} failed with {status}."),
            Self::TimedOut(id, timeout) => write!(f, "Connection {id} missed a deadline: {}.", missed(*timeout)),
            Self::Held(id, true) => {
                write!(f, "Connection {id} owes so much that it is held: it is not read until its client takes some.")
            }
            Self::Held(id, false) => write!(f, "Connection {id} is read again, since its client took what was owed."),
            Self::Trouble(error) => write!(f, "The server had an error and goes on: {error}."),
            Self::MemoryShort(used, limit) => write!(f, "Memory is short: {used} of {limit} bytes are in use."),
            Self::Draining(DrainCause::Signal(name)) => write!(f, "{name} came: the drain begins."),
            Self::Draining(_) => f.write_str("The drain begins, as it was asked for."),
            Self::Ended => f.write_str("The last connection has ended, and the loop returns."),
        }
    }
}

/// A time as people read it.
struct Took(Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            micros @ 0..1_000 => write!(f, "{micros} µs"),
            micros @ 1_000..1_000_000 => write!(f, "{}.{} ms", micros / 1000, micros % 1000 / 100),
            micros => write!(f, "{}.{} s", micros / 1_000_000, micros % 1_000_000 / 100_000),
        }
    }
}

/// The name of a timeout without the word itself, which is above or beside it on the page.
pub(super) fn name(timeout: Timeout) -> &'static str {
    timeout.name().trim_end_matches(" timeout")
}

const fn missed(timeout: Timeout) -> &'static str {
    match timeout {
        Timeout::Idle => "no byte came or went for the idle timeout",
        Timeout::Head => "its request head did not end in time",
        Timeout::Content => "the content of its request came too slowly",
        Timeout::Send => "its client took the replies too slowly",
        Timeout::Reply => "the application did not reply in time",
        Timeout::Linger => "its client did not close its side in time",
        _ => "it took too long",
    }
}

/// The observer. The page has the notes, too.
#[derive(Debug)]
pub(super) struct NoteTaker(pub(super) Rc<RefCell<Notes>>);

impl NoteTaker {
    fn note(&self, is_rare: bool, event: impl FnOnce() -> Event) {
        self.0.borrow_mut().note(is_rare, event);
    }

    fn note_reply(&self, id: ConnectionId, reply: &FinishedReply<'_>, cut: bool) {
        let notes = &mut *self.0.borrow_mut();
        notes.counts.received += reply.received;
        notes.counts.sent += reply.sent;
        let count = if cut { &mut notes.counts.cut } else { &mut notes.counts.replies };
        *count += 1;
        notes.note(cut || reply.duration >= LONG, || {
            let path = reply.path.unwrap_or_default();
            let mut shown: String = path.chars().take(MAX_PATH).collect();
            if shown.len() < path.len() {
                shown.push('…');
            }
            let FinishedReply { method, status, duration: took, .. } = *reply;
            Event::Replied { id, method, path: shown, status, took, cut }
        });
    }
}

impl Observer for NoteTaker {
    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.0.borrow_mut().counts.accepted += 1;
        self.note(false, || Event::Opened(id, *peer));
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.note_reply(id, reply, false);
    }

    fn reply_cut(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.note_reply(id, reply, true);
    }

    fn upgraded(&mut self, id: ConnectionId) {
        self.note(false, || Event::Upgraded(id));
    }

    fn message(&mut self, _: ConnectionId, _: &MessageRecord) {
        self.0.borrow_mut().counts.messages += 1;
    }

    fn protocol_closed(&mut self, id: ConnectionId, close: &ProtocolClose<'_>) {
        self.note(true, || Event::ProtocolClosed(id, close.code, close.by_client));
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.borrow_mut().counts.failed += 1;
        self.note(true, || Event::Failed(id, error.status()));
    }

    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {
        *self.0.borrow_mut().counts.timeouts.entry(name(timeout)).or_default() += 1;
        self.note(true, || Event::TimedOut(id, timeout));
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.note(true, || Event::Held(id, on));
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        {
            let counts = &mut self.0.borrow_mut().counts;
            counts.closed += 1;
            *counts.reasons.entry(reason.to_string()).or_default() += 1;
        }
        self.note(false, || Event::Closed(id, reason));
    }

    fn server_error(&mut self, error: &io::Error) {
        self.note(true, || Event::Trouble(error.to_string()));
    }

    fn memory_short(&mut self, used: usize, limit: usize) {
        self.note(true, || Event::MemoryShort(used, limit));
    }

    fn draining(&mut self, cause: DrainCause) {
        self.note(true, || Event::Draining(cause));
    }

    fn server_closed(&mut self) {
        self.note(true, || Event::Ended);
    }
}
