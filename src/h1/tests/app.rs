//! The application that the tests call: a small router that records the requests that it sees.

use std::ops::ControlFlow;
use std::time::Duration;

use crate::exchange::{Delegate, Nothing, Service};
use crate::http::Method;
use crate::{Error, Request, Response, Result, Router, Sent};

/// What a handler could know of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: Method,
    pub(super) target: String,
    pub(super) path: String,
    pub(super) host: Option<String>,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) content: Vec<u8>,
    pub(super) trailers: Vec<(String, Vec<u8>)>,
}

/// The state of the application.
#[derive(Debug, Default)]
pub(super) struct App {
    /// Every request that reached the middleware, refused ones included.
    pub(super) seen: Vec<Seen>,
    stash: Option<Sent>,
    /// What outlives a handler: streams, sinks, protocols.
    pub(super) live: super::live::Live,
}

/// An application that remembers what it saw.
pub(super) trait Witness: Service {
    fn seen(&self) -> &[Seen];

    /// Forgets everything that earlier requests have left behind.
    fn forget(&mut self);
}

impl Witness for Router<App> {
    fn seen(&self) -> &[Seen] {
        &self.state().seen
    }

    fn forget(&mut self) {
        self.state_mut().live.check();
        *self.state_mut() = App::default();
    }
}

impl Seen {
    pub(super) fn new(req: &Request<'_>) -> Self {
        Self {
            method: req.method(),
            target: req.target().to_owned(),
            path: req.path().to_owned(),
            host: req.host().map(str::to_owned),
            fields: req.headers().iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
            content: req.body().to_vec(),
            trailers: req.trailers().iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect(),
        }
    }
}

/// An application that takes every content and sends it back.
#[derive(Debug, Default)]
pub(super) struct Echo(Vec<Seen>, Nothing);

impl Delegate for Echo {
    type Inner = Nothing;

    fn inner(&mut self) -> &mut Nothing {
        &mut self.1
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        self.0.push(Seen::new(&request));
        // The content is given away, so a large one is spliced in.
        response.send(request.body().to_vec())
    }

    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, _: Response<'_>) -> Result<Sent> {
        self.0.extend(request.as_ref().map(Seen::new));
        Err(error)
    }
}

impl Witness for Echo {
    fn seen(&self) -> &[Seen] {
        &self.0
    }

    fn forget(&mut self) {
        self.0.clear();
    }
}

/// Content that is spliced into the output instead of being copied.
pub(super) const LARGE: usize = 100_000;

/// A value that must never reach the wire.
pub(super) const INJECTED: &str = "X-Injected";

pub(super) fn router() -> Router<App> {
    let mut app = Router::new(App::default());
    app.with(|app: &mut App, req, res| {
        app.seen.push(Seen::new(req));
        ControlFlow::Continue(res.header("X-Kept", "by middleware"))
    });
    app.get("/", |_, _, res| res.text("hello"));
    app.get("/users/:id", |_, req, res| {
        let id: u32 = req.param("id")?;
        res.text(format!("user {id}"))
    });
    app.post("/echo", |_, req, res| res.send(req.body()));
    app.post("/trailers", |_, req, res| {
        let lines = req.trailers().iter().map(|(name, value)| format!("{name}={}", value.escape_ascii()));
        res.text(lines.collect::<Vec<_>>().join("&"))
    });
    app.post("/form", |_, req, res| res.text(req.form()?.get("name").unwrap_or_default()));
    app.get("/query", |_, req, res| res.text(req.query_string().unwrap_or("none")));
    app.get("/host", |_, req, res| res.text(req.host().unwrap_or("none")));
    app.any("/any", |_, req, res| res.text(req.method().as_str()));
    faults(&mut app);
    shapes(&mut app);
    app
}

