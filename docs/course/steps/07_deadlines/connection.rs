//! The connection: bytes in, bytes out.
//!
//! New: time comes in as bytes do, and the connection says until when it waits. That is computed from its state, never
//! stored.

use std::time::Duration;
use std::{mem, thread};

use crate::deadlines::Moment;
use crate::head::{MAX_HEAD, Refusal, Request, parse};
use crate::output::{HIGH_WATER, LOW_WATER, OutputQueue};

/// How long a client may be silent in both directions. These times are short for the experiments; those of monoloop are
/// in `src/limits.rs`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest time from the first byte of a head to its end.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take nothing of what it is owed.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the last reply is queued, or no more comes (in time) ──▶ Ending ── all is sent ──▶ (closed)
///
///     any phase ── the socket fails, or the client takes nothing for too long ──▶ Closed
/// ```
#[derive(Debug)]
enum Phase {
    /// The connection is between two requests, or within a head. The first `searched` bytes of the input do not hold
    /// the end of that head.
    Head { searched: usize },
    /// The head has come. The content has not, or not all of it.
    Content(Request),
    /// Nothing more is read. What is owed is still sent.
    Ending,
    /// The socket can go.
    Closed,
}

impl Phase {
    /// Before the first byte of a request.
    const START: Self = Self::Head { searched: 0 };

    /// The table of steps: whether one step leads from this phase to `next`.
    fn leads_to(&self, next: &Phase) -> bool {
        match (self, next) {
            (Phase::Closed, _) => false,
            (_, Phase::Closed) => true,
            (Phase::Head { .. }, next) => matches!(next, Phase::Content(_) | Phase::Ending),
            (Phase::Content(_), next) => matches!(next, Phase::Head { .. } | Phase::Ending),
            (Phase::Ending, _) => false,
        }
    }
}

/// What a step of the state machine has come to.
enum Step {
    /// Something was done, so there may be more to do.
    Again,
    /// Nothing can be done until more input comes.
    Stalled,
}

/// Why a connection cannot go on by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Stall {
    /// It needs more input.
    Input,
    /// It owes so much that the client has to take some of it first.
    Output,
}

/// The state of one connection. It knows neither socket nor clock: its driver brings bytes and takes bytes.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    /// What has come and is not used yet.
    input: Vec<u8>,
    /// The client has closed its side.
    input_ended: bool,
    output: OutputQueue,
    /// The output has reached the high-water mark, and not come back to the low-water mark since.
    held: bool,
    /// When the head began that has not come whole.
    since: Moment,
    /// When the kernel took bytes for the last time, or when the first ones were owed.
    taken: Moment,
}

impl Connection {
    pub fn new() -> Self {
        Self {
            phase: Phase::START,
            input: Vec::new(),
            input_ended: false,
            output: OutputQueue::default(),
            held: false,
            since: Moment::ZERO,
            taken: Moment::ZERO,
        }
    }

    pub fn received(&mut self, bytes: &[u8], now: Moment) {
        if self.input.is_empty() {
            self.since = now;
        }
        self.input.extend_from_slice(bytes);
    }

    pub fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Parses and answers as far as input and output allow.
    pub fn advance(&mut self, now: Moment) -> Stall {
        if self.output.is_empty() {
            self.taken = now;
        }
        loop {
            self.held |= self.output.len() > HIGH_WATER;
            if self.held {
                return Stall::Output;
            }
            if let Step::Stalled = self.step(now) {
                break;
            }
        }
        // What has not come whole will never come whole.
        if self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
        Stall::Input
    }

    fn step(&mut self, now: Moment) -> Step {
        match &self.phase {
            Phase::Head { searched } => self.read_head(*searched),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(now),
            Phase::Ending | Phase::Closed => Step::Stalled,
        }
    }

