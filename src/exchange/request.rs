use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use super::{Data, Draining, Endpoint, Endpoints, FromParam, Pairs, Params, Trailers};
use crate::http::{Error, Fields, Method, Result, Version, target_text};
use crate::wire::Head;

/// A request, borrowed from the receive buffer.
///
/// ```
/// use monoloop::{Method, Router};
///
/// let mut app = Router::new(());
/// app.post("/items/:id", |_, req, res| {
///     assert_eq!(req.method(), Method::Post);
///     let id: u64 = req.param("id")?;                              // 400 if it is no number
///     let page = req.query("page").unwrap_or("1".into());          // ?page=...
///     let kind = req.header("Content-Type").unwrap_or("none");     // any case
///     let cookies = req.cookies().count();                         // of all lines
///     let from = req.client();
///     res.text(format!("{id}, page {page}: {} bytes of {kind} and {cookies} cookies from {from}", req.body().len()))
/// });
/// app.post("/form", |_, req, res| {
///     let form = req.form()?;                                      // 415 if it is none
///     res.text(form.get("name").unwrap_or_default())
/// });
/// ```
#[doc(alias = "req")]
#[derive(Clone, Copy)]
pub struct Request<'a> {
    received: &'a Received<'a>,
    params: Params<'a>,
}

/// The part of a request that stays the same on its way through the router, so that little is copied there.
pub(crate) struct Received<'a> {
    pub(crate) head: &'a Head<'a>,
    pub(crate) content: &'a [u8],
    pub(crate) trailers: Trailers<'a>,
    pub(crate) endpoints: &'a dyn Endpoints,
    pub(crate) offers_upgrade: bool,
    pub(crate) draining: Draining,
    /// The time of day in seconds of Unix time.
    pub(crate) unix_second: u64,
    pub(crate) data: Data,
}

impl<'a> Received<'a> {
    /// A request without trailers.
    pub(crate) fn new(
        head: &'a Head<'a>,
        content: &'a [u8],
        endpoints: &'a dyn Endpoints,
        draining: Draining,
        unix_second: u64,
    ) -> Self {
        let (trailers, data) = (Trailers::default(), Data::default());
        Self { head, content, trailers, endpoints, offers_upgrade: false, draining, unix_second, data }
    }
}

impl<'a> Request<'a> {
    pub(crate) const fn new(received: &'a Received<'a>) -> Self {
        Self { received, params: Params::NONE }
    }

    /// The same request with the parameters of its route.
    pub(crate) fn with_params(self, params: Params<'a>) -> Self {
        Self { params, ..self }
    }

    /// The method.
    pub const fn method(&self) -> Method {
        self.received.head.method
    }

