//! What the simulated application has begun and not ended. It keeps wakers, resumers, senders and responders, as other
//! threads would, and uses them later. It also records what becomes of its sources, senders and responders.
//!
//! All of this is in a mutex because answers must be `Send`; no thread ever waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::errands::{Errand, What};
use super::random::Random;
use crate::exchange::{BodySender, Clock, Progress, Responder};
use crate::http::Moment;

pub(super) type Shared = Arc<Mutex<Affairs>>;

/// The clock of the simulated server: the time of the world, and what the application has spent in this tick.
pub(super) struct VirtualClock(pub(super) Shared);

impl Clock for VirtualClock {
    fn now(&mut self) -> Moment {
        let affairs = lock(&self.0);
        affairs.now + affairs.spent
    }

    fn wall_clock(&mut self) -> SystemTime {
        UNIX_EPOCH
    }
}

/// A request: the number of its connection, and its own.
pub(super) type Whose = (usize, usize);

pub(super) struct Affairs {
    pub(super) random: Random,
    pub(super) now: Moment,
    /// The time that calls into the application have taken in this tick.
    pub(super) spent: Duration,
    /// The most that a call takes.
    pub(super) price: Duration,
    pub(super) errands: Vec<Errand>,
    pub(super) sources: Vec<Source>,
    pub(super) senders: Vec<Sender>,
    pub(super) responders: Vec<Deferred>,
    /// When the content of each connection was last resumed.
    pub(super) resumed: Vec<Moment>,
    /// What was wrong. It is not asserted on the spot, because the server catches a panic of the application.
    pub(super) fault: Option<String>,
    /// Lines for the trace.
    pub(super) lines: Vec<String>,
    /// Whether the trace is on.
    told: bool,
    /// The longest delay.
    longest: Duration,
}

/// A pull source, as it sees itself.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) whose: Whose,
    /// What it returned last; `None` before its first call.
    pub(super) said: Option<Progress>,
    /// It was woken since then.
    pub(super) woken: bool,
    pub(super) dropped: bool,
    pub(super) asked: usize,
    pub(super) given: usize,
}

/// A sender, as its callbacks see it.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) whose: Whose,
    pub(super) pushes: usize,
    /// How often it was told that the connection takes no more.
    pub(super) closed: usize,
}

/// A responder.
#[derive(Debug)]
pub(super) struct Deferred {
    pub(super) whose: Whose,
    pub(super) since: Moment,
    /// Its answer was called.
    pub(super) answered: usize,
    /// How often it was told that no client waits for it any more.
    pub(super) cancelled: usize,
    /// The responder was used or dropped.
    pub(super) used: bool,
}

pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Affairs> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Affairs {
    pub(super) fn new(random: Random, now: Moment, longest: Duration, told: bool) -> Shared {
        Arc::new(Mutex::new(Self {
            random,
            now,
            spent: Duration::ZERO,
            price: Duration::ZERO,
            errands: Vec::new(),
            sources: Vec::new(),
            senders: Vec::new(),
            responders: Vec::new(),
            resumed: Vec::new(),
            fault: None,
            lines: Vec::new(),
            told,
            longest,
        }))
    }

    pub(super) fn blame(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.told {
            self.lines.push(line());
        }
    }

    /// Lets a call into the application take its time: some take the whole price, others a part of it.
    pub(super) fn pay(&mut self) {
        let most = self.price.as_micros() as usize;
        if most > 0 {
            let cost = if self.random.percent(20) { most } else { self.random.below(most / 4 + 1) };
            self.spent += Duration::from_micros(cost as u64);
        }
    }

    /// A random delay: mostly zero, and now and then a long one.
    pub(super) fn delay(&mut self) -> Duration {
        let longest = self.longest.as_micros() as usize;
        let most = match self.random.below(40) {
            0..=23 => return Duration::ZERO,
            24..=36 => 3_000,
            37 | 38 => 100_000,
            _ => longest,
        };
        Duration::from_micros(self.random.size(most) as u64)
    }

    /// Adds an errand to be done after a random delay.
    pub(super) fn put_off(&mut self, whose: Whose, what: What) {
        let at = self.now + self.delay();
        self.errands.push(Errand { whose, at, after: None, what });
    }

    /// Adds an errand to be done when `flag` is set.
    pub(super) fn park(&mut self, whose: Whose, flag: Arc<AtomicBool>, what: What) {
        self.errands.push(Errand { whose, at: self.now, after: Some(flag), what });
    }

    /// When the next errand can be done.
    pub(super) fn next(&self) -> Option<Moment> {
        self.errands.iter().filter(|errand| errand.may_go()).map(|errand| errand.at).min()
    }

    /// How many errands can be done now.
    pub(super) fn due(&self) -> usize {
        self.errands.iter().filter(|errand| errand.may_go() && errand.at <= self.now).count()
    }

    /// Takes a random errand that can be done now.
    pub(super) fn take_due(&mut self) -> Option<Errand> {
        let is_due = |errand: &Errand| errand.may_go() && errand.at <= self.now;
        let due: Vec<usize> = (0..self.errands.len()).filter(|&at| is_due(&self.errands[at])).collect();
        if due.is_empty() {
            return None;
        }
        let at = self.random.pick(&due);
        Some(self.errands.swap_remove(at))
    }

    pub(super) fn has_resumed(&mut self, connection: usize) {
        if self.resumed.len() <= connection {
            self.resumed.resize(connection + 1, Moment::ZERO);
        }
        self.resumed[connection] = self.now;
    }

    /// The number of kept resumers of a request.
    pub(super) fn pauses(&self, whose: Whose) -> usize {
        self.errands.iter().filter(|errand| errand.whose == whose && matches!(errand.what, What::Resume(_))).count()
    }
}

/// Watches a new sender.
pub(super) fn watch_sender(shared: &Shared, whose: Whose, sender: &BodySender) -> usize {
    let mut affairs = lock(shared);
    affairs.senders.push(Sender { whose, pushes: 0, closed: 0 });
    let record = affairs.senders.len() - 1;
    drop(affairs);
    let watcher = Arc::clone(shared);
    sender.on_close(move || lock(&watcher).senders[record].closed += 1);
    record
}

/// Watches a new responder.
pub(super) fn watch_responder(shared: &Shared, whose: Whose, responder: &Responder) -> (usize, Arc<AtomicBool>) {
    let mut affairs = lock(shared);
    let since = affairs.now;
    affairs.responders.push(Deferred { whose, since, answered: 0, cancelled: 0, used: false });
    let record = affairs.responders.len() - 1;
    drop(affairs);
    let (watcher, flag) = (Arc::clone(shared), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&flag);
    responder.on_cancel(move || {
        lock(&watcher).responders[record].cancelled += 1;
        told.store(true, Ordering::Relaxed);
    });
    (record, flag)
}
