//! Accepting connections: until the kernel has no more or the budget is used up, and never in a busy loop.
//!
//! With edge triggering the kernel reports waiting connections only once, so the state of each queue is kept here:
//!
//! ```text
//!     Empty ──────── event ───────▶ Ready ── no descriptor to spare, no memory ─▶ Troubled
//!     Empty ◀─ accept: WouldBlock ─ Ready ◀─ ACCEPT_PAUSE, or a connection closes ─ Troubled
//! ```

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::Token;
use rustix::io::Errno;

use super::descriptors::Reserve;
use super::listener::{Accept, Listener};
use super::socket::Socket;
use crate::exchange::Endpoint;
use crate::http::Moment;
use crate::limits::ACCEPT_PAUSE;

/// The listening sockets, and whether a connection may wait at one of them.
pub(super) struct Acceptor<L = Listener> {
    listeners: Vec<Waiting<L>>,
    /// The index of the listener that was tried last.
    turn: usize,
    /// At least one listener may be ready.
    any_ready: bool,
    /// When the listeners in trouble are tried again, unless a connection closes earlier.
    paused_until: Option<Moment>,
    /// Trouble was logged, and no connection has been accepted since. It is logged only once, because a server may stay
    /// at its limit for long.
    logged: bool,
    /// When trouble was logged last. At its limit, a server may accept a connection and fail again many times a second.
    logged_at: Option<Moment>,
    /// The descriptors that connections must not take.
    pub(super) reserve: Reserve,
}

/// Trouble is logged no more often than that.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// So many refusals in a row count as dead connections. After that the listener itself counts as refused.
const MAX_REFUSALS: u32 = 16;

struct Waiting<L> {
    listener: L,
    token: Token,
    queue: Queue,
    /// How many more refusals in a row count as dead connections.
    refusals_left: u32,
}

/// What is known about the connections that wait at a listener.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queue {
    /// No connection waits; an event comes with the next one.
    Empty,
    /// Some connections may wait, and no further event comes for them.
    Ready,
    /// Some connections may wait, but the last attempt to accept one failed for lack of a resource.
    Troubled,
}

/// The result of an attempt to accept.
pub(super) enum Accepted {
    Connection(Socket, Endpoint),
    /// No connection: none waits any more, or the one that waited had died.
    Nothing,
    /// The system lacks a resource; this listener pauses.
    Trouble(io::Error),
}

impl<L: Accept> Acceptor<L> {
    pub(super) const fn new() -> Self {
        Self {
            listeners: Vec::new(),
            turn: 0,
            any_ready: false,
            paused_until: None,
            logged: false,
            logged_at: None,
            reserve: Reserve::NONE,
        }
    }

    pub(super) fn add(&mut self, listener: L, token: Token) {
        self.listeners.push(Waiting { listener, token, queue: Queue::Empty, refusals_left: MAX_REFUSALS });
    }

    /// Records an event for this token. Returns false if no listener has the token.
    pub(super) fn mark_ready(&mut self, token: Token) -> bool {
        let Some(waiting) = self.listeners.iter_mut().find(|waiting| waiting.token == token) else { return false };
        // More clients are no reason to try a listener in trouble earlier.
        if waiting.queue == Queue::Empty {
            waiting.queue = Queue::Ready;
            self.any_ready = true;
        }
        true
    }

    /// Marks all listeners as ready although no event came: for the last round before closing.
    pub(super) fn mark_all_ready(&mut self) {
        self.paused_until = None;
        for waiting in &mut self.listeners {
            waiting.queue = Queue::Ready;
            // A listener that is refused has nothing to wait for any more.
            waiting.refusals_left = u32::MAX;
        }
        self.any_ready = !self.listeners.is_empty();
    }

    /// Whether a call of [`accept`](Self::accept) may return a connection.
    #[inline]
    pub(super) const fn is_ready(&self) -> bool {
        self.any_ready
    }

    /// Whether the kernel has reported that no connection waits.
    pub(super) const fn is_exhausted(&self) -> bool {
        !self.any_ready && self.paused_until.is_none()
    }

    /// Whether the listening sockets are closed.
    pub(super) const fn is_closed(&self) -> bool {
        self.listeners.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.listeners.len()
    }

