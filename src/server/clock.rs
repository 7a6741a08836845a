use std::time::SystemTime;

use rustix::time::{ClockId, clock_gettime};

use crate::http::Moment;

/// The clock of the event loop. The loop reads it once per tick; tests replace it.
///
/// ```
/// use monoloop::{Server, http::Moment, server::Clock};
///
/// struct Frozen;
///
/// impl Clock for Frozen {
///     fn now(&mut self) -> Moment {
///         Moment::ZERO
///     }
/// }
///
/// # fn main() -> monoloop::server::Result<()> {
/// let server = Server::bind("127.0.0.1:0")?.clock(Frozen);
/// # Ok(())
/// # }
/// ```
pub trait Clock {
    /// The time since a fixed start. It never goes back.
    fn now(&mut self) -> Moment;

    /// The time of day, for the `Date` field. The loop reads it about once a second.
    fn wall_clock(&mut self) -> SystemTime {
        SystemTime::now()
    }
}

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
