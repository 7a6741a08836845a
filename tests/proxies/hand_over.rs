//! One port goes from one process to the next, while clients connect and ask. The next process listens before the first
//! one is told to stop.
//!
//! The right way is one listening socket for both: a connection that waits in its queue when the first process stops is
//! accepted by the second one. With a socket for each (`SO_REUSEPORT`) each has a queue of its own, and Linux resets
//! what is in the queue of a socket that closes. A server accepts what it finds there first. But a connection may come
//! between the last look and the close. With `net.ipv4.tcp_migrate_req` the kernel gives it to the other socket, nearly
//! always.

use std::net::{SocketAddr, TcpListener, TcpStream};

use rustix::net;

use crate::load::{Load, Outcomes};
use crate::servers::{Server, bound};
use crate::support::{Client, LIMIT};
use crate::{least_requests, rounds};

const CLIENTS: usize = 4;
/// Few, so that many connections begin during a hand-over.
const REQUESTS_EACH: usize = 5;
/// Requests between a hand-over and the next one.
const BETWEEN: usize = 50;
const TIMES: usize = 30;

#[test]
fn a_socket_that_is_handed_over_loses_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it listens");
    let outcomes = hand_over(address, || Server::on(&listener));
    println!("one socket, {} hand-overs: {outcomes}", rounds(TIMES));
    outcomes.assert_all_answered(least_requests());
}

/// A reset meets a client before the server has read anything from it. There are few: some eight in 1,000 hand-overs.
#[test]
fn a_port_of_two_sockets_loses_only_what_the_kernel_resets() {
    // This socket never listens. It keeps the port from others.
    let reserved = bound("127.0.0.1:0".parse().expect("an address"));
    let address = net::getsockname(&reserved).expect("it is bound").try_into().expect("it is IPv4");
    let mut outcomes = hand_over(address, || Server::sharing(address));
    println!("two sockets, {} hand-overs: {outcomes}", rounds(TIMES));
    let resets = outcomes.take("Connection reset by peer (os error 104) (request 1 of its connection)");
    assert!(resets <= rounds(TIMES), "{resets} resets");
    outcomes.assert_all_answered(least_requests() - resets);
}

/// Starts a server, tells the one before it to stop, and waits for its end: again and again, while clients ask.
#[track_caller]
fn hand_over(address: SocketAddr, start: impl Fn() -> Server) -> Outcomes {
    let mut server = start();
    let connect = move || Ok(Client::connected(TcpStream::connect_timeout(&address, LIMIT)?));
    let load = Load::start(CLIENTS, REQUESTS_EACH, least_requests(), connect);
    for _ in 0..rounds(TIMES) {
        let next = start();
        server.stop();
        server = next;
        load.wait_for_more(BETWEEN);
    }
    load.end()
}
