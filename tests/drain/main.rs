//! How a server stops: it answers the requests that it has accepted, closes idle connections, and cuts what never ends.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod embedded;
mod grace;
mod queues;

use std::time::Duration;

use monoloop::Router;
use support::{Event, Gate, TestServer, gate};

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

/// Checks that the server has ended well, said so once, and did nothing after that.
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
