//! The turns: which session works when, and for how long.

use std::collections::VecDeque;

use super::Sessions;
use super::queues::Queues;
use super::readiness::Readiness;
use super::session::{After, Sends, Session, Standing, Turn};
use super::transport::Transport;
use crate::exchange::Service;
use crate::h1::Context;
use crate::http::Moment;
use crate::limits::{FILE_TICK, FILE_TURN, FILE_TURN_AMONG_OTHERS};

/// What is done at the beginning of a turn.
pub(super) type First<'a, T> = &'a mut dyn FnMut(&mut Session<T>, &mut Context<'_>);

impl<T> Sessions<T> {
    /// Notes an event for a session, and returns false if no session has this key.
    #[inline]
    pub(crate) fn tell(&mut self, key: usize, event: Readiness) -> bool {
        let Some(session) = self.slab.get_mut(key) else { return false };
        if !session.closed {
            session.readiness.add(event);
            self.queues.add(session, key);
        }
        true
    }

    #[inline]
    fn make_runnable(&mut self, key: usize) {
        let session = &mut self.slab[key];
        if !session.closed {
            self.queues.add(session, key);
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
    /// Gives turns to the sessions that are runnable now, until the time of the tick is over. A session that becomes
    /// runnable meanwhile has its turn in the next tick.
    #[inline(always)]
    pub(crate) fn pump_runnable(&mut self, service: &mut dyn Service) {
        std::mem::swap(&mut self.queues.polite, &mut self.turns);
        match (&self.turns[..], self.queues.are_all_polite()) {
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

    /// Gives turns to the polite sessions first, then to new ones, then to those that have used up a turn.
    #[inline(never)]
    fn pump_many(&mut self, service: &mut dyn Service) {
        self.file_bytes = self.share_of_files();
        let (new, used_up) = (self.queues.new.len(), self.queues.used_up.len());
        self.pump_polite(service);
        let end = self.time.begin_part();
        self.pump_queue(new, end, service, |queues| &mut queues.new);
        // One of them has a turn in any case, so that it cannot wait for ever.
        let end = self.time.end_of_tick();
        self.pump_queue(used_up, end, service, |queues| &mut queues.used_up);
    }

    fn pump_polite(&mut self, service: &mut dyn Service) {
        let end = self.time.begin_part();
        let mut given = 0;
        while given < self.turns.len() {
            self.timed_turn(self.turns[given] as usize, service, &mut |session, _| session.queued = false);
            given += 1;
            if self.time.had_come(end) {
                break;
            }
        }
        self.turns.drain(..given);
        // Those without a turn keep their places before all that have become runnable meanwhile.
        if !self.turns.is_empty() {
            self.turns.append(&mut self.queues.polite);
            std::mem::swap(&mut self.queues.polite, &mut self.turns);
        }
    }

    /// Gives turns to the first `count` sessions of a queue, until `end` has come.
    fn pump_queue(
        &mut self,
        count: usize,
        end: Moment,
        service: &mut dyn Service,
        queue: impl Fn(&mut Queues) -> &mut VecDeque<u32>,
    ) {
        for _ in 0..count {
            let Some(key) = queue(&mut self.queues).pop_front() else { return };
            self.timed_turn(key as usize, service, &mut |session, _| session.queued = false);
            if self.time.had_come(end) {
                return;
            }
        }
    }

    /// File bytes that each session may send in this tick. Other work must not wait long for downloads.
    fn share_of_files(&self) -> usize {
        let count = self.turns.len() + self.queues.len();
        let mut all = self.turns.iter().chain(&self.queues.new).chain(&self.queues.used_up);
        match count == 1 || all.all(|&key| self.slab[key as usize].connection.is_held()) {
            true => (FILE_TICK / count.max(1)).clamp(FILE_TURN_AMONG_OTHERS, FILE_TURN),
            false => FILE_TURN_AMONG_OTHERS,
        }
    }

    /// [`turn`](Self::turn), and then notes whether it has used up its time.
    pub(super) fn timed_turn(&mut self, key: usize, service: &mut dyn Service, first: First<'_, T>) {
        let (began, end) = (self.time.last_reading(), self.time.end_of_turn());
        self.turn(key, service, first);
        if self.time.has_come(end) {
            let took = self.time.last_reading().since(began);
            self.slab[key].note_long_turn(took);
        }
    }

    /// Gives a session its turn, unless it has ended: calls `first`, pumps the session, and then arms its deadline.
    #[inline(always)]
    pub(super) fn turn(
        &mut self,
        key: usize,
        service: &mut dyn Service,
        mut first: impl FnMut(&mut Session<T>, &mut Context<'_>),
    ) {
        #[cfg(feature = "live")]
        if self.is_witnessed() {
            return self.witnessed_turn(key, service, &mut first);
        }
        match log::log_enabled!(log::Level::Trace) {
            false => _ = self.run_turn(key, service, first),
            true => _ = self.traced_turn(key, service, &mut first),
        }
    }

    /// [`turn`](Self::turn), without a witness and without the trace log. Returns what becomes of the session, unless
    /// it had ended before.
    #[inline(always)]
    pub(super) fn run_turn(
        &mut self,
        key: usize,
        service: &mut dyn Service,
        mut first: impl FnMut(&mut Session<T>, &mut Context<'_>),
    ) -> Option<After> {
        let session = &mut self.slab[key];
        if session.closed {
            return None;
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
            outbox: &self.outbox,
            letters_wait: !self.letters.is_empty(),
        };
        first(session, &mut cx);
        let turn = Turn {
            partial_reads: self.interrupted,
            sends: Sends::up_to(self.file_bytes),
            end,
            scratch: &mut self.scratch,
        };
        let after = session.pump(&mut cx, turn);
        let after = if session.connection.settle(&mut cx) { session.send_refusal(&mut cx) } else { after };
        session.idle_timeout = idle_timeout;
        if after == After::Runnable || session.standing != Standing::POLITE {
            session.note_standing(after, self.time.now);
        }
        let deadline = session.deadline(&self.config);
        let comes_up_too_late = !session.timer.is_in_time(deadline);
        match after {
            After::Exhausted => {}
            After::Runnable => self.make_runnable(key),
            After::Closed => {
                self.close(key);
                return Some(after);
            }
        }
        if comes_up_too_late {
            self.wheel.arm(&mut self.slab, key, deadline);
        }
        Some(after)
    }
}

#[cfg(all(test, feature = "json"))]
mod tests;
