//! Accepting connections: until the kernel has no more or the budget is used up, and never in a busy loop.
//!
//! With edge triggering the kernel reports waiting connections only once, so the state of each queue is kept here:
//!
//! ```text
//!     Empty ──────── event ───────▶ Ready ──── out of descriptors or memory ────▶ Troubled
//!     Empty ◀─ accept: WouldBlock ─ Ready ◀─ ACCEPT_PAUSE, or a connection closes ─ Troubled
//! ```

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::Token;
use rustix::io::Errno;

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
        Self { listeners: Vec::new(), turn: 0, any_ready: false, paused_until: None, logged: false, logged_at: None }
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
            match waiting.listener.accept() {
                Ok((socket, peer)) => {
                    self.logged = false;
                    waiting.refusals_left = MAX_REFUSALS;
                    return Accepted::Connection(socket, peer);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => waiting.queue = Queue::Empty,
                Err(error) if is_of_one_connection(&error) && waiting.counts_as_dead(&error) => {
                    // A dead connection counts against the caller's budget too: a stream of them must not hold up the
                    // tick.
                    log::debug!("a connection failed before it was accepted: {error}");
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
            log::error!("cannot accept a connection: {error}; accepting pauses");
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
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::net::SocketAddr;
    use std::rc::Rc;

    use mio::net::UnixStream;

    use super::*;
    use crate::limits::ACCEPT_BUDGET;

    /// A listener that returns what the test put in: a connection from this port, or an error. Then it would block.
    #[derive(Clone, Default)]
    struct Script {
        steps: Rc<RefCell<VecDeque<Result<u16, Errno>>>>,
        /// What it returns for ever after that, instead of an error that it would block.
        endless: Option<Result<u16, Errno>>,
        calls: Rc<Cell<usize>>,
    }

    impl Script {
        fn endless(step: Result<u16, Errno>) -> Self {
            Self { endless: Some(step), ..Self::default() }
        }

        fn put(&self, steps: impl IntoIterator<Item = Result<u16, Errno>>) {
            self.steps.borrow_mut().extend(steps);
        }
    }

    impl Accept for Script {
        fn accept(&self) -> io::Result<(Socket, Endpoint)> {
            self.calls.set(self.calls.get() + 1);
            assert!(self.calls.get() < 10 * ACCEPT_BUDGET, "accepting does not end");
            let step = self.steps.borrow_mut().pop_front().or(self.endless);
            let port = step.unwrap_or(Err(Errno::AGAIN))?;
            let (socket, _) = UnixStream::pair()?;
            Ok((Socket::Unix(socket), SocketAddr::from(([127, 0, 0, 1], port)).into()))
        }
    }

    /// The result of an attempt, in a form that can be compared.
    #[derive(Debug, PartialEq)]
    enum Brought {
        Port(u16),
        Trouble(Errno),
    }
    use Brought::{Port, Trouble};

    fn acceptor<const N: usize>(scripts: [&Script; N]) -> Acceptor<Script> {
        let mut acceptor = Acceptor::new();
        for (i, script) in scripts.into_iter().enumerate() {
            acceptor.add(script.clone(), Token(i));
            assert!(acceptor.mark_ready(Token(i)));
        }
        acceptor
    }

    /// Accepts for one tick, as `EventLoop::accept` does, and returns all results.
    fn tick(acceptor: &mut Acceptor<Script>, now: Moment) -> Vec<Brought> {
        if acceptor.paused_until().is_some_and(|until| now >= until) {
            acceptor.resume();
        }
        let mut brought = Vec::new();
        for _ in 0..ACCEPT_BUDGET {
            if !acceptor.is_ready() {
                break;
            }
            match acceptor.accept(now) {
                Accepted::Connection(_, peer) => brought.push(Port(peer.port().unwrap())),
                Accepted::Nothing => {}
                Accepted::Trouble(error) => brought.push(Trouble(Errno::from_io_error(&error).unwrap())),
            }
        }
        brought
    }

    const NOW: Moment = Moment::from_nanos(1_000_000_000);

    #[test]
    fn a_connection_that_died_in_the_queue_does_not_hold_up_the_next() {
        use Errno as E;
        let dead = [E::CONNABORTED, E::CONNABORTED, E::CONNABORTED, E::INTR, E::PROTO, E::HOSTUNREACH, E::PERM];
        let script = Script::default();
        script.put(dead.map(Err));
        script.put([Ok(1), Err(E::CONNABORTED), Ok(2)]);
        let mut acceptor = acceptor([&script]);
        assert_eq!(tick(&mut acceptor, NOW), [Port(1), Port(2)]);
        assert_eq!(acceptor.paused_until(), None);
        assert!(acceptor.is_exhausted());
    }

    #[test]
    fn an_endless_stream_of_dead_connections_does_not_hold_up_the_tick() {
        let script = Script::endless(Err(Errno::CONNABORTED));
        let mut acceptor = acceptor([&script]);
        for ticks in 1..=3 {
            assert_eq!(tick(&mut acceptor, NOW), []);
            assert_eq!(script.calls.get(), ticks * ACCEPT_BUDGET);
            assert!(acceptor.is_ready(), "accepting goes on in the next tick");
        }
    }

    /// A sandbox may refuse accept(2) for ever.
    #[test]
    fn a_listener_that_is_refused_for_ever_pauses() {
        for errno in [Errno::PERM, Errno::OPNOTSUPP] {
            let script = Script::endless(Err(errno));
            let mut acceptor = acceptor([&script]);
            assert_eq!(tick(&mut acceptor, NOW), [Trouble(errno)]);
            assert_eq!(script.calls.get(), MAX_REFUSALS as usize + 1);
            assert!(!acceptor.is_ready());
            for pauses in 1..=10 {
                assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE * pauses), [Trouble(errno)]);
                assert_eq!(script.calls.get(), (MAX_REFUSALS + 1 + pauses) as usize, "one call after each pause");
            }
            // Once it is permitted, all is as before.
            script.put([Ok(1), Err(errno), Ok(2)]);
            assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE * 11)[..2], [Port(1), Port(2)]);
            // In the last round before closing, there is no pause.
            acceptor.mark_all_ready();
            assert!(tick(&mut acceptor, NOW + ACCEPT_PAUSE * 12).is_empty());
            assert_eq!(acceptor.paused_until(), None);
        }
    }

    #[test]
    fn trouble_is_logged_at_most_once_a_second() {
        let script = Script::default();
        let mut acceptor = acceptor([&script]);
        let mut logged = Vec::new();
        // For three seconds, a connection is accepted, and the next one finds no descriptor, 100 times a second.
        for at in 0..300 {
            let now = NOW + Duration::from_millis(10) * at;
            script.put([Ok(1), Err(Errno::MFILE)]);
            acceptor.resume();
            acceptor.mark_ready(Token(0));
            assert_eq!(tick(&mut acceptor, now), [Port(1), Trouble(Errno::MFILE)]);
            if acceptor.is_news(now) {
                logged.push(at);
            }
        }
        assert_eq!(logged, [0, 100, 200]);
        // As long as no connection is accepted, there is no further news.
        assert!(acceptor.is_news(NOW + Duration::from_secs(60)));
        assert!(!acceptor.is_news(NOW + Duration::from_secs(120)));
    }

    #[test]
    fn accepting_pauses_when_any_resource_is_missing_and_goes_on_after_the_pause() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::INVAL] {
            let script = Script::default();
            script.put([Ok(1), Err(errno), Err(errno), Ok(2)]);
            let mut acceptor = acceptor([&script]);
            assert_eq!(tick(&mut acceptor, NOW), [Port(1), Trouble(errno)]);
            assert_eq!(acceptor.paused_until(), Some(NOW + ACCEPT_PAUSE));

            // Nothing ends the pause early, not even new clients.
            for _ in 0..10 {
                acceptor.mark_ready(Token(0));
                assert!(!acceptor.is_ready() && !acceptor.is_exhausted());
                assert_eq!(tick(&mut acceptor, NOW), []);
            }
            assert_eq!(script.calls.get(), 2, "{errno}");

            let later = NOW + ACCEPT_PAUSE;
            assert_eq!(tick(&mut acceptor, later), [Trouble(errno)], "the resource is still missing");
            assert_eq!(acceptor.paused_until(), Some(later + ACCEPT_PAUSE));
            assert_eq!(tick(&mut acceptor, later + ACCEPT_PAUSE), [Port(2)]);
            assert!(acceptor.is_exhausted());
        }
    }

    #[test]
    fn a_closed_connection_ends_the_pause_at_once() {
        let script = Script::default();
        script.put([Err(Errno::MFILE), Ok(1)]);
        let mut acceptor = acceptor([&script]);
        assert_eq!(tick(&mut acceptor, NOW), [Trouble(Errno::MFILE)]);
        acceptor.resume();
        assert!(acceptor.is_ready());
        assert_eq!(tick(&mut acceptor, NOW), [Port(1)]);

        // Without a pause a closed connection changes nothing: it does not cause a useless call of accept(2).
        acceptor.resume();
        assert!(!acceptor.is_ready());
    }

    #[test]
    fn a_listener_in_trouble_does_not_hold_up_the_other() {
        let (broken, sound) = (Script::endless(Err(Errno::INVAL)), Script::default());
        for scripts in [[&broken, &sound], [&sound, &broken]] {
            let mut acceptor = acceptor(scripts);
            let token = Token(usize::from(acceptor.listeners[1].listener.endless.is_none()));
            sound.put([Ok(1), Ok(2)]);
            let mut brought = tick(&mut acceptor, NOW);
            brought.retain(|one| *one != Trouble(Errno::INVAL));
            assert_eq!(brought, [Port(1), Port(2)]);

            // The sound listener accepts while the other one pauses.
            sound.put([Ok(3)]);
            assert!(acceptor.mark_ready(token) && acceptor.is_ready());
            assert_eq!(tick(&mut acceptor, NOW), [Port(3)]);
            assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE), [Trouble(Errno::INVAL)], "it is tried again");
        }
    }

    #[test]
    fn trouble_at_a_second_listener_does_not_make_the_pause_longer() {
        let scripts = [Script::default(), Script::default()];
        scripts.iter().for_each(|script| script.put([Err(Errno::MFILE), Ok(1)]));
        let mut acceptor = Acceptor::new();
        scripts.iter().enumerate().for_each(|(i, script)| acceptor.add(script.clone(), Token(i)));
        acceptor.mark_ready(Token(0));
        assert_eq!(tick(&mut acceptor, NOW), [Trouble(Errno::MFILE)]);
        acceptor.mark_ready(Token(1));
        assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE / 2), [Trouble(Errno::MFILE)]);
        assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE), [Port(1), Port(1)]);
    }

    #[test]
    fn a_listener_without_clients_does_not_hold_up_the_other() {
        let (empty, busy) = (Script::default(), Script::default());
        for scripts in [[&empty, &busy], [&busy, &empty]] {
            busy.put([Ok(1), Ok(2)]);
            let mut acceptor = acceptor(scripts);
            assert_eq!(tick(&mut acceptor, NOW), [Port(1), Port(2)]);
            assert!(acceptor.is_exhausted());
        }
        assert_eq!(empty.calls.get(), 2, "it is tried once for each event");

        let mut acceptor = acceptor([&empty, &busy]);
        busy.put([Err(Errno::MFILE), Ok(3)]);
        assert_eq!(tick(&mut acceptor, NOW), [Trouble(Errno::MFILE)]);
        assert_eq!(tick(&mut acceptor, NOW + ACCEPT_PAUSE), [Port(3)]);
        assert_eq!(empty.calls.get(), 3, "the end of the other's pause does not count as an event");
    }

    #[test]
    fn a_flood_at_one_listener_does_not_shut_out_the_other() {
        let floods = [Script::endless(Ok(1)), Script::endless(Ok(2))];
        let mut acceptor = acceptor([&floods[0], &floods[1]]);
        let brought = tick(&mut acceptor, NOW);
        assert_eq!(brought.len(), ACCEPT_BUDGET);
        assert_eq!(brought.iter().filter(|one| **one == Port(1)).count(), ACCEPT_BUDGET / 2);
        // The same holds when only one connection can be accepted now and then, as at `max_connections`.
        let next = |acceptor: &mut Acceptor<Script>| match acceptor.accept(NOW) {
            Accepted::Connection(_, peer) => peer.port().unwrap(),
            _ => panic!("no connection"),
        };
        assert_ne!(next(&mut acceptor), next(&mut acceptor));
    }
}
