//! What only a kernel can show: sockets of each kind, clients that read slowly, stop, vanish or never end, and servers
//! that carry on.

mod support;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use monoloop::limits::{HIGH_WATER, TURN_REQUESTS};
use monoloop::server::{CloseReason, ConnectionId, Decision, FinishedReply, Observer, Tick, Timeout};
use monoloop::{Endpoint, Request, Router, Server};
use support::{Client, Event, LIMIT, SocketPath, TestServer, assert_same, gate, get, pattern};

/// Short, for timeouts that a test waits for.
const SHORT: Duration = Duration::from_millis(300);

/// What most tests ask for: a word of one's own, one's content back, and who one is.
fn basics(app: &mut Router<()>) {
    app.get("/hello/:name", |_, req, res| res.text(format!("hello {}", req.param_str("name").unwrap_or_default())));
    app.post("/echo", |_, req, res| res.send(req.body()));
    app.get("/peer", |_, req, res| res.text(req.peer().to_string()));
    app.get("/local", |_, req, res| res.text(req.local().to_string()));
}

fn start() -> TestServer {
    TestServer::start(|app, _| basics(app))
}

/// Shows that the server lives: a new client is served.
#[track_caller]
fn assert_serves(server: &TestServer) {
    assert_eq!(server.connect().ask("/hello/again").text(), "hello again");
}

fn post(target: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}

// ---- kinds of sockets -----------------------------------------------------------------------------------------------

/// One connection, many requests: one after the other, in pieces, and many at once.
fn keeps_alive_and_pipelines(client: &mut Client) {
    for name in ["one", "two", "three"] {
        let reply = client.ask(&format!("/hello/{name}"));
        assert_eq!((reply.status, reply.text()), (200, &*format!("hello {name}")));
        assert_eq!(reply.header("connection"), None);
    }
    let content = pattern(300_000);
    client.send(post("/echo", &content));
    assert_same(&client.reply().content, &content, "content in many segments");

    let many: String = (0..500).map(|i| get(&format!("/hello/{i}"))).collect();
    let mut writer = client.share();
    let writing = thread::spawn(move || writer.send(many));
    for i in 0..500 {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    writing.join().expect("the server takes everything");

    let mixed = [post("/echo", b"first"), get("/hello/second").into(), post("/echo", &content[..1000])].concat();
    client.send(mixed);
    assert_eq!(client.reply().text(), "first");
    assert_eq!(client.reply().text(), "hello second");
    assert_same(&client.reply().content, &content[..1000], "the third");
}

#[test]
fn keep_alive_and_pipelining_over_tcp() {
    let server = start();
    let (mut client, id) = server.connect_known();
    keeps_alive_and_pipelines(&mut client);
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn keep_alive_and_pipelining_over_a_unix_socket() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    let mut client = Client::unix(path.path());
    keeps_alive_and_pipelines(&mut client);
    assert_eq!(client.ask("/peer").text(), "unix");
    assert_eq!(client.ask("/local").text(), "unix");
    assert!(path.path().exists());
    drop(client);
    drop(server);
    assert!(!path.path().exists(), "the socket file is removed at the end");
}

#[test]
fn a_socket_file_that_nobody_listens_on_is_replaced_and_a_used_one_is_not() {
    let path = SocketPath::new();
    drop(std::os::unix::net::UnixListener::bind(path.path()).expect("a fresh path can be bound"));
    let bound = path.path().to_owned();
    let _server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    let error = Server::bind_unix(path.path()).expect_err("someone listens there");
    assert!(error.to_string().ends_with("is already in use"), "{error}");
    assert_eq!(Client::unix(path.path()).ask("/hello/you").text(), "hello you");
}

#[test]
fn ipv6_serves_ipv4_too_and_shows_it_as_such() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return eprintln!("skipped: this machine has no IPv6");
    }
    let server = TestServer::start_on(|| Server::bind("[::]:0"), |app, _| basics(app));
    let port = server.address().port();
    for ip in [Ipv4Addr::LOCALHOST.into(), std::net::IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let mut client = Client::tcp(SocketAddr::new(ip, port));
        assert_eq!(client.ask("/peer").text(), client.local().to_string());
        assert_eq!(client.ask("/local").text(), SocketAddr::new(ip, port).to_string());
        server.log.wait_for("it is opened", |event| match event {
            Event::Opened(_, peer) if *peer == Endpoint::Tcp(client.local()) => Some(()),
            _ => None,
        });
    }
}

