//! Up to which time the loop has looked at its sockets.
//!
//! A poll tells what came before it began. So the time of the clock reading before a poll that brought all events is a
//! time of which the loop knows everything. A poll that a signal interrupted tells nothing, and a poll that is full may
//! leave some sockets for the next one.

use crate::http::Moment;

/// What a poll has told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// All events that there were.
    All,
    /// As many events as fit, so many of them for sessions. There may be more.
    Part(usize),
    /// Nothing: a signal interrupted it.
    Interrupted,
}

/// How far the polls have come.
#[derive(Debug)]
pub(super) struct Look {
    /// All that came before this time has been looked at.
    until: Moment,
    /// When the first of the full polls began that have not told everything yet.
    began: Moment,
    /// How many more events for sessions they must bring, so that each session of that time was among them. Zero if the
    /// last poll told everything.
    missing: usize,
}

impl Look {
    pub(super) const fn new(now: Moment) -> Self {
        Self { until: now, began: now, missing: 0 }
    }

    #[inline]
    pub(super) const fn until(&self) -> Moment {
        self.until
    }

    /// Notes a poll that began after `before`, when there were this many sessions.
    #[inline]
    pub(super) fn note(&mut self, polled: Polled, before: Moment, sessions: usize) {
        match polled {
            Polled::All => (self.until, self.missing) = (before, 0),
            polled => self.note_part(polled, before, sessions),
        }
    }

    /// The kernel reports the sockets in turn. So after one event for each session, every socket that was ready when
    /// the first of these polls began has been reported.
    #[cold]
    fn note_part(&mut self, polled: Polled, before: Moment, sessions: usize) {
        let Polled::Part(events) = polled else { return };
        if self.missing == 0 {
            (self.began, self.missing) = (before, sessions);
        }
        self.missing = self.missing.saturating_sub(events);
        if self.missing == 0 {
            self.until = self.began;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_polls_that_told_everything_move_it_on() {
        let at = Moment::from_nanos;
        let mut look = Look::new(at(1));
        let mut after = |polled, before, sessions| {
            look.note(polled, at(before), sessions);
            look.until()
        };
        assert_eq!(after(Polled::All, 2, 9), at(2));
        assert_eq!(after(Polled::Interrupted, 3, 9), at(2));
        assert_eq!(after(Polled::Part(4), 4, 9), at(2));
        assert_eq!(after(Polled::Part(4), 5, 9), at(2));
        assert_eq!(after(Polled::Interrupted, 6, 9), at(2));
        assert_eq!(after(Polled::Part(4), 7, 9), at(4), "each session has had its event since then");
        assert_eq!(after(Polled::Part(4), 8, 9), at(4));
        assert_eq!(after(Polled::All, 9, 9), at(9));
        assert_eq!(after(Polled::Part(4), 10, 8), at(9));
        assert_eq!(after(Polled::Part(4), 11, 4), at(10), "four sessions have ended meanwhile");
        assert_eq!(after(Polled::Part(4), 12, 8), at(10));
        assert_eq!(
            after(Polled::Part(1), 13, 4),
            at(10),
            "those that have ended were reported, not those that are left"
        );
        assert_eq!(after(Polled::Part(4), 14, 4), at(12));
    }
}
