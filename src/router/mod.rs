//! The router finds the handler for a method and a path. It also answers 404, 405, 426, HEAD and OPTIONS.
//!
//! [`Routes`] is a table of routes and middleware without state; a [`Router`] is such a table and the state `S` that
//! its handlers get as `&mut S`. Paths are looked up in a trie of segments (`trie`). Sinks and protocols live longer
//! than a call; `live` keeps them. `tasks` does work that no request asks for, and
//! `descriptors` closes what is only kept.

mod callback;
mod descriptors;
mod endpoint;
pub(crate) mod handle;
mod handler;
mod host;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod live;
mod locate;
mod methods;
mod middleware;
mod mount;
mod path;
mod route;
mod routes;
mod service;
mod table;
mod tasks;
#[cfg(test)]
mod tests;
mod trie;
mod unhandled;

use std::fmt;
use std::ops::{Deref, DerefMut};

use crate::exchange::{Request, Response, Sent};
use crate::http::{Error, Result};
#[cfg(feature = "websocket")]
pub(crate) use endpoint::Wanted;
use handle::Handle;
pub use handler::handler;
use live::Live;
pub use middleware::Next;
use middleware::Unrequested;
use path::Pattern;
pub use route::{Registered, Route};
pub use routes::{Mount, Routes};
use tasks::Inbox;
pub use tasks::Timer;

type Renderer<S> = Box<dyn Fn(&mut S, &Error, Option<&Request<'_>>, Response<'_>) -> Result<Sent>>;

/// The application: routes, middleware, and the state that handlers get as `&mut S`.
///
/// ```
/// use monoloop::Router;
///
/// let mut app = Router::new(0_u32);
/// app.get("/count", |count, _, res| {
///     *count += 1;
///     res.text(count.to_string())
/// });
/// ```
#[doc(alias("app", "application", "routing"))]
pub struct Router<S> {
    state: S,
    routes: Routes<S>,
    renderer: Option<Renderer<S>>,
    unrequested: Vec<Unrequested<S>>,
    live: Live<S>,
    inbox: Inbox<S>,
}

impl<S> Router<S> {
    /// An application without routes.
    pub fn new(state: S) -> Self {
        Self {
            state,
            routes: Routes::new(),
            renderer: None,
            unrequested: Vec::new(),
            live: Live::new(),
            inbox: Inbox::new(),
        }
    }

