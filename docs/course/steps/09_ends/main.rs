//! Step 9: the ends of a connection, and the end of the server.
//!
//!     cargo run --bin 09_ends [ADDRESS [CLIENTS [abrupt]]]
//!
//! New: the half-close and the linger (`connection.rs`, `session.rs`), and the drain: at the end of standard input the
//! server accepts no more, answers what has come, and ends. With `abrupt` it does neither: it closes a socket as soon
//! as the last byte is written, and an idle connection as soon as it is to drain.

mod app;
mod connection;
#[path = "../07_deadlines/deadlines.rs"]
mod deadlines;
#[path = "../06_backpressure/head.rs"]
mod head;
mod orders;
#[path = "../06_backpressure/output.rs"]
#[allow(dead_code, reason = "this step does not print how much was owed")]
mod output;
mod session;
#[path = "../08_fairness/turns.rs"]
mod turns;

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use std::{env, io, mem};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use slab::Slab;

use app::App;
use connection::{Context, Reason};
use deadlines::{Moment, SLOT, TimerLink, Wheel};
use orders::Orders;
use session::{After, Session};
use turns::{Budget, Queues, TICK_TIME, TURN_REQUESTS, TURN_TIME};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// How long a drain may take. What is left then is cut.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

struct EventLoop {
    poll: Poll,
    events: Events,
    /// `None` when the server accepts no more.
    listener: Option<TcpListener>,
    /// An event has said that connections wait in the listener's queue.
    can_accept: bool,
    sessions: Slab<Session>,
    orders: Orders,
    /// The time at which what is left is cut, if the server drains.
    drain_until: Option<Moment>,
    /// Ends connections as the steps before this one did.
    abrupt: bool,
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
    fn new(mut listener: TcpListener, abrupt: bool) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let (orders, lines) = Orders::read(Waker::new(poll.registry(), WAKER)?);
        Ok(Self {
            poll,
            events: Events::with_capacity(256),
            listener: Some(listener),
            can_accept: false,
            sessions: Slab::new(),
            orders,
            drain_until: None,
            abrupt,
            queues: Queues::default(),
            app: App { requests: 0, turns: 0, lines },
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
        if self.orders.has_drain() && self.drain_until.is_none() {
            self.begin_drain();
        }
        self.pump_runnable();
        // What has come before its deadline is read by now. So only the others expire.
        self.expire_deadlines();
        self.forgive();
        self.cut_if_due();
        self.reap();
        Ok(())
    }

    /// Sleeps until an event comes, or until a session comes up. It does not sleep while a session waits for its turn.
    fn wait(&mut self) -> io::Result<()> {
        let timeout = match self.queues.are_empty() {
            true => {
                let due = self.wheel.next().into_iter().chain(self.drain_until).min();
                due.map(|due| due.saturating_sub(self.started.elapsed()))
            }
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
            let Some(listener) = &self.listener else { return Ok(()) };
            match listener.accept() {
                Ok((mut socket, _)) => {
                    let entry = self.sessions.vacant_entry();
                    let key = entry.key();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut socket, Token(key), interest)?;
                    let session = entry.insert(Session::new(socket, self.now, !self.abrupt));
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
        let end = Instant::now() + TICK_TIME;
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
        let mut cx = Context {
            now: self.now,
            app: &mut self.app,
            budget: Budget::new(TURN_REQUESTS, TURN_TIME),
            draining: self.drain_until.is_some(),
        };
        let after = work(session, &mut cx);
        session.standing = session.standing.after(began.elapsed(), after == After::Runnable);
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

    /// Accepts no more, and lets each session look at its socket once more: a request that is in there already is
    /// answered.
    fn begin_drain(&mut self) {
        self.drain_until = Some(self.now + DRAIN_TIMEOUT);
        // What the kernel has accepted was taken above. Now the kernel refuses further clients.
        self.listener = None;
        for (key, session) in &mut self.sessions {
            if self.abrupt && session.connection.is_idle() {
                session.connection.abort(Reason::Drained);
            }
            session.readiness.readable = true;
            add_to_queue(&mut self.queues, key, session);
        }
    }

    /// Cuts the sessions that are left when the drain has taken too long.
    fn cut_if_due(&mut self) {
        if self.drain_until.is_some_and(|until| self.now >= until) {
            for (key, session) in &mut self.sessions {
                session.connection.abort(Reason::Cut);
                self.ended.push(key);
            }
        }
    }

    /// Whether the drain has ended.
    fn is_done(&self) -> bool {
        self.drain_until.is_some() && self.sessions.is_empty()
    }

    /// Removes the sessions that have ended.
    fn reap(&mut self) {
        for key in mem::take(&mut self.ended) {
            // A session can end twice in a tick: in its turn, and at its deadline.
            if let Some(session) = self.sessions.try_remove(key) {
                self.served += 1;
                let reason = session.connection.reason().expect("it has ended");
                // This closes the socket.
                drop(session);
                println!("session {key}: closed: {reason}");
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
    let abrupt = arguments.next().is_some_and(|word| word == "abrupt");

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut event_loop = EventLoop::new(listener, abrupt)?;
    while event_loop.served < clients && !event_loop.is_done() {
        event_loop.tick()?;
    }
    Ok(())
}
