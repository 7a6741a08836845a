//! What the sessions do when memory is short: about once a second, those end that hold memory for a client that neither
//! sends nor takes anything.

use std::collections::BinaryHeap;

use super::happenings::Cause;
use super::transport::Transport;
use super::{Session, Sessions};
use crate::exchange::Service;
use crate::limits::MEMORY_PATIENCE;

/// With room for no more sessions than this, none of it is given back.
const FEW: usize = 1024;

impl<T> Sessions<T> {
    /// Gives room back that was made for many sessions, when a quarter of it would do.
    pub(super) fn shrink_tables(&mut self) {
        if self.slab.capacity() > FEW && self.slab.len() < self.slab.capacity() / 4 {
            self.slab.shrink_to_fit();
            self.queues.shrink();
            self.turns.shrink_to_fit();
            self.ended.shrink_to_fit();
            self.letters.shrink_to_fit();
            self.outbox.shrink();
        }
    }
}

impl<T: Transport> Sessions<T> {
    /// Looks for memory if it is short, about once a second.
    #[inline]
    pub(crate) fn relieve(&mut self, service: &mut dyn Service) {
        if self.pools.ledger.relief_is_due {
            self.find_memory(service);
        }
    }

    #[cold]
    fn find_memory(&mut self, service: &mut dyn Service) {
        let (in_use, limit) = (self.pools.in_use(), self.pools.ledger.limit());
        // Half of it is enough for all that was refused: what is refused again makes this look again.
        let mut excess = in_use.saturating_sub(limit / 2);
        let mut stalled = self.stalled();
        let end = self.begin_part();
        while excess > 0
            && !self.time.had_come(end)
            && let Some((charged, key)) = stalled.pop()
        {
            excess = excess.saturating_sub(charged);
            self.note_cause(Cause::Memory);
            self.timed_turn(key, service, &mut Session::give_up);
        }
        if excess > 0 && !stalled.is_empty() {
            // This part of the tick is over. The next tick goes on, a second later at most.
            return;
        }
        let refused = self.pools.ledger.take_refused();
        self.reply.set_room(self.pools.ledger.room_for_reply());
        if refused > 0 {
            log::warn!(
                "memory is short: {in_use} of {limit} bytes are in use, and {refused} requests or connections were \
                 given up since the last time"
            );
            self.watch.tell(|observer| observer.memory_short(in_use, limit));
        }
    }

    /// The charges and keys of the sessions whose clients let their connections hold memory and do nothing, the largest
    /// charge on top.
    fn stalled(&self) -> BinaryHeap<(usize, usize)> {
        // As for deadlines: a client may have done something that the loop has not looked at.
        let looked_until = self.looked_until();
        let is_stalled = |session: &Session<T>| {
            session.activity + MEMORY_PATIENCE <= looked_until
                && !session.closed
                && !session.queued
                && session.connection.holds_for_client()
        };
        let stalled = self.slab.iter().filter(|(_, session)| is_stalled(session));
        stalled.map(|(key, session)| (session.connection.charged(), key)).collect()
    }
}
