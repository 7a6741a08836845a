use std::fmt;
use std::time::Duration;

use super::callback::Callback;
use super::endpoint::{Endpoint, Handler, Upgrade, Wanted};
use super::host::Hosts;
use super::middleware::{Next, of_guard};
use super::path::Pattern;
use super::route::{MethodFilter, Registered, Route};
use super::table::Tables;
use super::tasks::{NewTimer, Timer, Timers};
use super::trie::Trie;
use super::unhandled::NoEndpoint;
use crate::exchange::{BodySink, Duplex, Outgoing, Protocol, Request, Response, Sent};
use crate::http::{Method, MethodSet, Moment, Result};

/// A table of routes and middleware. A [`Router`](super::Router) uses it, or it is mounted in another table.
///
/// A path consists of segments that are separated by `/`. `:name` matches one segment that is not empty. `*name` (at
/// the end) matches the rest, empty or not. A literal segment is tried before `:name`, and `:name` before `*name`. The
/// segments of a request are percent-decoded once, after the path was split. A path with a trailing slash is another
/// path.
///
/// If the route that a path leads to does not have the method, a route that ends in `*rest`, matches the path and has
/// the method answers; of several, the one with the longest prefix. So `DELETE /files/:name` can be a route beside
/// files that are mounted at `/files`.
///
/// ```
/// use monoloop::{Router, router::Routes};
///
/// fn users() -> Routes<Vec<String>> {
///     let mut users = Routes::<Vec<String>>::new();
///     users.get("/", |names, _, res| res.text(names.join(", ")));
///     users.get("/:index", |names, req, res| {
///         let index: usize = req.param("index")?;
///         match names.get(index) {
///             Some(name) => res.text(name),
///             None => Err(monoloop::Error::not_found("No such user")),
///         }
///     });
///     users
/// }
///
/// let mut app = Router::new(vec!["Alice".to_owned()]);
/// app.mount("/users", users());
/// let routes: Vec<String> = app.routes().map(|route| route.to_string()).collect();
/// assert_eq!(routes, ["GET    /users", "GET    /users/:index"]);
/// ```
#[doc(alias = "routing")]
pub struct Routes<S> {
    pub(super) endpoints: Vec<Endpoint<S>>,
    pub(super) trie: Trie,
    pub(super) hosts: Hosts,
    pub(super) tables: Tables<S>,
    /// The endpoints whose paths end in `*rest`, the one with the longest prefix first.
    pub(super) rests: Vec<usize>,
    /// Registered routes in the order of registration, for [`routes`](Self::routes).
    pub(super) listed: Vec<(MethodFilter, usize)>,
    /// All methods that any route answers.
    allowed: MethodSet,
    /// The answers for paths without an endpoint.
    pub(super) no_endpoint: NoEndpoint,
    pub(super) timers: Timers<S>,
    /// The functions that close descriptors when none is free.
    pub(super) keepers: Vec<Keeper>,
    /// How many descriptors handlers may need at once.
    pub(super) reserve: usize,
    /// What parts do from time to time.
    pub(super) upkeep: Vec<Upkeep>,
}

/// Closes open descriptors that are not needed now; returns whether there were any.
type Keeper = Box<dyn Fn() -> bool>;

/// Does what is due at a moment; returns when it has to be called again. It is also called earlier.
pub(super) type Upkeep = Box<dyn Fn(Moment) -> Option<Moment>>;

impl<S> Routes<S> {
    /// An empty table.
    pub fn new() -> Self {
        let allowed = MethodSet::EMPTY.with(Method::Options);
        Self {
            endpoints: Vec::new(),
            trie: Trie::default(),
            hosts: Hosts::default(),
            tables: Tables::new(),
            rests: Vec::new(),
            listed: Vec::new(),
            allowed,
            no_endpoint: NoEndpoint::new(allowed),
            timers: Timers::new(),
            keepers: Vec::new(),
            reserve: 0,
            upkeep: Vec::new(),
        }
    }

