//! A single-page application with its API: files, a fallback for the pages that the script makes, and errors that suit
//! both people and programs.
//!
//! ```text
//! cargo run --example site -- 127.0.0.1:3000 public     the folder has index.html, and assets/ with hashed names
//! curl localhost:3000/some/page                         the index: its script knows the page
//! curl -X POST localhost:3000/api/likes
//! curl -i localhost:3000/api/none                       a 404 in JSON; in HTML with -H 'Accept: text/html'
//! ```

use std::env;
use std::ops::ControlFlow;

use monoloop::router::Routes;
use monoloop::{Error, Files, Response, Router, Server, server};
use serde_json::json;

struct Site {
    likes: u64,
}

fn main() -> server::Result<()> {
    let mut args = env::args().skip(1);
    let address = args.next().unwrap_or("127.0.0.1:3000".into());
    let folder = args.next().unwrap_or("public".into());
    let app = app(&folder)?;
    let server = Server::bind(address.as_str())?;
    println!("listening on http://{}", server.local_addr());
    server.run(app)
}

fn app(folder: &str) -> server::Result<Router<Site>> {
    let mut app = Router::new(Site { likes: 0 });
    // Replies to errors keep these fields. A message that was not understood is no request, so no middleware sees it.
    app.with(|_, _, res| ControlFlow::Continue(protect(res)));
    app.when_not_understood(|_, res| protect(res));
    app.mount("/api", api());
    app.mount(
        "/",
        Files::new(folder)?
            .single_page(true)
            // The name of such a file changes with its content. All others are asked for again, mostly for a 304.
            .cache_control("/assets/*", "public, max-age=31536000, immutable")
            .cache_control("*", "no-cache"),
    );
    Ok(app)
}

/// No other site frames the pages, and only their own scripts run on them.
fn protect(res: Response<'_>) -> Response<'_> {
    res.header("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
        .header("Referrer-Policy", "same-origin")
        .header("X-Content-Type-Options", "nosniff")
}

fn api() -> Routes<Site> {
    let mut api = Routes::<Site>::new();
    api.get("/likes", |site, _, res| res.json(&json!({ "likes": site.likes })));
    api.post("/likes", |site, _, res| {
        site.likes += 1;
        res.json(&json!({ "likes": site.likes }))
    });
    // Without it, the fallback would answer other paths below `/api`: with the index, and a 200.
    api.not_found(|_, _, _| Err(Error::not_found("There is no such call")));
    api
}
