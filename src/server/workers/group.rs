use std::fmt;
use std::sync::{Arc, OnceLock};

use mio::Waker;

use crate::exchange::DrainCause;
use crate::server::handle::{Shared, mailbox};

/// Controls running [`Workers`](super::Workers) from other threads, as a [`Handle`](crate::Handle) controls one server.
#[derive(Clone)]
pub struct WorkersHandle(pub(super) Arc<Group>);

impl WorkersHandle {
    /// Begins to drain all workers, like SIGTERM: they finish their requests, and then `run` returns. A second call
    /// changes nothing. The thread in [`run`](super::RunningWorkers::run) passes the order on to the workers.
    pub fn shutdown(&self) {
        self.0.supervisor.ask_shutdown();
    }

    /// Whether the drain has begun, for any cause: see [`Handle::is_draining`](crate::Handle::is_draining).
    pub fn is_draining(&self) -> bool {
        self.0.supervisor.is_draining()
    }
}

impl fmt::Debug for WorkersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkersHandle")
    }
}

/// The state that the supervisor, the workers and all handles share.
pub(in crate::server) struct Group {
    supervisor: Shared,
    /// The orders to all loops. Each is given once and never taken back, so a loop may obey twice but never misses one.
    stop: OnceLock<DrainCause>,
    cut: OnceLock<bool>,
}

/// The orders that the supervisor has given so far.
pub(in crate::server) struct Orders {
    /// Drain, for this cause.
    pub(in crate::server) stop: Option<DrainCause>,
    /// Cut the connections that are left; true if a signal is the cause.
    pub(in crate::server) cut: Option<bool>,
}

impl Group {
    pub(super) fn new(waker: Waker) -> Self {
        Self { supervisor: Shared::new(mailbox(waker), None), stop: OnceLock::new(), cut: OnceLock::new() }
    }

    pub(in crate::server) const fn supervisor(&self) -> &Shared {
        &self.supervisor
    }

    /// Orders all workers to drain. Returns false if that was ordered before. The caller has to wake the workers.
    pub(super) fn order_stop(&self, cause: DrainCause) -> bool {
        let is_first = self.stop.set(cause).is_ok();
        self.supervisor.set_draining();
        is_first
    }

    /// Orders all workers to cut the connections that are left. A second order changes nothing.
    pub(super) fn order_cut(&self, signalled: bool) {
        let _ = self.cut.set(signalled);
    }

    pub(in crate::server) fn orders(&self) -> Orders {
        Orders { stop: self.stop.get().copied(), cut: self.cut.get().copied() }
    }
}
