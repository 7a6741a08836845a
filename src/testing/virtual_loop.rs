use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::bell::Bell;
use super::control::VirtualControl;
use super::pipe::{Link, Pipe, Wire};
use crate::config::Config;
use crate::exchange::{Clock, Controlled, Draining, Endpoint, LoopControl, Mailbox, Observer, Service};
use crate::fault;
use crate::h1::Awaited;
use crate::http::Moment;
#[cfg(all(any(test, fuzzing), feature = "json"))]
use crate::sessions::Session;
use crate::sessions::{Polled, Readiness, Sessions};

/// The beginning of virtual time, in Unix time: the example of RFC 9110 §5.6.7, Sun, 06 Nov 1994 08:49:37 GMT.
const BEGIN: Duration = Duration::from_secs(784_111_777);

/// The same moment on the clock of the loop. It is not zero, because zero means "never" in some places.
const START: Moment = Moment::from_nanos(1_000_000_000);

/// The end of virtual time: the timer wheel counts its turns in 32 bits, which last for 34 years.
const END: Moment = Moment::from_nanos(30 * 365 * 86_400 * 1_000_000_000);

/// Most ticks for one action. No session needs so many; if one does, it never becomes idle.
const MAX_TICKS: usize = 1_000_000;

/// An event loop without sockets: it has sessions over [`Wire`]s, and its time passes only on request.
pub(crate) struct VirtualLoop {
    sessions: Sessions<Pipe>,
    next_port: u16,
    /// When the next timer of the application is due.
    next_timer: Moment,
    /// The date at the start of virtual time.
    began: SystemTime,
    control: Arc<VirtualControl>,
    /// What other threads ring when they have left work while the loop sleeps.
    bell: Arc<Bell>,
}

/// The clock of a [`VirtualLoop`]: its time stops while work is done.
struct Stopped(SystemTime);

impl Clock for Stopped {
    fn now(&mut self) -> Moment {
        START
    }

    fn wall_clock(&mut self) -> SystemTime {
        self.0
    }
}

/// A connection of a [`VirtualLoop`].
#[derive(Clone, Debug)]
pub(crate) struct Connected {
    pub(crate) link: Link,
    pub(crate) key: usize,
}

impl VirtualLoop {
    pub(crate) fn new(config: Config) -> Self {
        Self::with_clock(config, Box::new(Stopped(UNIX_EPOCH + BEGIN)))
    }

    /// A loop whose turns take as long as `clock` says.
    pub(crate) fn with_clock(config: Config, mut clock: Box<dyn Clock>) -> Self {
        // Its time begins now, and what other tests have told does not count.
        fault::renew();
        let began = clock.wall_clock();
        let bell = Arc::new(Bell::default());
        let rung = Arc::clone(&bell);
        let control = VirtualControl::new(Mailbox::new(move || rung.ring()));
        let sessions = Sessions::new(config, Vec::new(), clock, Arc::clone(&control.mailbox));
        Self { sessions, next_port: 49_152, next_timer: Moment::ZERO, began, control, bell }
    }

    /// Begins to serve an application.
    pub(crate) fn begin(&mut self, service: &mut dyn Service) {
        service.begin(&LoopControl::new(Arc::clone(&self.control) as Arc<dyn Controlled>));
    }

    #[cfg(all(any(test, fuzzing), feature = "json"))]
    pub(crate) const fn sessions(&self) -> &Sessions<Pipe> {
        &self.sessions
    }

    #[cfg(all(any(test, fuzzing), feature = "json"))]
    pub(crate) const fn sessions_mut(&mut self) -> &mut Sessions<Pipe> {
        &mut self.sessions
    }

    pub(crate) const fn now(&self) -> Moment {
        self.sessions.now()
    }

    /// A new connection, from a port of its own.
    pub(crate) fn connect(&mut self) -> Connected {
        let peer = loopback(self.next_port);
        self.next_port = self.next_port.checked_add(1).unwrap_or(49_152);
        self.connect_from(peer)
    }

    /// A new connection from `peer`.
    pub(crate) fn connect_from(&mut self, peer: Endpoint) -> Connected {
        let connected = Connected { link: Link::new(loopback(80)), key: self.sessions.vacant_key() };
        let (id, idle_timeout) = (self.sessions.next_id(), self.sessions.config.idle_timeout);
        self.sessions.begin(connected.link.pipe(), peer, id, idle_timeout);
        connected
    }

    /// The session of a connection; `None` if the connection has ended.
    #[cfg(all(any(test, fuzzing), feature = "json"))]
    pub(crate) fn session(&self, connected: &Connected) -> Option<&Session<Pipe>> {
        let ended = connected.link.wire().closed.is_some();
        if ended { None } else { self.sessions.get(connected.key) }
    }

    /// Applies an action of the client to a connection, and turns the loop until no work is left.
    pub(crate) fn act(&mut self, connected: &Connected, service: &mut dyn Service, action: impl FnOnce(&mut Wire)) {
        self.deliver(connected, action);
        self.turn(service);
    }

