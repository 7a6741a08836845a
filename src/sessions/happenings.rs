//! What the loop tells a witness beside the turns, and why a turn is given. They are named also where nothing can be
//! recorded (without the feature `live`), so that the places that tell need no condition.

use std::time::{Duration, SystemTime};

use crate::exchange::{Draining, Letter};
use crate::http::Moment;

/// Why a session has a turn.
#[cfg_attr(not(feature = "live"), allow(dead_code, reason = "without recordings, nobody reads it"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It was in the queue of the sessions that have work to do.
    #[default]
    Runnable,
    /// A letter of this kind came.
    Answer,
    Unanswered,
    Interim,
    Wake,
    Resume,
    /// Its deadline has passed.
    Deadline,
    /// Memory is short.
    Memory,
}

impl Cause {
    pub(crate) const fn of(letter: &Letter) -> Self {
        match letter {
            Letter::Answer(_) => Self::Answer,
            Letter::Unanswered => Self::Unanswered,
            Letter::Interim(_) => Self::Interim,
            Letter::Wake => Self::Wake,
            Letter::Resume => Self::Resume,
        }
    }
}

/// What concerns no single session.
#[cfg_attr(not(feature = "live"), allow(dead_code, reason = "without recordings, nobody reads it"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happened {
    /// A new second: the `Date` of the replies from now on.
    Second(SystemTime),
    /// The application's next timer is run, if it is due.
    Timers(Moment),
    /// A task that was posted is run.
    Posted(Moment),
    /// The server has come that far on its way to the end.
    Draining(Draining),
    /// The loop was late by so much in the tick of this time, and the deadlines of its sessions move.
    Forgiven { late: Duration, at: Moment },
}
