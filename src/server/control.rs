//! How other threads control a loop: they ask it to stop, and wake it. The loop of a worker also belongs to a group,
//! through which one supervisor stops all loops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use mio::Waker;

use crate::exchange::{Controlled, DrainCause, Mailbox};

/// What the handles of a loop use to control it. The supervisor of a group has one, too, for its own handles.
pub(super) struct Control {
    mailbox: Arc<Mailbox>,
    shutdown: AtomicBool,
    draining: AtomicBool,
    /// The group, if the server is a worker. Then the supervisor of the group handles a shutdown.
    group: Option<Arc<Group>>,
}

/// Makes the mailbox of the loop that sleeps in the poll of this waker.
pub(super) fn mailbox(waker: Waker) -> Arc<Mailbox> {
    Mailbox::new(move || {
        if let Err(error) = waker.wake() {
            fault!("cannot wake the event loop: {error}");
        }
    })
}

impl Control {
    pub(super) const fn new(mailbox: Arc<Mailbox>, group: Option<Arc<Group>>) -> Self {
        Self { mailbox, shutdown: AtomicBool::new(false), draining: AtomicBool::new(false), group }
    }

    pub(super) fn group(&self) -> Option<&Group> {
        self.group.as_deref()
    }

    /// Records that the drain has begun.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether a handle has asked for a shutdown since the last call.
    pub(super) fn take_shutdown(&self) -> bool {
        self.shutdown.swap(false, Ordering::Acquire)
    }

    /// Wakes the loop.
    pub(super) fn wake(&self) {
        self.mailbox.wake();
    }
}

impl Controlled for Control {
    fn ring(&self) {
        self.mailbox.ring();
    }

    /// Asks the loop to drain. If it belongs to a group, asks the supervisor of the group instead.
    fn ask_shutdown(&self) {
        if let Some(group) = &self.group {
            return group.supervisor().ask_shutdown();
        }
        self.shutdown.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether the drain of the server, or of the whole group, has begun.
    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.group().is_some_and(|group| group.supervisor().is_draining())
    }
}

/// The state that the supervisor of workers, their loops and all handles share.
pub(super) struct Group {
    supervisor: Control,
    /// The orders to all loops. Each is given once and never taken back, so a loop may obey twice but never misses one.
    stop: OnceLock<DrainCause>,
    cut: OnceLock<bool>,
    workers: usize,
}

/// The orders that the supervisor has given so far.
pub(super) struct Orders {
    /// Drain, for this cause.
    pub(super) stop: Option<DrainCause>,
    /// Cut the connections that are left; true if a signal is the cause.
    pub(super) cut: Option<bool>,
}

impl Group {
    pub(super) fn new(waker: Waker, workers: usize) -> Self {
        let supervisor = Control::new(mailbox(waker), None);
        Self { supervisor, stop: OnceLock::new(), cut: OnceLock::new(), workers }
    }

    /// How many loops there are, at least one.
    pub(super) const fn workers(&self) -> usize {
        self.workers
    }

    pub(super) const fn supervisor(&self) -> &Control {
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

    pub(super) fn orders(&self) -> Orders {
        Orders { stop: self.stop.get().copied(), cut: self.cut.get().copied() }
    }
}
