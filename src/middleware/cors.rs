use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use super::origins::{Listed, Origins};
use crate::exchange::{PreparedField, Request, Response};
use crate::http::{Method, Printable};
use crate::limits::CORS_MAX_AGE;
use crate::router::{Next, Router};

/// Cross-origin resource sharing as in the Fetch standard: it tells browsers which other origins may use this server.
///
/// Preflights are answered with a 204. All other replies, including errors, get the header fields that the browser
/// needs. [`middleware`](Self::middleware) sees all requests, and [`apply`](Self::apply) also sees to the replies to
/// messages that were not understood.
///
/// ```
/// use monoloop::{Router, middleware::Cors};
///
/// let mut app = Router::new(());
/// Cors::list(["https://app.example", "https://*.app.example"]).credentials().apply(&mut app);
/// ```
///
/// Without further settings, a page may use the methods GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS and all request
/// header fields, it may send no cookies, and its browser may remember the answer to a preflight for two hours
/// ([`CORS_MAX_AGE`]).
///
/// CORS protects no server: it only lets pages read what browsers would otherwise keep from them. A request without
/// `Origin`, or from an origin that is not allowed, is answered like any other.
#[doc(alias("origin", "preflight", "cross-origin"))]
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    methods: String,
    headers: Headers,
    exposed: String,
    credentials: bool,
    max_age: String,
}

#[derive(Clone, Debug)]
enum Headers {
    List(String),
    /// All fields that the preflight asks for.
    Mirror,
}

impl Cors {
    /// Lets every origin use the server.
    pub fn any() -> Self {
        Self::of(Origins::Any)
    }

    /// Lets only these origins use the server, such as `https://app.example` or `http://localhost:3000`. Scheme, host
    /// and port must be the same; the default port may be left out. `https://*.example.org` means all hosts below
    /// `example.org`, and not for itself.
    ///
    /// `null` can be listed, too. It is the origin of local files and of sandboxed frames, so every site can take it.
    ///
    /// ```
    /// use monoloop::{Router, TestClient, middleware::Cors};
    ///
    /// let mut app = Router::new(());
    /// Cors::list(["https://*.example.org"]).apply(&mut app);
    /// app.get("/", |_, _, res| res.text("hello"));
    ///
    /// let mut client = TestClient::new(app);
    /// let mut allowed = |origin: &str| {
    ///     client.get("/").header("Origin", origin).send().header("Access-Control-Allow-Origin") == Some(origin)
    /// };
    /// assert!(allowed("https://a.example.org") && allowed("https://b.a.example.org"));
    /// assert!(!allowed("https://example.org") && !allowed("http://a.example.org"));
    /// ```
    ///
    /// # Panics
    /// If one of them is no origin: it has no scheme, it has a path, or it is `*` alone. [`can_list`](Self::can_list)
    /// tells before.
    #[track_caller]
    pub fn list<O: AsRef<str>>(origins: impl IntoIterator<Item = O>) -> Self {
        let mut list = Vec::new();
        for text in origins {
            match (Listed::parse(text.as_ref()), text.as_ref()) {
                (Some(listed), _) => list.push(listed),
                (None, "*") => panic!("\"*\" is no origin: use Cors::any"),
                (None, text) => panic!("{text:?} is no origin like https://example.com or https://*.example.com"),
            }
        }
        Self::of(Origins::List(list))
    }

    /// Whether [`list`](Self::list) takes this text, which may come from a configuration.
    pub fn can_list(origin: &str) -> bool {
        Listed::parse(origin).is_some()
    }

    /// Lets the origins use the server for which `is_allowed` returns true. It gets the origin as the browser has sent
    /// it: in lower case and without a default port, such as `https://app.example`, or `null`.
    ///
    /// Compare whole hosts. `origin.ends_with("example.org")` is also true of `https://evil-example.org`.
    pub fn matching(is_allowed: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::of(Origins::Matching(Arc::new(is_allowed)))
    }

    fn of(origins: Origins) -> Self {
        Self {
            origins,
            methods: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned(),
            headers: Headers::Mirror,
            exposed: String::new(),
            credentials: false,
            max_age: CORS_MAX_AGE.as_secs().to_string(),
        }
    }

