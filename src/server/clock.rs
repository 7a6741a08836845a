use std::time::{Instant, SystemTime};

use crate::http::Moment;

/// The loop's clock. It is read once per tick; tests put their own in.
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
    /// The time since some fixed start; never goes back.
    fn now(&mut self) -> Moment;

    /// The time of day, for the `Date` field. Read about once a second.
    fn wall_clock(&mut self) -> SystemTime {
        SystemTime::now()
    }
}

/// The clock of the system. It starts when it is made.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&mut self) -> Moment {
        Moment::from_nanos(u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
