//! The router: from a method and a path to a handler, with 404, 405, HEAD and OPTIONS taken care of.
//!
//! [`Routes`] is a table of routes and middleware without state; a [`Router`] is such a table and the state `S` that
//! its handlers get as `&mut S`. Paths are looked up in a trie of segments (`trie`).

#[cfg(feature = "internals")]
pub(crate) mod internals;
mod path;
#[cfg(test)]
mod tests;
mod trie;

use std::fmt;
use std::ops::{ControlFlow, Deref, DerefMut};

use crate::exchange::{Admission, Params, Request, Response, Sent, Service, Spans};
use crate::http::{Error, Method, MethodSet, Result};
use path::Pattern;
use trie::Trie;

type Handler<S> = Box<dyn Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent>>;
type Middleware<S> = Box<dyn for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r>>;
type Renderer = Box<dyn Fn(&Error, Response<'_>) -> Result<Sent>>;

/// What a middleware decides: to pass the response on, perhaps with more header fields, or to answer itself.
///
/// ```
/// use monoloop::{Request, Response, Router, router::Next};
/// use std::ops::ControlFlow;
///
/// fn nosniff<'r>(_: &mut (), _: &Request<'_>, res: Response<'r>) -> Next<'r> {
///     ControlFlow::Continue(res.header("X-Content-Type-Options", "nosniff"))
/// }
///
/// let mut app = Router::new(());
/// app.with(nosniff);
/// ```
pub type Next<'r> = ControlFlow<Result<Sent>, Response<'r>>;

/// A table of routes and middleware, to be used by a [`Router`] or mounted in another table.
///
/// A path is `/`-separated segments. `:name` stands for one segment that is not empty, `*name` (at the end) for the
/// rest, empty or not. A literal segment is tried before `:name`, and that before `*name`. Segments of a request are
/// percent-decoded once, after the path was split; a trailing slash makes another path.
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
/// assert_eq!(app.routes().map(|route| route.to_string()).collect::<Vec<_>>(), ["GET    /users", "GET    /users/:index"]);
/// ```
pub struct Routes<S> {
    endpoints: Vec<Endpoint<S>>,
    trie: Trie,
    middleware: Vec<Scoped<S>>,
    /// Registered routes in the order of registration, for [`routes`](Self::routes).
    listed: Vec<(Verb, usize)>,
    /// All methods that any route answers: for `OPTIONS *`.
    allowed: MethodSet,
}

/// A path and what answers it, method by method.
struct Endpoint<S> {
    pattern: Pattern,
    handlers: Vec<(Verb, Handler<S>)>,
    /// Which of the handlers answers each method; [`NO_HANDLER`] if none does.
    by_method: [u8; Method::ALL.len()],
}

const NO_HANDLER: u8 = u8::MAX;

/// What a route is registered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    One(Method),
    Any,
}

/// A middleware and the part of the paths that it sees.
struct Scoped<S> {
    scope: Pattern,
    middleware: Middleware<S>,
}

/// A registered route; `Display` pads the method so that a list of them lines up.
///
/// ```
/// let mut app = monoloop::Router::new(());
/// app.any("/x", |_, _, res| res.empty());
/// let route = app.routes().next().unwrap();
/// assert_eq!((route.method(), route.path(), route.to_string()), (None, "/x", "ANY    /x".to_owned()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    verb: Verb,
    path: &'a str,
}

impl<'a> Route<'a> {
    /// The method; `None` if the route takes any.
    pub const fn method(&self) -> Option<Method> {
        match self.verb {
            Verb::One(method) => Some(method),
            Verb::Any => None,
        }
    }

    /// The path as it was registered, with its mount prefix.
    pub const fn path(&self) -> &'a str {
        self.path
    }
}

impl fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<6} {}", self.method().map_or("ANY", Method::as_str), self.path)
    }
}

