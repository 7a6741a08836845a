//! Handlers, observers and hooks that panic or refuse.

use std::ops::ControlFlow;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use monoloop::server::{CloseReason, ConnectionId, Decision, FinishedReply, Observer, Tick};
use monoloop::{Config, Endpoint, Request, Router, Server};

use crate::support::{Event, LIMIT, TestServer, get};
use crate::{SHORT, assert_serves, basics, post};

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

    fn reply_finished(&mut self, _: ConnectionId, _: &FinishedReply<'_>) {
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

/// Sends what it hears of each reply: route, duration and the time in the handler.
struct Durations(Sender<(String, Duration, Duration)>);

impl Observer for Durations {
    fn reply_finished(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        let route = reply.route.unwrap_or_default().to_owned();
        self.0.send((route, reply.duration, reply.handler)).expect("the test waits for it");
    }
}

/// A handler that blocks for 300 ms showed 0, because all times were those of the tick.
#[test]
fn an_observer_hears_how_long_a_handler_blocked_the_loop() {
    const BLOCKED: Duration = Duration::from_millis(300);
    let (tell, told) = channel();
    let routes = |app: &mut Router<()>, _: &mut Config| {
        app.get("/block/:how", |_, _, res| {
            std::thread::sleep(BLOCKED);
            res.text("done")
        });
    };
    let bind = || Server::bind("127.0.0.1:0");
    let server = TestServer::start_watched(bind, routes, |_| Box::new(Durations(tell)));
    assert_eq!(server.connect().ask("/block/long").text(), "done");
    let (route, duration, handler) = told.recv_timeout(LIMIT).expect("it is told in time");
    assert_eq!(route, "/block/:how");
    assert!(duration >= handler && handler >= BLOCKED, "{duration:?}, {handler:?} in the handler");
}

#[test]
fn a_hook_can_refuse_accept_and_panic() {
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
