use rustix::time::{ClockId, clock_gettime};

use crate::exchange::Clock;
use crate::http::Moment;

/// The clock of the system, `CLOCK_MONOTONIC` (clock_gettime(2)). Its time starts when it is made.
///
/// It works with plain numbers: an [`Instant`](std::time::Instant) needs six times as many instructions to compute the
/// time that has passed.
#[derive(Debug)]
pub struct SystemClock {
    start: u64,
}

impl SystemClock {
    /// Makes a clock whose time starts now.
    pub fn new() -> Self {
        Self { start: monotonic_nanos() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&mut self) -> Moment {
        Moment::from_nanos(monotonic_nanos() - self.start)
    }
}

/// Nanoseconds since a time before the program began. A `u64` is enough for 584 years.
#[inline]
fn monotonic_nanos() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