    /// Applies an action of the client to a connection, and tells the session the readiness that an edge-triggered poll
    /// would report.
    pub(crate) fn deliver(&mut self, connected: &Connected, action: impl FnOnce(&mut Wire)) {
        let (before, after) = {
            let mut wire = connected.link.wire_mut();
            let before = (wire.inbound.len(), wire.window);
            action(&mut wire);
            (before, (wire.inbound.len(), wire.window))
        };
        let wire = connected.link.wire();
        let event = Readiness {
            readable: after.0 > before.0 || wire.fin || wire.reset,
            writable: after.1 > before.1 || wire.reset,
            to_the_end: wire.fin || wire.reset,
            read_closed: wire.fin || wire.reset,
            hung_up: wire.reset,
        };
        let ended = wire.closed.is_some();
        drop(wire);
        if !ended {
            self.sessions.tell(connected.key, event);
        }
    }

    /// Turns the loop until no session is runnable, and no task or timer is left.
    pub(crate) fn turn(&mut self, service: &mut dyn Service) {
        let mut has_posted = false;
        for _ in 0..MAX_TICKS {
            if self.control.take_shutdown() {
                self.begin_drain();
            }
            self.sessions.pump_runnable(service);
            if has_posted || self.sessions.has_letters() || self.sessions.mailbox().is_rung() {
                self.sessions.deliver(service);
                has_posted = service.run_posted(self.now()) || self.sessions.has_letters();
                self.next_timer = Moment::ZERO;
            }
            if self.next_timer <= self.now() {
                self.next_timer = service.run_timers(self.now()).unwrap_or(Moment::MAX);
            }
            self.sessions.expire_deadlines(service);
            self.sessions.relieve(service);
            self.sessions.reap(service);
            let rings = has_posted || self.sessions.mailbox().is_rung();
            let has_work = self.sessions.runnable() > 0 || self.sessions.has_ended() || rings;
            if !has_work && self.next_timer > self.now() {
                return;
            }
        }
        panic!("the loop does not become idle");
    }

    /// What a connection waits for that must come from other threads, or from the test.
    pub(crate) fn awaited(&self, connected: &Connected) -> Option<Awaited> {
        let ended = connected.link.wire().closed.is_some();
        if ended { None } else { self.sessions.get(connected.key)?.connection.awaited() }
    }

    /// Sleeps until other threads have left work, and does it. Virtual time stands still. Returns false if none came
    /// before `until`, in real time.
    pub(crate) fn await_work(&mut self, service: &mut dyn Service, until: Instant) -> bool {
        let came = self.bell.wait(until, || self.sessions.mailbox().announce_sleep());
        self.sessions.mailbox().announce_work();
        if came {
            self.turn(service);
        }
        came
    }

    /// Lets time pass, but not beyond its end. Each deadline in between is handled when it is due.
    pub(crate) fn wait(&mut self, service: &mut dyn Service, duration: Duration) {
        let until = (self.now() + duration).min(END);
        self.next_timer = Moment::ZERO;
        self.turn(service);
        while let Some(due) = self.next_moment().filter(|due| *due <= until) {
            self.set_now(due.max(self.now()));
            self.turn(service);
        }
        self.set_now(until);
    }

    /// When the next deadline or timer is due.
    fn next_moment(&self) -> Option<Moment> {
        let timer = Some(self.next_timer).filter(|due| *due < Moment::MAX);
        let trim = self.sessions.wants_trim().then(|| self.now() + Duration::from_secs(1));
        self.sessions.next_deadline().into_iter().chain(timer).chain(trim).min()
    }

    fn set_now(&mut self, now: Moment) {
        self.sessions.set_now(now);
        // Each action of a client is told at once, so no poll could tell more.
        self.sessions.note_poll(Polled::All, now);
        self.sessions.set_date(self.date());
        self.sessions.trim();
    }

    /// The date by virtual time.
    pub(crate) fn date(&self) -> SystemTime {
        self.began + self.now().since(START)
    }

    /// Sets the date; from there it advances with virtual time.
    pub(crate) fn set_date(&mut self, date: SystemTime) {
        self.began = date.checked_sub(self.now().since(START)).unwrap_or(UNIX_EPOCH);
        self.set_now(self.now());
    }

    pub(crate) const fn is_draining(&self) -> bool {
        self.sessions.draining.has_begun()
    }

    /// Adds an observer.
    pub(crate) fn watch(&mut self, observer: Box<dyn Observer>) {
        self.sessions.add_observer(observer);
    }

    /// Begins the drain, without a grace.
    pub(crate) fn drain(&mut self, service: &mut dyn Service) {
        self.begin_drain();
        self.turn(service);
    }

    fn begin_drain(&mut self) {
        self.control.set_draining();
        self.sessions.set_draining(Draining::Closing);
        self.sessions.look_at_all();
    }
}

fn loopback(port: u16) -> Endpoint {
    Endpoint::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}
