//! The timer wheel. Each slot is 50 ms wide and lists the sessions that come up in it.
//!
//! A session is in the wheel at one time, its `due`. Activity does not touch the wheel: a session that comes up before
//! its true deadline is armed again for that. Only a deadline that comes closer moves a session; the key that this
//! leaves in the old slot is passed over when that comes up.

use std::time::{Duration, Instant};

use slab::Slab;

use crate::session::Session;

const SLOT: Duration = Duration::from_millis(50);
const SLOTS: u64 = 64;

pub struct Wheel {
    slots: Vec<Vec<usize>>,
    start: Instant,
    /// The last slot that was emptied, counted from the start.
    turn: u64,
}

impl Wheel {
    pub fn new(start: Instant) -> Self {
        Self { slots: vec![Vec::new(); SLOTS as usize], start, turn: 0 }
    }

    /// Makes sure that the session comes up at `deadline`, or up to a slot later. It may come up earlier.
    pub fn arm(&mut self, sessions: &mut Slab<Session>, key: usize, deadline: Instant) {
        let slot = deadline.saturating_duration_since(self.start).as_millis().div_ceil(SLOT.as_millis()) as u64;
        // A deadline beyond the wheel is looked at again in its last slot.
        let due = slot.clamp(self.turn + 1, self.turn + SLOTS - 1);
        let session = &mut sessions[key];
        if session.due.is_none_or(|before| due < before) {
            session.due = Some(due);
            self.slots[(due % SLOTS) as usize].push(key);
        }
    }

    /// Takes out the sessions that come up by `now`.
    pub fn pop(&mut self, sessions: &mut Slab<Session>, now: Instant) -> Vec<usize> {
        let reached = (now.saturating_duration_since(self.start).as_millis() / SLOT.as_millis()) as u64;
        let mut keys = Vec::new();
        // After a long sleep, one round is enough: no session is due later than that.
        for turn in (self.turn + 1)..=reached.min(self.turn + SLOTS) {
            for key in self.slots[(turn % SLOTS) as usize].drain(..) {
                // The session may have moved, or it may have ended and another one may have its key.
                if let Some(session) = sessions.get_mut(key)
                    && session.due == Some(turn)
                {
                    session.due = None;
                    keys.push(key);
                }
            }
        }
        self.turn = reached;
        keys
    }

    /// When the next session may come up.
    pub fn next(&self) -> Option<Instant> {
        let turn = (self.turn + 1..self.turn + SLOTS).find(|turn| !self.slots[(turn % SLOTS) as usize].is_empty())?;
        Some(self.start + SLOT * turn as u32)
    }
}
