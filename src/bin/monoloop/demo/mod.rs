//! The example API: users in memory, streamed bodies, a few routes for measurements and experiments, and a page that
//! tries them out.
//!
//! It is written as a user of the library would write it: the state is an ordinary struct, and a handler is a function
//! that gets it.

mod page;
mod sockets;
mod streams;
mod users;

use std::time::Duration;

use monoloop::middleware::Cors;
use monoloop::server::{Handle, Running};
use monoloop::{Error, Method, Request, Response, Result, Router, Sent};
use serde::Serialize;
use users::{User, Users};

/// The state of the application.
#[derive(Debug, Default)]
pub(crate) struct Demo {
    users: Users,
    ticks: streams::Ticks,
    chat: sockets::Chat,
    /// The handle to the event loop, for replies that come later.
    handle: Option<Handle<Demo>>,
}

/// Gives the application the handle to its event loop.
pub(crate) fn connect(running: &mut Running<Demo>) {
    let handle = running.handle();
    running.app_mut().state_mut().handle = Some(handle);
}

/// The application with the handle to whatever loop will serve it.
#[cfg(feature = "live")]
pub(crate) fn connected() -> Router<Demo> {
    let mut app = app();
    let handle = app.handle();
    app.state_mut().handle = Some(handle);
    app
}

pub(crate) fn app() -> Router<Demo> {
    let mut app = Router::new(Demo::default());
    app.with(Cors::any().middleware());
    page::add(&mut app);
    app.get("/users", |demo, _, res| res.json(&List { users: demo.users.all() }));
    app.get("/users/:id", |demo, req, res| res.json(demo.users.get(req.param("id")?)?));
    app.post("/users", |demo, req, res| res.status(201).json(demo.users.add(req.json()?)?));
    app.put("/users/:id", |demo, req, res| res.json(demo.users.change(req.param("id")?, req.json()?)?));
    app.delete("/users/:id", delete_user);
    app.duplex(Method::Post, "/echo", streams::echo);
    app.sink(Method::Post, "/upload", |_, _| Ok(streams::Upload::default()));
    app.get("/big", streams::big);
    app.get("/events", streams::events);
    app.websocket("/ws/echo", |_, _, offer| Ok((offer, sockets::Echo)))
        .max_message(sockets::MAX_ECHO)
        .max_fragments(sockets::MAX_FRAGMENTS);
    app.websocket("/ws/chat", sockets::enter);
    app.every(Duration::from_secs(1), |demo| {
        if let Err(error) = demo.ticks.tick() {
            log::error!("cannot send a tick: {error:?}");
        }
    });
    app.get("/slow", slow);
    // The message of an error goes to the log; the client gets only the status 500.
    app.get("/fail", |_, _, _| Err(Error::internal("/fail was asked for, and it failed")));
    app.get("/plaintext", |_, _, res| res.text("Hello, World!"));
    app.get("/json", |_, _, res| res.json(&Hello { message: "Hello, World!" }));
    app
}

fn delete_user(demo: &mut Demo, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let id = req.param("id")?;
    demo.users.remove(id)?;
    res.json(&Deleted { success: true, deleted: id })
}

/// The longest time that `/slow` waits, in milliseconds.
const MAX_SLOW: u64 = 30_000;

/// Replies later. Meanwhile the server serves all other clients.
fn slow(demo: &mut Demo, req: &Request<'_>, res: Response<'_>) -> Result<Sent> {
    let asked = req.query("ms").unwrap_or("500".into());
    let slept_ms = asked.parse().ok().filter(|ms| *ms <= MAX_SLOW);
    let slept_ms = slept_ms.ok_or_else(|| Error::bad_request(format!("ms must be a number up to {MAX_SLOW}")))?;
    let handle = demo.handle.as_ref().ok_or_else(|| Error::internal("the server has not started"))?;
    let (sent, responder) = res.defer();
    let timer = handle.once(Duration::from_millis(slept_ms), move |_| responder.json(&Slept { slept_ms }));
    drop(timer);
    Ok(sent)
}

// The content of the replies. `json!` would work too, but a struct keeps the order of its fields and allocates nothing.

#[derive(Serialize)]
struct List<'a> {
    users: Vec<&'a User>,
}

#[derive(Serialize)]
struct Deleted {
    success: bool,
    deleted: u64,
}

#[derive(Serialize)]
struct Hello {
    message: &'static str,
}

#[derive(Serialize)]
struct Slept {
    slept_ms: u64,
}