    /// Enters the next phase: the one place where the phase changes. Returns the old one for what it holds.
    fn enter(&mut self, next: Phase) -> Phase {
        debug_assert!(self.phase.leads_to(&next), "no step leads from {:?} to {next:?}", self.phase);
        mem::replace(&mut self.phase, next)
    }

    /// Looks for the end of the head. The first `searched` bytes were searched before.
    fn read_head(&mut self, searched: usize) -> Step {
        // The end has four bytes, and up to three of them may have been searched.
        let from = searched.saturating_sub(3);
        let found = self.input[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = found.map(|at| from + at + 4);
        if end.unwrap_or(self.input.len()) > MAX_HEAD {
            return self.refuse(Refusal::HeadTooLarge.status());
        }
        let Some(end) = end else {
            self.phase = Phase::Head { searched: self.input.len() };
            return Step::Stalled;
        };
        match parse(&self.input[..end]) {
            Ok(request) => {
                self.input.drain(..end);
                self.enter(Phase::Content(request));
                Step::Again
            }
            Err(refusal) => self.refuse(refusal.status()),
        }
    }

    /// Answers the request whose content has come.
    fn answer(&mut self, now: Moment) -> Step {
        let Phase::Content(request) = self.enter(Phase::START) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        let (target, number) = split_number(&request.target);
        match (&*request.method, target, number) {
            ("GET", "/", None) => self.reply("200 OK", b"hello\n", request.persists),
            ("POST", "/echo", None) => self.reply("200 OK", &content, request.persists),
            ("GET", "/big/", Some(count @ ..=1_000_000)) => self.reply("200 OK", &vec![b'x'; count], request.persists),
            ("GET", "/block/", Some(millis @ ..=5_000)) => {
                thread::sleep(Duration::from_millis(millis as u64));
                self.reply("200 OK", b"the others have waited\n", request.persists);
            }
            _ => self.reply("404 Not Found", b"not found\n", request.persists),
        }
        if !request.persists {
            self.enter(Phase::Ending);
        }
        // The next head may have come with this request.
        self.since = now;
        Step::Again
    }

    /// Answers a request that is not understood. Where the next one begins is not known, so this is the last reply.
    fn refuse(&mut self, status: &str) -> Step {
        self.reply(status, b"", false);
        self.enter(Phase::Ending);
        Step::Stalled
    }

    fn reply(&mut self, status: &str, content: &[u8], persists: bool) {
        let close = if persists { "" } else { "Connection: close\r\n" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{close}\r\n", content.len());
        self.output.push(head.as_bytes());
        self.output.push(content);
    }

    // What the driver asks. All of it is computed from the phase.

    pub fn output(&self) -> &OutputQueue {
        &self.output
    }

    pub fn sent(&mut self, count: usize, now: Moment) {
        self.output.advance(count);
        self.taken = now;
        let listens_again = self.held && self.output.len() <= LOW_WATER;
        if listens_again || self.output.is_empty() {
            // While more was owed, the client may have waited for it, and a held connection has not listened at all.
            self.held = false;
            self.since = now;
        }
    }

    /// Whether the client must take something before the connection goes on.
    pub fn is_held(&self) -> bool {
        self.held
    }

    pub fn wants_read(&self) -> bool {
        !self.held && !self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_))
    }

    pub fn wants_end(&self) -> bool {
        match self.phase {
            Phase::Head { .. } | Phase::Content(_) => false,
            Phase::Ending => self.output.is_empty(),
            Phase::Closed => true,
        }
    }

    // Time. The wheel asks for the deadline, and nobody keeps the answer.

    /// Until when the connection waits, if no byte comes or goes until then. `activity` is when the last one did.
    pub fn deadline(&self, activity: Moment) -> Moment {
        let idle = activity + IDLE_TIMEOUT;
        match &self.phase {
            Phase::Closed => Moment::MAX,
            // A client that does not see its replies may well be silent: only its reading is timed.
            _ if !self.output.is_empty() => self.taken + SEND_TIMEOUT,
            Phase::Head { .. } if !self.input.is_empty() => idle.min(self.since + HEAD_TIMEOUT),
            Phase::Head { .. } | Phase::Content(_) | Phase::Ending => idle,
        }
    }

