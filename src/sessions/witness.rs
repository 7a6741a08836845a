//! What a witness of the sessions is told, so that it can be written down and done once more: each turn with all that
//! goes into it, and what came of it.
//!
//! A turn is a function: of the session, of what the kernel and the application say within it, and of what is in
//! [`TurnBegins`]. So it can be repeated without a kernel: see `replaying`.

use std::time::{Duration, SystemTime};

use super::readiness::Readiness;
use super::session::After;
use crate::exchange::{CloseReason, ConnectionId, Draining, Endpoint, Letter};
use crate::http::Moment;

/// Watches the sessions whose transport [is recorded](Transport::is_recorded), and what the loop does beside them.
pub(crate) trait Witness {
    /// A session has begun in this slot.
    fn opened(&mut self, opened: &Opened);

    /// A turn begins.
    fn turn_begins(&mut self, turn: &TurnBegins);

    /// The turn has ended that began last.
    fn turn_ended(&mut self, turn: &TurnEnded);

    /// The server cuts a session.
    fn cuts(&mut self, id: ConnectionId, queued: bool);

    /// A session is about to leave the slab.
    fn ends(&mut self, id: ConnectionId, at: Moment, reason: CloseReason);

    /// The session that was about to leave the slab has left it.
    fn ended(&mut self);

    /// Something has happened, or is about to, that concerns no single session.
    fn happened(&mut self, event: Happened);

    /// Whether something is not written yet that should be written within a second.
    fn is_behind(&self) -> bool;
}

/// A session that begins.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) id: ConnectionId,
    pub(crate) slot: usize,
    pub(crate) peer: Endpoint,
    pub(crate) local: Endpoint,
    pub(crate) short_means_exhausted: bool,
    pub(crate) idle_timeout: Duration,
    pub(crate) at: Moment,
}

/// What goes into a turn.
#[derive(Clone, Debug)]
pub(crate) struct TurnBegins {
    pub(crate) id: ConnectionId,
    pub(crate) cause: Cause,
    /// What the kernel has said of the socket, as far as no call has shown yet that it is exhausted.
    pub(crate) readiness: Readiness,
    /// The time of the tick.
    pub(crate) at: Moment,
    /// What the clock said when it was read last: the time of the turn counts from here.
    pub(crate) began: Moment,
    /// Bytes of files that the turn may send.
    pub(crate) file_bytes: usize,
    pub(crate) draining: Draining,
    /// A signal came in this tick.
    pub(crate) interrupted: bool,
    /// Letters wait for more than a tick.
    pub(crate) letters_wait: bool,
    pub(crate) phase: String,
}

/// Why a session has a turn.
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

/// What came of a turn.
#[derive(Debug)]
pub(crate) struct TurnEnded {
    pub(crate) after: After,
    pub(crate) phase: String,
    /// Bytes that have come and are not consumed.
    pub(crate) unread: usize,
    /// Bytes that are queued and that the kernel has not taken.
    pub(crate) owed: usize,
    pub(crate) deadline: Moment,
    /// The timeout that the deadline represents, by its name.
    pub(crate) timeout: &'static str,
}

/// What concerns no single session.
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
