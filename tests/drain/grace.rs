//! The grace: for a while after the drain has begun, a client may still ask once more.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use monoloop::Server;
use monoloop::server::{CloseReason, DrainCause, Error};

use crate::support::{Client, Event, Hand, LIMIT, TestServer};
use crate::{SHORT, assert_ended, basics};

const GRACE: Duration = Duration::from_millis(500);

/// A server whose time stands still unless the test turns its clock.
fn start(grace: Duration) -> (TestServer, Hand) {
    let hand = Hand::default();
    hand.advance(Duration::from_secs(1));
    let clock = hand.clone();
    let server = TestServer::start_on(
        move || Ok(Server::bind("127.0.0.1:0")?.clock(clock)),
        move |app, config| {
            basics(app);
            app.get("/draining", |_, req, res| res.text(req.is_draining().to_string()));
            config.drain_grace = grace;
        },
    );
    (server, hand)
}

/// Shuts the server down, and waits until it listens no more: then the drain has looked at every connection.
#[track_caller]
fn begin_drain(server: &TestServer) {
    server.handle().shutdown();
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    wait_until_refused(server.address());
}

#[track_caller]
fn wait_until_refused(address: SocketAddr) {
    let end = Instant::now() + LIMIT;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < end, "it still listens");
        thread::yield_now();
    }
}

/// Whether nothing has come, not even the end.
#[track_caller]
fn is_open(client: &mut Client) -> bool {
    client.socket().set_nonblocking(true).expect("it can be made so");
    let read = client.read_some(&mut [0; 16]);
    client.socket().set_nonblocking(false).expect("it can be made so");
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// The server ends although no time passes: it does not wait for the rest of the grace.
#[test]
fn a_client_may_ask_once_more_on_a_fresh_and_on_an_idle_connection() {
    let (server, hand) = start(GRACE);
    let (mut fresh, fresh_id) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    assert!(!used.ask("/hello/you").closes());
    begin_drain(&server);
    hand.advance(Duration::from_millis(10));
    for (client, name) in [(&mut fresh, "fresh"), (&mut used, "used")] {
        let reply = client.ask(&format!("/hello/{name}"));
        assert_eq!((reply.text(), reply.closes()), (&*format!("hello {name}"), true));
        client.expect_eof();
    }
    drop((fresh, used));
    for id in [fresh_id, used_id] {
        assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    }
    assert_ended(server);
}

#[test]
fn idle_connections_are_closed_after_the_grace() {
    let (server, hand) = start(GRACE);
    let (mut fresh, fresh_id) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    let (mut other, _) = server.connect_known();
    used.ask("/hello/you");
    begin_drain(&server);
    hand.advance(GRACE - Duration::from_millis(1));
    assert_eq!(other.ask("/draining").text(), "true", "a tick has passed");
    assert!(is_open(&mut fresh) && is_open(&mut used));
    hand.advance(Duration::from_millis(1));
    // A second call changes nothing. It only wakes the loop, which then looks at the clock.
    server.handle().shutdown();
    [&mut fresh, &mut used].into_iter().for_each(Client::expect_eof);
    drop((fresh, used, other));
    for id in [fresh_id, used_id] {
        assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    }
    assert_ended(server);
}

#[test]
fn the_grace_passes_on_the_clock_of_the_system() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.drain_grace = SHORT;
    });
    let (mut idle, id) = server.connect_known();
    server.handle().shutdown();
    idle.expect_eof();
    drop(idle);
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    assert_ended(server);
}

/// The loop sleeps until the grace is over, and a client that has begun its head before that gets its whole time.
#[test]
fn a_request_that_has_begun_in_the_grace_is_finished_after_it() {
    let (server, hand) = start(GRACE);
    let (mut begun, _) = server.connect_known();
    let (mut idle, _) = server.connect_known();
    begin_drain(&server);
    begun.send("GET /hello/begun HTTP/1.1\r\nHo");
    #[cfg(target_os = "linux")]
    begun.wait_delivered();
    hand.advance(2 * GRACE);
    server.handle().shutdown();
    idle.expect_eof();
    begun.send("st: test\r\n\r\n");
    let reply = begun.reply();
    assert_eq!((reply.text(), reply.closes()), ("hello begun", true));
    begun.expect_eof();
    drop((begun, idle));
    assert_ended(server);
}

/// An idle connection is owed nothing, so the end of the drain is not forced.
#[test]
fn the_drain_timeout_bounds_the_grace() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.drain_grace = Duration::from_secs(3600);
        config.drain_timeout = SHORT;
    });
    let (mut idle, _) = server.connect_known();
    idle.ask("/hello/you");
    server.handle().shutdown();
    idle.expect_end();
    assert_ended(server);

    let server = TestServer::start(|app, config| {
        basics(app);
        config.drain_grace = Duration::from_secs(3600);
        config.drain_timeout = SHORT;
    });
    let (mut busy, _) = server.connect_known();
    busy.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    server.handle().shutdown();
    busy.expect_end();
    assert!(matches!(server.join(), Err(Error::Forced { connections: 1, signalled: false })));
}

#[test]
fn a_handler_sees_the_drain_from_the_moment_it_is_asked_for() {
    let hand = Hand::default();
    let clock = hand.clone();
    let server = TestServer::start_on(
        move || Ok(Server::bind("127.0.0.1:0")?.clock(clock)),
        |app, config| {
            app.get("/draining", |_, req, res| res.text(req.is_draining().to_string()));
            app.post("/draining", |_, req, res| res.text(req.is_draining().to_string()));
            config.drain_delay = Duration::from_secs(5);
            config.drain_grace = GRACE;
        },
    );
    let (mut client, _) = server.connect_known();
    let (mut posting, _) = server.connect_known();
    assert_eq!(client.ask("/draining").text(), "false");
    posting.send("POST /draining HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nha");
    server.handle().shutdown();
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    for client in [&mut client, &mut server.connect()] {
        let reply = client.ask("/draining");
        assert_eq!((reply.text(), reply.closes()), ("true", false), "in the delay");
    }
    posting.send("lf");
    assert_eq!(posting.reply().text(), "true", "content that was collected tells the time of the call");
    hand.advance(Duration::from_secs(5));
    // A second call changes nothing. It only wakes the loop, which then looks at the clock.
    server.handle().shutdown();
    wait_until_refused(server.address());
    let reply = client.ask("/draining");
    assert_eq!((reply.text(), reply.closes()), ("true", true), "in the grace");
    drop((client, posting));
    assert_ended(server);
}
