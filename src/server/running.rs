//! A server that runs: its event loop, with the application that it calls.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use super::error::Result;
use super::event_loop::EventLoop;
#[cfg(feature = "live")]
use super::inspection::Inspection;
#[cfg(feature = "live")]
use crate::exchange::observer::{Observer, ObserverId};
use crate::exchange::{DrainCause, Endpoint, Service};
use crate::router::Router;
use crate::router::handle::Handle;

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
    pub(super) event_loop: EventLoop,
}

impl<S> Running<S> {
    /// Starts the timers of the application.
    pub(super) fn new(mut event_loop: EventLoop, mut app: Router<S>) -> Self {
        event_loop.start(&mut app);
        Self { app, event_loop }
    }

    /// A handle to this server, for handlers and for other threads; the same as [`Router::handle`].
    pub fn handle(&self) -> Handle<S> {
        self.app.handle()
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
        self.event_loop.drain.cause()
    }

    /// What the loop looks like now, between two turns. Nothing is copied or counted before it is asked for.
    ///
    /// ```
    /// use monoloop::{Router, Server, server::PhaseName};
    /// use std::{net::TcpStream, time::Duration};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::bind("127.0.0.1:0")?;
    /// let address = server.local_addr().to_string();
    /// let mut running = server.start(Router::new(()))?;
    /// let _client = TcpStream::connect(address)?;
    /// while running.inspect().connections().count() == 0 {
    ///     running.turn(Some(Duration::from_secs(1)))?;
    /// }
    /// let inspection = running.inspect();
    /// let view = inspection.connections().next().expect("it is there");
    /// assert_eq!((view.slot, view.phase, view.owed), (0, PhaseName::Fresh, 0));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "live")]
    #[cfg_attr(docsrs, doc(cfg(feature = "live")))]
    pub const fn inspect(&self) -> Inspection<'_> {
        Inspection::new(&self.event_loop)
    }

    /// Begins to time the parts of each tick, with sums of zero, or ends it. It is off at first. It costs ten clock
    /// readings in a tick. [`Inspection::parts`] has the result.
    #[cfg(feature = "live")]
    #[cfg_attr(docsrs, doc(cfg(feature = "live")))]
    pub fn time_parts(&mut self, on: bool) {
        self.event_loop.laps.turn_on(on);
    }

    /// Adds an observer while the server runs, after those that are there. It is told at once what it has missed and
    /// what still is so: the addresses, the connections that are open, which of them have been
    /// [upgraded](Observer::upgraded) and which are [held](Observer::backpressure), and the drain.
    ///
    /// Of requests that came before, it may learn nothing more: if no other observer was there, their replies are not
    /// reported.
    ///
    /// [`unobserve`](Self::unobserve) takes it away again.
    #[cfg(feature = "live")]
    #[cfg_attr(docsrs, doc(cfg(feature = "live")))]
    pub fn observe(&mut self, observer: impl Observer + 'static) -> ObserverId {
        self.event_loop.observe(Box::new(observer))
    }

    /// Takes an observer away that [`observe`](Self::observe) has added, and drops it. It is told of nothing any more,
    /// not even of the end of what it knows. Returns whether it was there.
    #[cfg(feature = "live")]
    #[cfg_attr(docsrs, doc(cfg(feature = "live")))]
    pub fn unobserve(&mut self, id: ObserverId) -> bool {
        self.event_loop.sessions.remove_observer(id)
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
    /// [`Error::Io`](super::Error::Io) when the poll fails; [`Error::Forced`](super::Error::Forced) when the drain was
    /// cut short.
    pub fn run(mut self) -> Result<()> {
        refuse_worker(&self.event_loop)?;
        self.run_to_the_end()
    }

    /// As [`run`](Self::run), but for workers too.
    pub(super) fn run_to_the_end(&mut self) -> Result<()> {
        run(&mut self.event_loop, &mut self.app, false).map(drop)
    }
}

/// Sinks and protocols learn of the end of their connection even if `Running` is dropped early.
impl<S> Drop for Running<S> {
    fn drop(&mut self) {
        self.event_loop.abandon(&mut self.app);
    }
}

/// The descriptor of the poll, for an event loop of your own. It is readable when [`turn`](Running::turn) has work. A
/// turn may leave work for the next one, so wait for it level-triggered, as poll(2) does. `docs/examples/embed.rs` is a
/// whole program.
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

/// Runs a loop to its end with an application that is not a router.
pub(super) fn run_service(mut event_loop: EventLoop, service: &mut dyn Service) -> Result<()> {
    refuse_worker(&event_loop)?;
    event_loop.start(service);
    run(&mut event_loop, service, false).map(drop)
}

/// Runs ticks until the server has ended or, with `until_drain`, until something asks it to drain. Returns whether the
/// server goes on.
///
/// The tick is inlined into this loop, so that a loop that serves a single connection does not pay for a call per tick.
fn run(event_loop: &mut EventLoop, service: &mut dyn Service, until_drain: bool) -> Result<bool> {
    while !until_drain || !event_loop.drain.has_begun() {
        if !turn(event_loop, service, None)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[inline(always)]
fn turn(event_loop: &mut EventLoop, service: &mut dyn Service, timeout: Option<Duration>) -> Result<bool> {
    event_loop.next_tick(service, timeout)?;
    if !event_loop.is_done() {
        return Ok(true);
    }
    event_loop.sessions.watch.tell(|observer| observer.server_closed());
    match event_loop.forced {
        Some(forced) => Err(forced.into()),
        None => Ok(false),
    }
}

/// Returns an error for a worker. A worker that ran inside `set_up` would serve too early, and all others would wait
/// for it.
fn refuse_worker(event_loop: &EventLoop) -> io::Result<()> {
    match event_loop.control.group() {
        None => Ok(()),
        Some(_) => {
            Err(io::Error::new(ErrorKind::InvalidInput, "`Workers` runs its servers: return `server.start(app)`"))
        }
    }
}
