//! The timer wheel: which sessions must be looked at, and when.
//!
//! ```text
//!     turn      41    42    43    44   ...   104
//!     slot      41    42    43    44   ...    40        64 slots of 100 ms: a round takes 6.4 s
//!              [ ]   [7]   [ ]  [3,9]        [ ]
//!                ▲ the last turn that was taken
//! ```
//!
//! A session stores when it comes up, and not its deadline. When it comes up, it is asked for its deadline. If that
//! lies ahead, the session goes into a later slot. So what a client sends and takes moves nothing in the wheel.

use std::time::Duration;

/// Time since the start of the loop.
pub type Moment = Duration;

/// The width of a slot. A session comes up at its deadline, or less than this after it.
pub const SLOT: Duration = Duration::from_millis(100);
const SLOTS: u64 = 64;

/// A session's place in the wheel: the turn in which it comes up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TimerLink(Option<u64>);

impl TimerLink {
    /// Whether the session comes up less than a slot after `deadline`, or earlier.
    fn is_in_time(self, deadline: Moment) -> bool {
        self.0.is_some_and(|due| (due - 1) as u128 * SLOT.as_nanos() < deadline.as_nanos())
    }
}

pub struct Wheel {
    /// The sessions that come up in each turn, by their slab keys. An entry stays where it is when its session has
    /// ended or was put into an earlier slot. It is recognised when it comes up.
    slots: Vec<Vec<usize>>,
    /// The last turn whose slot was taken.
    turn: u64,
}

impl Wheel {
    pub fn new() -> Self {
        Self { slots: vec![Vec::new(); SLOTS as usize], turn: 0 }
    }

    /// Makes sure that the session comes up at its deadline, or earlier. Returns whether an entry had to be made.
    pub fn arm(&mut self, key: usize, link: &mut TimerLink, deadline: Moment) -> bool {
        if link.is_in_time(deadline) {
            return false;
        }
        let turn = deadline.as_nanos().div_ceil(SLOT.as_nanos()) as u64;
        // A deadline after this round is looked at in the last slot of the round.
        let due = turn.clamp(self.turn + 1, self.turn + SLOTS - 1);
        self.slots[(due % SLOTS) as usize].push(key);
        *link = TimerLink(Some(due));
        true
    }

    /// Takes the entries that have come up by `now`, each with the link that its session has if the entry still
    /// counts.
    pub fn take(&mut self, now: Moment) -> Vec<(usize, TimerLink)> {
        let reached = (now.as_nanos() / SLOT.as_nanos()) as u64;
        let mut taken = Vec::new();
        // After a round, all slots are empty.
        for turn in self.turn + 1..=reached.min(self.turn + SLOTS) {
            let keys = self.slots[(turn % SLOTS) as usize].drain(..);
            taken.extend(keys.map(|key| (key, TimerLink(Some(turn)))));
        }
        self.turn = self.turn.max(reached);
        taken
    }

    /// When the next entry comes up.
    pub fn next(&self) -> Option<Moment> {
        let turns = self.turn + 1..self.turn + SLOTS;
        let due = turns.into_iter().find(|turn| !self.slots[(turn % SLOTS) as usize].is_empty())?;
        Some(SLOT * due as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    #[test]
    fn a_session_comes_up_at_its_deadline_or_less_than_a_slot_later() {
        for millis in [1, 99, 100, 101, 2000, 6300] {
            let (mut wheel, mut link) = (Wheel::new(), TimerLink::default());
            wheel.arm(5, &mut link, at(millis));
            let next = wheel.next().expect("it is armed");
            assert!(next >= at(millis) && next < at(millis) + SLOT, "{millis}: {next:?}");
            assert_eq!(wheel.take(next - at(1)), []);
            assert_eq!(wheel.take(next), [(5, link)]);
            assert_eq!(wheel.next(), None);
        }
    }

    #[test]
    fn a_later_deadline_makes_no_entry_and_an_earlier_one_does() {
        let (mut wheel, mut link) = (Wheel::new(), TimerLink::default());
        assert!(wheel.arm(5, &mut link, at(2000)));
        assert!(!wheel.arm(5, &mut link, at(3000)));
        let old = link;
        assert!(wheel.arm(5, &mut link, at(1000)));
        assert_eq!(wheel.take(at(1500)), [(5, link)]);
        assert_eq!(wheel.take(at(2000)), [(5, old)], "its session has another link now");
        assert_ne!(old, link);
    }

    #[test]
    fn a_deadline_beyond_the_wheel_is_looked_at_within_a_round() {
        let (mut wheel, mut link) = (Wheel::new(), TimerLink::default());
        wheel.take(at(1000));
        wheel.arm(5, &mut link, at(3_600_000));
        assert_eq!(wheel.next(), Some(at(1000) + SLOT * 63));
    }

    #[test]
    fn after_a_long_sleep_everything_comes_up_once() {
        let (mut wheel, mut links) = (Wheel::new(), [TimerLink::default(); 3]);
        for (key, millis) in [100, 3000, 6300].into_iter().enumerate() {
            wheel.arm(key, &mut links[key], at(millis));
        }
        assert_eq!(wheel.take(at(1_000_000)), [(0, links[0]), (1, links[1]), (2, links[2])]);
        assert_eq!((wheel.next(), wheel.take(at(1_000_100))), (None, vec![]));
    }
}