    /// Sets the methods that a preflight allows.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = join(methods.into_iter().map(Method::as_str));
        self
    }

    /// Sets the request header fields that a preflight allows. Without this, they are those that it asks for.
    #[must_use]
    pub fn headers<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.headers = Headers::List(join(names));
        self
    }

    /// Allows all header fields that a preflight asks for, as at first.
    #[must_use]
    pub fn any_headers(mut self) -> Self {
        self.headers = Headers::Mirror;
        self
    }

    /// Sets the response header fields that a script may read, besides the few that it may always read.
    #[must_use]
    pub fn expose<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.exposed = join(names);
        self
    }

    /// Allows cookies and other credentials. The page must ask for it, too: `fetch(url, { credentials: "include" })`.
    /// And the cookie must be one that other sites may send: see [`SameSite`](crate::exchange::SameSite).
    ///
    /// # Panics
    /// With [`any`](Self::any), and with a list that has `null` in it: then every site could act for its visitors, and
    /// browsers refuse `*` together with credentials. A program that wants it nevertheless says
    /// so by [`matching`](Self::matching).
    #[must_use]
    #[track_caller]
    pub fn credentials(mut self) -> Self {
        if let Some(objection) = self.origins.objection() {
            panic!("no credentials with these origins, because {objection}");
        }
        self.credentials = true;
        self
    }

    /// Sets how long a browser may remember the answer to a preflight, in whole seconds, in place of [`CORS_MAX_AGE`].
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age.as_secs().to_string();
        self
    }

    /// Adds this to all replies of an application: as [middleware](Self::middleware), and to the replies to messages
    /// that were not understood (400, 408, 414, 431, 501, 505).
    ///
    /// No origin is known of such a message. If every origin may read all replies, the reply says so, and a script can
    /// read why its request has failed. Otherwise the reply only says in `Vary` that it depends on the origin.
    pub fn apply<S>(self, app: &mut Router<S>) {
        let (fixed, cors) = (self.fixed(), self.clone());
        app.with(self.middleware());
        app.when_not_understood(move |_, response| match &fixed {
            Some(field) => cors.show(response.prepared(field)),
            None => response.append_header("Vary", "Origin"),
        });
    }

    /// The middleware, for [`with`](crate::router::Routes::with).
    pub fn middleware<S>(self) -> impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r> + 'static {
        let fixed = self.fixed();
        move |_, request, response| {
            let (response, is_allowed) = match &fixed {
                Some(field) => (response.prepared(field), true),
                None => self.mark(request, response),
            };
            if is_preflight(request) {
                let response = if is_allowed { self.allow(request, response) } else { refuse(request, response) };
                return ControlFlow::Break(response.status(204).empty());
            }
            ControlFlow::Continue(if is_allowed { self.show(response) } else { response })
        }
    }

    /// Names the field lines that a script may read.
    fn show<'r>(&self, response: Response<'r>) -> Response<'r> {
        match self.exposed.as_str() {
            "" => response,
            names => response.header("Access-Control-Expose-Headers", names),
        }
    }

    /// The field line that allows every origin to read the reply, if it is the same for all origins.
    fn fixed(&self) -> Option<PreparedField> {
        matches!(self.origins, Origins::Any).then(|| PreparedField::new("Access-Control-Allow-Origin", "*"))
    }

    /// Adds the field lines that say whether the origin of the request may read the reply, and returns whether it may.
    fn mark<'r>(&self, request: &Request<'_>, response: Response<'r>) -> (Response<'r>, bool) {
        // The reply depends on the origin, so caches must keep one per origin. This includes replies that allow none.
        let response = response.append_header("Vary", "Origin");
        let origin = request.header("origin");
        let Some(origin) = origin.filter(|origin| self.origins.allow(origin)) else { return (response, false) };
        let response = response.header("Access-Control-Allow-Origin", origin);
        let response = match self.credentials {
            true => response.header("Access-Control-Allow-Credentials", "true"),
            false => response,
        };
        (response, true)
    }

    /// Adds the field lines that only a preflight needs.
    fn allow<'r>(&self, request: &Request<'_>, response: Response<'r>) -> Response<'r> {
        let response = response.header("Access-Control-Allow-Methods", &self.methods);
        let response = response.header("Access-Control-Max-Age", &self.max_age);
        let (response, names) = match &self.headers {
            Headers::List(names) => (response, names.as_str()),
            Headers::Mirror => {
                let asked = request.header("access-control-request-headers").unwrap_or_default();
                (response.append_header("Vary", "Access-Control-Request-Headers"), asked)
            }
        };
        match names {
            "" => response,
            names => response.header("Access-Control-Allow-Headers", names),
        }
    }
}

/// Leaves the permission out of the answer to a preflight.
#[cold]
fn refuse<'r>(request: &Request<'_>, response: Response<'r>) -> Response<'r> {
    log::debug!("CORS does not allow the origin {}", Printable(request.header("origin").unwrap_or_default()));
    response
}

/// A preflight is an OPTIONS request with an origin that asks for a method. Any other OPTIONS goes on to the router.
fn is_preflight(request: &Request<'_>) -> bool {
    request.method() == Method::Options
        && request.header("origin").is_some()
        && request.header("access-control-request-method").is_some()
}

fn join<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}
