use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::Waker;

use super::workers::Group;
use crate::exchange::Mailbox;
use crate::router::{Tasks, Timer};

/// Controls a running server from other threads. It can be cloned and sent to another thread, whatever `S` is.
///
/// The handle of a worker (see [`Workers`](super::Workers)) shuts down all workers: none stops alone.
///
/// ```
/// use monoloop::{Router, Server};
///
/// # fn main() -> monoloop::server::Result<()> {
/// let running = Server::bind("127.0.0.1:0")?.start(Router::new(()))?;
/// let handle = running.handle();
/// std::thread::spawn(move || handle.shutdown());
/// running.run()
/// # }
/// ```
pub struct Handle<S> {
    shared: Arc<Shared>,
    tasks: Arc<Tasks<S>>,
}

/// The state that the loop and its handles share.
pub(super) struct Shared {
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
            log::error!("cannot wake the event loop: {error}");
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

    /// Asks the loop to drain. If it belongs to a group, asks the supervisor of the group instead.
    pub(super) fn ask_shutdown(&self) {
        if let Some(group) = &self.group {
            return group.supervisor().ask_shutdown();
        }
        self.shutdown.store(true, Ordering::Release);
        self.wake();
    }

    /// Records that the drain has begun.
    pub(super) fn set_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether the drain of the server, or of the whole group, has begun.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire) || self.group().is_some_and(|group| group.supervisor().is_draining())
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

impl<S> Handle<S> {
    pub(super) const fn new(shared: Arc<Shared>, tasks: Arc<Tasks<S>>) -> Self {
        Self { shared, tasks }
    }

    /// Begins to drain, like SIGTERM: the server finishes its requests, and then `run` returns. A second call changes
    /// nothing.
    #[doc(alias("stop", "drain", "close", "graceful"))]
    pub fn shutdown(&self) {
        self.shared.ask_shutdown();
    }

    /// Whether the server has begun to drain, for any cause. From then on a health check should report it. During
    /// [`Config::drain_delay`](crate::Config::drain_delay) the server still serves as before.
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Makes the loop call `task` with the state soon, on the loop's thread and between two requests. Tasks are called
    /// in the order in which they were posted. The handle of a worker posts to that worker and its state. Once the
    /// server has ended, tasks are dropped without a call.
    ///
    /// ```
    /// use monoloop::{Router, Server};
    ///
    /// # fn main() -> monoloop::server::Result<()> {
    /// let running = Server::bind("127.0.0.1:0")?.start(Router::new(Vec::<u64>::new()))?;
    /// let handle = running.handle();
    /// std::thread::spawn(move || {
    ///     let answer = (1..=20).product();        // something that takes time
    ///     handle.post(move |answers| answers.push(answer));
    ///     handle.shutdown();
    /// });
    /// running.run()
    /// # }
    /// ```
    #[doc(alias("spawn", "thread"))]
    pub fn post(&self, task: impl FnOnce(&mut S) + Send + 'static) {
        self.tasks.post(Box::new(task));
        self.shared.mailbox.ring();
    }

    /// As [`Routes::after`](crate::router::Routes::after), but from any thread.
    #[doc(alias("timer", "timeout"))]
    pub fn after(&self, delay: Duration, task: impl FnOnce(&mut S) + Send + 'static) -> Timer {
        let timer = self.tasks.after(delay, Box::new(task));
        self.shared.mailbox.ring();
        timer
    }

    /// As [`Routes::every`](crate::router::Routes::every), but from any thread.
    #[doc(alias("timer", "interval"))]
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
