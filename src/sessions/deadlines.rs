//! The timer wheel: each slot is 250 ms wide and has a list of the sessions whose deadlines fall into it.
//!
//! The links of the lists are indices in the slab entries. So arming allocates nothing and costs the same at any number
//! of connections. A session is in at most one list. Activity does not touch the wheel: an entry that comes up before
//! its true deadline is armed again for that. An entry is moved at once only if it would come up a slot or more after
//! its deadline.

use slab::Slab;

use crate::http::Moment;
use crate::limits::{WHEEL_SLOT, WHEEL_SLOTS};

const SLOT_NANOS: u64 = WHEEL_SLOT.as_nanos() as u64;
const NONE: u32 = u32::MAX;

/// What can be in the wheel. It keeps its place there itself.
pub(super) trait Timed {
    fn timer(&self) -> &TimerLink;

    fn timer_mut(&mut self) -> &mut TimerLink;
}

/// A session's place in the wheel.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimerLink {
    next: u32,
    prev: u32,
    /// The turn in which the session comes up, counted in slot widths since the start of the clock. 0 means not armed.
    due: u32,
}

impl Default for TimerLink {
    fn default() -> Self {
        Self { next: NONE, prev: NONE, due: 0 }
    }
}

impl TimerLink {
    /// Whether the session already comes up in time: less than a slot after `deadline`, as if it were armed now.
    #[inline]
    pub(super) fn is_in_time(&self, deadline: Moment) -> bool {
        self.due != 0 && u64::from(self.due - 1) * SLOT_NANOS < deadline.as_nanos()
    }

    /// When the session comes up, if it is armed.
    #[cfg(test)]
    pub(super) fn due(&self) -> Option<Moment> {
        (self.due != 0).then(|| Moment::from_nanos(u64::from(self.due) * SLOT_NANOS))
    }
}

pub(super) struct Wheel {
    /// The first session of each slot.
    heads: Box<[u32]>,
    /// A bit for each slot that is not empty, so that the next one is found without looking at each.
    occupied: [u64; WHEEL_SLOTS / 64],
    /// The last turn whose slot was emptied.
    turn: u32,
    /// The first wheel turn whose slot may be occupied; `NONE` if all slots are empty.
    next: u32,
}

impl Wheel {
    pub(super) fn new() -> Self {
        Self { heads: vec![NONE; WHEEL_SLOTS].into(), occupied: [0; WHEEL_SLOTS / 64], turn: 0, next: NONE }
    }

    /// Makes sure that the session comes up at `deadline`, or up to a slot later. It may come up earlier; then it is
    /// armed again.
    #[inline]
    pub(super) fn arm(&mut self, sessions: &mut Slab<impl Timed>, key: usize, deadline: Moment) {
        if !sessions[key].timer().is_in_time(deadline) {
            self.link(sessions, key, deadline);
        }
    }

    fn link(&mut self, sessions: &mut Slab<impl Timed>, key: usize, deadline: Moment) {
        let turn = deadline.as_nanos().div_ceil(SLOT_NANOS);
        // A deadline beyond the wheel goes into the last slot, and is checked again when that comes up.
        let last = u64::from(self.turn) + WHEEL_SLOTS as u64 - 1;
        let due = turn.clamp(u64::from(self.turn) + 1, last) as u32;
        self.disarm(sessions, key);
        let slot = due as usize % WHEEL_SLOTS;
        let next = std::mem::replace(&mut self.heads[slot], key as u32);
        *sessions[key].timer_mut() = TimerLink { next, prev: NONE, due };
        if next != NONE {
            sessions[next as usize].timer_mut().prev = key as u32;
        }
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.next = self.next.min(due);
    }

