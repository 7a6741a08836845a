//! The timer wheel: slots of 250 ms, and in each a list of the sessions whose deadline falls into it.
//!
//! The links of the lists are indices in the slab entries, so arming allocates nothing and costs the same at any number
//! of connections. A session stands in at most one list. Activity does not touch the wheel: when an entry comes up and
//! its true deadline lies ahead, it is put back there. Only a deadline that became *earlier* is moved at once.

use slab::Slab;

use super::session::Session;
use crate::http::Moment;
use crate::limits::{WHEEL_SLOT, WHEEL_SLOTS};

const SLOT_NANOS: u64 = WHEEL_SLOT.as_nanos() as u64;
const NONE: u32 = u32::MAX;

/// A session's place in the wheel.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerLink {
    next: u32,
    prev: u32,
    /// The turn in which it comes up: multiples of the slot's width since the start of the clock. 0: not armed.
    due: u32,
}

impl Default for TimerLink {
    fn default() -> Self {
        Self { next: NONE, prev: NONE, due: 0 }
    }
}

pub(super) struct Wheel {
    /// The first session of each slot.
    heads: Box<[u32]>,
    /// A bit for each slot that is not empty, so that the next one is found without looking at each.
    occupied: [u64; WHEEL_SLOTS / 64],
    /// The last turn whose slot was emptied.
    turn: u32,
    /// No slot before this turn's holds anything; `NONE` if no slot does at all.
    next: u32,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { heads: vec![NONE; WHEEL_SLOTS].into(), occupied: [0; WHEEL_SLOTS / 64], turn: 0, next: NONE }
    }

    /// Makes sure that the session comes up at `deadline`, or up to a slot later; earlier is allowed too.
    #[inline]
    pub(super) fn arm(&mut self, sessions: &mut Slab<Session>, key: usize, deadline: Moment) {
        let armed = sessions[key].timer.due;
        if armed == 0 || deadline.as_nanos() < u64::from(armed) * SLOT_NANOS {
            self.link(sessions, key, deadline);
        }
    }

    fn link(&mut self, sessions: &mut Slab<Session>, key: usize, deadline: Moment) {
        let turn = deadline.as_nanos().div_ceil(SLOT_NANOS);
        // What lies beyond the wheel is put into its last slot, and looked at again when that comes up.
        let last = u64::from(self.turn) + WHEEL_SLOTS as u64 - 1;
        let due = turn.clamp(u64::from(self.turn) + 1, last) as u32;
        self.disarm(sessions, key);
        let slot = due as usize % WHEEL_SLOTS;
        let next = std::mem::replace(&mut self.heads[slot], key as u32);
        sessions[key].timer = TimerLink { next, prev: NONE, due };
        if next != NONE {
            sessions[next as usize].timer.prev = key as u32;
        }
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.next = self.next.min(due);
    }

    /// Takes the session out, if it is in.
    pub(super) fn disarm(&mut self, sessions: &mut Slab<Session>, key: usize) {
        let TimerLink { next, prev, due } = std::mem::take(&mut sessions[key].timer);
        if due == 0 {
            return;
        }
        let slot = due as usize % WHEEL_SLOTS;
        match prev {
            NONE => self.heads[slot] = next,
            prev => sessions[prev as usize].timer.next = next,
        }
        if next != NONE {
            sessions[next as usize].timer.prev = prev;
        }
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// Takes out a session that has come up by `now`.
    #[inline]
    pub(super) fn pop(&mut self, sessions: &mut Slab<Session>, now: Moment) -> Option<usize> {
        let reached = (now.as_nanos() / SLOT_NANOS) as u32;
        while self.next <= reached {
            self.turn = self.next;
            let head = self.heads[self.next as usize % WHEEL_SLOTS];
            if head != NONE {
                self.disarm(sessions, head as usize);
                return Some(head as usize);
            }
            self.next = self.next_occupied();
        }
        self.turn = self.turn.max(reached);
        None
    }

    /// When the next session may come up.
    #[inline]
    pub(super) fn next(&self) -> Option<Moment> {
        (self.next != NONE).then(|| Moment::from_nanos(u64::from(self.next) * SLOT_NANOS))
    }

    /// The turn of the first slot behind the current one that is not empty.
    #[cold]
    fn next_occupied(&self) -> u32 {
        let first = (self.turn + 1) as usize % WHEEL_SLOTS;
        let words = self.occupied.len();
        for step in 0..=words {
            let index = (first / 64 + step) % words;
            let mut word = self.occupied[index];
            if step == 0 {
                word &= u64::MAX << (first % 64);
            }
            if word != 0 {
                let slot = index * 64 + word.trailing_zeros() as usize;
                let ahead = (slot + WHEEL_SLOTS - first) % WHEEL_SLOTS;
                return self.turn + 1 + ahead as u32;
            }
        }
        NONE
    }
}
