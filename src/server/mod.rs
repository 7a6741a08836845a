//! The server: sockets, signals, the clock and the event loop. Only this module uses mio.
//!
//! Reading order: `event_loop` (the tick), `accept`, `drain`; then `workers`, which runs several loops. The code for
//! what a tick does with a session is in `sessions/`.

mod accept;
mod access_log;
mod clock;
mod drain;
mod error;
mod event_loop;
mod handle;
mod listener;
mod shared;
#[cfg(feature = "signals")]
mod signals;
mod socket;
#[cfg(test)]
mod tests;
mod workers;

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::ToSocketAddrs;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use crate::router::Timer;
pub use access_log::{AccessLog, LogFormat};
pub use clock::{Clock, SystemClock};
pub use error::{Error, Result};
pub use handle::Handle;
pub use workers::{RunningWorkers, Workers, WorkersHandle};

pub use crate::exchange::{
    Admission, CloseReason, ConnectionId, DrainCause, Endpoint, FinishedReply, Observer, Service, Tick, Timeout,
};

use crate::config::Config;
use crate::exchange::{Request, Response, Sent};
use crate::limits::BACKLOG;
use crate::router::Router;
use event_loop::EventLoop;
use listener::Listener;
use shared::Group;

/// What the hook of [`Server::on_connection`] decides about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The server serves the connection.
    Accept,
    /// The server serves the connection, with this idle timeout in place of the one in [`Config`].
    AcceptWithIdleTimeout(Duration),
    /// The server closes the connection at once.
    Refuse,
}

type Hook = Box<dyn FnMut(&Endpoint) -> Decision>;

/// A server that listens but does not serve yet.
///
/// ```
/// use monoloop::{Router, Server};
///
/// # fn main() -> monoloop::server::Result<()> {
/// let mut app = Router::new(());
/// app.get("/", |_, _, res| res.text("Hello, World!"));
/// let server = Server::bind("127.0.0.1:0")?;
/// println!("http://{}", server.local_addr());
/// # if false {
/// server.run(app)?;
/// # }
/// # Ok(())
/// # }
/// ```
pub struct Server {
    listeners: Vec<Listener>,
    config: Config,
    observer: Option<Box<dyn Observer>>,
    on_connection: Option<Hook>,
    clock: Box<dyn Clock>,
    /// The group of this server, if it is a worker.
    group: Option<Arc<Group>>,
}

impl Server {
    fn new(listener: Listener) -> Self {
        Self::on(vec![listener])
    }

