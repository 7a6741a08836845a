use std::time::{Instant, SystemTime};

use crate::http::Moment;

/// The clock of the event loop. The loop reads it at the start of each tick, and after its calls into the application,
/// to share out the time. Tests replace it.
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

/// Real time. Only a [`TestClient`](crate::TestClient) that waits for other threads needs it beside the clock.
pub(crate) fn real_time() -> Instant {
    Instant::now()
}