#[test]
fn a_passed_listener_is_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let server = TestServer::start_on(move || Server::from_listener(listener), |app, _| basics(app));
    assert_eq!(server.address(), address);
    assert_eq!(server.connect().ask("/local").text(), address.to_string());
}

#[test]
fn several_addresses_are_served_and_announced() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let (tell, told) = channel();
    let bind = move || {
        let server = Server::bind("127.0.0.1:0")?.also_bind("127.0.0.1:0")?.also_bind_unix(bound)?;
        tell.send((server.local_addr(), server.local_addrs().collect::<Vec<_>>())).expect("the test waits for it");
        Ok(server)
    };
    let server = TestServer::start_on(bind, |app, _| basics(app));
    let (first, all) = told.recv_timeout(LIMIT).expect("it is bound");
    assert_eq!((first, all.len(), all[2]), (all[0], 3, Endpoint::Unix));
    assert_ne!(all[0], all[1]);
    let announced: Vec<_> = server.log.events().into_iter().take(3).collect();
    assert_eq!(announced, all.iter().map(|local| Event::Listening(*local)).collect::<Vec<_>>());
    for local in all {
        let mut client = match local {
            Endpoint::Tcp(address) => Client::tcp(address),
            Endpoint::Unix => Client::unix(path.path()),
        };
        assert_eq!(client.ask("/local").text(), local.to_string());
    }
}

#[test]
fn an_address_in_use_is_named_in_the_error() {
    let server = start();
    let error = Server::bind(server.address()).expect_err("the port is taken");
    assert_eq!(error.to_string(), format!("{} is already in use", server.address()));
}

/// `monoloop::serve` tells nobody its port, so it gets an address of 127/8 that is its own; and it stops at SIGTERM.
#[cfg(all(target_os = "linux", feature = "signals"))]
#[test]
fn the_three_line_server_serves_until_sigterm() {
    use rustix::process::{Signal, getpid, kill_process};

    let [.., a, b] = std::process::id().to_be_bytes();
    let ip = Ipv4Addr::new(127, 77, a, b);
    let (end, ended) = channel();
    let thread = thread::spawn(move || {
        let result = monoloop::serve((ip, 0), |_req, res| res.text("Hello, World!"));
        end.send(result.map_err(|error| error.to_string())).expect("the test waits for it");
    });
    let listening = || support::proc_net_tcp().into_iter().find(|entry| entry.listens && entry.local.ip() == ip);
    let limit = std::time::Instant::now() + LIMIT;
    let address = loop {
        match listening() {
            Some(entry) => break entry.local,
            None => assert!(std::time::Instant::now() < limit, "it does not listen"),
        }
        thread::yield_now();
    };
    let mut client = Client::tcp(address);
    assert_eq!(client.ask("/whatever?page=1").text(), "Hello, World!");
    client.send(post("/", b"content"));
    assert_eq!(client.reply().text(), "Hello, World!");
    kill_process(getpid(), Signal::TERM).expect("one may signal oneself");
    client.expect_eof();
    drop(client);
    assert_eq!(ended.recv_timeout(LIMIT).expect("it ends"), Ok(()));
    thread.join().expect("it does not panic");
}

#[test]
fn a_request_knows_both_its_ends() {
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.ask("/peer").text(), client.local().to_string());
    assert_eq!(client.ask("/local").text(), server.address().to_string());
}

// ---- persistence ----------------------------------------------------------------------------------------------------

#[test]
fn a_client_that_asks_to_close_gets_eof_after_its_reply() {
    let server = start();
    let cases = [
        ("GET /hello/you HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "the field"),
        ("GET /hello/you HTTP/1.0\r\n\r\n", "the version"),
        ("GET /hello/you HTTP/1.0\r\nConnection: close\r\n\r\n", "both"),
    ];
    for (request, name) in cases {
        let (mut client, id) = server.connect_known();
        client.send(request);
        let reply = client.reply();
        assert_eq!((reply.status, reply.text(), reply.closes()), (200, "hello you", true), "{name}");
        client.expect_eof();
        assert_eq!(server.log.wait_closed(id), CloseReason::NotPersistent, "{name}");
    }
}

#[test]
fn http_1_0_with_keep_alive_is_kept() {
    let server = start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("GET /hello/you HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("connection")), (200, Some("keep-alive")));
    }
    client.send("GET /hello/you HTTP/1.0\r\n\r\n");
    assert!(client.reply().closes());
    client.expect_eof();
}

#[test]
fn what_is_pipelined_behind_the_last_request_is_not_answered() {
    let server = start();
    let (mut client, id) = server.connect_known();
    let last = "GET /hello/last HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    client.send([get("/hello/first"), last.into(), get("/hello/never")].concat());
    assert_eq!(client.reply().text(), "hello first");
    assert_eq!(client.reply().text(), "hello last");
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::NotPersistent);
    assert_eq!(server.log.count(|event| matches!(event, Event::Request(..))), 2);
}

