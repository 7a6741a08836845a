//! A connection under test: a session over a pipe, with the real pump and a made-up clock, and what came of it.

use std::time::Duration;

use super::app::{self, App, Seen, Witness};
use super::reader::{self, Reply};
use crate::Router;
use crate::config::Config;
use crate::exchange::CloseReason;
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
    /// Most that was ever owed.
    pub(super) most_owed: usize,
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
        let mut virtual_loop = VirtualLoop::new(config);
        Self {
            router: app,
            sent: Vec::new(),
            broken_head: false,
            most_owed: 0,
            connection: virtual_loop.connect(),
            virtual_loop,
            reason: None,
        }
    }

    /// Another connection; checks that the one before gave everything back.
    #[track_caller]
    pub(super) fn restart(&mut self) {
        let sessions = self.virtual_loop.sessions_mut();
        sessions.cut();
        sessions.reap(&mut self.router);
        sessions.draining = false;
        assert!(sessions.is_empty());
        self.check_pools();
        self.connection = self.virtual_loop.connect();
        self.router.forget();
        self.sent.clear();
        (self.most_owed, self.reason) = (0, None);
    }

    /// The client sends; the loop turns until it rests.
    #[track_caller]
    pub(super) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.act(|wire| wire.inbound.extend(bytes.as_ref()))
    }

    /// The client closes its side.
    #[track_caller]
    pub(super) fn fin(&mut self) -> &mut Self {
        self.act(|wire| wire.fin = true)
    }

    /// The client does not read more than so many bytes.
    #[track_caller]
    pub(super) fn set_window(&mut self, bytes: usize) -> &mut Self {
        self.act(|wire| wire.window = bytes)
    }

    /// The client reads so many bytes more.
    #[track_caller]
    pub(super) fn read(&mut self, count: usize) -> &mut Self {
        self.act(|wire| wire.window = wire.window.saturating_add(count))
    }

    #[track_caller]
    fn act(&mut self, action: impl FnOnce(&mut Wire)) -> &mut Self {
        self.virtual_loop.act(&self.connection, &mut self.router, action);
        self.look()
    }

    /// Time passes; deadlines that pass with it are felt on time.
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

    /// The loop was blocked for so long.
    pub(super) fn block(&mut self, duration: Duration) -> &mut Self {
        self.virtual_loop.sessions_mut().forgive(duration);
        self
    }

    /// What is left is cut; gives the number of those that were still owed something.
    pub(super) fn cut(&mut self) -> usize {
        self.virtual_loop.sessions_mut().cut()
    }

    /// The server drains from now on, but has not yet looked at anybody.
    pub(super) const fn set_draining(&mut self) {
        self.virtual_loop.sessions_mut().draining = true;
    }

    pub(super) const fn now(&self) -> Moment {
        self.virtual_loop.now()
    }

    #[track_caller]
    pub(super) fn deadline(&self) -> Moment {
        let session = self.virtual_loop.session(&self.connection).expect("a connection that is there");
        session.deadline(&self.virtual_loop.sessions().config)
    }

    /// Takes note of what has happened.
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

    /// What must hold whenever the loop goes to sleep.
    #[track_caller]
    fn check(&self, session: &Session<Pipe>) {
        let (connection, sessions) = (&session.connection, self.virtual_loop.sessions());
        let wire = self.connection.link.wire();
        let deadline = session.deadline(&sessions.config);
        assert!(deadline >= sessions.now(), "the deadline {deadline:?} is past at {:?}", sessions.now());
        let bound = HIGH_WATER + sessions.config.max_response_buffer.max(app::LARGE) + 1024;
        assert!(connection.owed() <= bound, "{} bytes are owed", connection.owed());
        // A vector that grows doubles. What has come may be decoded at once, and overshoot the content by an input; what
        // was only announced costs nothing.
        let input = 2 * (sessions.config.max_head + RECEIVE_BUFFER);
        let content = wire.taken.min(sessions.config.max_content as usize);
        let bounds = [input, 4 * bound, 2 * input + 4 * (content + CONTENT_BUFFER)];
        let holds = connection.holds();
        let footprints = [holds.receive, holds.output, holds.incoming].map(|held| held.map_or(0, |(_, memory)| memory));
        let within = footprints.iter().zip(bounds).all(|(bytes, bound)| *bytes <= bound);
        assert!(within, "{footprints:?} bytes of memory, and not more than {bounds:?} are allowed");
        assert!(!(wire.is_readable() && connection.wants_read()), "it sleeps though it wants to read and could");
        assert!(connection.output().is_none() || wire.window == 0, "it sleeps though it owes and could write");
        if connection.output().is_none() && connection.has_no_input() {
            let lent = sessions.pools().receive.lent() + sessions.pools().output.lent();
            assert_eq!(lent, 0, "an idle connection owns no buffer");
        }
    }

    #[track_caller]
    pub(super) fn check_pools(&mut self) {
        // The second one finds what was not used since the first.
        (0..2).for_each(|_| self.virtual_loop.sessions_mut().trim());
        let pools = self.virtual_loop.sessions().pools();
        let lent = (pools.receive.lent(), pools.output.lent(), pools.incoming.lent());
        assert_eq!(lent, (0, 0, 0), "buffers were not given back");
        let idle = pools.receive.idle_bytes() + pools.output.idle_bytes() + pools.incoming.idle_bytes();
        assert!(idle <= POOL_BYTES, "{idle} bytes lie idle");
        assert_eq!(pools.incoming.large_bytes() + pools.output.large_bytes(), 0, "large buffers that nobody used");
    }

    // ---- what came of it --------------------------------------------------------------------------------------------

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

    /// Whether so much is owed that nothing is read.
    pub(super) fn is_held(&self) -> bool {
        let session = self.virtual_loop.session(&self.connection);
        session.is_some_and(|session| session.connection.is_held() && !session.connection.wants_read())
    }

    /// Bytes that were read from the socket.
    pub(super) fn taken(&self) -> usize {
        self.connection.link.wire().taken
    }

    pub(super) fn seen(&self) -> &[Seen] {
        self.router.seen()
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
