//! What clients experience in a drain.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use monoloop::server::{CloseReason, DrainCause, Error, Timeout};
use monoloop::{Router, Server};

use crate::support::{Client, Event, Hand, LIMIT, TestServer, assert_same, pattern, test_config};
use crate::{EIGHT, SHORT, assert_ended, assert_last, basics};

#[test]
fn a_drain_closes_idle_connections_and_refuses_new_ones() {
    let server = TestServer::start(|app, _| basics(app));
    let address = server.address();
    let (mut fresh, fresh_id) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    assert_eq!(used.ask("/hello/you").text(), "hello you");
    server.handle().shutdown();
    server.handle().shutdown();
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    fresh.expect_eof();
    used.expect_eof();
    let refused = TcpStream::connect(address).expect_err("the listener is closed");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    drop((fresh, used));
    for id in [fresh_id, used_id] {
        assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    }
    assert_ended(server);
}

#[test]
fn a_drain_does_not_wait_long_for_an_idle_client_that_does_not_close() {
    let server = TestServer::start(|app, _| basics(app));
    let (mut client, id) = server.connect_known();
    server.handle().shutdown();
    client.expect_eof();
    // The request comes too late. It is thrown away without a reset.
    client.get("/hello/late");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Linger));
    assert_ended(server);
}

#[test]
fn a_request_in_flight_is_finished_and_is_the_last() {
    let server = TestServer::start(|app, _| basics(app));
    let address = server.address();
    let content = pattern(100_000);
    let (mut client, id) = server.connect_known();
    let (mut head, head_id) = server.connect_known();
    let (mut idle, _) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n");
    client.send(&content[..50_000]);
    head.send("GET /hello/head HTTP/1.1\r\nHo");
    #[cfg(target_os = "linux")]
    [&client, &head].iter().for_each(|client| client.wait_delivered());
    server.handle().shutdown();
    idle.expect_eof();
    drop(idle);
    assert_eq!(TcpStream::connect(address).expect_err("it is closed").kind(), ErrorKind::ConnectionRefused);

    client.send(&content[50_000..]);
    client.get("/hello/never");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (200, true));
    assert_same(&reply.content, &content, "the content");
    head.send("st: test\r\n\r\n");
    let reply = head.reply();
    assert_eq!((reply.text(), reply.closes()), ("hello head", true));
    head.expect_eof();
    client.expect_end();
    drop((client, head));
    for id in [id, head_id] {
        assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    }
    assert_ended(server);
}

#[test]
fn a_drain_sends_everything_that_is_owed() {
    let content: Arc<[u8]> = pattern(EIGHT).into();
    let shared = Arc::clone(&content);
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/eight", move |_, _, res| res.send(Arc::clone(&shared)));
    });
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.wait_readable();
    let (mut idle, _) = server.connect_known();
    server.handle().shutdown();
    idle.expect_eof();
    assert_same(&client.reply().content, &content, "eight mebibytes");
    client.expect_eof();
    drop((client, idle));
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    assert_ended(server);
}

#[test]
fn a_client_that_never_ends_is_cut() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.drain_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    server.handle().shutdown();
    // Whether the half request was read before the drain or in its last look, it is in flight.
    assert_eq!(server.log.wait_closed(id), CloseReason::Cut);
    client.expect_end();
    let log = server.log.clone();
    match server.join() {
        Err(Error::Forced { connections: 1, signalled: false }) => {}
        other => panic!("it was cut: {other:?}"),
    }
    assert_last(&log.events());
}

#[test]
fn until_the_delay_is_over_the_server_serves_as_before() {
    let hand = Hand::default();
    let clock = hand.clone();
    let server = TestServer::start_on(
        move || Ok(Server::bind("127.0.0.1:0")?.clock(clock)),
        |app, config| {
            basics(app);
            config.drain_delay = Duration::from_secs(5);
        },
    );
    let (mut client, _) = server.connect_known();
    assert_eq!(client.ask("/hello/you").text(), "hello you");
    server.handle().shutdown();
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    hand.advance(Duration::from_millis(4900));
    for _ in 0..3 {
        let reply = client.ask("/hello/you");
        assert_eq!((reply.text(), reply.closes()), ("hello you", false));
        let reply = server.connect().ask("/hello/newcomer");
        assert_eq!((reply.text(), reply.closes()), ("hello newcomer", false));
    }
    hand.advance(Duration::from_millis(200));
    // A second call changes nothing. It only wakes the loop, which then looks at the clock.
    server.handle().shutdown();
    client.expect_eof();
    let refused = TcpStream::connect(server.address()).expect_err("the listener is closed");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    drop(client);
    assert_ended(server);
}

#[test]
fn the_drain_timeout_counts_from_the_end_of_the_delay() {
    let hand = Hand::default();
    let clock = hand.clone();
    let server = TestServer::start_on(
        move || Ok(Server::bind("127.0.0.1:0")?.clock(clock)),
        |app, config| {
            basics(app);
            config.drain_delay = Duration::from_secs(5);
            config.drain_timeout = Duration::from_secs(10);
            config.idle_timeout = Duration::from_secs(1000);
            config.content_timeout = Duration::from_secs(1000);
        },
    );
    let (mut idle, _) = server.connect_known();
    let (mut client, id) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nha");
    #[cfg(target_os = "linux")]
    client.wait_delivered();
    server.handle().shutdown();
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    hand.advance(Duration::from_secs(5));
    server.handle().shutdown();
    idle.expect_eof();
    hand.advance(Duration::from_secs(9));
    server.handle().shutdown();
    client.send("lf");
    assert_eq!(client.reply().text(), "half", "9 s after the delay there is time left");
    client.expect_eof();
    drop((idle, client));
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    assert_ended(server);
}

#[test]
fn two_servers_are_independent() {
    let first = TestServer::start(|app, _| basics(app));
    let second = TestServer::start(|app, _| basics(app));
    let (mut one, mut two) = (first.connect(), second.connect());
    assert_eq!(one.ask("/hello/one").text(), "hello one");
    assert_eq!(two.ask("/hello/two").text(), "hello two");
    first.handle().shutdown();
    one.expect_eof();
    drop(one);
    assert_ended(first);
    assert_eq!(two.ask("/hello/two").text(), "hello two");
    assert_eq!(second.connect().ask("/hello/three").text(), "hello three");
    assert_eq!(second.log.count(|event| matches!(event, Event::Draining(_))), 0);
}

#[test]
fn a_shutdown_before_the_first_tick_works() {
    let mut app = Router::new(());
    basics(&mut app);
    let running =
        Server::bind("127.0.0.1:0").expect("a port is free").config(test_config()).start(app).expect("a poll");
    running.handle().shutdown();
    running.run().expect("there was nothing to do");

    // The same, with a client that connected before the shutdown.
    let mut app = Router::new(());
    basics(&mut app);
    let server = Server::bind("127.0.0.1:0").expect("a port is free").config(test_config());
    let mut client = Client::tcp(server.local_addr().to_string().parse().expect("an address"));
    client.get("/hello/early");
    #[cfg(target_os = "linux")]
    client.wait_delivered();
    let running = server.start(app).expect("a poll");
    running.handle().shutdown();
    let limit = Instant::now() + LIMIT;
    running.run().expect("it drains");
    assert!(Instant::now() < limit);
    assert_eq!(client.reply().text(), "hello early");
    client.expect_eof();
}

#[test]
fn a_handle_outlives_its_server() {
    let server = TestServer::start(|app, _| basics(app));
    let handle = server.handle();
    handle.shutdown();
    assert_ended(server);
    handle.shutdown();
}