#[test]
fn a_handler_can_close() {
    let server = TestServer::start(|app, _| {
        app.get("/bye", |_, _, res| res.header("Connection", "close").text("bye"));
    });
    let (mut client, id) = server.connect_known();
    assert!(client.ask("/bye").closes());
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::HandlerClosed);
}

// ---- backpressure ---------------------------------------------------------------------------------------------------

/// Long enough to be spliced, and short of the high-water mark.
const LARGE: usize = 40 * 1024;

/// The content of the `number`-th large reply.
fn large(number: usize) -> Vec<u8> {
    let mut content = vec![number as u8; LARGE];
    content[..8].copy_from_slice(&(number as u64).to_be_bytes());
    content
}

#[test]
fn a_client_that_does_not_read_costs_a_bounded_number_of_bytes_and_loses_none() {
    let server = TestServer::start(|app, _| {
        basics(app);
        app.get("/large/:number", |_, req, res| res.send(large(req.param("number")?)));
    });
    let (mut greedy, id) = server.connect_known();
    greedy.set_receive_buffer(16 * 1024);
    greedy.set_send_buffer(16 * 1024);
    // Each with a field of 1 KiB, so that the kernel's buffers hold few.
    let request =
        |number| format!("GET /large/{number} HTTP/1.1\r\nHost: test\r\nX-Fill: {}\r\n\r\n", "x".repeat(1024));

    // Write until nothing is taken any more. Without backpressure the server would go on for ever.
    greedy.socket().set_write_timeout(Some(SHORT)).expect("a timeout can be set");
    let handled = || server.log.count(|event| matches!(event, Event::Request(from, _) if *from == id));
    let (mut sent, mut count, mut rest, mut before) = (0, 0, Vec::new(), usize::MAX);
    loop {
        if rest.is_empty() {
            rest = request(count).into_bytes();
            count += 1;
        }
        match greedy.write_some(&rest) {
            Ok(written) => {
                rest.drain(..written);
                sent += written;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let now = handled();
                if before == now && now + 1 < count {
                    break;
                }
                before = now;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 16 << 20, "the server takes whatever it is sent, although nobody reads its replies");
    }
    server.log.wait_event(&Event::Backpressure(id, true));

    // A neighbour does not notice.
    assert_serves(&server);
    assert_eq!(handled(), before, "nothing happens behind the neighbour's back");

    // Then it reads everything.
    greedy.socket().set_write_timeout(Some(LIMIT)).expect("a timeout can be set");
    let mut writer = greedy.share();
    let writing = thread::spawn(move || {
        writer.send(rest);
        writer.half_close();
    });
    for number in 0..count {
        let reply = greedy.reply();
        assert_same(&reply.content, &large(number), number);
    }
    greedy.expect_eof();
    writing.join().expect("the server takes everything");
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);

    // At no time was more owed than the mark and the reply that crossed it.
    let (mut owed, mut most, mut held) = (0, 0, false);
    for event in server.log.events() {
        match event {
            Event::Request(from, _) if from == id => owed += 1,
            Event::Finished { id: from, .. } if from == id => owed -= 1,
            Event::Backpressure(from, on) if from == id => {
                assert_ne!(held, on, "on and off take turns");
                held = on;
            }
            _ => {}
        }
        most = most.max(owed);
    }
    assert!(!held, "in the end the pressure is off");
    assert_eq!(owed, 0);
    assert!(most <= HIGH_WATER.div_ceil(LARGE) + 1, "{most} replies of {LARGE} bytes were owed at a time");
}

