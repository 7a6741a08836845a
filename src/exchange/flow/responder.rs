use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::BodySender;
use super::channel::Channel;
use super::mailbox::{Address, Letter};
use crate::buffer::Content;
use crate::exchange::{Response, Sent, guard};
use crate::http::{Error, Result};
use crate::wire::reply::encode_interim;

/// The reply to a request that was [deferred](Response::defer): any thread gives it, at any time.
///
/// Whatever is heavy is done before it is called; what it is called with runs on the loop's thread. Requests that the
/// client has sent behind this one wait, so replies keep their order. If it is dropped, the client gets a 500 at once; if
/// nobody answers within [`Config::reply_timeout`](crate::Config::reply_timeout), a 503. An answer that comes after that,
/// or when the client is gone, is dropped.
///
/// ```
/// use monoloop::Router;
///
/// let mut app = Router::new(());
/// app.get("/slow", |_, _, res| {
///     let (sent, responder) = res.defer();
///     std::thread::spawn(move || {
///         let answer = (1..=20_u64).product::<u64>();     // something that takes time
///         responder.text(answer.to_string());
///     });
///     Ok(sent)
/// });
/// ```
#[must_use = "dropping it is a 500"]
pub struct Responder {
    waiting: Arc<Waiting>,
    answered: bool,
}

/// What a responder and the connection share.
pub(crate) struct Waiting {
    address: Address,
    cancelled: AtomicBool,
    half_closed: AtomicBool,
    on_cancel: Mutex<Option<Callback>>,
    takes_interim: bool,
}

type Callback = Box<dyn FnOnce() + Send>;

impl Responder {
    pub(super) const fn new(waiting: Arc<Waiting>) -> Self {
        Self { waiting, answered: false }
    }

    /// Answers by a function that is called on the loop's thread, with the response as the middleware left it. It can do
    /// all that a handler can, and must not block as a handler must not.
    ///
    /// An error is rendered as one of a handler's is.
    pub fn respond(mut self, answer: impl FnOnce(Response<'_>) -> Result<Sent> + Send + 'static) {
        self.answered = true;
        self.waiting.address.post(Letter::Answer(Box::new(answer)));
    }

    /// Answers with plain text.
    pub fn text(self, text: impl Into<Content<'static>>) {
        let text = text.into();
        self.respond(move |res| res.text(text));
    }

    /// Answers with bytes.
    pub fn send(self, content: impl Into<Content<'static>>) {
        let content = content.into();
        self.respond(move |res| res.send(content));
    }

    /// Answers with JSON; it is serialised here, not on the loop's thread.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) {
        match serde_json::to_vec(value) {
            Ok(json) => self.respond(move |res| res.header_if_none("Content-Type", "application/json").send(json)),
            Err(error) => self.error(error.into()),
        }
    }

    /// Answers with an error.
    pub fn error(self, error: Error) {
        self.respond(move |_| Err(error));
    }

    /// Begins an answer whose content is [pushed](BodySender); `head` sets its status and field lines, on the loop's
    /// thread.
    pub fn channel(self, head: impl for<'r> FnOnce(Response<'r>) -> Response<'r> + Send + 'static) -> BodySender {
        let (sender, source) = Channel::open(self.waiting.address.clone());
        self.respond(move |res| head(res).stream(source));
        sender
    }

    /// Sends a 103 Early Hints (RFC 8297) ahead of the reply, at once: mostly `Link` fields. A client of HTTP/1.0 gets none.
    ///
    /// # Errors
    /// When a name or a value cannot stand in a field line.
    pub fn early_hints<N: AsRef<str>, V: AsRef<str>>(&self, fields: impl IntoIterator<Item = (N, V)>) -> Result<()> {
        let bytes = encode_interim(103, fields)?;
        if self.waiting.takes_interim {
            self.waiting.address.post(Letter::Interim(bytes));
        }
        Ok(())
    }

    /// Whether nobody waits for the answer any more: the client is gone (a reset or a hang-up, not a half-close), or it
    /// had another answer, such as a 503.
    pub fn is_cancelled(&self) -> bool {
        self.waiting.cancelled.load(Ordering::Acquire)
    }

    /// Whether the client has closed its side. It may still wait for the answer, and mostly does not.
    pub fn is_half_closed(&self) -> bool {
        self.waiting.half_closed.load(Ordering::Acquire)
    }

    /// Sets what is called when nobody waits for the answer any more, in place of what was set before: on the loop's
    /// thread, or at once on this one if it is so already. It is not called once the answer was given.
    pub fn on_cancel(&self, call: impl FnOnce() + Send + 'static) {
        let mut on_cancel = self.waiting.on_cancel.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_cancelled() {
            drop(on_cancel);
            return call();
        }
        let old = on_cancel.replace(Box::new(call));
        drop((on_cancel, old));
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if !self.answered {
            self.waiting.address.post(Letter::Unanswered);
        }
    }
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Responder({:?}, cancelled: {})", self.waiting.address.ticket, self.is_cancelled())
    }
}

impl Waiting {
    pub(super) fn new(address: Address, takes_interim: bool) -> Arc<Self> {
        Arc::new(Self {
            address,
            cancelled: AtomicBool::new(false),
            half_closed: AtomicBool::new(false),
            on_cancel: Mutex::default(),
            takes_interim,
        })
    }
}

/// The connection's end of a deferred exchange. Dropping it tells the responder that nobody waits any more.
pub(crate) struct Waited(Option<Arc<Waiting>>);

impl Waited {
    pub(super) const fn new(waiting: Arc<Waiting>) -> Self {
        Self(Some(waiting))
    }

    /// The client has closed its side.
    pub(crate) fn half_close(&self) {
        if let Some(waiting) = &self.0 {
            waiting.half_closed.store(true, Ordering::Release);
        }
    }

    /// The answer has come.
    pub(crate) fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        let Some(waiting) = self.0.take() else { return };
        let callback = {
            let mut on_cancel = waiting.on_cancel.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.cancelled.store(true, Ordering::Release);
            on_cancel.take()
        };
        if let Some(Err(panic)) = callback.map(guard) {
            log::error!("on_cancel {panic}");
        }
    }
}

impl fmt::Debug for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waited")
    }
}
