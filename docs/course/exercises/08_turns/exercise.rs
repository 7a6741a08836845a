use std::collections::VecDeque;

/// What a session has done in its turn.
#[derive(Clone, Copy, Debug)]
pub enum After {
    /// It has done all that there was to do, in less than the time of a turn.
    Done,
    /// Its budget was used up before all was done. The turn took as long as so many turns should take, at least 1. The
    /// session needs another turn.
    UsedUp { turns: u32 },
}

/// Which sessions have a turn, and in which order.
///
/// - A session that does not use up its turns is polite. Polite sessions come first.
/// - A session whose turn took `n` times as long as it should is polite again after `n` turns that end as `Done`.
/// - If any of the sessions wait that have used up a turn, one of them has a turn in each tick, also when the polite
///   ones
///   have taken all the time.
/// - A session that waits and has no turn in a tick keeps its place. One that is added twice has one turn.
#[derive(Debug, Default)]
pub struct Turns {
    // One queue for all: whose turn is it when a hundred greedy sessions wait?
    waiting: VecDeque<usize>,
}

impl Turns {
    /// Notes that a session has work to do.
    pub fn add(&mut self, key: usize) {
        self.waiting.push_back(key);
    }

    /// The sessions that have their turns in this tick, in this order. `fits` turns fit into the time of the tick.
    pub fn next_tick(&mut self, fits: usize) -> Vec<usize> {
        let count = fits.min(self.waiting.len());
        self.waiting.drain(..count).collect()
    }

    /// Notes what a session has done in the turn that it was given.
    pub fn note(&mut self, key: usize, after: After) {
        if let After::UsedUp { .. } = after {
            self.add(key);
        }
    }
}
