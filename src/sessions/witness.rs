//! What a witness of the sessions is told, so that it can be written down and done once more: each turn with all that
//! goes into it, and what came of it.
//!
//! A turn is a function: of the session, of what the kernel and the application say within it, and of what is in
//! [`TurnBegins`]. So it can be repeated without a kernel: see `replaying`.

use std::time::Duration;

use super::happenings::{Cause, Happened};
use super::readiness::Readiness;
use super::session::After;
use crate::exchange::{CloseReason, ConnectionId, Draining, Endpoint};
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

/// The witness, and what it is told of the next turn.
#[derive(Default)]
pub(super) struct Told {
    pub(super) witness: Option<Box<dyn Witness>>,
    /// Why the next turn is given.
    pub(super) cause: Cause,
}
