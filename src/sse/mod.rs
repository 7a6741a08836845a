//! Server-sent events (WHATWG HTML §9.2): a reply that does not end, and in it events that a browser takes by
//! `new EventSource(url)`.
//!
//! ```text
//!     Event ─encode→ bytes ─┬→ EventSender → exchange::BodySender → the connection
//!                           └→ … one for each client of a Broadcast, which share the bytes
//! ```
//!
//! A [`Broadcast`] in the application's state tells all who listen; the loop has one thread, so it takes no lock:
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
//! client.advance(std::time::Duration::ZERO);
//! assert!(client.read().ends_with(b"data: hello\n\n\r\n"));
//! # Ok::<(), monoloop::Error>(())
//! ```
//!
//! A browser that loses its stream comes again after a few seconds ([`Event::retry`]) and says in `Last-Event-ID` which
//! event it has had last. Whoever keeps the events gives it what it has missed, as [`last_event_id`] shows. A 204 tells it
//! to stay away; any other status but 200 fails it.
//!
//! nginx holds events back unless the reply says `X-Accel-Buffering: no`.

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

/// A comment without text: it reaches the browser, and no script (WHATWG HTML §9.2.7).
const HEARTBEAT: &[u8] = b":\n\n";

/// Finishes a response with events that are [sent](EventSender) from now on, by any thread.
///
/// The reply is `text/event-stream` and not to be stored, unless the handler has set `Content-Type` or `Cache-Control`
/// itself. A comment is sent whenever it was silent for [`EVENT_HEARTBEAT`], and it ends
/// when the server begins to drain, so that the browser goes to another one.
///
/// The reply to HEAD ends at its head, and its sender is [closed](EventSender::is_closed) at once.
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
///                 _ => return,                            // the client is gone, or does not keep up
///             }
///         }
///     });
///     Ok(sent)
/// });
/// ```
///
/// # Errors
/// A mistake that was made with the head.
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

/// The id of the last event that the client has had, if it says so: it had a stream before, and lost it.
///
/// ```
/// use monoloop::sse::{self, Broadcast, Event, Slow};
/// use monoloop::{Result, Router, TestClient};
///
/// /// The headlines so far, and who waits for the next one.
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
///     // What it does not take now, it asks for when its stream has ended.
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
    // No id and an empty one are the same to a browser, which sends none then.
    req.header("Last-Event-ID").filter(|id| !id.is_empty())
}

/// Sends events to one client, from any thread.
///
/// It holds at most [`CHANNEL_BYTES`](crate::limits::CHANNEL_BYTES) of events, and one event more, for a client that takes
/// them slowly; then it is [full](Self::is_full).
///
/// Dropping it ends the stream behind what was sent. Other contents would have to be aborted, so that half of it is not
/// taken for all; but a stream of events has no end of its own, and the browser only comes again.
///
/// What it can do beside this, such as to wait until there is room, [`BodySender`] does:
///
/// ```
/// # use monoloop::sse::{Event, EventSender};
/// # use monoloop::Result;
/// /// Not on the loop's thread, which would wait for itself.
/// fn send_patiently(sender: &EventSender, event: &Event) -> Result<()> {
///     Ok(sender.as_ref().send_blocking(event.encode()?)?)
/// }
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the stream"]
pub struct EventSender {
    /// Only `into_inner` and the end take it out.
    body: Option<BodySender>,
}

impl EventSender {
    /// Sends an event; false if it was not taken, because the sender [is full](Self::is_full) or
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
    /// Only for a mistake in the event; that there is nobody, as behind the reply to a HEAD, is none.
    pub fn send(&self, event: &Event) -> Result<bool> {
        Ok(self.send_encoded(event.encode()?))
    }

    /// Sends what [`Event::encode`] has made, or several of them one behind the other. The bytes are shared, so they can
    /// wait in many senders and be there once. False if they were not taken.
    #[must_use = "it says whether they were taken"]
    pub fn send_encoded(&self, event: Arc<[u8]>) -> bool {
        self.push(event).is_ok()
    }

    fn push(&self, event: Arc<[u8]>) -> Result<(), SendError> {
        self.as_ref().send(Content::Shared(event))
    }

    /// Has a comment sent whenever nothing was for `silence`, give or take a quarter of a second, in place of
    /// [`EVENT_HEARTBEAT`]. If that is longer than the connection's
    /// [idle timeout](crate::Config::idle_timeout), a silent stream ends there.
    pub fn set_heartbeat(&self, silence: Duration) {
        self.as_ref().set_heartbeat(silence, Content::Static(HEARTBEAT));
    }

    /// Whether it takes no more for now: the client does not keep up.
    pub fn is_full(&self) -> bool {
        self.as_ref().is_full()
    }

    /// Whether nobody takes anything any more: the client is gone, or the reply was a HEAD's, or the server drains.
    pub fn is_closed(&self) -> bool {
        self.as_ref().is_closed()
    }

    /// Sets what is called when nobody takes anything any more, once, in place of what was set before: on the loop's
    /// thread, or at once on this one if it is so already.
    pub fn on_close(&self, call: impl FnOnce() + Send + 'static) {
        self.as_ref().on_close(call);
    }

    /// Ends the stream behind what was sent, as dropping it does.
    pub fn finish(self) {}

    /// The sender of the reply's content. Dropping that one aborts the connection, as it does for other contents.
    pub fn into_inner(mut self) -> BodySender {
        self.body.take().expect(ONLY_AT_THE_END)
    }
}

const ONLY_AT_THE_END: &str = "it is taken out only at the end";

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
