//! The world that a seed makes, and how time passes in it: clients act, and the server has its ticks.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::affairs::{Affairs, Shared, VirtualClock, lock};
use super::application::Application;
use super::client::Ending;
use super::kernel::Kernel;
use super::live::Live;
use super::notes::{Notes, Watcher};
use super::outside::{Outside, SimulatedSocket};
use super::profile::Profile;
use super::random::Random;
use super::sharing::{self, Waiting};
use super::trace::{Telling, Trace};
use super::{checks, verdict};
use crate::exchange::{CloseReason, Draining, Endpoint, Mailbox, Nothing, Observer};
use crate::http::Moment;
use crate::limits::TURN_TIME;
use crate::sessions::{Polled, Readiness, Sessions};

/// Not zero, because zero means "never" in some places.
const START: Moment = Moment::from_nanos(1_000_000_000);

/// The number of ticks after which the clients become polite, so that the run ends.
const TICKS: usize = 3_000;

/// No run needs so many ticks to end.
const TOO_MANY_TICKS: usize = 100_000;

pub(super) struct World {
    pub(super) profile: Profile,
    pub(super) sessions: Sessions<SimulatedSocket>,
    pub(super) outside: Rc<RefCell<Outside>>,
    pub(super) application: Application,
    pub(super) affairs: Shared,
    /// The mailbox has sent the loop a wake-up.
    woken: Arc<AtomicBool>,
    /// The loop has told the mailbox that it will sleep, and no letter had come before.
    asleep: bool,
    has_letters: bool,
    pub(super) notes: Rc<RefCell<Notes>>,
    random: Random,
    now: Moment,
    /// Whether each connection was accepted.
    accepted: Vec<bool>,
    pub(super) draining_since: Option<Moment>,
    pub(super) cut_at: Option<Moment>,
    /// Bytes that the server had read from each connection before the tick in which it decided to end it.
    pub(super) undecided: Vec<usize>,
    /// When each connection was seen last in a queue for its turn, or while letters were on their way that it may
    /// await.
    pub(super) queued_until: Vec<Moment>,
    /// Bytes that each client had sent when the server began to close idle connections.
    pub(super) sent_in_time: Vec<usize>,
    ticks: usize,
    /// How often a session was still runnable at the end of a tick, although it had a turn.
    pub(super) requeued: usize,
    /// How many turns may have ended because their time was over.
    pub(super) late_turns: usize,
}

impl World {
    pub(super) fn new(seed: u64, telling: Telling) -> Self {
        let mut random = Random::new(seed);
        let profile = Profile::new(&mut random);
        let mut trace = Trace::new(telling);
        trace.note(|| format!("world {seed}: {profile:?}"));
        let mut kernel = Kernel::new(Random::new(random.next()), trace, START, profile.interruptions);
        let mut clients = Vec::new();
        for number in 0..profile.clients {
            let client = profile.client(&mut random, number, START);
            let (flavour, sizes) = profile.socket(&mut random);
            kernel.connect(flavour, sizes);
            kernel.trace.note(|| client.introduction(flavour, sizes));
            clients.push(client);
        }
        let notes = Rc::new(RefCell::new(Notes::default()));
        let watcher: Box<dyn Observer> = Box::new(Watcher(Rc::clone(&notes)));
        let observers = profile.observed.then_some(watcher).into_iter().collect();
        let affairs = Affairs::new(Random::new(random.next()), START, profile.longest, telling != Telling::Nobody);
        lock(&affairs).price = profile.price;
        let clock = Box::new(VirtualClock(Arc::clone(&affairs)));
        let woken = Arc::new(AtomicBool::new(false));
        let bell = Arc::clone(&woken);
        let mailbox = Mailbox::new(move || bell.store(true, Ordering::Relaxed));
        Self {
            sessions: Sessions::new(profile.config.clone(), observers, clock, mailbox),
            accepted: vec![false; profile.clients],
            outside: Rc::new(RefCell::new(Outside {
                kernel,
                clients,
                affairs: Arc::clone(&affairs),
                bustle: profile.bustle,
            })),
            application: Application {
                nothing: Nothing,
                answered: vec![0; profile.clients],
                affairs: Arc::clone(&affairs),
                live: Live::default(),
            },
            affairs,
            woken,
            asleep: false,
            has_letters: false,
            notes,
            random,
            now: START,
            draining_since: None,
            cut_at: None,
            undecided: vec![0; profile.clients],
            queued_until: vec![Moment::ZERO; profile.clients],
            sent_in_time: vec![0; profile.clients],
            ticks: 0,
            requeued: 0,
            late_turns: 0,
            profile,
        }
    }

