//! How the time of a tick is shared out.
//!
//! Work is counted in time, because only time says what it costs the clients that wait. The clock is read after each
//! call into the application whose time decides what comes next. A turn ends after [`TURN_TIME`], and no turn of a tick
//! begins after [`TICK_TIME`].
//!
//! **Invariant**: a session that becomes runnable waits for the rest of a tick and one call, and for the turns of those
//! before it in its queue and in earlier queues; never for all of those in later ones.

use std::time::SystemTime;

use crate::exchange::Clock;
use crate::http::Moment;
use crate::limits::{PART_TIME, TICK_TIME, TURN_TIME};

/// The clock, the time of the tick, and the time that it has used.
pub(super) struct Timekeeper {
    pub(super) clock: Box<dyn Clock>,
    /// The time of this tick. For everything but the sharing of time, the whole tick happens then.
    pub(super) now: Moment,
    /// The last reading of the clock.
    read: Moment,
}

impl Timekeeper {
    pub(super) fn new(mut clock: Box<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, now, read: now }
    }

    pub(super) fn wall_clock(&mut self) -> SystemTime {
        self.clock.wall_clock()
    }

    /// Begins a tick, whose time is `now`.
    #[inline]
    pub(super) const fn begin_tick(&mut self, now: Moment) {
        self.now = now;
        self.read = now;
    }

    /// What the clock said when it was read last.
    #[inline]
    pub(super) const fn last_reading(&self) -> Moment {
        self.read
    }

    /// Sets what the clock said when it was read last, for a turn that is repeated.
    #[cfg(feature = "live")]
    pub(super) const fn set_last_reading(&mut self, read: Moment) {
        self.read = read;
    }

    /// Until when the turn goes on that begins now.
    #[inline]
    pub(super) fn end_of_turn(&self) -> Moment {
        self.read + TURN_TIME
    }

    /// Begins a part of the tick, and returns until when it goes on. The clock is read, because not all that was done
    /// before was timed.
    pub(super) fn begin_part(&mut self) -> Moment {
        self.read = self.clock.now();
        self.end_of_tick().max(self.read + PART_TIME)
    }

    /// When no further turn begins in this tick.
    #[inline]
    pub(super) fn end_of_tick(&self) -> Moment {
        self.now + TICK_TIME
    }

    /// Reads the clock after a piece of work, and returns whether `end` has come.
    #[inline]
    pub(super) fn has_come(&mut self, end: Moment) -> bool {
        self.read = self.clock.now();
        self.read >= end
    }

    /// Whether `end` had come when the clock was read last.
    #[inline]
    pub(super) fn had_come(&self, end: Moment) -> bool {
        self.read >= end
    }
}
