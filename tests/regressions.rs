//! What a hostile review broke, one test for each fault, named after it. What needs no kernel is tested where it lives: in
//! `src/h1/tests` and `src/router`; what needs the command, in `tests/command.rs`.

mod support;

use std::error::Error as StdError;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::ops::ControlFlow;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::{Arc, Once};
use std::time::Duration;

use log::{LevelFilter, Log, Metadata, Record};
use monoloop::server::{CloseReason, ConnectionId, Decision, Observer, Running};
use monoloop::{Config, Endpoint, Error, Request, Router, Server};
use support::{Client, Event, Hand, LIMIT, TestServer, assert_same, pattern, test_config};
#[cfg(target_os = "linux")]
use support::{FewDescriptors, gate, get};

const EIGHT: usize = 8 << 20;

fn basics(app: &mut Router<()>) {
    app.get("/hello/:name", |_, req, res| res.text(format!("hello {}", req.param_str("name").unwrap_or_default())));
    let eight: Arc<[u8]> = pattern(EIGHT).into();
    app.get("/eight", move |_, _, res| res.send(Arc::clone(&eight)));
}

#[track_caller]
fn assert_serves(server: &TestServer) {
    assert_eq!(server.connect().ask("/hello/again").text(), "hello again");
}

// ---- errors and panics that explode ---------------------------------------------------------------------------------

/// Panics when it is dropped, and the payload of that panic does the same, so many times.
struct Bomb(u8);

impl Drop for Bomb {
    fn drop(&mut self) {
        if let Some(left) = self.0.checked_sub(1) {
            panic_any(Bomb(left));
        }
    }
}

#[derive(Debug)]
struct CannotBeShown;

impl fmt::Display for CannotBeShown {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic_any(Bomb(3))
    }
}

impl StdError for CannotBeShown {}

struct CannotBeDropped(#[allow(dead_code, reason = "it is dropped")] Bomb);

impl fmt::Debug for CannotBeDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bomb")
    }
}

impl fmt::Display for CannotBeDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bomb")
    }
}

impl StdError for CannotBeDropped {}

/// Fails as `how` says.
fn explode<T>(how: &str) -> Result<T, Error> {
    match how {
        "shown" => Err(CannotBeShown.into()),
        "shown-400" => Err(Error::new(400, "no").with_source(CannotBeShown)),
        "dropped" => Err(CannotBeDropped(Bomb(3)).into()),
        "dropped-400" => Err(Error::new(400, "no").with_source(CannotBeDropped(Bomb(3)))),
        "panic" => panic_any(Bomb(1)),
        "panics" => panic_any(Bomb(3)),
        _ => Err(Error::new(418, "there is no such bomb")),
    }
}

const BOMBS: [(&str, u16); 6] =
    [("shown", 500), ("shown-400", 400), ("dropped", 500), ("dropped-400", 400), ("panic", 500), ("panics", 500)];

/// Writes every record and throws it away: without a logger, nothing is ever shown.
struct Writes;

impl Log for Writes {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        std::hint::black_box(record.args().to_string());
    }

    fn flush(&self) {}
}

fn log_everything() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Writes).expect("there is no other");
        log::set_max_level(LevelFilter::Trace);
    });
}

#[test]
fn an_error_or_a_payload_that_panics_when_it_is_shown_or_dropped_killed_the_server() {
    log_everything();
    let server = TestServer::start(|app, _| {
        basics(app);
        app.with(|_, req, res| match req.header("x-bomb") {
            Some(how) => ControlFlow::Break(explode(how)),
            None => ControlFlow::Continue(res),
        });
        app.get("/bomb/:how", |_, req, _| explode(&req.param_str("how").unwrap_or_default()));
    });
    for (how, status) in BOMBS {
        assert_eq!(server.connect().ask(&format!("/bomb/{how}")).status, status, "{how} in a handler");
        assert_serves(&server);
        let mut client = server.connect();
        client.send(format!("GET /hello/you HTTP/1.1\r\nHost: test\r\nX-Bomb: {how}\r\n\r\n"));
        assert_eq!(client.reply().status, status, "{how} in middleware");
        assert_serves(&server);
    }
}

