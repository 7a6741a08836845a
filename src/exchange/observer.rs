use std::fmt;
use std::time::Duration;

use super::{CloseReason, Endpoint, Request, guard};
use crate::buffer::ReplyRecord;
use crate::http::{Error, Method, Moment};

/// The number of a connection. A server counts from 1, and never uses a number twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub(crate) u64);

impl ConnectionId {
    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of an observer that was added while the server runs, by [`Running::observe`].
///
/// [`Running::observe`]: crate::server::Running::observe
#[cfg(feature = "live")]
#[cfg_attr(docsrs, doc(cfg(feature = "live")))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObserverId(u64);

/// A reply whose last byte the kernel has taken. For [`Observer::reply_cut`], it describes the part that the kernel
/// took.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FinishedReply<'a> {
    /// The method, if the request was understood that far.
    pub method: Option<Method>,
    /// The path as the client sent it, still encoded and without the query, or its first 2 KiB. `None` if the request
    /// was not understood.
    pub path: Option<&'a str>,
    /// The pattern of the route at this path, such as `/users/:id`. `None` if no route has this path. Metrics count by
    /// it, since there are as many paths as clients like.
    pub route: Option<&'a str>,
    /// The status code.
    pub status: u16,
    /// Bytes of the request: its head, and as much of its content as the application got. Chunk sizes do not count.
    pub received: u64,
    /// Bytes of content that were sent, without the head.
    pub content: u64,
    /// Bytes of the reply that were sent: its head and its content. Chunk sizes do not count.
    pub sent: u64,
    /// From the beginning of the tick that received the first byte of the request to the moment at which the kernel had
    /// taken the last byte of the reply. A request that the client has pipelined waits for those before it, and this
    /// time counts.
    pub duration: Duration,
    /// The time in the application: in middleware and handler, in a sink, and in the function that gives a deferred
    /// reply. The time in which a source produces content does not count.
    pub handler: Duration,
    /// The time in which a [`Responder`](crate::exchange::Responder) was to answer, from the end of the handler on. It
    /// is zero if the reply was not deferred.
    pub deferred: Duration,
}

/// Which deadline passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Timeout {
    /// No byte was received or sent for the idle timeout.
    Idle,
    /// The request head did not end in time.
    Head,
    /// The content of a request came more slowly than the minimum rate.
    Content,
    /// The client took its replies more slowly than the minimum rate.
    Send,
    /// A deferred reply was not given in time, or paused content was not resumed in time.
    Reply,
    /// The client did not close its side in time after ours was closed.
    Linger,
}

impl Timeout {
    /// Its name in a sentence, such as `head timeout`. The trace log and recordings use it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle timeout",
            Self::Head => "head timeout",
            Self::Content => "content timeout",
            Self::Send => "send timeout",
            Self::Reply => "reply timeout",
            Self::Linger => "linger timeout",
        }
    }
}

/// A message of another protocol, such as WebSocket, that came whole or was queued to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRecord {
    /// Whether the client sent it, and not the server.
    pub received: bool,
    /// Whether it is text.
    pub is_text: bool,
    /// Bytes of its content, decoded.
    pub bytes: u64,
}

/// How another protocol, such as WebSocket, has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolClose<'a> {
    /// The code that the client or the server gave: for WebSocket that of RFC 6455 §7.4, or 1005 if there was none.
    pub code: u16,
    /// The reason that came with it; perhaps empty. A client's reason is its own text: print it with care.
    pub reason: &'a str,
    /// Whether the client began the end.
    pub by_client: bool,
}

