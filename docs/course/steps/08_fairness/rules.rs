//! The rules of `turns.rs`, and how an experiment takes some of them away.

use std::time::{Duration, Instant};

use crate::turns::{Budget, TICK_TIME, TURN_REQUESTS, TURN_TIME};

const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// What holds for turns. The server has all of these rules; an experiment can take some of them away, by name.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    requests: usize,
    turn: Duration,
    tick: Duration,
    /// Sessions that use up their turns wait in a queue of their own.
    pub has_queues: bool,
}

impl Rules {
    pub const ALL: Self = Self { requests: TURN_REQUESTS, turn: TURN_TIME, tick: TICK_TIME, has_queues: true };

    /// The rules by the name of the last one that holds: `none`, `requests`, `time` or `queues`.
    pub fn up_to(name: &str) -> Option<Self> {
        let time = Self { tick: FOR_EVER, has_queues: false, ..Self::ALL };
        let requests = Self { turn: FOR_EVER, ..time };
        match name {
            "none" => Some(Self { requests: usize::MAX, ..requests }),
            "requests" => Some(requests),
            "time" => Some(time),
            "queues" => Some(Self::ALL),
            _ => None,
        }
    }

    /// The budget of a turn that begins now.
    pub fn budget(&self) -> Budget {
        Budget::new(self.requests, self.turn)
    }

    /// When no more turns begin in a tick whose first turn begins now.
    pub fn end_of_tick(&self) -> Instant {
        Instant::now() + self.tick
    }
}
