//! The sessions of an event loop: their slab, the queue of runnable sessions, and their deadlines. Nothing here depends
//! on a real socket. The server drives sessions with mio, a [`TestClient`](crate::TestClient) drives them in memory,
//! and the tests drive them with a simulated kernel.
//!
//! ```text
//!     tell ──▶ runnable ──▶ pump ──▶ exhausted, runnable again, or ended ──▶ reap
//!                 ▲                      │ armed
//!                 └──── expire ◀── wheel ┘
//! ```
//!
//! Reading order: this file, `turns`, `queues` and `timekeeper` (who works when), `session` (the pump), `readiness`,
//! `deadlines` (the wheel), `look`, `memory`, `reap` (the end);
//! and for recordings `witness`, `telling`, `replaying`.

mod deadlines;
mod happenings;
#[cfg(feature = "live")]
mod inspection;
mod look;
mod memory;
mod queues;
mod readiness;
mod reap;
#[cfg(feature = "live")]
mod replaying;
mod session;
#[cfg(test)]
mod simulation;
#[cfg_attr(not(feature = "live"), path = "untold.rs")]
mod telling;
#[cfg(all(test, feature = "json"))]
mod tests;
mod timekeeper;
mod trace;
mod transport;
mod turns;
#[cfg(feature = "live")]
mod witness;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use slab::Slab;

pub(crate) use happenings::{Cause, Happened};
#[cfg(feature = "live")]
pub use inspection::{ConnectionView, PoolView, Queue, QueueLengths};
pub(crate) use look::Polled;
pub(crate) use readiness::Readiness;
#[cfg(feature = "live")]
pub(crate) use replaying::Repeated;
#[cfg(feature = "live")]
pub(crate) use session::After;
pub(crate) use session::Session;
pub(crate) use transport::{Transport, send_by_reading};
#[cfg(feature = "live")]
pub(crate) use witness::{Opened, TurnBegins, TurnEnded, Witness};

use crate::config::Config;
use crate::exchange::{
    Clock, ConnectionId, Draining, Endpoint, Letter, Mailbox, Observer, Outbox, Reply, Service, Ticket, Watch, dispose,
};
use crate::fault;
use crate::h1::Pools;
use crate::http::{Millis, Moment};
use crate::limits::{EXPIRE_BUDGET, FILE_TURN, FILE_TURN_AMONG_OTHERS, POSTED_BUDGET};
use crate::wire::Scratch;
use deadlines::Wheel;
use look::Look;
use queues::Queues;
use timekeeper::Timekeeper;
#[cfg(feature = "live")]
use witness::Told;

/// All sessions of a loop, and what they share.
pub(crate) struct Sessions<T> {
    pub(crate) config: Config,
    pub(crate) watch: Watch,
    slab: Slab<Session<T>>,
    /// The sessions that have work to do.
    queues: Queues,
    /// Keys of the polite sessions that have a turn in this tick.
    turns: Vec<u32>,
    /// Keys of the sessions that have ended. They leave the slab only in `reap`. Otherwise a later event of the same
    /// batch could reach a new session in the same slot.
    ended: Vec<u32>,
    wheel: Wheel,
    pools: Pools,
    scratch: Scratch,
    reply: Reply,
    mailbox: Arc<Mailbox>,
    /// Where the application leaves wake-ups on this thread.
    outbox: Rc<Outbox>,
    /// Letters that were taken from the mailbox and not delivered yet, the first one last.
    letters: Vec<(Ticket, Letter)>,
    next_id: u64,
    time: Timekeeper,
    look: Look,
    pub(crate) draining: Draining,
    /// Whether a signal came in this tick, which may have cut a read short.
    pub(crate) interrupted: bool,
    /// File bytes that each session may send in its turn of this tick.
    file_bytes: usize,
    /// The witness of what the sessions do, if there is one.
    #[cfg(feature = "live")]
    told: Told,
    /// The keys of the sessions that have had turns, in their order. The simulation takes them.
    #[cfg(test)]
    given: Vec<u32>,
}

impl<T> Sessions<T> {
    pub(crate) fn new(
        config: Config,
        observers: Vec<Box<dyn Observer>>,
        clock: Box<dyn Clock>,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        let mut time = Timekeeper::new(clock);
        let pools = Pools::new(config.max_memory.unwrap_or(usize::MAX));
        let server_name = config.server_name.as_deref();
        let mut reply = Reply::new(server_name, config.max_response_buffer, time.wall_clock(), Arc::clone(&mailbox));
        reply.set_room(pools.ledger.room_for_reply());
        Self {
            watch: Watch::new(observers),
            slab: Slab::new(),
            queues: Queues::default(),
            turns: Vec::new(),
            ended: Vec::new(),
            wheel: Wheel::new(),
            pools,
            scratch: Scratch::default(),
            reply,
            outbox: Outbox::new(Arc::clone(&mailbox)),
            mailbox,
            letters: Vec::new(),
            next_id: 1,
            look: Look::new(time.now),
            time,
            draining: Draining::No,
            interrupted: false,
            file_bytes: FILE_TURN,
            #[cfg(feature = "live")]
            told: Told::default(),
            #[cfg(test)]
            given: Vec::new(),
            config,
        }
    }

