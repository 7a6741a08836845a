//! How an application reaches the virtual loop that serves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::exchange::{Controlled, Mailbox};

/// What a handle can ask of a virtual loop. The loop looks in its next turn.
pub(super) struct VirtualControl {
    pub(super) mailbox: Arc<Mailbox>,
    stopped: AtomicBool,
    draining: AtomicBool,
}

impl VirtualControl {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Arc<Self> {
        Arc::new(Self { mailbox, stopped: AtomicBool::new(false), draining: AtomicBool::new(false) })
    }

    /// Whether a shutdown was asked for since the last call.
    pub(super) fn take_shutdown(&self) -> bool {
        self.stopped.swap(false, Ordering::AcqRel)
    }

    /// Records that the drain has begun.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }
}

impl Controlled for VirtualControl {
    fn ring(&self) {
        self.mailbox.ring();
    }

    fn ask_shutdown(&self) {
        self.stopped.store(true, Ordering::Release);
        self.mailbox.ring();
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}
