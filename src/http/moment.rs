use std::ops::Add;
use std::time::Duration;

/// A point in time, counted from the start of the loop's clock.
///
/// The protocol core never reads a clock; its caller tells it the time. A moment takes eight bytes instead of the
/// sixteen of [`Instant`](std::time::Instant), because every connection stores one.
///
/// ```
/// use monoloop::http::Moment;
/// use std::time::Duration;
///
/// let later = Moment::ZERO + Duration::from_secs(2);
/// assert_eq!(later.since(Moment::ZERO), Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// The start of the clock.
    pub const ZERO: Self = Self(0);

    /// The last moment that can be counted; it means "never".
    pub const MAX: Self = Self(u64::MAX);

    /// The moment `nanos` nanoseconds after the start of the clock. The range is 584 years.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the start of the clock.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this moment; zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// Saturates: a timeout of centuries means "never" and does not panic.
    fn add(self, after: Duration) -> Self {
        let nanos = after.as_secs().saturating_mul(1_000_000_000);
        Self(self.0.saturating_add(nanos).saturating_add(u64::from(after.subsec_nanos())))
    }
}

/// A timeout of a connection in whole milliseconds. It takes four bytes, because every connection stores one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Millis(u32);

impl Millis {
    const fn as_nanos(self) -> u64 {
        self.0 as u64 * 1_000_000
    }

    /// Whole seconds, rounded down.
    pub(crate) const fn as_secs(self) -> u32 {
        self.0 / 1000
    }
}

impl From<Duration> for Millis {
    /// Rounds up, so that a short timeout does not become zero. The longest timeout is 49 days.
    fn from(duration: Duration) -> Self {
        Self(u32::try_from(duration.as_micros().div_ceil(1000)).unwrap_or(u32::MAX))
    }
}

impl From<Millis> for Duration {
    fn from(millis: Millis) -> Self {
        Self::from_millis(u64::from(millis.0))
    }
}

impl Add<Millis> for Moment {
    type Output = Self;

    fn add(self, after: Millis) -> Self {
        Self(self.0.saturating_add(after.as_nanos()))
    }
}