/// The mark counts for one large reply as for many small ones, and at once, not at the next event of the socket.
#[test]
fn a_single_large_reply_is_backpressure_too() {
    let server = start_with_large();
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    server.log.wait_event(&Event::Backpressure(id, true));
    assert_same(&client.reply().content, &pattern(EIGHT), "eight mebibytes");
    server.log.wait_event(&Event::Backpressure(id, false));
}

/// Reads 50 MiB in small pieces, through a small window.
fn reads_slowly(client: &mut Client, target: &str, expected: &[u8]) {
    client.get(target);
    let (status, head) = client.try_head().expect("a head");
    assert_eq!(status, 200);
    assert!(head.contains(&format!("Content-Length: {}\r\n", expected.len())), "{head}");
    client.read_content(expected.len(), 30_011, |at, piece| assert_same(piece, &expected[at..][..piece.len()], at));
    assert_eq!(client.ask("/hello/again").text(), "hello again", "the connection is kept");
}

#[test]
fn a_slow_reader_gets_fifty_mebibytes_intact() {
    let expected: Arc<[u8]> = pattern(50 << 20).into();
    let shared = Arc::clone(&expected);
    let server = TestServer::start(move |app, _| {
        basics(app);
        let owned = Arc::clone(&shared);
        app.get("/shared", move |_, _, res| res.send(Arc::clone(&shared)));
        app.get("/owned", move |_, _, res| res.send(owned.to_vec()));
    });
    for target in ["/shared", "/owned"] {
        let (mut client, id) = server.connect_known();
        client.set_receive_buffer(64 * 1024);
        reads_slowly(&mut client, target, &expected);
        drop(client);
        server.log.wait_closed(id);
        let content = expected.len() as u64;
        server.log.wait_event(&Event::Finished { id, status: 200, content });
        server.log.wait_event(&Event::Backpressure(id, true));
        server.log.wait_event(&Event::Backpressure(id, false));
    }
}

#[test]
fn a_slow_reader_of_a_unix_socket_gets_everything_too() {
    let expected: Arc<[u8]> = pattern(20 << 20).into();
    let shared = Arc::clone(&expected);
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let _server = TestServer::start_on(
        move || Server::bind_unix(bound),
        move |app, _| {
            basics(app);
            app.get("/shared", move |_, _, res| res.send(Arc::clone(&shared)));
        },
    );
    reads_slowly(&mut Client::unix(path.path()), "/shared", &expected);
}

// ---- fairness -------------------------------------------------------------------------------------------------------

#[cfg(target_os = "linux")]
#[test]
fn a_client_that_pipelines_thousands_does_not_keep_a_neighbour_waiting() {
    const MANY: usize = 4000;
    let (gate, door) = gate();
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut neighbour, neighbours_id) = server.connect_known();
    let (mut greedy, greedy_id) = server.connect_known();
    assert_eq!(neighbour.ask("/hello/you").text(), "hello you");

    // While the loop stands still, the greedy client's requests queue up, and behind them comes the neighbour's.
    greedy.get("/gate");
    gate.wait();
    let mut writer = greedy.share();
    let (queue, queued) = channel();
    let writing = thread::spawn(move || {
        let (first, rest) = (0..TURN_REQUESTS * 10, TURN_REQUESTS * 10..MANY);
        writer.send(first.map(|i| get(&format!("/hello/{i}"))).collect::<String>());
        writer.wait_delivered();
        queue.send(()).expect("the test waits for it");
        writer.send(rest.map(|i| get(&format!("/hello/{i}"))).collect::<String>());
    });
    queued.recv_timeout(LIMIT).expect("the requests are queued");
    neighbour.get("/hello/neighbour");
    neighbour.wait_delivered();
    gate.open();
    assert_eq!(greedy.reply().text(), "open");
    for i in 0..MANY {
        assert_eq!(greedy.reply().text(), format!("hello {i}"));
    }
    writing.join().expect("the server takes everything");
    assert_eq!(neighbour.reply().text(), "hello neighbour");

    let replied = |to| move |event: &Event| matches!(event, Event::Finished { id, .. } if *id == to);
    let events = server.log.wait_until("all replies are finished", |events| {
        let all = events.iter().filter(|event| replied(greedy_id)(event)).count() == MANY + 1;
        (all && events.iter().filter(|event| replied(neighbours_id)(event)).count() == 2).then(|| events.to_vec())
    });
    let last = events.iter().rposition(replied(neighbours_id)).expect("it was answered");
    let before = events[..last].iter().filter(|event| replied(greedy_id)(event)).count();
    assert!(before <= 2 * TURN_REQUESTS, "{before} replies came before the neighbour's");
}

