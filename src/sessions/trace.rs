//! The sentences of the trace log about a session: its events, its turns and its deadlines.

use super::Sessions;
use super::readiness::Readiness;
use super::session::{After, Session};
use super::transport::Transport;
use super::turns::First;
use crate::config::Config;
use crate::exchange::Service;
use crate::http::Moment;

impl<T> Sessions<T> {
    /// Logs an event for a session, if a session has this key.
    #[cold]
    pub(crate) fn trace_event(&self, key: usize, event: Readiness) {
        if let Some(session) = self.slab.get(key) {
            log::trace!("conn {}: event: {event}", session.id);
        }
    }
}

impl<T: Transport> Sessions<T> {
    /// Gives a session its turn, and logs how that begins and ends.
    #[cold]
    #[inline(never)]
    pub(super) fn traced_turn(&mut self, key: usize, service: &mut dyn Service, first: First<'_, T>) -> Option<After> {
        let session = &self.slab[key];
        if session.closed {
            return None;
        }
        let (id, before) = (session.id, session.timeout(&self.config));
        match session.queued {
            true => log::trace!("conn {id}: the turn begins: {}", session.readiness),
            false if session.deadline(&self.config) <= self.looked_until() => {
                log::trace!("conn {id}: the turn begins: the deadline of the {before} has passed");
            }
            false => log::trace!("conn {id}: the turn begins with the letter"),
        }
        let after = self.run_turn(key, service, first);
        let session = &self.slab[key];
        if session.closed {
            log::trace!("conn {id}: the turn ends, closed: it is reaped at the end of the tick");
            return after;
        }
        session.trace_deadline(&self.config, self.time.now, Some(before));
        if session.queued {
            log::trace!("conn {id}: the turn ends, runnable: it goes on in the next tick");
        } else {
            log::trace!("conn {id}: the turn ends, exhausted: it sleeps until {}", session.awaited_event());
        }
        after
    }
}

impl<T> Session<T> {
    /// The timeout whose deadline is armed, by its name.
    fn timeout(&self, config: &Config) -> &'static str {
        self.connection.timeout_name(config, self.idle_timeout, self.activity)
    }

    /// Logs which timeout the deadline represents, unless it is the same as `before`.
    pub(super) fn trace_deadline(&self, config: &Config, now: Moment, before: Option<&str>) {
        if !log::log_enabled!(log::Level::Trace) {
            return;
        }
        let timeout = self.timeout(config);
        if before != Some(timeout) {
            let left = self.deadline(config).since(now);
            log::trace!("conn {}: deadline: the {timeout} ends in {left:?}", self.id);
        }
    }

    /// What the kernel has to report before the session has another turn.
    pub(super) fn awaited_event(&self) -> &'static str {
        let (reads, owes) = (self.connection.wants_read(), self.connection.output().is_some());
        match (reads, owes) {
            (true, true) => "it can read or write",
            (true, false) => "it can read",
            (false, true) => "it can write",
            // It lingers, and has thrown away as much as it may.
            (false, false) if self.connection.sends_nothing_more() => "its deadline passes",
            (false, false) => "the application goes on, the client leaves or the deadline passes",
        }
    }
}
