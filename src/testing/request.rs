use std::fmt;

use super::jar::is_cookie_value;
use super::reply::{Extent, Parsed};
use super::{TestClient, TestReply};
use crate::exchange::Service;
use crate::http::{Method, is_field_value, is_token};

/// A request of a [`TestClient`] that has not been sent yet.
///
/// ```
/// # use monoloop::{Router, TestClient};
/// # let mut app = Router::new(());
/// # app.post("/echo", |_, req, res| {
/// #     res.header("X-Kind", req.header("content-type").unwrap_or("none")).send(req.body())
/// # });
/// # let mut client = TestClient::new(app);
/// let reply = client.post("/echo").header("Content-Type", "text/plain").body("hello").send();
/// assert_eq!((reply.text(), reply.header("x-kind")), ("hello", Some("text/plain")));
/// ```
#[must_use = "it has not been sent"]
pub struct TestRequest<'c, A> {
    client: &'c mut TestClient<A>,
    method: Method,
    target: String,
    /// The field lines so far.
    fields: String,
    has_host: bool,
    /// The test has set a Content-Length or a Transfer-Encoding by hand.
    has_framing: bool,
    content: Option<Vec<u8>>,
    /// Field lines that are sent after the content.
    trailers: String,
    cookies: Cookies,
}

/// Which cookies are sent with a request.
enum Cookies {
    /// These, and those of the client's jar that have other names.
    Set(Vec<(String, String)>),
    /// The test has set the field by hand.
    ByHand,
}

impl<'c, A: Service> TestRequest<'c, A> {
    pub(super) fn new(client: &'c mut TestClient<A>, method: Method, target: &str) -> Self {
        Self {
            client,
            method,
            target: target.to_owned(),
            fields: String::new(),
            has_host: false,
            has_framing: false,
            content: None,
            trailers: String::new(),
            cookies: Cookies::Set(Vec::new()),
        }
    }

