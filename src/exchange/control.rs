//! What an application can ask of the loop that serves it.

use std::fmt;
use std::sync::Arc;

/// A loop, as others see it.
pub(crate) trait Controlled: Send + Sync {
    /// Has the loop call [`Service::run_posted`](super::Service::run_posted) soon, and wakes it if it sleeps.
    fn ring(&self);

    /// Asks the loop to drain.
    fn ask_shutdown(&self);

    /// Whether the drain has begun.
    fn is_draining(&self) -> bool;
}

/// What an application can ask of the loop that serves it, from any thread. [`Service::begin`] gets it. The
/// applications of a [`Router`](crate::Router) use a [`Handle`](crate::Handle) instead.
///
/// [`Service::begin`]: super::Service::begin
#[derive(Clone)]
pub struct LoopControl(Arc<dyn Controlled>);

impl LoopControl {
    pub(crate) fn new(controlled: Arc<dyn Controlled>) -> Self {
        Self(controlled)
    }

    /// Has the loop call [`Service::run_posted`](super::Service::run_posted) soon, and wakes it if it sleeps.
    pub fn ring(&self) {
        self.0.ring();
    }

    /// Begins to drain, as [`Handle::shutdown`](crate::Handle::shutdown) does.
    pub fn shutdown(&self) {
        self.0.ask_shutdown();
    }

    /// Whether the server has begun to drain, for any cause.
    pub fn is_draining(&self) -> bool {
        self.0.is_draining()
    }
}

impl fmt::Debug for LoopControl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoopControl")
    }
}
