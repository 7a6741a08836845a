use std::fmt;
use std::time::Duration;

use super::endpoint::{Callback, Endpoint, Handler, MethodFilter, Upgrade, Wanted};
use super::middleware::{Next, Scoped};
use super::path::Pattern;
use super::tasks::{NewTimer, Timer, Timers};
use super::trie::Trie;
use super::unhandled::NoEndpoint;
use crate::exchange::{BodySink, Duplex, Params, Protocol, Request, Response, Sent, Spans};
use crate::http::{Method, MethodSet, Moment, Result};

/// A table of routes and middleware. A [`Router`](super::Router) uses it, or it is mounted in another table.
///
/// A path consists of segments that are separated by `/`. `:name` matches one segment that is not empty. `*name` (at
/// the end) matches the rest, empty or not. A literal segment is tried before `:name`, and `:name` before `*name`. The
/// segments of a request are percent-decoded once, after the path was split. A path with a trailing slash is another
/// path.
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
    endpoints: Vec<Endpoint<S>>,
    pub(super) trie: Trie,
    pub(super) middleware: Vec<Scoped<S>>,
    /// Registered routes in the order of registration, for [`routes`](Self::routes).
    listed: Vec<(MethodFilter, usize)>,
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

/// A registered route. `Display` pads the method, so that a list of routes is aligned.
///
/// ```
/// let mut app = monoloop::Router::new(());
/// app.any("/x", |_, _, res| res.empty());
/// let route = app.routes().next().unwrap();
/// assert_eq!((route.method(), route.path(), route.to_string()), (None, "/x", "ANY    /x".to_owned()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    methods: MethodFilter,
    path: &'a str,
}

impl<'a> Route<'a> {
    /// The method; `None` if the route takes any.
    pub const fn method(&self) -> Option<Method> {
        match self.methods {
            MethodFilter::Only(method) => Some(method),
            MethodFilter::Any => None,
            MethodFilter::Upgrade => Some(Method::Get),
        }
    }

    /// Whether the route switches to another protocol.
    pub const fn is_upgrade(&self) -> bool {
        matches!(self.methods, MethodFilter::Upgrade)
    }

    /// The path as it was registered, with its mount prefix.
    pub const fn path(&self) -> &'a str {
        self.path
    }
}

impl fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<6} {}", self.method().map_or("ANY", Method::as_str), self.path)?;
        if self.is_upgrade() { f.write_str(" (upgrade)") } else { Ok(()) }
    }
}

/// Makes one method of [`Routes`] per HTTP method. The bound on the closure is written out in it: with a trait and a
/// blanket implementation instead, the compiler could not infer the lifetimes of closures.
macro_rules! registration {
    ($($(#[$doc:meta])* $name:ident $methods:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Write the closure in place, or use a `fn`. The compiler cannot infer the lifetimes of a closure that was
        /// stored in a `let` before.
        ///
        /// # Panics
        /// If the path is malformed, or has a route for this method already.
        pub fn $name(
            &mut self,
            path: &str,
            handler: impl Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent> + 'static,
        ) -> Registered<'_, S> {
            self.add(Pattern::parse(path), Handler::new($methods, Callback::Whole(Box::new(handler))))
        }
    )*};
}

/// A route that was just registered, and whose settings can be changed.
///
/// ```
/// let mut app = monoloop::Router::new(());
/// app.put("/pictures/:name", |_, req, res| res.text(req.body().len().to_string())).max_content(20 << 20);
/// ```
pub struct Registered<'a, S>(&'a mut Handler<S>);

impl<S> Registered<'_, S> {
    /// Sets the largest content that a request may have on this route, in bytes; larger content gets a 413. By default
    /// buffered content obeys [`Config::max_content`](crate::Config::max_content), and streamed content is unlimited.
    /// Buffered content never exceeds [`limits::MAX_BUFFERED`](crate::limits::MAX_BUFFERED).
    #[doc(alias("limit", "body_limit"))]
    pub fn max_content(self, bytes: u64) -> Self {
        self.0.max_content = Some(bytes);
        self
    }
}

impl<S> fmt::Debug for Registered<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.0.methods)
    }
}

impl<S> Routes<S> {
    /// An empty table.
    pub fn new() -> Self {
        let allowed = MethodSet::EMPTY.with(Method::Options);
        Self {
            endpoints: Vec::new(),
            trie: Trie::default(),
            middleware: Vec::new(),
            listed: Vec::new(),
            allowed,
            no_endpoint: NoEndpoint::new(allowed),
            timers: Timers::new(),
            keepers: Vec::new(),
            reserve: 0,
            upkeep: Vec::new(),
        }
    }

