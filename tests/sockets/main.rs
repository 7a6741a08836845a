//! What only a kernel can show: sockets of each kind, clients that read slowly, stop, vanish or never end, and servers
//! that carry on.

#[path = "../support/mod.rs"]
mod support;

mod backpressure;
mod half_close;
mod hooks;
mod kinds;
mod overload;
mod persistence;
mod resets;
mod timeouts;

use std::sync::Arc;
use std::time::Duration;

use monoloop::Router;
use support::{TestServer, pattern};

/// A short timeout, which a test can wait for.
const SHORT: Duration = Duration::from_millis(300);
const EIGHT: usize = 8 << 20;

/// The routes that most tests use: a greeting, an echo, and both ends of the connection.
fn basics(app: &mut Router<()>) {
    app.get("/hello/:name", |_, req, res| res.text(format!("hello {}", req.param_str("name").unwrap_or_default())));
    app.post("/echo", |_, req, res| res.send(req.body()));
    app.get("/peer", |_, req, res| res.text(req.peer().to_string()));
    app.get("/local", |_, req, res| res.text(req.local().to_string()));
}

fn start() -> TestServer {
    TestServer::start(|app, _| basics(app))
}

fn start_with_large() -> TestServer {
    let content: Arc<[u8]> = pattern(EIGHT).into();
    TestServer::start(move |app, _| {
        basics(app);
        app.get("/eight", move |_, _, res| res.send(Arc::clone(&content)));
    })
}

/// Checks that the server still serves: a new client gets a reply.
#[track_caller]
fn assert_serves(server: &TestServer) {
    assert_eq!(server.connect().ask("/hello/again").text(), "hello again");
}

fn post(target: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}
