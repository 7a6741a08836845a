//! The connection: bytes in, bytes out.
//!
//! New: it lends its buffers only while something is in them, and a request is answered where it lies.

use std::mem;
use std::time::Duration;

use crate::app::{Response, Service};
use crate::deadlines::Moment;
use crate::head::{MAX_HEAD, Refusal, parse};
use crate::output::{HIGH_WATER, LOW_WATER, OutputQueue};
use crate::phase::{Phase, Reason};
use crate::pools::Pools;
use crate::receive::Receive;
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

/// How a socket is to end now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// It can be closed.
    Close,
    /// Our side of it is to be closed. Then the client can see that no more comes, and its side is still read.
    HalfClose,
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
pub struct Context<'a> {
    /// The time of the tick.
    pub now: Moment,
    pub service: &'a mut dyn Service,
    pub pools: &'a mut Pools,
    pub budget: Budget,
    /// Whether the server is on its way to the end.
    pub draining: bool,
}

/// The state of one connection. It knows neither socket nor clock: its driver brings bytes and takes bytes.
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    /// What has come and is not used yet, if there is any.
    input: Option<Receive>,
    /// The client has closed its side.
    input_ended: bool,
    /// What is owed, if there is any.
    output: Option<OutputQueue>,
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
            input: None,
            input_ended: false,
            output: None,
            held: false,
            needs_input: true,
            since: Moment::ZERO,
            taken: Moment::ZERO,
        }
    }

    /// Where the next bytes from the socket go.
    pub fn room(&mut self, pools: &mut Pools) -> &mut [u8] {
        self.input.get_or_insert_with(|| pools.lend_receive()).room()
    }

    /// Notes that so many bytes were read into the room.
    pub fn received(&mut self, count: usize, now: Moment) {
        if self.input().is_empty() {
            self.since = now;
        }
        self.input.as_mut().expect("bytes are received into room that was given out").filled(count);
    }

    pub fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Parses and answers as far as input, output and budget allow.
    pub fn advance(&mut self, cx: &mut Context<'_>) -> Stall {
        if self.output.is_none() {
            self.taken = cx.now;
        }
        self.needs_input = false;
        loop {
            self.held |= self.owed() > HIGH_WATER;
            if self.held {
                return Stall::Output;
            }
            if matches!(self.phase, Phase::Head { .. }) && !self.input().is_empty() && cx.budget.is_used_up() {
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
                Phase::Head { .. } if self.input().is_empty() => self.finish(Reason::ClientClosed),
                Phase::Head { .. } | Phase::Content { .. } => self.finish(Reason::ClientClosedEarly),
                Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => {}
            }
        }
        Stall::Input
    }

    fn step(&mut self, cx: &mut Context<'_>) -> Step {
        match self.phase {
            Phase::Head { searched } => self.read_head(searched, cx),
            Phase::Content { head, length } if self.input().len() < head + length => Step::Stalled,
            Phase::Content { head, length } => self.answer(head, length, cx),
            Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => self.discard_rest(),
        }
    }

    /// Throws away what the client sends after the last reply.
    fn discard_rest(&mut self) -> Step {
        let Some(input) = &mut self.input else { return Step::Stalled };
        let count = input.bytes().len();
        input.consume(count);
        if let Phase::Ending { left, .. } | Phase::HalfClosed { left, .. } = &mut self.phase {
            *left = left.saturating_sub(count);
        }
        Step::Stalled
    }

    /// Ends the connection: the last reply is in the queue, or there is none to come.
    fn finish(&mut self, reason: Reason) {
        self.enter(Phase::Ending { reason, left: LINGER_BYTES });
    }

    /// Enters the next phase: the one place where the phase changes. Returns the old one for what it holds.
    fn enter(&mut self, next: Phase) -> Phase {
        debug_assert!(self.phase.leads_to(&next), "no step leads from {:?} to {next:?}", self.phase);
        mem::replace(&mut self.phase, next)
    }

    /// Looks for the end of the head. The first `searched` bytes were searched before.
    fn read_head(&mut self, searched: usize, cx: &mut Context<'_>) -> Step {
        let input = self.input();
        // The end has four bytes, and up to three of them may have been searched.
        let from = searched.saturating_sub(3);
        let found = input[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = found.map(|at| from + at + 4);
        if end.unwrap_or(input.len()) > MAX_HEAD {
            return self.refuse(Refusal::HeadTooLarge.status(), Reason::BadRequest, cx.pools);
        }
        let Some(end) = end else {
            self.phase = Phase::Head { searched: input.len() };
            return Step::Stalled;
        };
        match parse(&input[..end]) {
            Ok(request) => {
                let length = request.length;
                self.enter(Phase::Content { head: end, length });
                Step::Again
            }
            Err(refusal) => self.refuse(refusal.status(), Reason::BadRequest, cx.pools),
        }
    }

    /// Answers the request whose content has come. The request borrows its head from the receive buffer. So the head is
    /// parsed once more: that is cheaper than a copy for each request.
    fn answer(&mut self, head: usize, length: usize, cx: &mut Context<'_>) -> Step {
        self.enter(Phase::START);
        let mut input = self.input.take().expect("a request has come");
        let (head, rest) = input.bytes().split_at(head);
        let (content, rest) = rest.split_at(length);
        let request = parse(head).expect("it was parsed before");
        // In a drain a reply is the last one, unless the next request has come already.
        let drained = cx.draining && rest.is_empty();
        let persists = request.persists;
        let output = self.output.get_or_insert_with(|| cx.pools.lend_output());
        cx.service.call(&request, content, Response::new(output, persists && !drained));
        input.consume(head.len() + length);
        self.input = Some(input);
        cx.budget.take_request();
        if !persists {
            self.finish(Reason::NotPersistent);
        } else if drained {
            self.finish(Reason::Drained);
        }
        // The next head may have come with this request.
        self.since = cx.now;
        Step::Again
    }

    /// Answers a request that is not understood. Where the next one begins is not known, so this is the last reply.
    fn refuse(&mut self, status: &str, reason: Reason, pools: &mut Pools) -> Step {
        self.output.get_or_insert_with(|| pools.lend_output()).push_reply(status, b"", false);
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
        matches!(self.phase, Phase::Head { .. }) && self.input().is_empty()
    }

    /// Gives back the buffers that hold nothing.
    pub fn settle(&mut self, pools: &mut Pools) {
        pools.settle(&mut self.input, &mut self.output);
    }

    fn input(&self) -> &[u8] {
        self.input.as_ref().map_or(&[], Receive::bytes)
    }

    /// How many bytes are owed.
    fn owed(&self) -> usize {
        self.output().len()
    }

    // What the driver asks. All of it is computed from the phase.

    /// What is to be sent next.
    pub fn output(&self) -> &[u8] {
        self.output.as_ref().map_or(&[], OutputQueue::front)
    }

    pub fn sent(&mut self, count: usize, now: Moment) {
        self.output.as_mut().expect("it was owed").advance(count);
        self.taken = now;
        let listens_again = self.held && self.owed() <= LOW_WATER;
        if listens_again || self.owed() == 0 {
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
            Phase::Head { .. } | Phase::Content { .. } => !self.held,
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
            Phase::Head { .. } | Phase::Content { .. } => None,
            Phase::Closed { .. } => Some(End::Close),
            Phase::Ending { .. } if self.owed() > 0 => None,
            // Both sides are done.
            Phase::Ending { .. } | Phase::HalfClosed { .. } if self.input_ended => Some(End::Close),
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
            Phase::Head { .. } | Phase::Content { .. } => None,
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
            _ if self.owed() > 0 => self.taken + SEND_TIMEOUT,
            Phase::Head { .. } if !self.input().is_empty() => idle.min(self.since + HEAD_TIMEOUT),
            Phase::Head { .. } | Phase::Content { .. } | Phase::Ending { .. } => idle,
        }
    }

    /// Ends what takes too long: the deadline has passed.
    pub fn expire(&mut self, now: Moment, pools: &mut Pools) {
        let owes = self.owed() > 0;
        self.taken = now;
        match &self.phase {
            // The client takes nothing. There is no use in owing it more.
            _ if owes => self.abort(Reason::TimedOut),
            Phase::Head { .. } if self.input().is_empty() => self.finish(Reason::TimedOut),
            Phase::Head { .. } | Phase::Content { .. } => {
                self.refuse("408 Request Timeout", Reason::TimedOut, pools);
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
    use super::*;
    use crate::head::Request;
    use crate::turns::TURN_REQUESTS;

    struct Echo;

    impl Service for Echo {
        fn call(&mut self, request: &Request<'_>, content: &[u8], response: Response<'_>) {
            match request.method {
                "POST" => response.send("200 OK", content),
                _ => response.send("200 OK", b"hello\n"),
            }
        }
    }

    /// Brings this input, takes all output, and returns how many bytes that was.
    fn bring(connection: &mut Connection, input: &[u8], pools: &mut Pools) -> usize {
        connection.room(pools)[..input.len()].copy_from_slice(input);
        connection.received(input.len(), Moment::ZERO);
        let budget = Budget::new(TURN_REQUESTS, Duration::from_secs(1000));
        connection.advance(&mut Context { now: Moment::ZERO, service: &mut Echo, pools, budget, draining: false });
        let owed = connection.output().len();
        if owed > 0 {
            connection.sent(owed, Moment::ZERO);
        }
        connection.settle(pools);
        owed
    }

    #[test]
    fn a_steady_request_costs_no_allocation() {
        let (mut connection, mut pools) = (Connection::new(), Pools::default());
        let requests = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345";
        let first = bring(&mut connection, requests, &mut pools);
        let counted = allocation_counter::measure(|| {
            for _ in 0..100 {
                assert_eq!(bring(&mut connection, requests, &mut pools), first);
            }
        });
        assert_eq!(counted.count_total, 0);
    }

    #[test]
    fn an_idle_connection_has_no_buffer() {
        let (mut connection, mut pools) = (Connection::new(), Pools::default());
        bring(&mut connection, b"GET / HTTP/1.1\r\n\r\n", &mut pools);
        assert!(connection.input.is_none() && connection.output.is_none());
        bring(&mut connection, b"GET / HT", &mut pools);
        assert!(connection.input.is_some());
    }

    #[test]
    fn requests_may_come_in_whatever_pieces() {
        let requests = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n".repeat(3);
        let whole = bring(&mut Connection::new(), &requests, &mut Pools::default());
        for size in 1..requests.len() {
            let (mut connection, mut pools) = (Connection::new(), Pools::default());
            let pieces = requests.chunks(size).map(|piece| bring(&mut connection, piece, &mut pools));
            assert_eq!(pieces.sum::<usize>(), whole, "in pieces of {size}");
        }
    }
}
