use std::ops::ControlFlow;
use std::time::Duration;

use crate::exchange::{PreparedField, Request, Response};
use crate::http::Method;
use crate::router::{Next, Router};

/// Cross-origin resource sharing as in the Fetch standard: it tells browsers which other origins may use this server.
///
/// Preflights are answered with a 204. All other replies, including errors, get the header fields that the browser
/// needs. [`middleware`](Self::middleware) sees all requests, and [`apply`](Self::apply) also sees to the replies to
/// messages that were not understood.
///
/// ```
/// use monoloop::{Router, middleware::Cors};
/// use std::time::Duration;
///
/// let mut app = Router::new(());
/// Cors::list(["https://app.example"]).credentials().max_age(Duration::from_secs(600)).apply(&mut app);
/// ```
#[doc(alias("origin", "preflight", "cross-origin"))]
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    methods: String,
    headers: Headers,
    exposed: String,
    credentials: bool,
    max_age: Option<String>,
}

#[derive(Clone, Debug)]
enum Origins {
    Any,
    List(Vec<String>),
}

#[derive(Clone, Debug)]
enum Headers {
    List(String),
    /// All fields that the preflight asks for.
    Mirror,
}

impl Cors {
    /// Lets every origin use the server, with the methods GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, and the
    /// header fields `Content-Type` and `Authorization`.
    pub fn any() -> Self {
        Self {
            origins: Origins::Any,
            methods: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_owned(),
            headers: Headers::List("Content-Type, Authorization".to_owned()),
            exposed: String::new(),
            credentials: false,
            max_age: None,
        }
    }

    /// Lets only these origins use the server, such as `https://app.example`. They are compared byte by byte with what
    /// browsers send.
    pub fn list<O: Into<String>>(origins: impl IntoIterator<Item = O>) -> Self {
        Self { origins: Origins::List(origins.into_iter().map(Into::into).collect()), ..Self::any() }
    }

    /// Sets the methods that a preflight allows.
    #[must_use]
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = join(methods.into_iter().map(Method::as_str));
        self
    }

    /// Sets the request header fields that a preflight allows.
    #[must_use]
    pub fn headers<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        self.headers = Headers::List(join(names));
        self
    }

    /// Allows all header fields that a preflight asks for.
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

    /// Allows cookies and other credentials. With [`any`](Self::any), each reply then names the origin, since browsers
    /// refuse `*` together with credentials. Think twice before you trust every origin with them.
    #[must_use]
    pub const fn credentials(mut self) -> Self {
        self.credentials = true;
        self
    }

    /// Sets how long a browser may remember the answer to a preflight, in whole seconds.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age.as_secs().to_string());
        self
    }

    /// Adds this to all replies of an application: as [middleware](Self::middleware), and to the replies to messages
    /// that were not understood (400, 408, 414, 431, 501, 505).
    ///
    /// No origin is known of such a message. If every origin may read all replies, the reply says so, and a script can
    /// read why its request has failed. With a list of origins or with credentials, the reply only says in `Vary` that
    /// it depends on the origin.
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
            let response = match &fixed {
                Some(field) => response.prepared(field),
                None => self.mark(request, response),
            };
            if is_preflight(request) {
                return ControlFlow::Break(self.allow(request, response).status(204).empty());
            }
            ControlFlow::Continue(self.show(response))
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
        let is_fixed = matches!(self.origins, Origins::Any) && !self.credentials;
        is_fixed.then(|| PreparedField::new("Access-Control-Allow-Origin", "*"))
    }

    /// Adds the field lines that say whether the origin of the request may read the reply.
    fn mark<'r>(&self, request: &Request<'_>, response: Response<'r>) -> Response<'r> {
        // The reply depends on the origin, so caches must keep one per origin. This includes replies that allow none.
        let response = response.append_header("Vary", "Origin");
        let origin = request.header("origin");
        let allowed = match &self.origins {
            Origins::Any => origin,
            Origins::List(known) => origin.filter(|origin| known.iter().any(|known| known == origin)),
        };
        let Some(origin) = allowed else { return response };
        let response = response.header("Access-Control-Allow-Origin", origin);
        match self.credentials {
            true => response.header("Access-Control-Allow-Credentials", "true"),
            false => response,
        }
    }

    /// Adds the field lines that only a preflight needs.
    fn allow<'r>(&self, request: &Request<'_>, response: Response<'r>) -> Response<'r> {
        let response = response.header("Access-Control-Allow-Methods", &self.methods);
        let response = match &self.headers {
            Headers::List(names) => response.header("Access-Control-Allow-Headers", names),
            Headers::Mirror => {
                let asked = request.header("access-control-request-headers").unwrap_or_default();
                let response = response.append_header("Vary", "Access-Control-Request-Headers");
                response.header("Access-Control-Allow-Headers", asked)
            }
        };
        match &self.max_age {
            Some(seconds) => response.header("Access-Control-Max-Age", seconds),
            None => response,
        }
    }
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
