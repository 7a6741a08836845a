//! When a witness is told, and of what. Without a witness, all this costs a turn one branch.

use std::time::Duration;

use super::Sessions;
use super::happenings::{Cause, Happened};
use super::session::After;
use super::transport::Transport;
use super::turns::First;
use super::witness::{Opened, TurnBegins, TurnEnded, Witness};
use crate::exchange::{CloseReason, Service};

impl<T> Sessions<T> {
    /// From now on, this witness is told of what the sessions do.
    pub(crate) fn set_witness(&mut self, witness: Box<dyn Witness>) {
        self.told.witness = Some(witness);
    }

    /// Whether there is a witness.
    #[inline]
    pub(super) const fn is_witnessed(&self) -> bool {
        self.told.witness.is_some()
    }

    /// Notes why the next turn is given.
    #[inline]
    pub(super) const fn note_cause(&mut self, cause: Cause) {
        self.told.cause = cause;
    }

    /// Tells the witness of something that concerns no single session.
    #[inline]
    pub(crate) fn note(&mut self, event: Happened) {
        if let Some(witness) = &mut self.told.witness {
            witness.happened(event);
        }
    }

    /// Whether the witness wants to be told of the next second.
    pub(super) fn witness_is_behind(&self) -> bool {
        self.told.witness.as_ref().is_some_and(|witness| witness.is_behind())
    }
}

impl<T: Transport> Sessions<T> {
    pub(super) fn note_opened(&mut self, key: usize, idle_timeout: Duration) {
        let Some(witness) = &mut self.told.witness else { return };
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

    /// Gives a session its turn, and tells the witness what goes into it and what comes of it.
    #[cold]
    #[inline(never)]
    pub(super) fn witnessed_turn(&mut self, key: usize, service: &mut dyn Service, first: First<'_, T>) {
        self.tell_of_turn(key);
        // Without the trace log, this logs nothing. Another copy of the turn would be much code for little time.
        if let Some(after) = self.traced_turn(key, service, first) {
            self.tell_of_end(key, after);
        }
    }

    fn tell_of_turn(&mut self, key: usize) {
        let cause = std::mem::take(&mut self.told.cause);
        let (session, Some(witness)) = (&self.slab[key], &mut self.told.witness) else { return };
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

    fn tell_of_end(&mut self, key: usize, after: After) {
        let (session, Some(witness)) = (&self.slab[key], &mut self.told.witness) else { return };
        if !session.transport.is_recorded() {
            return;
        }
        witness.turn_ended(&TurnEnded {
            after,
            phase: session.connection.phase_text(),
            unread: session.connection.received_bytes(),
            owed: session.connection.owed(),
            deadline: session.deadline(&self.config),
            timeout: session.connection.timeout_name(&self.config, session.idle_timeout, session.activity),
        });
    }

    pub(super) fn note_cut(&mut self, key: usize) {
        let (session, Some(witness)) = (&self.slab[key], &mut self.told.witness) else { return };
        if session.transport.is_recorded() {
            witness.cuts(session.id, session.queued);
        }
    }

    /// Tells the witness that a session leaves the slab. Returns whether it wants to know when it has left.
    pub(super) fn note_leaving(&mut self, key: usize) -> bool {
        let (session, Some(witness)) = (&self.slab[key], &mut self.told.witness) else { return false };
        let is_recorded = session.transport.is_recorded();
        if is_recorded {
            let reason = session.connection.close_reason().unwrap_or(CloseReason::Cut);
            witness.ends(session.id, self.time.now, reason);
        }
        is_recorded
    }

    pub(super) fn note_left(&mut self) {
        if let Some(witness) = &mut self.told.witness {
            witness.ended();
        }
    }
}
