//! Server-sent events (WHATWG HTML §9.2): a reply that does not end and carries events. A browser receives them with
//! `new EventSource(url)`.
//!
//! ```text
//!     Event ─encode→ bytes ─┬→ EventSender → exchange::BodySender → the connection
//!                           └→ … one for each client of a Broadcast; all share the bytes
//! ```
//!
//! A [`Broadcast`] in the application's state sends events to all its clients. The loop has one thread, so it needs no
//! lock:
//!
//! ```
//! use monoloop::sse::{self, Broadcast, Event, Slow};
//! use monoloop::{Router, TestClient};
//!
//! let mut app = Router::new(Broadcast::new(Slow::Drop));
//! app.get("/events", |listeners, _, res| {
//!     let (sent, sender) = sse::start(res)?;
//!     listeners.add(sender);
//!     Ok(sent)
//! });
//! app.post("/say", |listeners, req, res| {
//!     let heard = listeners.send(&Event::new(String::from_utf8_lossy(req.body())))?;
//!     res.text(format!("{heard} heard it"))
//! });
//!
//! let mut client = TestClient::new(app);
//! assert_eq!(client.get("/events").send().header("Content-Type"), Some("text/event-stream"));
//! assert_eq!(client.app_mut().state_mut().send(&Event::new("hello"))?, 1);
//! assert!(client.read().ends_with(b"data: hello\n\n\r\n"));
//! # Ok::<(), monoloop::Error>(())
//! ```
//!
//! A browser that loses its stream reconnects after a few seconds ([`Event::retry`]), and names in `Last-Event-ID` the
//! last event that it received. An application that keeps its events can then send the missed ones, as
//! [`last_event_id`] shows. A 204 tells the browser not to reconnect; any other status except 200 makes the connection
//! fail.
//!
//! nginx holds events back unless the reply has the field `X-Accel-Buffering: no`.

mod broadcast;
mod event;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use broadcast::{Broadcast, Slow};
pub use event::Event;

use crate::buffer::Content;
use crate::exchange::{BodySender, Request, Response, SendError, Sent};
use crate::http::Result;
use crate::limits::EVENT_HEARTBEAT;

/// A comment without text: the browser receives it, but no script sees it (WHATWG HTML §9.2.7).
const HEARTBEAT: &[u8] = b":\n\n";

/// Finishes a response with a stream of events. Any thread can [send](EventSender) them from now on.
///
/// The reply is `text/event-stream` and must not be stored, unless the handler has set `Content-Type` or
/// `Cache-Control` itself. After a silence of 15 seconds a comment is sent, or earlier if the idle timeout demands it
/// ([`set_heartbeat`](EventSender::set_heartbeat)). The stream ends when the server begins to
/// drain, so that the browser connects to another server.
///
/// The reply to HEAD ends after its head, and its sender is [closed](EventSender::is_closed) at once.
///
/// ```
/// use monoloop::sse::{self, Event};
/// use monoloop::Router;
/// use std::time::Duration;
///
/// let mut app = Router::new(());
/// app.get("/clock", |_, _, res| {
///     let (sent, sender) = sse::start(res)?;
///     std::thread::spawn(move || {
///         for tick in 0.. {
///             match sender.send(&Event::new(tick.to_string())) {
///                 Ok(true) => std::thread::sleep(Duration::from_secs(1)),
///                 _ => return,                            // the client has left, or does not keep up
///             }
///         }
///     });
///     Ok(sent)
/// });
/// ```
///
/// # Errors
/// A mistake in the head that was set before.
#[doc(alias("sse", "EventSource"))]
pub fn start(res: Response<'_>) -> Result<(Sent, EventSender)> {
    let res = match res.has_header("Content-Type") {
        true => res,
        false => res.header("Content-Type", "text/event-stream"),
    };
    let res = match res.has_header("Cache-Control") {
        true => res,
        false => res.header("Cache-Control", "no-store"),
    };
    let (sent, body) = res.channel()?;
    body.end_at_drain();
    let sender = EventSender { body: Some(body) };
    sender.set_heartbeat(EVENT_HEARTBEAT);
    Ok((sent, sender))
}

/// The id of the last event that the client received, if the request names one: then the client had a stream and lost
/// it.
///
/// ```
/// use monoloop::sse::{self, Broadcast, Event, Slow};
/// use monoloop::{Result, Router, TestClient};
///
/// /// The headlines so far, and the clients that wait for the next one.
/// struct News {
///     headlines: Vec<String>,
///     listeners: Broadcast,
/// }
///
/// impl News {
///     fn event(&self, number: usize) -> Event {
///         Event::new(&self.headlines[number]).id(number.to_string())
///     }
///
///     fn publish(&mut self, headline: &str) -> Result<usize> {
///         self.headlines.push(headline.to_owned());
///         let event = self.event(self.headlines.len() - 1);
///         self.listeners.send(&event)
///     }
/// }
///
/// let mut app = Router::new(News { headlines: Vec::new(), listeners: Broadcast::new(Slow::Drop) });
/// app.get("/news", |news, req, res| {
///     let last: Option<usize> = sse::last_event_id(req).and_then(|id| id.parse().ok());
///     let (sent, sender) = sse::start(res)?;
///     let mut missed = last.map_or(0, |last| last.saturating_add(1))..news.headlines.len();
///     // If it does not take all events now, the stream ends, and the client asks for the rest when it reconnects.
///     let has_all = missed.try_fold(true, |taken, number| Ok(taken && sender.send(&news.event(number))?));
///     match has_all {
///         Ok(true) => news.listeners.add(sender),
///         Ok(false) => sender.finish(),
///         Err(mistake) => return Err(mistake),
///     }
///     Ok(sent)
/// });
///
/// let mut client = TestClient::new(app);
/// ["one", "two", "three"].map(|headline| client.app_mut().state_mut().publish(headline).unwrap());
/// client.get("/news").header("Last-Event-ID", "1").send();
/// assert_eq!(client.read(), b"13\r\nid: 2\ndata: three\n\n\r\n");
/// ```
pub fn last_event_id<'a>(req: &Request<'a>) -> Option<&'a str> {
    // To a browser, an empty id is the same as none, and it sends none then.
    req.header("Last-Event-ID").filter(|id| !id.is_empty())
}

