//! How a server stops: what was accepted is answered, what is idle is told, what never ends is cut.

mod support;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use monoloop::server::{CloseReason, DrainCause, Error, Running, Timeout};
use monoloop::{Router, Server};
use support::{Client, Event, Gate, Hand, LIMIT, TestServer, assert_same, gate, get, pattern, test_config};

const SHORT: Duration = Duration::from_millis(300);
const EIGHT: usize = 8 << 20;

fn basics(app: &mut Router<()>) {
    app.get("/hello/:name", |_, req, res| res.text(format!("hello {}", req.param_str("name").unwrap_or_default())));
    app.post("/echo", |_, req, res| res.send(req.body()));
}

/// A server with a gate at `/gate`.
#[track_caller]
fn start_with_gate(max_connections: Option<usize>) -> (TestServer, Gate) {
    let (gate, door) = gate();
    let server = TestServer::start(move |app, config| {
        basics(app);
        config.max_connections = max_connections;
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    (server, gate)
}

/// The server has ended well, said so once, and nothing came after that.
#[track_caller]
fn assert_ended(server: TestServer) {
    let log = server.log.clone();
    server.join().expect("the drain ends well");
    assert_last(&log.events());
}

#[track_caller]
fn assert_last(events: &[Event]) {
    assert_eq!(events.last(), Some(&Event::ServerClosed));
    assert_eq!(events.iter().filter(|event| **event == Event::ServerClosed).count(), 1);
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Draining(_))).count(), 1);
    let opened = events.iter().filter(|event| matches!(event, Event::Opened(..))).count();
    let closed = events.iter().filter(|event| matches!(event, Event::Closed(..))).count();
    assert_eq!(opened, closed, "every connection that was opened is closed");
}

#[test]
fn idle_connections_get_eof_and_nobody_else_comes_in() {
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
fn an_idle_client_that_does_not_close_is_not_waited_for_long() {
    let server = TestServer::start(|app, _| basics(app));
    let (mut client, id) = server.connect_known();
    server.handle().shutdown();
    client.expect_eof();
    // It comes too late, and is thrown away without a reset.
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
fn what_is_owed_is_sent() {
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

/// The loop stands still while the requests and the shutdown come.
#[cfg(target_os = "linux")]
#[test]
fn a_request_that_is_already_in_an_idle_socket_is_served() {
    let (server, gate) = start_with_gate(None);
    let mut idle: Vec<_> = (0..5).map(|_| server.connect_known().0).collect();
    idle.iter_mut().for_each(|client| assert_eq!(client.ask("/hello/you").status, 200));
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    for (i, client) in idle.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        client.wait_delivered();
    }
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    blocker.expect_eof();
    for (i, client) in idle.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
        client.expect_eof();
    }
    drop((idle, blocker));
    assert_ended(server);
}

/// More than fit into a turn: the drain reaches them in the middle.
#[cfg(target_os = "linux")]
#[test]
fn a_long_pipeline_ends_with_a_reply_that_says_so() {
    let (server, gate) = start_with_gate(None);
    let (mut client, id) = server.connect_known();
    client.ask("/hello/you");
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    client.send((0..500).map(|i| get(&format!("/hello/{i}"))).collect::<String>());
    client.wait_delivered();
    server.handle().shutdown();
    gate.open();
    for i in 0..500 {
        let reply = client.reply();
        assert_eq!(reply.text(), format!("hello {i}"));
        if reply.closes() {
            client.expect_eof();
            break;
        }
        assert!(i < 499, "the last one says that it is the last");
    }
    drop((client, blocker));
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    assert_ended(server);
}

#[cfg(target_os = "linux")]
#[test]
fn connections_that_the_kernel_has_queued_are_served() {
    for max_connections in [None, Some(1)] {
        served_from_the_queue(start_with_gate(max_connections), max_connections);
    }
}

/// In 32 bits two of these queues cannot be counted.
#[cfg(target_os = "linux")]
#[test]
fn connections_in_the_longest_queues_are_served() {
    let (gate, door) = gate();
    let bind = || Server::bind("127.0.0.1:0")?.also_bind("127.0.0.1:0");
    let server = TestServer::start_on(bind, move |app, config| {
        basics(app);
        config.backlog = i32::MAX;
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    served_from_the_queue((server, gate), None);
}

#[cfg(target_os = "linux")]
#[track_caller]
fn served_from_the_queue((server, gate): (TestServer, Gate), max_connections: Option<usize>) {
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    let mut queued: Vec<_> = (0..5).map(|_| server.connect()).collect();
    let (asking, silent) = queued.split_at_mut(3);
    for (i, client) in asking.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        client.wait_delivered();
    }
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    for (i, client) in asking.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"), "max_connections {max_connections:?}");
        client.expect_eof();
    }
    silent.iter_mut().for_each(Client::expect_eof);
    drop((queued, blocker));
    assert_ended(server);
}

/// The tick that begins the drain is itself held up, so no event tells of what comes meanwhile.
#[cfg(target_os = "linux")]
#[test]
fn what_comes_within_the_last_tick_is_served() {
    let (server, gate) = start_with_gate(None);
    let (mut first, _) = server.connect_known();
    let (mut second, _) = server.connect_known();
    let (mut idle, _) = server.connect_known();
    first.get("/gate");
    gate.wait();
    second.get("/gate");
    second.wait_delivered();
    server.handle().shutdown();
    gate.open();
    gate.wait();
    // The loop has seen the shutdown and stands at the gate once more.
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    let mut newcomer = server.connect();
    for client in [&mut idle, &mut newcomer] {
        client.get("/hello/late");
        client.wait_delivered();
    }
    gate.open();
    for client in [&mut idle, &mut newcomer] {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("hello late", true));
        client.expect_eof();
    }
    for client in [&mut first, &mut second] {
        assert_eq!(client.reply().text(), "open");
        client.expect_eof();
    }
    drop((first, second, idle, newcomer));
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
    // Whether the half request was read before the drain or by its last look, it is in flight.
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
    // Asking again changes nothing, but wakes the loop, which then looks at the clock.
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

    // The same with a client that came before.
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

// ---- in somebody else's loop ----------------------------------------------------------------------------------------

fn embedded(clock: Hand) -> (Running<()>, Client) {
    let mut app = Router::new(());
    basics(&mut app);
    let server = Server::bind("127.0.0.1:0").expect("a port is free").config(test_config()).clock(clock);
    let running = server.start(app).expect("a poll");
    let address = running.local_addr().expect("it listens").to_string().parse().expect("an address");
    let client = Client::tcp(address);
    client.socket().set_nonblocking(true).expect("it can be made so");
    (running, client)
}

/// Turns the server without ever sleeping in it, until `done` says so.
#[track_caller]
fn turn_until<T>(running: &mut Running<()>, mut done: impl FnMut(&mut Running<()>) -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
        if let Some(found) = done(running) {
            return found;
        }
        assert!(Instant::now() < limit, "it does not happen");
    }
}

