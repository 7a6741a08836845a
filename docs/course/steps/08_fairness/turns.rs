//! Who works when, and for how long.
//!
//! New in this step, and the point of it: while a session has its turn, all others wait. So a turn has a budget, and
//! sessions that use up their budgets wait in a queue of their own.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests that are answered in a turn.
pub const TURN_REQUESTS: usize = 64;
/// How long a turn takes. The request that is being answered at its end is the last one.
pub const TURN_TIME: Duration = Duration::from_micros(500);
/// After this time no turn begins in a tick, so that the loop looks at its sockets again.
pub const TICK_TIME: Duration = Duration::from_millis(5);

/// What is left of a turn.
#[derive(Debug)]
pub struct Budget {
    requests: usize,
    end: Instant,
}

impl Budget {
    /// The budget of a turn that begins now.
    pub fn new(requests: usize, time: Duration) -> Self {
        Self { requests, end: Instant::now() + time }
    }

    /// Takes a request from the budget.
    pub fn take_request(&mut self) {
        self.requests = self.requests.saturating_sub(1);
    }

    pub fn is_used_up(&self) -> bool {
        self.requests == 0 || Instant::now() >= self.end
    }
}

/// What is known of the time that a session takes: how many turns it must have that it does not use up, before it is
/// polite again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing(u32);

impl Standing {
    pub const POLITE: Self = Self(0);

    /// The standing after a turn that took so long. Each [`TURN_TIME`] of it counts for one short turn. `used_up` says
    /// that more could have been done.
    pub fn after(self, took: Duration, used_up: bool) -> Self {
        let long = (took.as_micros() / TURN_TIME.as_micros()) as u32;
        match used_up {
            _ if long > 0 => Self(long),
            true => Self(self.0.max(1)),
            false => Self(self.0.saturating_sub(1)),
        }
    }
}

/// The keys of the sessions that have work to do, for which no further event will come.
#[derive(Debug, Default)]
pub struct Queues {
    pub polite: VecDeque<usize>,
    pub used_up: VecDeque<usize>,
}

impl Queues {
    pub fn add(&mut self, key: usize, standing: Standing) {
        match standing {
            Standing::POLITE => self.polite.push_back(key),
            _ => self.used_up.push_back(key),
        }
    }

    pub fn are_empty(&self) -> bool {
        self.polite.is_empty() && self.used_up.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_polite_again_after_as_many_short_turns_as_it_took_long() {
        let mut standing = Standing::POLITE.after(5 * TURN_TIME, false);
        for _ in 0..5 {
            assert_ne!(standing, Standing::POLITE);
            standing = standing.after(Duration::ZERO, false);
        }
        assert_eq!(standing, Standing::POLITE);
    }

    #[test]
    fn a_turn_that_is_used_up_in_no_time_counts_for_one() {
        let standing = Standing::POLITE.after(Duration::ZERO, true);
        assert_ne!(standing, Standing::POLITE);
        assert_eq!(standing.after(Duration::ZERO, true), standing, "many of them do not add up");
        assert_eq!(standing.after(Duration::ZERO, false), Standing::POLITE);
    }

    #[test]
    fn a_budget_ends_by_its_requests_or_by_its_time() {
        let mut budget = Budget::new(TURN_REQUESTS, Duration::from_secs(1000));
        for _ in 0..TURN_REQUESTS {
            assert!(!budget.is_used_up());
            budget.take_request();
        }
        assert!(budget.is_used_up());
        assert!(Budget::new(1, Duration::ZERO).is_used_up());
    }
}
