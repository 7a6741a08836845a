//! The connection: bytes in, bytes out.
//!
//! New: it makes no more replies while the client does not take those that are owed already. Then it wants to read no
//! more, either.

use std::mem;

use crate::head::{MAX_HEAD, Refusal, Request, parse};
use crate::output::{HIGH_WATER, LOW_WATER, OutputQueue};

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
}

impl Connection {
    pub fn new() -> Self {
        Self { phase: Phase::START, input: Vec::new(), input_ended: false, output: OutputQueue::default(), held: false }
    }

    pub fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    pub fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Parses and answers as far as input and output allow.
    pub fn advance(&mut self) -> Stall {
        loop {
            self.held |= self.output.len() > HIGH_WATER;
            if self.held {
                return Stall::Output;
            }
            if let Step::Stalled = self.step() {
                break;
            }
        }
        // What has not come whole will never come whole.
        if self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
        Stall::Input
    }

    fn step(&mut self) -> Step {
        match &self.phase {
            Phase::Head { searched } => self.read_head(*searched),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(),
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
                Step::Again
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Answers the request whose content has come.
    fn answer(&mut self) -> Step {
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

    /// Ends the connection at once, since the socket has failed.
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
    fn a_connection_that_is_held_makes_no_more_replies_and_reads_no_more() {
        let mut connection = Connection::new();
        connection.received(&b"GET /big/40000 HTTP/1.1\r\n\r\n".repeat(10));
        assert_eq!(connection.advance(), Stall::Output);
        let owed = connection.output().len();
        assert!(owed > HIGH_WATER && owed < HIGH_WATER + 41_000, "{owed}");
        assert!(!connection.wants_read());

        // It goes on at the low-water mark, and no earlier.
        connection.sent(owed - LOW_WATER - 1);
        assert_eq!(connection.advance(), Stall::Output);
        connection.sent(1);
        assert!(connection.wants_read());
        assert_eq!(connection.advance(), Stall::Output);
        assert!(connection.output().len() > HIGH_WATER);
    }

    #[test]
    fn all_replies_come_in_the_end() {
        let mut connection = Connection::new();
        connection.received(&b"GET /big/40000 HTTP/1.1\r\n\r\n".repeat(10));
        let mut total = 0;
        while connection.advance() == Stall::Output {
            total += connection.output().len();
            connection.sent(connection.output().len());
        }
        total += connection.output().len();
        assert_eq!(total, 10 * (40_000 + "HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n".len()));
    }
}