    /// Ends what takes too long: the deadline has passed.
    pub fn expire(&mut self, now: Moment) {
        let owes = !self.output.is_empty();
        self.taken = now;
        match &self.phase {
            // The client takes nothing. There is no use in owing it more.
            _ if owes => self.abort(),
            Phase::Head { .. } if self.input.is_empty() => {
                self.enter(Phase::Ending);
            }
            Phase::Head { .. } | Phase::Content(_) => {
                self.refuse("408 Request Timeout");
            }
            Phase::Ending | Phase::Closed => self.abort(),
        }
    }

    /// Adds `late` to what the deadlines are counted from: nobody listened for that time.
    pub fn forgive(&mut self, late: Duration) {
        self.since += late;
        self.taken += late;
    }

    /// Ends the connection at once, since the socket has failed or the client takes nothing.
    pub fn abort(&mut self) {
        self.enter(Phase::Closed);
    }
}

/// Splits a target at the number at its end, if there is one.
fn split_number(target: &str) -> (&str, Option<usize>) {
    let (name, digits) = target.split_at(target.trim_end_matches(|last: char| last.is_ascii_digit()).len());
    (name, digits.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// A connection to which these bytes came at these times, with the time of the last ones.
    fn after(pieces: &[(u64, &[u8])]) -> (Connection, Moment) {
        let mut connection = Connection::new();
        for (millis, bytes) in pieces {
            connection.received(bytes, at(*millis));
            connection.advance(at(*millis));
        }
        (connection, at(pieces.last().expect("something has come").0))
    }

    #[test]
    fn the_time_of_a_head_counts_from_its_first_byte() {
        let (connection, last) = after(&[(100, b"G"), (600, b"E"), (900, b"T /")]);
        assert_eq!(connection.deadline(last), at(1100));
    }

    #[test]
    fn the_time_of_a_second_head_counts_from_the_reply_to_the_first() {
        let (mut connection, last) = after(&[(100, b"GET / HT"), (900, b"TP/1.1\r\n\r\nGET")]);
        assert_eq!(connection.deadline(last), at(900) + SEND_TIMEOUT);
        connection.sent(connection.output().len(), at(950));
        assert_eq!(connection.deadline(at(950)), at(1950));
    }

    #[test]
    fn what_expires_depends_on_the_phase() {
        for (name, input, says, closes) in [
            ("silent", &b""[..], "", true),
            ("in a head", b"GET", "HTTP/1.1 408 ", false),
            ("in content", b"POST /echo HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc", "HTTP/1.1 408 ", false),
        ] {
            let (mut connection, last) = after(&[(100, input)]);
            assert!(connection.deadline(last) > last && !connection.wants_end(), "{name}");
            connection.expire(at(5000));
            assert!(connection.output().front().starts_with(says.as_bytes()), "{name}");
            assert_eq!(connection.wants_end(), closes, "{name}");
        }
    }

    #[test]
    fn a_client_that_takes_nothing_gets_no_more() {
        let (mut connection, last) = after(&[(100, b"GET /big/9 HTTP/1.1\r\n\r\n")]);
        assert_eq!(connection.deadline(last), at(100) + SEND_TIMEOUT);
        connection.sent(1, at(1000));
        assert_eq!(connection.deadline(at(1000)), at(1000) + SEND_TIMEOUT, "it has taken a byte");
        connection.expire(at(3000));
        assert!(connection.wants_end());
    }

    #[test]
    fn a_loop_that_was_blocked_forgives() {
        let (mut connection, last) = after(&[(100, b"G")]);
        connection.forgive(at(700));
        assert_eq!(connection.deadline(last + at(700)), at(1800));
    }
}