    /// Adds a route that takes content of any length piece by piece, as it comes. `factory` sees the head and makes a
    /// [`BodySink`], which replies when the content has ended. If the factory returns an error, the request is refused
    /// before any content is read. A client that [expects](https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1)
    /// `100 Continue` gets it only if the factory returns no error.
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get).
    #[doc(alias = "upload")]
    pub fn sink<T: BodySink<S> + 'static>(
        &mut self,
        method: Method,
        path: &str,
        factory: impl Fn(&mut S, &Request<'_>) -> Result<T> + 'static,
    ) -> Registered<'_, S> {
        let boxed = move |state: &mut S, request: &Request<'_>| -> Result<Box<dyn BodySink<S>>> {
            Ok(Box::new(factory(state, request)?))
        };
        self.add(Pattern::parse(path), Handler::new(MethodFilter::Only(method), Callback::Sink(Box::new(boxed))))
    }

    /// Adds a route whose reply begins right after the head of the request, before its content has come. `factory`
    /// returns the reply (mostly by [`channel`](Response::channel), [`defer`](Response::defer) or
    /// [`stream`](Response::stream)), and the [`Duplex`] that takes the content piece by piece.
    ///
    /// ```
    /// use monoloop::exchange::{BodySender, Duplex, Intake, SendError, Trailers};
    /// use monoloop::{Error, Method, Result, Router};
    ///
    /// /// Sends each piece of content back as soon as it comes.
    /// struct Echo(BodySender);
    ///
    /// impl<S> Duplex<S> for Echo {
    ///     fn data(&mut self, _: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
    ///         self.0.send(piece.to_vec())?;
    ///         if self.0.is_full() {
    ///             let resumer = intake.pause();            // read no more until the echo has been sent
    ///             self.0.on_room(move || resumer.resume());
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>) -> Result<()> {
    ///         self.0.finish();
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut app = Router::new(());
    /// app.duplex(Method::Post, "/echo", |_, _, res| {
    ///     let (sent, sender) = res.channel()?;
    ///     Ok((sent, Echo(sender)))
    /// });
    /// ```
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get).
    #[doc(alias = "bidirectional")]
    pub fn duplex<T: Duplex<S> + 'static>(
        &mut self,
        method: Method,
        path: &str,
        factory: impl Fn(&mut S, &Request<'_>, Response<'_>) -> Result<(Sent, T)> + 'static,
    ) -> Registered<'_, S> {
        let boxed =
            move |state: &mut S, request: &Request<'_>, response: Response<'_>| -> Result<(Sent, Box<dyn Duplex<S>>)> {
                let (sent, duplex) = factory(state, request, response)?;
                Ok((sent, Box::new(duplex)))
            };
        self.add(Pattern::parse(path), Handler::new(MethodFilter::Only(method), Callback::Duplex(Box::new(boxed))))
    }

    /// Adds a route at which a client can switch to another protocol (RFC 9110 §7.8). If the client offers `protocol`
    /// with `Upgrade` and `Connection: upgrade`, and `factory` makes a [`Protocol`], the client gets a 101. The factory
    /// also returns the response, to which it may add field lines for the 101. If it returns an error, the offer is
    /// refused, and the connection goes on with HTTP.
    ///
    /// A GET without an offer is answered by the handler for GET, if the path has one, or else with a 426. Only a GET
    /// of HTTP/1.1 without content can make an offer.
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get), and if `protocol` is not a valid protocol name.
    #[doc(alias = "protocol")]
    pub fn upgrade<T: Protocol<S> + 'static>(
        &mut self,
        path: &str,
        protocol: &str,
        factory: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Result<(Response<'r>, T)> + 'static,
    ) -> Registered<'_, S> {
        self.add_protocol(path, protocol, Wanted::ANY, factory)
    }

    /// [`upgrade`](Self::upgrade) for a protocol with a 426 of its own.
    pub(crate) fn add_protocol<T: Protocol<S> + 'static>(
        &mut self,
        path: &str,
        protocol: &str,
        wanted: Wanted,
        factory: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Result<(Response<'r>, T)> + 'static,
    ) -> Registered<'_, S> {
        self.add_upgrade(Pattern::parse(path), Upgrade::new(protocol, wanted, factory))
    }

    /// Calls `task` with the state once, `delay` after the server has started. The task must not block.
    #[doc(alias("timer", "timeout", "schedule"))]
    pub fn once(&mut self, delay: Duration, task: impl FnOnce(&mut S) + 'static) -> Timer {
        let timer = Timer::default();
        self.timers.add(NewTimer::once(delay, Box::new(task), &timer));
        timer
    }

    /// Calls `task` with the state once in each `period`, the first time one period after the server has started. A
    /// period is at least one millisecond. The task must not block. If the loop is late, missed calls are skipped.
    ///
    /// ```
    /// use monoloop::Router;
    /// use std::time::Duration;
    ///
    /// let mut app = Router::new(0_u64);
    /// app.every(Duration::from_secs(60), |visits| println!("{visits} visits so far"));
    /// ```
    #[doc(alias("timer", "interval", "schedule"))]
    pub fn every(&mut self, period: Duration, task: impl FnMut(&mut S) + 'static) -> Timer {
        let timer = Timer::default();
        self.timers.add(NewTimer::every(period, Box::new(task), &timer));
        timer
    }

    /// Calls `upkeep` whenever timers are run: at the time that it returned, and after
    /// [`Response::ask_timers`](crate::Response).
    #[cfg(feature = "files")]
    pub(crate) fn add_upkeep(&mut self, upkeep: impl Fn(Moment) -> Option<Moment> + 'static) {
        self.upkeep.push(Box::new(upkeep));
    }

    /// Adds a middleware for this table. It sees the requests that a route of this table answers, and those below the
    /// prefix of the table that no route answers. The middleware of a [`Router`](crate::Router) sees all requests. A
    /// table that is mounted in another keeps to itself: a second table at the same prefix does not see its requests,
    /// and has no part in its middleware.
    ///
    /// Middleware is called in the order in which it was added, that of an outer table first, and can read the
    /// parameters of the route. What it finds out it can hand on to the handler: see [`Request::set`]. For a single
    /// route, see [`Registered::with`].
    ///
    /// A table is a guard for all paths below its prefix: a request that a route of an *outer* table answers there
    /// passes through its middleware, too, and so does one that a table with a *shorter* prefix answers. So no spelling
    /// of a path, such as `/x/../private/y`, leads past a guard to files that are mounted at `/`.
    ///
    /// On a route that takes its content as a whole, middleware is called when all of it has come. On one that takes it
    /// piece by piece, it is called before any of it comes, and the content is empty. A request that the server itself
    /// refuses (413, 417, 503) has no content, either: the middleware of its tables sets header fields on the refusal,
    /// and what it answers does not count.
    ///
    /// Error replies, too, keep the header fields that a middleware sets. A message that was not understood is no
    /// request, so no middleware sees it: see [`Router::when_not_understood`](crate::Router::when_not_understood).
    ///
    /// ```
    /// use monoloop::Router;
    /// use std::ops::ControlFlow;
    ///
    /// let mut app = Router::new(0_u64);
    /// app.with(|visits, req, res| {
    ///     *visits += 1;
    ///     match req.header("authorization") {
    ///         Some(_) => ControlFlow::Continue(res.header("X-Visits", visits.to_string())),
    ///         None => ControlFlow::Break(Err(monoloop::Error::new(401, "Who are you?"))),
    ///     }
    /// });
    /// ```
    #[doc(alias("middleware", "use", "layer", "hook"))]
    pub fn with(&mut self, middleware: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r> + 'static) {
        self.tables.outermost().middleware.push(Box::new(middleware));
    }

    /// Adds a guard: a function that lets a request through by `Ok`, or refuses it by an error. It is a short form of
    /// [`with`](Self::with), and sees the same requests.
    ///
    /// ```
    /// use monoloop::{Error, OptionExt, Router, TestClient};
    ///
    /// struct User(String);
    ///
    /// let mut app = Router::new("s3cret");
    /// app.guard(|token, req| {
    ///     let sent = req.header("x-token").or_status(401, "Who are you?")?;
    ///     if sent != *token {
    ///         return Err(Error::new(403, "That is not the token"));
    ///     }
    ///     req.set(User("Alice".to_owned()));
    ///     Ok(())
    /// });
    /// app.get("/me", |_, req, res| res.text(req.get().map_or("", |User(name)| name.as_str())));
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/me").send().status(), 401);
    /// assert_eq!(client.get("/me").header("X-Token", "s3cret").send().text(), "Alice");
    /// ```
    #[doc(alias("middleware", "auth", "filter"))]
    pub fn guard(&mut self, guard: impl Fn(&mut S, &Request<'_>) -> Result<()> + 'static) {
        self.with(of_guard(guard));
    }

    /// Adds a function that sees each reply to a request that this table sees, after the handler and before the reply
    /// is sent. It can read and change the status and the field lines, and replace the content: see [`Outgoing`]. It
    /// sees error replies, too, and also a reply that was deferred or that a sink gives. It does not see a 101, nor the
    /// reply to a message that was not understood.
    ///
    /// The functions of inner tables come before those of outer ones; those of one table come in the order in which
    /// they were added. If one panics or makes a mistake, the client gets a 500.
    ///
    /// While there is such a function, each reply is put together twice, and its content is copied once.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// let mut app = Router::new(0_u32);
    /// app.get("/", |_, _, res| res.text("hello"));
    /// app.after(|errors, req, reply| {
    ///     if reply.status() >= 400 {
    ///         *errors += 1;
    ///         reply.header("X-Support", format!("Tell us that you asked for {}", req.path()));
    ///     }
    ///     reply.header("X-Content-Type-Options", "nosniff");
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/").send().header("X-Content-Type-Options"), Some("nosniff"));
    /// assert_eq!(client.get("/helo").send().header("X-Support"), Some("Tell us that you asked for /helo"));
    /// assert_eq!(client.app().state(), &1);
    /// ```
    #[doc(alias("middleware", "hook", "after_request", "map_response"))]
    pub fn after(&mut self, after: impl Fn(&mut S, &Request<'_>, &mut Outgoing<'_>) + 'static) {
        self.tables.note_after();
        self.tables.outermost().after.push(Box::new(after));
    }

    /// Answers the requests below the prefix of this table that no route answers, in place of the default, a 404. The
    /// status is 404 unless the handler sets another. Without such a handler, the table around this one answers.
    ///
    /// A route that ends in `*rest` at a shorter prefix, as that of files, counts as no route here. So an API at
    /// `/api` can have its own answer beside a site at `/` that takes all paths.
    ///
    /// A request with another method than those of its path is no such request: it gets a 405.
    ///
    /// The content of such a request is not read, so the handler sees it as empty. A handler that needs the content of
    /// all other requests, to pass them on for example, is one for [`any`](Self::any) method at `/*rest`.
    ///
    /// ```
    /// use monoloop::{Router, TestClient, router::Routes};
    ///
    /// let mut api = Routes::new();
    /// api.get("/time", |_, _, res| res.text("now"));
    /// api.not_found(|_, req, res| res.text(format!("The API has no {}\n", req.path())));
    /// let mut app = Router::new(());
    /// app.mount("/api", api);
    /// app.not_found(|_, _, res| res.html("<h1>There is no such page</h1>"));
    ///
    /// let mut client = TestClient::new(app);
    /// let reply = client.get("/api/tim").send();
    /// assert_eq!((reply.status(), reply.text()), (404, "The API has no /api/tim\n"));
    /// assert_eq!(client.get("/tim").send().text(), "<h1>There is no such page</h1>");
    /// ```
    #[doc(alias("404", "fallback", "default"))]
    pub fn not_found(&mut self, handler: impl Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent> + 'static) {
        self.tables.outermost().not_found = Some(Box::new(handler));
    }

    /// Adds all of `part` below `prefix`: its routes, its middleware for them, and its answer where it has no route.
    ///
    /// The route `/` of the part answers at the prefix itself.
    ///
    /// # Panics
    /// If the prefix is malformed or ends in `*rest`, or if this table already has one of the routes.
    #[doc(alias("nest", "prefix", "group"))]
    pub fn mount(&mut self, prefix: &str, part: impl Mount<S>) {
        part.mount_at(prefix, self);
    }

    /// The registered routes, in the order of registration.
    pub fn routes(&self) -> impl Iterator<Item = Route<'_>> {
        self.listed.iter().map(|&(methods, endpoint)| {
            let endpoint = &self.endpoints[endpoint];
            Route::new(methods, endpoint.pattern.as_str(), self.hosts.name(self.tables.site(endpoint.table)))
        })
    }

    /// Whether any route answers this method. This looks at all of them, so it is for methods that are rare.
    #[cold]
    pub(super) fn know(&self, method: Method) -> bool {
        self.listed.iter().any(|&(methods, _)| methods == MethodFilter::Any || methods == MethodFilter::Only(method))
    }

    pub(super) fn add(&mut self, pattern: Pattern, handler: Handler<S>) -> Registered<'_, S> {
        let index = self.endpoint(pattern, handler.settings.table);
        let methods = handler.methods;
        self.listed.push((methods, index));
        let endpoint = &mut self.endpoints[index];
        endpoint.add(handler);
        let allowed = endpoint.allowed();
        self.allow(allowed);
        self.note_yielding(index);
        let settings = &mut self.endpoints[index].handlers.last_mut().expect("it was just added").settings;
        Registered::new(methods, settings, &mut self.tables)
    }

    pub(super) fn add_upgrade(&mut self, pattern: Pattern, upgrade: Upgrade<S>) -> Registered<'_, S> {
        let index = self.endpoint(pattern, upgrade.settings.table);
        self.listed.push((MethodFilter::Upgrade, index));
        let endpoint = &mut self.endpoints[index];
        endpoint.add_upgrade(upgrade);
        let allowed = endpoint.allowed();
        self.allow(allowed);
        self.note_yielding(index);
        let settings = &mut self.endpoints[index].upgrades.last_mut().expect("it was just added").settings;
        Registered::new(MethodFilter::Upgrade, settings, &mut self.tables)
    }

    /// Notes that some route answers these methods.
    fn allow(&mut self, methods: MethodSet) {
        let allowed = self.allowed.union(methods);
        if allowed != self.allowed {
            self.allowed = allowed;
            self.no_endpoint = NoEndpoint::new(allowed);
        }
    }

    /// Returns the index of the endpoint with this path, and adds one for `table` if there is none.
    fn endpoint(&mut self, pattern: Pattern, table: usize) -> usize {
        let trie = self.hosts.trie_mut(self.tables.site(table)).unwrap_or(&mut self.trie);
        let index = trie.insert(&pattern, self.endpoints.len());
        if index == self.endpoints.len() {
            self.push(Endpoint::new(pattern, table));
        } else if self.endpoints[index].pattern.names() != pattern.names() {
            let known = self.endpoints[index].pattern.as_str();
            panic!("{} and {known} are one path with two sets of parameter names", pattern.as_str());
        }
        index
    }

    fn push(&mut self, endpoint: Endpoint<S>) {
        if let Some(rank) = endpoint.pattern.rank_of_rest() {
            let comes_first = |&known: &usize| self.endpoints[known].pattern.rank_of_rest() <= Some(rank.clone());
            let place = self.rests.partition_point(comes_first);
            self.rests.insert(place, self.endpoints.len());
        }
        self.endpoints.push(endpoint);
    }
}

impl<S> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> fmt::Debug for Routes<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes()).finish()
    }
}

/// A part of an application that can be mounted in a table of routes.
///
/// ```
/// use monoloop::{Router, router::{Mount, Routes}};
///
/// struct Health;
///
/// impl<S: 'static> Mount<S> for Health {
///     fn mount_at(self, prefix: &str, routes: &mut Routes<S>) {
///         routes.get(&format!("{prefix}/live"), |_, _, res| res.text("alive"));
///     }
/// }
///
/// let mut app = Router::new(());
/// app.mount("/health", Health);
/// assert_eq!(app.routes().next().unwrap().path(), "/health/live");
/// ```
pub trait Mount<S> {
    /// Adds all of this part to `routes`, below `prefix`.
    fn mount_at(self, prefix: &str, routes: &mut Routes<S>);
}
