use std::fmt;
use std::sync::{Arc, OnceLock};

use mio::Waker;

use crate::exchange::DrainCause;
use crate::server::handle::{Shared, mailbox};

/// Reaches running [`Workers`](super::Workers) from other threads, as a [`Handle`](crate::Handle) does a single server.
#[derive(Clone)]
pub struct WorkersHandle(pub(super) Arc<Group>);

impl WorkersHandle {
    /// Begins to drain all workers, like SIGTERM: they finish what they have and `run` returns. Calling it again
    /// changes nothing. The thread that is in [`run`](super::RunningWorkers::run) passes it on to them.
    pub fn shutdown(&self) {
        self.0.supervisor.ask_shutdown();
    }

    /// Whether the drain has begun, by whatever cause: see [`Handle::is_draining`](crate::Handle::is_draining).
    pub fn is_draining(&self) -> bool {
        self.0.supervisor.is_draining()
    }
}

impl fmt::Debug for WorkersHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WorkersHandle")
    }
}

/// What the supervisor, the workers and all handles share.
pub(in crate::server) struct Group {
    supervisor: Shared,
    /// The orders to all loops. Each is given once and never taken back, so a loop may obey twice but never misses one.
    stop: OnceLock<DrainCause>,
    cut: OnceLock<bool>,
}

/// What the supervisor has ordered so far.
pub(in crate::server) struct Orders {
    /// Drain, for this cause.
    pub(in crate::server) stop: Option<DrainCause>,
    /// Cut what is left; whether because of a signal.
    pub(in crate::server) cut: Option<bool>,
}

impl Group {
    pub(super) fn new(waker: Waker) -> Self {
        Self { supervisor: Shared::new(mailbox(waker), None), stop: OnceLock::new(), cut: OnceLock::new() }
    }

    pub(in crate::server) const fn supervisor(&self) -> &Shared {
        &self.supervisor
    }

    /// Orders all to drain; false if they were told before. They have to be woken to hear of it.
    pub(super) fn order_stop(&self, cause: DrainCause) -> bool {
        let is_first = self.stop.set(cause).is_ok();
        self.supervisor.set_draining();
        is_first
    }

    /// Orders all to cut what is left. If that was ordered before, it stays as it was.
    pub(super) fn order_cut(&self, signalled: bool) {
        let _ = self.cut.set(signalled);
    }

    pub(in crate::server) fn orders(&self) -> Orders {
        Orders { stop: self.stop.get().copied(), cut: self.cut.get().copied() }
    }
}