// ---- half-close -----------------------------------------------------------------------------------------------------

const EIGHT: usize = 8 << 20;

fn start_with_large() -> TestServer {
    let content: Arc<[u8]> = pattern(EIGHT).into();
    TestServer::start(move |app, _| {
        basics(app);
        app.get("/eight", move |_, _, res| res.send(Arc::clone(&content)));
    })
}

#[test]
fn a_client_that_closes_its_side_gets_its_whole_answer() {
    let server = start_with_large();
    let expected = pattern(EIGHT);
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.half_close();
    assert_same(&client.reply().content, &expected, "eight mebibytes");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn a_large_answer_that_is_being_sent_survives_a_half_close() {
    let server = start_with_large();
    let expected = pattern(EIGHT);
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.wait_readable();
    client.half_close();
    assert_same(&client.reply().content, &expected, "eight mebibytes");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn requests_that_were_pipelined_before_a_half_close_are_all_answered() {
    let server = start_with_large();
    let expected = pattern(EIGHT);
    let (mut client, id) = server.connect_known();
    client.send([get("/hello/one"), get("/eight"), get("/hello/three")].concat());
    client.half_close();
    assert_eq!(client.reply().text(), "hello one");
    assert_same(&client.reply().content, &expected, "eight mebibytes");
    assert_eq!(client.reply().text(), "hello three");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn a_half_close_on_a_unix_socket_is_answered_too() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let _server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    let mut client = Client::unix(path.path());
    client.send([get("/hello/one").into_bytes(), post("/echo", &pattern(100_000))].concat());
    client.half_close();
    assert_eq!(client.reply().text(), "hello one");
    assert_same(&client.reply().content, &pattern(100_000), "the content");
    client.expect_eof();
}

/// Data and FIN share an edge, and no other comes: a server that stops at the short read never sees the FIN.
#[cfg(target_os = "linux")]
#[test]
fn data_and_fin_in_one_segment_are_both_seen() {
    let (gate, door) = gate();
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let cases: [(&str, Vec<u8>, &[&str]); 4] = [
        ("a request", get("/hello/you").into(), &["hello you"]),
        ("two requests", [get("/hello/one"), get("/hello/two")].concat().into(), &["hello one", "hello two"]),
        ("a request with content", post("/echo", b"content"), &["content"]),
        ("nothing", Vec::new(), &[]),
    ];
    for (name, bytes, expected) in cases {
        // As the loop finds it: while it sleeps; after it slept through both; and before it has accepted.
        for when in ["at once", "together", "before accept"] {
            let mut blocker = server.connect();
            if when == "before accept" {
                blocker.get("/gate");
                gate.wait();
            }
            let mut client = match when {
                "before accept" => server.connect(),
                _ => server.connect_known().0,
            };
            if when == "together" {
                blocker.get("/gate");
                gate.wait();
            }
            client.cork();
            client.send(&bytes);
            client.half_close();
            if when != "at once" {
                client.wait_delivered();
                gate.open();
                assert_eq!(blocker.reply().text(), "open");
            }
            for expected in expected {
                assert_eq!(client.reply().text(), *expected, "{name}, {when}");
            }
            client.expect_eof();
        }
    }
}

#[test]
fn a_request_that_ends_too_early_is_told_so() {
    let server = start();
    let cases = [
        ("half a head", "GET /hello/you HTTP/1.1\r\nHost: te"),
        ("half of the content", "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf"),
        ("half a chunk", "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"),
    ];
    for (name, bytes) in cases {
        let (mut client, id) = server.connect_known();
        client.send(bytes);
        client.half_close();
        assert_eq!(client.reply().status, 400, "{name}");
        client.expect_eof();
        assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosedEarly, "{name}");
    }
}

// ---- resets ---------------------------------------------------------------------------------------------------------

#[test]
fn a_reset_in_any_state_ends_one_connection_only() {
    let server = start_with_large();
    let chunked = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe";
    let cases: [(&str, &[u8]); 5] = [
        ("before the first byte", b""),
        ("within a head", b"GET /hello/you HTTP/1.1\r\nHos"),
        ("within content", b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf"),
        ("within a chunk", chunked.as_bytes()),
        ("within content that is discarded", b"POST /none HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf"),
    ];
    let allowed = [CloseReason::SocketError, CloseReason::ClientClosed, CloseReason::ClientClosedEarly];
    for (name, bytes) in cases {
        let (mut client, id) = server.connect_known();
        client.send(bytes);
        client.reset();
        let reason = server.log.wait_closed(id);
        assert!(allowed.contains(&reason), "{name}: {reason:?}");
        assert_serves(&server);
    }

    let (mut client, id) = server.connect_known();
    client.ask("/hello/you");
    client.reset();
    let reason = server.log.wait_closed(id);
    assert!(allowed.contains(&reason), "idle: {reason:?}");
    assert_serves(&server);

    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.wait_readable();
    client.reset();
    assert_eq!(server.log.wait_closed(id), CloseReason::SocketError, "while megabytes are owed");
    assert_serves(&server);

    let (mut client, id) = server.connect_known();
    client.send("no request\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_eof();
    client.reset();
    let reason = server.log.wait_closed(id);
    assert!([CloseReason::SocketError, CloseReason::BadRequest].contains(&reason), "while it lingers: {reason:?}");
    assert_serves(&server);
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_its_reply_ends_one_connection_only() {
    let server = start_with_large();
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.read_content(1000, 1000, |_, _| {});
    // Closing over unread data sends a reset.
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::SocketError);
    assert_serves(&server);
}

// ---- errors that must arrive ----------------------------------------------------------------------------------------

/// Writes everything, whether or not the server still takes it, and only then reads.
#[track_caller]
fn deaf_while_sending(client: &mut Client, pieces: impl Iterator<Item = Vec<u8>>) -> support::Reply {
    for piece in pieces {
        if let Err(error) = client.try_send(&piece) {
            let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(gone.contains(&error.kind()), "the server must not stall the client: {error}");
            break;
        }
    }
    client.reply()
}

#[test]
fn a_413_reaches_a_client_that_is_still_sending() {
    let server = start();
    for length in ["Content-Length: 10485760", "Transfer-Encoding: chunked"] {
        let (mut client, id) = server.connect_known();
        let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\n{length}\r\n\r\n");
        let piece = match length.starts_with("Transfer") {
            true => [&b"10000\r\n"[..], &[b'x'; 0x1_0000], b"\r\n"].concat(),
            false => vec![b'x'; 0x1_0000],
        };
        let pieces = std::iter::once(head.into_bytes()).chain(std::iter::repeat_n(piece, 160));
        let reply = deaf_while_sending(&mut client, pieces);
        assert_eq!((reply.status, reply.closes()), (413, true), "{length}");
        client.expect_end();
        drop(client);
        let reason = server.log.wait_closed(id);
        assert!([CloseReason::BadRequest, CloseReason::SocketError].contains(&reason), "{length}: {reason:?}");
        assert_serves(&server);
    }
}

#[test]
fn a_400_reaches_a_client_whose_stream_is_broken_in_the_middle() {
    let server = start();
    let (mut client, id) = server.connect_known();
    let head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
    let good = std::iter::once(head).chain(std::iter::repeat_n(chunk, 10));
    let pieces = good.chain(std::iter::once(b"zz\r\n".to_vec())).chain(std::iter::repeat_n(vec![b'y'; 0x1_0000], 100));
    let reply = deaf_while_sending(&mut client, pieces);
    assert_eq!((reply.status, reply.closes()), (400, true));
    client.expect_end();
    drop(client);
    let reason = server.log.wait_closed(id);
    assert!([CloseReason::BadRequest, CloseReason::SocketError].contains(&reason), "{reason:?}");
    assert_serves(&server);
}

/// A refused request whose rest fits into the discarded bytes ends without any reset.
#[test]
fn a_client_that_ends_within_the_lingering_gets_a_clean_end() {
    let server = start();
    let (mut client, id) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n");
    client.send([b'x'; 30_000]);
    assert_eq!(client.reply().status, 413);
    client.send([b'x'; 30_000]);
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::BadRequest);
}

/// What is read and thrown away is bounded in bytes, and the wait in time: who goes on sending is not read any more, and
/// then reset.
#[test]
fn a_client_that_never_stops_after_its_error_is_cut_off() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.linger_timeout = Duration::from_secs(1);
    });
    let (mut client, id) = server.connect_known();
    client.send("no request\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_eof();
    let mut sent = 0;
    while client.try_send(&[b'x'; 0x1_0000]).is_ok() {
        sent += 0x1_0000;
        assert!(sent < 64 << 20, "the server reads for ever");
    }
    assert_eq!(server.log.wait_closed(id), CloseReason::BadRequest);
}