    fn on(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            config: Config::default(),
            observer: None,
            on_connection: None,
            clock: Box::new(SystemClock::new()),
            group: None,
        }
    }

    /// Listens on a TCP address. If `address` resolves to several addresses, it takes the first that can be bound.
    /// Port 0 takes a free port; `[::]` serves IPv4 too. From now on the kernel queues connections.
    ///
    /// # Errors
    /// [`Error::Bind`] when the address is in use, does not belong to this machine, or is not allowed.
    #[doc(alias = "listen")]
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        Ok(Self::new(Listener::tcp(address, BACKLOG)?))
    }

    /// Listens on a unix socket. The server removes the socket file at its end, and replaces a file that a dead server
    /// left.
    ///
    /// # Errors
    /// [`Error::Bind`] when the path is in use or the socket file cannot be created.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(Listener::unix(path.as_ref(), BACKLOG)?))
    }

    /// Takes a TCP socket that already listens: one from a supervisor, or one with socket options that you have set.
    ///
    /// # Errors
    /// [`Error::Io`] when the socket cannot be made nonblocking.
    #[doc(alias = "socket_activation")]
    pub fn from_listener(listener: std::net::TcpListener) -> Result<Self> {
        Ok(Self::new(Listener::passed(listener)?))
    }

    /// Listens on one more TCP address.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn also_bind(mut self, address: impl ToSocketAddrs) -> Result<Self> {
        self.listeners.push(Listener::tcp(address, BACKLOG)?);
        Ok(self)
    }

    /// Listens on one more unix socket.
    ///
    /// # Errors
    /// As [`bind_unix`](Self::bind_unix).
    pub fn also_bind_unix(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.listeners.push(Listener::unix(path.as_ref(), BACKLOG)?);
        Ok(self)
    }

    /// The first address that the server listens on.
    pub fn local_addr(&self) -> Endpoint {
        self.listeners[0].local()
    }

    /// All addresses that the server listens on.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.listeners.iter().map(Listener::local)
    }

    /// Sets limits and timeouts.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets the observer, which is told what the server does.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Sets a hook that the server calls for each connection before it serves it: for rate limits, or for a different
    /// idle timeout. If the hook panics, the server refuses the connection.
    ///
    /// ```
    /// use monoloop::{Server, server::Decision};
    ///
    /// # fn main() -> monoloop::server::Result<()> {
    /// let mut seen = 0;
    /// let server = Server::bind("127.0.0.1:0")?.on_connection(move |peer| {
    ///     seen += 1;
    ///     if peer.ip().is_some_and(|ip| ip.is_loopback()) { Decision::Accept } else { Decision::Refuse }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("rate_limit", "refuse"))]
    #[must_use]
    pub fn on_connection(mut self, hook: impl FnMut(&Endpoint) -> Decision + 'static) -> Self {
        self.on_connection = Some(Box::new(hook));
        self
    }

    /// Sets the clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Box::new(clock);
        self
    }

    /// Makes the event loop. You can then run it, or turn it by hand from a loop of your own.
    ///
    /// # Errors
    /// [`Error::Io`] when the system denies a poll or a waker.
    #[doc(alias = "embed")]
    pub fn start<S>(self, mut app: Router<S>) -> Result<Running<S>> {
        let mut event_loop = EventLoop::new(self)?;
        event_loop.start(&mut app);
        Ok(Running { app, event_loop })
    }

    /// Serves until the server has been shut down and has drained.
    ///
    /// # Errors
    /// As [`start`](Self::start) and [`Running::run`].
    #[doc(alias = "listen")]
    pub fn run<S>(self, app: Router<S>) -> Result<()> {
        self.start(app)?.run()
    }

    /// Serves an application that is not a [`Router`], in the same way as [`run`](Self::run).
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_service(self, service: &mut dyn Service) -> Result<()> {
        let mut event_loop = EventLoop::new(self)?;
        refuse_worker(&event_loop)?;
        event_loop.start(service);
        run(&mut event_loop, service, false).map(drop)
    }
}

/// Returns an error for a worker. A worker that ran inside `set_up` would serve too early, and all others would wait
/// for it.
fn refuse_worker(event_loop: &EventLoop) -> io::Result<()> {
    match event_loop.shared.group() {
        None => Ok(()),
        Some(_) => {
            Err(io::Error::new(ErrorKind::InvalidInput, "`Workers` runs its servers: return `server.start(app)`"))
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listeners", &self.listeners).field("config", &self.config).finish()
    }
}

/// A server with its application and its event loop. Run it, or turn it from a loop of your own.
///
/// ```
/// use monoloop::{Router, Server};
/// use std::time::Duration;
///
/// # fn main() -> monoloop::server::Result<()> {
/// let mut running = Server::bind("127.0.0.1:0")?.start(Router::new(0_u32))?;
/// while running.turn(Some(Duration::from_millis(1)))? {
///     *running.app_mut().state_mut() += 1;
///     if *running.app().state() == 3 {
///         running.handle().shutdown();
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "embed")]
pub struct Running<S> {
    app: Router<S>,
    event_loop: EventLoop,
}

impl<S> Running<S> {
    /// A handle to this server, for other threads.
    pub fn handle(&self) -> Handle<S> {
        Handle::new(Arc::clone(&self.event_loop.shared), self.app.tasks())
    }

    /// The first address that the server listens on; `None` once it has stopped listening in a drain.
    pub fn local_addr(&self) -> Option<Endpoint> {
        self.local_addrs().next()
    }

