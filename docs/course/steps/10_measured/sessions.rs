//! All sessions: which are runnable, which have ended, and what they share.

use std::collections::VecDeque;
use std::mem;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use slab::Slab;

use crate::app::Service;
use crate::connection::Context;
use crate::counters::Counters;
use crate::deadlines::{Moment, TimerLink, Wheel};
use crate::phase::Reason;
use crate::pools::Pools;
use crate::session::{After, Readiness, Session};
use crate::turns::{Budget, Queues, TICK_TIME, TURN_REQUESTS, TURN_TIME};

pub struct Sessions {
    slab: Slab<Session>,
    queues: Queues,
    wheel: Wheel,
    pools: Pools,
    pub counters: Counters,
    /// The time of this tick. For all that is timed, the whole tick happens then.
    pub now: Moment,
    pub draining: bool,
    /// Sessions that have ended in this tick. They leave the slab at its end, so that no event of the same tick reaches
    /// another session in the same slot.
    ended: Vec<usize>,
    /// How many sessions have ended at all.
    pub served: usize,
}

impl Sessions {
    pub fn new() -> Self {
        Self {
            slab: Slab::new(),
            queues: Queues::default(),
            wheel: Wheel::new(),
            pools: Pools::default(),
            counters: Counters::default(),
            now: Moment::ZERO,
            draining: false,
            ended: Vec::new(),
            served: 0,
        }
    }

    /// The key of the next session.
    pub fn vacant_key(&self) -> usize {
        self.slab.vacant_key()
    }

    pub fn begin(&mut self, socket: TcpStream) {
        let entry = self.slab.vacant_entry();
        let key = entry.key();
        let session = entry.insert(Session::new(socket, self.now));
        let deadline = session.deadline();
        self.wheel.arm(key, &mut session.timer, deadline);
    }

    /// Notes an event.
    pub fn tell(&mut self, key: usize, event: Readiness) {
        if let Some(session) = self.slab.get_mut(key) {
            session.readiness.readable |= event.readable;
            session.readiness.writable |= event.writable;
            session.readiness.read_closed |= event.read_closed;
            add_to_queue(&mut self.queues, key, session);
        }
    }

    /// Makes every session try to read, although no event says that there is anything.
    pub fn look_at_all(&mut self) {
        for (key, session) in &mut self.slab {
            session.readiness.readable = true;
            add_to_queue(&mut self.queues, key, session);
        }
    }

    /// How long the loop may sleep. It does not sleep while a session waits for its turn.
    pub fn next_deadline(&self) -> Option<Moment> {
        if self.queues.are_empty() { self.wheel.next() } else { Some(Moment::ZERO) }
    }

    /// Gives turns to the sessions that are runnable now, the polite ones first, until the time of the tick is over.
    pub fn pump_runnable(&mut self, service: &mut dyn Service) {
        let (polite, used_up) = (self.queues.polite.len(), self.queues.used_up.len());
        let end = Instant::now() + TICK_TIME;
        self.pump_queue(polite, end, service, |queues| &mut queues.polite);
        // One of them has a turn in any case, so that it cannot wait for ever.
        self.pump_queue(used_up, end, service, |queues| &mut queues.used_up);
    }

    fn pump_queue(
        &mut self,
        count: usize,
        end: Instant,
        service: &mut dyn Service,
        queue: impl Fn(&mut Queues) -> &mut VecDeque<usize>,
    ) {
        for _ in 0..count {
            let Some(key) = queue(&mut self.queues).pop_front() else { return };
            self.slab[key].queued = false;
            self.turn(key, service, Session::pump);
            if Instant::now() >= end {
                return;
            }
        }
    }

    /// Looks at the sessions that have come up in the wheel.
    pub fn expire_deadlines(&mut self, service: &mut dyn Service) {
        for (key, link) in self.wheel.take(self.now) {
            match self.slab.get_mut(key) {
                // The entry is of this session, and of its last arming.
                Some(session) if session.timer == link => session.timer = TimerLink::default(),
                _ => continue,
            }
            // While it waits for its turn, nobody has looked at what its client has sent. Its turn arms it again.
            if !self.slab[key].queued {
                self.turn(key, service, Session::look_at);
            }
        }
    }

    /// Gives a session its turn, and then does what it asks for.
    fn turn(
        &mut self,
        key: usize,
        service: &mut dyn Service,
        work: impl FnOnce(&mut Session, &mut Context<'_>, &mut Counters) -> After,
    ) {
        let (session, began) = (&mut self.slab[key], Instant::now());
        let budget = Budget::new(TURN_REQUESTS, TURN_TIME);
        let mut cx = Context { now: self.now, service, pools: &mut self.pools, budget, draining: self.draining };
        let after = work(session, &mut cx, &mut self.counters);
        session.connection.settle(&mut self.pools);
        session.standing = session.standing.after(began.elapsed(), after == After::Runnable);
        match after {
            After::Closed => self.ended.push(key),
            After::Runnable => add_to_queue(&mut self.queues, key, session),
            After::Exhausted => {
                let deadline = session.deadline();
                self.wheel.arm(key, &mut session.timer, deadline);
            }
        }
    }

    /// Adds the time for which a handler has blocked the loop to the deadlines of the sessions that worked in this
    /// tick.
    pub fn forgive(&mut self, late: Duration) {
        let turned = self.slab.iter_mut().filter(|(_, session)| session.activity == self.now);
        turned.for_each(|(_, session)| session.forgive(late));
    }

    /// Ends all sessions that are left.
    pub fn cut(&mut self) {
        for (key, session) in &mut self.slab {
            session.connection.abort(Reason::Cut);
            self.ended.push(key);
        }
    }

    /// Removes the sessions that have ended. That closes their sockets.
    pub fn reap(&mut self) {
        for key in mem::take(&mut self.ended) {
            // A session can end twice in a tick: in its turn, and when it is cut.
            if let Some(session) = self.slab.try_remove(key) {
                self.served += 1;
                let reason = session.connection.reason().expect("it has ended");
                drop(session);
                println!("session {key}: closed: {reason}");
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

/// Puts a session into the queue of its standing, unless it is in one.
fn add_to_queue(queues: &mut Queues, key: usize, session: &mut Session) {
    if !mem::replace(&mut session.queued, true) {
        queues.add(key, session.standing);
    }
}
