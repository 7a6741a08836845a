use std::time::Duration;

use crate::http::Moment;

/// A minimum rate: how long the other side may still take for what it is to send or to read.
///
/// It begins with some grace. From then on each byte buys the time that it takes at the minimum rate, and only so much
/// of that can be saved up. So whoever keeps to the rate goes on for ever, a burst pays for a pause, and whoever drips
/// is found out soon, however much went through before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// When the time is over; zero if it does not run.
    due: Moment,
}

impl Pace {
    /// Begins: `grace` from now, or for ever if there is no rate to keep to.
    pub(crate) fn begin(now: Moment, grace: Duration, rate: u32) -> Self {
        let grace = if rate == 0 { Duration::MAX } else { grace };
        Self { due: now + grace }
    }

    pub(crate) const fn is_running(self) -> bool {
        self.due.as_nanos() > 0
    }

    /// When the time is over.
    pub(crate) const fn due(self) -> Moment {
        self.due
    }

    /// Runs at least as long as `other`.
    pub(crate) fn extend(&mut self, other: Self) {
        self.due = self.due.max(other.due);
    }

    /// So much time does not count.
    pub(crate) fn postpone(&mut self, by: Duration) {
        if self.is_running() {
            self.due = self.due + by;
        }
    }

    /// So many bytes went through; at `rate` bytes per second they buy time, of which at most `most` is kept.
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
    fn whoever_keeps_to_the_rate_goes_on_for_ever() {
        let mut pace = Pace::begin(at(1), 10 * SECOND, RATE);
        assert_eq!(pace.due(), at(11));
        for second in 2..100_000 {
            pace.progress(500, at(second), RATE, 30 * SECOND);
            assert_eq!(pace.due(), at(second + 10), "neither gains nor loses");
        }
    }

    #[test]
    fn whoever_drips_loses_a_little_each_second() {
        let mut pace = Pace::begin(at(1), 10 * SECOND, RATE);
        let found_out = (2..).find(|&second| {
            pace.progress(250, at(second), RATE, 30 * SECOND);
            pace.due() <= at(second)
        });
        assert_eq!(found_out, Some(21), "at half the rate the grace lasts twice as long");
    }

    #[test]
    fn a_burst_pays_for_a_pause_but_not_for_a_long_one() {
        let mut pace = Pace::begin(at(1), 10 * SECOND, RATE);
        pace.progress(5000, at(2), RATE, 30 * SECOND);
        assert_eq!(pace.due(), at(21));
        pace.progress(usize::MAX, at(3), RATE, 30 * SECOND);
        assert_eq!(pace.due(), at(33));
    }

    #[test]
    fn a_grace_that_is_longer_than_what_can_be_saved_is_not_cut() {
        let mut pace = Pace::begin(at(1), 100 * SECOND, RATE);
        pace.progress(1, at(2), RATE, 30 * SECOND);
        assert_eq!(pace.due(), at(101));
    }

    #[test]
    fn without_a_rate_there_is_no_end() {
        let mut pace = Pace::begin(at(1), SECOND, 0);
        pace.progress(1, at(2), 0, SECOND);
        assert!(pace.is_running() && pace.due() > at(1 << 33));
        assert!(!Pace::default().is_running());
    }
}
