//! A clock that can be held. While the page keeps the loop from its next tick, the time of the loop stands still. So a
//! pause is held against no client, and a deadline that is 7 s away is still 7 s away after the pause.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use monoloop::http::Moment;
use monoloop::server::{Clock, SystemClock};

/// The time for which the clock was held so far, in nanoseconds. All copies are one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(Arc<AtomicU64>);

impl Held {
    /// The clock of the loop. Its time starts now.
    pub(crate) fn clock(&self) -> HeldClock {
        HeldClock { real: SystemClock::new(), held: self.clone() }
    }

    /// Takes this time out of the time of the loop. The loop must not run meanwhile.
    pub(super) fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

/// The clock of the loop that is observed: another clock, without the time for which it was held.
#[derive(Debug)]
pub(crate) struct HeldClock<C = SystemClock> {
    real: C,
    held: Held,
}

impl<C: Clock> Clock for HeldClock<C> {
    fn now(&mut self) -> Moment {
        Moment::from_nanos(self.real.now().as_nanos() - self.held.0.load(Ordering::Relaxed))
    }

    /// The `Date` of the replies goes on.
    fn wall_clock(&mut self) -> SystemTime {
        self.real.wall_clock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each reading is a second later.
    struct Seconds(u64);

    impl Clock for Seconds {
        fn now(&mut self) -> Moment {
            self.0 += 1;
            Moment::ZERO + Duration::from_secs(self.0)
        }
    }

    #[test]
    fn time_that_is_held_does_not_count() {
        let held = Held::default();
        let mut clock = HeldClock { real: Seconds(0), held: held.clone() };
        assert_eq!(clock.now(), Moment::ZERO + Duration::from_secs(1));
        held.add(Duration::from_millis(1500));
        assert_eq!(clock.now(), Moment::ZERO + Duration::from_millis(500));
        assert_eq!(clock.now(), Moment::ZERO + Duration::from_millis(1500));
    }
}
