//! Several loops in one process: each has its own thread, listening sockets, slab and application, and shares nothing
//! with the others but the orders to stop. So a handler is still alone with its `&mut S`, and nothing on the way of a
//! request is locked or counted across threads.
//!
//! ```text
//!     thread of the caller           threads worker-0, worker-1, ...
//!
//!     serve  ── listeners ─────────▶ set_up(index, Server) makes a Running
//!            ◀─ ready, or an error ─ waits at its gate
//!     run    ── opens the gates ───▶ turns its loop
//!     (sleeps in a poll of its own: signals, WorkersHandle, and whoever has ended)
//!            ── stop, cut ─────────▶ drains as a single server does
//!            ◀─ how it ended ─────── is gone
//! ```
//!
//! All begin together and end together:
//!
//! - nobody accepts before every worker is set up; if one fails, all go and [`Workers::serve`] returns its error;
//! - a drain is ordered by the supervisor, to all at once; the handle of a worker asks the supervisor too;
//! - a worker whose loop fails takes the others with it, and [`RunningWorkers::run`] returns its error;
//! - a worker that panics takes the process with it: see `worker::take_down`.
//!
//! Reading order: this file (what is asked for), `worker` (the life of one), `supervisor` (what goes on above them),
//! `group` (what they share).

mod group;
mod supervisor;
mod worker;

use std::error::Error as StdError;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

pub(super) use group::Group;
pub use group::WorkersHandle;
pub use supervisor::RunningWorkers;

use super::error::{Error, Result};
use super::listener::Listener;
use super::{Running, Server};
use crate::config::Config;
use crate::exchange::Endpoint;
use crate::limits::{BACKLOG, MAX_WORKERS};
use worker::Worker;

/// Why the set-up of a worker failed, in the words of the application.
type SetUpError = Box<dyn StdError + Send + Sync>;

/// Several servers on the same addresses that do not serve yet: one loop for each, in a thread of its own, for a
/// machine with several cores.
///
/// Each worker makes its own application, in its own thread, so neither the [`Router`](crate::Router) nor its state has
/// to be `Send`. **The states are separate**: what a request changes, a request on another connection may not see,
/// since another worker may have taken that connection. What all must see belongs into a database, or behind an `Arc`
/// that the closure hands to each.
///
/// ```no_run
/// use monoloop::{Router, Workers};
/// use std::{cell::Cell, rc::Rc};
///
/// fn main() -> monoloop::server::Result<()> {
///     let workers = Workers::bind("127.0.0.1:3000", 2)?;
///     println!("http://{}", workers.local_addr());
///     workers.run(|worker, server| {
///         let visits = Rc::new(Cell::new(0_u64)); // not Send, and it need not be
///         let mut app = Router::new(visits);
///         app.get("/", move |visits, _, res| {
///             visits.set(visits.get() + 1);
///             res.text(format!("visit {} to worker {worker}\n", visits.get()))
///         });
///         server.serve(app)
///     })
/// }
/// ```
///
/// # Who gets a connection
/// On Linux each worker has a TCP socket of its own with `SO_REUSEPORT` (socket(7)), and the kernel deals the
/// connections out by a hash of both addresses: evenly if there are many, by chance if there are few, and without
/// regard to who is busy or full. Other processes **of the same user** that set this option may listen on the same
/// port, and then get their share; everybody else is told that the address is in use, and so is a second `Workers`. A
/// unix socket, a socket that was passed in, and any socket elsewhere than on Linux is shared: all workers wake up, and
/// the first takes the connection.
///
/// # What counts for each, and what for all
/// [`Config`] holds for each worker: with `max_connections` 100, four workers take 400, and each may queue a backlog.
/// Descriptors belong to the process; a worker that finds none free waits for one and tries again, as a single server
/// does. Connections are numbered by each worker for itself.
///
/// # Panics in a worker
/// A panic of a handler, an observer or a hook is caught, as in a single server. Any other panic in the thread of a
/// worker that serves **aborts the process**, after a line on standard error that names the worker and the panic. It is
/// a bug, in a [`Clock`](super::Clock) of yours or in the loop; the clients of that worker would wait for ever while
/// the others are served, so that from outside the server looks well. Unwinding into the caller of `run` would first
/// have to wait for handlers of the other workers, and could be caught. What has to happen before, such as writing a
/// report, belongs into a [panic hook](std::panic::set_hook): it runs first.
pub struct Workers {
    /// Those of each worker, in the same order.
    listeners: Vec<Vec<Listener>>,
    config: Config,
}

impl Workers {
    fn new(count: usize) -> Result<Self> {
        if !(1..=MAX_WORKERS).contains(&count) {
            let address = format!("the address with {count} workers");
            let source = io::Error::new(ErrorKind::InvalidInput, format!("1 to {MAX_WORKERS} are possible"));
            return Err(Error::Bind { address, source });
        }
        let listeners = (0..count).map(|_| Vec::new()).collect();
        Ok(Self { listeners, config: Config::default() })
    }