    /// Takes the session out of the wheel, if it is in it.
    pub(super) fn disarm(&mut self, sessions: &mut Slab<impl Timed>, key: usize) {
        let TimerLink { next, prev, due } = std::mem::take(sessions[key].timer_mut());
        if due == 0 {
            return;
        }
        let slot = due as usize % WHEEL_SLOTS;
        match prev {
            NONE => self.heads[slot] = next,
            prev => sessions[prev as usize].timer_mut().next = next,
        }
        if next != NONE {
            sessions[next as usize].timer_mut().prev = prev;
        }
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// Takes out a session that has come up by `now`.
    #[inline]
    pub(super) fn pop(&mut self, sessions: &mut Slab<impl Timed>, now: Moment) -> Option<usize> {
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

    /// The slots that are not empty, in the order in which they come up: when they do, and how many sessions each has.
    #[cfg(feature = "live")]
    pub(super) fn slots(&self, sessions: &Slab<impl Timed>) -> impl Iterator<Item = (Moment, usize)> {
        let turns = (0..WHEEL_SLOTS as u32).map(|ahead| self.turn + ahead);
        turns.filter_map(move |turn| {
            let head = self.heads[turn as usize % WHEEL_SLOTS];
            let link = |key: u32| (key != NONE).then_some(key);
            let keys = std::iter::successors(link(head), |&key| link(sessions[key as usize].timer().next));
            let count = keys.count();
            (count > 0).then(|| (Moment::from_nanos(u64::from(turn) * SLOT_NANOS), count))
        })
    }

    /// Whether no session is armed.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.occupied.iter().all(|word| *word == 0) && self.heads.iter().all(|head| *head == NONE)
    }

    /// The turn of the first slot after the current one that is not empty.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A session that is nothing but its place in the wheel.
    #[derive(Default)]
    struct Place(TimerLink);

    impl Timed for Place {
        fn timer(&self) -> &TimerLink {
            &self.0
        }

        fn timer_mut(&mut self) -> &mut TimerLink {
            &mut self.0
        }
    }

    fn sessions(count: u64) -> Slab<Place> {
        let mut slab = Slab::new();
        (0..count).for_each(|_| {
            slab.insert(Place::default());
        });
        slab
    }

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    /// Everything that comes up by `now`.
    fn pop_all(wheel: &mut Wheel, sessions: &mut Slab<Place>, now: Moment) -> Vec<usize> {
        let mut keys: Vec<usize> = std::iter::from_fn(|| wheel.pop(sessions, now)).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn a_session_comes_up_at_its_deadline_and_not_more_than_a_slot_later() {
        for millis in [0, 1, 249, 250, 251, 10_000, 30_000, 127_000] {
            let (mut wheel, mut sessions) = (Wheel::new(), sessions(1));
            wheel.arm(&mut sessions, 0, at(millis));
            let next = wheel.next().unwrap();
            assert!(next >= at(millis) && next.since(at(millis)) <= WHEEL_SLOT, "{millis} ms: {next:?}");
            assert!(pop_all(&mut wheel, &mut sessions, Moment::from_nanos(next.as_nanos() - 1)).is_empty());
            assert_eq!(pop_all(&mut wheel, &mut sessions, next), [0]);
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn an_earlier_deadline_moves_the_entry_and_a_later_one_does_not() {
        let (mut wheel, mut sessions) = (Wheel::new(), sessions(1));
        wheel.arm(&mut sessions, 0, at(30_000));
        wheel.arm(&mut sessions, 0, at(2_000));
        assert_eq!(wheel.next(), Some(at(2_000)));
        wheel.arm(&mut sessions, 0, at(40_000));
        assert_eq!(pop_all(&mut wheel, &mut sessions, at(2_000)), [0]);
        assert_eq!(pop_all(&mut wheel, &mut sessions, at(50_000)), [0; 0]);
    }

    #[test]
    fn an_entry_stays_while_it_comes_up_less_than_a_slot_too_late() {
        let (mut wheel, mut sessions) = (Wheel::new(), sessions(2));
        wheel.arm(&mut sessions, 0, at(30_100));
        // If arming linked it into the same slot again, it would come before the other one.
        wheel.arm(&mut sessions, 1, at(30_100));
        for millis in [30_001, 30_100, 30_249, 30_250] {
            assert!(sessions[0].timer().is_in_time(at(millis)), "{millis} ms");
            wheel.arm(&mut sessions, 0, at(millis));
            assert_eq!(wheel.heads[30_250 / 250], 1, "{millis} ms");
        }
        assert!(!sessions[0].timer().is_in_time(at(30_000)), "a slot too late");
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_looked_at_within_a_round() {
        let (mut wheel, mut sessions) = (Wheel::new(), sessions(1));
        wheel.arm(&mut sessions, 0, at(86_400_000));
        let round = WHEEL_SLOT * WHEEL_SLOTS as u32;
        assert!(wheel.next().unwrap() <= Moment::ZERO + round);
        assert_eq!(pop_all(&mut wheel, &mut sessions, Moment::ZERO + round), [0]);
    }

    #[test]
    fn after_a_long_sleep_everything_that_was_due_comes_up_once() {
        let (mut wheel, mut sessions) = (Wheel::new(), sessions(3));
        for (key, millis) in [1_000, 60_000, 127_000].into_iter().enumerate() {
            wheel.arm(&mut sessions, key, at(millis));
        }
        assert_eq!(pop_all(&mut wheel, &mut sessions, at(10_000_000)), [0, 1, 2]);
        assert_eq!(wheel.next(), None);
        wheel.arm(&mut sessions, 1, at(10_000_100));
        assert_eq!(pop_all(&mut wheel, &mut sessions, at(10_000_250)), [1]);
    }

    #[test]
    fn any_sequence_of_arming_and_disarming_agrees_with_a_plain_list() {
        const SESSIONS: u64 = 40;
        let (mut wheel, mut sessions) = (Wheel::new(), sessions(SESSIONS));
        // The turn in which each session comes up, kept in a plain list.
        let mut due: Vec<Option<u64>> = vec![None; SESSIONS as usize];
        let (mut now, mut seed) = (0_u64, 0x9e37_79b9_7f4a_7c15_u64);
        let mut random = |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        let slot = WHEEL_SLOT.as_millis() as u64;
        for _ in 0..20_000 {
            let key = random(SESSIONS) as usize;
            match random(10) {
                0 => {
                    wheel.disarm(&mut sessions, key);
                    due[key] = None;
                }
                1..=6 => {
                    let deadline = now + random(100_000);
                    wheel.arm(&mut sessions, key, at(deadline));
                    let turn = deadline.div_ceil(slot).max(now / slot + 1);
                    due[key] = Some(due[key].map_or(turn, |known| known.min(turn)));
                }
                _ => {
                    now += random(3_000);
                    let expected: Vec<usize> = (0..due.len()).filter(|&key| due[key] <= Some(now / slot)).collect();
                    let expected: Vec<usize> = expected.into_iter().filter(|&key| due[key].is_some()).collect();
                    assert_eq!(pop_all(&mut wheel, &mut sessions, at(now)), expected, "at {now} ms");
                    expected.iter().for_each(|&key| due[key] = None);
                }
            }
            // The wheel may report a wake-up too early, for a disarmed session, but never too late.
            let earliest = due.iter().flatten().min().map(|turn| at(turn * slot));
            assert!(earliest.is_none_or(|earliest| wheel.next().is_some_and(|next| next <= earliest)));
        }
    }
}
