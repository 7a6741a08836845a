//! Several event loops in one process. Each has its own thread, listening sockets, slab and application; the loops
//! share only the orders to stop. So a handler still has its `&mut S` for itself, and serving a request needs no lock
//! and no counter that threads share.
//!
//! ```text
//!     thread of the caller           threads worker-0, worker-1, ...
//!
//!     serve  ── listeners ─────────▶ set_up(index, Server) makes a Running
//!            ◀─ ready, or an error ─ waits at its gate
//!     run    ── opens the gates ───▶ turns its loop
//!     (sleeps in a poll of its own: signals, WorkersHandle, workers that have ended)
//!            ── stop, cut ─────────▶ drains as a single server does
//!            ◀─ how it ended ─────── ends its thread
//! ```
//!
//! All workers begin together and end together:
//!
//! - no worker accepts before all are set up; if one fails, all end and [`Workers::start`] returns the error;
//! - the supervisor orders a drain for all workers at once; the handle of a worker asks the supervisor too;
//! - if the loop of one worker fails, the others are cut off and [`RunningWorkers::run`] returns the error;
//! - if a worker panics outside a handler, the process ends: see `worker::take_down`.
//!
//! Reading order: this file (the public face), `worker` (the life of one worker), `supervisor` (it starts and stops the
//! workers). The state that they share, their `Group`, is in `server/control.rs`.

mod supervisor;
mod worker;

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;

pub use supervisor::{RunningWorkers, WorkersHandle};

use super::error::{Error, Result};
use super::listener::Listener;
use super::running::Running;
use super::setup::Server;
use crate::config::Config;
use crate::exchange::Endpoint;
use crate::limits::{BACKLOG, MAX_WORKERS};
use worker::{SetUpError, Worker};