    /// All addresses that the server listens on; none once it has stopped listening in a drain.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.event_loop.acceptor.local()
    }

    /// The cause of the drain; `None` until something asks the server to drain.
    pub const fn draining(&self) -> Option<DrainCause> {
        self.event_loop.drain_cause
    }

    /// The application.
    pub const fn app(&self) -> &Router<S> {
        &self.app
    }

    /// The application, for changes between two turns.
    pub const fn app_mut(&mut self) -> &mut Router<S> {
        self.event_loop.ask_timers();
        &mut self.app
    }

    /// Runs one tick of the event loop: sleeps until something happens, at most for `timeout`, and then does what is
    /// due. Returns whether the server goes on.
    ///
    /// If your program sleeps elsewhere between two turns, give a timeout (zero is fine). With `None`, time between
    /// turns counts as blocking by a handler.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<bool> {
        turn(&mut self.event_loop, &mut self.app, timeout)
    }

    /// How long you may wait before you must call [`turn`](Self::turn) even if the descriptor is not readable. `None`
    /// means for ever.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.event_loop.next_deadline()
    }

    /// Runs until the server is asked to [drain](Self::draining), and returns whether it goes on. If it does, call
    /// [`run`](Self::run) to finish the drain.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until_drain(&mut self) -> Result<bool> {
        refuse_worker(&self.event_loop)?;
        run(&mut self.event_loop, &mut self.app, true)
    }

    /// Runs until the server has been shut down and has drained.
    ///
    /// # Errors
    /// [`Error::Io`] when the poll fails; [`Error::Forced`] when the drain was cut short.
    pub fn run(mut self) -> Result<()> {
        refuse_worker(&self.event_loop)?;
        self.run_to_the_end()
    }

    /// As [`run`](Self::run), but for workers too.
    fn run_to_the_end(&mut self) -> Result<()> {
        run(&mut self.event_loop, &mut self.app, false).map(drop)
    }
}

/// Sinks and protocols learn of the end of their connection even if `Running` is dropped early.
impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.event_loop.abandon(&mut self.app);
    }
}

/// The descriptor of the poll, for an event loop of your own. It is readable when [`turn`](Running::turn) has work.
impl<S> AsFd for Running<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event_loop.as_fd()
    }
}

impl<S> fmt::Debug for Running<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("app", &self.app).finish_non_exhaustive()
    }
}

/// Runs ticks until the server has ended or, with `until_drain`, until something asks it to drain. Returns whether the
/// server goes on.
///
/// The tick is inlined into this loop, so that a loop that serves a single connection does not pay for a call per tick.
fn run(event_loop: &mut EventLoop, service: &mut dyn Service, until_drain: bool) -> Result<bool> {
    while !until_drain || event_loop.drain_cause.is_none() {
        if !turn(event_loop, service, None)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[inline(always)]
fn turn(event_loop: &mut EventLoop, service: &mut dyn Service, timeout: Option<Duration>) -> Result<bool> {
    event_loop.tick(service, timeout)?;
    if !event_loop.is_done() {
        return Ok(true);
    }
    event_loop.sessions.watch.tell(|observer| observer.server_closed());
    match event_loop.forced {
        Some((connections, signalled)) => Err(Error::Forced { connections, signalled }),
        None => Ok(false),
    }
}

/// Serves all requests with one handler, without a router: a server in three lines.
///
/// ```no_run
/// fn main() -> monoloop::server::Result<()> {
///     monoloop::serve("127.0.0.1:3000", |_req, res| res.text("Hello, World!"))
/// }
/// ```
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`].
pub fn serve(
    address: impl ToSocketAddrs,
    handler: impl FnMut(&Request<'_>, Response<'_>) -> crate::Result<Sent>,
) -> Result<()> {
    Server::bind(address)?.run_service(&mut OneHandler(handler))
}

/// A service that calls one closure.
struct OneHandler<H>(H);

impl<H: FnMut(&Request<'_>, Response<'_>) -> crate::Result<Sent>> Service for OneHandler<H> {
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> crate::Result<Sent> {
        (self.0)(&request, response)
    }
}
