use super::origins::Listed;
use crate::exchange::Request;
use crate::http::{Error, Method, Origin, Printable, Result};

/// A guard against forms and scripts of other sites that act for a visitor (CSRF).
///
/// Browsers send the cookies of a visitor with each request to this server, also where a page of another site makes
/// the request. This guard refuses such a request with a 403 if its method may change something: any but GET, HEAD and
/// OPTIONS. It needs no token in the forms.
///
/// ```
/// use monoloop::{Router, TestClient, middleware::SameOrigin};
///
/// let mut app = Router::new(0_u32);
/// app.guard(SameOrigin::new().guard());
/// app.post("/count", |count, _, res| {
///     *count += 1;
///     res.text(count.to_string())
/// });
///
/// let mut client = TestClient::new(app);
/// assert_eq!(client.post("/count").header("Sec-Fetch-Site", "same-origin").send().status(), 200);
/// assert_eq!(client.post("/count").header("Sec-Fetch-Site", "cross-site").send().status(), 403);
/// assert_eq!(client.post("/count").send().status(), 200);        // a program, and not a page
/// ```
///
/// How it decides:
///
/// - `Sec-Fetch-Site` says where a request comes from. All browsers have sent it since 2023, to HTTPS and to localhost.
///   `same-origin` and `none` (the visitor did it) go on. `cross-site` is refused, and so is `same-site`, which is
///   another host of the same domain.
/// - Without that field, the host and the port of `Origin` must be those of the request. The scheme is not compared,
///   since a TLS terminator changes it. A proxy must pass `Host` on.
/// - A request without either field comes from no browser of today, so it brings no cookies against the will of their
///   owner. It goes on.
///
/// **GET must change nothing.** A WebSocket begins with a GET, and has a check of its own. `SameSite=Lax`, the default
/// of [`Cookie`](crate::Cookie), keeps most requests of other sites from bringing the cookie; this guard also stops
/// those of another host of the same domain, and logins in another one's name.
///
/// It decides by the head. So it can stand before an upload, where a token in the form would come too late.
#[doc(alias("csrf", "xsrf", "cross-origin", "forgery"))]
#[derive(Clone, Debug, Default)]
pub struct SameOrigin {
    allowed: Vec<Listed>,
}

impl SameOrigin {
    /// Lets only the pages of this server act.
    pub const fn new() -> Self {
        Self { allowed: Vec::new() }
    }

    /// Lets the pages of these origins act, too, such as `https://app.example`, or all hosts below one by
    /// `https://*.example.org`. They are written as for [`Cors::list`](super::Cors::list), which they need as well if
    /// their scripts are to read the replies.
    ///
    /// # Panics
    /// If one of them is no origin. `null` is none: every site can take it.
    #[must_use]
    #[track_caller]
    pub fn allow<O: AsRef<str>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        for text in origins {
            let text = text.as_ref();
            match Listed::parse(text) {
                Some(listed) if text != "null" => self.allowed.push(listed),
                _ => panic!("{text:?} is no origin like https://example.com or https://*.example.com"),
            }
        }
        self
    }

    /// The guard, for [`Routes::guard`](crate::router::Routes::guard) and
    /// [`Registered::guard`](crate::router::Registered::guard).
    pub fn guard<S>(self) -> impl Fn(&mut S, &Request<'_>) -> Result<()> + 'static {
        move |_, request| self.check(request)
    }

    /// Checks one request, for a guard of your own that lets some requests through without it.
    ///
    /// ```
    /// use monoloop::{Router, TestClient, middleware::SameOrigin};
    ///
    /// let mut app = Router::new(SameOrigin::new());
    /// app.guard(|same_origin, req| match req.path() {
    ///     "/callback" => Ok(()),                      // its handler checks a signature
    ///     _ => same_origin.check(req),
    /// });
    /// app.post("/*path", |_, _, res| res.text("done"));
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.post("/callback").header("Origin", "https://a.example").send().status(), 200);
    /// assert_eq!(client.post("/").header("Origin", "https://a.example").send().status(), 403);
    /// ```
    ///
    /// # Errors
    /// A 403 if a page of another origin has made the request, and its method may change something.
    pub fn check(&self, request: &Request<'_>) -> Result<()> {
        if matches!(request.method(), Method::Get | Method::Head | Method::Options) {
            return Ok(());
        }
        let fields = request.headers();
        let origin = fields.get("origin");
        let is_same = match fields.get("sec-fetch-site") {
            Some(site) => matches!(site, b"same-origin" | b"none"),
            None => origin.is_none_or(|origin| is_of(origin, request.host())),
        };
        if is_same || origin.is_some_and(|origin| self.allows(origin)) {
            return Ok(());
        }
        refuse(request)
    }

    fn allows(&self, origin: &[u8]) -> bool {
        std::str::from_utf8(origin).is_ok_and(|origin| self.allowed.iter().any(|listed| listed.is(origin)))
    }
}

/// Whether it is the origin of the pages of this host.
fn is_of(origin: &[u8], host: Option<&str>) -> bool {
    Origin::parse(origin).is_some_and(|origin| host.is_some_and(|host| origin.is_of(host)))
}

#[cold]
fn refuse(request: &Request<'_>) -> Result<()> {
    log::debug!("a page of another origin made the request: {}", Printable(request.header("origin").unwrap_or("?")));
    Err(Error::new(403, "The request comes from another site"))
}
