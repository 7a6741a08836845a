//! Files beside an API. Run it: `cargo run --example files`, then `curl http://127.0.0.1:3000/`.

use std::time::SystemTime;

use monoloop::server::{AccessLog, LogFormat};
use monoloop::{Error, Files, Router, Server};

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(SystemTime::now());
    // One file: what a handler names. Ranges and conditions are looked after.
    app.get("/", |_, _, res| res.file("README.md"));
    // A directory: what a client names, and nothing outside of it.
    app.mount("/docs", Files::new("docs")?.listing(true).media_type("rs", "text/plain; charset=utf-8"));
    app.get("/api/uptime", |started, _, res| {
        let uptime = started.elapsed().map_err(Error::internal)?;
        res.text(format!("{} s\n", uptime.as_secs()))
    });

    let log = AccessLog::new(LogFormat::Combined, std::io::stdout())?;
    Server::bind("127.0.0.1:3000")?.observer(log).run(app)
}