// ---- panics and hooks -----------------------------------------------------------------------------------------------

#[test]
fn a_panic_of_a_handler_is_a_500_and_ends_its_connection_only() {
    let server = TestServer::start(|app, _| {
        basics(app);
        app.any("/panic", |_, _, res| {
            let _body = res.start()?;
            panic!("this test panics on purpose");
        });
        app.with(|(), req, res| {
            assert!(req.header("x-panic").is_none(), "this test panics on purpose");
            ControlFlow::Continue(res)
        });
    });
    let requests = [
        get("/panic").into_bytes(),
        post("/panic", b"content"),
        [get("/panic"), get("/hello/never")].concat().into(),
        b"GET /hello/you HTTP/1.1\r\nHost: test\r\nX-Panic: yes\r\n\r\n".to_vec(),
    ];
    for request in requests {
        let (mut client, id) = server.connect_known();
        client.send(request);
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (500, true));
        assert_eq!(reply.text(), r#"{"error":"Internal server error"}"#);
        client.expect_eof();
        drop(client);
        assert_eq!(server.log.wait_closed(id), CloseReason::Panicked);
        server.log.wait_event(&Event::Failed(id, 500));
        assert_serves(&server);
    }
}

/// Panics at every call.
struct Panicking;

impl Observer for Panicking {
    fn listening(&mut self, _: &Endpoint) {
        panic!("this test panics on purpose");
    }

