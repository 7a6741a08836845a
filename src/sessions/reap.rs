//! The end of sessions: they are marked first, and leave the slab at the end of the tick.

use super::Sessions;
use super::transport::Transport;
use crate::exchange::{CloseReason, Draining, Service};

impl<T> Sessions<T> {
    /// Marks a session as ended; it stays in the slab until the end of the tick.
    pub(super) fn close(&mut self, key: usize) {
        if !std::mem::replace(&mut self.slab[key].closed, true) {
            self.ended.push(key as u32);
        }
    }
}

impl<T: Transport> Sessions<T> {
    /// Closes all sessions that are left, and returns how many of them still owed something to their clients. A session
    /// that only waits for its client to notice the end is not counted, nor one that was idle in the grace of a drain.
    pub(crate) fn cut(&mut self) -> usize {
        let keys: Vec<usize> = self.slab.iter().map(|(key, _)| key).collect();
        let count = keys.into_iter().filter(|&key| self.cut_session(key)).count();
        self.set_draining(Draining::Closing);
        count
    }

    /// Closes a session, and returns whether it still owed something.
    pub(super) fn cut_session(&mut self, key: usize) -> bool {
        self.note_cut(key);
        let had_grace = self.draining.has_begun();
        let session = &mut self.slab[key];
        // A session in a queue may have something in its socket that nobody has read.
        let is_idle = had_grace && session.connection.is_idle() && !(session.queued && session.has_unread());
        let loses_nothing = is_idle || session.connection.sends_nothing_more();
        let loses = !session.closed && !loses_nothing;
        if loses {
            session.connection.cut(session.id);
        }
        self.close(key);
        loses
    }

    /// Removes sessions that have ended, for no longer than a part of the tick, and returns whether there was one.
    /// Dropping the transport closes it.
    #[inline]
    pub(crate) fn reap(&mut self, service: &mut dyn Service) -> bool {
        let any = !self.ended.is_empty();
        if any {
            self.reap_ended(service);
        }
        any
    }

    #[inline(never)]
    fn reap_ended(&mut self, service: &mut dyn Service) {
        // The queues may still hold keys of ended sessions.
        self.queues.retain(|key| !self.slab[key as usize].closed);
        let end = self.begin_part();
        let mut done = 0;
        while done < self.ended.len() {
            self.remove(self.ended[done] as usize, service);
            done += 1;
            // Where memory is short, what they hold is worth more than the time.
            if self.time.has_come(end) && !self.pools.ledger.is_tight() {
                break;
            }
        }
        self.ended.drain(..done);
    }

    /// Removes all sessions, however long that takes. The clock is not read: it may be what has failed.
    pub(crate) fn abandon(&mut self, service: &mut dyn Service) {
        self.cut();
        for key in std::mem::take(&mut self.ended) {
            self.remove(key as usize, service);
        }
    }

    /// Removes a session that has ended.
    pub(super) fn remove(&mut self, key: usize, service: &mut dyn Service) {
        let is_recorded = self.note_leaving(key);
        self.wheel.disarm(&mut self.slab, key);
        let mut session = self.slab.remove(key);
        // A connection that goes on has no reason of its own: it was cut.
        let reason = session.connection.close_reason().unwrap_or(CloseReason::Cut);
        if session.connection.is_cut_short() {
            session.transport.reset();
        }
        if self.watch.is_some() {
            let time = &mut self.time;
            session.connection.tell_cut(&mut self.watch, session.id, || time.clock.now().max(time.now));
        }
        session.connection.release(session.id, reason, &mut self.pools, service);
        self.reply.set_room(self.pools.ledger.room_for_reply());
        session.transport.ended(reason);
        if is_recorded {
            self.note_left();
        }
        log::trace!("conn {}: reaped from slot {key}: {reason}", session.id);
        if session.connection.is_held() {
            self.watch.tell(|observer| observer.backpressure(session.id, false));
        }
        self.watch.tell(|observer| observer.connection_closed(session.id, reason));
    }
}
