//! A bounded queue of content that any thread pushes and the connection pulls.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::mailbox::{Address, Letter};
use super::stream::{BodySource, Chunk, Progress};
use crate::buffer::Content;
use crate::exchange::guard;
use crate::limits::CHANNEL_BYTES;

type Callback = Box<dyn FnOnce() + Send>;

/// Pushes the content of a reply, from any thread: see [`Response::channel`](crate::Response::channel) and
/// [`Responder::channel`](super::Responder::channel).
///
/// It holds at most [`CHANNEL_BYTES`](crate::limits::CHANNEL_BYTES) and one piece more. The caller stops when it [is
/// full](Self::is_full) and goes on [when there is room](Self::on_room). A thread that may wait uses
/// [`send_blocking`](Self::send_blocking).
///
/// [`finish`](Self::finish) makes the content whole. A sender that is dropped without it aborts the connection, so that
/// the client does not take a part for the whole.
///
/// ```
/// use monoloop::Router;
///
/// let mut app = Router::new(());
/// app.get("/count", |_, _, res| {
///     let (sent, sender) = res.channel()?;
///     std::thread::spawn(move || {
///         for number in 0..1_000_000 {
///             if sender.send_blocking(format!("{number}\n")).is_err() {
///                 return;                                 // the client is gone
///             }
///         }
///         sender.finish();
///     });
///     Ok(sent)
/// });
/// ```
#[must_use = "dropping it aborts the connection"]
pub struct BodySender {
    channel: Arc<Channel>,
    finished: bool,
}

/// Why a piece was not accepted.
pub enum SendError {
    /// There is no room. The piece is returned.
    Full(Content<'static>),
    /// The content is not wanted any more: the client is gone, or the request was a HEAD.
    Closed,
}

/// The part that both ends share.
pub(super) struct Channel {
    address: Address,
    state: Mutex<State>,
    /// Notified when there is room, or when the source is gone.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Content<'static>>,
    /// Bytes of memory that the queue takes.
    cost: usize,
    /// Whether the connection was woken and has not looked since.
    told: bool,
    /// Whether the queue was full and has not been half empty since.
    full: bool,
    end: Option<End>,
    /// Whether the source is gone.
    closed: bool,
    /// Whether the content ends, as a whole, when the server begins to drain.
    ends_at_drain: bool,
    /// The content that is sent after this time without a byte.
    heartbeat: Option<(Duration, Content<'static>)>,
    on_room: Option<Callback>,
    on_close: Option<Callback>,
}

enum End {
    Finished(Vec<(String, String)>),
    Failed,
}

impl Channel {
    /// Makes a new channel and returns both ends.
    pub(super) fn open(address: Address) -> (BodySender, ChannelSource) {
        let channel = Arc::new(Self { address, state: Mutex::default(), changed: Condvar::new() });
        (BodySender { channel: Arc::clone(&channel), finished: false }, ChannelSource(channel))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the connection, only once until it looks.
    fn tell(&self, mut state: MutexGuard<'_, State>) {
        let told = std::mem::replace(&mut state.told, true);
        drop(state);
        if !told {
            self.address.post(Letter::Wake);
        }
    }
}

/// The memory that a piece takes while it waits: its bytes, and its place in the queue.
fn cost(content: &Content<'_>) -> usize {
    content.as_bytes().len() + size_of::<Content<'_>>()
}

impl BodySender {
    /// Pushes a piece, unless the queue is full. Bytes that are [shared](Content::Shared) are not copied.
    ///
    /// # Errors
    /// [`SendError::Full`] with the piece, or [`SendError::Closed`] when the content is not wanted any more.
    pub fn send(&self, content: impl Into<Content<'static>>) -> Result<(), SendError> {
        self.push(self.channel.state(), content.into())
    }

    /// Pushes a piece, and waits until there is room for it. The thread of the loop must not call this, since it would
    /// wait for itself.
    ///
    /// # Errors
    /// [`SendError::Closed`] when the content is not wanted any more.
    pub fn send_blocking(&self, content: impl Into<Content<'static>>) -> Result<(), SendError> {
        let waits = |state: &mut State| state.full && !state.closed;
        let state =
            self.channel.changed.wait_while(self.channel.state(), waits).unwrap_or_else(PoisonError::into_inner);
        self.push(state, content.into())
    }

    fn push(&self, mut state: MutexGuard<'_, State>, content: Content<'static>) -> Result<(), SendError> {
        if state.closed {
            return Err(SendError::Closed);
        }
        if state.full {
            return Err(SendError::Full(content));
        }
        if !content.as_bytes().is_empty() {
            state.cost += cost(&content);
            state.full = state.cost >= CHANNEL_BYTES;
            // A connection that has not looked yet is woken once more, so that it is charged for a long piece.
            state.told &= !state.full;
            state.queue.push_back(content);
            self.channel.tell(state);
        }
        Ok(())
    }

    /// Whether the queue is full.
    pub fn is_full(&self) -> bool {
        self.channel.state().full
    }

    /// Whether the content is not wanted any more: the client is gone, or the request was a HEAD.
    pub fn is_closed(&self) -> bool {
        self.channel.state().closed
    }

