//! Makes lines of what sessions do. A recording writes the lines; a replay compares them with those that were written.
//! Both use this file, so they cannot say the same thing in two ways.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::line::{Line, hash};
use super::mask::is_secret;
use super::settings::nanos;
use crate::exchange::{
    CloseReason, ConnectionId, Draining, FinishedReply, MessageRecord, Observer, ProtocolClose, Request, Timeout,
};
use crate::http::{Error, Moment};
use crate::sessions::{After, Cause, Happened, Opened, Readiness, TurnBegins, TurnEnded, Witness};

/// Where lines go.
pub(super) trait Lines {
    /// Takes a line.
    fn put(&mut self, line: Line);

    /// What was put must not be lost any more.
    fn settle(&mut self) {}

    /// Whether [`settle`](Self::settle) should be called within a second.
    fn is_behind(&self) -> bool {
        false
    }
}

/// Makes the lines.
pub(super) struct Scribe {
    lines: Box<dyn Lines>,
    /// The connection whose turn or end is being written, so that what is observed belongs to it.
    current: Option<ConnectionId>,
    /// The connections on which another protocol has taken over.
    upgraded: HashSet<ConnectionId>,
    /// A second that nothing was written in yet.
    second: Option<SystemTime>,
    /// Whether secrets are masked.
    pub(super) masks: bool,
    /// Whether the lines get notes for people.
    notes: bool,
}

/// A scribe that the transports, the clock and the loop share.
#[derive(Clone)]
pub(super) struct Shared(Rc<RefCell<Scribe>>);

impl Shared {
    pub(super) fn new(lines: impl Lines + 'static, masks: bool, notes: bool) -> Self {
        let scribe =
            Scribe { lines: Box::new(lines), current: None, upgraded: HashSet::new(), second: None, masks, notes };
        Self(Rc::new(RefCell::new(scribe)))
    }

    pub(super) fn put(&self, line: Line) {
        self.0.borrow_mut().put(line);
    }

    pub(super) fn masks(&self) -> bool {
        self.0.borrow().masks
    }

    /// Whether a turn or an end is being written.
    pub(super) fn is_within(&self) -> bool {
        self.0.borrow().current.is_some()
    }

    /// Whether another protocol has taken over on the connection at work.
    pub(super) fn is_upgraded(&self) -> bool {
        let scribe = self.0.borrow();
        scribe.current.is_some_and(|id| scribe.upgraded.contains(&id))
    }

    /// Puts a line of what an observer has seen, if it belongs to the connection at work.
    fn observed(&self, id: ConnectionId, line: impl FnOnce(bool) -> Line) {
        let mut scribe = self.0.borrow_mut();
        if scribe.current == Some(id) {
            let line = line(scribe.notes);
            scribe.put(line);
        }
    }
}

impl Scribe {
    fn put(&mut self, line: Line) {
        self.put_second();
        self.lines.put(line);
    }

    fn put_second(&mut self) {
        if let Some(second) = self.second.take() {
            self.lines.put(Line::new("second").with("date", date(second)));
        }
    }
}

