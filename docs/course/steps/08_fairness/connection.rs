//! The connection: bytes in, bytes out.
//!
//! New: it answers only as many requests in a turn as the budget allows, and it calls the application for each.

use std::mem;
use std::time::Duration;

use crate::app::App;
use crate::deadlines::Moment;
use crate::head::{MAX_HEAD, Refusal, Request, parse};
use crate::output::{HIGH_WATER, LOW_WATER, OutputQueue};
use crate::turns::Budget;

/// How long a client may be silent in both directions. These times are short for the experiments; those of monoloop are
/// in `src/limits.rs`.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest time from the first byte of a head to its end.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take nothing of what it is owed.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(2);

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the last reply is queued, no more comes, or it takes too long ──▶ Ending
///
///     Ending ── all is sent ──▶ (closed)
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
    /// It could go on, but others have to have their turns first.
    Budget,
}

/// What the loop lends to a connection for a turn.
#[derive(Debug)]
pub struct Context<'a> {
    /// The time of the tick.
    pub now: Moment,
    pub app: &'a mut App,
    pub budget: Budget,
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
    /// All that has come has been looked at, so only more input helps.
    needs_input: bool,
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
            needs_input: true,
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

    /// Parses and answers as far as input, output and budget allow.
    pub fn advance(&mut self, cx: &mut Context<'_>) -> Stall {
        if self.output.is_empty() {
            self.taken = cx.now;
        }
        self.needs_input = false;
        loop {
            self.held |= self.output.len() > HIGH_WATER;
            if self.held {
                return Stall::Output;
            }
            if matches!(self.phase, Phase::Head { .. }) && !self.input.is_empty() && cx.budget.is_used_up() {
                return Stall::Budget;
            }
            if let Step::Stalled = self.step(cx) {
                break;
            }
        }
        self.needs_input = true;
        // What has not come whole will never come whole.
        if self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
        Stall::Input
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        match &self.phase {
            Phase::Head { searched } => self.read_head(*searched),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(cx),
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
    fn answer(&mut self, cx: &mut Context<'_>) -> Step {
        let Phase::Content(request) = self.enter(Phase::START) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        let (status, content) = cx.app.answer(&request, content);
        self.reply(status, &content, request.persists);
        cx.budget.take_request();
        if !request.persists {
            self.enter(Phase::Ending);
        }
        // The next head may have come with this request.
        self.since = cx.now;
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

    /// Whether nothing can be done with what has come until more comes.
    pub fn needs_input(&self) -> bool {
        self.needs_input
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::TURN_REQUESTS;

    #[test]
    fn a_turn_answers_no_more_requests_than_its_budget_allows_and_the_next_one_goes_on() {
        let (mut connection, mut app) = (Connection::new(), App::default());
        connection.received(&b"GET / HTTP/1.1\r\n\r\n".repeat(150), Moment::ZERO);
        let mut answered = Vec::new();
        for _ in 0..3 {
            let budget = Budget::new(TURN_REQUESTS, Duration::from_secs(1000));
            let stall = connection.advance(&mut Context { now: Moment::ZERO, app: &mut app, budget });
            answered.push((app.requests, stall, connection.needs_input()));
            app.requests = 0;
        }
        assert_eq!(answered, [(64, Stall::Budget, false), (64, Stall::Budget, false), (22, Stall::Input, true)]);
    }
}
