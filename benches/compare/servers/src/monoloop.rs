//! monoloop, as a user of the library would write it.

use std::time::Duration;

use compare_servers::{BIG, IDLE_SECONDS, PLAINTEXT, address, resources};
use monoloop::buffer::Content;
use monoloop::{Config, OptionExt, Request, Response, Result, Router, Sent, Server};
use serde::Serialize;

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(());
    app.get("/plaintext", |_, _, res| res.text(PLAINTEXT));
    app.get("/json", |_, _, res| res.json(&Message { message: "Hello, World!" }));
    app.post("/echo", |_, req, res| res.send(req.body()));
    app.get("/big", |_, _, res| res.send(Content::Static(&BIG)));
    for n in resources() {
        app.get(&format!("/api/v1/resource{n}/:id"), id);
        app.get(&format!("/api/v1/resource{n}/:id/detail"), id);
    }
    let config = Config::new().idle_timeout(Duration::from_secs(IDLE_SECONDS.into()));
    Server::bind(address())?.config(config).run(app)
}

fn id(_: &mut (), req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let id = req.param_str("id").or_not_found("no id")?;
    res.text(&*id)
}
