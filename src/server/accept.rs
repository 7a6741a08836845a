//! Accepting: until the kernel has no more or the budget is used up, and never in a spin.

use std::io::{self, ErrorKind};

use mio::Token;
use rustix::io::Errno;

use super::listener::Listener;
use super::socket::Socket;
use crate::exchange::Endpoint;
use crate::http::Moment;
use crate::limits::ACCEPT_PAUSE;

/// The listening sockets, and whether there is something to accept.
#[derive(Default)]
pub(super) struct Acceptor {
    listeners: Vec<Waiting>,
    /// One of them is ready.
    any_ready: bool,
    /// No descriptor was free: wait until then, or until a connection closes.
    paused_until: Option<Moment>,
}

struct Waiting {
    listener: Listener,
    token: Token,
    /// The last accept brought a connection, so another may wait: no further edge comes for it.
    ready: bool,
}

/// What an attempt to accept brought.
pub(super) enum Accepted {
    Connection(Socket, Endpoint),
    /// Nothing waits any more, or nothing can be taken now.
    Nothing,
    /// The system is out of something; accepting pauses.
    Trouble(io::Error),
}

impl Acceptor {
    pub(super) fn add(&mut self, listener: Listener, token: Token) {
        self.listeners.push(Waiting { listener, token, ready: false });
    }

    /// An event came for this token; false if it is none of ours.
    pub(super) fn mark_ready(&mut self, token: Token) -> bool {
        let found = self.listeners.iter_mut().find(|waiting| waiting.token == token);
        let found = found.map(|waiting| waiting.ready = true).is_some();
        self.any_ready |= found;
        found
    }

    /// Pretends that events came for all: for the last round before closing.
    pub(super) fn mark_all_ready(&mut self) {
        self.paused_until = None;
        self.listeners.iter_mut().for_each(|waiting| waiting.ready = true);
        self.any_ready = !self.listeners.is_empty();
    }

    /// Whether a call of [`accept`](Self::accept) may bring a connection.
    #[inline]
    pub(super) fn is_ready(&self) -> bool {
        self.any_ready && self.paused_until.is_none()
    }

    /// Whether the kernel has said that nothing waits.
    pub(super) const fn is_exhausted(&self) -> bool {
        !self.any_ready
    }

    /// Whether the listening sockets are closed.
    pub(super) const fn is_closed(&self) -> bool {
        self.listeners.is_empty()
    }

    /// How many listening sockets there are.
    pub(super) const fn len(&self) -> usize {
        self.listeners.len()
    }

    /// When to try again after trouble.
    pub(super) const fn paused_until(&self) -> Option<Moment> {
        self.paused_until
    }

    /// A descriptor has become free, or enough time has passed.
    pub(super) const fn resume(&mut self) {
        self.paused_until = None;
    }

    /// Accepts one connection.
    pub(super) fn accept(&mut self, now: Moment) -> Accepted {
        while let Some(waiting) = self.listeners.iter_mut().find(|waiting| waiting.ready) {
            match waiting.listener.accept() {
                Ok((socket, peer)) => return Accepted::Connection(socket, peer),
                Err(error) if error.kind() == ErrorKind::WouldBlock => waiting.ready = false,
                Err(error) if is_of_one_connection(&error) => log::debug!("accept: {error}"),
                Err(error) => {
                    // The listener stays ready: with edge triggering, what waits in it is not announced again.
                    self.paused_until = Some(now + ACCEPT_PAUSE);
                    return Accepted::Trouble(error);
                }
            }
        }
        self.any_ready = false;
        Accepted::Nothing
    }

    /// Closes the listening sockets.
    pub(super) fn close(&mut self) {
        self.listeners.clear();
        self.any_ready = false;
        self.paused_until = None;
    }

    pub(super) fn local(&self) -> impl Iterator<Item = Endpoint> {
        self.listeners.iter().map(|waiting| waiting.listener.local())
    }
}

/// Whether the error belongs to a connection that died in the queue, so that the next one can be tried at once:
/// accept(2) hands over pending network errors of the new socket.
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
        Errno::PERM,
        Errno::TIMEDOUT,
    ];
    of_one.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
