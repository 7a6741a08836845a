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
/// - A session whose turn took `n` times as long as it should is polite again after `n` turns that end as `Done`. Turns
///   that it uses up do not add up: the longest one counts, or the last one, as you like.
/// - Sessions that have used up a turn come after the polite ones, as many as fit. If the polite ones have taken all of
///   the time, one of the others has a turn in addition, so that none of them starves.
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

    /// The sessions that have their turns in this tick, in this order. `fits` turns fit into the time of the tick,
    /// which can be none.
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
