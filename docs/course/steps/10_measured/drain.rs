//! How far the server is on its way to the end.
//!
//! ```text
//!     Serving ── the order ──▶ Draining ── no connection is left ──▶ (the loop ends)
//!                                 └────── its time is over ──▶ what is left is cut
//! ```

use std::time::Duration;

use crate::deadlines::Moment;

/// How long a drain may take. What is left then is cut.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, PartialEq)]
pub enum Drain {
    Serving,
    /// What is left at this time is cut.
    Draining {
        until: Moment,
    },
}

impl Drain {
    /// Begins, if it has not begun. Returns whether it begins now.
    pub fn begin(&mut self, now: Moment) -> bool {
        let begins = *self == Self::Serving;
        if begins {
            *self = Self::Draining { until: now + TIMEOUT };
        }
        begins
    }

    pub fn has_begun(&self) -> bool {
        *self != Self::Serving
    }

    /// When what is left is cut.
    pub fn deadline(&self) -> Option<Moment> {
        match *self {
            Self::Serving => None,
            Self::Draining { until } => Some(until),
        }
    }
}