/// A time of day, in nanoseconds of Unix time.
pub(super) fn date(time: SystemTime) -> u64 {
    nanos(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A deadline; `null` is never.
fn moment(at: Moment) -> Value {
    if at == Moment::MAX { Value::Null } else { at.as_nanos().into() }
}

// ---- names ----------------------------------------------------------------------------------------------------------

pub(super) const CAUSES: [(Cause, &str); 8] = [
    (Cause::Runnable, "runnable"),
    (Cause::Answer, "answer"),
    (Cause::Unanswered, "unanswered"),
    (Cause::Interim, "interim"),
    (Cause::Wake, "wake"),
    (Cause::Resume, "resume"),
    (Cause::Deadline, "deadline"),
    (Cause::Memory, "memory"),
];

pub(super) const STAGES: [(Draining, &str); 4] =
    [(Draining::No, "no"), (Draining::Asked, "asked"), (Draining::Grace, "grace"), (Draining::Closing, "closing")];

/// The name of `key` in a table.
fn name<K: PartialEq + Copy>(table: &[(K, &'static str)], key: K) -> &'static str {
    table.iter().find(|(known, _)| *known == key).map_or("?", |(_, name)| name)
}

/// The key of this name in a table.
pub(super) fn named<K: Copy>(table: &[(K, &'static str)], name: &str) -> Option<K> {
    table.iter().find(|(_, known)| *known == name).map(|(key, _)| *key)
}

/// The letters of what the kernel has said: readable, writable, to the end, closed by the client, hung up.
fn letters(ready: Readiness) -> String {
    let flags = [ready.readable, ready.writable, ready.to_the_end, ready.read_closed, ready.hung_up];
    "rwxch".chars().zip(flags).filter(|(_, on)| *on).map(|(letter, _)| letter).collect()
}

pub(super) fn readiness(letters: &str) -> Readiness {
    Readiness {
        readable: letters.contains('r'),
        writable: letters.contains('w'),
        to_the_end: letters.contains('x'),
        read_closed: letters.contains('c'),
        hung_up: letters.contains('h'),
    }
}

const fn outcome(after: After) -> &'static str {
    match after {
        After::Exhausted => "exhausted",
        After::Runnable => "runnable",
        After::Closed => "closed",
    }
}

// ---- what the sessions tell -----------------------------------------------------------------------------------------

impl Witness for Shared {
    fn opened(&mut self, opened: &Opened) {
        self.put(
            Line::new("open")
                .with("conn", opened.id.0)
                .with("slot", opened.slot)
                .with("peer", opened.peer.to_string())
                .with("local", opened.local.to_string())
                .with("short_is_exhausted", opened.short_means_exhausted)
                .with("idle_timeout", nanos(opened.idle_timeout))
                .with("at", opened.at.as_nanos()),
        );
    }

    fn turn_begins(&mut self, turn: &TurnBegins) {
        let mut scribe = self.0.borrow_mut();
        scribe.current = Some(turn.id);
        scribe.put(
            Line::new("turn")
                .with("conn", turn.id.0)
                .with("why", name(&CAUSES, turn.cause))
                .with("ready", letters(turn.readiness))
                .with("at", turn.at.as_nanos())
                .with("began", turn.began.as_nanos())
                .with("file_bytes", turn.file_bytes)
                .with("draining", name(&STAGES, turn.draining))
                .with("signal", turn.interrupted)
                .with("letters_wait", turn.letters_wait)
                .with("phase", &*turn.phase),
        );
    }

    fn turn_ended(&mut self, turn: &TurnEnded) {
        let mut scribe = self.0.borrow_mut();
        scribe.put(
            Line::new("turned")
                .with("after", outcome(turn.after))
                .with("phase", &*turn.phase)
                .with("unread", turn.unread)
                .with("owed", turn.owed)
                .with("deadline", moment(turn.deadline))
                .with("timeout", turn.timeout),
        );
        scribe.current = None;
    }

    fn cuts(&mut self, id: ConnectionId, queued: bool) {
        self.put(Line::new("cut").with("conn", id.0).with("queued", queued));
    }

    fn ends(&mut self, id: ConnectionId, at: Moment, reason: CloseReason) {
        let mut scribe = self.0.borrow_mut();
        scribe.current = Some(id);
        let line = Line::new("end").with("conn", id.0).with("at", at.as_nanos()).with("reason", format!("{reason:?}"));
        let note = reason.to_string();
        scribe.put(Line { notes: vec![note], ..line });
    }

    fn ended(&mut self) {
        let mut scribe = self.0.borrow_mut();
        if let Some(id) = scribe.current.take() {
            scribe.upgraded.remove(&id);
        }
        scribe.lines.settle();
    }

    fn happened(&mut self, event: Happened) {
        let mut scribe = self.0.borrow_mut();
        match event {
            Happened::Second(date) => {
                scribe.second = Some(date);
                // A replay compares it at once. A recording writes it together with what comes next, so that a server
                // without work writes nothing.
                if scribe.notes {
                    scribe.put_second();
                }
                scribe.lines.settle();
            }
            Happened::Timers(at) => scribe.put(Line::new("timers").with("at", at.as_nanos())),
            Happened::Posted(at) => scribe.put(Line::new("posted").with("at", at.as_nanos())),
            Happened::Draining(stage) => scribe.put(Line::new("draining").with("stage", name(&STAGES, stage))),
            Happened::Forgiven { late, at } => {
                scribe.put(Line::new("forgive").with("late", nanos(late)).with("at", at.as_nanos()));
            }
        }
    }

    fn is_behind(&self) -> bool {
        self.0.borrow().lines.is_behind()
    }
}

// ---- what an observer is told ---------------------------------------------------------------------------------------

impl Observer for Shared {
    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        let masks = self.masks();
        self.observed(id, |notes| {
            let fields = fields(request, masks);
            let content = request.body();
            let line = Line::new("request")
                .with("method", request.method().as_str())
                .with("target", request.target())
                .with("version", request.version().to_string())
                .with("fields", fields.len())
                .with("content", content.len())
                .with("hash", hash(&[fields.concat().as_bytes(), content].concat()));
            Line { notes: if notes { fields } else { Vec::new() }, ..line }
        });
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.observed(id, |_| about_reply("reply", reply));
    }

    fn reply_cut(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.observed(id, |_| about_reply("reply_cut", reply));
    }

    fn upgraded(&mut self, id: ConnectionId) {
        self.observed(id, |_| Line::new("upgraded"));
        let mut scribe = self.0.borrow_mut();
        if scribe.current == Some(id) {
            scribe.upgraded.insert(id);
        }
    }

    fn message(&mut self, id: ConnectionId, message: &MessageRecord) {
        self.observed(id, |_| {
            Line::new("message")
                .with("received", message.received)
                .with("text", message.is_text)
                .with("bytes", message.bytes)
        });
    }

    fn protocol_closed(&mut self, id: ConnectionId, close: &ProtocolClose<'_>) {
        self.observed(id, |_| Line::new("goodbye").with("code", close.code).with("by_client", close.by_client));
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.observed(id, |_| Line::new("failed").with("status", error.status()));
    }

    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {
        self.observed(id, |_| Line::new("timeout").with("timeout", timeout.name()));
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.observed(id, |_| Line::new("held").with("on", on));
    }
}

fn about_reply(event: &'static str, reply: &FinishedReply<'_>) -> Line {
    Line::new(event)
        .with("status", reply.status)
        .with("route", reply.route)
        .with("received", reply.received)
        .with("content", reply.content)
        .with("sent", reply.sent)
}

/// The field lines of a request as text. A secret is one `*`, however long it is: white space at its end is masked in
/// the bytes that were read, and then belongs to it.
fn fields(request: &Request<'_>, masks: bool) -> Vec<String> {
    let line = |(name, value): (&str, &[u8])| {
        let value = if masks && is_secret(name) && !value.is_empty() { b"*" } else { value };
        format!("{name}: {}", String::from_utf8_lossy(value))
    };
    request.headers().iter().map(line).collect()
}
