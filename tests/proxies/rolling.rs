//! Four servers behind a proxy are restarted one after the other, in two ways.
//!
//! - **On a passed socket.** The listening socket outlives the server: somebody else holds it and passes it on. The
//!   next server starts, and then the first one is told to stop. Nothing is lost, and no connection is ever refused.
//! - **On the same address**, as a supervisor does it by default: SIGTERM, wait for the end, start the next one. In
//!   between the proxy is refused, and asks again or asks another server. A connection that comes between the server's
//!   last look at the queue and the closing of its listening socket is reset by the kernel. That takes microseconds,
//!   unless the server has to wait for its core just then.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::load::{Load, Outcomes};
use crate::proxy;
use crate::servers::Server;
use crate::support::proxy::Proxy;
use crate::{least_requests, rounds};

const SERVERS: usize = 4;
const CLIENTS: usize = 8;
/// More requests than nginx takes on one connection (`keepalive_requests`), so that its own end of it is met, too.
const REQUESTS_EACH: usize = 1_500;
/// Requests between a restart and the next one.
const BETWEEN: usize = 200;

/// A server that is restarted, and what its restarts need.
trait Restart {
    fn address(&self) -> SocketAddr;
    fn restart(&mut self);
}

struct OnPassedSocket {
    server: Option<Server>,
    listener: TcpListener,
}

impl OnPassedSocket {
    #[track_caller]
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        Self { server: Some(Server::on(&listener)), listener }
    }
}

impl Restart for OnPassedSocket {
    fn address(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    #[track_caller]
    fn restart(&mut self) {
        let next = Server::on(&self.listener);
        self.server.replace(next).expect("one runs").stop();
    }
}

struct OnSameAddress {
    server: Option<Server>,
    address: SocketAddr,
}

impl OnSameAddress {
    /// The server has an address of its own. No client of this machine uses it for a connection, so the port is still
    /// free when the next server needs it.
    #[track_caller]
    fn start() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (server, address) = Server::command(&format!("127.77.{}.{number}", std::process::id() % 250), 0);
        Self { server: Some(server), address }
    }
}

impl Restart for OnSameAddress {
    fn address(&self) -> SocketAddr {
        self.address
    }

    #[track_caller]
    fn restart(&mut self) {
        let end = self.server.take().expect("one runs").stop();
        assert_eq!(end.errors, "", "it ends in peace");
        let (next, _) = Server::command(&self.address.ip().to_string(), self.address.port());
        self.server = Some(next);
    }
}

/// Restarts all servers so many times. `None` if the proxy is not installed.
#[track_caller]
fn roll<R: Restart>(
    name: &str,
    times: usize,
    start: fn() -> R,
    start_proxy: impl Fn(&[SocketAddr]) -> Option<Proxy>,
) -> Option<Outcomes> {
    let mut servers: Vec<R> = (0..SERVERS).map(|_| start()).collect();
    let addresses: Vec<SocketAddr> = servers.iter().map(R::address).collect();
    let mut proxy = start_proxy(&addresses)?;
    let load = Load::start(CLIENTS, REQUESTS_EACH, least_requests(), proxy.connector());
    let mut longest = 0.0_f64;
    for _ in 0..times {
        for server in &mut servers {
            let begin = Instant::now();
            server.restart();
            longest = longest.max(begin.elapsed().as_secs_f64());
            load.wait_for_more(BETWEEN);
        }
    }
    let outcomes = load.end();
    println!("{name}: {} restarts, the longest in {longest:.2} s: {outcomes}", times * SERVERS);
    proxy.assert_alive();
    Some(outcomes)
}

// ---- on a passed socket ---------------------------------------------------------------------------------------------

#[test]
fn restarts_on_a_passed_socket_behind_haproxy_lose_nothing() {
    let outcomes = roll("passed, HAProxy", rounds(10), OnPassedSocket::start, |servers| proxy::haproxy(servers, ""));
    outcomes.into_iter().for_each(|outcomes| outcomes.assert_all_answered(least_requests()));
}

#[test]
fn restarts_on_a_passed_socket_behind_nginx_lose_nothing() {
    let outcomes = roll("passed, nginx", rounds(10), OnPassedSocket::start, proxy::nginx);
    outcomes.into_iter().for_each(|outcomes| outcomes.assert_all_answered(least_requests()));
}

// ---- on the same address --------------------------------------------------------------------------------------------

/// Checks that nothing was lost but what the kernel may have reset. A proxy reports that as a 502, or HAProxy closes
/// the client's connection. If idle connections were closed at once, one request would be lost in three restarts.
#[track_caller]
fn assert_nearly_all_answered(outcomes: Option<Outcomes>, times: usize) {
    let Some(mut outcomes) = outcomes else { return };
    let lost = outcomes.take("status 502") + outcomes.take_all("EOF after \"\"");
    assert!(lost <= 2 + times * SERVERS / 20, "{lost} lost in {} restarts", times * SERVERS);
    outcomes.assert_all_answered(least_requests() - lost);
}

/// By default HAProxy waits a second when a server refuses a connection, and then asks the same server again.
#[test]
fn restarts_behind_haproxy_lose_only_what_the_kernel_resets() {
    let times = rounds(4);
    let outcomes = roll("HAProxy", times, OnSameAddress::start, |servers| proxy::haproxy(servers, ""));
    assert_nearly_all_answered(outcomes, times);
}

#[test]
fn restarts_behind_haproxy_that_asks_the_next_server_lose_only_what_the_kernel_resets() {
    let (times, option) = (rounds(10), "option redispatch 1");
    let outcomes = roll("HAProxy, redispatch", times, OnSameAddress::start, |servers| proxy::haproxy(servers, option));
    assert_nearly_all_answered(outcomes, times);
}

#[test]
fn restarts_behind_nginx_lose_only_what_the_kernel_resets() {
    let times = rounds(10);
    assert_nearly_all_answered(roll("nginx", times, OnSameAddress::start, proxy::nginx), times);
}
