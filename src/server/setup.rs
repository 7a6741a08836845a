//! A server before it runs: where it listens, and its settings.

use std::fmt;
use std::net::ToSocketAddrs;
use std::path::Path;
use std::sync::Arc;

use super::clock::SystemClock;
use super::control::Group;
use super::error::Result;
use super::event_loop::{EventLoop, Parts};
use super::hook::Decision;
use super::listener::Listener;
use super::memory;
use super::running::{Running, run_service};
use crate::config::Config;
use crate::exchange::service_fn;
use crate::exchange::{Clock, Endpoint, Observer, Request, Response, Sent, Service};
use crate::limits::BACKLOG;
#[cfg(feature = "live")]
use crate::recording::Recorder;
use crate::router::Router;

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
    pub(super) parts: Parts,
}

impl Server {
    fn new(listener: Listener) -> Self {
        Self::of(vec![listener], Config::default(), None)
    }

    /// The server of a worker in this group.
    pub(super) fn in_group(listeners: Vec<Listener>, config: Config, group: Arc<Group>) -> Self {
        Self::of(listeners, config, Some(group))
    }

    fn of(listeners: Vec<Listener>, config: Config, group: Option<Arc<Group>>) -> Self {
        let clock = Box::new(SystemClock::new());
        Self {
            parts: Parts {
                listeners,
                config,
                observers: Vec::new(),
                on_connection: None,
                clock,
                group,
                #[cfg(feature = "live")]
                recorder: None,
                #[cfg(feature = "live")]
                tape: None,
            },
        }
    }

    /// Listens on a TCP address. If `address` resolves to several addresses, it takes the first that can be bound.
    /// Port 0 takes a free port; `[::]` serves IPv4 too. From now on the kernel queues connections.
    ///
    /// # Errors
    /// [`Error::Bind`](super::Error::Bind) when the address is in use, does not belong to this machine, or is not
    /// allowed.
    #[doc(alias = "listen")]
    pub fn bind(address: impl ToSocketAddrs) -> Result<Self> {
        Ok(Self::new(Listener::tcp(address, BACKLOG, &[])?))
    }

    /// Listens on a unix socket. The server removes the socket file at its end, unless the path has another file by
    /// then. It replaces a file that a dead server left.
    ///
    /// # Errors
    /// [`Error::Bind`](super::Error::Bind) when the path is in use or the socket file cannot be created.
    pub fn bind_unix(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::new(Listener::unix(path.as_ref(), BACKLOG)?))
    }

    /// Takes a TCP socket that already listens: one from a supervisor, or one with socket options that you have set.
    ///
    /// # Errors
    /// [`Error::Io`](super::Error::Io) when the socket cannot be made nonblocking.
    #[doc(alias = "socket_activation")]
    pub fn from_listener(listener: std::net::TcpListener) -> Result<Self> {
        Ok(Self::new(Listener::passed(listener)?))
    }

    /// Listens on one more TCP address.
    ///
    /// `[::]` serves IPv4 too, unless the server already listens on an IPv4 address of the same port: then it serves
    /// IPv6 only. So bind `0.0.0.0` first and `[::]` after it.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn also_bind(mut self, address: impl ToSocketAddrs) -> Result<Self> {
        let listener = Listener::tcp(address, BACKLOG, &self.parts.listeners)?;
        self.parts.listeners.push(listener);
        Ok(self)
    }

    /// Listens on one more unix socket.
    ///
    /// # Errors
    /// As [`bind_unix`](Self::bind_unix).
    pub fn also_bind_unix(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.parts.listeners.push(Listener::unix(path.as_ref(), BACKLOG)?);
        Ok(self)
    }

    /// The first address that the server listens on.
    pub fn local_addr(&self) -> Endpoint {
        self.parts.listeners[0].local()
    }

    /// All addresses that the server listens on.
    pub fn local_addrs(&self) -> impl Iterator<Item = Endpoint> {
        self.parts.listeners.iter().map(Listener::local)
    }

    /// Sets limits and timeouts.
    ///
    /// ```
    /// use monoloop::{Config, Server};
    /// use std::time::Duration;
    ///
    /// # fn main() -> monoloop::server::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.config(Config::new().idle_timeout(Duration::from_secs(5)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.parts.config = config;
        self
    }

    /// Adds an observer, which is told what the server does. There can be several, such as an access log and metrics:
    /// each is told of every event, in the order in which they were added.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.parts.observers.push(Box::new(observer));
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
        self.parts.on_connection = Some(Box::new(hook));
        self
    }

    /// Sets the clock, for tests.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.parts.clock = Box::new(clock);
        self
    }

    /// Records what the server does, for a [`Recording`](crate::recording::Recording) to be replayed. The recording
    /// begins when the server starts. If it cannot be written then, the start fails with
    /// [`Error::Recording`](super::Error::Recording).
    #[cfg(feature = "live")]
    #[cfg_attr(docsrs, doc(cfg(feature = "live")))]
    #[must_use]
    pub fn record(mut self, recorder: Recorder) -> Self {
        self.parts.recorder = Some(recorder);
        self
    }

    /// Makes the event loop. You can then run it, or turn it by hand from a loop of your own.
    ///
    /// # Errors
    /// [`Error::Io`](super::Error::Io) when the system denies a poll or a waker.
    #[doc(alias = "embed")]
    pub fn start<S>(self, app: Router<S>) -> Result<Running<S>> {
        Ok(Running::new(self.event_loop()?, app))
    }

    fn event_loop(self) -> Result<EventLoop> {
        let parts = memory::limited(self.parts);
        #[cfg(feature = "live")]
        let parts = parts.begin_recording()?;
        Ok(EventLoop::new(parts)?)
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
        run_service(self.event_loop()?, service)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("listeners", &self.parts.listeners).field("config", &self.parts.config).finish()
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
    Server::bind(address)?.run_service(&mut service_fn(handler))
}