    /// The request target as the client sent it: a path with its query, an absolute URI, or `*`.
    pub fn target(&self) -> &'a str {
        target_text(self.received.head.target)
    }

    /// The protocol version.
    pub const fn version(&self) -> Version {
        self.received.head.version
    }

    /// The path, percent-decoded once. It is valid UTF-8 without NUL: any other path was answered with 400.
    ///
    /// Dot segments are not resolved, and a decoded `%2F` looks like any other slash. Routes are matched segment by
    /// segment before decoding, so use [`param`](Self::param) where the difference matters.
    pub fn path(&self) -> &str {
        self.received.head.path()
    }

    /// The path, still encoded, for the router.
    pub(crate) const fn raw_path(&self) -> &'a [u8] {
        self.received.head.raw_path
    }

    /// The authority that the client asked for. It is part of an absolute-form target, or else the value of `Host`.
    pub fn host(&self) -> Option<&'a str> {
        self.received.head.authority.and_then(|authority| std::str::from_utf8(authority).ok())
    }

    /// The value of the first field line of this name, in any case. `None` also if the value is not UTF-8.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.received.head.fields.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All field lines in the order in which they arrived, repeated ones included.
    #[doc(alias = "fields")]
    pub const fn headers(&self) -> Fields<'a> {
        self.received.head.fields
    }

    /// The parameter `name` of the route, percent-decoded and parsed.
    ///
    /// # Errors
    /// A 400 when it does not parse as a `T`; a 500 when the route has no such parameter.
    #[doc(alias = "path_parameter")]
    pub fn param<T: FromParam>(&self, name: &str) -> Result<T> {
        let value = self
            .param_str(name)
            .ok_or_else(|| Error::internal(format!("the route of {} has no parameter \"{name}\"", self.path())))?;
        T::from_param(&value).ok_or_else(|| Error::bad_request(format!("Invalid parameter: {name}")))
    }

    /// The parameter `name` of the route, percent-decoded.
    pub fn param_str(&self, name: &str) -> Option<Cow<'a, str>> {
        self.params.get(name, self.received.head.raw_path)
    }

    /// The names and values of all parameters of the route, percent-decoded.
    #[cfg(feature = "json")]
    pub(crate) fn params(&self) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        self.params.iter(self.received.head.raw_path)
    }

    /// The parameter `name` of the route, still encoded.
    #[cfg(feature = "files")]
    pub(crate) fn raw_param(&self, name: &str) -> Option<&'a [u8]> {
        self.params.get_raw(name, self.received.head.raw_path)
    }

    /// The first value of `name` in the query, decoded.
    #[doc(alias = "search_params")]
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        self.query_pairs().get(name)
    }

    /// All values of `name` in the query, decoded.
    pub fn query_all<'n>(&self, name: &'n str) -> impl Iterator<Item = Cow<'a, str>> + use<'a, 'n> {
        self.query_pairs().all(name)
    }

    /// All names and values of the query, decoded.
    pub fn query_pairs(&self) -> Pairs<'a> {
        Pairs::new(self.received.head.query.unwrap_or_default())
    }

    /// The query, still encoded, without its `?`.
    pub fn query_string(&self) -> Option<&'a str> {
        self.received.head.query.map(target_text)
    }

    /// The whole content. It is empty if the request has none.
    #[doc(alias("content", "payload"))]
    pub const fn body(&self) -> &'a [u8] {
        self.received.content
    }

    /// The field lines that arrived after the content of a chunked request. Most requests have none.
    pub const fn trailers(&self) -> Trailers<'a> {
        self.received.trailers
    }

    /// The value of the first trailer of this name, in any case. `None` also if the value is not UTF-8.
    pub fn trailer(&self, name: &str) -> Option<&'a str> {
        self.received.trailers.get(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The token of `Authorization: Bearer` (RFC 6750 §2.1); the scheme in any case (RFC 9110 §11.1). Compare it in
    /// constant time with one that must stay secret, as the example `todo` does.
    ///
    /// ```
    /// # use monoloop::{OptionExt, Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.get("/", |_, req, res| res.text(req.bearer().or_status(401, "A token is needed")?));
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/").header("Authorization", "bearer abc").send().text(), "abc");
    /// assert_eq!(client.get("/").header("Authorization", "Basic abc").send().status(), 401);
    /// ```
    #[doc(alias("authorization", "token", "auth"))]
    pub fn bearer(&self) -> Option<&'a str> {
        let (scheme, token) = self.header("authorization")?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
    }

    /// Hands a value on to what sees this request next: from a middleware to the handler, for example. It is found by
    /// its type, so define a type for it. It lives until the request is answered. Each value takes one allocation.
    ///
    /// ```
    /// use monoloop::{OptionExt, Router, TestClient};
    /// use std::ops::ControlFlow;
    ///
    /// struct User(String);
    ///
    /// let mut app = Router::new(());
    /// app.with(|_, req, res| {
    ///     if let Some(name) = req.header("x-user") {
    ///         req.set(User(name.to_owned()));
    ///     }
    ///     ControlFlow::Continue(res)
    /// });
    /// app.get("/me", |_, req, res| {
    ///     let User(name) = req.get().or_status(401, "Who are you?")?;
    ///     res.text(name.as_str())
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/me").header("X-User", "Alice").send().text(), "Alice");
    /// assert_eq!(client.get("/me").send().status(), 401);
    /// ```
    #[doc(alias("extensions", "locals", "context"))]
    pub fn set<T: 'static>(&self, value: T) {
        self.received.data.add(value);
    }

    /// The value of this type that was [set](Self::set) last.
    #[doc(alias("extensions", "locals", "context"))]
    pub fn get<T: 'static>(&self) -> Option<&'a T> {
        self.received.data.get()
    }

    /// The values that were [set](Self::set).
    pub(super) fn data(&self) -> Data {
        self.received.data.clone()
    }

    /// Whether the client offers to switch to another protocol, which its `Upgrade` field names. The offer counts only
    /// in HTTP/1.1, with `Connection: upgrade`, and without content (RFC 9110 §7.8).
    pub const fn offers_upgrade(&self) -> bool {
        self.received.offers_upgrade
    }

    /// The client's end of the connection.
    #[doc(alias("remote_addr", "ip"))]
    pub fn peer(&self) -> Endpoint {
        self.received.endpoints.peer()
    }

    /// The client. Today it is the same as the [`peer`](Self::peer), which may be a proxy. Once a configuration can
    /// name trusted proxies, it will be the client behind the proxy. Use this to name the client, in a log or in a
    /// limit, and `peer` for the connection itself.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// app.get("/who", |_, req, res| res.text(req.client().to_string()));
    /// # assert!(TestClient::new(app).get("/who").send().text().starts_with("127.0.0.1:"));
    /// ```
    #[doc(alias("remote_addr", "ip", "real_ip"))]
    pub fn client(&self) -> Endpoint {
        self.peer()
    }

    /// The server's end of the connection.
    pub fn local(&self) -> Endpoint {
        self.received.endpoints.local()
    }

    /// The time of day, in whole seconds: the clock was read when the loop last woke up in a new second. So it costs
    /// nothing, and a [`TestClient`](crate::TestClient) tells its virtual time. Use it for what depends on the time:
    /// sessions that expire, limits for each client, signatures that grow old.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let mut app = Router::new(None::<SystemTime>);
    /// app.get("/", |last, req, res| {
    ///     let now = req.now();
    ///     let since = last.replace(now).and_then(|last| now.duration_since(last).ok());
    ///     res.text(format!("{since:?}"))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// client.get("/").send();
    /// client.advance(Duration::from_secs(3600));
    /// assert_eq!(client.get("/").send().text(), "Some(3600s)");
    /// ```
    #[doc(alias("time", "clock", "date"))]
    pub fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.received.unix_second)
    }

    /// Whether something has asked the server to stop. It is true from that moment on, so also during
    /// [`Config::drain_delay`](crate::Config::drain_delay), when the server still serves as before. A health check
    /// should answer 503 then, so that a load balancer sends its requests elsewhere.
    ///
    /// ```
    /// # let mut app = monoloop::Router::new(());
    /// app.get("/healthz", |_, req, res| {
    ///     let status = if req.is_draining() { 503 } else { 200 };
    ///     res.status(status).header("Cache-Control", "no-store").text("")
    /// });
    /// ```
    #[doc(alias("health", "readiness", "shutdown"))]
    pub const fn is_draining(&self) -> bool {
        self.received.draining.was_asked()
    }

    /// Whether the connection is encrypted. It never is: a TLS terminator belongs in front of this server.
    pub const fn is_encrypted(&self) -> bool {
        false
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method(), self.target(), self.version())?;
        write!(f, " {:?} + {} bytes", self.received.head.fields, self.received.content.len())?;
        if self.received.trailers.is_empty() { Ok(()) } else { write!(f, " + {:?}", self.received.trailers) }
    }
}
