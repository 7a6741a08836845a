//! The drain: how a server stops without dropping anything that it accepted.
//!
//! ```text
//!     serving ── signal or Handle ──▶ delayed ── drain_delay ──▶ draining ── last connection gone ──▶ done
//!                                        └────── second signal ──────┴── drain_timeout, second signal ──▶ cut
//! ```

use std::time::Duration;

use super::event_loop::EventLoop;
use super::workers::Group;
use crate::exchange::{DrainCause, Service};
use crate::http::Moment;

/// How far the server is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    /// It serves.
    Serving,
    /// It was asked to stop and serves as before, until then.
    Delayed { until: Moment },
    /// It takes no new connection, and a reply is the last of its connection unless more requests stand behind its own.
    /// Then what is left is cut.
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
    /// Someone woke the loop: a handle, or the supervisor of its group.
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

    /// Someone asked the server to stop. Asking again changes nothing, but a second signal cuts.
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

    /// Goes on with the drain, if there is one and it is time.
    pub(super) fn drain(&mut self, service: &mut dyn Service) {
        match self.drain {
            Drain::Delayed { until } if self.sessions.now() >= until => self.begin_drain(service),
            Drain::Draining { until } if self.sessions.now() >= until => self.cut(false),
            // Descriptors ran out before the queue was empty, and since then there were some.
            Drain::Draining { .. } if self.acceptor.is_exhausted() => self.acceptor.close(),
            _ => {}
        }
    }

    /// Takes what the kernel has queued, even beyond `max_connections`, closes the listeners, and looks once more at
    /// every connection: a request that is already in its socket is served.
    fn begin_drain(&mut self, service: &mut dyn Service) {
        self.set_draining(self.sessions.now() + self.sessions.config.drain_timeout);
        self.acceptor.mark_all_ready();
        // As many as the queues hold (Linux takes one more than it is told): whoever comes meanwhile must not keep the
        // drain from going on.
        let each = (self.sessions.config.backlog.max(1) as usize).saturating_add(1);
        let queued = each.saturating_mul(self.acceptor.len());
        for _ in 0..queued {
            if !self.acceptor.is_ready() {
                break;
            }
            self.accept_one(service);
        }
        // Without a free descriptor the rest waits for one.
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

    /// Closes whatever is left.
    fn cut(&mut self, signalled: bool) {
        self.set_draining(self.sessions.now() + Duration::MAX);
        self.acceptor.close();
        let connections = self.sessions.cut();
        if connections > 0 {
            self.forced = Some((connections, signalled));
        }
    }
}
