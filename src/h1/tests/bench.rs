//! Plays the socket and the loop around a [`Connection`]: what `Session::pump` does, with a made-up kernel and clock.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::time::{Duration, SystemTime};

use super::app::{self, App, Seen};
use super::reader::{self, Reply};
use crate::Router;
use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, Endpoint, Endpoints, Watch};
use crate::h1::{Budget, Connection, Context, End, Pools, Stall};
use crate::http::{Method, Millis, Moment};
use crate::limits::{HIGH_WATER, TURN_BYTES, TURN_REQUESTS};

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits for more.
    Open,
    /// Our side is closed; what comes is thrown away.
    Lingers,
    /// It is gone.
    Closed,
}

/// A connection, the two sides of its socket, and the clock.
pub(super) struct Bench {
    pub(super) connection: Connection,
    pub(super) pools: Pools,
    pub(super) config: Config,
    pub(super) router: Router<App>,
    pub(super) now: Moment,
    pub(super) draining: bool,
    /// Bytes that the kernel takes before the client has to read again.
    pub(super) window: usize,
    /// What we sent.
    pub(super) sent: Vec<u8>,
    /// The broken message begins like a HEAD request.
    pub(super) broken_head: bool,
    /// Most that was ever owed.
    pub(super) most_owed: usize,
    /// Bytes that the connection took from the socket.
    pub(super) taken: usize,
    reply: crate::exchange::Reply,
    watch: Watch,
    idle_timeout: Millis,
    activity: Moment,
    /// What the client sent and the connection did not read.
    kernel: VecDeque<u8>,
    /// The client's FIN has come, and was not read.
    fin: bool,
    half_closed: bool,
    closed: Option<CloseReason>,
}

struct Nowhere;

impl Endpoints for Nowhere {
    fn peer(&self) -> Endpoint {
        Endpoint::Unix
    }

    fn local(&self) -> Endpoint {
        Endpoint::Unix
    }
}

const ID: ConnectionId = ConnectionId(7);

/// Lends the parts of a bench as the loop lends its own.
macro_rules! context {
    ($bench:ident) => {
        &mut Context {
            now: $bench.now,
            id: ID,
            config: &$bench.config,
            pools: &mut $bench.pools,
            reply: &mut $bench.reply,
            service: &mut $bench.router,
            watch: &mut $bench.watch,
            idle_timeout: &mut $bench.idle_timeout,
            draining: $bench.draining,
        }
    };
}

impl Bench {
    pub(super) fn new(config: Config) -> Self {
        let wall_clock = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        Self {
            connection: Connection::new(),
            pools: Pools::new(),
            router: app::router(),
            now: Moment::ZERO + Duration::from_secs(1),
            draining: false,
            window: usize::MAX,
            sent: Vec::new(),
            broken_head: false,
            most_owed: 0,
            taken: 0,
            reply: crate::exchange::Reply::new(config.server_name.as_deref(), config.max_response_buffer, wall_clock),
            watch: Watch::default(),
            idle_timeout: config.idle_timeout.into(),
            activity: Moment::ZERO + Duration::from_secs(1),
            config,
            kernel: VecDeque::new(),
            fin: false,
            half_closed: false,
            closed: None,
        }
    }

    /// Another connection; checks that the one before gave everything back.
    #[track_caller]
    pub(super) fn restart(&mut self) {
        self.connection.release(&mut self.pools);
        self.check_pools();
        self.connection = Connection::new();
        self.router.state_mut().seen.clear();
        self.sent.clear();
        self.kernel.clear();
        (self.fin, self.half_closed, self.closed, self.draining) = (false, false, None, false);
        (self.window, self.most_owed, self.taken) = (usize::MAX, 0, 0);
        self.idle_timeout = self.config.idle_timeout.into();
        self.activity = self.now;
    }