    /// When to try again after trouble.
    pub(super) const fn paused_until(&self) -> Option<Moment> {
        self.paused_until
    }

    /// Ends the pause, because a descriptor has become free or enough time has passed.
    pub(super) fn resume(&mut self) {
        if self.paused_until.take().is_some() {
            // The others stay as they are: without a free descriptor, Linux fails on an empty queue too.
            let troubled = self.listeners.iter_mut().filter(|waiting| waiting.queue == Queue::Troubled);
            troubled.for_each(|waiting| waiting.queue = Queue::Ready);
            self.any_ready = true;
        }
    }

    /// Tries to accept one connection. The listeners take turns, so that a flood at one does not shut out the others.
    pub(super) fn accept(&mut self, now: Moment) -> Accepted {
        for _ in 0..self.listeners.len() {
            self.turn = (self.turn + 1) % self.listeners.len();
            let waiting = &mut self.listeners[self.turn];
            if waiting.queue != Queue::Ready {
                continue;
            }
            match self.reserve.accept(&waiting.listener) {
                Ok((socket, peer)) => {
                    self.logged = false;
                    waiting.refusals_left = MAX_REFUSALS;
                    return Accepted::Connection(socket, peer);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => waiting.queue = Queue::Empty,
                Err(error) if is_of_one_connection(&error) && waiting.counts_as_dead(&error) => {
                    // A dead connection counts against the caller's budget too: a stream of them must not hold up the
                    // tick.
                    log::debug!("accept: a connection failed before it was accepted: {error}");
                    return Accepted::Nothing;
                }
                Err(error) => {
                    waiting.queue = Queue::Troubled;
                    self.paused_until.get_or_insert(now + ACCEPT_PAUSE);
                    return Accepted::Trouble(error);
                }
            }
        }
        self.any_ready = false;
        Accepted::Nothing
    }

    /// Logs that accepting pauses: once until a connection is accepted, and at most once a second.
    pub(super) fn log_trouble(&mut self, error: &io::Error, now: Moment) {
        if self.is_news(now) {
            fault!("cannot accept a connection: {error}; accepting pauses");
        }
    }

    fn is_news(&mut self, now: Moment) -> bool {
        let news = !self.logged && self.logged_at.is_none_or(|at| now >= at + LOG_PAUSE);
        if news {
            (self.logged, self.logged_at) = (true, Some(now));
        }
        news
    }

    /// Closes the listening sockets if they are open and no connection waits. Returns whether it did.
    pub(super) fn close_if_exhausted(&mut self) -> bool {
        let closes = self.is_exhausted() && !self.is_closed();
        if closes {
            self.close();
        }
        closes
    }

    /// Closes the listening sockets.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
        self.any_ready = false;
        self.paused_until = None;
    }
}

impl<L> Waiting<L> {
    /// Whether the next connection may be tried at once after this error. A firewall that refuses a connection, and a
    /// sandbox that refuses each call for ever, give the same error. The connection is not taken out of the queue then,
    /// so trying at once would never end.
    fn counts_as_dead(&mut self, error: &io::Error) -> bool {
        if ![Errno::PERM, Errno::OPNOTSUPP].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error())) {
            return true;
        }
        let counts = self.refusals_left > 0;
        self.refusals_left = self.refusals_left.saturating_sub(1);
        counts
    }
}

impl Acceptor {
    pub(super) fn local(&self) -> impl Iterator<Item = Endpoint> {
        self.listeners.iter().map(|waiting| waiting.listener.local())
    }
}

/// Whether the error belongs to one connection that died in the queue, so that the next one can be tried at once.
/// accept(2) passes on pending network errors of the new socket. After any other error accepting pauses, which is
/// always safe.
fn is_of_one_connection(error: &io::Error) -> bool {
    let of_one = [
        Errno::INTR,
        Errno::CONNABORTED,
        Errno::CONNRESET,
        Errno::PROTO,
        Errno::NETDOWN,
        Errno::NOPROTOOPT,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::OPNOTSUPP,
        Errno::NETUNREACH,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Errno::NONET,
        Errno::PERM,
        Errno::TIMEDOUT,
    ];
    of_one.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests;
