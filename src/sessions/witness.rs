//! What a witness of the sessions is told, so that it can be written down and done once more: each turn with all that
//! goes into it, and what came of it.
//!
//! A turn is a function: of the session, of what the kernel and the application say within it, and of what is in
//! [`TurnBegins`]. From these, `replaying` repeats it without a kernel.

use std::time::{Duration, SystemTime};

use super::Sessions;
use super::readiness::Readiness;
use super::session::After;
use super::transport::Transport;
use crate::exchange::{CloseReason, ConnectionId, Draining, Endpoint, Letter, Timeout};
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
    /// The timeout that the deadline represents.
    pub(crate) timeout: Timeout,
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

impl<T> Sessions<T> {
    /// Sets who is told of what the sessions do.
    pub(crate) fn set_witness(&mut self, witness: Box<dyn Witness>) {
        self.witness = Some(witness);
    }

    /// Notes why the next turn is given.
    #[inline]
    pub(super) const fn note_cause(&mut self, cause: Cause) {
        self.cause = cause;
    }

    /// Tells the witness of something that concerns no single session.
    #[inline]
    pub(crate) fn note(&mut self, event: Happened) {
        if let Some(witness) = &mut self.witness {
            witness.happened(event);
        }
    }

    /// Whether the witness wants to be told of the next second.
    pub(super) fn witness_is_behind(&self) -> bool {
        self.witness.as_ref().is_some_and(|witness| witness.is_behind())
    }
}

impl<T: Transport> Sessions<T> {
    pub(super) fn note_opened(&mut self, key: usize, idle_timeout: Duration) {
        let Some(witness) = &mut self.witness else { return };
        let session = &self.slab[key];
        if session.transport.is_recorded() {
            witness.opened(&Opened {
                id: session.id,
                slot: key,
                peer: session.peer,
                local: session.transport.local(),
                short_means_exhausted: session.transport.short_means_exhausted(),
                idle_timeout,
                at: self.time.now,
            });
        }
    }

    /// Tells the witness, if there is one, that a session is about to have its turn.
    #[inline]
    pub(super) fn note_turn(&mut self, key: usize) {
        if self.witness.is_some() {
            self.tell_of_turn(key);
        }
    }

    #[cold]
    fn tell_of_turn(&mut self, key: usize) {
        let cause = std::mem::take(&mut self.cause);
        let (session, Some(witness)) = (&self.slab[key], &mut self.witness) else { return };
        if session.closed || !session.transport.is_recorded() {
            return;
        }
        witness.turn_begins(&TurnBegins {
            id: session.id,
            cause,
            readiness: session.readiness,
            at: self.time.now,
            began: self.time.last_reading(),
            file_bytes: self.file_bytes,
            draining: self.draining,
            interrupted: self.interrupted,
            letters_wait: !self.letters.is_empty(),
            phase: session.connection.phase_text(),
        });
    }

    /// Tells the witness, if there is one, what came of the turn of a session.
    #[inline]
    pub(super) fn note_end_of_turn(&mut self, key: usize, after: After, deadline: Moment) {
        if self.witness.is_some() {
            self.tell_of_end(key, after, deadline);
        }
    }

    #[cold]
    fn tell_of_end(&mut self, key: usize, after: After, deadline: Moment) {
        let (session, Some(witness)) = (&self.slab[key], &mut self.witness) else { return };
        if !session.transport.is_recorded() {
            return;
        }
        let next = session.connection.timeout(&self.config, session.idle_timeout, session.activity);
        witness.turn_ended(&TurnEnded {
            after,
            phase: session.connection.phase_text(),
            unread: session.connection.unread(),
            owed: session.connection.owed(),
            deadline,
            timeout: next.map_or(Timeout::Idle, |(_, timeout)| timeout),
        });
    }

    pub(super) fn note_cut(&mut self, key: usize) {
        let (session, Some(witness)) = (&self.slab[key], &mut self.witness) else { return };
        if session.transport.is_recorded() {
            witness.cuts(session.id, session.queued);
        }
    }

    /// Tells the witness that a session leaves the slab. Returns whether it wants to know when it has left.
    pub(super) fn note_leaving(&mut self, key: usize) -> bool {
        let (session, Some(witness)) = (&self.slab[key], &mut self.witness) else { return false };
        let is_recorded = session.transport.is_recorded();
        if is_recorded {
            let reason = session.connection.close_reason().unwrap_or(CloseReason::Cut);
            witness.ends(session.id, self.time.now, reason);
        }
        is_recorded
    }

    pub(super) fn note_left(&mut self) {
        if let Some(witness) = &mut self.witness {
            witness.ended();
        }
    }
}
