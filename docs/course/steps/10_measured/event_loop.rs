//! The event loop: one poll, and then the work that it brought. It knows the kernel, and nothing of HTTP.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::app::Service;
use crate::deadlines::SLOT;
use crate::drain::Drain;
use crate::orders::Orders;
use crate::session::Readiness;
use crate::sessions::Sessions;

const LISTENER: Token = Token(usize::MAX);
pub const WAKER: Token = Token(usize::MAX - 1);

pub struct EventLoop {
    poll: Poll,
    events: Events,
    /// `None` when the server accepts no more.
    listener: Option<TcpListener>,
    /// An event has said that connections wait in the listener's queue.
    can_accept: bool,
    pub sessions: Sessions,
    started: Instant,
    orders: Orders,
    drain: Drain,
}

impl EventLoop {
    /// Makes a loop that gets its orders from what `read_orders` makes.
    pub fn new(mut listener: TcpListener, read_orders: impl FnOnce(Waker) -> Orders) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let orders = read_orders(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            listener: Some(listener),
            can_accept: false,
            sessions: Sessions::new(),
            started: Instant::now(),
            orders,
            drain: Drain::Serving,
        })
    }

    /// Sleeps once, and then does all the work that is due.
    pub fn tick(&mut self, service: &mut dyn Service) -> io::Result<()> {
        self.wait()?;
        self.sessions.now = self.started.elapsed();
        self.take_events();
        self.accept()?;
        self.drain();
        self.sessions.pump_runnable(service);
        // What has come before its deadline is read by now. So only the others expire.
        self.sessions.expire_deadlines(service);
        self.forgive();
        self.sessions.reap();
        Ok(())
    }

    /// Whether the drain has ended.
    pub fn is_done(&self) -> bool {
        self.drain.has_begun() && self.sessions.is_empty()
    }

    fn wait(&mut self) -> io::Result<()> {
        let due = self.sessions.next_deadline().into_iter().chain(self.drain.deadline()).min();
        let timeout = due.map(|due| due.saturating_sub(self.started.elapsed()));
        self.sessions.counters.polls += 1;
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn take_events(&mut self) {
        for event in &self.events {
            match event.token() {
                LISTENER => self.can_accept = true,
                // The orders are looked at in each tick.
                WAKER => {}
                Token(key) => self.sessions.tell(
                    key,
                    Readiness {
                        readable: event.is_readable(),
                        writable: event.is_writable(),
                        read_closed: event.is_read_closed(),
                    },
                ),
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while self.can_accept {
            let Some(listener) = &self.listener else { return Ok(()) };
            self.sessions.counters.accepts += 1;
            match listener.accept() {
                Ok((mut socket, _)) => {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut socket, Token(self.sessions.vacant_key()), interest)?;
                    self.sessions.begin(socket);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.can_accept = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Begins the drain when it is ordered: accepts no more, and lets each session look at its socket once more. Cuts
    /// what is left when the drain takes too long.
    fn drain(&mut self) {
        if self.orders.has_drain() && self.drain.begin(self.sessions.now) {
            self.listener = None;
            self.sessions.draining = true;
            self.sessions.look_at_all();
        }
        if self.drain.deadline().is_some_and(|until| self.sessions.now >= until) {
            self.sessions.cut();
        }
    }

    /// The time of a tick is read once. So a handler that blocks makes it wrong for those who are served after it.
    fn forgive(&mut self) {
        let late: Duration = self.started.elapsed() - self.sessions.now;
        if late > SLOT {
            self.sessions.forgive(late);
        }
    }
}
