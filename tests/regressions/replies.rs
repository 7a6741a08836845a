//! Replies that were cut off or lost.

use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::time::Duration;

use monoloop::server::{CloseReason, Running};
use monoloop::{Router, Server};

use crate::support::{Client, Event, Hand, LIMIT, TestServer, assert_same, pattern, test_config};
#[cfg(target_os = "linux")]
use crate::support::{gate, get};
use crate::{EIGHT, assert_serves, basics};

#[track_caller]
fn turn(running: &mut Running<()>) {
    assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
}

/// Reads this many bytes, and turns the server meanwhile.
#[track_caller]
fn take(running: &mut Running<()>, client: &mut Client, count: usize) -> Vec<u8> {
    let (mut bytes, mut got) = (vec![0; count], 0);
    let end = std::time::Instant::now() + LIMIT;
    while got < count {
        match client.read_some(&mut bytes[got..]) {
            Ok(0) => panic!("EOF after {got} bytes"),
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => turn(running),
            Err(error) => panic!("{error} after {got} bytes"),
        }
        assert!(std::time::Instant::now() < end, "no more than {got} bytes come");
    }
    bytes
}

/// The clock is read once a tick. If a handler blocked the loop, the time of sessions that had their turn after it
/// began before the block.
#[test]
#[cfg(target_os = "linux")]
fn a_client_was_cut_because_a_handler_had_blocked_the_loop() {
    let hand = Hand::default();
    let (clock, blocked) = (hand.clone(), hand.clone());
    let (gate, door) = gate();
    let server = TestServer::start_on(
        move || Ok(Server::bind("127.0.0.1:0")?.clock(clock)),
        move |app, config| {
            basics(app);
            app.get("/gate", move |_, _, res| {
                door.pass();
                res.empty()
            });
            app.get("/block", move |_, _, res| {
                blocked.advance(Duration::from_secs(11));
                res.empty()
            });
            app.post("/echo", |_, req, res| res.send(req.body()));
            assert!(config.content_timeout < Duration::from_secs(11));
        },
    );
    let (mut holder, mut blocker, mut victim) = (server.connect(), server.connect(), server.connect());
    let mut other = server.connect();
    // Both requests wait while the handler blocks the loop, so they come in one tick, in this order.
    holder.get("/gate");
    gate.wait();
    blocker.get("/block");
    blocker.wait_delivered();
    victim.send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    victim.wait_delivered();
    gate.open();
    assert_eq!(blocker.reply().status, 200);
    let mut interim = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    victim.socket().read_exact(&mut interim).expect("it may go on");
    // More ticks follow, in which the server could cut the victim.
    for _ in 0..3 {
        assert_eq!(other.ask("/hello/other").text(), "hello other");
    }
    victim.send("half");
    assert_eq!(victim.reply().text(), "half");
}

/// Linux reports room only when a third of the send buffer is free. This client reads less than that within the send
/// timeout, which is twice `STEP`.
#[test]
fn a_client_that_reads_slowly_but_steadily_was_idle() {
    const STEP: usize = 192 * 1024;
    const PAUSE: Duration = Duration::from_secs(50);
    let mut app = Router::new(());
    basics(&mut app);
    let hand = Hand::default();
    let config = test_config();
    assert!(PAUSE < config.send_timeout && config.send_timeout < 2 * PAUSE);
    let server = Server::bind("127.0.0.1:0").expect("a port is free").config(config).clock(hand.clone());
    let mut running = server.start(app).expect("a poll");
    let address = running.local_addr().expect("it listens").to_string().parse().expect("an address");
    let ask = || {
        let mut client = Client::tcp(address);
        client.set_receive_buffer(32 * 1024);
        client.socket().set_nonblocking(true).expect("it can be made so");
        client.send("GET /eight HTTP/1.1\r\nHost: test\r\n\r\n");
        client
    };

    let mut client = ask();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(take(&mut running, &mut client, 1));
    }
    let content = pattern(EIGHT);
    for (i, expected) in content.chunks(STEP).enumerate() {
        assert_same(&take(&mut running, &mut client, expected.len()), expected, i);
        hand.advance(PAUSE);
        turn(&mut running);
    }

    // A client that takes nothing more is cut. It may still be given what fits because of what it took before. A leap
    // of time looks like a loop that was blocked.
    drop(client);
    let mut client = ask();
    take(&mut running, &mut client, STEP);
    for _ in 0..8 {
        hand.advance(2 * PAUSE);
        turn(&mut running);
    }
    assert_eq!(running.next_deadline(), None, "it is gone");
}

