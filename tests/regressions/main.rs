//! What a hostile review broke: one test for each fault, named after what was wrong. Tests that need no kernel are in
//! `src/h1/tests` and `src/router`, and those that need the command are in `tests/command/`.

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
mod deadlines;
mod drains;
mod explosions;
mod replies;

use std::sync::Arc;

use monoloop::Router;
use support::{TestServer, pattern};

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
