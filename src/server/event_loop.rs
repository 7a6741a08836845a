//! The event loop: one poll, and the work that it brought. The tick reads as a script; everything it calls is below it
//! or in the file of that name.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use slab::Slab;

use super::accept::{Accepted, Acceptor};
use super::clock::Clock;
use super::deadlines::Wheel;
use super::drain::Drain;
use super::handle::Shared;
use super::session::{After, Session};
#[cfg(feature = "signals")]
use super::signals::Signals;
use super::{Decision, Hook, Server};
use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, DrainCause, Endpoint, Reply, Service, Tick, Watch, guard};
use crate::h1::{Context, Pools};
use crate::http::{Millis, Moment};
use crate::limits::{ACCEPT_BUDGET, EVENTS};
use crate::server::socket::Socket;

/// mio's keys: sessions count up from 0 with their slab keys, everything else counts down.
const WAKER: Token = Token(usize::MAX);
#[cfg(feature = "signals")]
const SIGNALS: Token = Token(usize::MAX - 1);
const LISTENERS: usize = usize::MAX - 16;

/// The loop and all that it owns.
pub(super) struct EventLoop {
    poll: Poll,
    events: Events,
    #[cfg(feature = "signals")]
    signals: Option<Signals>,
    pub(super) shared: Arc<Shared>,

    clock: Box<dyn Clock>,
    /// Read once per tick.
    pub(super) now: Moment,
    /// When the `Date` field changes.
    next_second: Moment,

    pub(super) config: Config,
    pub(super) watch: Watch,
    on_connection: Option<Hook>,
    pub(super) acceptor: Acceptor,
    pub(super) sessions: Slab<Session>,
    /// Keys of the sessions that have something to do although no event will say so.
    runnable: VecDeque<u32>,
    /// Keys of the sessions that have ended. They leave the slab only in `reap`: a later event of the same batch must
    /// not reach whoever took over the slot.
    ended: Vec<u32>,
    wheel: Wheel,
    pools: Pools,
    reply: Reply,
    next_id: u64,

    pub(super) drain: Drain,
    pub(super) drain_cause: Option<DrainCause>,
    /// A signal has begun the drain.
    pub(super) signalled: bool,
    /// How many connections were cut, and whether by a signal.
    pub(super) forced: Option<(usize, bool)>,
    /// A signal came in this tick.
    interrupted: bool,
}

impl EventLoop {
    pub(super) fn new(server: Server) -> io::Result<Self> {
        let Server { listeners, config, observer, on_connection, mut clock } = server;
        let poll = Poll::new()?;
        let registry = poll.registry();
        let mut acceptor = Acceptor::default();
        for (i, mut listener) in listeners.into_iter().enumerate() {
            let token = Token(LISTENERS - i);
            listener.configure(&config)?;
            listener.register(registry, token)?;
            acceptor.add(listener, token);
        }
        #[cfg(feature = "signals")]
        let signals = if config.signals { Some(Signals::register(registry, SIGNALS)?) } else { None };
        if config.raise_descriptor_limit {
            raise_descriptor_limit();
        }
        let reply = Reply::new(config.server_name.as_deref(), config.max_response_buffer, clock.wall_clock());
        let mut event_loop = Self {
            shared: Arc::new(Shared::new(Waker::new(registry, WAKER)?)),
            events: Events::with_capacity(EVENTS),
            #[cfg(feature = "signals")]
            signals,
            poll,
            now: clock.now(),
            clock,
            next_second: Moment::ZERO,
            config,
            watch: Watch::new(observer),
            on_connection,
            acceptor,
            sessions: Slab::new(),
            runnable: VecDeque::new(),
            ended: Vec::new(),
            wheel: Wheel::new(),
            pools: Pools::new(),
            reply,
            next_id: 1,
            drain: Drain::Serving,
            drain_cause: None,
            signalled: false,
            forced: None,
            interrupted: false,
        };
        for local in event_loop.acceptor.local() {
            log::info!("listening on {local}");
            event_loop.watch.tell(|observer| observer.listening(&local));
        }
        Ok(event_loop)
    }

    /// One tick: at most one sleep, then all the work that is due.
    pub(super) fn tick(&mut self, service: &mut dyn Service, max_wait: Option<Duration>) -> io::Result<()> {
        self.wait(max_wait)?;
        self.read_clock();
        let events = self.take_events();
        self.accept();
        self.pump_runnable(service);
        self.expire_deadlines(service);
        self.drain(service);
        self.reap();
        self.watch.tell(|observer| {
            let (connections, runnable) = (self.sessions.len(), self.runnable.len());
            observer.ticked(&Tick { events, connections, runnable });
        });
        Ok(())
    }

