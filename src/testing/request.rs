use std::fmt;

use super::{TestClient, TestReply};
use crate::exchange::Service;
use crate::http::{Method, is_field_value, is_token};

/// A request of a [`TestClient`] that has not been sent yet.
///
/// ```
/// # use monoloop::{Router, TestClient};
/// # let mut app = Router::new(());
/// # app.post("/echo", |_, req, res| res.header("X-Kind", req.header("content-type").unwrap_or("none")).send(req.body()));
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
    content: Option<Vec<u8>>,
}

impl<'c, A: Service> TestRequest<'c, A> {
    pub(super) fn new(client: &'c mut TestClient<A>, method: Method, target: &str) -> Self {
        let head = format!("{method} {target} HTTP/1.1\r\n");
        Self { client, method, head, has_host: false, content: None }
    }

    /// Adds a field line, beside earlier ones of this name. `Host: localhost` and the `Content-Length` are there by
    /// themselves.
    ///
    /// # Panics
    /// If it is no field line: to send one that is broken, [write](TestClient::write) it.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        assert!(is_token(name.as_bytes()) && is_field_value(value.as_bytes()), "no field line: {name:?}: {value:?}");
        self.has_host |= name.eq_ignore_ascii_case("host");
        self.head += &format!("{name}: {value}\r\n");
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
    /// If it does not serialise.
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        let content = serde_json::to_vec(value).unwrap_or_else(|error| panic!("no JSON: {error}"));
        self.header("Content-Type", "application/json").body(content)
    }

    /// Sets the content to a form, with its `Content-Type`.
    pub fn form<N: AsRef<str>, V: AsRef<str>>(self, pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let content = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.header("Content-Type", "application/x-www-form-urlencoded").body(content)
    }

    /// Sends it and gives the reply. If the server has closed its side of the connection, another one is opened first.
    /// Bytes that were there before and not read are dropped.
    ///
    /// # Panics
    /// If no whole reply comes.
    #[track_caller]
    pub fn send(self) -> TestReply {
        let Self { client, method, mut head, has_host, content } = self;
        if !has_host {
            head += "Host: localhost\r\n";
        }
        if let Some(content) = &content {
            head += &format!("Content-Length: {}\r\n", content.len());
        }
        let message = [head.as_bytes(), b"\r\n", &content.unwrap_or_default()].concat();
        if client.is_half_closed() {
            client.reconnect();
        }
        client.read();
        client.write(message);
        if let Some(reply) = client.take_reply(method == Method::Head) {
            return reply;
        }
        let line = head.lines().next().unwrap_or_default();
        panic!(
            "no reply to {line}: {:?} came, the connection has ended: {:?}",
            client.read().escape_ascii(),
            client.ended()
        )
    }
}

impl<A> fmt::Debug for TestRequest<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} + {} bytes", self.head, self.content.as_ref().map_or(0, Vec::len))
    }
}
