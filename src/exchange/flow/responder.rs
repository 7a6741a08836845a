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

/// Gives the reply to a request that was [deferred](Response::defer), from any thread, at any time.
///
/// Do heavy work before you call it, because a function that it gets runs on the thread of the loop. Later requests of
/// the client wait, so replies keep their order. If it is dropped, the client gets a 500 at once. Without an answer
/// within [`Config::reply_timeout`](crate::Config::reply_timeout), the client gets a 503. An answer after that, or
/// after the client has gone, is dropped.
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

/// The part that a responder and the connection share.
pub(crate) struct Waiting {
    address: Address,
    cancelled: AtomicBool,
    client_closed: AtomicBool,
    on_cancel: Mutex<Option<Callback>>,
    takes_interim: bool,
}

type Callback = Box<dyn FnOnce() + Send>;

impl Responder {
    pub(super) const fn new(waiting: Arc<Waiting>) -> Self {
        Self { waiting, answered: false }
    }

    /// Answers by a function, which is called on the thread of the loop, with the response as the middleware left it.
    /// It may do what a handler may do, and like a handler it must not block.
    ///
    /// Its error is rendered like that of a handler.
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

    /// Answers with JSON. It is serialised on this thread, not on that of the loop.
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

    /// Begins an answer whose content is [pushed](BodySender). `head` sets its status and field lines, on the thread of
    /// the loop.
    pub fn channel(self, head: impl for<'r> FnOnce(Response<'r>) -> Response<'r> + Send + 'static) -> BodySender {
        let (sender, source) = Channel::open(self.waiting.address.clone());
        self.respond(move |res| head(res).stream(source));
        sender
    }

    /// Sends a 103 Early Hints (RFC 8297) before the reply, at once, in most cases with `Link` fields. A client of
    /// HTTP/1.0 gets none.
    ///
    /// # Errors
    /// When a name or a value cannot be part of a field line.
    pub fn early_hints<N: AsRef<str>, V: AsRef<str>>(&self, fields: impl IntoIterator<Item = (N, V)>) -> Result<()> {
        let bytes = encode_interim(103, fields)?;
        if self.waiting.takes_interim {
            self.waiting.address.post(Letter::Interim(bytes));
        }
        Ok(())
    }

    /// Whether the answer is not awaited any more. Then the client is gone (by a reset or a hang-up, not by a
    /// half-close), or it got another answer, such as a 503.
    pub fn is_cancelled(&self) -> bool {
        self.waiting.cancelled.load(Ordering::Acquire)
    }

    /// Whether the client has closed its side. It may still wait for the answer, but most clients do not.
    pub fn is_half_closed(&self) -> bool {
        self.waiting.client_closed.load(Ordering::Acquire)
    }

    /// Sets a function that is called when the answer is not awaited any more. It replaces the function that was set
    /// before. It runs on the thread of the loop, or at once on this one if the exchange has ended already. It is not
    /// called after the answer.
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
            client_closed: AtomicBool::new(false),
            on_cancel: Mutex::default(),
            takes_interim,
        })
    }
}

/// The connection's end of a deferred exchange. Dropping it tells the responder that the answer is not awaited any
/// more.
pub(crate) struct Waited(Option<Arc<Waiting>>);

impl Waited {
    pub(super) const fn new(waiting: Arc<Waiting>) -> Self {
        Self(Some(waiting))
    }

    /// Records that the client has closed its side.
    pub(crate) fn note_client_closed(&self) {
        if let Some(waiting) = &self.0 {
            waiting.client_closed.store(true, Ordering::Release);
        }
    }

    /// Records that the answer has arrived.
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
            fault!("on_cancel {panic}");
        }
    }
}

impl fmt::Debug for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waited")
    }
}