    /// Sets a function that is called once when there is room again, or when the channel closes. It replaces the
    /// function that was set before. It runs on the thread of the loop, or at once on this one if there is room
    /// already.
    pub fn on_room(&self, call: impl FnOnce() + Send + 'static) {
        let mut state = self.channel.state();
        if state.full && !state.closed {
            let old = state.on_room.replace(Box::new(call));
            drop((state, old));
        } else {
            drop(state);
            call();
        }
    }

    /// Sets a function that is called once when the content is not wanted any more. It replaces the function that was
    /// set before. It runs on the thread of the loop, or at once on this one if the channel is closed already.
    pub fn on_close(&self, call: impl FnOnce() + Send + 'static) {
        let mut state = self.channel.state();
        if state.closed {
            drop(state);
            call();
        } else {
            let old = state.on_close.replace(Box::new(call));
            drop((state, old));
        }
    }

    /// Sends `content` whenever no byte was sent for `silence`, within about a quarter of a second. So the idle timeout
    /// or a proxy does not take a quiet connection for a dead one. It is not sent while the content of the request
    /// still arrives.
    ///
    /// If `silence` is not shorter than the connection's [idle timeout](crate::Config::idle_timeout), `content` is sent
    /// after half of that timeout. [`Duration::MAX`] means that there is no heartbeat.
    pub fn set_heartbeat(&self, silence: Duration, content: impl Into<Content<'static>>) {
        let mut state = self.channel.state();
        let old = state.heartbeat.replace((silence, content.into()));
        // The connection has to learn of it, because the time begins now.
        self.channel.tell(state);
        drop(old);
    }

    /// Lets the content end when the server begins to drain, as if it were [finished](Self::finish) after what was
    /// pushed until then. This is for streams that have no end of their own.
    pub fn end_at_drain(&self) {
        let mut state = self.channel.state();
        state.ends_at_drain = true;
        // The drain may have begun already.
        self.channel.tell(state);
    }

    /// Ends the content as a whole.
    pub fn finish(self) {
        self.end(End::Finished(Vec::new()));
    }

    /// Ends the content as a whole. These field lines follow it, if the client asked for trailers by `TE: trailers`.
    pub fn finish_with<N: Into<String>, V: Into<String>>(self, trailers: impl IntoIterator<Item = (N, V)>) {
        let trailers = trailers.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.end(End::Finished(trailers));
    }

    fn end(mut self, end: End) {
        self.finished = true;
        let mut state = self.channel.state();
        state.end = Some(end);
        self.channel.tell(state);
    }
}

impl Drop for BodySender {
    fn drop(&mut self) {
        if !self.finished {
            let mut state = self.channel.state();
            state.end = Some(End::Failed);
            self.channel.tell(state);
        }
    }
}

impl fmt::Debug for BodySender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.channel.state();
        write!(f, "BodySender(full: {}, closed: {})", state.full, state.closed)
    }
}

/// The end of the connection, which pulls.
pub(super) struct ChannelSource(Arc<Channel>);

impl BodySource for ChannelSource {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        let mut state = self.0.state();
        state.told = false;
        if let (true, true, Some((_, beat))) = (out.is_heartbeat(), state.queue.is_empty(), &state.heartbeat) {
            out.push(beat.clone());
        }
        while out.wanted() > 0
            && let Some(content) = state.queue.pop_front()
        {
            state.cost -= cost(&content);
            out.push(content);
        }
        let ends_now = state.ends_at_drain && out.is_draining();
        let end = if state.queue.is_empty() { state.end.take() } else { None };
        let progress = match end {
            _ if !state.queue.is_empty() => Progress::More,
            None if ends_now => Progress::Done,
            None => Progress::Pending,
            Some(End::Finished(trailers)) => {
                trailers.iter().for_each(|(name, value)| out.trailer(name, value));
                Progress::Done
            }
            Some(End::Failed) => return Err(io::Error::other("the sender was dropped before the content was whole")),
        };
        let mut on_room = None;
        if state.full && state.cost <= CHANNEL_BYTES / 2 {
            state.full = false;
            on_room = state.on_room.take();
            self.0.changed.notify_all();
        }
        drop(state);
        call(on_room, "on_room");
        Ok(progress)
    }

    fn heartbeat(&self) -> Option<Duration> {
        self.0.state().heartbeat.as_ref().map(|(silence, _)| *silence)
    }

    /// What the queue holds. If the connection was told of more and has not looked, it is not told of what comes then.
    /// So this counts all that may come.
    fn memory(&self) -> usize {
        let state = self.0.state();
        if state.told { state.cost.max(CHANNEL_BYTES) } else { state.cost }
    }
}

impl Drop for ChannelSource {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.closed = true;
        state.cost = 0;
        let (queue, on_room, on_close) =
            (std::mem::take(&mut state.queue), state.on_room.take(), state.on_close.take());
        self.0.changed.notify_all();
        drop(state);
        queue.into_iter().for_each(Content::free);
        call(on_room, "on_room");
        call(on_close, "on_close");
    }
}

fn call(callback: Option<Callback>, name: &str) {
    if let Some(Err(panic)) = callback.map(guard) {
        fault!("{name} {panic}");
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(content) => f.debug_tuple("Full").field(content).finish(),
            Self::Closed => f.write_str("Closed"),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "there is no room for more content",
            Self::Closed => "the content is not wanted any more",
        })
    }
}

impl std::error::Error for SendError {}