    registration! {
        /// Adds a handler for GET, and for HEAD unless the path has one of its own.
        get MethodFilter::Only(Method::Get);
        /// Adds a handler for HEAD, in place of the one for GET.
        head MethodFilter::Only(Method::Head);
        /// Adds a handler for POST.
        post MethodFilter::Only(Method::Post);
        /// Adds a handler for PUT.
        put MethodFilter::Only(Method::Put);
        /// Adds a handler for PATCH.
        patch MethodFilter::Only(Method::Patch);
        /// Adds a handler for DELETE.
        delete MethodFilter::Only(Method::Delete);
        /// Adds a handler for OPTIONS, in place of the automatic answer.
        options MethodFilter::Only(Method::Options);
        /// Adds a handler for every method that has none of its own, except TRACE.
        any MethodFilter::Any;
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
    ) {
        self.add_protocol(path, protocol, Wanted::ANY, factory);
    }

    /// [`upgrade`](Self::upgrade) for a protocol with a 426 of its own.
    pub(crate) fn add_protocol<T: Protocol<S> + 'static>(
        &mut self,
        path: &str,
        protocol: &str,
        wanted: Wanted,
        factory: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Result<(Response<'r>, T)> + 'static,
    ) {
        self.add_upgrade(Pattern::parse(path), Upgrade::new(protocol, wanted, factory));
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

    /// Adds a middleware. It sees every request below this table, including those that no route answers. Middleware is
    /// called in the order in which it was added, and can read the parameters of the route.
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
        self.middleware.push(Scoped { scope: Pattern::root(), middleware: Box::new(middleware) });
    }

    /// Adds all of `part` below `prefix`: its routes, and its middleware for all paths below the prefix.
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
        self.listed
            .iter()
            .map(|&(methods, endpoint)| Route { methods, path: self.endpoints[endpoint].pattern.as_str() })
    }

    /// The endpoint that answers a request, and the request with the parameters of that route.
    #[inline(always)]
    pub(super) fn locate<'a>(
        &'a self,
        request: Request<'a>,
        spans: &'a mut Spans,
    ) -> (Option<&'a Endpoint<S>>, Request<'a>) {
        let Some(index) = self.trie.find(request.raw_path(), spans) else { return (None, request) };
        let endpoint = &self.endpoints[index];
        (Some(endpoint), request.with_params(Params { names: endpoint.pattern.names(), spans }))
    }

    fn add(&mut self, pattern: Pattern, handler: Handler<S>) -> Registered<'_, S> {
        let index = self.endpoint(pattern);
        self.listed.push((handler.methods, index));
        let endpoint = &mut self.endpoints[index];
        endpoint.add(handler);
        let allowed = endpoint.allowed();
        self.allow(allowed);
        Registered(self.endpoints[index].handlers.last_mut().expect("it was just added"))
    }

    fn add_upgrade(&mut self, pattern: Pattern, upgrade: Upgrade<S>) {
        let index = self.endpoint(pattern);
        self.listed.push((MethodFilter::Upgrade, index));
        let endpoint = &mut self.endpoints[index];
        endpoint.add_upgrade(upgrade);
        let allowed = endpoint.allowed();
        self.allow(allowed);
    }

    /// Notes that some route answers these methods.
    fn allow(&mut self, methods: MethodSet) {
        let allowed = self.allowed.union(methods);
        if allowed != self.allowed {
            self.allowed = allowed;
            self.no_endpoint = NoEndpoint::new(allowed);
        }
    }

    /// Returns the index of the endpoint with this path, and adds one if there is none.
    fn endpoint(&mut self, pattern: Pattern) -> usize {
        let index = self.trie.insert(&pattern, self.endpoints.len());
        if index == self.endpoints.len() {
            self.endpoints.push(Endpoint::new(pattern));
        } else if self.endpoints[index].pattern.names() != pattern.names() {
            let known = self.endpoints[index].pattern.as_str();
            panic!("{} and {known} are one path with two sets of parameter names", pattern.as_str());
        }
        index
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

impl<S> Mount<S> for Routes<S> {
    fn mount_at(mut self, prefix: &str, routes: &mut Routes<S>) {
        let prefix = Pattern::parse(prefix);
        let mut parts: Vec<_> = self
            .endpoints
            .into_iter()
            .map(|endpoint| (prefix.join(&endpoint.pattern), endpoint.handlers, endpoint.upgrades.into_iter()))
            .collect();
        // The routes keep the order in which they were registered.
        for (methods, endpoint) in self.listed {
            let (pattern, handlers, upgrades) = &mut parts[endpoint];
            if methods == MethodFilter::Upgrade {
                upgrades.next().into_iter().for_each(|upgrade| routes.add_upgrade(pattern.clone(), upgrade));
            } else {
                let at =
                    handlers.iter().position(|known| known.methods == methods).expect("a listed route has a handler");
                routes.add(pattern.clone(), handlers.remove(at));
            }
        }
        routes.timers.append(&mut self.timers);
        routes.keepers.append(&mut self.keepers);
        routes.reserve = routes.reserve.max(self.reserve);
        routes.upkeep.append(&mut self.upkeep);
        for Scoped { scope, middleware } in self.middleware {
            routes.middleware.push(Scoped { scope: prefix.join(&scope), middleware });
        }
    }
}
