//! The event loop: one poll, and then the work that it brought. The tick reads as a script; the functions that it calls
//! are below it, or in the file of the same name.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use super::accept::{Accepted, Acceptor};
use super::control::{Control, Group, mailbox};
use super::descriptors;
use super::drain::{Drain, Forced};
use super::hook::{self, Decision, Hook};
#[cfg(feature = "live")]
use super::laps::Laps;
use super::laps::Part;
use super::listener::Listener;
#[cfg(feature = "live")]
use super::recordable::Recordable;
#[cfg(feature = "signals")]
use super::signals::Signals;
#[cfg(not(feature = "live"))]
use super::socket::Socket as Recordable;
use super::socket::{Socket, readiness};
use crate::config::Config;
#[cfg(feature = "signals")]
use crate::exchange::DrainCause;
use crate::exchange::{Clock, CloseReason, Controlled, Endpoint, LoopControl, Observer, Service, Tick, guard};
use crate::http::{Count, Moment};
use crate::limits::{ACCEPT_BUDGET, EVENTS, WHEEL_SLOT};
#[cfg(feature = "live")]
use crate::recording::{Recorder, Tape};
use crate::sessions::{Polled, Sessions};

/// mio's tokens: sessions use their slab keys, which count up from 0. All other tokens count down from the largest.
const WAKER: Token = Token(usize::MAX);
#[cfg(feature = "signals")]
const SIGNALS: Token = Token(usize::MAX - 1);
const LISTENERS: usize = usize::MAX - 16;

/// What an event loop is made of.
pub(super) struct Parts {
    pub(super) listeners: Vec<Listener>,
    pub(super) config: Config,
    pub(super) observers: Vec<Box<dyn Observer>>,
    pub(super) on_connection: Option<Hook>,
    pub(super) clock: Box<dyn Clock>,
    /// The group of the server, if it is a worker.
    pub(super) group: Option<Arc<Group>>,
    #[cfg(feature = "live")]
    pub(super) recorder: Option<Recorder>,
    /// The recording, once it has begun.
    #[cfg(feature = "live")]
    pub(super) tape: Option<Tape>,
}

/// The event loop and all that it owns.
pub(super) struct EventLoop {
    poll: Poll,
    events: Events,
    #[cfg(feature = "signals")]
    signals: Option<Signals>,
    pub(super) control: Arc<Control>,

    /// When the `Date` field changes.
    next_second: Moment,
    /// The last tick had events, so it may have taken long.
    was_busy: bool,
    /// A wheel slot after the time at which the poll was to return. If the clock is read later than this, a handler has
    /// blocked the loop.
    awake_by: Moment,

    on_connection: Option<Hook>,
    /// Where the connections are recorded, if some are.
    #[cfg(feature = "live")]
    pub(super) tape: Option<Tape>,
    pub(super) acceptor: Acceptor,
    pub(super) sessions: Sessions<Recordable>,
    /// When the next timer of the application is due; zero means that the application must be asked.
    pub(super) next_timer: Moment,
    /// Another thread has posted something, or posted work is left that was too much for one tick.
    pub(super) has_posted: bool,

    pub(super) drain: Drain,
    /// The drain was cut short.
    pub(super) forced: Option<Forced>,
    #[cfg(feature = "live")]
    pub(super) laps: Laps,
}

impl EventLoop {
    pub(super) fn new(parts: Parts) -> io::Result<Self> {
        #[cfg(feature = "live")]
        let tape = parts.tape;
        let Parts { listeners, config, observers, on_connection, clock, group, .. } = parts;
        let poll = Poll::new()?;
        let registry = poll.registry();
        let mut acceptor = Acceptor::new();
        for (i, mut listener) in listeners.into_iter().enumerate() {
            let token = Token(LISTENERS - i);
            listener.configure(&config)?;
            listener.register(registry, token)?;
            acceptor.add(listener, token);
        }
        #[cfg(feature = "signals")]
        let signals = match config.signals && group.is_none() {
            true => Some(Signals::register(registry, SIGNALS)?),
            false => None,
        };
        if config.raise_descriptor_limit {
            descriptors::raise_limit();
        }
        let mailbox = mailbox(Waker::new(registry, WAKER)?);
        let mut event_loop = Self {
            control: Arc::new(Control::new(Arc::clone(&mailbox), group)),
            events: Events::with_capacity(EVENTS),
            #[cfg(feature = "signals")]
            signals,
            poll,
            next_second: Moment::ZERO,
            was_busy: false,
            awake_by: Moment::MAX,
            on_connection,
            #[cfg(feature = "live")]
            tape,
            acceptor,
            sessions: Sessions::new(config, observers, clock, mailbox),
            next_timer: Moment::MAX,
            has_posted: false,
            drain: Drain::new(),
            forced: None,
            #[cfg(feature = "live")]
            laps: Laps::default(),
        };
        #[cfg(feature = "live")]
        if let Some(tape) = &event_loop.tape {
            event_loop.sessions.set_witness(tape.witness());
        }
        for local in event_loop.acceptor.local() {
            log::info!("listening on {local}");
            event_loop.sessions.watch.tell(|observer| observer.listening(&local));
        }
        Ok(event_loop)
    }

