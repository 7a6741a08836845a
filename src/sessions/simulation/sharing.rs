//! How the time of a tick must be shared: nobody waits for those who have used up their turns, and nobody for ever.

use std::time::Duration;

use super::affairs::lock;
use super::world::World;
use crate::limits::{PART_TIME, TICK_TIME, TURN_TIME};

/// The sessions that wait when a tick begins to give turns, in the order of the queues.
#[derive(Debug)]
pub(super) struct Waiting {
    polite: Vec<u32>,
    new: Vec<u32>,
    used_up: Vec<u32>,
}

impl Waiting {
    /// Notes the sessions that wait and have not ended.
    pub(super) fn note(world: &mut World) -> Self {
        world.sessions.given.clear();
        let (slab, queues) = (&world.sessions.slab, &world.sessions.queues);
        let is_open = |key: &u32| !slab[*key as usize].closed;
        Self {
            polite: queues.polite.iter().copied().filter(is_open).collect(),
            new: queues.new.iter().copied().filter(is_open).collect(),
            used_up: queues.used_up.iter().copied().filter(is_open).collect(),
        }
    }

    /// Turns were given in the order of the queues, and for no longer than there was time. Returns how many sessions
    /// had none.
    pub(super) fn judge(&self, world: &World) -> usize {
        let mut given = &world.sessions.given[..];
        let mut had = |queue: &[u32]| {
            let count = given.iter().zip(queue).take_while(|(given, waits)| given == waits).count();
            given = &given[count..];
            count
        };
        let (polite, new, used_up) = (had(&self.polite), had(&self.new), had(&self.used_up));
        assert!(given.is_empty(), "turns were given in another order: {:?}, {self:?}", world.sessions.given);
        for (had, queue) in [(polite, &self.polite), (new, &self.new), (used_up, &self.used_up)] {
            assert!(queue.is_empty() || had > 0, "sessions would starve: {self:?}");
        }
        let all_others = polite == self.polite.len() && new == self.new.len();
        assert!(all_others || used_up <= 1, "a session that has used up its turn came first: {self:?}");
        let spent = lock(&world.affairs).spent;
        let without = self.polite.len() + self.new.len() + self.used_up.len() - polite - new - used_up;
        assert!(without == 0 || spent >= TICK_TIME, "a turn was not given, and there was time: {spent:?}");
        without
    }
}

/// A tick ends when its time is over, whatever there is to do: the parts after the turns, the turn and the calls that
/// were going on at the end of each may come on top.
pub(super) fn tick_was_short(world: &World) {
    const PARTS: u32 = 6;
    const CALLS: u32 = 8;
    let (spent, price): (Duration, Duration) = {
        let affairs = lock(&world.affairs);
        (affairs.spent, affairs.price)
    };
    let most = TICK_TIME + PARTS * (PART_TIME + TURN_TIME + CALLS * price);
    assert!(spent <= most, "a tick took {spent:?}, although a call takes {price:?} at most");
}