/// Several servers on the same addresses that do not serve yet. Each has an event loop and a thread of its own, to use
/// several cores.
///
/// Each worker makes its own application, in its own thread, so neither the [`Router`](crate::Router) nor its state has
/// to be `Send`. **The states are separate**: if a request changes the state, a request on another connection may not
/// see the change, since that connection may belong to another worker. Keep data that all workers must see in a
/// database, or in an `Arc` that the closure gives to each worker.
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
///         server.start(app)
///     })
/// }
/// ```
///
/// # What must be `Send`, and what need not be
/// The closure itself is shared: all threads call it, at the same time. So it must be `Fn`, `Send`, `Sync` and
/// `'static`, and so must be what it captures: numbers, texts, an `Arc` of data that can be shared. What it *makes*
/// stays in the thread that called it, and need not be any of that: the [`Router`](crate::Router), its state, its
/// handlers and what those capture, observers and hooks.
///
/// So make in the closure what belongs to one worker. What was made outside of it cannot come in if it is for one
/// thread only, as an `Rc` is. This does not compile:
///
/// ```compile_fail,E0277
/// use monoloop::{Router, Workers};
/// use std::{cell::Cell, rc::Rc};
///
/// # fn main() -> monoloop::server::Result<()> {
/// let visits = Rc::new(Cell::new(0_u64)); // one for all threads
/// Workers::bind("127.0.0.1:0", 2)?.run(move |_, server| {
///     server.start(Router::new(Rc::clone(&visits))) // `Rc<Cell<u64>>` cannot be shared between threads safely
/// })
/// # }
/// ```
///
/// A `Router` that was made outside cannot come in either: it is not `Send`, and each worker needs one of its own.
///
/// ```compile_fail,E0277
/// use monoloop::{Router, Workers};
///
/// # fn main() -> monoloop::server::Result<()> {
/// let app = Router::new(());
/// Workers::bind("127.0.0.1:0", 2)?.run(move |_, server| server.start(app))
/// # }
/// ```
///
/// Make it in a function that the closure calls, and share data by an `Arc`. Here all workers count together:
///
/// ```
/// use monoloop::{Router, Workers};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// fn app(visits: Arc<AtomicU64>) -> Router<Arc<AtomicU64>> {
///     let mut app = Router::new(visits);
///     app.get("/", |visits, _, res| res.text(visits.fetch_add(1, Ordering::Relaxed).to_string()));
///     app
/// }
///
/// # fn main() -> monoloop::server::Result<()> {
/// let visits = Arc::new(AtomicU64::new(0));
/// let running = Workers::bind("127.0.0.1:0", 2)?.start(move |_, server| server.start(app(Arc::clone(&visits))))?;
/// # let handle = running.handle();
/// # std::thread::spawn(move || handle.shutdown());
/// running.run()
/// # }
/// ```
///
/// Other threads reach the state of a worker by a [`Handle`](super::Handle), whose tasks must be `Send`, because they
/// travel to the loop's thread.
///
/// # Which worker gets a connection
/// On Linux each worker has a TCP socket of its own with `SO_REUSEPORT` (socket(7)). The kernel distributes the
/// connections by a hash of both addresses: evenly if there are many, by chance if there are few. It does not consider
/// whether a worker is busy or full.
///
/// Other processes **of the same user** that set this option may listen on the same port, and then get their share. For
/// all other processes, and for a second `Workers`, the address is in use.
///
/// All workers share a unix socket, a socket that was passed in, and any socket on a system other than Linux. For these
/// all workers wake up, and the first one accepts the connection.
///
/// # Limits of a worker and limits of the process
/// [`Config`] applies to each worker: with `max_connections` 100, four workers accept 400 connections, and each has its
/// own backlog. Only `max_memory` is shared: each worker has an equal part of it. Descriptors belong to the process; a
/// worker that finds none free waits for one and tries again, as a single server does. Each worker numbers its
/// connections by itself.
///
/// # Panics in a worker
/// A panic of a handler, an observer or a hook is caught, as in a single server. Any other panic in the thread of a
/// worker that serves **aborts the process**, after a line on standard error that names the worker and the panic. Such
/// a panic is a bug, in your own [`Clock`](super::Clock) or in the event loop.
///
/// Without the abort, the clients of that worker would wait for ever. The other workers would still serve, so from
/// outside the server would look healthy. Unwinding into the caller of `run` would first have to wait for handlers of
/// the other workers, and the caller could catch it. If something must happen before the abort, such as writing a
/// report, do it in a [panic hook](std::panic::set_hook): it runs first.
#[doc(alias("threads", "multithreading", "cluster", "cores"))]
pub struct Workers {
    /// The listeners of each worker, in the same order for all.
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
    /// that the first one gets. A single worker does not share its address, as a single server does not.
    ///
    /// [`available_parallelism`](std::thread::available_parallelism) is a good count if no other program needs the
    /// machine.
    ///
    /// # Errors
    /// [`Error::Bind`] when the address is in use, does not belong to this machine, or is not allowed, or when `count`
    /// is zero or more than [`MAX_WORKERS`].
    pub fn bind(address: impl ToSocketAddrs, count: usize) -> Result<Self> {
        Self::new(count)?.also_bind(address)
    }

    /// Listens on a unix socket for `count` workers, as [`Server::bind_unix`] does for one.
    ///
    /// # Errors
    /// [`Error::Bind`] when the path is in use or the socket file cannot be created, or when `count` is out of range.
    pub fn bind_unix(path: impl AsRef<Path>, count: usize) -> Result<Self> {
        Self::new(count)?.also_bind_unix(path)
    }

    /// Takes a TCP socket that already listens; `count` workers share it.
    ///
    /// # Errors
    /// [`Error::Io`] when the socket cannot be made nonblocking or shared. [`Error::Bind`] when `count` is out of
    /// range.
    pub fn from_listener(listener: std::net::TcpListener, count: usize) -> Result<Self> {
        Ok(Self::new(count)?.add(Listener::passed(listener)?.share(count)?))
    }

