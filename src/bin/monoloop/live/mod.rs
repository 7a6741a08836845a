//! `monoloop demo --live`: a page that shows the event loop at work.
//!
//! ```text
//!     thread of main                            thread of the page
//!     the observed loop ── a frame (post) ────▶ the second loop ◀── WebSocket ──▶ the pages
//!       Runner: turn, frame, hold ◀─ orders ─── Viewers ── starts ──▶ Clients, one thread each
//! ```
//!
//! The page comes from a second server with a loop of its own. So it answers while the observed loop is paused,
//! blocked or drained, and its connections are not in the picture. Nothing of the observed loop is shared: its thread
//! makes each frame between two ticks. While no page is open, that thread reads one flag after each tick.
//!
//! Reading order: `runner` (the thread of the observed loop), `frame` and `notes` (what a frame says), `viewers`
//! (the second loop), `page/` (its files), `orders`, `clients`, `clock`, `shared`.

mod clients;
mod clock;
mod frame;
mod notes;
mod orders;
mod page;
mod runner;
mod shared;
mod viewers;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) use clock::Held;
use monoloop::server::{self, Decision, DrainCause, Running};
use monoloop::{Config, Endpoint, Error, Handle, Router, Server};
use orders::LoopOrder;
use runner::Runner;
use shared::Shared;
use viewers::{Observed, Viewers};

/// How long the handler of `/_live/block` blocks the loop.
const BLOCK: Duration = Duration::from_secs(2);

/// The page, before the loop that it observes runs.
pub(crate) struct Live {
    address: SocketAddr,
    viewers: Handle<Viewers>,
    thread: JoinHandle<()>,
    shared: Arc<Shared>,
    orders: Receiver<LoopOrder>,
    held: Held,
}

impl Live {
    /// Serves the page on this address, in a thread of its own.
    ///
    /// # Errors
    /// As [`Server::bind`] and [`Server::start`].
    pub(crate) fn start(address: SocketAddr) -> server::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (send_order, orders) = mpsc::channel();
        let (started, starting) = mpsc::channel();
        let for_viewers = Arc::clone(&shared);
        // The state of the second loop never leaves its thread, so it is made there.
        let serve = move || serve(address, Viewers::new(for_viewers, send_order), &started);
        let thread = thread::Builder::new().name("live page".to_owned()).spawn(serve)?;
        let (address, viewers) = starting.recv().expect("the thread says how it started")?;
        Ok(Self { address, viewers, thread, shared, orders, held: Held::default() })
    }

    /// Where the page is.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the observed application needs for the page.
    pub(crate) fn routes(&self) -> Routes {
        Routes { page: self.address, shared: Arc::clone(&self.shared) }
    }

    /// What makes the clock of the loop that is observed.
    pub(crate) fn held(&self) -> Held {
        self.held.clone()
    }

    /// Lets the page reach the server that it observes.
    pub(crate) fn connect<S: 'static>(&self, running: &Running<S>) {
        let (to_wake, to_drain) = (running.handle(), running.handle());
        if let Some(address) = running.local_addrs().find_map(reachable) {
            let wake = Box::new(move || to_wake.post(|_| {}));
            let drain = Box::new(move || to_drain.shutdown());
            let pages = self.viewers.clone();
            self.viewers.post(move |viewers| viewers.connect(Observed { address, wake, drain, pages }));
        }
    }

    /// Runs the observed server to its end. `on_drain` is called when something asks it to drain. `signalled` becomes
    /// true when a signal does, also while the loop is paused.
    ///
    /// # Errors
    /// As [`Running::run`].
    pub(crate) fn run<S: 'static>(
        self,
        running: Running<S>,
        signalled: Arc<AtomicBool>,
        on_drain: impl FnOnce(DrainCause),
    ) -> server::Result<()> {
        let Self { viewers, thread, shared, orders, held, .. } = self;
        let result = Runner::new(shared, orders, held, viewers.clone(), signalled).run(running, on_drain);
        let how = match &result {
            Ok(()) => "The server has ended: all connections are closed.".to_owned(),
            Err(error) => format!("The server has ended: {error}."),
        };
        viewers.post(move |viewers| viewers.tell_end(&how));
        viewers.shutdown();
        if thread.join().is_err() {
            log::error!("the thread of the live page has panicked");
        }
        result
    }
}

/// The second loop, from its start to its end.
fn serve(address: SocketAddr, viewers: Viewers, started: &Sender<server::Result<(SocketAddr, Handle<Viewers>)>>) {
    let start = || {
        let config = Config::new().signals(false).raise_descriptor_limit(false).max_connections(256);
        let config = config.drain_grace(Duration::ZERO).drain_timeout(Duration::from_secs(1));
        let server = Server::bind(address)?.config(config);
        let bound = match server.local_addr() {
            Endpoint::Tcp(bound) => bound,
            Endpoint::Unix => address,
        };
        let is_open = !bound.ip().is_loopback();
        let is_welcome = move |peer: &Endpoint| is_open || peer.ip().is_some_and(|ip| ip.is_loopback());
        let server = server.on_connection(move |peer| match is_welcome(peer) {
            true => Decision::Accept,
            false => Decision::Refuse,
        });
        let running = server.start(page::app(viewers, bound))?;
        Ok((running, bound))
    };
    let running = match start() {
        Ok((running, bound)) => {
            let _ = started.send(Ok((bound, running.handle())));
            running
        }
        Err(error) => return drop(started.send(Err(error))),
    };
    if let Err(error) = running.run() {
        log::debug!("the live page ended: {error}");
    }
}

/// An address by which a client on this machine reaches a listener.
fn reachable(local: Endpoint) -> Option<SocketAddr> {
    let Endpoint::Tcp(mut address) = local else { return None };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Some(address)
}

/// What the observed application has for the page: the way to it, and a handler that blocks.
#[derive(Clone)]
pub(crate) struct Routes {
    page: SocketAddr,
    shared: Arc<Shared>,
}

impl Routes {
    pub(crate) fn add<S: 'static>(&self, app: &mut Router<S>) {
        let (page, shared) = (self.page, Arc::clone(&self.shared));
        app.get("/_live", move |_, req, res| {
            // Who listens on all addresses is reached by the name that the client knows.
            let named = req.host().filter(|_| page.ip().is_unspecified());
            let host = named.map_or_else(|| page.to_string(), |host| format!("{}:{}", without_port(host), page.port()));
            res.status(307).header("Location", format!("http://{host}/_live")).empty()
        });
        app.post("/_live/block", move |_, _, res| {
            // Any page of the web can send this request, and so can everybody who reaches the server.
            if !shared.take_block() {
                return Err(Error::new(403, "Only the button of the live page blocks the loop"));
            }
            // No handler should do this: everybody waits.
            thread::sleep(BLOCK);
            res.text("Everybody has waited for 2 s.\n")
        });
    }
}

/// The host of an authority (RFC 3986 §3.2). An IPv6 address is in brackets, so what follows its last colon is no port.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_keeps_its_digits_when_the_port_is_taken_away() {
        for (authority, host) in [
            ("127.0.0.1:3000", "127.0.0.1"),
            ("192.0.2.1", "192.0.2.1"),
            ("host9", "host9"),
            ("host:", "host"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("[2001:db8::7]", "[2001:db8::7]"),
        ] {
            assert_eq!(without_port(authority), host, "{authority}");
        }
    }
}
