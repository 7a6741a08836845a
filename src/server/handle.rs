use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mio::Waker;

/// Reaches a running server from other threads. Can be cloned and sent, whatever `S` is.
///
/// ```
/// use monoloop::{Router, Server};
///
/// # fn main() -> monoloop::server::Result<()> {
/// let running = Server::bind("127.0.0.1:0")?.serve(Router::new(()))?;
/// let handle = running.handle();
/// std::thread::spawn(move || handle.shutdown());
/// running.run()
/// # }
/// ```
pub struct Handle<S> {
    shared: Arc<Shared>,
    state: PhantomData<fn(S)>,
}

/// What the loop and its handles share.
pub(super) struct Shared {
    waker: Waker,
    shutdown: AtomicBool,
    draining: AtomicBool,
}

impl Shared {
    pub(super) const fn new(waker: Waker) -> Self {
        Self { waker, shutdown: AtomicBool::new(false), draining: AtomicBool::new(false) }
    }

    /// The drain has begun.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the shutdown was asked for since the last call.
    pub(super) fn take_shutdown(&self) -> bool {
        self.shutdown.swap(false, Ordering::Acquire)
    }
}

impl<S> Handle<S> {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, state: PhantomData }
    }

    /// Begins to drain, like SIGTERM: the server finishes what it has and `run` returns. Calling it again changes
    /// nothing.
    pub fn shutdown(&self) {
        self.shared.shutdown.store(true, Ordering::Release);
        if let Err(error) = self.wake() {
            log::error!("the loop could not be woken: {error}");
        }
    }

    /// Whether the server has begun to drain, by whatever cause: from this moment on a health check should say so. During
    /// [`Config::drain_delay`](crate::Config::drain_delay) it still serves as before.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    fn wake(&self) -> io::Result<()> {
        self.shared.waker.wake()
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared))
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