    /// The state.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// The state, mutably.
    pub const fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// A handle to the server that serves this application, for handlers and for other threads. It can be taken before
    /// there is a server, and kept in the state or captured by a handler.
    ///
    /// What is posted before the server starts is kept until then. A [`shutdown`](Handle::shutdown) before that makes
    /// the server drain as soon as it has started. If the router is dropped, the handle does nothing.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(Vec::<u64>::new());
    /// let handle = app.handle();
    /// app.post("/jobs", move |_, _, res| {
    ///     let handle = handle.clone();
    ///     std::thread::spawn(move || {
    ///         let answer = (1..=20).product();    // something that takes time
    ///         handle.post(move |answers| answers.push(answer));
    ///     });
    ///     res.status(202).empty()
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.post("/jobs").send().status(), 202);
    /// ```
    #[doc(alias("stop", "post", "shutdown"))]
    pub fn handle(&self) -> Handle<S> {
        Handle::new(self.inbox.tasks())
    }

    /// Adds routes for one host, such as `api.example.org`, or for all hosts below one, `*.example.org`. A request for
    /// such a host finds only these routes. A request for any other host finds those that belong to no host.
    ///
    /// The host is what the client asks for ([`Request::host`]), in any case and with any port. The whole name counts
    /// before `*`, and a longer name before a shorter one. The middleware of the router itself sees the requests for
    /// all hosts, and so do its functions after a handler.
    ///
    /// ```
    /// use monoloop::{Router, TestClient, router::Routes};
    ///
    /// let mut api = Routes::new();
    /// api.get("/", |_, _, res| res.text("the API"));
    /// let mut shops = Routes::new();
    /// shops.get("/", |_, req, res| res.text(format!("the shop {}", req.host().unwrap_or_default())));
    ///
    /// let mut app = Router::new(());
    /// app.host("api.example.org", api);
    /// app.host("*.shops.example.org", shops);
    /// app.get("/", |_, _, res| res.text("all other hosts"));
    ///
    /// let mut client = TestClient::new(app);
    /// let mut ask = |host| client.get("/").header("Host", host).send().text().to_owned();
    /// assert_eq!(ask("API.example.org:8080"), "the API");
    /// assert_eq!(ask("books.shops.example.org"), "the shop books.shops.example.org");
    /// assert_eq!(ask("example.org"), "all other hosts");
    /// ```
    ///
    /// # Panics
    /// If `name` is not the name of a host, or if the host already has one of the routes.
    #[doc(alias("virtual host", "vhost", "subdomain"))]
    pub fn host(&mut self, name: &str, part: impl Mount<S>) {
        let mut routes = Routes::new();
        part.mount_at("/", &mut routes);
        let site = self.routes.hosts.add(name);
        routes.mount_for(site, &Pattern::root(), &mut self.routes);
    }

    /// Renders error replies in place of the default, which is `{"error":"..."}`, or a small page for a client that
    /// prefers HTML. The status is set already, and so are the field lines of the error and of the middleware.
    ///
    /// There is no request if none was made of the message: it was not understood. What is to look as usual, such as
    /// errors of a program, can be left to [`render_error`](crate::exchange::render_error).
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new("Ann");
    /// app.on_error(|admin, error, req, res| {
    ///     let path = req.map_or("it", |req| req.target());
    ///     res.text(format!("{} while you asked for {path}. Tell {admin}.\n", error.message()))
    /// });
    ///
    /// let reply = TestClient::new(app).get("/x").send();
    /// assert_eq!((reply.status(), reply.text()), (404, "Not found while you asked for /x. Tell Ann.\n"));
    /// ```
    #[doc(alias("error_handler", "error_page"))]
    pub fn on_error(
        &mut self,
        renderer: impl Fn(&mut S, &Error, Option<&Request<'_>>, Response<'_>) -> Result<Sent> + 'static,
    ) {
        self.routes.tables.note_renderer();
        self.renderer = Some(Box::new(renderer));
    }

    /// Adds a function that sets field lines on the replies to messages that were not understood: 400, 408, 414, 431,
    /// 501 and 505 (RFC 9110 §15.5, §15.6). No request was made of such a message, so no middleware sees it. Functions
    /// are called in the order in which they were added.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    /// use std::ops::ControlFlow;
    ///
    /// let mut app = Router::new(());
    /// app.with(|_, _, res| ControlFlow::Continue(res.header("X-Frame-Options", "DENY")));
    /// app.when_not_understood(|_, res| res.header("X-Frame-Options", "DENY"));
    ///
    /// let mut client = TestClient::new(app);
    /// client.write("GET / HTTP/1.1\r\n\r\n"); // it has no Host
    /// let reply = String::from_utf8(client.read()).unwrap();
    /// assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n") && reply.contains("X-Frame-Options: DENY\r\n"));
    /// ```
    #[doc(alias("middleware", "bad_request"))]
    pub fn when_not_understood(&mut self, set: impl for<'r> Fn(&mut S, Response<'r>) -> Response<'r> + 'static) {
        self.unrequested.push(Box::new(set));
    }
}

/// A router derefs to its table of routes: `get`, `with`, `mount` and the rest are methods of [`Routes`]. So a function
/// that registers routes takes `&mut Routes<S>`, and works for a router and for a part that is mounted.
impl<S> Deref for Router<S> {
    type Target = Routes<S>;

    fn deref(&self) -> &Routes<S> {
        &self.routes
    }
}

impl<S> DerefMut for Router<S> {
    fn deref_mut(&mut self) -> &mut Routes<S> {
        &mut self.routes
    }
}

impl<S> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.routes.fmt(f)
    }
}
