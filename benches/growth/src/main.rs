//! A server with as many routes as its first argument says. Its connections may be idle for as many seconds as the
//! second argument says. `benches/growth.py` starts it.
//!
//! ```text
//! GET /resourceI             literal          three routes for each I from 0 to ROUTES
//! GET /resourceI/:id         one parameter
//! GET /somewhere/I/settings  literal; the first eight bytes and the last eight are the same for all I
//! GET /plaintext             what the load generator asks for
//! GET /count                 how many requests for /plaintext have been answered
//! ```

use std::time::Duration;

use monoloop::{Config, Router, Server};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |name| arguments.next().ok_or(format!("{name} is missing: growth ROUTES IDLE_SECONDS"));
    let routes: usize = next("ROUTES")?.parse()?;
    let idle_seconds: u64 = next("IDLE_SECONDS")?.parse()?;

    let config = Config::new().idle_timeout(Duration::from_secs(idle_seconds));
    let server = Server::bind("127.0.0.1:0")?.config(config);
    println!("listening on http://{}", server.local_addr());
    server.run(app(routes))?;
    Ok(())
}

/// The state is the number of requests for `/plaintext`.
fn app(routes: usize) -> Router<u64> {
    let mut app = Router::new(0);
    app.get("/count", |count, _, res| res.text(count.to_string()));
    app.get("/plaintext", |count, _, res| {
        *count += 1;
        res.text("Hello, World!")
    });
    for i in 0..routes {
        app.get(&format!("/resource{i}"), |_, _, res| res.text("Hello, World!"));
        app.get(&format!("/resource{i}/:id"), |_, req, res| res.text(req.param::<String>("id")?));
        app.get(&format!("/somewhere/{i}/settings"), |_, _, res| res.text("Hello, World!"));
    }
    app
}
