use std::fmt;

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
    head: String,
    has_host: bool,
    /// The test has set a Content-Length or a Transfer-Encoding by hand.
    has_framing: bool,
    content: Option<Vec<u8>>,
    /// Field lines that are sent after the content.
    trailers: String,
}

impl<'c, A: Service> TestRequest<'c, A> {
    pub(super) fn new(client: &'c mut TestClient<A>, method: Method, target: &str) -> Self {
        let head = format!("{method} {target} HTTP/1.1\r\n");
        Self { client, method, head, has_host: false, has_framing: false, content: None, trailers: String::new() }
    }

    /// Adds a field line, in addition to earlier ones of this name. `Host: localhost` and the `Content-Length` are
    /// added automatically, unless they are set here.
    ///
    /// # Panics
    /// If name or value is not valid. To send a malformed field line, [write](TestClient::write) the bytes.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.has_host |= name.eq_ignore_ascii_case("host");
        self.has_framing |= ["content-length", "transfer-encoding"].iter().any(|it| name.eq_ignore_ascii_case(it));
        self.head += &field_line(name, value);
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

    /// Sends the request and returns the reply. If the server has closed its side of the connection, another connection
    /// is opened first. Unread bytes of earlier replies are dropped. Bytes that were [written](TestClient::write)
    /// before are in front of this request.
    ///
    /// # Panics
    /// If no complete reply comes.
    #[track_caller]
    pub fn send(self) -> TestReply {
        let Self { client, method, mut head, has_host, has_framing, content, trailers } = self;
        if !has_host {
            head += "Host: localhost\r\n";
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
        let message = [head.as_bytes(), b"\r\n", &body].concat();
        if client.is_half_closed() {
            client.reconnect();
        }
        client.read();
        client.write(message);
        if let Some(reply) = client.take_reply(method == Method::Head) {
            return reply;
        }
        let line = head.lines().next().unwrap_or_default();
        let came = client.read().escape_ascii().to_string();
        panic!("no reply to {line}: {came:?} came, and the connection has ended: {:?}", client.ended())
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
        write!(f, "{:?} + {} bytes", self.head, self.content.as_ref().map_or(0, Vec::len))
    }
}
