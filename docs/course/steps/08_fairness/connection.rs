//! The connection: bytes in, bytes out.
//!
//! New: a turn has a budget. When it is used up, the connection stops, although it could go on.

use std::mem;
use std::time::{Duration, Instant};

use crate::head::{MAX_HEAD, Refusal, Request, parse};
use crate::output::{HIGH_WATER, LOW_WATER, OutputQueue};

// All three are shorter than those of a real server, so that you can wait for them.

/// How long a client may take for a head, from its first byte on.
pub const HEAD_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a connection may be without a byte in either direction.
pub const IDLE_TIMEOUT: Duration = Duration::from_millis(1500);
/// How long a client may take for its content, from the end of the head on.
pub const CONTENT_TIMEOUT: Duration = Duration::from_millis(1000);

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the last reply is queued, or the client sends no more ──▶ Ending ── all is sent ──▶ (closed)
///
///     any phase ── the socket fails ──▶ Closed
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
    /// The budget of the turn is used up. It could go on at once.
    Budget,
}

/// What a connection may do in one turn.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Requests that may be answered.
    pub requests: usize,
    /// Bytes that may be read. The last read may go beyond it.
    pub bytes: usize,
}

impl Budget {
    pub const OF_A_TURN: Self = Self { requests: 8, bytes: 16 * 1024 };
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
    /// When the first byte of a head came, or the last byte of it.
    since: Instant,
    /// Requests that were answered.
    pub requests: usize,
    /// The output has reached the high-water mark, and not come back to the low-water mark since.
    held: bool,
}

impl Connection {
    pub fn new(now: Instant) -> Self {
        Self {
            phase: Phase::START,
            input: Vec::new(),
            input_ended: false,
            output: OutputQueue::default(),
            since: now,
            requests: 0,
            held: false,
        }
    }

    pub fn received(&mut self, bytes: &[u8], now: Instant) {
        if self.input.is_empty() && matches!(self.phase, Phase::Head { .. }) {
            self.since = now;
        }
        self.input.extend_from_slice(bytes);
    }

    pub fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Parses and answers as far as input and output allow.
    pub fn advance(&mut self, now: Instant, budget: &mut Budget) -> Stall {
        loop {
            self.held |= self.output.len() > HIGH_WATER;
            if self.held {
                return Stall::Output;
            }
            if budget.requests == 0 {
                return Stall::Budget;
            }
            if let Step::Stalled = self.step(now, budget) {
                break;
            }
        }
        // What has not come whole will never come whole.
        if self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
        Stall::Input
    }

    fn step(&mut self, now: Instant, budget: &mut Budget) -> Step {
        match &self.phase {
            Phase::Head { searched } => self.read_head(*searched, now),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(now, budget),
            Phase::Ending | Phase::Closed => Step::Stalled,
        }
    }

    /// Enters the next phase: the one place where the phase changes. Returns the old one for what it holds.
    fn enter(&mut self, next: Phase) -> Phase {
        debug_assert!(self.phase.leads_to(&next), "no step leads from {:?} to {next:?}", self.phase);
        mem::replace(&mut self.phase, next)
    }

    /// Looks for the end of the head. The first `searched` bytes were searched before.
    fn read_head(&mut self, searched: usize, now: Instant) -> Step {
        // The end has four bytes, and up to three of them may have been searched.
        let from = searched.saturating_sub(3);
        let found = self.input[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = found.map(|at| from + at + 4);
        if end.unwrap_or(self.input.len()) > MAX_HEAD {
            return self.refuse(Refusal::HeadTooLarge);
        }
        let Some(end) = end else {
            self.phase = Phase::Head { searched: self.input.len() };
            return Step::Stalled;
        };
        match parse(&self.input[..end]) {
            Ok(request) => {
                self.input.drain(..end);
                self.enter(Phase::Content(request));
                self.since = now;
                Step::Again
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Answers the request whose content has come.
    fn answer(&mut self, now: Instant, budget: &mut Budget) -> Step {
        budget.requests -= 1;
        self.requests += 1;
        let Phase::Content(request) = self.enter(Phase::START) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        match (&*request.method, &*request.target) {
            ("GET", "/") => self.reply("200 OK", b"hello\n", request.persists),
            ("POST", "/echo") => self.reply("200 OK", &content, request.persists),
            ("GET", target) if big(target).is_some() => {
                let content = vec![b'x'; big(target).unwrap_or(0)];
                self.reply("200 OK", &content, request.persists);
            }
            _ => self.reply("404 Not Found", b"not found\n", request.persists),
        }
        self.since = now;
        if !request.persists {
            self.enter(Phase::Ending);
        }
        Step::Again
    }

    /// Answers a request that is not understood. Where the next one begins is not known, so this is the last reply.
    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.reply(refusal.status(), b"", false);
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

    pub fn sent(&mut self, count: usize) {
        self.output.advance(count);
        self.held &= self.output.len() > LOW_WATER;
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

    /// When [`expire`](Self::expire) must be called. `activity` is when a byte came or went for the last time. The
    /// deadline is computed from the phase and never stored.
    pub fn deadline(&self, activity: Instant) -> Instant {
        let idle = activity + IDLE_TIMEOUT;
        match self.phase {
            // A client that has not taken what it is owed may not know yet that it is its turn.
            _ if !self.output.is_empty() => idle,
            Phase::Head { .. } if !self.input.is_empty() => idle.min(self.since + HEAD_TIMEOUT),
            Phase::Content(_) => idle.min(self.since + CONTENT_TIMEOUT),
            Phase::Head { .. } | Phase::Ending | Phase::Closed => idle,
        }
    }

    /// Does what follows when the deadline has passed.
    pub fn expire(&mut self) {
        match self.phase {
            _ if !self.output.is_empty() => self.abort(),
            Phase::Head { .. } if self.input.is_empty() => _ = self.enter(Phase::Ending),
            Phase::Head { .. } | Phase::Content(_) => _ = self.refuse(Refusal::Timeout),
            Phase::Ending | Phase::Closed => {}
        }
    }

    /// Ends the connection at once, since the socket has failed or the client takes nothing.
    pub fn abort(&mut self) {
        self.enter(Phase::Closed);
    }
}

/// Takes the number from `/big/NUMBER`. It is at most a million.
fn big(target: &str) -> Option<usize> {
    target.strip_prefix("/big/")?.parse().ok().filter(|&count| count <= 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_a_turn_and_loses_nothing() {
        let now = Instant::now();
        let mut connection = Connection::new(now);
        connection.received(&b"GET / HTTP/1.1\r\n\r\n".repeat(20), now);
        for expected in [8, 16] {
            assert_eq!(connection.advance(now, &mut Budget::OF_A_TURN.clone()), Stall::Budget);
            assert_eq!(connection.requests, expected);
        }
        assert_eq!(connection.advance(now, &mut Budget::OF_A_TURN.clone()), Stall::Input);
        assert_eq!(connection.requests, 20);
    }
}