    /// Runs the world to its end and judges it.
    pub(super) fn run(&mut self) {
        while self.ticks < TICKS && !self.is_over() {
            self.go_on();
        }
        self.note(|| "now all clients are polite".to_owned());
        self.outside.borrow_mut().clients.iter_mut().for_each(|client| client.become_polite(self.now));
        while !self.is_over() {
            assert!(self.ticks < TOO_MANY_TICKS, "the world does not come to an end");
            self.go_on();
        }
        self.deliver_late_letters();
        verdict::pass(self);
    }

    /// Delivers the letters that come when all connections have ended. They must be dropped.
    fn deliver_late_letters(&mut self) {
        for _ in 0..TOO_MANY_TICKS {
            if !self.has_letters && !self.sessions.mailbox().is_rung() {
                return;
            }
            self.deliver();
        }
        panic!("there are always more letters");
    }

    /// Why each connection ended.
    pub(super) fn endings(&self) -> Vec<CloseReason> {
        let outside = self.outside.borrow();
        outside.kernel.sockets.iter().filter_map(|socket| socket.facts.closed).map(|(_, reason)| reason).collect()
    }

    fn note(&self, line: impl FnOnce() -> String) {
        self.outside.borrow_mut().kernel.trace.note(line);
    }

    fn is_over(&self) -> bool {
        self.sessions.is_empty() && self.outside.borrow().clients.iter().all(|client| client.is_done())
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// Lets some clients act, then the server, if it has anything to do. If nothing is to be done, time jumps.
    fn go_on(&mut self) {
        // A loop that does not sleep gets no wake-up, so it looks into the mailbox once more before it sleeps.
        self.asleep = !self.sessions.mailbox().announce_sleep();
        let due = self.outside.borrow().due().len() + lock(&self.affairs).due();
        let actions = self.random.below(2 * due + 1).max(usize::from(due > 0 && !self.has_work()));
        for _ in 0..actions {
            let mut outside = self.outside.borrow_mut();
            let (due, errands) = (outside.due(), lock(&self.affairs).due());
            match self.random.below((due.len() + errands).max(1)) {
                which if which < due.len() => outside.step(due[which]),
                _ if errands > 0 => outside.run_errand(),
                _ => {}
            }
        }
        // The application may be at work between two ticks.
        if self.random.percent(5) {
            self.application.live.wake_any(&mut self.random);
        }
        if self.has_work() {
            let lateness = if self.random.percent(self.profile.late) { 700_000 } else { 300 };
            let passed = Duration::from_micros(self.random.size(lateness) as u64);
            self.set_now(self.now + passed);
            self.tick();
        } else if self.outside.borrow().due().is_empty() && lock(&self.affairs).due() == 0 && !self.is_over() {
            self.jump();
        }
    }

    /// Whether the server's poll would not sleep.
    fn has_work(&self) -> bool {
        let outside = self.outside.borrow();
        let waits = outside.clients.iter().any(|client| client.connected && !self.accepted[client.number]);
        let rung = self.has_letters || !self.asleep || self.woken.load(Ordering::Relaxed);
        let is_due = self.sessions.next_deadline().is_some_and(|due| due <= self.now);
        self.sessions.runnable() > 0
            || self.sessions.has_ended()
            || outside.kernel.has_events()
            || waits
            || rung
            || is_due
    }

    /// Moves time to the next moment at which anything can happen.
    fn jump(&mut self) {
        let clients = self.outside.borrow().next_action();
        let to_come = self.connections_to_come().map(|(_, at)| at).min();
        let server = self.sessions.next_deadline().into_iter().chain(self.drain_deadline()).min();
        assert!(!self.sessions.mailbox().is_rung(), "the loop sleeps although a letter waits");
        let errands = lock(&self.affairs).next();
        let next = [clients, to_come, server, errands].into_iter().flatten().min();
        let Some(next) = next else { panic!("something waits for ever") };
        let late = self.random.percent(self.profile.late);
        let lateness = if late { Duration::from_millis(self.random.size(900) as u64) } else { Duration::ZERO };
        self.set_now(self.now.max(next) + lateness);
        if server.is_some_and(|server| server <= self.now) {
            self.tick();
            // The first poll began before the deadline, and the second one after it: now it is judged.
            let next = self.sessions.next_deadline();
            if next.is_some_and(|next| next <= self.now) {
                self.tick();
            }
            let next = self.sessions.next_deadline();
            self.asleep = !self.sessions.mailbox().announce_sleep();
            assert!(self.has_work() || next.is_none_or(|next| next > self.now), "the loop spins for a deadline");
        }
    }

    fn set_now(&mut self, now: Moment) {
        self.now = now;
        let mut affairs = lock(&self.affairs);
        (affairs.now, affairs.spent) = (now, Duration::ZERO);
        drop(affairs);
        let outside = &mut *self.outside.borrow_mut();
        outside.kernel.now = now;
        if self.draining_since.is_none() {
            let to_come = outside.clients.iter_mut().filter(|client| client.ending.is_none());
            to_come.filter(|client| client.connects_at <= now).for_each(|client| client.connected = true);
        }
    }

    fn connections_to_come(&self) -> impl Iterator<Item = (usize, Moment)> {
        let outside = self.outside.borrow();
        let to_come = outside.clients.iter().filter(|client| !client.connected && client.ending.is_none());
        to_come.map(|client| (client.number, client.connects_at)).collect::<Vec<_>>().into_iter()
    }

    fn drain_deadline(&self) -> Option<Moment> {
        // After a cut, no session is left.
        let in_grace = self.sessions.draining == Draining::Grace;
        let until = self.draining_since? + if in_grace { self.grace() } else { self.profile.config.drain_timeout };
        (!self.sessions.is_empty()).then_some(until)
    }

    // ---- the server -------------------------------------------------------------------------------------------------

    /// As `EventLoop::tick`.
    fn tick(&mut self) {
        self.ticks += 1;
        self.sessions.mailbox().announce_work();
        self.woken.store(false, Ordering::Relaxed);
        let signal = self.random.percent(self.profile.signals);
        let before = self.sessions.now();
        let (polled, events) = self.poll(signal);
        if self.random.percent(self.profile.stops) {
            self.stop();
        }
        self.sessions.set_now(self.now);
        self.sessions.set_date(UNIX_EPOCH + self.now.since(START));
        self.sessions.trim();
        self.sessions.interrupted = signal;
        for (key, readiness) in events {
            assert!(self.sessions.tell(key, readiness), "an event for a key that no session has");
        }
        self.sessions.note_poll(polled, before);
        self.accept();
        let waiting = Waiting::note(self);
        self.sessions.pump_runnable(&mut self.application);
        let without_turn = waiting.judge(self);
        let delivers = self.has_letters || self.sessions.mailbox().is_rung();
        if delivers {
            self.deliver();
            // Bytes wait until all letters are delivered that waited before.
            self.late_turns += self.sessions.given.len();
        }
        let unheard = checks::unheard(self);
        self.sessions.expire_deadlines(&mut self.application);
        self.sessions.relieve(&mut self.application);
        checks::still_listens(self, &unheard);
        sharing::tick_was_short(self);
        self.drain();
        self.sessions.reap(&mut self.application);
        self.outside.borrow_mut().kernel.signal = false;
        self.requeued += self.sessions.runnable().saturating_sub(without_turn);
        self.late_turns += (lock(&self.affairs).spent.as_nanos() / TURN_TIME.as_nanos()) as usize;
        for (_, session) in &self.sessions.slab {
            if session.queued || self.has_letters && session.connection.waits_for_application() {
                self.queued_until[session.transport.number] = self.now;
            }
            if session.connection.close_reason().is_none() {
                let number = session.transport.number;
                self.undecided[number] = self.outside.borrow().kernel.sockets[number].facts.taken;
            }
        }
        self.outside.borrow_mut().tell();
        checks::after_tick(self);
    }

    /// Polls, unless a signal interrupts the poll.
    fn poll(&mut self, signal: bool) -> (Polled, Vec<(usize, Readiness)>) {
        let interrupted = signal && self.random.percent(50);
        let kernel = &mut self.outside.borrow_mut().kernel;
        kernel.signal = signal;
        let (now, runnable) = (self.now.since(START), self.sessions.runnable());
        kernel.trace.note(|| format!("---- tick {} at {now:?}, {runnable} runnable, signal: {signal}", self.ticks));
        if interrupted {
            kernel.trace.note(|| "poll: interrupted".to_owned());
            return (Polled::Interrupted, Vec::new());
        }
        let events = kernel.epoll_wait(self.profile.batch);
        let polled = if events.len() < self.profile.batch { Polled::All } else { Polled::Part(events.len()) };
        (polled, events)
    }

    /// The process is stopped for a while, between a poll and the reading of the clock. Only the clients go on.
    fn stop(&mut self) {
        self.note(|| "server: is stopped".to_owned());
        for _ in 0..self.random.size(30) {
            let passed = Duration::from_micros(self.random.size(2_500_000) as u64);
            self.set_now(self.now + passed);
            for _ in 0..self.random.size(10) {
                let mut outside = self.outside.borrow_mut();
                let due = outside.due();
                if !due.is_empty() {
                    let which = due[self.random.below(due.len())];
                    outside.step(which);
                }
            }
        }
        self.note(|| "server: goes on".to_owned());
    }

    fn deliver(&mut self) {
        self.sessions.deliver(&mut self.application);
        self.has_letters = self.sessions.has_letters();
    }

    /// Whether letters are on their way.
    pub(super) fn awaits_letters(&self) -> bool {
        self.has_letters || self.sessions.mailbox().is_rung()
    }

    fn accept(&mut self) {
        for number in 0..self.accepted.len() {
            let waits = self.outside.borrow().clients[number].connected && !self.accepted[number];
            if waits && (self.draining_since.is_some() || self.random.percent(70)) {
                self.accept_one(number);
            }
        }
    }

    fn accept_one(&mut self, number: usize) {
        self.note(|| format!("server: accepts connection {number}"));
        self.accepted[number] = true;
        let (id, key) = (self.sessions.next_id(), self.sessions.vacant_key());
        self.notes.borrow_mut().ids.push((id, number));
        self.outside.borrow_mut().kernel.register(number, key);
        let socket = SimulatedSocket { outside: Rc::clone(&self.outside), wrote_last: false, number };
        self.sessions.begin(socket, Endpoint::Unix, id, self.profile.config.idle_timeout);
    }

    /// As `EventLoop::drain`.
    fn drain(&mut self) {
        match self.draining_since {
            None if self.profile.drains_after.is_some_and(|ticks| self.ticks >= ticks) => self.begin_drain(),
            None if self.profile.drains_when_busy && self.sessions.runnable() > 0 => self.begin_drain(),
            Some(since) if self.sessions.draining == Draining::Grace && self.now >= since + self.grace() => {
                self.close_idle();
            }
            Some(since) if self.sessions.looked_until() >= since + self.profile.config.drain_timeout => self.cut(),
            Some(_) if self.profile.impatient && self.sessions.runnable() > 0 => self.cut(),
            _ => {}
        }
    }

    fn cut(&mut self) {
        self.note(|| "server: closes all connections that are left".to_owned());
        self.cut_at.get_or_insert(self.now);
        self.sessions.cut();
    }

    fn begin_drain(&mut self) {
        self.note(|| "server: begins to drain".to_owned());
        self.draining_since = Some(self.now);
        self.sessions.draining = Draining::Grace;
        self.accept();
        for (number, _) in self.connections_to_come() {
            // The listener is closed.
            self.outside.borrow_mut().clients[number].ending = Some(Ending::Ours);
        }
        match self.grace() {
            Duration::ZERO => self.close_idle(),
            _ => self.look_at_all(),
        }
    }

    /// How long a client may ask once more in a drain.
    pub(super) fn grace(&self) -> Duration {
        self.profile.config.drain_grace.min(self.profile.config.drain_timeout)
    }

    fn close_idle(&mut self) {
        self.note(|| "server: closes idle connections".to_owned());
        self.sessions.draining = Draining::Closing;
        for (number, socket) in self.outside.borrow().kernel.sockets.iter().enumerate() {
            self.sent_in_time[number] = socket.facts.sent;
        }
        self.look_at_all();
    }

    fn look_at_all(&mut self) {
        self.sessions.look_at_all();
        self.sessions.pump_runnable(&mut self.application);
    }
}
