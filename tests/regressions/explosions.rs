//! Errors and panics whose values panic when they are shown or dropped.

use std::error::Error as StdError;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::panic_any;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};
use monoloop::server::{CloseReason, ConnectionId, Decision, Observer};
use monoloop::{Config, Endpoint, Error, Request, Router, Server};

use crate::support::{Event, TestServer};
use crate::{assert_serves, basics};

/// Panics when it is dropped. The payload of that panic does the same, this many times.
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

/// Fails in the way that `how` names.
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

/// Formats every record and throws it away: without a logger, no error is ever shown.
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
            app.on_error(move |_, _, _, _| explode(how));
        });
        assert_eq!(server.connect().ask("/fails").status, 500, "{how}");
        assert_serves(&server);
    }
}

/// Passes each call on, and then panics.
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
