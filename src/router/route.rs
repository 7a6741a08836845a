//! A route: which methods it answers, what is set for it alone, and how it is listed.

use std::fmt;

use super::callback::{After, Whole};
use super::middleware::{Middleware, Next, of_guard};
use super::table::{OUTERMOST, Tables};
use crate::exchange::{Outgoing, Request, Response};
use crate::http::{Method, Result};

/// Which methods a route answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MethodFilter {
    Only(Method),
    /// Every method that has no route of its own, except TRACE.
    Any,
    /// GET, with the offer of another protocol.
    Upgrade,
}

/// What can be set for a single route.
pub(super) struct RouteSettings<S> {
    /// The index of the table that has the route.
    pub(super) table: usize,
    /// What sees the requests of this route alone.
    pub(super) middleware: Vec<Middleware<S>>,
    /// What sees the replies of this route alone.
    pub(super) after: Vec<After<S>>,
    /// What answers at the prefix of the table, if the table is mounted and the route takes all paths below it.
    pub(super) at_prefix: Option<Whole<S>>,
    /// The largest content in bytes; `None` means the default limit.
    pub(super) max_content: Option<u64>,
}

impl<S> RouteSettings<S> {
    pub(super) const fn new() -> Self {
        Self { table: OUTERMOST, middleware: Vec::new(), after: Vec::new(), at_prefix: None, max_content: None }
    }
}

/// A route that was just registered, and whose settings can be changed.
///
/// ```
/// let mut app = monoloop::Router::new(());
/// app.put("/pictures/:name", |_, req, res| res.text(req.body().len().to_string())).max_content(20 << 20);
/// ```
///
/// [`guard`](Self::guard) and [`with`](Self::with) add middleware for this route alone:
///
/// ```
/// use monoloop::{Error, Request, Result, Router, TestClient};
///
/// fn signed_in(_: &mut (), req: &Request<'_>) -> Result<()> {
///     match req.header("authorization") {
///         Some("Bearer s3cret") => Ok(()),
///         _ => Err(Error::new(401, "Who are you?").with_header("WWW-Authenticate", "Bearer")),
///     }
/// }
///
/// let mut app = Router::new(());
/// app.get("/news", |_, _, res| res.text("for all"));
/// app.post("/news", |_, _, res| res.status(201).empty()).guard(signed_in);
///
/// let mut client = TestClient::new(app);
/// assert_eq!(client.get("/news").send().status(), 200);
/// assert_eq!(client.post("/news").send().status(), 401);
/// assert_eq!(client.post("/news").bearer("s3cret").send().status(), 201);
/// ```
pub struct Registered<'a, S> {
    methods: MethodFilter,
    settings: &'a mut RouteSettings<S>,
    tables: &'a mut Tables<S>,
}

impl<'a, S> Registered<'a, S> {
    pub(super) const fn new(
        methods: MethodFilter,
        settings: &'a mut RouteSettings<S>,
        tables: &'a mut Tables<S>,
    ) -> Self {
        Self { methods, settings, tables }
    }

    /// Adds a guard for this route alone: it lets a request through by `Ok`, or refuses it by an error. See
    /// [`Routes::guard`](super::Routes::guard).
    #[doc(alias("middleware", "auth"))]
    pub fn guard(self, guard: impl Fn(&mut S, &Request<'_>) -> Result<()> + 'static) -> Self {
        self.with(of_guard(guard))
    }

    /// Adds a middleware that sees the requests of this route alone, after the middleware of its tables. It is called
    /// when a handler of the route is about to be called, so it does not see a 405.
    #[doc(alias("middleware", "guard"))]
    pub fn with(self, middleware: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r> + 'static) -> Self {
        self.tables.involve();
        self.settings.middleware.push(Box::new(middleware));
        self
    }

    /// Sets what answers at the prefix of the table, if the table is mounted and this route takes all paths below it.
    #[cfg(feature = "files")]
    pub(crate) fn at_prefix(self, answer: Whole<S>) -> Self {
        self.settings.at_prefix = Some(answer);
        self
    }

    /// Adds a function that sees the replies of this route alone, before those of its tables: see
    /// [`Routes::after`](super::Routes::after).
    pub fn after(self, after: impl Fn(&mut S, &Request<'_>, &mut Outgoing<'_>) + 'static) -> Self {
        self.tables.note_after();
        self.settings.after.push(Box::new(after));
        self
    }

    /// Sets the largest content that a request may have on this route, in bytes; larger content gets a 413. By default
    /// buffered content obeys [`Config::max_content`](crate::Config::max_content), and streamed content is unlimited.
    /// Buffered content never exceeds [`limits::MAX_BUFFERED`](crate::limits::MAX_BUFFERED).
    #[doc(alias("limit", "body_limit"))]
    pub fn max_content(self, bytes: u64) -> Self {
        self.settings.max_content = Some(bytes);
        self
    }
}

impl<S> fmt::Debug for Registered<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registered({:?})", self.methods)
    }
}

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
    host: Option<&'a str>,
}

impl<'a> Route<'a> {
    pub(super) const fn new(methods: MethodFilter, path: &'a str, host: Option<&'a str>) -> Self {
        Self { methods, path, host }
    }

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

    /// The host that has the route, as it was [registered](super::Router::host); `None` for any host.
    pub const fn host(&self) -> Option<&'a str> {
        self.host
    }

    /// The path as it was registered, with its mount prefix.
    pub const fn path(&self) -> &'a str {
        self.path
    }
}

impl fmt::Display for Route<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<6} {}", self.method().map_or("ANY", Method::as_str), self.host.unwrap_or_default())?;
        f.write_str(self.path)?;
        if self.is_upgrade() { f.write_str(" (upgrade)") } else { Ok(()) }
    }
}
