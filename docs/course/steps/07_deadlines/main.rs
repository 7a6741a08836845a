//! Step 7: time.
//!
//!     cargo run --bin 07_deadlines [ADDRESS [CLIENTS]]
//!
//! New: each connection has a deadline, computed from its phase. A timer wheel says which session is next, and the poll
//! sleeps no longer than until then. The clock is read once in a tick.

mod connection;
mod deadlines;
mod head;
#[path = "../06_backpressure/output.rs"]
mod output;
mod session;

use std::time::Instant;
use std::{env, io, mem};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use deadlines::Wheel;
use session::{After, Session};

const LISTENER: Token = Token(usize::MAX);

struct EventLoop {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    sessions: Slab<Session>,
    wheel: Wheel,
    /// The time of this tick.
    now: Instant,
    /// Sessions that have ended.
    served: usize,
}

impl EventLoop {
    fn new(mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (events, sessions, now) = (Events::with_capacity(256), Slab::new(), Instant::now());
        Ok(Self { poll, events, listener, sessions, wheel: Wheel::new(now), now, served: 0 })
    }

    /// Sleeps once, and then does all the work that the events and the deadlines bring.
    fn tick(&mut self) -> io::Result<()> {
        let timeout = self.wheel.next().map(|due| due.saturating_duration_since(Instant::now()));
        self.poll.poll(&mut self.events, timeout)?;
        self.now = Instant::now();
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(key) = event.token();
            if event.token() == LISTENER {
                self.accept()?;
            } else if let Some(session) = self.sessions.get_mut(key) {
                session.readiness.readable |= event.is_readable();
                session.readiness.writable |= event.is_writable();
                self.turn(key);
            }
        }
        self.events = events;
        self.expire_deadlines();
        Ok(())
    }

    /// Gives a session its turn, and then arms its deadline.
    fn turn(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        match session.pump(self.now) {
            After::Closed => self.close(key),
            After::Exhausted => {
                let deadline = session.connection.deadline(session.activity);
                self.wheel.arm(&mut self.sessions, key, deadline);
            }
        }
    }

    /// Looks at the sessions that have come up. For most of them it is too early, because something came meanwhile.
    fn expire_deadlines(&mut self) {
        for key in self.wheel.pop(&mut self.sessions, self.now) {
            let session = &mut self.sessions[key];
            if session.connection.deadline(session.activity) <= self.now {
                session.connection.expire();
            }
            self.turn(key);
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut socket, _)) => {
                    let entry = self.sessions.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut socket, Token(entry.key()), interest)?;
                    let key = entry.key();
                    entry.insert(Session::new(socket, self.now));
                    self.turn(key);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn close(&mut self, key: usize) {
        let session = self.sessions.remove(key);
        self.served += 1;
        println!("session {key}: closed; at most {} bytes were owed", session.connection.output().most());
    }
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse().expect("ADDRESS is like 127.0.0.1:7000");
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut event_loop = EventLoop::new(listener)?;
    while event_loop.served < clients {
        event_loop.tick()?;
    }
    Ok(())
}
