//! Step 8: one thread for all, so what one session takes, all others wait for.
//!
//!     cargo run --bin 08_fairness [ADDRESS [CLIENTS [none|requests|time|queues]]]
//!
//! New: turns with a budget, and two queues (`turns.rs`). The last argument says up to which rule the rules hold;
//! without it, all do. `GET /count` says how many requests and turns there have been, and `GET /pause` blocks the loop
//! until a line comes from standard input.

mod app;
mod connection;
#[path = "../07_deadlines/deadlines.rs"]
mod deadlines;
#[path = "../06_backpressure/head.rs"]
mod head;
#[path = "../06_backpressure/output.rs"]
mod output;
mod rules;
mod session;
mod turns;

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::{env, io, mem};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use app::App;
use connection::Context;
use deadlines::{Moment, SLOT, TimerLink, Wheel};
use rules::Rules;
use session::{After, Session};
use turns::Queues;

const LISTENER: Token = Token(usize::MAX);

struct EventLoop {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    /// An event has said that connections wait in the listener's queue.
    can_accept: bool,
    sessions: Slab<Session>,
    rules: Rules,
    queues: Queues,
    app: App,
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
    fn new(mut listener: TcpListener, rules: Rules) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            listener,
            can_accept: false,
            sessions: Slab::new(),
            rules,
            queues: Queues::default(),
            app: App::default(),
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

    /// Sleeps until an event comes, or until a session comes up. It does not sleep while a session waits for its turn.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.queues.are_empty() {
            true => self.wheel.next().map(|due| due.saturating_sub(self.started.elapsed())),
            false => Some(Duration::ZERO),
        };
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
                add_to_queue(&mut self.queues, key, session);
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

    /// Gives turns to the sessions that are runnable now, the polite ones first, until the time of the tick is over. A
    /// session that becomes runnable meanwhile has its turn in the next tick.
    fn pump_runnable(&mut self) {
        let (polite, used_up) = (self.queues.polite.len(), self.queues.used_up.len());
        let end = self.rules.end_of_tick();
        self.pump_queue(polite, end, |queues| &mut queues.polite);
        // One of them has a turn in any case, so that it cannot wait for ever.
        self.pump_queue(used_up, end, |queues| &mut queues.used_up);
    }

    fn pump_queue(&mut self, count: usize, end: Instant, queue: impl Fn(&mut Queues) -> &mut VecDeque<usize>) {
        for _ in 0..count {
            let Some(key) = queue(&mut self.queues).pop_front() else { return };
            self.sessions[key].queued = false;
            self.turn(key, Session::pump);
            if Instant::now() >= end {
                return;
            }
        }
    }

    /// Gives a session its turn, and notes what it says of the session.
    fn turn(&mut self, key: usize, work: impl FnOnce(&mut Session, &mut Context<'_>) -> After) {
        self.app.turns += 1;
        let (session, began) = (&mut self.sessions[key], Instant::now());
        let mut cx = Context { now: self.now, app: &mut self.app, budget: self.rules.budget() };
        let after = work(session, &mut cx);
        if self.rules.has_queues {
            session.standing = session.standing.after(began.elapsed(), after == After::Runnable);
        }
        self.note(key, after);
    }

    /// Notes what becomes of a session: it has ended, it waits for another turn, or it comes up at its deadline.
    fn note(&mut self, key: usize, after: After) {
        let session = &mut self.sessions[key];
        match after {
            After::Closed => self.ended.push(key),
            After::Runnable => add_to_queue(&mut self.queues, key, session),
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
            // While it waits for its turn, nobody has looked at what its client has sent. Its turn arms it again.
            if !session.queued {
                self.turn(key, Session::look_at);
            }
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
                let owed = session.connection.output().most();
                println!("session {key}: closed after {} turns; at most {owed} bytes were owed", session.turns);
            }
        }
    }
}

/// Puts a session into the queue of its standing, unless it is in one.
fn add_to_queue(queues: &mut Queues, key: usize, session: &mut Session) {
    if !mem::replace(&mut session.queued, true) {
        queues.add(key, session.standing);
    }
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse().expect("ADDRESS is like 127.0.0.1:7000");
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));
    let rules = arguments.next().map_or(Rules::ALL, |name| Rules::up_to(&name).expect("it is the name of a rule"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut event_loop = EventLoop::new(listener, rules)?;
    while event_loop.served < clients {
        event_loop.tick()?;
    }
    Ok(())
}