    fn connection_opened(&mut self, _: ConnectionId, _: &Endpoint) {
        panic!("this test panics on purpose");
    }

    fn request(&mut self, _: ConnectionId, _: &Request<'_>) {
        panic!("this test panics on purpose");
    }

    fn reply_finished(&mut self, _: ConnectionId, _: &FinishedReply) {
        panic!("this test panics on purpose");
    }

    fn connection_closed(&mut self, _: ConnectionId, _: CloseReason) {
        panic!("this test panics on purpose");
    }

    fn ticked(&mut self, _: &Tick) {
        panic!("this test panics on purpose");
    }

    fn server_closed(&mut self) {
        panic!("this test panics on purpose");
    }
}

#[test]
fn a_panicking_observer_does_not_stop_the_loop() {
    let bind = || Server::bind("127.0.0.1:0");
    let server = TestServer::start_watched(bind, |app, _| basics(app), |_| Box::new(Panicking));
    let mut client = server.connect();
    for _ in 0..3 {
        assert_eq!(client.ask("/hello/you").text(), "hello you");
        assert_serves(&server);
    }
}

#[test]
fn a_hook_refuses_accepts_and_panics() {
    let bind = || {
        let mut seen = 0;
        let hook = move |_: &Endpoint| {
            seen += 1;
            match seen {
                1 => Decision::Refuse,
                2 => panic!("this test panics on purpose"),
                3 => Decision::AcceptWithIdleTimeout(SHORT),
                _ => Decision::Accept,
            }
        };
        Ok(Server::bind("127.0.0.1:0")?.on_connection(hook))
    };
    let server = TestServer::start_on(bind, |app, _| basics(app));
    for name in ["refused", "panicked"] {
        let (mut client, id) = server.connect_known();
        client.expect_end();
        assert_eq!(server.log.wait_closed(id), CloseReason::Refused, "{name}");
    }
    let (mut client, id) = server.connect_known();
    assert_eq!(client.ask("/hello/you").text(), "hello you");
    let mut neighbour = server.connect();
    assert_eq!(neighbour.ask("/hello/you").text(), "hello you");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
    assert_eq!(neighbour.ask("/hello/you").text(), "hello you", "the others have the timeout of the server");
}

// ---- overload -------------------------------------------------------------------------------------------------------