    /// Begins with an application: lets it reach the loop, keeps descriptors for it, and starts its timers.
    pub(super) fn start(&mut self, service: &mut dyn Service) {
        let control = LoopControl::new(Arc::clone(&self.control) as Arc<dyn Controlled>);
        if let Err(panic) = guard(|| service.begin(&control)) {
            fault!("the application's begin {panic}");
        }
        self.acceptor.reserve = descriptors::Reserve::of(service);
        self.run_next_timer(service);
    }

    /// Runs one tick: sleeps at most once, and then does all the work that is due. Each part has a name, by which its
    /// time is noted if the tick is `TIMED`.
    #[inline(always)]
    pub(super) fn tick<const TIMED: bool>(
        &mut self,
        service: &mut dyn Service,
        max_wait: Option<Duration>,
    ) -> io::Result<()> {
        let before = self.sessions.now();
        let mut tick = Script::<TIMED> { event_loop: self, service };
        let interrupted = tick.part(Part::Waiting, |it, _| it.wait(max_wait).inspect(|_| it.read_clock()))?;
        let events = tick.part(Part::Events, |it, _| it.take_events(before, interrupted));
        tick.part(Part::Accept, Self::accept);
        tick.part(Part::Pump, |it, service| it.sessions.pump_runnable(service));
        tick.part(Part::Post, Self::take_post);
        tick.part(Part::Timers, Self::run_timers);
        tick.part(Part::Expire, |it, service| {
            it.sessions.expire_deadlines(service);
            it.sessions.relieve(service);
        });
        tick.part(Part::Drain, Self::drain);
        tick.part(Part::Reap, Self::reap);
        self.has_posted |= self.sessions.mailbox().announce_sleep();
        if self.sessions.watch.is_some() {
            self.tell_tick(events);
        }
        Ok(())
    }

    #[cold]
    fn tell_tick(&mut self, events: usize) {
        let busy = self.sessions.read_clock().since(self.sessions.now());
        let tick = Tick { events, connections: self.sessions.len(), runnable: self.sessions.runnable(), busy };
        self.sessions.watch.tell(|observer| observer.ticked(&tick));
    }

    /// Makes the next poll fail: Linux rejects a poll with room for zero events.
    #[cfg(test)]
    pub(super) fn break_poll(&mut self) {
        self.events = Events::with_capacity(0);
    }

    /// Whether the drain has ended.
    pub(super) fn is_done(&self) -> bool {
        self.drain.is_draining() && self.sessions.is_empty() && self.acceptor.is_closed()
    }

    /// Closes the remaining sessions without a last tick.
    pub(super) fn abandon(&mut self, service: &mut dyn Service) {
        if !self.sessions.is_empty() {
            self.sessions.abandon(service);
        }
    }

    // ---- waiting ----------------------------------------------------------------------------------------------------

