//! The parts of a tick, and the time that each of them takes.

#[cfg(feature = "live")]
use std::time::Duration;

#[cfg(feature = "live")]
use crate::http::Moment;

/// A part of the tick, which ends when the next one begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Waiting,
    Events,
    Accept,
    Pump,
    Post,
    Timers,
    Expire,
    Drain,
    Reap,
}

/// What is known of the time of the parts.
#[cfg(feature = "live")]
#[derive(Debug, Default)]
pub(super) struct Laps {
    /// Whether the parts are timed.
    pub(super) on: bool,
    /// How many ticks have begun, timed or not.
    pub(super) ticks: u64,
    /// When the last part ended.
    at: Moment,
    pub(super) times: PartTimes,
}

#[cfg(feature = "live")]
impl Laps {
    /// Begins to time the parts, with sums of zero, or ends it.
    pub(super) fn turn_on(&mut self, on: bool) {
        if on {
            self.times = PartTimes::default();
        }
        self.on = on;
    }

    /// Begins a tick.
    pub(super) fn begin(&mut self, now: Moment) {
        self.at = now;
        self.times.ticks += 1;
    }

    /// Ends a part of the tick.
    pub(super) fn end(&mut self, part: Part, now: Moment) {
        let took = now.since(self.at);
        let times = self.times.part_mut(part);
        (times.total, times.last) = (times.total + took, took);
        self.at = now;
    }
}

/// The time that a part of the tick takes.
#[cfg(feature = "live")]
#[cfg_attr(docsrs, doc(cfg(feature = "live")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartTime {
    /// In all ticks since [`Running::time_parts`](crate::server::Running::time_parts).
    pub total: Duration,
    /// In the last of these ticks.
    pub last: Duration,
}

/// The time that the parts of the tick take, in their order: see
/// [`Running::time_parts`](crate::server::Running::time_parts). The sum of all parts is the time of the tick, without
/// what observers do at its end.
#[cfg(feature = "live")]
#[cfg_attr(docsrs, doc(cfg(feature = "live")))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartTimes {
    /// How many ticks were timed.
    pub ticks: u64,
    /// The poll: the sleep, and the call itself.
    pub waiting: PartTime,
    /// What the loop does with the events: it notes what the kernel said. Once a second it renews the date.
    pub events: PartTime,
    /// It accepts connections.
    pub accept: PartTime,
    /// It gives turns to connections. Here are reading, parsing, handlers and writing.
    pub pump: PartTime,
    /// It delivers letters, and runs tasks that were posted.
    pub post: PartTime,
    /// It runs timers of the application.
    pub timers: PartTime,
    /// It expires connections whose deadlines have passed, or that hold memory while that is short.
    pub expire: PartTime,
    /// It takes a step of the drain: it may accept connections, and give turns.
    pub drain: PartTime,
    /// It removes connections that have ended.
    pub reap: PartTime,
}

#[cfg(feature = "live")]
impl PartTimes {
    /// The parts with their names, in the order in which a tick runs them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, PartTime)> {
        let Self { ticks: _, waiting, events, accept, pump, post, timers, expire, drain, reap } = *self;
        [
            ("waiting", waiting),
            ("events", events),
            ("accept", accept),
            ("pump", pump),
            ("post", post),
            ("timers", timers),
            ("expire", expire),
            ("drain", drain),
            ("reap", reap),
        ]
        .into_iter()
    }

    const fn part_mut(&mut self, part: Part) -> &mut PartTime {
        match part {
            Part::Waiting => &mut self.waiting,
            Part::Events => &mut self.events,
            Part::Accept => &mut self.accept,
            Part::Pump => &mut self.pump,
            Part::Post => &mut self.post,
            Part::Timers => &mut self.timers,
            Part::Expire => &mut self.expire,
            Part::Drain => &mut self.drain,
            Part::Reap => &mut self.reap,
        }
    }
}
