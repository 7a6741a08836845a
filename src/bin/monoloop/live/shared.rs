//! What the thread of the observed loop and the thread of the page share: five flags and a number. All else goes
//! through channels.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The flags. They are written rarely, and the observed loop reads one of them after each tick.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// A page is open.
    watched: AtomicBool,
    /// A frame is on its way to the pages, so no other is made.
    in_flight: AtomicBool,
    /// The observed loop is kept from its next tick, and waits for orders.
    held: AtomicBool,
    /// A page has asked for the drain. The loop itself learns of it in its next tick.
    drained: AtomicBool,
    /// The observed server accepts no connection any more.
    closed: AtomicBool,
    /// How many requests may block the loop: as many as a page has asked for.
    blocks: AtomicUsize,
}

impl Shared {
    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    pub(super) fn set_watched(&self, is: bool) {
        self.watched.store(is, Ordering::SeqCst);
    }

    /// Takes the one place for a frame. Returns whether it was free.
    pub(super) fn begin_frame(&self) -> bool {
        !self.in_flight.swap(true, Ordering::SeqCst)
    }

    pub(super) fn end_frame(&self) {
        self.in_flight.store(false, Ordering::SeqCst);
    }

    /// Whether the loop waits for orders, and must not be woken for one. The thread of the page sends the order before
    /// it asks. The thread of the loop looks for orders once more after it has said that it waits no longer. So one of
    /// the two sees what the other did.
    pub(super) fn is_held(&self) -> bool {
        self.held.load(Ordering::SeqCst)
    }

    pub(super) fn set_held(&self, is: bool) {
        self.held.store(is, Ordering::SeqCst);
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drained.load(Ordering::SeqCst)
    }

    pub(super) fn set_drained(&self) {
        self.drained.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn set_closed(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Lets one more request block the loop.
    pub(super) fn allow_block(&self) {
        self.blocks.fetch_add(1, Ordering::SeqCst);
    }

    /// Returns whether a request may block the loop. Then one less may do so after it.
    pub(super) fn take_block(&self) -> bool {
        self.blocks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }
}
