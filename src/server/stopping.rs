//! How the loop stops: what orders it, and the steps of the drain, which `drain` says are due.

use super::control::Group;
use super::drain::{Forced, Step};
use super::event_loop::EventLoop;
use crate::exchange::{DrainCause, Service};

impl EventLoop {
    /// Obeys the orders of a handle, or of the supervisor of the group, after it has woken the loop.
    pub(super) fn take_orders(&mut self) {
        if self.control.take_shutdown() {
            self.stop(DrainCause::Handle);
        }
        let Some(orders) = self.control.group().map(Group::orders) else { return };
        if let Some(cause) = orders.stop {
            self.stop(cause);
        }
        if let Some(signalled) = orders.cut {
            self.cut(signalled);
        }
    }

    /// Asks the server to drain. A second call changes nothing.
    pub(super) fn stop(&mut self, cause: DrainCause) {
        if self.drain.delay(cause, self.sessions.now() + self.sessions.config.drain_delay) {
            log::info!("draining: {cause:?}");
            self.sessions.watch.tell(|observer| observer.draining(cause));
            self.sessions.set_draining(self.drain.for_connections());
            self.control.set_draining();
        }
    }

    /// Takes the next step of the drain if it is due.
    #[inline]
    pub(super) fn drain(&mut self, service: &mut dyn Service) {
        if self.drain.has_begun() {
            self.take_step(service);
        }
    }

    #[cold]
    fn take_step(&mut self, service: &mut dyn Service) {
        match self.drain.due(self.sessions.now(), self.sessions.looked_until()) {
            Some(Step::Drain) => self.begin_drain(service),
            Some(Step::CloseIdle) => {
                log::debug!("drain: the grace is over, so idle connections are closed");
                self.drain.end_grace();
                self.look_at_all(service);
            }
            Some(Step::Cut) => self.cut(false),
            // `begin_drain` ran out of descriptors; since then enough became free to empty the queues.
            None if self.drain.is_draining() && self.acceptor.close_if_exhausted() => self.look_at_all(service),
            None => {}
        }
    }

    /// Accepts what the kernel has queued, even beyond `max_connections`, and closes the listeners. Then it reads every
    /// connection once more: a request that is already in its socket is served.
    fn begin_drain(&mut self, service: &mut dyn Service) {
        let (grace, timeout) = (self.sessions.config.drain_grace, self.sessions.config.drain_timeout);
        self.drain.begin(self.sessions.now(), grace, timeout);
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
        self.look_at_all(service);
    }

    /// Reads every connection once more, and tells each how far the drain is.
    fn look_at_all(&mut self, service: &mut dyn Service) {
        self.sessions.set_draining(self.drain.for_connections());
        self.sessions.look_at_all();
        self.sessions.pump_runnable(service);
    }

    /// Closes the listeners and cuts all connections that are left.
    pub(super) fn cut(&mut self, signalled: bool) {
        self.drain.cut();
        self.acceptor.close();
        let connections = self.sessions.cut();
        if connections > 0 {
            self.forced = Some(Forced { connections, signalled });
        }
    }
}