#[test]
fn a_renderer_that_explodes_killed_the_server() {
    log_everything();
    for (how, _) in BOMBS {
        let server = TestServer::start(move |app, _| {
            basics(app);
            app.get("/fails", |_, _, _| Err(Error::new(409, "no")));
            app.on_error(move |_, _| explode(how));
        });
        assert_eq!(server.connect().ask("/fails").status, 500, "{how}");
        assert_serves(&server);
    }
}

/// Tells what it is told, and then panics.
struct Explosive<O>(O);

impl<O: Observer> Observer for Explosive<O> {
    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.0.connection_opened(id, peer);
        panic_any(Bomb(3));
    }

    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        self.0.request(id, request);
        panic_any(Bomb(3));
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.request_failed(id, error);
        panic_any(Bomb(3));
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        self.0.connection_closed(id, reason);
        panic_any(Bomb(3));
    }

    fn server_closed(&mut self) {
        self.0.server_closed();
        panic_any(Bomb(3));
    }
}

#[test]
fn an_observer_that_explodes_killed_the_server() {
    log_everything();
    let bind = || Server::bind("127.0.0.1:0");
    let setup = |app: &mut Router<()>, _: &mut Config| {
        basics(app);
        app.get("/bomb/:how", |_, req, _| explode(&req.param_str("how").unwrap_or_default()));
    };
    let server = TestServer::start_watched(bind, setup, |recorder| Box::new(Explosive(recorder)));
    for (how, status) in BOMBS {
        let (mut client, id) = server.connect_known();
        assert_eq!(client.ask(&format!("/bomb/{how}")).status, status, "{how}");
        server.log.wait_event(&Event::Failed(id, status));
        drop(client);
        server.log.wait_closed(id);
    }
    assert_serves(&server);
    server.handle().shutdown();
    server.join().expect("it drains");
}

#[test]
fn a_hook_that_explodes_killed_the_server() {
    log_everything();
    let mut first = true;
    let bind = move || {
        Ok(Server::bind("127.0.0.1:0")?.on_connection(move |_| match std::mem::take(&mut first) {
            true => panic_any(Bomb(3)),
            false => Decision::Accept,
        }))
    };
    let server = TestServer::start_on(bind, |app, _| basics(app));
    let (mut client, id) = server.connect_known();
    client.expect_end();
    assert_eq!(server.log.wait_closed(id), CloseReason::Refused);
    assert_serves(&server);
}

// ---- replies that were cut off --------------------------------------------------------------------------------------

#[track_caller]
fn turn(running: &mut Running<()>) {
    assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
}

/// Reads so many bytes, turning the server meanwhile.
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

/// The clock is read once a tick. Whoever had its turn behind a handler that blocked the loop was timed from before it.
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
    // Both requests wait while the loop stands at the gate: so they come in one tick, in this order.
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
    // More ticks, in which the victim could be cut.
    for _ in 0..3 {
        assert_eq!(other.ask("/hello/other").text(), "hello other");
    }
    victim.send("half");
    assert_eq!(victim.reply().text(), "half");
}

