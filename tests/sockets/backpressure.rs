//! Clients that read slowly or not at all, and clients that pipeline thousands of requests.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use monoloop::Server;
use monoloop::limits::HIGH_WATER;
use monoloop::server::CloseReason;

use crate::support::{Client, Event, LIMIT, SocketPath, TestServer, assert_same, gate, get, pattern};
use crate::{EIGHT, SHORT, assert_serves, basics, start_with_large};

/// How many requests a connection may have answered in a turn, as `src/limits.rs` says.
const TURN_REQUESTS: usize = 64;

/// Long enough to be spliced, and below the high-water mark.
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
    // Each request has a field of 1 KiB, so that the kernel's buffers hold few requests.
    let request =
        |number| format!("GET /large/{number} HTTP/1.1\r\nHost: test\r\nX-Fill: {}\r\n\r\n", "x".repeat(1024));

    // Writes until nothing is taken any more. Without backpressure the server would go on for ever.
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

    // A neighbour is served as usual.
    assert_serves(&server);
    assert_eq!(handled(), before, "no request is handled meanwhile");

    // Then the client reads everything.
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

    // The server never owed more than the high-water mark and the reply that crossed it.
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

/// One large reply counts for the mark like many small ones, and at once, not at the next event of the socket.
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

    // While the handler blocks the loop, the requests of the greedy client queue up, and then comes the neighbour's.
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
