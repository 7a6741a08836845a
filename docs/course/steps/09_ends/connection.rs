//! The connection: bytes in, bytes out.
//!
//! New: the phases after the last reply. Our side of the socket is closed first, and the client has some time to take
//! the reply and to close its own side. Each end has a reason.

use std::time::Duration;
use std::{fmt, mem};

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
/// How long a client may take to close its side, after ours is closed.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes that are read and thrown away after the last reply.
const LINGER_BYTES: usize = 64 * 1024;

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the last reply is queued, no more comes, or it takes too long ──▶ Ending
///
///     Ending ── all is sent, our side is closed ──▶ HalfClosed ── the client closes its side, or is late ──▶ Closed
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
    /// The last reply is queued. Input is thrown away; `left` is how many bytes more of it are read.
    Ending { reason: Reason, left: usize },
    /// All is sent, and our side of the socket is closed. The client has time to take the reply and to close its side.
    HalfClosed { reason: Reason, left: usize },
    /// The socket can go.
    Closed { reason: Reason },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    ClientClosed,
    ClientClosedEarly,
    NotPersistent,
    BadRequest,
    TimedOut,
    SocketFailed,
    Drained,
    Cut,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientClosed => "the client closed an idle connection",
            Self::ClientClosedEarly => "the client closed in the middle of a request",
            Self::NotPersistent => "the client did not ask for another request",
            Self::BadRequest => "the request was malformed or over a limit",
            Self::TimedOut => "the client took too long",
            Self::SocketFailed => "the socket failed",
            Self::Drained => "the server is draining",
            Self::Cut => "the drain took too long",
        })
    }
}

/// How a socket is to end now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// It can be closed.
    Close,
    /// Our side of it is to be closed. Then the client can see that no more comes, and its side is still read.
    HalfClose,
}

impl Phase {
    /// Before the first byte of a request.
    const START: Self = Self::Head { searched: 0 };

