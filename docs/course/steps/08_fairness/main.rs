//! Step 8: fairness.
//!
//!     cargo run --bin 08_fairness [ADDRESS [CLIENTS]]
//!
//! New: a turn ends when its budget is used up. Sessions with work to do wait in two queues. All polite sessions have
//! a turn in each tick, and of those that have used up a turn only one does. Between two ticks the loop asks the poll, so
//! a client that has just sent something waits for one such turn at most.

mod connection;
mod deadlines;
mod head;
#[path = "../06_backpressure/output.rs"]
mod output;
mod session;

use std::collections::VecDeque;
use std::time::{Duration, Instant};
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
    /// The keys of the sessions that have work to do. A session is in one queue at most.
    polite: VecDeque<usize>,
    used_up: VecDeque<usize>,
    /// The keys of the sessions that have ended in this tick.
    ended: Vec<usize>,
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
        Ok(Self {
            poll,
            events,
            listener,
            sessions,
            wheel: Wheel::new(now),
            polite: VecDeque::new(),
            used_up: VecDeque::new(),
            ended: Vec::new(),
            now,
            served: 0,
        })
    }

    /// Sleeps at most once, and then does the work that is due.
    fn tick(&mut self) -> io::Result<()> {
        let timeout = match self.polite.is_empty() && self.used_up.is_empty() {
            true => self.wheel.next().map(|due| due.saturating_duration_since(Instant::now())),
            // There is work, so this only asks what has come meanwhile.
            false => Some(Duration::ZERO),
        };
        self.poll.poll(&mut self.events, timeout)?;
        self.now = Instant::now();
        self.take_events()?;
        self.pump_runnable();
        self.expire_deadlines();
        self.reap();
        Ok(())
    }

    /// Notes what the kernel has reported. Nothing is read or written yet.
    fn take_events(&mut self) -> io::Result<()> {
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(key) = event.token();
            if event.token() == LISTENER {
                self.accept()?;
            } else if let Some(session) = self.sessions.get_mut(key) {
                session.readiness.readable |= event.is_readable();
                session.readiness.writable |= event.is_writable();
                self.make_runnable(key);
            }
        }
        self.events = events;
        Ok(())
    }

    /// Puts a session into the queue of its standing, unless it is in one.
    fn make_runnable(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        if !session.closed && !mem::replace(&mut session.queued, true) {
            match session.has_used_up {
                false => self.polite.push_back(key),
                true => self.used_up.push_back(key),
            }
        }
    }

    /// Gives a turn to each polite session, and then to one of those that have used up a turn. A session that becomes
    /// runnable meanwhile has its turn in the next tick.
    fn pump_runnable(&mut self) {
        for _ in 0..self.polite.len() {
            let Some(key) = self.polite.pop_front() else { break };
            self.turn(key);
        }
        if let Some(key) = self.used_up.pop_front() {
            self.turn(key);
        }
    }

    /// Gives a session its turn, and then arms its deadline.
    fn turn(&mut self, key: usize) {
        let session = &mut self.sessions[key];
        session.queued = false;
        if session.closed {
            return;
        }
        let after = session.pump(self.now);
        session.has_used_up = after == After::Runnable;
        match after {
            After::Exhausted => {}
            After::Runnable => self.make_runnable(key),
            After::Closed => {
                session.closed = true;
                return self.ended.push(key);
            }
        }
        let session = &self.sessions[key];
        let deadline = session.connection.deadline(session.activity);
        self.wheel.arm(&mut self.sessions, key, deadline);
    }

    /// Looks at the sessions that have come up. For most of them it is too early, because something came meanwhile.
    fn expire_deadlines(&mut self) {
        for key in self.wheel.pop(&mut self.sessions, self.now) {
            let session = &mut self.sessions[key];
            let deadline = session.connection.deadline(session.activity);
            // A session in a queue waits for us, not for its client.
            if deadline <= self.now && !session.queued {
                session.connection.expire();
                self.make_runnable(key);
            } else {
                self.wheel.arm(&mut self.sessions, key, deadline);
            }
        }
    }

    /// Removes the sessions that have ended. Not earlier, since a key in a queue or an event may still mean them.
    fn reap(&mut self) {
        for key in mem::take(&mut self.ended) {
            self.close(key);
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
                    // This turn only arms the deadline: no event has come yet.
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
        println!("session {key}: {} requests in {} turns", session.connection.requests, session.turns);
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