    // ---- the tick ---------------------------------------------------------------------------------------------------

    #[inline]
    pub(crate) const fn now(&self) -> Moment {
        self.time.now
    }

    /// Reads the clock.
    #[inline]
    pub(crate) fn read_clock(&mut self) -> Moment {
        self.time.clock.now()
    }

    /// Reads the time of day.
    pub(crate) fn wall_clock(&mut self) -> SystemTime {
        self.time.wall_clock()
    }

    /// Begins a part of the tick that has work. Returns until when it goes on, unless its work is done before.
    #[inline]
    pub(crate) fn begin_part(&mut self) -> Moment {
        self.time.begin_part()
    }

    /// Reads the clock after a piece of work, and returns whether the part of the tick is over.
    #[inline]
    pub(crate) fn is_over(&mut self, end_of_part: Moment) -> bool {
        self.time.has_come(end_of_part)
    }

    /// Adds `late` to the deadlines of the sessions that read or wrote in the last tick. The tick took so long that the
    /// loop could not read what their clients sent, and these deadlines count from its beginning.
    #[cold]
    pub(crate) fn forgive(&mut self, late: Duration) {
        let now = self.time.now;
        self.note(Happened::Forgiven { late, at: now });
        let turned = self.slab.iter_mut().filter(|(_, session)| session.activity == now);
        turned.for_each(|(_, session)| session.forgive(late));
    }

    /// Begins a tick, whose time is `now`.
    #[inline]
    pub(crate) const fn set_now(&mut self, now: Moment) {
        self.time.begin_tick(now);
    }

    /// Notes what a poll has told that began after the time `before`.
    #[inline]
    pub(crate) fn note_poll(&mut self, polled: Polled, before: Moment) {
        self.look.note(polled, before, self.slab.len());
    }

    /// All that came before this time has been looked at. A deadline after it is not judged yet: the client may have
    /// kept it.
    #[inline]
    pub(crate) const fn looked_until(&self) -> Moment {
        self.look.until()
    }

    /// Sets the `Date` field of the replies from now on.
    pub(crate) fn set_date(&mut self, wall_clock: SystemTime) {
        fault::renew();
        self.watch.look();
        self.note(Happened::Second(wall_clock));
        self.reply.set_date(wall_clock);
    }

    /// Frees large buffers that were not used since the last call, which was about a second ago, and room for many
    /// sessions if few are left.
    pub(crate) fn trim(&mut self) {
        self.pools.trim();
        self.shrink_tables();
    }

    /// Whether [`trim`](Self::trim) should be called in a second even if no event comes until then.
    pub(crate) fn wants_trim(&self) -> bool {
        self.pools.want_trim() || self.witness_is_behind()
    }

    /// Sets how far the server is on its way to the end.
    pub(crate) fn set_draining(&mut self, draining: Draining) {
        self.note(Happened::Draining(draining));
        self.draining = draining;
    }

    /// How many sessions have not been reaped.
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }

    /// How many sessions have work to do, for which no further event will come.
    #[inline]
    pub(crate) fn runnable(&self) -> usize {
        self.queues.len()
    }

    /// Whether there is work for which no event will come: a session is runnable, or one that has ended is to be
    /// removed.
    #[inline]
    pub(crate) fn has_work(&self) -> bool {
        !self.queues.is_empty() || self.has_ended()
    }

    /// Whether sessions have ended that [`reap`](Self::reap) did not remove yet.
    #[inline]
    pub(crate) const fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The earliest moment at which a deadline may pass.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.wheel.next()
    }

    /// Adds an observer, and tells it about the connections that are already open.
    pub(crate) fn add_observer(&mut self, observer: Box<dyn Observer>) {
        let mut new = Watch::new(vec![observer]);
        self.introduce(&mut new);
        self.watch.append(new);
    }

    /// Tells new observers about the connections that are already open.
    pub(crate) fn introduce(&self, new: &mut Watch) {
        for (_, Session { connection, id, peer, .. }) in &self.slab {
            new.tell(|observer| observer.connection_opened(*id, peer));
            if connection.is_upgraded() {
                new.tell(|observer| observer.upgraded(*id));
            }
            if connection.is_held() {
                new.tell(|observer| observer.backpressure(*id, true));
            }
        }
    }

    /// Takes the number of the next connection.
    pub(crate) const fn next_id(&mut self) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// A session by its key.
    pub(crate) fn get(&self, key: usize) -> Option<&Session<T>> {
        self.slab.get(key)
    }

    #[cfg(all(any(test, fuzzing), feature = "json"))]
    pub(crate) const fn pools(&self) -> &Pools {
        &self.pools
    }

    /// The key that the next session will have.
    pub(crate) fn vacant_key(&self) -> usize {
        self.slab.vacant_key()
    }
}