    fn add(mut self, for_each: Vec<Listener>) -> Self {
        self.listeners.iter_mut().zip(for_each).for_each(|(of_one, listener)| of_one.push(listener));
        self
    }

    /// Listens on a TCP address for `count` workers, as [`Server::bind`] does for one. With port 0 they share the port
    /// that the first one gets. One worker has its address for itself, like a single server.
    ///
    /// [`available_parallelism`](std::thread::available_parallelism) is a good count when nothing else needs the
    /// machine.
    ///
    /// # Errors
    /// [`Error::Bind`] when the address is in use, not ours, or not allowed, or `count` is zero or more than
    /// [`MAX_WORKERS`].
    pub fn bind(address: impl ToSocketAddrs, count: usize) -> Result<Self> {
        Self::new(count)?.also_bind(address)
    }

    /// Listens on a unix socket for `count` workers, as [`Server::bind_unix`] does for one.
    ///
    /// # Errors
    /// [`Error::Bind`] when the path is in use or cannot be made, or `count` is not possible.
    pub fn bind_unix(path: impl AsRef<Path>, count: usize) -> Result<Self> {
        Self::new(count)?.also_bind_unix(path)
    }

    /// Takes a TCP socket that listens already, for `count` workers to share.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made nonblocking or shared; [`Error::Bind`] when `count` is not possible.
    pub fn from_listener(listener: std::net::TcpListener, count: usize) -> Result<Self> {
        Ok(Self::new(count)?.add(Listener::passed(listener)?.share(count)?))
    }

    /// All listen on one more TCP address.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn also_bind(self, address: impl ToSocketAddrs) -> Result<Self> {
        let count = self.listeners.len();
        Ok(self.add(Listener::tcp_for_each(address, BACKLOG, count)?))
    }

    /// All listen on one more unix socket.
    ///
    /// # Errors
    /// As [`bind_unix`](Self::bind_unix).
    pub fn also_bind_unix(self, path: impl AsRef<Path>) -> Result<Self> {
        let count = self.listeners.len();
        Ok(self.add(Listener::unix(path.as_ref(), BACKLOG)?.share(count)?))
    }

    /// The first address that they listen on.
    pub fn local_addr(&self) -> Endpoint {
        self.listeners[0][0].local()
    }

    /// All addresses that they listen on.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.listeners[0].iter().map(Listener::local)
    }

    /// Sets limits and timeouts, which hold for each worker. Signals are for all: a [`Config::signals`] that `set_up`
    /// gives to one server is ignored.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Starts the threads and calls `set_up` in each, at the same time, with the number of the worker (from 0) and the
    /// [`Server`] that it shall serve: its addresses and the common configuration are set; observer, hook and clock can
    /// be. Returns when all are ready. They begin to serve with [`RunningWorkers::run`].
    ///
    /// ```
    /// use monoloop::{Router, Workers, server::Observer};
    ///
    /// struct Metrics { worker: usize }
    /// impl Observer for Metrics {}
    ///
    /// # fn main() -> monoloop::server::Result<()> {
    /// let running = Workers::bind("127.0.0.1:0", 2)?
    ///     .serve(|worker, server| server.observer(Metrics { worker }).serve(Router::new(())))?;
    /// let handle = running.handle();
    /// std::thread::spawn(move || handle.shutdown());
    /// running.run()
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Worker`] with the error of the first worker for which `set_up` returned one, or panicked: then none of
    /// them serves, and nothing listens any more. [`Error::Io`] when the system denies a thread, a poll or a waker.
    pub fn serve<S, E>(
        self,
        set_up: impl Fn(usize, Server) -> Result<Running<S>, E> + Send + Sync + 'static,
    ) -> Result<RunningWorkers>
    where
        S: 'static,
        E: Into<SetUpError>,
    {
        let (end, ends) = channel();
        let mut running = RunningWorkers::new(self.local_addrs().collect(), ends)?;
        let set_up = Arc::new(set_up);
        let (report, reports) = channel();
        for (index, listeners) in self.listeners.into_iter().enumerate() {
            let group = Arc::clone(running.group());
            let (open, gate) = channel();
            let worker = Worker { index, group, report: report.clone(), gate, end: end.clone() };
            let (set_up, config) = (Arc::clone(&set_up), self.config.clone());
            running.spawn(open, worker, move |worker| {
                let group = Some(Arc::clone(&worker.group));
                let server = Server { config, group, ..Server::on(listeners) };
                worker.work(move || set_up(index, server));
            })?;
        }
        drop(report);
        running.wait_until_ready(&reports, &self.config)?;
        Ok(running)
    }

    /// Serves until the workers were shut down and all have drained. `set_up` is that of [`serve`](Self::serve).
    ///
    /// # Errors
    /// As [`serve`](Self::serve) and [`RunningWorkers::run`].
    pub fn run<S, E>(
        self,
        set_up: impl Fn(usize, Server) -> Result<Running<S>, E> + Send + Sync + 'static,
    ) -> Result<()>
    where
        S: 'static,
        E: Into<SetUpError>,
    {
        self.serve(set_up)?.run()
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("listeners", &self.listeners).field("config", &self.config).finish()
    }
}