#[test]
fn a_server_can_be_turned_by_hand() {
    let hand = Hand::default();
    hand.advance(Duration::from_secs(1));
    let (mut running, mut client) = embedded(hand.clone());
    assert_eq!(running.next_deadline(), None, "without connections there is no hurry");
    turn_until(&mut running, |running| running.next_deadline());
    assert_eq!(running.next_deadline(), Some(Duration::from_secs(30)), "the idle timeout");

    for _ in 0..3 {
        client.get("/hello/you");
        let reply = turn_until(&mut running, |_| match client.try_reply() {
            Ok(reply) => Some(reply),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        });
        assert_eq!(reply.text(), "hello you");
    }
    hand.advance(Duration::from_secs(10));
    assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
    assert_eq!(running.next_deadline(), Some(Duration::from_secs(20)));

    running.handle().shutdown();
    turn_until(&mut running, |running| running.local_addr().is_none().then_some(()));
    assert_eq!(running.next_deadline(), Some(Duration::from_secs(1)), "the linger of the drain");
    drop(client);
    let limit = Instant::now() + LIMIT;
    while running.turn(Some(Duration::ZERO)).expect("it drains well") {
        assert!(Instant::now() < limit, "it does not end");
    }
}

#[test]
fn a_server_can_be_polled_in_another_loop() {
    let (mut running, mut client) = embedded(Hand::default());
    let mut poll = mio::Poll::new().expect("a poll");
    let descriptor = running.as_fd().as_raw_fd();
    let mut source = mio::unix::SourceFd(&descriptor);
    poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).expect("a poll can be polled");
    let mut events = mio::Events::with_capacity(4);
    client.get("/hello/you");
    let reply = loop {
        poll.poll(&mut events, Some(LIMIT)).expect("the poll works");
        assert!(!events.is_empty(), "the descriptor becomes readable");
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
        while running.next_deadline() == Some(Duration::ZERO) {
            assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
        }
        match client.try_reply() {
            Ok(reply) => break reply,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(reply.text(), "hello you");
}