impl<T> Drop for Sessions<T> {
    /// Closes the mailbox and the outbox and disposes of the letters, because nothing will read them any more.
    fn drop(&mut self) {
        self.mailbox.close();
        self.outbox.close();
        std::mem::take(&mut self.letters).into_iter().for_each(|(_, letter)| dispose(letter));
    }
}

impl<T: Transport> Sessions<T> {
    /// Begins a session in the [vacant slot](Self::vacant_key).
    pub(crate) fn begin(&mut self, transport: T, peer: Endpoint, id: ConnectionId, idle_timeout: Duration) {
        let session = Session::new(transport, peer, id, Millis::from(idle_timeout), self.time.now);
        let deadline = session.deadline(&self.config);
        session.trace_deadline(&self.config, self.time.now, None);
        let key = self.slab.insert(session);
        self.wheel.arm(&mut self.slab, key, deadline);
        self.note_opened(key, idle_timeout);
        self.watch.tell(|observer| observer.connection_opened(id, &peer));
    }

    /// Expires overdue sessions, at most [`EXPIRE_BUDGET`] in a tick and for no longer than a part of it. The rest are
    /// due in the next tick.
    ///
    /// **Invariant**: a session expires only if all that its client sent before the deadline has been looked at.
    #[inline]
    pub(crate) fn expire_deadlines(&mut self, service: &mut dyn Service) {
        let looked_until = self.looked_until();
        if let Some(first) = self.wheel.pop(&mut self.slab, looked_until) {
            self.expire_from(first, looked_until, service);
        }
    }

    #[inline(never)]
    fn expire_from(&mut self, first: usize, looked_until: Moment, service: &mut dyn Service) {
        let end = self.begin_part();
        self.expire(first, looked_until, service);
        for _ in 1..EXPIRE_BUDGET {
            if self.time.had_come(end) {
                return;
            }
            let Some(next) = self.wheel.pop(&mut self.slab, looked_until) else { return };
            self.expire(next, looked_until, service);
        }
    }

    /// Expires a session that has come up in the wheel, if its deadline has passed.
    fn expire(&mut self, key: usize, looked_until: Moment, service: &mut dyn Service) {
        let has_letters = self.has_letters();
        let session = &mut self.slab[key];
        if session.closed {
            return;
        }
        let deadline = session.deadline(&self.config);
        // An answer may be among the letters that are not delivered yet.
        let awaits_letter = has_letters && session.connection.waits_for_application();
        if session.queued && !session.connection.is_overdue(looked_until) {
            // Nobody has looked yet at what the session has received. Its turn arms the deadline again.
        } else if deadline > looked_until || awaits_letter {
            let left = deadline.since(looked_until);
            log::trace!(
                "conn {}: it comes up in the timer wheel {left:?} before its deadline: armed again",
                session.id
            );
            self.wheel.arm(&mut self.slab, key, deadline);
        } else {
            self.note_cause(Cause::Deadline);
            self.timed_turn(key, service, &mut Session::expire);
        }
    }

    /// Delivers letters of other threads, at most [`POSTED_BUDGET`] in a tick and for no longer than a part of it. A
    /// letter for an exchange that is over is dropped.
    pub(crate) fn deliver(&mut self, service: &mut dyn Service) {
        if self.letters.is_empty() {
            self.mailbox.take(&mut self.letters);
            self.outbox.take(&mut self.letters);
            self.letters.reverse();
        }
        if self.letters.len() > 1 {
            self.file_bytes = FILE_TURN_AMONG_OTHERS;
        }
        let end = self.begin_part();
        for _ in 0..POSTED_BUDGET {
            let Some((ticket, letter)) = self.letters.pop() else { return };
            let key = ticket.slot as usize;
            match self.slab.get(key) {
                Some(session) if !session.closed && session.connection.awaits(ticket) => {
                    log::trace!("conn {}: a letter has come: {letter}", session.id);
                    self.deliver_to(key, letter, service);
                    if self.time.had_come(end) {
                        return;
                    }
                }
                _ => {
                    log::trace!("a letter for slot {key} is dropped: its exchange is over");
                    dispose(letter);
                }
            }
        }
    }

    /// Gives a session its turn with a letter that it awaits.
    fn deliver_to(&mut self, key: usize, letter: Letter, service: &mut dyn Service) {
        self.note_cause(Cause::of(&letter));
        let mut letter = Some(letter);
        self.timed_turn(key, service, &mut |session, cx| {
            let Some(letter) = letter.take() else { return };
            // The idle timeout begins again: the client could not send while its content was paused, and waited while
            // its reply was awaited.
            if matches!(letter, Letter::Resume | Letter::Answer(_) | Letter::Unanswered) {
                session.activity = cx.now;
            }
            session.connection.deliver(cx, letter);
        });
    }

    /// Whether letters were taken from the mailbox and not delivered yet.
    #[inline]
    pub(crate) fn has_letters(&self) -> bool {
        !self.letters.is_empty()
    }

    /// The mailbox from which the loop takes letters.
    #[inline]
    pub(crate) fn mailbox(&self) -> &Mailbox {
        &self.mailbox
    }
}