/// What made the server drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DrainCause {
    /// A signal, by its name: `SIGTERM` or `SIGINT`.
    Signal(&'static str),
    /// [`Handle::shutdown`](crate::server::Handle::shutdown).
    Handle,
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Tick {
    /// Events that the poll brought.
    pub events: usize,
    /// Connections that are open.
    pub connections: usize,
    /// Connections that have used up their turn, or had none, and go on in the next tick.
    pub runnable: usize,
    /// How long the tick took, without the sleep before it. A handler that takes long makes it long.
    pub busy: Duration,
}

/// Watches a server: for access logs, metrics, or what Node's server events are used for. Each method does nothing by
/// default.
///
/// It runs on the loop's thread, so it must not block, and a panic in it is caught and logged.
///
/// ```
/// use monoloop::server::{ConnectionId, FinishedReply, Observer};
///
/// struct Log;
///
/// impl Observer for Log {
///     fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
///         println!("connection {id}: {} in {:?}", reply.status, reply.duration);
///     }
/// }
/// ```
#[doc(alias("metrics", "hook"))]
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait Observer {
    /// The server listens here. Called once per address.
    fn listening(&mut self, local: &Endpoint) {}

    /// A connection was accepted (Node's `connection`).
    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {}

    /// A request is about to be handled (Node's `request`).
    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {}

    /// The last byte of a reply was given to the kernel (Node's `finish`).
    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {}

    /// The connection ends in the middle of a reply, or before any byte of it was sent. `content` counts what was given
    /// to the kernel. Replies that were to follow are not reported. [`connection_closed`](Self::connection_closed) says
    /// why.
    fn reply_cut(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {}

    /// Another protocol has taken over the connection (Node's `upgrade`). Its 101 is a finished reply too.
    fn upgraded(&mut self, id: ConnectionId) {}

    /// A message of another protocol came or was queued to be sent. Pings and their like do not count.
    fn message(&mut self, id: ConnectionId, message: &MessageRecord) {}

    /// Another protocol has ended in good order: both sides have said so. After it comes
    /// [`connection_closed`](Self::connection_closed), which comes alone if the connection ended in another way.
    fn protocol_closed(&mut self, id: ConnectionId, close: &ProtocolClose<'_>) {}

    /// A request was answered with an error, because the handler failed or panicked, or the request was malformed; or
    /// the handler of a WebSocket failed or panicked.
    fn request_failed(&mut self, id: ConnectionId, error: &Error) {}

    /// A deadline passed. The connection closes, at once or after a 408.
    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {}

    /// The client reads its replies more slowly than it sends requests. The connection is not read until less is owed
    /// (`on`), or is read again (`!on`).
    fn backpressure(&mut self, id: ConnectionId, on: bool) {}

    /// A connection has ended (Node's `close` of a socket).
    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {}

    /// The server itself had an error, such as no free descriptor, and goes on (Node's `error`).
    fn server_error(&mut self, error: &std::io::Error) {}

    /// Memory is short: requests were refused, or connections ended, because [`Config::max_memory`] did not allow more.
    /// `used` of `limit` bytes were in use. It is called at most once a second.
    ///
    /// [`Config::max_memory`]: crate::Config::max_memory
    fn memory_short(&mut self, used: usize, limit: usize) {}

    /// A tick has ended.
    fn ticked(&mut self, tick: &Tick) {}

    /// The drain has begun.
    fn draining(&mut self, cause: DrainCause) {}

    /// The last connection has ended, and the loop returns (Node's `close`).
    fn server_closed(&mut self) {}
}

/// The observers, if there are any. Each is told of each event, in the order in which they were set. Their panics are
/// caught: a panic of one does not keep an event from the others.
///
/// The trace log counts as one more. So a place that looks for observers can write to it as well, and a request is not
/// asked twice.
#[derive(Default)]
pub(crate) struct Watch {
    observers: Vec<Box<dyn Observer>>,
    /// There is an observer, or the level of the log is trace.
    is_some: bool,
    /// The numbers of those that can be taken away: the last ones of the list, in its order.
    #[cfg(feature = "live")]
    ids: Vec<ObserverId>,
    #[cfg(feature = "live")]
    last_id: u64,
}

impl Watch {
    pub(crate) fn new(observers: Vec<Box<dyn Observer>>) -> Self {
        let mut watch = Self { observers, ..Self::default() };
        watch.look();
        watch
    }

    /// Looks again whether there are observers and what the level of the log is.
    pub(crate) fn look(&mut self) {
        self.is_some = !self.observers.is_empty() || log::max_level() == log::LevelFilter::Trace;
    }

    /// Adds the observers of another one.
    pub(crate) fn append(&mut self, mut more: Self) {
        self.observers.append(&mut more.observers);
        self.look();
    }

    /// Adds the only observer of another one, so that it can be taken away again.
    #[cfg(feature = "live")]
    pub(crate) fn lend(&mut self, one: Self) -> ObserverId {
        debug_assert_eq!(one.count(), 1, "a number is for one observer");
        self.last_id += 1;
        let id = ObserverId(self.last_id);
        self.ids.push(id);
        self.append(one);
        id
    }

    /// Takes an observer out.
    #[cfg(feature = "live")]
    pub(crate) fn remove(&mut self, id: ObserverId) -> Option<Box<dyn Observer>> {
        let index = self.ids.iter().position(|known| *known == id)?;
        let lasting = self.observers.len() - self.ids.len();
        self.ids.remove(index);
        let observer = self.observers.remove(lasting + index);
        self.look();
        Some(observer)
    }

    /// Whether there is an observer, or the trace log is written.
    #[inline]
    pub(crate) const fn is_some(&self) -> bool {
        self.is_some
    }

    /// How many observers there are.
    pub(crate) const fn count(&self) -> usize {
        self.observers.len()
    }

    /// Tells the observers of one event, if there are any. A call that panics would keep the calls after it from its
    /// observer, so each event is told by itself.
    #[inline]
    pub(crate) fn tell(&mut self, event: impl FnMut(&mut dyn Observer)) {
        if self.is_some() {
            self.tell_all(event);
        }
    }

    #[cold]
    fn tell_all(&mut self, mut event: impl FnMut(&mut dyn Observer)) {
        for observer in &mut self.observers {
            if let Err(panic) = guard(|| event(&mut **observer)) {
                fault!("an observer {panic}");
            }
        }
    }
}

impl<'a> FinishedReply<'a> {
    /// The record of a reply as the observers get it, if its last byte left `now`.
    pub(crate) fn new(record: &'a ReplyRecord, path: &'a str, now: Moment) -> Self {
        Self {
            method: record.method,
            path: Some(path).filter(|path| !path.is_empty()),
            route: record.route.as_deref(),
            status: record.status,
            received: record.received,
            content: record.content,
            sent: record.head + record.content,
            duration: now.since(record.began),
            handler: record.handler,
            deferred: record.waited,
        }
    }
}