/// Handlers with faults.
fn faults(app: &mut Router<App>) {
    app.get("/fail", |_, _, res| {
        drop(res.header("X-Lost", "by the roll-back"));
        Err(Error::new(409, "Taken").with_header("X-Told", "by the error"))
    });
    app.get("/parse", |_, _, res| {
        let number: u8 = "secret".parse()?;
        res.text(number.to_string())
    });
    // libFuzzer takes every panic for a finding, even if it is caught.
    if cfg!(not(fuzzing)) {
        app.any("/panic", |_, _, _| panic!("as asked"));
    }
    app.get("/half", |_, _, res| {
        let mut body = res.header("X-Lost", "by the roll-back").start()?;
        body.write("half of the content")?;
        Err(Error::new(503, "Not now"))
    });
    app.get("/forgets", |_, _, res| {
        let mut body = res.start()?;
        body.write("never ended")?;
        Err(Error::internal("forgotten"))
    });
    app.get("/stash", |app: &mut App, _, res| {
        app.stash = Some(res.text("stashed")?);
        Err(Error::new(503, "The reply was kept"))
    });
    app.get("/unstash", |app: &mut App, _, res| {
        drop(res);
        app.stash.take().ok_or_else(|| Error::new(418, "Nothing is stashed"))
    });
    app.get("/inject/value", |_, _, res| res.header("X-Value", "a\r\nX-Injected: yes").text("x"));
    app.get("/inject/lf", |_, _, res| res.header("X-Value", "a\nX-Injected: yes").text("x"));
    app.get("/inject/cr", |_, _, res| res.append_header("X-Value", "a\rX-Injected: yes").text("x"));
    app.get("/inject/nul", |_, _, res| res.header("X-Value", "X-Injected\0").text("x"));
    app.get("/inject/name", |_, _, res| res.header("X-Injected: yes\r\nX-Value", "a").text("x"));
    app.get("/inject/empty", |_, _, res| res.header("", "X-Injected").text("x"));
    app.get("/inject/space", |_, _, res| res.header("X-Injected ", "a").text("x"));
    app.get("/inject/reason", |_, _, res| res.reason("Fine\r\nX-Injected: yes").text("x"));
    app.get("/inject/type", |_, _, res| res.header("Content-Type", "text/a\r\nX-Injected: yes").json("x"));
    app.get("/inject/redirect", |_, _, res| res.redirect("/a\r\nX-Injected: yes"));
    app.get("/inject/error", |_, _, _| Err(Error::new(401, "No").with_header("X-Value", "a\r\nX-Injected: yes")));
    app.get("/inject/late", |_, _, res| res.header("X-Value", "a\r\nX-Injected: yes").start()?.end());
    app.get("/coding", |_, _, res| res.header("Transfer-Encoding", "chunked").text("0\r\n\r\n"));
    app.get("/status/100", |_, _, res| res.status(100).empty());
    app.get("/status/999", |_, _, res| res.status(999).empty());
    for (path, value) in [
        ("/length/short", "2"),
        ("/length/long", "50"),
        ("/length/sign", "+5"),
        ("/length/word", "five"),
        ("/length/list", "5, 5"),
        ("/length/empty", ""),
        ("/length/huge", "99999999999999999999"),
    ] {
        app.get(path, move |_, _, res| res.header("Content-Length", value).text("12345"));
    }
    app.get("/length/start", |_, _, res| {
        let mut body = res.header("Content-Length", "4").start()?;
        body.write("12345")?;
        body.end()
    });
}

/// Handlers whose replies have special framing or fields.
fn shapes(app: &mut Router<App>) {
    app.get("/close", |_, _, res| res.header("Connection", "close").text("bye"));
    app.post("/close", |_, _, res| res.header("connection", "Close").text("bye"));
    app.get("/json", |_, _, res| res.json(&["a", "b"]));
    app.get("/large", |_, _, res| res.send(vec![b'x'; LARGE]));
    app.get("/large/borrowed", |_, _, res| res.send(&[b'y'; LARGE]));
    app.get("/written", |_, _, res| {
        let mut body = res.status(201).header("Content-Type", "text/x").start()?;
        for part in ["1 ", "2 ", "3"] {
            body.write(part)?;
        }
        body.end()
    });
    app.get("/written/nothing", |_, _, res| res.start()?.end());
    app.get("/written/much", |_, _, res| {
        let mut body = res.start()?;
        for _ in 0..1000 {
            body.write([b'z'; 1000])?;
        }
        body.end()
    });
    app.get("/json/much", |_, _, res| res.json(&vec!["zzzzzzzz"; 100_000]));
    app.get("/length/true", |_, _, res| res.header("Content-Length", "5").text("12345"));
    app.get("/date/twice", |_, _, res| {
        res.append_header("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
            .append_header("Date", "Fri, 02 Jan 1970 00:00:00 GMT")
            .text("dated")
    });
    app.get("/server/twice", |_, _, res| res.append_header("Server", "one").append_header("server", "two").text("x"));
    app.get("/type/twice", |_, _, res| {
        res.append_header("Content-Type", "text/one").append_header("content-type", "text/two").text("x")
    });
    app.get("/close/removed", |_, _, res| res.header("Connection", "close").remove_header("CONNECTION").text("stays"));
    app.get("/close/replaced", |_, _, res| {
        res.header("Connection", "close").header("connection", "keep-alive").text("stays")
    });
    app.get("/close/almost", |_, _, res| res.header("Connection", "\u{a0}close").text("stays"));
    app.get("/date", |_, _, res| res.header("Date", "Thu, 01 Jan 1970 00:00:00 GMT").text("old"));
    app.get("/204", |_, _, res| res.status(204).empty());
    app.get("/204/content", |_, _, res| res.status(204).header("Content-Length", "3").text("abc"));
    app.get("/204/written", |_, _, res| {
        let mut body = res.status(204).start()?;
        body.write("abc")?;
        body.end()
    });
    app.get("/304", |_, _, res| res.status(304).header("ETag", "\"a\"").empty());
    app.get("/304/length", |_, _, res| res.status(304).header("Content-Length", "77").empty());
    app.get("/304/content", |_, _, res| res.status(304).text("abc"));
    app.get("/205", |_, _, res| res.status(205).text("abc"));
    app.get("/299", |_, _, res| res.status(299).text("odd"));
    app.get("/empty", |_, _, res| res.empty());
    app.get("/move", |_, _, res| res.redirect("/a b\u{e9}"));
    app.head("/head", |_, _, res| res.header("Content-Length", "4711").empty());
    app.get("/patient", |_, _, res| res.idle_timeout(Duration::from_secs(90)).text("patient"));
}
