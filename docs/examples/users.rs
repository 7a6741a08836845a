//! A small API over plain state. Run it: `cargo run --example users`, then `curl http://127.0.0.1:3000/users`.

use std::collections::BTreeMap;

use monoloop::middleware::Cors;
use monoloop::{Error, OptionExt, Request, Response, Result, Router, Sent, Server};
use serde::{Deserialize, Serialize};

/// The state. Every handler gets it as `&mut Users`, and no two handlers ever run at once.
#[derive(Default)]
struct Users {
    by_id: BTreeMap<u64, User>,
    last_id: u64,
}

#[derive(Serialize)]
struct User {
    id: u64,
    name: String,
}

/// What a client sends.
#[derive(Deserialize)]
struct NewUser {
    name: String,
}

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(Users::default());
    Cors::any().apply(&mut app);
    app.get("/users", |users, _, res| res.json(&users.by_id.values().collect::<Vec<_>>()));
    app.get("/users/:id", |users, req, res| {
        let id: u64 = req.param("id")?; // 400 when it does not parse
        res.json(users.by_id.get(&id).or_not_found("User not found")?) // 404
    });
    app.post("/users", add);
    app.delete("/users/:id", |users, req, res| {
        users.by_id.remove(&req.param("id")?).or_not_found("User not found")?;
        res.status(204).empty()
    });

    let server = Server::bind("127.0.0.1:3000")?;
    for route in app.routes() {
        println!("{route}");
    }
    println!("listening on http://{}", server.local_addr());
    server.run(app)
}

/// A handler may be a closure in place or a `fn`.
fn add(users: &mut Users, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let NewUser { name } = req.json()?; // 422 when it is JSON of another shape
    if users.by_id.values().any(|user| user.name == name) {
        return Err(Error::new(409, "That name is taken"));
    }
    users.last_id += 1;
    let user = User { id: users.last_id, name };
    let res = res.status(201).header("Location", format!("/users/{}", user.id));
    res.json(users.by_id.entry(user.id).or_insert(user))
}