    /// Makes all workers listen on one more TCP address. Beside an IPv4 address of the same port, `[::]` serves IPv6
    /// only, as with [`Server::also_bind`].
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn also_bind(self, address: impl ToSocketAddrs) -> Result<Self> {
        let count = self.listeners.len();
        let for_each = Listener::tcp_for_each(address, BACKLOG, count, &self.listeners[0])?;
        Ok(self.add(for_each))
    }

    /// Makes all workers listen on one more unix socket.
    ///
    /// # Errors
    /// As [`bind_unix`](Self::bind_unix).
    pub fn also_bind_unix(self, path: impl AsRef<Path>) -> Result<Self> {
        let count = self.listeners.len();
        Ok(self.add(Listener::unix(path.as_ref(), BACKLOG)?.share(count)?))
    }

    /// The first address that the workers listen on.
    pub fn local_addr(&self) -> Endpoint {
        self.listeners[0][0].local()
    }

    /// All addresses that the workers listen on.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.listeners[0].iter().map(Listener::local)
    }

    /// Sets limits and timeouts, which apply to each worker. A signal stops all workers, so a [`Config::signals`] that
    /// `set_up` sets for one server is ignored.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Starts the threads. All call `set_up` at the same time, with the number of the worker (from 0) and the
    /// [`Server`] that it has to serve. The addresses and the common configuration of this server are set; `set_up` can
    /// set its observer, hook and clock. Returns when all workers are ready. They begin to serve with
    /// [`RunningWorkers::run`].
    ///
    /// ```
    /// use monoloop::{Router, Workers, server::Observer};
    ///
    /// struct Metrics { worker: usize }
    /// impl Observer for Metrics {}
    ///
    /// # fn main() -> monoloop::server::Result<()> {
    /// let running = Workers::bind("127.0.0.1:0", 2)?
    ///     .start(|worker, server| server.observer(Metrics { worker }).start(Router::new(())))?;
    /// let handle = running.handle();
    /// std::thread::spawn(move || handle.shutdown());
    /// running.run()
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Worker`] when `set_up` fails or panics, with the error of the first such worker: then no worker serves,
    /// and no socket listens any more. [`Error::Io`] when the system denies a thread, a poll or a waker.
    pub fn start<S, E>(
        self,
        set_up: impl Fn(usize, Server) -> Result<Running<S>, E> + Send + Sync + 'static,
    ) -> Result<RunningWorkers>
    where
        S: 'static,
        E: Into<SetUpError>,
    {
        let (end, ends) = channel();
        let mut running = RunningWorkers::new(self.listeners.len(), self.local_addrs().collect(), ends)?;
        let set_up = Arc::new(set_up);
        let (report, reports) = channel();
        for (index, listeners) in self.listeners.into_iter().enumerate() {
            let group = Arc::clone(running.group());
            let (open, gate) = channel();
            let worker = Worker { index, group, report: report.clone(), gate, end: end.clone() };
            let (set_up, config) = (Arc::clone(&set_up), self.config.clone());
            running.spawn(open, worker, move |worker| {
                let server = Server::in_group(listeners, config, Arc::clone(&worker.group));
                worker.work(move || set_up(index, server));
            })?;
        }
        drop(report);
        running.wait_until_ready(&reports, &self.config)?;
        Ok(running)
    }

    /// Serves until the workers have been shut down and all have drained. `set_up` is as in [`start`](Self::start).
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`RunningWorkers::run`].
    pub fn run<S, E>(
        self,
        set_up: impl Fn(usize, Server) -> Result<Running<S>, E> + Send + Sync + 'static,
    ) -> Result<()>
    where
        S: 'static,
        E: Into<SetUpError>,
    {
        self.start(set_up)?.run()
    }
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workers").field("listeners", &self.listeners).field("config", &self.config).finish()
    }
}