#[test]
fn a_late_empty_line_cost_the_end_of_a_last_reply() {
    const LAST_PART: usize = 16 * 1024;
    let content = pattern(EIGHT);
    let server = TestServer::start(|app, config| {
        basics(app);
        config.linger_timeout = LIMIT;
    });
    for fields in ["HTTP/1.0", "HTTP/1.1\r\nHost: test\r\nConnection: close"] {
        let (mut client, id) = server.connect_known();
        client.set_receive_buffer(LAST_PART);
        client.send(format!("GET /eight {fields}\r\n\r\n"));
        let (status, _) = client.try_head().expect("a head comes");
        assert_eq!(status, 200);
        // Waits until the kernel has all of it: a part is still in the buffers of both kernels. They hold the last part
        // by themselves, and the client leaves it there, also if the server gets no processor for a while.
        let finished = |event: &Event| matches!(event, Event::Finished { id: of, .. } if *of == id);
        let mut at = 0;
        while server.log.count(finished) == 0 && EIGHT - at > LAST_PART {
            client.read_content(1024, 1024, |offset, piece| {
                assert_same(piece, &content[at + offset..][..piece.len()], at);
            });
            at += 1024;
        }
        server.log.wait_for("the kernel has all of it", |event| finished(event).then_some(()));
        // The turn of this connection is over when the server serves another one.
        assert_serves(&server);
        client.send("\r\n");
        assert_serves(&server);
        client.read_content(EIGHT - at, EIGHT, |offset, piece| {
            assert_same(piece, &content[at + offset..][..piece.len()], at);
        });
        client.expect_eof();
        drop(client);
        assert_eq!(server.log.wait_closed(id), CloseReason::NotPersistent, "{fields}");
    }
}

/// A read stops at the urgent byte, although more follows. The byte itself is out of band, and does not belong to the
/// stream.
#[cfg(target_os = "linux")]
#[test]
fn urgent_data_hid_the_request_after_it() {
    use rustix::net::{SendFlags, send};

    let (gate, door) = gate();
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    for requests in [
        [get("/hello/one"), get("/hello/two")],
        // The urgent byte is within the head of the second request.
        [get("/hello/one") + "GET /hello/two HTTP/1.1\r\nHo", "st: test\r\n\r\n".to_owned()],
    ] {
        let (mut client, _) = server.connect_known();
        let mut blocker = server.connect();
        blocker.get("/gate");
        gate.wait();
        client.send(&requests[0]);
        assert_eq!(send(client.socket(), b"!", SendFlags::OOB).expect("TCP has urgent data"), 1);
        client.send(&requests[1]);
        client.wait_delivered();
        gate.open();
        assert_eq!(blocker.reply().text(), "open");
        assert_eq!(client.reply().text(), "hello one");
        assert_eq!(client.reply().text(), "hello two");
    }
}

// ---- the last bytes -------------------------------------------------------------------------------------------------

/// The server kept the last bytes back until it closed the socket. They were thrown away if the client had sent
/// anything after the last read. That was a request after the last one, or a line break after it.
#[test]
fn a_reply_was_lost_when_the_client_sent_more_while_it_was_made() {
    let more_behind = [
        ("GET /close HTTP/1.1\r\nHost: a\r\n\r\n", "GET /close HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "\r\n"),
        ("GET /slow HTTP/1.0\r\n\r\n", "\r\n"),
    ];
    for (request, more) in more_behind {
        let (gate, door) = crate::support::gate();
        let server = TestServer::start(move |app, _| {
            let door = Rc::new(door);
            for (path, close) in [("/close", true), ("/slow", false)] {
                let door = Rc::clone(&door);
                app.get(path, move |_, _, res| {
                    door.pass();
                    if close { res.header("Connection", "close").text("whole") } else { res.text("whole") }
                });
            }
        });
        let mut client = server.connect();
        client.send(request);
        gate.wait();
        client.send(more);
        gate.open();
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("whole", true), "{request:?}");
    }
}
