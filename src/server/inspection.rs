//! What the loop looks like between two turns.

use std::fmt;
use std::time::Duration;

use super::event_loop::EventLoop;
use super::laps::PartTimes;
use crate::exchange::observer::{Observer, ObserverId};
use crate::exchange::{Draining, Watch};
use crate::http::Moment;
use crate::sessions::{ConnectionView, PoolView, QueueLengths};

impl EventLoop {
    /// Adds an observer, and tells it what it has missed and what still is so.
    pub(super) fn observe(&mut self, observer: Box<dyn Observer>) -> ObserverId {
        let mut new = Watch::new(vec![observer]);
        self.acceptor.local().for_each(|local| new.tell(|observer| observer.listening(&local)));
        self.sessions.introduce(&mut new);
        if let Some(cause) = self.drain.cause() {
            new.tell(|observer| observer.draining(cause));
        }
        self.sessions.watch.lend(new)
    }
}

/// What the loop looks like between two turns: see [`Running::inspect`](super::Running::inspect).
///
/// Nothing is copied or counted before it is asked for. All times are as of [`now`](Self::now).
#[cfg_attr(docsrs, doc(cfg(feature = "live")))]
#[derive(Clone, Copy)]
pub struct Inspection<'a> {
    event_loop: &'a EventLoop,
}

impl<'a> Inspection<'a> {
    pub(super) const fn new(event_loop: &'a EventLoop) -> Self {
        Self { event_loop }
    }

    /// The length of the slab's table: how many connections fit in before it grows. Each
    /// [slot](ConnectionView::slot) is below it. The table grows twofold, and seldom shrinks.
    pub fn slots(&self) -> usize {
        self.event_loop.sessions.slots()
    }

    /// All connections, in the order of their slots; also those that have ended and are still to be reaped. It takes
    /// time for each of them, so think of the clients that wait.
    pub fn connections(&self) -> impl Iterator<Item = ConnectionView<'a>> {
        self.event_loop.sessions.views()
    }

    /// How much waits for the next tick.
    pub fn queues(&self) -> QueueLengths {
        self.event_loop.sessions.queue_lengths()
    }

    /// The timer wheel: its slots that are not empty, in their order, each with the time until it comes up and the
    /// number of its connections. Each slot is 250 milliseconds wide. A connection may come up before its deadline;
    /// then it is armed again.
    pub fn wheel(&self) -> impl Iterator<Item = (Duration, usize)> + use<'a> {
        self.event_loop.sessions.wheel()
    }

    /// The pools from which connections borrow their buffers.
    pub fn pools(&self) -> impl Iterator<Item = PoolView> + use<> {
        self.event_loop.sessions.pool_views().into_iter()
    }

    /// Bytes of memory that connections and pools hold, and how many they may by
    /// [`Config::max_memory`](crate::Config::max_memory); `None` if that sets no limit. Of each pool, the box that came
    /// back last does not count: it is mostly lent next.
    pub fn memory(&self) -> (usize, Option<usize>) {
        self.event_loop.sessions.memory_in_use()
    }

    /// The time that the parts of the ticks took, if [`Running::time_parts`](super::Running::time_parts) was called.
    pub const fn parts(&self) -> &'a PartTimes {
        &self.event_loop.laps.times
    }

    /// How many ticks there were.
    pub const fn ticks(&self) -> u64 {
        self.event_loop.laps.ticks
    }

    /// How far the server is on its way to the end.
    pub const fn stage(&self) -> DrainStage {
        match self.event_loop.drain.for_connections() {
            Draining::No => DrainStage::Serving,
            Draining::Asked => DrainStage::Delayed,
            Draining::Grace => DrainStage::Grace,
            Draining::Closing => DrainStage::Closing,
        }
    }

    /// The time until a drain cuts the connections that are left; zero if it is due. `None` while the server accepts
    /// new connections.
    pub fn cut_in(&self) -> Option<Duration> {
        self.event_loop.drain.cut_at().map(|at| at.since(self.now()))
    }

    /// The time of the last tick, by the clock of the server.
    pub const fn now(&self) -> Moment {
        self.event_loop.sessions.now()
    }
}

impl fmt::Debug for Inspection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.connections()).finish()
    }
}

/// How far a server is on its way to the end.
#[cfg_attr(docsrs, doc(cfg(feature = "live")))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DrainStage {
    /// Nothing has asked it to stop.
    Serving,
    /// It was asked to stop. It serves as before for [`Config::drain_delay`](crate::Config::drain_delay).
    Delayed,
    /// It accepts no connection, and waits for [`Config::drain_grace`](crate::Config::drain_grace) for requests that
    /// are still on their way.
    Grace,
    /// It closes connections between two requests. After [`Config::drain_timeout`](crate::Config::drain_timeout) it
    /// cuts those that are left.
    Closing,
}

impl fmt::Display for DrainStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
