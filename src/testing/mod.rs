//! Tests of an application in memory. They use the same protocol core, pump, deadlines and router as a real server, but
//! no socket, thread or clock. [`TestClient`] is the client.

mod bell;
mod control;
mod cookies;
#[cfg(feature = "multipart")]
mod form;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod jar;
mod pipe;
mod reply;
mod request;
#[cfg(feature = "websocket")]
mod socket;
#[cfg(test)]
mod tests;
mod virtual_loop;
mod waiting;

use std::fmt;
use std::time::{Duration, SystemTime};

use jar::Jar;
pub use reply::TestReply;
use reply::{Extent, Parsed};
pub use request::TestRequest;
#[cfg(feature = "websocket")]
#[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
pub use socket::{TestHandshake, TestMessage, TestSocket};

#[cfg(all(any(test, fuzzing), feature = "json"))]
pub(crate) use pipe::{Pipe, Wire};
pub(crate) use virtual_loop::{Connected, VirtualLoop};

use crate::config::Config;
use crate::exchange::{CloseReason, Endpoint, Observer, Service};
use crate::http::Method;

/// A client that speaks to an application in memory, for its tests.
///
/// Requests go in, and replies come out, as values or as bytes. They pass through the same code as on a socket,
/// including limits and timeouts. Time is virtual: it passes only in [`advance`](Self::advance), and begins at the date
/// that RFC 9110 uses as its example.
///
/// A client has one connection at a time; to act as several clients, switch with [`connect_from`](Self::connect_from).
/// A handler that panics gives a 500 as on a real server, even if the panic is a failed `assert!` of the test. So check
/// the status, or [watch](Self::observer) for errors.
///
/// ```
/// use monoloop::{Router, TestClient};
///
/// let mut app = Router::new(Vec::<String>::new());
/// app.get("/names", |names, _, res| res.text(names.join(", ")));
/// app.post("/names", |names, req, res| {
///     names.push(String::from_utf8_lossy(req.body()).into_owned());
///     res.status(201).empty()
/// });
///
/// let mut client = TestClient::new(app);
/// assert_eq!(client.post("/names").body("Alice").send().status(), 201);
/// assert_eq!(client.get("/names").send().text(), "Alice");
/// assert_eq!(client.delete("/names").send().header("Allow"), Some("GET, HEAD, POST, OPTIONS"));
/// assert_eq!(client.app().state().len(), 1);
/// ```
///
/// A test can also send bytes that a well-behaved client does not send:
///
/// ```
/// # use monoloop::{Router, TestClient, server::CloseReason};
/// # use std::time::Duration;
/// # let mut app = Router::new(());
/// # app.get("/", |_, _, res| res.text("hello"));
/// let mut client = TestClient::new(app);
/// client.write("GET / HT").advance(Duration::from_secs(9));
/// assert!(client.read().is_empty());
/// client.advance(Duration::from_secs(1));
/// assert_eq!(client.read_reply().map(|reply| reply.status()), Some(408));
/// assert!(client.is_half_closed());
/// client.half_close();
/// assert_eq!(client.ended(), Some(CloseReason::HeadTimeout));
/// ```
#[doc(alias("test", "mock"))]
pub struct TestClient<A> {
    app: A,
    virtual_loop: VirtualLoop,
    connection: Connected,
    /// How long a call waits for other threads, in real time.
    wait_limit: Duration,
    /// The cookies that it keeps, if it does.
    jar: Option<Jar>,
}

impl<A: Service> TestClient<A> {
    /// A client of `app`, which is a [`Router`](crate::Router) or any other [`Service`], with the default settings. The
    /// client is connected.
    pub fn new(app: A) -> Self {
        Self::with_config(app, Config::default())
    }

    /// As [`new`](Self::new), with settings of your own. Settings of sockets, signals and the drain have no effect
    /// here.
    pub fn with_config(mut app: A, config: Config) -> Self {
        let mut virtual_loop = VirtualLoop::new(config);
        virtual_loop.begin(&mut app);
        let connection = virtual_loop.connect();
        Self { app, virtual_loop, connection, wait_limit: bell::WAIT_LIMIT, jar: None }
    }