    /// Adds a field line, in addition to earlier ones of this name. `Host: localhost` and the `Content-Length` are
    /// added automatically, unless they are set here.
    ///
    /// # Panics
    /// If name or value is not valid. To send a malformed field line, [write](TestClient::write) the bytes.
    #[track_caller]
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.has_host |= name.eq_ignore_ascii_case("host");
        self.has_framing |= ["content-length", "transfer-encoding"].iter().any(|it| name.eq_ignore_ascii_case(it));
        if name.eq_ignore_ascii_case("cookie") {
            self.cookies = Cookies::ByHand;
        }
        self.fields += &field_line(name, value.as_ref());
        self
    }

    /// Adds pairs to the query of the target, percent-encoded.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// # app.get("/search", |_, req, res| {
    /// #     res.text(req.query("q").unwrap_or_default().into_owned())
    /// # });
    /// # let mut client = TestClient::new(app);
    /// let reply = client.get("/search").query([("q", "salt & pepper"), ("page", "2")]).send();
    /// assert_eq!(reply.text(), "salt & pepper");
    /// ```
    pub fn query<N: AsRef<str>, V: AsRef<str>>(mut self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let added = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if !added.is_empty() {
            self.target.push(if self.target.contains('?') { '&' } else { '?' });
            self.target += &added;
        }
        self
    }

    /// Adds `Authorization: Bearer` with this token (RFC 6750 §2.1).
    ///
    /// # Panics
    /// If the token cannot be part of a field line.
    #[doc(alias("auth", "authorization", "token", "jwt"))]
    #[track_caller]
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", format!("Bearer {token}"))
    }

    /// Sends a cookie with this request alone. A cookie of this name that the client [keeps](TestClient::keep_cookies)
    /// is then not sent.
    ///
    /// # Panics
    /// If name or value cannot be a cookie (RFC 6265 §4.1.1). To send such a cookie, set the
    /// [header](Self::header) `Cookie`. Panics if that is set already, too.
    #[track_caller]
    pub fn cookie(mut self, name: &str, value: &str) -> Self {
        assert!(is_token(name.as_bytes()) && is_cookie_value(value), "not a cookie: {name:?}={value:?}");
        match &mut self.cookies {
            Cookies::Set(cookies) => cookies.push((name.to_owned(), value.to_owned())),
            Cookies::ByHand => panic!("the request has a Cookie field already"),
        }
        self
    }

    /// Adds a trailer: a field line that is sent after the content. The content is then sent chunked.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// # let mut app = Router::new(());
    /// # app.post("/upload", |_, req, res| res.text(req.trailer("Content-Digest").unwrap_or("none")));
    /// # let mut client = TestClient::new(app);
    /// let reply = client.post("/upload").body("hello").trailer("Content-Digest", "sha-256=:LPJNul:").send();
    /// assert_eq!(reply.text(), "sha-256=:LPJNul:");
    /// ```
    ///
    /// # Panics
    /// If name or value is not valid.
    #[track_caller]
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers += &field_line(name, value);
        self
    }

    /// Sets the content.
    pub fn body(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.content = Some(content.into());
        self
    }

    /// Sets the content to `value` as JSON, with its `Content-Type`.
    ///
    /// # Panics
    /// If `value` cannot be serialised.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    #[track_caller]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        let content = serde_json::to_vec(value).unwrap_or_else(|error| panic!("the value cannot be JSON: {error}"));
        self.header("Content-Type", "application/json").body(content)
    }

    /// Sets the content to a form, with its `Content-Type`.
    pub fn form<N: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let content = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(content)
    }

    /// Sets the content to a form with files, `multipart/form-data`, with its `Content-Type`. A part has a name, the
    /// name of a file if it is one, and its content.
    ///
    /// ```
    /// # use monoloop::{OptionExt, Router, TestClient};
    /// # let mut app = Router::new(());
    /// # app.post("/", |_, req, res| res.text(req.multipart()?.get("title").or_not_found("no title")?));
    /// # let mut client = TestClient::new(app);
    /// let form = [("title", None, "My cat"), ("picture", Some("cat.png"), "...")];
    /// assert_eq!(client.post("/").multipart(form).send().text(), "My cat");
    /// ```
    #[cfg(feature = "multipart")]
    #[cfg_attr(docsrs, doc(cfg(feature = "multipart")))]
    pub fn multipart<N: Into<String>, C: Into<Vec<u8>>>(
        self,
        parts: impl IntoIterator<Item = (N, Option<N>, C)>,
    ) -> Self {
        let own = |(name, file_name, content): (N, Option<N>, C)| (name.into(), file_name.map(N::into), content.into());
        let (media_type, form) = super::form::encode(&parts.into_iter().map(own).collect::<Vec<_>>());
        self.header("Content-Type", &media_type).body(form)
    }

    /// Sends the request and returns the reply with all of its content.
    ///
    /// If other threads have to do something for that (answer a [deferred](crate::Response::defer) request, push
    /// content, end a pause), this waits for them in real time, for at most 10 seconds
    /// ([`set_wait_limit`](TestClient::set_wait_limit) changes that), while virtual time stands still. It does not wait
    /// for the end of a reply of the type `text/event-stream`, since such a reply goes on for as long as the server
    /// likes. If the events come from another thread, use [`open`](Self::open).
    ///
    /// If the server has closed its side of the connection, another connection is opened first. Unread bytes of earlier
    /// replies are dropped. Bytes that were [written](TestClient::write) before are in front of this request.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// let mut app = Router::new(());
    /// app.get("/slow", |_, _, res| {
    ///     let (sent, responder) = res.defer();
    ///     std::thread::spawn(move || responder.text("from another thread"));
    ///     Ok(sent)
    /// });
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/slow").send().text(), "from another thread");
    /// ```
    ///
    /// # Panics
    /// If no complete reply comes. The message says what it has waited for.
    #[track_caller]
    pub fn send(self) -> TestReply {
        self.exchange(Extent::Whole, |reply| reply.is_whole || reply.reply.is_event_stream())
    }

    /// As [`send`](Self::send), but for content that goes on: returns a chunked reply when its head has come, without
    /// content. The chunks are for [`read`](TestClient::read) and [`read_until`](TestClient::read_until).
    ///
    /// ```
    /// # use monoloop::{Router, TestClient, exchange::BodySender};
    /// let mut app = Router::new(None::<BodySender>);
    /// app.get("/log", |log, _, res| {
    ///     let (sent, sender) = res.channel()?;
    ///     *log = Some(sender);
    ///     Ok(sent)
    /// });
    /// let mut client = TestClient::new(app);
    /// assert_eq!(client.get("/log").open().status(), 200);
    /// client.app().state().as_ref().unwrap().send("a line").unwrap();
    /// assert_eq!(client.read(), b"6\r\na line\r\n");
    /// ```
    ///
    /// # Panics
    /// If no reply begins, or content that is not chunked does not come as a whole.
    #[doc(alias("stream", "sse"))]
    #[track_caller]
    pub fn open(self) -> TestReply {
        self.exchange(Extent::Open, |_| true)
    }

    /// Sends the request and waits for a reply that is `enough`.
    #[track_caller]
    fn exchange(self, extent: Extent, enough: fn(&Parsed) -> bool) -> TestReply {
        let extent = if self.method == Method::Head { Extent::Head } else { extent };
        let target = self.target.clone();
        let line = format!("{} {target}", self.method);
        let (client, message) = self.into_message();
        if client.is_half_closed() {
            client.reconnect();
        }
        client.read();
        client.write(message);
        let until = client.wait_ends();
        loop {
            let awaited = client.awaited();
            if let Some(reply) = client.take_reply(extent, enough) {
                client.note_cookies(&target, &reply);
                return reply;
            }
            let why = match awaited {
                Some(_) if client.await_work(until) => continue,
                Some(awaited) => client.why(awaited),
                None => format!("the connection has ended: {:?}", client.ended()),
            };
            panic!("no whole reply to {line}: {} came, and {why}", client.shown());
        }
    }

    /// The client, and the request as it is sent.
    fn into_message(self) -> (&'c mut TestClient<A>, Vec<u8>) {
        let Self { client, method, target, fields, has_host, has_framing, content, trailers, cookies } = self;
        let mut head = format!("{method} {target} HTTP/1.1\r\n{fields}");
        if !has_host {
            head += "Host: localhost\r\n";
        }
        if let Cookies::Set(cookies) = cookies {
            head += &client.cookie_line(&target, cookies);
        }
        let body = match content {
            content if !trailers.is_empty() => {
                head += "Transfer-Encoding: chunked\r\n";
                chunked(&content.unwrap_or_default(), &trailers)
            }
            Some(content) if !has_framing => {
                head += &format!("Content-Length: {}\r\n", content.len());
                content
            }
            content => content.unwrap_or_default(),
        };
        (client, [head.as_bytes(), b"\r\n", &body].concat())
    }
}

#[track_caller]
fn field_line(name: &str, value: &str) -> String {
    assert!(is_token(name.as_bytes()) && is_field_value(value.as_bytes()), "not a field line: {name:?}: {value:?}");
    format!("{name}: {value}\r\n")
}

/// Encodes `content` as one chunk, followed by the last chunk and the trailers.
fn chunked(content: &[u8], trailers: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if !content.is_empty() {
        body.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    body
}

impl<A> fmt::Debug for TestRequest<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fields, len) = (&self.fields, self.content.as_ref().map_or(0, Vec::len));
        write!(f, "{} {} {fields:?} + {len} bytes", self.method, self.target)
    }
}