    /// The client sends; the loop turns until nothing moves.
    #[track_caller]
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.kernel.extend(bytes.as_ref());
        self.turn();
        self
    }

    /// The client closes its side.
    #[track_caller]
    pub(super) fn fin(&mut self) -> &mut Self {
        self.fin = true;
        self.turn();
        self
    }

    /// The client reads so many bytes more.
    #[track_caller]
    pub(super) fn read(&mut self, count: usize) -> &mut Self {
        self.window = self.window.saturating_add(count);
        self.turn();
        self
    }

    /// Time passes; deadlines that pass with it are expired on time.
    #[track_caller]
    pub(super) fn wait(&mut self, duration: Duration) -> &mut Self {
        let until = self.now + duration;
        while self.closed.is_none() && self.deadline() <= until {
            self.now = self.now.max(self.deadline());
            self.connection.expire(context!(self));
            self.turn();
        }
        self.now = until;
        self
    }

    /// The deadline passes.
    #[track_caller]
    pub(super) fn expire(&mut self) -> &mut Self {
        let due = self.deadline().since(self.now);
        self.wait(due)
    }

    /// The loop asks an idle connection to end, whether it is one or not.
    pub(super) fn drain(&mut self) {
        self.connection.drain(context!(self));
    }

    pub(super) fn deadline(&self) -> Moment {
        self.connection.deadline(&self.config, self.idle_timeout, self.activity)
    }

    /// Turns as the loop does, until the connection is exhausted.
    #[track_caller]
    pub(super) fn turn(&mut self) {
        for _ in 0..1_000_000 {
            if self.closed.is_some() {
                return;
            }
            let runnable = self.pump();
            self.connection.settle(&mut self.pools);
            if !runnable {
                break;
            }
        }
        self.check();
    }

    /// One turn, as `Session::pump`; tells whether there is more to do.
    #[track_caller]
    fn pump(&mut self) -> bool {
        let mut budget = Budget { requests: TURN_REQUESTS, bytes: TURN_BYTES };
        let mut reads = self.connection.has_no_input() && self.may_read();
        loop {
            if reads {
                self.fill(&mut budget);
            }
            let stall = self.advance(&mut budget);
            self.most_owed = self.most_owed.max(self.connection.owed());
            self.flush();
            reads = match stall {
                Stall::Budget => return true,
                Stall::Output if !self.connection.is_held() => false,
                Stall::Input if self.may_read() && budget.bytes == 0 => return true,
                Stall::Input if self.may_read() => true,
                Stall::Input if self.draining && self.connection.close_reason().is_none() => {
                    self.connection.drain(context!(self));
                    return self.end();
                }
                Stall::Input | Stall::Output => return self.end(),
            };
        }
    }

    fn advance(&mut self, budget: &mut Budget) -> Stall {
        self.connection.advance(context!(self), &Nowhere, budget)
    }

    fn readable(&self) -> bool {
        !self.kernel.is_empty() || self.fin
    }

    fn may_read(&self) -> bool {
        self.readable() && self.connection.wants_read()
    }

    #[track_caller]
    fn fill(&mut self, budget: &mut Budget) {
        if self.kernel.is_empty() {
            self.fin = false;
            return self.connection.received_eof();
        }
        let room = self.connection.room(&mut self.pools, &self.config);
        assert!(!room.is_empty(), "a read into no room would look like EOF");
        let count = room.len().min(self.kernel.len());
        room.iter_mut().zip(self.kernel.drain(..count)).for_each(|(to, from)| *to = from);
        budget.bytes = budget.bytes.saturating_sub(count);
        self.taken += count;
        self.activity = self.now;
        self.connection.received(count, self.now);
    }

    fn flush(&mut self) {
        while let Some(output) = self.connection.output().filter(|_| self.window > 0) {
            assert!(!self.half_closed, "bytes are owed behind our FIN");
            let mut slices = [IoSlice::new(&[]); 16];
            let count = output.gather(&mut slices);
            let before = self.sent.len();
            for slice in &slices[..count] {
                let left = self.window - (self.sent.len() - before);
                self.sent.extend_from_slice(&slice[..slice.len().min(left)]);
            }
            let count = self.sent.len() - before;
            assert!(count > 0, "something is owed, but nothing is offered");
            self.window -= count;
            self.activity = self.now;
            self.connection.sent(count, context!(self));
        }
    }

    #[track_caller]
    fn end(&mut self) -> bool {
        match self.connection.wants_end() {
            None => false,
            Some(End::CloseIfQuiet | End::HalfClose) if self.half_closed => panic!("half-closed twice"),
            Some(End::HalfClose) => self.half_close(),
            Some(End::CloseIfQuiet) if self.readable() => self.half_close(),
            Some(End::Close | End::CloseIfQuiet) => {
                self.closed = Some(self.connection.close_reason().expect("a connection that ends has a reason"));
                false
            }
        }
    }

    fn half_close(&mut self) -> bool {
        self.half_closed = true;
        self.connection.half_closed(ID, self.now);
        self.may_read()
    }

    /// What must hold whenever the loop goes to sleep.
    #[track_caller]
    fn check(&self) {
        if self.closed.is_some() {
            return;
        }
        assert!(self.deadline() >= self.now, "the deadline {:?} is past at {:?}", self.deadline(), self.now);
        let bound = HIGH_WATER + self.config.max_response_buffer.max(app::LARGE) + 1024;
        assert!(self.connection.owed() <= bound, "{} bytes are owed", self.connection.owed());
        assert!(!self.may_read(), "it sleeps though it wants to read and could");
        if self.connection.output().is_none() && self.connection.has_no_input() {
            assert_eq!(self.pools.receive.lent() + self.pools.output.lent(), 0, "an idle connection owns no buffer");
        }
    }

    #[track_caller]
    pub(super) fn check_pools(&self) {
        let Pools { receive, output, incoming } = &self.pools;
        assert_eq!((receive.lent(), output.lent(), incoming.lent()), (0, 0, 0), "buffers were not given back");
    }

    // ---- what came of it --------------------------------------------------------------------------------------------

    pub(super) fn fate(&self) -> Fate {
        match (self.closed, self.half_closed) {
            (Some(_), _) => Fate::Closed,
            (None, true) => Fate::Lingers,
            (None, false) => Fate::Open,
        }
    }

    pub(super) fn reason(&self) -> Option<CloseReason> {
        self.connection.close_reason()
    }

    pub(super) fn seen(&self) -> &[Seen] {
        &self.router.state().seen
    }

    /// All replies; each belongs to the request of the same place, and one more tells of a broken message.
    #[track_caller]
    pub(super) fn replies(&self) -> Vec<Reply> {
        reader::read_all(&self.sent, |i| self.is_head(i))
    }

    /// Whether the reply of this place is one to HEAD.
    pub(super) fn is_head(&self, i: usize) -> bool {
        match self.seen().get(i) {
            Some(seen) => seen.method == Method::Head,
            None => self.broken_head,
        }
    }

    /// The status codes of all replies.
    #[track_caller]
    pub(super) fn statuses(&self) -> Vec<u16> {
        self.replies().iter().map(|reply| reply.status).collect()
    }

    /// The only reply.
    #[track_caller]
    pub(super) fn only_reply(&self) -> Reply {
        let mut replies = self.replies();
        assert_eq!(replies.len(), 1, "{replies:?}");
        replies.remove(0)
    }
}

/// A connection with the default settings.
pub(super) fn bench() -> Bench {
    Bench::new(Config::default())
}

/// A connection whose limits are small enough for tables.
pub(super) fn small() -> Config {
    Config { max_target: 100, max_head: 400, max_content: 64, max_response_buffer: 4000, ..Config::default() }
}