    /// The table of steps: whether one step leads from this phase to `next`.
    fn leads_to(&self, next: &Phase) -> bool {
        match (self, next) {
            (Phase::Closed { .. }, _) => false,
            (_, Phase::Closed { .. }) => true,
            (Phase::Head { .. }, next) => matches!(next, Phase::Content(_) | Phase::Ending { .. }),
            (Phase::Content(_), next) => matches!(next, Phase::Head { .. } | Phase::Ending { .. }),
            (Phase::Ending { .. }, next) => matches!(next, Phase::HalfClosed { .. }),
            (Phase::HalfClosed { .. }, _) => false,
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
    /// Whether the server is on its way to the end.
    pub draining: bool,
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
    /// Whether the client gets time after its last reply. Without that, the socket is closed at once.
    lingers: bool,
    /// When the head began that has not come whole.
    since: Moment,
    /// When the kernel took bytes for the last time, or when the first ones were owed.
    taken: Moment,
}

impl Connection {
    pub fn new(lingers: bool) -> Self {
        Self {
            phase: Phase::START,
            input: Vec::new(),
            input_ended: false,
            output: OutputQueue::default(),
            held: false,
            needs_input: true,
            lingers,
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
        if self.input_ended {
            match self.phase {
                Phase::Head { .. } if self.input.is_empty() => self.finish(Reason::ClientClosed),
                Phase::Head { .. } | Phase::Content(_) => self.finish(Reason::ClientClosedEarly),
                Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => {}
            }
        }
        Stall::Input
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        match &self.phase {
            Phase::Head { searched } => self.read_head(*searched),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(cx),
            Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => self.discard_rest(),
        }
    }

    /// Throws away what the client sends after the last reply.
    fn discard_rest(&mut self) -> Step {
        if let Phase::Ending { left, .. } | Phase::HalfClosed { left, .. } = &mut self.phase {
            *left = left.saturating_sub(self.input.len());
        }
        self.input.clear();
        Step::Stalled
    }

    /// Ends the connection: the last reply is in the queue, or there is none to come.
    fn finish(&mut self, reason: Reason) {
        self.enter(Phase::Ending { reason, left: if self.lingers { LINGER_BYTES } else { 0 } });
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
            return self.refuse(Refusal::HeadTooLarge.status(), Reason::BadRequest);
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
            Err(refusal) => self.refuse(refusal.status(), Reason::BadRequest),
        }
    }

    /// Answers the request whose content has come.
    fn answer(&mut self, cx: &mut Context<'_>) -> Step {
        let Phase::Content(request) = self.enter(Phase::START) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        let (status, content) = cx.app.answer(&request, content);
        // In a drain a reply is the last one, unless the next request has come already.
        let drained = cx.draining && self.input.is_empty();
        self.reply(status, &content, request.persists && !drained);
        cx.budget.take_request();
        if !request.persists {
            self.finish(Reason::NotPersistent);
        } else if drained {
            self.finish(Reason::Drained);
        }
        // The next head may have come with this request.
        self.since = cx.now;
        Step::Again
    }

    /// Answers a request that is not understood. Where the next one begins is not known, so this is the last reply.
    fn refuse(&mut self, status: &str, reason: Reason) -> Step {
        self.reply(status, b"", false);
        self.finish(reason);
        Step::Again
    }

    /// Ends a connection between two requests, since the server drains and the socket has nothing more.
    pub fn drain(&mut self) {
        if self.is_idle() {
            self.finish(Reason::Drained);
        }
    }

    /// Whether no request has begun that is not answered.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Head { .. }) && self.input.is_empty()
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
        let wanted = match self.phase {
            Phase::Head { .. } | Phase::Content(_) => !self.held,
            Phase::Ending { left, .. } | Phase::HalfClosed { left, .. } => left > 0,
            Phase::Closed { .. } => false,
        };
        wanted && !self.input_ended
    }

    /// Whether the bytes that are owed are the last ones.
    pub fn ends_after_output(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. })
    }

    /// How the socket is to end now, if it is.
    pub fn wants_end(&self) -> Option<End> {
        match self.phase {
            Phase::Head { .. } | Phase::Content(_) => None,
            Phase::Closed { .. } => Some(End::Close),
            Phase::Ending { .. } if !self.output.is_empty() => None,
            // Both sides are done.
            Phase::Ending { .. } | Phase::HalfClosed { .. } if self.input_ended || !self.lingers => Some(End::Close),
            Phase::Ending { .. } => Some(End::HalfClose),
            // Also when no more is thrown away: unread bytes would make the close a reset. The deadline ends it.
            Phase::HalfClosed { .. } => None,
        }
    }

    /// Notes that our side of the socket is closed.
    pub fn half_closed(&mut self, now: Moment) {
        if let Phase::Ending { reason, left } = self.phase {
            self.enter(Phase::HalfClosed { reason, left });
            self.since = now;
        }
    }

    /// Why the connection has ended, or is about to.
    pub fn reason(&self) -> Option<Reason> {
        match self.phase {
            Phase::Head { .. } | Phase::Content(_) => None,
            Phase::Ending { reason, .. } | Phase::HalfClosed { reason, .. } | Phase::Closed { reason } => Some(reason),
        }
    }

    // Time. The wheel asks for the deadline, and nobody keeps the answer.

    /// Until when the connection waits, if no byte comes or goes until then. `activity` is when the last one did.
    pub fn deadline(&self, activity: Moment) -> Moment {
        let idle = activity + IDLE_TIMEOUT;
        match &self.phase {
            Phase::Closed { .. } => Moment::MAX,
            Phase::HalfClosed { .. } => self.since + LINGER_TIMEOUT,
            // A client that does not see its replies may well be silent: only its reading is timed.
            _ if !self.output.is_empty() => self.taken + SEND_TIMEOUT,
            Phase::Head { .. } if !self.input.is_empty() => idle.min(self.since + HEAD_TIMEOUT),
            Phase::Head { .. } | Phase::Content(_) | Phase::Ending { .. } => idle,
        }
    }

    /// Ends what takes too long: the deadline has passed.
    pub fn expire(&mut self, now: Moment) {
        let owes = !self.output.is_empty();
        self.taken = now;
        match &self.phase {
            // The client takes nothing. There is no use in owing it more.
            _ if owes => self.abort(Reason::TimedOut),
            Phase::Head { .. } if self.input.is_empty() => self.finish(Reason::TimedOut),
            Phase::Head { .. } | Phase::Content(_) => {
                self.refuse("408 Request Timeout", Reason::TimedOut);
            }
            // It has had its reply, so this is no new reason.
            Phase::Ending { reason, .. } | Phase::HalfClosed { reason, .. } => self.abort(*reason),
            Phase::Closed { .. } => {}
        }
    }

    /// Adds `late` to what the deadlines are counted from: nobody listened for that time.
    pub fn forgive(&mut self, late: Duration) {
        self.since += late;
        self.taken += late;
    }

    /// Ends the connection at once.
    pub fn abort(&mut self, reason: Reason) {
        if !matches!(self.phase, Phase::Closed { .. }) {
            self.enter(Phase::Closed { reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::turns::TURN_REQUESTS;

    /// Brings this input, takes all output, and returns the replies.
    fn bring(connection: &mut Connection, input: &[u8], draining: bool) -> String {
        let mut app = App { requests: 0, turns: 0, lines: mpsc::channel().1 };
        connection.received(input, Moment::ZERO);
        let budget = Budget::new(TURN_REQUESTS, Duration::from_secs(1000));
        let mut cx = Context { now: Moment::ZERO, app: &mut app, budget, draining };
        connection.advance(&mut cx);
        let replies = String::from_utf8_lossy(connection.output().front()).into_owned();
        connection.sent(replies.len(), Moment::ZERO);
        replies
    }

    #[test]
    fn after_the_last_reply_our_side_is_closed_first_and_then_the_clients() {
        let mut connection = Connection::new(true);
        let replies =
            bring(&mut connection, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\nGET / HTTP/1.1\r\n\r\n", false);
        assert_eq!(replies.matches("hello").count(), 1, "nothing is answered after the last reply");
        assert_eq!((connection.wants_end(), connection.wants_read()), (Some(End::HalfClose), true));
        connection.half_closed(Moment::ZERO);
        assert_eq!((connection.wants_end(), connection.wants_read()), (None, true));
        assert_eq!(connection.deadline(Moment::ZERO), LINGER_TIMEOUT);
        connection.received_eof();
        assert_eq!((connection.wants_end(), connection.reason()), (Some(End::Close), Some(Reason::NotPersistent)));
    }

    #[test]
    fn a_client_that_never_stops_sending_is_read_for_a_while_only() {
        let mut connection = Connection::new(true);
        bring(&mut connection, b"no request\r\n\r\n", false);
        connection.half_closed(Moment::ZERO);
        let mut taken = 0;
        while connection.wants_read() {
            bring(&mut connection, &[b'x'; 4096], false);
            taken += 4096;
        }
        assert_eq!((taken, connection.wants_end()), (LINGER_BYTES, None), "a close would be a reset now");
        connection.expire(LINGER_TIMEOUT);
        assert_eq!((connection.wants_end(), connection.reason()), (Some(End::Close), Some(Reason::BadRequest)));
    }

    #[test]
    fn a_client_that_has_closed_its_side_is_not_waited_for() {
        let mut connection = Connection::new(true);
        connection.received_eof();
        assert!(bring(&mut connection, b"GET / HTTP/1.1\r\n\r\n", false).contains("hello"));
        assert_eq!((connection.wants_end(), connection.reason()), (Some(End::Close), Some(Reason::ClientClosed)));
    }

    #[test]
    fn in_a_drain_the_last_of_the_requests_that_have_come_ends_the_connection() {
        let mut connection = Connection::new(true);
        let replies = bring(&mut connection, &b"GET / HTTP/1.1\r\n\r\n".repeat(3), true);
        assert_eq!((replies.matches("hello").count(), replies.matches("Connection: close").count()), (3, 1));
        assert_eq!((connection.wants_end(), connection.reason()), (Some(End::HalfClose), Some(Reason::Drained)));
    }

    #[test]
    fn in_a_drain_half_a_request_may_still_come_whole() {
        let mut connection = Connection::new(true);
        bring(&mut connection, b"GET / HT", true);
        connection.drain();
        assert_eq!(connection.wants_end(), None);
        assert!(bring(&mut connection, b"TP/1.1\r\n\r\n", true).contains("Connection: close"));
    }
}
