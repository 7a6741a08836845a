//! The queues of the sessions that have work to do, for which no further event will come.

use std::collections::VecDeque;

use super::session::{Session, Standing};

/// The keys of the sessions that have work to do. A session is in one queue at most.
#[derive(Debug, Default)]
pub(super) struct Queues {
    pub(super) polite: Vec<u32>,
    pub(super) new: VecDeque<u32>,
    pub(super) used_up: VecDeque<u32>,
}

impl Queues {
    /// Adds a session to the queue of its standing, unless it is in one already.
    #[inline]
    pub(super) fn add<T>(&mut self, session: &mut Session<T>, key: usize) {
        if !std::mem::replace(&mut session.queued, true) {
            match session.standing {
                Standing::POLITE => self.polite.push(key as u32),
                standing => self.add_other(standing, key as u32),
            }
        }
    }

    #[cold]
    fn add_other(&mut self, standing: Standing, key: u32) {
        match standing {
            Standing::NEW => self.new.push_back(key),
            _ => self.used_up.push_back(key),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.polite.is_empty() && self.are_all_polite()
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.polite.len() + self.new.len() + self.used_up.len()
    }

    /// Whether only polite sessions wait, if any do.
    #[inline]
    pub(super) fn are_all_polite(&self) -> bool {
        self.new.is_empty() && self.used_up.is_empty()
    }

    /// Gives room back that is not used.
    pub(super) fn shrink(&mut self) {
        self.polite.shrink_to_fit();
        self.new.shrink_to_fit();
        self.used_up.shrink_to_fit();
    }

    /// Removes the keys that are not `wanted`.
    pub(super) fn retain(&mut self, wanted: impl Fn(u32) -> bool) {
        self.polite.retain(|&key| wanted(key));
        self.new.retain(|&key| wanted(key));
        self.used_up.retain(|&key| wanted(key));
    }
}