    /// Adds an observer; do this before the first request. An observer gets each error that a handler returns,
    /// including the text that is never sent to clients.
    ///
    /// ```
    /// # use monoloop::{Error, Router, TestClient, server::{ConnectionId, Observer}};
    /// # use std::{cell::RefCell, rc::Rc};
    /// #[derive(Clone, Default)]
    /// struct Errors(Rc<RefCell<Vec<String>>>);
    ///
    /// impl Observer for Errors {
    ///     fn request_failed(&mut self, _: ConnectionId, error: &Error) {
    ///         self.0.borrow_mut().push(format!("{error:?}"));
    ///     }
    /// }
    ///
    /// let mut app = Router::new(());
    /// app.get("/", |_, _, res| res.text("a".parse::<u8>()?.to_string()));
    /// let errors = Errors::default();
    /// let mut client = TestClient::new(app).observer(errors.clone());
    /// assert_eq!(client.get("/").send().status(), 500);
    /// assert!(errors.0.borrow()[0].contains("invalid digit"));
    /// ```
    #[must_use]
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.virtual_loop.watch(Box::new(observer));
        self
    }

    /// Sets the date; by default it is that of the example in RFC 9110, in 1994. From there it advances with virtual
    /// time. With a present date, files that the test has just made are not in the future, and can have strong
    /// validators.
    ///
    /// ```
    /// # use monoloop::{Router, TestClient};
    /// use std::time::{Duration, SystemTime};
    ///
    /// # let mut app = Router::new(());
    /// # app.get("/", |_, _, res| res.empty());
    /// let mut client = TestClient::new(app);
    /// client.set_date(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000));
    /// assert_eq!(client.get("/").send().header("date"), Some("Sun, 09 Sep 2001 01:46:40 GMT"));
    /// ```
    pub fn set_date(&mut self, date: SystemTime) -> &mut Self {
        self.virtual_loop.set_date(date);
        self
    }

    /// The application.
    pub const fn app(&self) -> &A {
        &self.app
    }

    /// The application, mutably: a test can change it between two requests.
    pub const fn app_mut(&mut self) -> &mut A {
        &mut self.app
    }

    // ---- requests and replies as values -----------------------------------------------------------------------------

    /// A GET request, which can be completed and then [sent](TestRequest::send).
    pub fn get(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Get, target)
    }

    /// A HEAD request.
    pub fn head(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Head, target)
    }

    /// A POST request.
    pub fn post(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Post, target)
    }

    /// A PUT request.
    pub fn put(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Put, target)
    }

    /// A PATCH request.
    pub fn patch(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Patch, target)
    }

    /// A DELETE request.
    pub fn delete(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Delete, target)
    }

    /// An OPTIONS request.
    pub fn options(&mut self, target: &str) -> TestRequest<'_, A> {
        self.request(Method::Options, target)
    }

    /// A request of any method. `target` is sent as it is, so it must already be percent-encoded where that is needed.
    pub fn request(&mut self, method: Method, target: &str) -> TestRequest<'_, A> {
        TestRequest::new(self, method, target)
    }

    // ---- bytes ------------------------------------------------------------------------------------------------------

    /// Sends bytes, and lets the server do all that it can do with them. Bytes that are sent after the end of the
    /// connection are lost, as on a socket.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.act(|wire| wire.inbound.extend(bytes.as_ref()))
    }

    /// Takes all bytes that the server has sent since the last call. Before that, the server does what other threads or
    /// the test have left for it, but it does not wait for them: see [`read_until`](Self::read_until).
    pub fn read(&mut self) -> Vec<u8> {
        self.turn();
        std::mem::take(&mut self.connection.link.wire_mut().outbound)
    }

    /// Takes the next final reply, and skips interim ones (`100 Continue`) before it. Returns `None` if the reply is
    /// not complete. It must not be the reply to a HEAD request, whose end only a [`TestRequest`] knows. If the end of
    /// chunked content has not come, the reply is its head, and the chunks are left for [`read`](Self::read).
    ///
    /// # Panics
    /// If the server sent bytes that are not a reply.
    #[track_caller]
    pub fn read_reply(&mut self) -> Option<TestReply> {
        self.turn();
        self.take_reply(Extent::Whole, |_| true)
    }

    /// Takes the next reply if it satisfies `wanted`.
    #[track_caller]
    fn take_reply(&mut self, extent: Extent, wanted: impl FnOnce(&Parsed) -> bool) -> Option<TestReply> {
        let mut wire = self.connection.link.wire_mut();
        let parsed = TestReply::parse(&wire.outbound, extent).filter(wanted)?;
        wire.outbound.drain(..parsed.len);
        Some(parsed.reply)
    }

    /// Sets how many more bytes the kernel takes from the server before the client has to read. With zero, the client
    /// does not read. At first there is no limit.
    pub fn set_window(&mut self, bytes: usize) -> &mut Self {
        self.act(|wire| wire.window = bytes)
    }

    // ---- the connection ---------------------------------------------------------------------------------------------

    /// Half-closes the connection: the server reads to the end, and may still answer.
    pub fn half_close(&mut self) -> &mut Self {
        self.act(|wire| wire.fin = true)
    }

    /// Resets the connection: the server's next read or write fails.
    pub fn reset(&mut self) -> &mut Self {
        self.act(|wire| wire.reset = true)
    }

    /// Opens another connection, and leaves the earlier one as [`reset`](Self::reset) does.
    ///
    /// # Panics
    /// If the server drains, because it then accepts no connections.
    #[track_caller]
    pub fn reconnect(&mut self) -> &mut Self {
        self.leave();
        self.connection = self.virtual_loop.connect();
        self
    }

    /// As [`reconnect`](Self::reconnect), but from a given peer: an address and a port, or a unix socket.
    ///
    /// # Panics
    /// If the server drains.
    #[track_caller]
    pub fn connect_from(&mut self, peer: impl Into<Endpoint>) -> &mut Self {
        self.leave();
        self.connection = self.virtual_loop.connect_from(peer.into());
        self
    }

    #[track_caller]
    fn leave(&mut self) {
        assert!(!self.virtual_loop.is_draining(), "a server that drains accepts no connections");
        self.reset();
    }

    /// Whether the server has closed its side, so that no further reply can come.
    pub fn is_half_closed(&self) -> bool {
        let wire = self.connection.link.wire();
        wire.half_closed || wire.closed.is_some()
    }

    /// Why the server has ended the connection; `None` if it has not.
    pub fn ended(&self) -> Option<CloseReason> {
        self.connection.link.wire().closed
    }

    fn act(&mut self, action: impl FnOnce(&mut pipe::Wire)) -> &mut Self {
        self.virtual_loop.act(&self.connection, &mut self.app, action);
        self
    }

    /// Lets the server do all that it can do now.
    fn turn(&mut self) {
        self.virtual_loop.turn(&mut self.app);
    }

    // ---- connections of their own -----------------------------------------------------------------------------------

    /// Opens a connection beside the client's own.
    #[cfg(feature = "websocket")]
    #[track_caller]
    fn open_link(&mut self) -> Connected {
        assert!(!self.virtual_loop.is_draining(), "a server that drains accepts no connections");
        self.virtual_loop.connect()
    }

    /// Applies an action to such a connection.
    #[cfg(feature = "websocket")]
    fn act_on(&mut self, connected: &Connected, action: impl FnOnce(&mut pipe::Wire)) {
        self.virtual_loop.act(connected, &mut self.app, action);
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// Lets time pass, so that timeouts expire and timers of the application are called. Virtual time ends some thirty
    /// years after its beginning. Even with a time of zero, the server does what it can do now.
    pub fn advance(&mut self, time: Duration) -> &mut Self {
        self.virtual_loop.wait(&mut self.app, time);
        self
    }

    /// Begins the drain of the server: each connection ends after its next reply. Idle connections are closed at once,
    /// without a [`drain_grace`](Config::drain_grace).
    pub fn drain(&mut self) -> &mut Self {
        self.virtual_loop.drain(&mut self.app);
        self
    }
}

impl<A: fmt::Debug> fmt::Debug for TestClient<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").field("app", &self.app).field("connection", &self.connection).finish()
    }
}