/// One method of [`Routes`] per HTTP method. The bound on the closure stands right there: behind a trait with a blanket
/// implementation, the lifetimes of closures would not infer.
macro_rules! registration {
    ($($(#[$doc:meta])* $name:ident $verb:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Write the closure in place, or use a `fn`: one that was stored in a `let` does not infer.
        ///
        /// # Panics
        /// If the path is malformed, or has a route for this method already.
        pub fn $name(
            &mut self,
            path: &str,
            handler: impl Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent> + 'static,
        ) {
            self.add($verb, Pattern::parse(path), Box::new(handler));
        }
    )*};
}

impl<S> Routes<S> {
    /// An empty table.
    pub fn new() -> Self {
        Self {
            endpoints: Vec::new(),
            trie: Trie::default(),
            middleware: Vec::new(),
            listed: Vec::new(),
            allowed: MethodSet::EMPTY.with(Method::Options),
        }
    }

    registration! {
        /// Adds a handler for GET, and for HEAD unless the path has one of its own.
        get Verb::One(Method::Get);
        /// Adds a handler for HEAD, in place of the one for GET.
        head Verb::One(Method::Head);
        /// Adds a handler for POST.
        post Verb::One(Method::Post);
        /// Adds a handler for PUT.
        put Verb::One(Method::Put);
        /// Adds a handler for PATCH.
        patch Verb::One(Method::Patch);
        /// Adds a handler for DELETE.
        delete Verb::One(Method::Delete);
        /// Adds a handler for OPTIONS, in place of the automatic answer.
        options Verb::One(Method::Options);
        /// Adds a handler for every method that has none of its own, but for TRACE.
        any Verb::Any;
    }

    /// Adds a middleware. It sees every request below this table, also those that no route answers, in the order in
    /// which middleware was added; the parameters of the route are known.
    ///
    /// Header fields that it sets are kept on error replies too.
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
    pub fn with(&mut self, middleware: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r> + 'static) {
        self.middleware.push(Scoped { scope: Pattern::root(), middleware: Box::new(middleware) });
    }

    /// Adds everything of `part` below `prefix`: its routes, and its middleware for all paths there.
    ///
    /// The route `/` of the part answers at the prefix itself.
    ///
    /// # Panics
    /// If the prefix is malformed or ends in `*rest`, or if one of the routes is there already.
    pub fn mount(&mut self, prefix: &str, part: impl Mount<S>) {
        part.mount_at(prefix, self);
    }

    /// The registered routes, in the order of registration.
    pub fn routes(&self) -> impl Iterator<Item = Route<'_>> {
        self.listed.iter().map(|&(verb, endpoint)| Route { verb, path: self.endpoints[endpoint].pattern.as_str() })
    }

    /// The endpoint that answers a request, and the request with the parameters of that route.
    #[inline(always)]
    fn locate<'a>(&'a self, request: Request<'a>, spans: &'a mut Spans) -> (Option<&'a Endpoint<S>>, Request<'a>) {
        let Some(index) = self.trie.find(request.raw_path(), spans) else { return (None, request) };
        let endpoint = &self.endpoints[index];
        (Some(endpoint), request.with_params(Params { names: endpoint.pattern.names(), spans }))
    }

    fn add(&mut self, verb: Verb, pattern: Pattern, handler: Handler<S>) {
        let index = self.trie.insert(&pattern, self.endpoints.len());
        if index == self.endpoints.len() {
            self.endpoints.push(Endpoint { pattern, handlers: Vec::new(), by_method: [NO_HANDLER; Method::ALL.len()] });
        } else if self.endpoints[index].pattern.names() != pattern.names() {
            let known = self.endpoints[index].pattern.as_str();
            panic!("{} and {known} are one path with two sets of parameter names", pattern.as_str());
        }
        let endpoint = &mut self.endpoints[index];
        let path = endpoint.pattern.as_str();
        assert!(endpoint.handlers.iter().all(|(known, _)| *known != verb), "{path} has a route for {verb:?} already");
        endpoint.handlers.push((verb, handler));
        endpoint.by_method = Method::ALL.map(|method| endpoint.find(method).map_or(NO_HANDLER, |at| at as u8));
        self.listed.push((verb, index));
        self.allowed = self.allowed.union(endpoint.allowed());
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

/// What can be mounted in a table of routes.
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
    /// Adds everything of this part to `routes`, below `prefix`.
    fn mount_at(self, prefix: &str, routes: &mut Routes<S>);
}

impl<S> Mount<S> for Routes<S> {
    fn mount_at(self, prefix: &str, routes: &mut Routes<S>) {
        let prefix = Pattern::parse(prefix);
        let mut patterns: Vec<Option<Vec<_>>> = self
            .endpoints
            .into_iter()
            .map(|endpoint| {
                let pattern = prefix.join(&endpoint.pattern);
                Some(endpoint.handlers.into_iter().map(|(verb, handler)| (verb, pattern.clone(), handler)).collect())
            })
            .collect();
        // In the order in which they were registered.
        for (verb, endpoint) in self.listed {
            let handlers = patterns[endpoint].as_mut().expect("an endpoint has its handlers");
            let at = handlers.iter().position(|(known, ..)| *known == verb).expect("a listed route has a handler");
            let (verb, pattern, handler) = handlers.remove(at);
            routes.add(verb, pattern, handler);
        }
        for Scoped { scope, middleware } in self.middleware {
            routes.middleware.push(Scoped { scope: prefix.join(&scope), middleware });
        }
    }
}

impl<S> Endpoint<S> {
    /// The handler for `method`.
    #[inline]
    fn handler(&self, method: Method) -> Option<&Handler<S>> {
        self.handlers.get(usize::from(self.by_method[method as usize])).map(|(_, handler)| handler)
    }