#[test]
fn a_connection_over_the_limit_waits_until_another_closes() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.max_connections = Some(2);
    });
    let (mut first, first_id) = server.connect_known();
    let (mut second, _) = server.connect_known();
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for (i, client) in waiting.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        #[cfg(target_os = "linux")]
        client.wait_delivered();
    }
    for _ in 0..10 {
        assert_eq!(first.ask("/hello/first").text(), "hello first");
        assert_eq!(second.ask("/hello/second").text(), "hello second");
    }
    assert_eq!(server.log.count(|event| matches!(event, Event::Opened(..))), 2);
    drop(first);
    server.log.wait_closed(first_id);
    for (i, mut client) in waiting.into_iter().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    assert_eq!(second.ask("/hello/second").text(), "hello second");
    let mut open = 0_usize;
    for event in server.log.events() {
        match event {
            Event::Opened(..) => open += 1,
            Event::Closed(..) => open -= 1,
            _ => {}
        }
        assert!(open <= 2, "never more than two at a time");
    }
}

#[test]
fn many_connections_at_once_are_all_served() {
    let server = start();
    let mut clients: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    drop(clients);
    server.log.wait_until("all are closed", |events| {
        let closed = |event: &&Event| matches!(event, Event::Closed(_, CloseReason::ClientClosed));
        (events.iter().filter(closed).count() == 300).then_some(())
    });
}

// ---- timeouts -------------------------------------------------------------------------------------------------------

#[test]
fn an_idle_connection_is_closed_silently() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.idle_timeout = SHORT;
    });
    let (mut fresh, fresh_id) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    used.ask("/hello/you");
    for (client, id) in [(&mut fresh, fresh_id), (&mut used, used_id)] {
        client.expect_eof();
        assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
        server.log.wait_event(&Event::TimedOut(id, Timeout::Idle));
    }
    assert_serves(&server);
}

#[test]
fn the_keep_alive_timeout_counts_between_requests_only() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.keep_alive_timeout = Some(SHORT);
    });
    let (mut waiting, _) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    used.ask("/hello/you");
    used.expect_eof();
    assert_eq!(server.log.wait_closed(used_id), CloseReason::IdleTimeout);
    assert_eq!(waiting.ask("/hello/you").text(), "hello you", "one that has not asked yet has the idle timeout");
}

#[test]
fn a_handler_sets_the_idle_timeout_of_its_connection() {
    let server = TestServer::start(|app, _| {
        basics(app);
        app.get("/short", |_, _, res| res.idle_timeout(SHORT).text("short"));
    });
    let (mut client, id) = server.connect_known();
    assert_eq!(client.ask("/short").text(), "short");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
}

#[test]
fn half_a_head_is_a_408() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.head_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("GET /hello/you HTTP/1.1\r\nHost: te");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::HeadTimeout);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Head));
    server.log.wait_event(&Event::Failed(id, 408));

    // Also behind a request that was answered.
    let (mut client, id) = server.connect_known();
    client.send([&get("/hello/you"), "GET /hello"].concat());
    assert_eq!(client.reply().text(), "hello you");
    assert_eq!(client.reply().status, 408);
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::HeadTimeout);
}

#[test]
fn a_head_that_drips_is_a_408_too() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.head_timeout = SHORT;
        // It must be the time that ends it, however fast it drips.
        config.max_head = 1 << 30;
    });
    let (mut client, id) = server.connect_known();
    client.send("GET /hello/you HTTP/1.1\r\nHost: test\r\nX-Drip: ");
    let mut writer = client.share();
    // It drips until the server has had enough; the limit is that of the reply below.
    let dripping = thread::spawn(move || while writer.try_send(b"x").is_ok() {});
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_end();
    drop(client);
    server.log.wait_closed(id);
    dripping.join().expect("it only writes");
}

#[test]
fn half_of_the_content_is_a_408() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.idle_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Idle));
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let content: Arc<[u8]> = pattern(EIGHT).into();
    let server = TestServer::start(move |app, config| {
        basics(app);
        config.send_timeout = SHORT;
        app.get("/eight", move |_, _, res| res.send(Arc::clone(&content)));
    });
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    assert_eq!(server.log.wait_closed(id), CloseReason::SendTimeout);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Send));
    assert_serves(&server);
}

#[test]
fn lingering_ends() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.linger_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("no request\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_eof();
    // Our client does not close its side.
    assert_eq!(server.log.wait_closed(id), CloseReason::BadRequest);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Linger));
    assert_serves(&server);
}
