//! Step 7: what must happen at some time although nothing happens.
//!
//!     cargo run --bin 07_deadlines [ADDRESS [CLIENTS]]
//!
//! New: the connection says until when it waits, and a timer wheel has each session come up at that time. The poll
//! sleeps no longer than until then. `GET /block/NUMBER` is new, too: a handler that blocks the loop for so many
//! milliseconds, as no handler should.

mod connection;
mod deadlines;
#[path = "../06_backpressure/head.rs"]
mod head;
#[path = "../06_backpressure/output.rs"]
mod output;
mod session;

use std::time::Instant;
use std::{env, io, mem};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use deadlines::{Moment, SLOT, TimerLink, Wheel};
use session::{After, Session};

const LISTENER: Token = Token(usize::MAX);

struct EventLoop {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    /// An event has said that connections wait in the listener's queue.
    can_accept: bool,
    sessions: Slab<Session>,
    /// Sessions that an event was for, in the order of the events.
    runnable: Vec<usize>,
    wheel: Wheel,
    started: Instant,
    /// The time of this tick. For all that is timed, the whole tick happens then.
    now: Moment,
    /// Sessions that have ended in this tick.
    ended: Vec<usize>,
    /// Sessions that have ended at all.
    served: usize,
}

impl EventLoop {
    fn new(mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            listener,
            can_accept: false,
            sessions: Slab::new(),
            runnable: Vec::new(),
            wheel: Wheel::new(),
            started: Instant::now(),
            now: Moment::ZERO,
            ended: Vec::new(),
            served: 0,
        })
    }

    /// Sleeps once, and then does all the work that is due.
    fn tick(&mut self) -> io::Result<()> {
        self.wait()?;
        self.now = self.started.elapsed();
        self.take_events();
        self.accept()?;
        self.pump_runnable();
        // What has come before its deadline is read by now. So only the others expire.
        self.expire_deadlines();
        self.forgive();
        self.reap();
        Ok(())
    }

    /// Sleeps until an event comes, or until a session comes up.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = self.wheel.next().map(|due| due.saturating_sub(self.started.elapsed()));
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn take_events(&mut self) {
        for event in &self.events {
            let Token(key) = event.token();
            if event.token() == LISTENER {
                self.can_accept = true;
            } else if let Some(session) = self.sessions.get_mut(key) {
                session.readiness.readable |= event.is_readable();
                session.readiness.writable |= event.is_writable();
                self.runnable.push(key);
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        while self.can_accept {
            match self.listener.accept() {
                Ok((mut socket, _)) => {
                    let entry = self.sessions.vacant_entry();
                    let key = entry.key();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut socket, Token(key), interest)?;
                    let session = entry.insert(Session::new(socket, self.now));
                    let deadline = session.deadline();
                    self.wheel.arm(key, &mut session.timer, deadline);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.can_accept = false,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn pump_runnable(&mut self) {
        for key in mem::take(&mut self.runnable) {
            let after = self.sessions[key].pump(self.now);
            self.note(key, after);
        }
    }

    /// Notes what becomes of a session: it has ended, or it comes up at its deadline.
    fn note(&mut self, key: usize, after: After) {
        let session = &mut self.sessions[key];
        match after {
            After::Closed => self.ended.push(key),
            After::Exhausted => {
                let deadline = session.deadline();
                self.wheel.arm(key, &mut session.timer, deadline);
            }
        }
    }

    /// Looks at the sessions that have come up.
    fn expire_deadlines(&mut self) {
        for (key, link) in self.wheel.take(self.now) {
            let Some(session) = self.sessions.get_mut(key) else { continue };
            if session.timer != link {
                // The entry is of a session that has ended, or that was armed for an earlier time meanwhile.
                continue;
            }
            session.timer = TimerLink::default();
            let after = session.look_at(self.now);
            self.note(key, after);
        }
    }

    /// Adds the time for which a handler has blocked the loop to the deadlines that were counted from the beginning of
    /// the tick.
    fn forgive(&mut self) {
        let late = self.started.elapsed() - self.now;
        if late > SLOT {
            let turned = self.sessions.iter_mut().filter(|(_, session)| session.activity == self.now);
            turned.for_each(|(_, session)| session.forgive(late));
        }
    }

    /// Removes the sessions that have ended.
    fn reap(&mut self) {
        for key in mem::take(&mut self.ended) {
            // A session can end twice in a tick: in its turn, and at its deadline.
            if let Some(session) = self.sessions.try_remove(key) {
                self.served += 1;
                println!("session {key}: closed; at most {} bytes were owed", session.connection.output().most());
            }
        }
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
