//! The server: sockets, signals, the clock and the loop. The only part that knows mio.
//!
//! Reading order: `event_loop` (the tick), `accept`, `drain`; then `workers`, for several loops. What a tick does to a
//! session stands in `sessions/`.

mod accept;
mod access_log;
mod clock;
mod drain;
mod error;
mod event_loop;
mod handle;
mod listener;
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
use workers::Group;

/// What [`Server::on_connection`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision {
    /// The connection is served.
    Accept,
    /// It is served, with an idle timeout of its own.
    AcceptWithIdleTimeout(Duration),
    /// It is closed at once.
    Refuse,
}

type Hook = Box<dyn FnMut(&Endpoint) -> Decision>;

/// A server that listens and does not serve yet.
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
    /// Of a worker.
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

    /// Listens on a TCP address, the first that can be bound if there are several. Port 0 takes a free one; `[::]`
    /// serves IPv4 too. The kernel queues connections from now on.
    ///
    /// # Errors
    /// [`Error::Bind`] when the address is in use, not ours, or not allowed.
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        Ok(Self::new(Listener::tcp(address, BACKLOG)?))
    }

    /// Listens on a unix socket. The file is removed at the end; one that a dead server left is replaced.
    ///
    /// # Errors
    /// [`Error::Bind`] when the path is in use or cannot be made.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(Listener::unix(path.as_ref(), BACKLOG)?))
    }

    /// Takes a TCP socket that listens already: from a supervisor, or with socket options of its own.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made nonblocking.
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

    /// The first address that it listens on.
    pub fn local_addr(&self) -> Endpoint {
        self.listeners[0].local()
    }

    /// All addresses that it listens on.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.listeners.iter().map(Listener::local)
    }

    /// Sets limits and timeouts.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets who watches.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Sets a hook that is asked about each connection before it is served: for rate limits, or an idle timeout of its
    /// own. If it panics, the connection is refused.
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

    /// Makes the loop, which can then be run, or turned by hand in a loop of yours.
    ///
    /// # Errors
    /// [`Error::Io`] when the system denies a poll or a waker.
    pub fn serve<S>(self, mut app: Router<S>) -> Result<Running<S>> {
        let mut event_loop = EventLoop::new(self)?;
        event_loop.start(&mut app);
        Ok(Running { app, event_loop })
    }

    /// Serves until the server was shut down and has drained.
    ///
    /// # Errors
    /// As [`serve`](Self::serve) and [`Running::run`].
    pub fn run<S>(self, app: Router<S>) -> Result<()> {
        self.serve(app)?.run()
    }

    /// Serves an application that is no [`Router`], as [`run`](Self::run) does.
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

/// A worker that is run where it is set up would serve before the others, who wait for it.
fn refuse_worker(event_loop: &EventLoop) -> io::Result<()> {
    match event_loop.shared.group() {
        None => Ok(()),
        Some(_) => {
            Err(io::Error::new(ErrorKind::InvalidInput, "`Workers` runs its servers: return `server.serve(app)`"))
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listeners", &self.listeners).field("config", &self.config).finish()
    }
}

/// A server with its application, and the loop that joins them: run it, or turn it in a loop of yours.
///
/// ```
/// use monoloop::{Router, Server};
/// use std::time::Duration;
///
/// # fn main() -> monoloop::server::Result<()> {
/// let mut running = Server::bind("127.0.0.1:0")?.serve(Router::new(0_u32))?;
/// while running.turn(Some(Duration::from_millis(1)))? {
///     *running.app_mut().state_mut() += 1;
///     if *running.app().state() == 3 {
///         running.handle().shutdown();
///     }
/// }
/// # Ok(())
/// # }
/// ```
pub struct Running<S> {
    app: Router<S>,
    event_loop: EventLoop,
}

impl<S> Running<S> {
    /// A handle to it, for other threads.
    pub fn handle(&self) -> Handle<S> {
        Handle::new(Arc::clone(&self.event_loop.shared), self.app.tasks())
    }

    /// The first address that it listens on; none once it drains.
    pub fn local_addr(&self) -> Option<Endpoint> {
        self.local_addrs().next()
    }

    /// All addresses that it listens on; none once it drains.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.event_loop.acceptor.local()
    }

    /// What made the server drain, once it does.
    pub const fn draining(&self) -> Option<DrainCause> {
        self.event_loop.drain_cause
    }

    /// The application.
    pub const fn app(&self) -> &Router<S> {
        &self.app
    }

    /// The application, to be changed between two turns.
    pub const fn app_mut(&mut self) -> &mut Router<S> {
        self.event_loop.ask_timers();
        &mut self.app
    }

    /// One tick of the loop: sleeps until something happens, but not longer than `timeout`, and does what is due. Tells
    /// whether the server goes on.
    ///
    /// If you sleep elsewhere between two turns, give a timeout (zero is fine): with `None` the loop takes it that it
    /// sleeps nowhere else, and that time in between is time in which something blocked it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn turn(&mut self, timeout: Option<Duration>) -> Result<bool> {
        turn(&mut self.event_loop, &mut self.app, timeout)
    }

    /// The longest time until [`turn`](Self::turn) must be called although its descriptor is not readable; `None`: any.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.event_loop.next_deadline()
    }

    /// Runs until the server begins to [drain](Self::draining), and tells whether it goes on: then [`run`](Self::run)
    /// brings it to its end.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_until_drain(&mut self) -> Result<bool> {
        refuse_worker(&self.event_loop)?;
        run(&mut self.event_loop, &mut self.app, true)
    }

    /// Runs until the server was shut down and has drained.
    ///
    /// # Errors
    /// [`Error::Io`] when the poll fails; [`Error::Forced`] when the drain was cut short.
    pub fn run(mut self) -> Result<()> {
        refuse_worker(&self.event_loop)?;
        self.run_to_the_end()
    }

    /// [`run`](Self::run), also for a worker.
    fn run_to_the_end(&mut self) -> Result<()> {
        run(&mut self.event_loop, &mut self.app, false).map(drop)
    }
}

/// Whoever lives as long as a connection, a sink or a protocol, learns of its end also when nobody turns the loop any more.
impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.event_loop.abandon(&mut self.app);
    }
}

/// The descriptor of the poll, to be polled in a loop of yours: readable when [`turn`](Running::turn) has work.
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

/// Ticks until the server has ended, or only until it drains; tells whether it goes on.
///
/// The tick is compiled into this loop, so that a loop that serves one connection does not pay for calls between the two.
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

/// Serves one handler for all requests, without a router: the three-line server.
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

/// A service that is one closure.
struct OneHandler<H>(H);

impl<H: FnMut(&Request<'_>, Response<'_>) -> crate::Result<Sent>> Service for OneHandler<H> {
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> crate::Result<Sent> {
        (self.0)(&request, response)
    }
}
