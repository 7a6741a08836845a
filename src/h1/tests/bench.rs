//! A connection under test: a session over a pipe, with the real pump and a simulated clock, and what became of it.

use std::time::Duration;

use super::app::{self, App, Seen, Witness};
use super::reader::{self, Reply};
use crate::Router;
use crate::config::Config;
use crate::exchange::{CloseReason, Draining, Observer};
use crate::http::{Method, Moment};
use crate::limits::{CONTENT_BUFFER, HIGH_WATER, POOL_BYTES, RECEIVE_BUFFER};
use crate::sessions::Session;
use crate::testing::{Connected, Pipe, VirtualLoop, Wire};

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

/// A connection, its application and the loop.
pub(super) struct Bench<A = Router<App>> {
    pub(super) router: A,
    /// What we sent.
    pub(super) sent: Vec<u8>,
    /// The broken message begins like a HEAD request.
    pub(super) broken_head: bool,
    /// The largest number of bytes that was ever owed.
    pub(super) most_owed: usize,
    /// The most memory for bytes that have come and are not parsed yet.
    pub(super) max_input: usize,
    virtual_loop: VirtualLoop,
    connection: Connected,
    /// Why it ends, once it is known.
    reason: Option<CloseReason>,
}

impl Bench {
    pub(super) fn new(config: Config) -> Self {
        Self::of(app::router(), config)
    }
}

impl<A: Witness> Bench<A> {
    /// A connection of another application.
    pub(super) fn of(app: A, config: Config) -> Self {
        // A vector doubles when it grows.
        let max_input = 2 * (config.max_head + RECEIVE_BUFFER);
        let mut virtual_loop = VirtualLoop::new(config);
        Self {
            max_input,
            router: app,
            sent: Vec::new(),
            broken_head: false,
            most_owed: 0,
            connection: virtual_loop.connect(),
            virtual_loop,
            reason: None,
        }
    }

    /// Opens another connection, and checks that the one before gave everything back.
    #[track_caller]
    pub(super) fn restart(&mut self) {
        let sessions = self.virtual_loop.sessions_mut();
        sessions.cut();
        sessions.reap(&mut self.router);
        sessions.draining = Draining::No;
        assert!(sessions.is_empty());
        self.check_pools();
        self.connection = self.virtual_loop.connect();
        self.router.forget();
        self.sent.clear();
        (self.most_owed, self.reason) = (0, None);
    }

