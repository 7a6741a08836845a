use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::tasks::{Tasks, Timer};

/// Controls a server, from handlers and from other threads. It can be cloned and sent to another thread, whatever `S`
/// is. [`Router::handle`](super::Router::handle) and [`Running::handle`](crate::server::Running::handle) give it.
///
/// The handle of a worker (see [`Workers`](crate::Workers)) shuts down all workers: none stops alone.
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
    tasks: Arc<Tasks<S>>,
}

impl<S> Handle<S> {
    pub(super) const fn new(tasks: Arc<Tasks<S>>) -> Self {
        Self { tasks }
    }

    /// Begins to drain, like SIGTERM: the server finishes its requests, and then `run` returns. A second call changes
    /// nothing. A server that has not started yet begins to drain when it starts.
    #[doc(alias("stop", "drain", "close", "graceful"))]
    pub fn shutdown(&self) {
        self.tasks.ask_shutdown();
    }

    /// Whether the server has begun to drain, for any cause. From then on a health check should report it. During
    /// [`Config::drain_delay`](crate::Config::drain_delay) the server still serves as before.
    pub fn is_draining(&self) -> bool {
        self.tasks.is_draining()
    }

    /// Makes the loop call `task` with the state soon, on the loop's thread and between two requests. Tasks are called
    /// in the order in which they were posted. The handle of a worker posts to that worker and its state. Once the
    /// server has ended, tasks are dropped without a call.
    ///
    /// This never waits, and the number of tasks that wait has no bound. A thread that has more to post than the loop
    /// can do should put much into one task, or wait until its last task was called, for example through a channel. The
    /// guide on [WebSocket](crate::guide::websocket#other-threads) shows that.
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
    }

    /// As [`Routes::once`](super::Routes::once), but from any thread.
    #[doc(alias("timer", "timeout"))]
    pub fn once(&self, delay: Duration, task: impl FnOnce(&mut S) + Send + 'static) -> Timer {
        self.tasks.once(delay, Box::new(task))
    }

    /// As [`Routes::every`](super::Routes::every), but from any thread.
    #[doc(alias("timer", "interval"))]
    pub fn every(&self, period: Duration, task: impl FnMut(&mut S) + Send + 'static) -> Timer {
        self.tasks.every(period, Box::new(task))
    }
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.tasks))
    }
}

impl<S> fmt::Debug for Handle<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle")
    }
}
