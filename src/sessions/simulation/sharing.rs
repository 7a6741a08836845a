//! How the time of a tick must be shared: nobody waits for those who have used up their turns, and nobody for ever.

use std::time::Duration;

use super::affairs::lock;
use super::world::World;
use crate::limits::{PART_TIME, TICK_TIME, TURN_TIME};

/// Who waits for a turn when a tick begins to give turns.
#[derive(Debug)]
pub(super) struct Waiting {
    runnable: Vec<u32>,
    used_up: Vec<u32>,
}

impl Waiting {
    /// Notes who waits, without those that have ended.
    pub(super) fn note(world: &mut World) -> Self {
        world.sessions.given.clear();
        let sessions = &world.sessions;
        let is_open = |key: &u32| !sessions.slab[*key as usize].closed;
        let runnable = sessions.runnable.iter().copied().filter(is_open).collect();
        Self { runnable, used_up: sessions.used_up.iter().copied().filter(is_open).collect() }
    }

    /// Turns were given in the order of the two queues, and for no longer than there was time. Returns how many
    /// sessions had none.
    pub(super) fn judge(&self, world: &World) -> usize {
        let given = &world.sessions.given;
        let had = given.iter().zip(&self.runnable).take_while(|(given, waits)| given == waits).count();
        let had_of_used_up = given.len() - had;
        assert!(self.used_up.starts_with(&given[had..]), "turns were given in another order: {given:?}, {self:?}");
        assert!(self.runnable.is_empty() || had > 0, "no session had a turn: {self:?}");
        assert!(self.used_up.is_empty() || had_of_used_up > 0, "sessions would starve: {self:?}");
        assert!(had == self.runnable.len() || had_of_used_up <= 1, "who has used up a turn came first: {self:?}");
        let spent = lock(&world.affairs).spent;
        let without = self.runnable.len() + self.used_up.len() - given.len();
        assert!(without == 0 || spent >= TICK_TIME, "a turn was not given, and there was time: {spent:?}");
        without
    }
}

/// A tick ends when its time is over, whatever there is to do: the parts after the turns, the turn and the calls that
/// were going on at the end of each may come on top.
pub(super) fn tick_was_short(world: &World) {
    const PARTS: u32 = 5;
    const CALLS: u32 = 8;
    let (spent, price): (Duration, Duration) = {
        let affairs = lock(&world.affairs);
        (affairs.spent, affairs.price)
    };
    let most = TICK_TIME + PARTS * (PART_TIME + TURN_TIME + CALLS * price);
    assert!(spent <= most, "a tick took {spent:?}, although a call takes {price:?} at most");
}
