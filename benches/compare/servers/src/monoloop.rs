//! monoloop, as a user of the library would write it.

use std::sync::Arc;
use std::time::Duration;

use compare_servers::{BIG, IDLE_SECONDS, PLAINTEXT, address, resources};
use monoloop::{Config, OptionExt, Request, Response, Result, Router, Sent, Server};
use serde::Serialize;

struct State {
    big: Arc<[u8]>,
}

#[derive(Serialize)]
struct Message {
    message: &'static str,
}

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(State { big: BIG.as_slice().into() });
    app.get("/plaintext", |_, _, res| res.text(PLAINTEXT));
    app.get("/json", |_, _, res| res.json(&Message { message: "Hello, World!" }));
    app.post("/echo", |_, req, res| res.send(req.body()));
    app.get("/big", |state, _, res| res.send(state.big.clone()));
    for n in resources() {
        app.get(&format!("/api/v1/resource{n}/:id"), id);
        app.get(&format!("/api/v1/resource{n}/:id/detail"), id);
    }
    let mut config = Config::default();
    config.idle_timeout = Duration::from_secs(IDLE_SECONDS.into());
    Server::bind(address())?.config(config).run(app)
}

fn id(_: &mut State, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let id = req.param_str("id").or_not_found("no id")?;
    res.text(&*id)
}