    /// Whether the drain has ended.
    pub(super) fn is_done(&self) -> bool {
        self.drain.is_draining() && self.sessions.is_empty() && self.acceptor.is_closed()
    }

    // ---- waiting ----------------------------------------------------------------------------------------------------

    /// Polls. A signal that interrupts it is an empty batch.
    fn wait(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        let due = self.next_deadline();
        let timeout = match (due, max_wait) {
            (Some(due), Some(max_wait)) => Some(due.min(max_wait)),
            (due, max_wait) => due.or(max_wait),
        };
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result,
        }
    }

    /// How long the loop may sleep, if not for ever: not at all while someone is runnable.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        if !self.runnable.is_empty() || self.can_accept() {
            return Some(Duration::ZERO);
        }
        let rare = self.acceptor.paused_until().into_iter().chain(self.drain.deadline());
        let next = rare.chain(self.wheel.next()).min();
        next.map(|deadline| deadline.since(self.now))
    }

    /// The only place that asks what time it is.
    fn read_clock(&mut self) {
        self.now = self.clock.now();
        if self.now >= self.next_second {
            let wall_clock = self.clock.wall_clock();
            self.reply.set_date(wall_clock);
            let past = wall_clock.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
            self.next_second = self.now + Duration::from_nanos(1_000_000_000 - u64::from(past));
        }
    }

    /// Notes what the kernel said; gives the number of events.
    fn take_events(&mut self) -> usize {
        self.interrupted = false;
        let mut count = 0;
        // The events are lent out while everything else is at work.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            count += 1;
            match self.sessions.get_mut(event.token().0) {
                Some(session) if !session.closed => {
                    session.readiness.add(event);
                    log::trace!("conn {}: event {}", session.id, session.readiness);
                    self.make_runnable(event.token().0);
                }
                Some(_) => {}
                None => self.take_other_event(event.token()),
            }
        }
        self.events = events;
        count
    }

    #[cold]
    fn take_other_event(&mut self, token: Token) {
        if self.acceptor.mark_ready(token) {
            return;
        }
        if token == WAKER && self.shared.take_shutdown() {
            self.stop(DrainCause::Handle);
        }
        #[cfg(feature = "signals")]
        if let Some(name) = self.signals.as_mut().and_then(|signals| signals.take(token)) {
            // Signals that come together are one wish, not two.
            if !std::mem::replace(&mut self.interrupted, true) {
                self.stop(DrainCause::Signal(name));
                self.signalled = true;
            }
        }
    }

    // ---- accepting --------------------------------------------------------------------------------------------------

    fn can_accept(&self) -> bool {
        self.acceptor.is_ready() && self.config.max_connections.is_none_or(|max| self.sessions.len() < max)
    }

    /// Accepts until the kernel has no more, the house is full, or the budget is used up.
    fn accept(&mut self) {
        if self.acceptor.paused_until().is_some_and(|until| self.now >= until) {
            self.acceptor.resume();
        }
        for _ in 0..ACCEPT_BUDGET {
            if !self.can_accept() {
                return;
            }
            self.accept_one();
        }
    }

    pub(super) fn accept_one(&mut self) {
        match self.acceptor.accept(self.now) {
            Accepted::Connection(socket, peer) => self.open(socket, peer),
            Accepted::Nothing => {}
            Accepted::Trouble(error) => {
                log::error!("accept: {error}; pausing");
                self.watch.tell(|observer| observer.server_error(&error));
            }
        }
    }

    /// Begins a session, unless the hook refuses it: then the socket is closed by being dropped.
    fn open(&mut self, mut socket: Socket, peer: Endpoint) {
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        let idle_timeout = match self.ask_hook(&peer) {
            Decision::Accept => self.config.idle_timeout,
            Decision::AcceptWithIdleTimeout(timeout) => timeout,
            Decision::Refuse => {
                log::debug!("conn {id}: refused {peer}");
                self.watch.tell(|observer| {
                    observer.connection_opened(id, &peer);
                    observer.connection_closed(id, CloseReason::Refused);
                });
                return;
            }
        };
        let entry = self.sessions.vacant_entry();
        let key = entry.key();
        if let Err(error) = socket.register(self.poll.registry(), Token(key)) {
            log::error!("conn {id}: {error}");
            self.watch.tell(|observer| observer.server_error(&error));
            return;
        }
        log::trace!("conn {id}: accepted from {peer}, slot {key}");
        let session = entry.insert(Session::new(socket, peer, id, Millis::from(idle_timeout), self.now));
        let deadline = session.connection.deadline(&self.config, session.idle_timeout, self.now);
        self.wheel.arm(&mut self.sessions, key, deadline);
        self.watch.tell(|observer| observer.connection_opened(id, &peer));
        if self.drain.is_draining() {
            self.look_once_more(key);
        }
    }

    fn ask_hook(&mut self, peer: &Endpoint) -> Decision {
        let Some(hook) = &mut self.on_connection else { return Decision::Accept };
        guard(|| hook(peer)).unwrap_or_else(|panic| {
            log::error!("on_connection {panic}");
            Decision::Refuse
        })
    }

    // ---- sessions ---------------------------------------------------------------------------------------------------

    #[inline]
    pub(super) fn make_runnable(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        if !session.queued && !session.closed {
            session.queued = true;
            self.runnable.push_back(key as u32);
        }
    }

    /// Gives a turn to everyone who is runnable now; who becomes so meanwhile has it in the next tick.
    pub(super) fn pump_runnable(&mut self, service: &mut dyn Service) {
        for _ in 0..self.runnable.len() {
            let Some(key) = self.runnable.pop_front() else { return };
            let session = &mut self.sessions[key as usize];
            session.queued = false;
            if !session.closed {
                self.turn(key as usize, service, |_, _| {});
            }
        }
    }

    /// A session's turn: `first` is done to it, then it is pumped, and then its deadline is armed.
    #[inline]
    fn turn(&mut self, key: usize, service: &mut dyn Service, first: impl FnOnce(&mut Session, &mut Context<'_>)) {
        let session = &mut self.sessions[key];
        let mut idle_timeout = session.idle_timeout;
        let mut cx = Context {
            now: self.now,
            id: session.id,
            config: &self.config,
            pools: &mut self.pools,
            reply: &mut self.reply,
            service,
            watch: &mut self.watch,
            idle_timeout: &mut idle_timeout,
            draining: self.drain.is_draining(),
        };
        first(session, &mut cx);
        let after = session.pump(&mut cx, self.interrupted);
        session.connection.settle(&mut self.pools);
        session.idle_timeout = idle_timeout;
        match after {
            After::Closed => return self.close(key),
            After::Runnable => self.make_runnable(key),
            After::Exhausted => {}
        }
        let session = &self.sessions[key];
        let deadline = session.connection.deadline(&self.config, session.idle_timeout, session.activity);
        self.wheel.arm(&mut self.sessions, key, deadline);
    }

    fn expire_deadlines(&mut self, service: &mut dyn Service) {
        while let Some(key) = self.wheel.pop(&mut self.sessions, self.now) {
            let session = &self.sessions[key];
            let deadline = session.connection.deadline(&self.config, session.idle_timeout, session.activity);
            if session.closed {
                continue;
            }
            if deadline > self.now {
                self.wheel.arm(&mut self.sessions, key, deadline);
            } else {
                self.turn(key, service, Session::expire);
            }
        }
    }

    /// Marks a session as ended; it stays in the slab until the end of the tick.
    pub(super) fn close(&mut self, key: usize) {
        if !std::mem::replace(&mut self.sessions[key].closed, true) {
            self.ended.push(key as u32);
        }
    }

    /// Removes what has ended. Dropping the socket closes it, and closing takes it out of the poll.
    fn reap(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        // Keys of the ended may still stand in the queue.
        self.runnable.retain(|&key| !self.sessions[key as usize].closed);
        while let Some(key) = self.ended.pop() {
            let key = key as usize;
            self.wheel.disarm(&mut self.sessions, key);
            let mut session = self.sessions.remove(key);
            let reason = session.connection.close_reason().unwrap_or(CloseReason::ClientClosed);
            session.connection.release(&mut self.pools);
            log::trace!("conn {}: closed, {reason}", session.id);
            self.watch.tell(|observer| {
                if session.connection.is_held() {
                    observer.backpressure(session.id, false);
                }
                observer.connection_closed(session.id, reason);
            });
        }
        self.acceptor.resume();
    }
}

impl AsFd for EventLoop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}

/// Raises the soft limit of open descriptors to the hard one. What cannot be raised stays.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            log::debug!("the descriptor limit stays: {error}");
        }
    }
}