    /// The client sends, and the loop turns until it would sleep.
    #[track_caller]
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.act(|wire| wire.inbound.extend(bytes.as_ref()))
    }

    /// The client closes its side.
    #[track_caller]
    pub(super) fn fin(&mut self) -> &mut Self {
        self.act(|wire| wire.fin = true)
    }

    /// The client reads no more than this many bytes.
    #[track_caller]
    pub(super) fn set_window(&mut self, bytes: usize) -> &mut Self {
        self.act(|wire| wire.window = bytes)
    }

    /// The client reads this many bytes more.
    #[track_caller]
    pub(super) fn read(&mut self, count: usize) -> &mut Self {
        self.act(|wire| wire.window = wire.window.saturating_add(count))
    }

    #[track_caller]
    fn act(&mut self, action: impl FnOnce(&mut Wire)) -> &mut Self {
        self.virtual_loop.act(&self.connection, &mut self.router, action);
        self.look()
    }

    /// Time passes, and deadlines that pass meanwhile expire on time.
    #[track_caller]
    pub(super) fn wait(&mut self, duration: Duration) -> &mut Self {
        self.virtual_loop.wait(&mut self.router, duration);
        self.look()
    }

    /// The deadline passes.
    #[track_caller]
    pub(super) fn expire(&mut self) -> &mut Self {
        let due = self.deadline().since(self.now());
        // The wheel is at most a slot late.
        self.wait(due + crate::limits::WHEEL_SLOT)
    }

    /// The server drains.
    #[track_caller]
    pub(super) fn drain(&mut self) -> &mut Self {
        self.virtual_loop.drain(&mut self.router);
        self.look()
    }

    /// The client resets the connection.
    #[track_caller]
    pub(super) fn reset(&mut self) -> &mut Self {
        self.act(|wire| wire.reset = true)
    }

    /// The client sends and closes its side at once, so that the server sees both at the same time.
    #[track_caller]
    pub(super) fn send_last(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.act(|wire| {
            wire.inbound.extend(bytes.as_ref());
            wire.fin = true;
        })
    }

    /// Nothing happens except what the application did meanwhile.
    #[track_caller]
    pub(super) fn turn(&mut self) -> &mut Self {
        self.virtual_loop.turn(&mut self.router);
        self.look()
    }

    /// Adds an observer.
    pub(super) fn watch(&mut self, observer: impl Observer + 'static) -> &mut Self {
        self.virtual_loop.watch(Box::new(observer));
        self
    }

    /// Connects a second client.
    pub(super) fn other(&mut self) -> Connected {
        self.virtual_loop.connect()
    }

    /// Lets another client act, and returns what it has read.
    pub(super) fn act_as(&mut self, other: &Connected, action: impl FnOnce(&mut Wire)) -> Vec<u8> {
        self.virtual_loop.act(other, &mut self.router, action);
        std::mem::take(&mut other.link.wire_mut().outbound)
    }

    /// A handler blocked the loop for this long.
    pub(super) fn block(&mut self, duration: Duration) -> &mut Self {
        self.virtual_loop.sessions_mut().forgive(duration);
        self
    }

    /// Bytes that all connections are charged for.
    pub(super) fn charged(&self) -> usize {
        self.virtual_loop.sessions().pools().ledger.charged()
    }

    /// Cuts all connections, and returns the number of those that were still owed something.
    pub(super) fn cut(&mut self) -> usize {
        self.virtual_loop.sessions_mut().cut()
    }

    /// The server begins to drain, but has not looked at any connection yet.
    pub(super) const fn set_draining(&mut self) {
        self.virtual_loop.sessions_mut().draining = Draining::Closing;
    }

    pub(super) const fn now(&self) -> Moment {
        self.virtual_loop.now()
    }

    #[track_caller]
    pub(super) fn deadline(&self) -> Moment {
        let session = self.virtual_loop.session(&self.connection).expect("a connection that is there");
        session.deadline(&self.virtual_loop.sessions().config)
    }

    /// Records what has happened.
    #[track_caller]
    fn look(&mut self) -> &mut Self {
        let mut wire = self.connection.link.wire_mut();
        self.sent.append(&mut wire.outbound);
        self.reason = wire.closed.or(self.reason);
        self.most_owed = self.most_owed.max(wire.most_offered);
        drop(wire);
        if let Some(session) = self.virtual_loop.session(&self.connection) {
            self.reason = session.connection.close_reason();
            self.most_owed = self.most_owed.max(session.connection.owed());
            self.check(session);
        }
        self
    }

    /// Checks what must hold whenever the loop goes to sleep.
    #[track_caller]
    fn check(&self, session: &Session<Pipe>) {
        let (connection, sessions) = (&session.connection, self.virtual_loop.sessions());
        assert_eq!(connection.charged(), sessions.pools().ledger.charged(), "nobody else is charged");
        let wire = self.connection.link.wire();
        let deadline = session.deadline(&sessions.config);
        assert!(deadline >= sessions.now(), "the deadline {deadline:?} is past at {:?}", sessions.now());
        let bound = HIGH_WATER + sessions.config.max_response_buffer.max(app::LARGE) + 1024;
        assert!(connection.owed() <= bound, "{} bytes are owed", connection.owed());
        // A vector doubles when it grows. What has come may be decoded at once, and exceed the content by one input.
        // Content that was only announced costs no memory.
        let input = self.max_input;
        let content = wire.taken.min(sessions.config.max_content as usize);
        let bounds = [input, 4 * bound, 2 * input + 4 * (content + CONTENT_BUFFER)];
        let holds = connection.holds();
        let footprints = holds.memory();
        let within = footprints.iter().zip(bounds).all(|(bytes, bound)| *bytes <= bound);
        assert!(within, "{footprints:?} bytes of memory, and not more than {bounds:?} are allowed");
        assert!(!(wire.is_readable() && connection.wants_read()), "it sleeps though it wants to read and could");
        assert!(connection.output().is_none() || wire.window == 0, "it sleeps though it owes and could write");
        if connection.output().is_none() && connection.has_no_input() {
            assert!(holds.receive.is_none(), "an idle connection owns no buffer");
            assert_eq!(footprints[1], 0, "a connection that waits to send keeps no memory for it");
            assert!(holds.output.is_none() || connection.waits_for_application(), "an idle connection owes nothing");
        }
    }

    #[track_caller]
    pub(super) fn check_pools(&mut self) {
        // The second call finds what was not used since the first.
        (0..2).for_each(|_| self.virtual_loop.sessions_mut().trim());
        let pools = self.virtual_loop.sessions().pools();
        assert_eq!(pools.lent(), [0; 4], "buffers were not given back");
        assert_eq!(pools.ledger.charged(), 0, "nobody is left to be charged");
        let idle = pools.idle_bytes();
        assert!(idle <= POOL_BYTES, "{idle} bytes lie idle");
        assert_eq!(pools.collecting.large_bytes() + pools.output.large_bytes(), 0, "large buffers that nobody used");
    }

    // ---- outcome ----------------------------------------------------------------------------------------------------

    pub(super) fn fate(&self) -> Fate {
        let wire = self.connection.link.wire();
        match (wire.closed, wire.half_closed) {
            (Some(_), _) => Fate::Closed,
            (None, true) => Fate::Lingers,
            (None, false) => Fate::Open,
        }
    }

    pub(super) const fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Whether so much is owed that the socket is not read.
    pub(super) fn is_held(&self) -> bool {
        let session = self.virtual_loop.session(&self.connection);
        session.is_some_and(|session| session.connection.is_held() && !session.connection.wants_read())
    }

    /// Whether the connection was ended in a way that no client takes for the end of its content.
    pub(super) fn was_reset(&self) -> bool {
        self.connection.link.wire().was_reset
    }

    /// Bytes that the client has sent and the server has not read.
    pub(super) fn unread(&self) -> usize {
        self.connection.link.wire().inbound.len()
    }

    /// The bytes of memory that the connection holds for input, output and content; zero if it is gone.
    pub(super) fn held_memory(&self) -> [usize; 3] {
        let holds = self.virtual_loop.session(&self.connection).map(|session| session.connection.holds());
        holds.map_or([0; 3], |holds| holds.memory())
    }

    /// Bytes that were read from the socket.
    pub(super) fn taken(&self) -> usize {
        self.connection.link.wire().taken
    }

    pub(super) fn seen(&self) -> &[Seen] {
        self.router.seen()
    }

    /// All replies, in the order of the requests. One more may answer a broken message.
    #[track_caller]
    pub(super) fn replies(&self) -> Vec<Reply> {
        reader::read_all(&self.sent, |i| self.is_head(i))
    }

    /// Whether the reply at this place answers a HEAD.
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