/// Linux announces room only when a third of the send buffer is free, and that is more than this client reads within the
/// send timeout: twice `STEP`.
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

    // One that takes nothing more is cut. It may still be given what fits because of what it took before, and a leap of
    // time looks like a loop that was blocked.
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
    let content = pattern(EIGHT);
    let server = TestServer::start(|app, config| {
        basics(app);
        config.linger_timeout = LIMIT;
    });
    for fields in ["HTTP/1.0", "HTTP/1.1\r\nHost: test\r\nConnection: close"] {
        let (mut client, id) = server.connect_known();
        client.set_receive_buffer(16 * 1024);
        client.send(format!("GET /eight {fields}\r\n\r\n"));
        let (status, _) = client.try_head().expect("a head comes");
        assert_eq!(status, 200);
        // Until the kernel has all of it: a part is still in the buffers of both.
        let finished = |event: &Event| matches!(event, Event::Finished { id: of, .. } if *of == id);
        let mut at = 0;
        while server.log.count(finished) == 0 {
            client.read_content(1024, 1024, |offset, piece| {
                assert_same(piece, &content[at + offset..][..piece.len()], at);
            });
            at += 1024;
        }
        // The turn of this connection is over when another one is served.
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

/// A read stops short at the urgent byte, though more stands behind it. The byte itself is out of band and no one's.
#[cfg(target_os = "linux")]
#[test]
fn urgent_data_hid_the_request_behind_it() {
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
        // The urgent byte stands within the head of the second.
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

// ---- drains that left something behind ------------------------------------------------------------------------------

/// The first one stands in its handler when the drain begins, the others behind it in the buffer and in the socket.
#[cfg(target_os = "linux")]
#[test]
fn a_drain_left_most_of_a_pipeline_unanswered() {
    const BEHIND: usize = 300;
    let (gate, door) = gate();
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut client, id) = server.connect_known();
    client.send(get("/gate") + &(0..BEHIND).map(|i| get(&format!("/hello/{i}"))).collect::<String>());
    gate.wait();
    client.wait_delivered();
    server.handle().shutdown();
    gate.open();
    assert_eq!(client.reply().text(), "open");
    for i in 0..BEHIND {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), (&*format!("hello {i}"), i + 1 == BEHIND));
    }
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    server.join().expect("it drains");
}

/// Linux queues one more than the backlog says, and each listener has a queue. That the house is full keeps the loop from
/// emptying them before the drain does.
#[cfg(target_os = "linux")]
#[test]
fn a_drain_took_too_few_from_short_queues() {
    let (gate, door) = gate();
    let bind = || Server::bind("127.0.0.1:0")?.also_bind("127.0.0.1:0");
    let server = TestServer::start_on(bind, move |app, config| {
        basics(app);
        config.backlog = 1;
        config.max_connections = Some(1);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let listening = server.log.wait_until("both listen", |events| {
        let addresses = events.iter().filter_map(|event| match event {
            Event::Listening(Endpoint::Tcp(address)) => Some(*address),
            _ => None,
        });
        Some(addresses.collect::<Vec<_>>()).filter(|addresses| addresses.len() == 2)
    });
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    let mut queued: Vec<_> = listening.iter().flat_map(|&address| [address; 2]).map(Client::tcp).collect();
    for client in &mut queued {
        client.get("/hello/queued");
        client.wait_delivered();
    }
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    drop(blocker);
    for mut client in queued {
        assert_eq!(client.reply().text(), "hello queued");
        client.expect_eof();
    }
    server.join().expect("it drains");
}

#[cfg(target_os = "linux")]
#[test]
fn a_drain_without_free_descriptors_gave_up_the_queue() {
    let name = "a_drain_without_free_descriptors_gave_up_the_queue";
    support::in_a_process_of_its_own(name, drain_without_free_descriptors);
}

#[cfg(target_os = "linux")]
fn drain_without_free_descriptors() {
    /// How many of the queue find a descriptor at first.
    const FREE: u64 = 2;
    let (gate, door) = gate();
    let server = TestServer::start(move |app, config| {
        basics(app);
        config.raise_descriptor_limit = false;
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    let mut queued: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (i, client) in queued.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        client.wait_delivered();
    }
    let _few = FewDescriptors::leave(FREE);
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    server.log.wait_for("descriptors run out", |event| matches!(event, Event::Trouble(_)).then_some(()));
    // Each that has its reply goes and leaves its descriptors to the others.
    drop(blocker);
    for (i, mut client) in queued.into_iter().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
        client.expect_eof();
    }
    server.join().expect("the drain ends before its timeout");
}

// ---- the last bytes -------------------------------------------------------------------------------------------------

/// The last bytes were kept back until the socket was closed, and thrown away if the client had sent anything after the
/// last read: a request behind one whose reply the handler made the last, or a line break behind the last request.
#[test]
fn a_reply_was_lost_when_the_client_sent_more_while_it_was_made() {
    let more_behind = [
        ("GET /close HTTP/1.1\r\nHost: a\r\n\r\n", "GET /close HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET /slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "\r\n"),
        ("GET /slow HTTP/1.0\r\n\r\n", "\r\n"),
    ];
    for (request, more) in more_behind {
        let (gate, door) = support::gate();
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