    /// Polls. Returns whether a signal has interrupted the poll; then there are no events.
    #[inline(always)]
    fn wait(&mut self, max_wait: Option<Duration>) -> io::Result<bool> {
        let now = self.sessions.now();
        let soon = now + WHEEL_SLOT;
        let timeout = match (self.next_moment(), max_wait) {
            // The last tick may have taken long, but the clock is read only after the sleep: so sleep for one slot.
            (Some(due), None) if self.was_busy && due > soon => {
                self.awake_by = soon + WHEEL_SLOT;
                Some(WHEEL_SLOT)
            }
            // A caller that turns the loop by hand may sleep elsewhere until `due`. That does not count as blocking.
            (due, max_wait) => {
                let due = self.or_next_second(due);
                self.awake_by = due.map_or(Moment::MAX, |due| due.max(now) + WHEEL_SLOT);
                due.map(|due| due.since(now)).into_iter().chain(max_wait).min()
            }
        };
        let polled = self.poll.poll(&mut self.events, timeout);
        self.sessions.mailbox().announce_work();
        match polled {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(true)
            }
            result => result.map(|()| false),
        }
    }

    /// How long the loop may sleep; `None` means for ever.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.or_next_second(self.next_moment()).map(|due| due.since(self.sessions.now()))
    }

    /// `due`, or the next second if that comes first and buffers can be freed then.
    fn or_next_second(&self, due: Option<Moment>) -> Option<Moment> {
        let next_second = self.sessions.wants_trim().then_some(self.next_second);
        due.into_iter().chain(next_second).min()
    }

    /// The time until which the loop may sleep; `None` means for ever. It does not sleep while a session is runnable.
    fn next_moment(&self) -> Option<Moment> {
        if self.sessions.has_work() || self.can_accept() || self.has_posted {
            return Some(self.sessions.now());
        }
        let mut due = self.sessions.next_deadline().unwrap_or(Moment::MAX).min(self.next_timer);
        for rare in [self.acceptor.paused_until(), self.drain.deadline()].into_iter().flatten() {
            due = due.min(rare);
        }
        (due < Moment::MAX).then_some(due)
    }

    /// Begins the tick: what the clock says now is its time.
    #[inline(always)]
    fn read_clock(&mut self) {
        let now = self.sessions.read_clock();
        if now > self.awake_by {
            let late = now.since(self.awake_by);
            log::debug!(
                "tick: it begins {late:?} late, since a handler has blocked the loop or the process was stopped"
            );
            self.sessions.forgive(late);
        }
        self.sessions.set_now(now);
        if now >= self.next_second {
            let wall_clock = self.sessions.wall_clock();
            self.sessions.set_date(wall_clock);
            self.sessions.trim();
            let past = wall_clock.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().subsec_nanos();
            self.next_second = now + Duration::from_nanos(1_000_000_000 - u64::from(past));
        }
    }

    /// Records the readiness that the kernel reported in a poll that began after `before`. Returns the number of
    /// events.
    #[inline(always)]
    fn take_events(&mut self, before: Moment, interrupted: bool) -> usize {
        if log::log_enabled!(log::Level::Trace) {
            self.trace_poll(before);
        }
        self.sessions.interrupted = false;
        let (mut count, mut told) = (0, 0);
        for event in &self.events {
            count += 1;
            told += usize::from(self.sessions.tell(event.token().0, readiness(event)));
        }
        if told < count {
            self.take_own_events();
        }
        let polled = match count {
            0 if interrupted => Polled::Interrupted,
            EVENTS.. => Polled::Part(told),
            _ => Polled::All,
        };
        self.sessions.note_poll(polled, before);
        self.was_busy = count > 0 || self.sessions.has_work() || self.has_posted;
        count
    }

    /// Writes to the trace log what the poll has brought.
    #[cold]
    fn trace_poll(&self, before: Moment) {
        let count = self.events.iter().count();
        if count > 0 {
            let (slept, events) = (self.sessions.now().since(before), Count(count, "event"));
            log::trace!("tick: the poll returns {events}, {slept:?} after the last tick");
        }
        for event in &self.events {
            self.sessions.trace_event(event.token().0, readiness(event));
        }
    }

    /// Handles the events of the loop itself: listeners, signals, the waker.
    #[cold]
    fn take_own_events(&mut self) {
        // The handling borrows all of `self`, so the events are moved out of it for that time.
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        events.iter().for_each(|event| self.take_own_event(event.token()));
        self.events = events;
    }

    fn take_own_event(&mut self, token: Token) {
        if self.acceptor.mark_ready(token) {
            log::trace!("event: a listener is readable, so connections wait to be accepted");
            return;
        }
        if token == WAKER {
            log::trace!("event: another thread has woken the loop");
            self.take_orders();
        }
        #[cfg(feature = "signals")]
        if let Some(name) = self.signals.as_mut().and_then(|signals| signals.take(token)) {
            // Signals that come in the same tick count as one request to stop, not as two.
            if !std::mem::replace(&mut self.sessions.interrupted, true) {
                match self.drain.note_signal() {
                    true => self.cut(true),
                    false => self.stop(DrainCause::Signal(name)),
                }
            }
        }
    }

    // ---- accepting --------------------------------------------------------------------------------------------------

    /// Whether a connection may wait and be taken. While sessions that have ended are not removed yet, none is: they
    /// hold descriptors and memory.
    fn can_accept(&self) -> bool {
        self.acceptor.is_ready()
            && !self.sessions.has_ended()
            && self.sessions.config.max_connections.is_none_or(|max| self.sessions.len() < max)
    }

    /// Accepts until the kernel has no more connections, the server is full, the budget is used up, or this part of the
    /// tick is over.
    fn accept(&mut self, service: &mut dyn Service) {
        if self.acceptor.paused_until().is_some_and(|until| self.sessions.now() >= until) {
            self.acceptor.resume();
        }
        if self.can_accept() {
            self.accept_some(service);
        }
    }

    #[inline(never)]
    fn accept_some(&mut self, service: &mut dyn Service) {
        let end = self.sessions.begin_part();
        for _ in 0..ACCEPT_BUDGET {
            self.accept_one(service);
            if !self.can_accept() || self.sessions.is_over(end) {
                return;
            }
        }
    }

    pub(super) fn accept_one(&mut self, service: &mut dyn Service) {
        match self.acceptor.accept(self.sessions.now()) {
            Accepted::Connection(socket, peer) => self.begin_session(socket, peer),
            Accepted::Nothing => log::trace!("accept: no further connection waits"),
            // The application has closed descriptors that it only cached, so accepting is tried again at once.
            Accepted::Trouble(error) if descriptors::ran_out(&error) && descriptors::free(service) => {
                self.acceptor.resume();
            }
            Accepted::Trouble(error) => {
                self.acceptor.log_trouble(&error, self.sessions.now());
                self.sessions.watch.tell(|observer| observer.server_error(&error));
            }
        }
    }

    /// Begins a session, unless the hook refuses the connection. Then dropping the socket closes it.
    pub(super) fn begin_session(&mut self, mut socket: Socket, peer: Endpoint) {
        let id = self.sessions.next_id();
        let idle_timeout = match hook::ask(&mut self.on_connection, &peer) {
            Decision::Accept => self.sessions.config.idle_timeout,
            Decision::AcceptWithIdleTimeout(timeout) => timeout,
            Decision::Refuse => {
                log::debug!("conn {id}: the on_connection hook has refused {peer}");
                // A panic in the first call must not keep the second one from an observer.
                let watch = &mut self.sessions.watch;
                watch.tell(|observer| observer.connection_opened(id, &peer));
                watch.tell(|observer| observer.connection_closed(id, CloseReason::Refused));
                return;
            }
        };
        let key = self.sessions.vacant_key();
        if let Err(error) = socket.register(self.poll.registry(), Token(key)) {
            fault!("conn {id}: cannot register the socket: {error}");
            self.sessions.watch.tell(|observer| observer.server_error(&error));
            return;
        }
        log::trace!("conn {id}: accepted from {peer} into slot {key}");
        #[cfg(feature = "live")]
        let socket = self.taped(socket, &peer);
        self.sessions.begin(socket, peer, id, idle_timeout);
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    /// Removes the sessions that have ended. Closing a socket takes it out of the poll and frees a descriptor, so
    /// accepting can resume.
    fn reap(&mut self, service: &mut dyn Service) {
        if self.sessions.reap(service) {
            self.acceptor.resume();
        }
    }
}

/// A tick that runs: what its parts work on.
struct Script<'a, const TIMED: bool> {
    event_loop: &'a mut EventLoop,
    service: &'a mut dyn Service,
}

impl<const TIMED: bool> Script<'_, TIMED> {
    /// Runs a part of the tick, and notes how long it took if the tick is `TIMED`.
    #[inline(always)]
    fn part<R>(&mut self, part: Part, run: impl FnOnce(&mut EventLoop, &mut dyn Service) -> R) -> R {
        let result = run(self.event_loop, self.service);
        self.event_loop.lap::<TIMED>(part);
        result
    }
}

impl AsFd for EventLoop {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.registry().as_fd()
    }
}
