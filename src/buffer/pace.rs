use std::time::Duration;

use crate::http::Moment;

/// A minimum rate: how long the client may still take to send or to read.
///
/// The client begins with a grace period. Each byte then adds the time that it takes at the minimum rate, and the saved
/// time has an upper limit. So a client that keeps the rate never expires, and a burst makes up for a pause. A client
/// below the rate expires soon, however many bytes it sent or read before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// When the client's time is over; zero if the pace is not running.
    due: Moment,
}

impl Pace {
    /// Begins: the client's time is over `grace` from now, or never if there is no minimum rate.
    pub(crate) fn begin(now: Moment, grace: Duration, rate: u32) -> Self {
        let grace = if rate == 0 { Duration::MAX } else { grace };
        Self { due: now + grace }
    }

    pub(crate) const fn is_running(self) -> bool {
        self.due.as_nanos() > 0
    }

    /// When the client's time is over.
    pub(crate) const fn due(self) -> Moment {
        self.due
    }

    /// Gives the client at least as much time as `other` does.
    pub(crate) fn extend(&mut self, other: Self) {
        self.due = self.due.max(other.due);
    }

    /// Adds time that shall not count against the client, if the pace is running.
    pub(crate) fn postpone(&mut self, by: Duration) {
        if self.is_running() {
            self.due = self.due + by;
        }
    }

    /// Notes that `bytes` went through. They add the time that they take at `rate` bytes per second; at most `most` is
    /// saved.
    pub(crate) fn progress(&mut self, bytes: usize, now: Moment, rate: u32, most: Duration) {
        if rate == 0 {
            return;
        }
        let bought = Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / u64::from(rate));
        self.due = (self.due + bought).min(self.due.max(now + most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const RATE: u32 = 500;

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(1_000_000_000 * seconds)
    }

    #[test]
    fn a_client_that_keeps_the_rate_never_expires() {
        let mut pace = Pace::begin(at(1), 10 * SECOND, RATE);
        assert_eq!(pace.due(), at(11));
        for second in 2..100_000 {
            pace.progress(500, at(second), RATE, 30 * SECOND);
            assert_eq!(pace.due(), at(second + 10), "the client neither gains nor loses time");
        }
    }

    #[test]
    fn a_client_below_the_rate_loses_a_little_time_each_second() {
        let mut pace = Pace::begin(at(1), 10 * SECOND, RATE);
        let found_out = (2..).find(|&second| {
            pace.progress(250, at(second), RATE, 30 * SECOND);
            pace.due() <= at(second)
        });
        assert_eq!(found_out, Some(21), "at half the rate the grace lasts twice as long");
    }

    #[test]
    fn a_burst_makes_up_for_a_pause_but_not_for_a_long_one() {
        let mut pace = Pace::begin(at(1), 10 * SECOND, RATE);
        pace.progress(5000, at(2), RATE, 30 * SECOND);
        assert_eq!(pace.due(), at(21));
        pace.progress(usize::MAX, at(3), RATE, 30 * SECOND);
        assert_eq!(pace.due(), at(33));
    }

    #[test]
    fn a_grace_period_longer_than_the_saving_limit_is_not_cut() {
        let mut pace = Pace::begin(at(1), 100 * SECOND, RATE);
        pace.progress(1, at(2), RATE, 30 * SECOND);
        assert_eq!(pace.due(), at(101));
    }

    #[test]
    fn without_a_minimum_rate_the_client_never_expires() {
        let mut pace = Pace::begin(at(1), SECOND, 0);
        pace.progress(1, at(2), 0, SECOND);
        assert!(pace.is_running() && pace.due() > at(1 << 33));
        assert!(!Pace::default().is_running());
    }
}
