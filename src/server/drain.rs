//! The drain: how a server stops without dropping anything that it accepted.
//!
//! ```text
//!     serving ── signal or Handle ──▶ delayed ── drain_delay ──▶ draining ── last connection gone ──▶ done
//!                                        └────── second signal ──────┴── drain_timeout, second signal ──▶ cut
//! ```

use std::time::Duration;

use super::event_loop::EventLoop;
use super::shared::Group;
use crate::exchange::{DrainCause, Service};
use crate::http::Moment;

/// How far the drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// The server serves, and nothing has asked it to stop.
    Serving,
    /// The server was asked to stop. It serves as before until this time.
    Delayed { until: Moment },
    /// The server accepts no new connection. A reply is the last of its connection, unless more requests have arrived
    /// after its own. At this time the server cuts the connections that are left.
    Draining { until: Moment },
}

impl Drain {
    pub(super) const fn is_draining(self) -> bool {
        matches!(self, Self::Draining { .. })
    }

    pub(super) const fn deadline(self) -> Option<Moment> {
        match self {
            Self::Serving => None,
            Self::Delayed { until } | Self::Draining { until } => Some(until),
        }
    }
}

impl EventLoop {
    /// Obeys the orders of a handle, or of the supervisor of the group, after it has woken the loop.
    pub(super) fn take_orders(&mut self) {
        if self.shared.take_shutdown() {
            self.stop(DrainCause::Handle);
        }
        let Some(orders) = self.shared.group().map(Group::orders) else { return };
        if let Some(cause) = orders.stop {
            self.stop(cause);
        }
        if let Some(signalled) = orders.cut {
            self.cut(signalled);
        }
    }

    /// Asks the server to drain. A second call changes nothing, unless it is for a second signal: that cuts the
    /// connections.
    pub(super) fn stop(&mut self, cause: DrainCause) {
        if self.drain != Drain::Serving {
            if matches!(cause, DrainCause::Signal(_)) && self.signalled {
                self.cut(true);
            }
            return;
        }
        log::info!("draining: {cause:?}");
        self.sessions.watch.tell(|observer| observer.draining(cause));
        self.drain_cause = Some(cause);
        self.shared.set_draining();
        self.drain = Drain::Delayed { until: self.sessions.now() + self.sessions.config.drain_delay };
    }

    /// Takes the next step of the drain if it is due.
    pub(super) fn drain(&mut self, service: &mut dyn Service) {
        match self.drain {
            Drain::Delayed { until } if self.sessions.now() >= until => self.begin_drain(service),
            Drain::Draining { until } if self.sessions.now() >= until => self.cut(false),
            // `begin_drain` ran out of descriptors; since then enough became free to empty the queues.
            Drain::Draining { .. } if self.acceptor.is_exhausted() => self.acceptor.close(),
            _ => {}
        }
    }

    /// Accepts what the kernel has queued, even beyond `max_connections`, and closes the listeners. Then it reads every
    /// connection once more: a request that is already in its socket is served.
    fn begin_drain(&mut self, service: &mut dyn Service) {
        self.set_draining(self.sessions.now() + self.sessions.config.drain_timeout);
        self.acceptor.mark_all_ready();
        // At most as many as the queues hold (Linux queues one more than the backlog): clients that connect meanwhile
        // must not prolong the drain.
        let each = (self.sessions.config.backlog.max(1) as usize).saturating_add(1);
        let queued = each.saturating_mul(self.acceptor.len());
        for _ in 0..queued {
            if !self.acceptor.is_ready() {
                break;
            }
            self.accept_one(service);
        }
        // Without a free descriptor the listeners stay open, since the rest of the queue waits for one.
        if self.acceptor.paused_until().is_none() {
            self.acceptor.close();
        }
        self.sessions.look_at_all();
        self.sessions.pump_runnable(service);
    }

    fn set_draining(&mut self, until: Moment) {
        self.drain = Drain::Draining { until };
        self.sessions.draining = true;
    }

    /// Closes the listeners and cuts all connections that are left.
    fn cut(&mut self, signalled: bool) {
        self.set_draining(self.sessions.now() + Duration::MAX);
        self.acceptor.close();
        let connections = self.sessions.cut();
        if connections > 0 {
            self.forced = Some((connections, signalled));
        }
    }
}