/// Sends events to one client, from any thread.
///
/// For a slow client, it holds at most [`CHANNEL_BYTES`](crate::limits::CHANNEL_BYTES) of events and one event more;
/// then it is [full](Self::is_full).
///
/// Dropping it ends the stream after the events that were sent. Other content would have to be aborted, so that the
/// client does not take half of it for all. But a stream of events has no end of its own, and the browser just
/// reconnects.
///
/// [`BodySender`] can do more, such as wait until there is room:
///
/// ```
/// # use monoloop::sse::{Event, EventSender};
/// # use monoloop::Result;
/// /// Do not call this on the loop's thread, which would wait for itself.
/// fn send_patiently(sender: &EventSender, event: &Event) -> Result<()> {
///     Ok(sender.as_ref().send_blocking(event.encode()?)?)
/// }
/// ```
#[doc(alias("sse", "EventSource"))]
#[derive(Debug)]
#[must_use = "dropping it ends the stream"]
pub struct EventSender {
    /// It is `Some` until `into_inner` or `drop` takes it out.
    body: Option<BodySender>,
}

impl EventSender {
    /// Sends an event. Returns false if it was not taken, because the sender [is full](Self::is_full) or
    /// [closed](Self::is_closed).
    ///
    /// ```
    /// # use monoloop::sse::{self, Event};
    /// # let mut app = monoloop::Router::new(());
    /// app.get("/events", |_, _, res| {
    ///     let (sent, sender) = sse::start(res)?;
    ///     sender.send(&Event::new("welcome"))?;
    ///     Ok(sent)
    /// });
    /// # let mut client = monoloop::TestClient::new(app);
    /// # assert_eq!(client.get("/events").send().text(), "data: welcome\n\n");
    /// # assert_eq!(client.head("/events").send().status(), 200);
    /// ```
    ///
    /// # Errors
    /// Only a mistake in the event. It is not an error if there is no client, as after the reply to a HEAD.
    pub fn send(&self, event: &Event) -> Result<bool> {
        Ok(self.send_encoded(event.encode()?))
    }

    /// Sends an event from [`Event::encode`], or several in one piece, one after the other. Many senders can share the
    /// bytes, so memory has them only once. Returns false if they were not taken.
    #[must_use = "it says whether they were taken"]
    pub fn send_encoded(&self, event: Arc<[u8]>) -> bool {
        self.push(event).is_ok()
    }

    fn push(&self, event: Arc<[u8]>) -> Result<(), SendError> {
        self.as_ref().send(Content::Shared(event))
    }

    /// Sets the silence after which a comment is sent, in place of 15 seconds; it is accurate to a quarter of
    /// a second. If it is not shorter than the connection's [idle timeout](crate::Config::idle_timeout), a comment is
    /// sent after half of that timeout. With [`Duration::MAX`] none is sent, and the timeout ends a silent stream.
    pub fn set_heartbeat(&self, silence: Duration) {
        self.as_ref().set_heartbeat(silence, Content::Static(HEARTBEAT));
    }

    /// Whether the sender takes no more events for now, because the client does not keep up.
    pub fn is_full(&self) -> bool {
        self.as_ref().is_full()
    }

    /// Whether no further event can be sent: the client has left, or the request was a HEAD, or the server drains.
    pub fn is_closed(&self) -> bool {
        self.as_ref().is_closed()
    }

    /// Sets a function that is called once when the sender closes. It replaces the function that was set before. It is
    /// called on the loop's thread; if the sender is already closed, it is called at once on this thread.
    pub fn on_close(&self, call: impl FnOnce() + Send + 'static) {
        self.as_ref().on_close(call);
    }

    /// Ends the stream after the events that were sent. Dropping the sender does the same.
    pub fn finish(self) {}

    /// Returns the sender of the reply's content. Dropping that sender aborts the connection, as with other content.
    pub fn into_inner(mut self) -> BodySender {
        self.body.take().expect(ONLY_AT_THE_END)
    }
}

const ONLY_AT_THE_END: &str = "the body is taken out only at the end";

impl AsRef<BodySender> for EventSender {
    fn as_ref(&self) -> &BodySender {
        self.body.as_ref().expect(ONLY_AT_THE_END)
    }
}

impl Drop for EventSender {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            body.finish();
        }
    }
}
