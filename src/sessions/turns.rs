//! The turns: which session works when, and for how long.

use std::collections::VecDeque;

use super::Sessions;
use super::readiness::Readiness;
use super::session::{After, Sends, Session, Turn};
use super::transport::Transport;
use crate::exchange::Service;
use crate::h1::Context;
use crate::limits::{FILE_TICK, FILE_TURN, FILE_TURN_AMONG_OTHERS};

impl<T> Sessions<T> {
    /// Notes an event for a session, and returns false if no session has this key.
    #[inline]
    pub(crate) fn tell(&mut self, key: usize, event: Readiness) -> bool {
        let Some(session) = self.slab.get_mut(key) else { return false };
        if !session.closed {
            session.readiness.add(event);
            log::trace!("conn {}: event {}", session.id, session.readiness);
            enqueue(&mut self.runnable, &mut self.used_up, session, key);
        }
        true
    }

    #[inline]
    fn make_runnable(&mut self, key: usize) {
        let session = &mut self.slab[key];
        if !session.closed {
            enqueue(&mut self.runnable, &mut self.used_up, session, key);
        }
    }

    /// Makes every session try to read, although no event says that there is anything.
    pub(crate) fn look_at_all(&mut self) {
        let keys: Vec<usize> = self.slab.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.slab[key].readiness.readable = true;
            self.make_runnable(key);
        }
    }
}

impl<T: Transport> Sessions<T> {
    /// Gives turns to the sessions that are runnable now, until the time of the tick is over. Those that have not used
    /// up their last turn come first. A session that becomes runnable meanwhile has its turn in the next tick.
    #[inline(always)]
    pub(crate) fn pump_runnable(&mut self, service: &mut dyn Service) {
        std::mem::swap(&mut self.runnable, &mut self.turns);
        match (&self.turns[..], self.used_up.is_empty()) {
            ([], true) => {}
            // Nobody waits for it, so nobody asks how long its turn takes.
            (&[only], true) => {
                self.turns.clear();
                self.file_bytes = FILE_TURN;
                self.turn(only as usize, service, |session, _| session.queued = false);
            }
            _ => self.pump_many(service),
        }
    }

    #[inline(never)]
    fn pump_many(&mut self, service: &mut dyn Service) {
        self.file_bytes = self.share_of_files();
        let (end, used_up) = (self.time.end_of_part(), self.used_up.len());
        let mut given = 0;
        while given < self.turns.len() {
            self.timed_turn(self.turns[given] as usize, service, |session, _| session.queued = false);
            given += 1;
            if self.time.had_come(end) {
                break;
            }
        }
        self.put_back(given);
        self.pump_used_up(used_up, service);
    }

    /// Puts the turns that were not given before all that have become due meanwhile.
    fn put_back(&mut self, given: usize) {
        self.turns.drain(..given);
        if !self.turns.is_empty() {
            self.turns.append(&mut self.runnable);
            std::mem::swap(&mut self.runnable, &mut self.turns);
        }
    }

    /// Gives turns to the first `count` of the sessions that have used up their last turn: to one in any case, so that
    /// it cannot wait for ever.
    fn pump_used_up(&mut self, count: usize, service: &mut dyn Service) {
        let end = self.time.end_of_tick();
        for _ in 0..count {
            let Some(key) = self.used_up.pop_front() else { return };
            self.timed_turn(key as usize, service, |session, _| session.queued = false);
            if self.time.had_come(end) {
                return;
            }
        }
    }

    /// File bytes that each session may send in this tick. Other work must not wait long for downloads.
    fn share_of_files(&self) -> usize {
        let count = self.turns.len() + self.used_up.len();
        let mut all = self.turns.iter().chain(&self.used_up);
        match all.all(|&key| self.slab[key as usize].connection.is_held()) {
            true => (FILE_TICK / count.max(1)).clamp(FILE_TURN_AMONG_OTHERS, FILE_TURN),
            false => FILE_TURN_AMONG_OTHERS,
        }
    }

    /// [`turn`](Self::turn), and then notes whether it has used up its time.
    pub(super) fn timed_turn(
        &mut self,
        key: usize,
        service: &mut dyn Service,
        first: impl FnOnce(&mut Session<T>, &mut Context<'_>),
    ) {
        let end = self.time.end_of_turn();
        self.turn(key, service, first);
        if self.time.has_come(end) {
            self.slab[key].used_up = true;
        }
    }

    /// Gives a session its turn, unless it has ended: calls `first`, pumps the session, and then arms its deadline.
    #[inline(always)]
    fn turn(&mut self, key: usize, service: &mut dyn Service, first: impl FnOnce(&mut Session<T>, &mut Context<'_>)) {
        let session = &mut self.slab[key];
        if session.closed {
            return;
        }
        #[cfg(test)]
        self.given.push(key as u32);
        let end = self.time.end_of_turn();
        let mut idle_timeout = session.idle_timeout;
        self.reply.slot = key as u32;
        let mut cx = Context {
            now: self.time.now,
            clock: &mut *self.time.clock,
            id: session.id,
            config: &self.config,
            pools: &mut self.pools,
            reply: &mut self.reply,
            service,
            watch: &mut self.watch,
            idle_timeout: &mut idle_timeout,
            draining: self.draining,
        };
        first(session, &mut cx);
        let turn = Turn {
            partial_reads: self.interrupted,
            sends: Sends::up_to(self.file_bytes),
            end,
            scratch: &mut self.scratch,
        };
        let after = session.pump(&mut cx, turn);
        let wants_turn = session.connection.settle(&mut cx);
        session.idle_timeout = idle_timeout;
        session.used_up = after == After::Runnable;
        let deadline = session.deadline(&self.config);
        let comes_up_too_late = !session.timer.is_in_time(deadline);
        match after {
            After::Exhausted if wants_turn => self.make_runnable(key),
            After::Exhausted => {}
            After::Runnable => self.make_runnable(key),
            After::Closed => return self.close(key),
        }
        if comes_up_too_late {
            self.wheel.arm(&mut self.slab, key, deadline);
        }
    }
}

/// Adds a session to the queue of its kind, unless it is in one already.
#[inline]
fn enqueue<T>(runnable: &mut Vec<u32>, used_up: &mut VecDeque<u32>, session: &mut Session<T>, key: usize) {
    if !std::mem::replace(&mut session.queued, true) {
        match session.used_up {
            false => runnable.push(key as u32),
            true => used_up.push_back(key as u32),
        }
    }
}

#[cfg(all(test, feature = "json"))]
mod tests;
