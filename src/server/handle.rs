use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::Waker;

use super::workers::Group;
use crate::exchange::Mailbox;
use crate::router::{Tasks, Timer};

/// Reaches a running server from other threads. Can be cloned and sent, whatever `S` is.
///
/// The handle of a worker (see [`Workers`](super::Workers)) stands for all of them: none stops alone.
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
    tasks: Arc<Tasks<S>>,
}

/// What the loop and its handles share.
pub(super) struct Shared {
    mailbox: Arc<Mailbox>,
    shutdown: AtomicBool,
    draining: AtomicBool,
    /// Of a worker: the group, which is asked in its place.
    group: Option<Arc<Group>>,
}

/// A mailbox whose loop sleeps in the poll of this waker.
pub(super) fn mailbox(waker: Waker) -> Arc<Mailbox> {
    Mailbox::new(move || {
        if let Err(error) = waker.wake() {
            log::error!("the loop could not be woken: {error}");
        }
    })
}

impl Shared {
    pub(super) const fn new(mailbox: Arc<Mailbox>, group: Option<Arc<Group>>) -> Self {
        Self { mailbox, shutdown: AtomicBool::new(false), draining: AtomicBool::new(false), group }
    }

    pub(super) fn group(&self) -> Option<&Group> {
        self.group.as_deref()
    }

    /// Asks the loop to drain; the one that watches over the group, if there is a group.
    pub(super) fn ask_shutdown(&self) {
        if let Some(group) = &self.group {
            return group.supervisor().ask_shutdown();
        }
        self.shutdown.store(true, Ordering::Release);
        self.wake();
    }

    /// The drain has begun.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the drain of the server, or of the whole group, has begun.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.group().is_some_and(|group| group.supervisor().is_draining())
    }

    /// Whether the shutdown was asked for since the last call.
    pub(super) fn take_shutdown(&self) -> bool {
        self.shutdown.swap(false, Ordering::Acquire)
    }

    /// Ends the sleep of the loop.
    pub(super) fn wake(&self) {
        self.mailbox.wake();
    }
}

impl<S> Handle<S> {
    pub(super) const fn new(shared: Arc<Shared>, tasks: Arc<Tasks<S>>) -> Self {
        Self { shared, tasks }
    }

    /// Begins to drain, like SIGTERM: the server finishes what it has and `run` returns. Calling it again changes
    /// nothing.
    pub fn shutdown(&self) {
        self.shared.ask_shutdown();
    }

    /// Whether the server has begun to drain, by whatever cause: from this moment on a health check should say so. During
    /// [`Config::drain_delay`](crate::Config::drain_delay) it still serves as before.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Has the loop call `task` with the state, soon: on its thread, between two requests. Tasks are called in the order in
    /// which they were posted. Of a worker, it is that worker's state. Once the server has ended they are dropped.
    ///
    /// ```
    /// use monoloop::{Router, Server};
    ///
    /// # fn main() -> monoloop::server::Result<()> {
    /// let running = Server::bind("127.0.0.1:0")?.serve(Router::new(Vec::<u64>::new()))?;
    /// let handle = running.handle();
    /// std::thread::spawn(move || {
    ///     let answer = (1..=20).product();        // something that takes time
    ///     handle.post(move |answers| answers.push(answer));
    ///     handle.shutdown();
    /// });
    /// running.run()
    /// # }
    /// ```
    pub fn post(&self, task: impl FnOnce(&mut S) + Send + 'static) {
        self.tasks.post(Box::new(task));
        self.shared.mailbox.ring();
    }

    /// As [`Routes::after`](crate::router::Routes::after), from any thread.
    pub fn after(&self, delay: Duration, task: impl FnOnce(&mut S) + Send + 'static) -> Timer {
        let timer = self.tasks.after(delay, Box::new(task));
        self.shared.mailbox.ring();
        timer
    }

    /// As [`Routes::every`](crate::router::Routes::every), from any thread.
    pub fn every(&self, period: Duration, task: impl FnMut(&mut S) + Send + 'static) -> Timer {
        let timer = self.tasks.every(period, Box::new(task));
        self.shared.mailbox.ring();
        timer
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.shared), Arc::clone(&self.tasks))
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