    /// Where the handler for `method` stands: its own, for HEAD that of GET, else the one for any.
    fn find(&self, method: Method) -> Option<usize> {
        let find = |verb| self.handlers.iter().position(|(known, _)| *known == verb);
        match (find(Verb::One(method)), method) {
            (_, Method::Trace) => None,
            (Some(at), _) => Some(at),
            (None, Method::Head) => find(Verb::One(Method::Get)).or_else(|| find(Verb::Any)),
            (None, _) => find(Verb::Any),
        }
    }

    /// The methods that are answered: for `Allow`.
    fn allowed(&self) -> MethodSet {
        let mut allowed = MethodSet::EMPTY.with(Method::Options);
        for method in Method::ALL {
            if self.handler(method).is_some() {
                allowed = allowed.with(method);
            }
        }
        allowed
    }
}

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
pub struct Router<S> {
    state: S,
    routes: Routes<S>,
    renderer: Option<Renderer>,
}

impl<S> Router<S> {
    /// An application without routes.
    pub fn new(state: S) -> Self {
        Self { state, routes: Routes::new(), renderer: None }
    }

    /// The state.
    pub const fn state(&self) -> &S {
        &self.state
    }

    /// The state, to be changed.
    pub const fn state_mut(&mut self) -> &mut S {
        &mut self.state
    }

    /// Renders error replies in place of the default, `{"error":"..."}`. The status is set already.
    ///
    /// ```
    /// # let mut app = monoloop::Router::new(());
    /// app.on_error(|error, res| res.text(format!("Sorry: {}\n", error.message())));
    /// ```
    pub fn on_error(&mut self, renderer: impl Fn(&Error, Response<'_>) -> Result<Sent> + 'static) {
        self.renderer = Some(Box::new(renderer));
    }
}

/// A router is its table of routes: `get`, `with`, `mount` and the rest are those of [`Routes`].
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

impl<S> Router<S> {
    /// Answers where no handler does.
    #[cold]
    fn answer_without_handler(
        &self,
        endpoint: Option<&Endpoint<S>>,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Result<Sent> {
        let allowed = match endpoint {
            Some(endpoint) => endpoint.allowed(),
            None if request.raw_path() == b"*" => self.routes.allowed,
            None if request.method() == Method::Trace => MethodSet::EMPTY.with(Method::Options),
            None => return Err(Error::not_found("Not found")),
        };
        match request.method() {
            Method::Options => response.status(204).header("Allow", allowed.to_string()).empty(),
            _ => Err(Error::new(405, "Method not allowed").with_header("Allow", allowed.to_string())),
        }
    }
}

impl<S> Service for Router<S> {
    /// Content is worth waiting for only if a handler will see it.
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        let mut spans = Spans::default();
        let (endpoint, _) = self.routes.locate(*request, &mut spans);
        match endpoint.and_then(|endpoint| endpoint.handler(request.method())) {
            Some(_) => Admission::Buffer,
            None => Admission::Now,
        }
    }

    #[inline]
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        let mut spans = Spans::default();
        let (endpoint, request) = self.routes.locate(request, &mut spans);
        let response = match run_middleware(&self.routes.middleware, &mut self.state, &request, response) {
            ControlFlow::Continue(response) => response,
            ControlFlow::Break(answered) => return answered,
        };
        match endpoint.and_then(|endpoint| endpoint.handler(request.method())) {
            Some(handler) => handler(&mut self.state, &request, response),
            None => self.answer_without_handler(endpoint, &request, response),
        }
    }

    fn refuse(&mut self, request: Request<'_>, error: Error, response: Response<'_>) -> Result<Sent> {
        let mut spans = Spans::default();
        let (_, request) = self.routes.locate(request, &mut spans);
        match run_middleware(&self.routes.middleware, &mut self.state, &request, response) {
            ControlFlow::Continue(_) => Err(error),
            ControlFlow::Break(answered) => answered.and(Err(error)),
        }
    }

    fn render(&mut self, error: &Error, response: Response<'_>) -> Result<Sent> {
        match &self.renderer {
            Some(renderer) => renderer(error, response),
            None => crate::exchange::render_json(error, response),
        }
    }
}

/// Passes the response through the middleware of the request's path.
#[inline(always)]
fn run_middleware<'r, S>(
    middleware: &[Scoped<S>],
    state: &mut S,
    request: &Request<'_>,
    mut response: Response<'r>,
) -> Next<'r> {
    for Scoped { scope, middleware } in middleware {
        if scope.covers(request.raw_path()) {
            response = middleware(state, request, response)?;
            response.keep();
        }
    }
    ControlFlow::Continue(response)
}
