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
//! Reading order: this file, `session` (the pump), `readiness`, `deadlines` (the wheel), `look`.

mod deadlines;
mod look;
mod readiness;
mod session;
#[cfg(test)]
mod simulation;
#[cfg(all(test, feature = "json"))]
mod tests;
mod transport;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use slab::Slab;

pub(crate) use look::Polled;
pub(crate) use readiness::Readiness;
pub(crate) use session::Session;
pub(crate) use transport::{Transport, send_by_reading};

use crate::config::Config;
use crate::exchange::{
    CloseReason, ConnectionId, Draining, Endpoint, Letter, Mailbox, Observer, Reply, Service, Ticket, Watch, dispose,
};
use crate::h1::{Context, Pools};
use crate::http::{Millis, Moment};
use crate::limits::{EXPIRE_BUDGET, FILE_TICK, FILE_TURN, FILE_TURN_AMONG_OTHERS, POSTED_BUDGET};
use crate::wire::Scratch;
use deadlines::Wheel;
use look::Look;
use session::{After, Turn};

/// All sessions of a loop, and what they share.
pub(crate) struct Sessions<T> {
    pub(crate) config: Config,
    pub(crate) watch: Watch,
    slab: Slab<Session<T>>,
    /// Keys of the sessions that have work to do, for which no further event will come.
    runnable: Vec<u32>,
    /// Keys of the sessions that have a turn in this tick.
    turns: Vec<u32>,
    /// Keys of the sessions that have ended. They leave the slab only in `reap`. Otherwise a later event of the same
    /// batch could reach a new session in the same slot.
    ended: Vec<u32>,
    wheel: Wheel,
    pools: Pools,
    scratch: Scratch,
    reply: Reply,
    mailbox: Arc<Mailbox>,
    /// Letters that were taken from the mailbox and not delivered yet, the first one last.
    letters: Vec<(Ticket, Letter)>,
    next_id: u64,
    /// The time of this tick.
    now: Moment,
    look: Look,
    pub(crate) draining: Draining,
    /// Whether a signal came in this tick, which may have cut a read short.
    pub(crate) interrupted: bool,
    /// File bytes that each session may send in its turn of this tick.
    file_bytes: usize,
}

impl<T> Sessions<T> {
    pub(crate) fn new(
        config: Config,
        observer: Option<Box<dyn Observer>>,
        now: Moment,
        wall_clock: SystemTime,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self {
            watch: Watch::new(observer),
            slab: Slab::new(),
            runnable: Vec::new(),
            turns: Vec::new(),
            ended: Vec::new(),
            wheel: Wheel::new(),
            pools: Pools::new(),
            scratch: Scratch::default(),
            reply: Reply::new(
                config.server_name.as_deref(),
                config.max_response_buffer,
                wall_clock,
                Arc::clone(&mailbox),
            ),
            mailbox,
            letters: Vec::new(),
            next_id: 1,
            now,
            look: Look::new(now),
            draining: Draining::No,
            interrupted: false,
            file_bytes: FILE_TURN,
            config,
        }
    }

    // ---- the tick ---------------------------------------------------------------------------------------------------

    #[inline]
    pub(crate) const fn now(&self) -> Moment {
        self.now
    }

    /// Adds `late` to the deadlines of the sessions that read or wrote in the last tick. The tick took so long that the
    /// loop could not read what their clients sent, and these deadlines count from its beginning.
    #[cold]
    pub(crate) fn forgive(&mut self, late: Duration) {
        let now = self.now;
        let turned = self.slab.iter_mut().filter(|(_, session)| session.activity == now);
        turned.for_each(|(_, session)| session.forgive(late));
    }

    /// Begins a tick, whose time is `now`.
    #[inline]
    pub(crate) const fn set_now(&mut self, now: Moment) {
        self.now = now;
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
        self.reply.set_date(wall_clock);
    }

    /// Frees large buffers that were not used since the last call, which was about a second ago.
    pub(crate) fn trim(&mut self) {
        self.pools.trim();
    }

    /// Whether [`trim`](Self::trim) should be called in a second even if no event comes until then.
    pub(crate) const fn wants_trim(&self) -> bool {
        self.pools.have_large()
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
        self.runnable.len()
    }

    /// The earliest moment at which a deadline may pass.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.wheel.next()
    }

    /// Tells a new observer about the connections that are already open.
    pub(crate) fn introduce(&mut self) {
        for (_, session) in &self.slab {
            self.watch.tell(|observer| observer.connection_opened(session.id, &session.peer));
        }
    }

    /// Takes the number of the next connection.
    pub(crate) const fn next_id(&mut self) -> ConnectionId {
        let id = ConnectionId(self.next_id);
        self.next_id += 1;
        id
    }

    /// A session by its key.
    #[cfg(all(any(test, fuzzing), feature = "json"))]
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

    // ---- events -----------------------------------------------------------------------------------------------------

    /// Notes an event for a session, and returns false if no session has this key.
    #[inline]
    pub(crate) fn tell(&mut self, key: usize, event: Readiness) -> bool {
        let Some(session) = self.slab.get_mut(key) else { return false };
        if !session.closed {
            session.readiness.add(event);
            log::trace!("conn {}: event {}", session.id, session.readiness);
            enqueue(&mut self.runnable, session, key);
        }
        true
    }

    #[inline]
    fn make_runnable(&mut self, key: usize) {
        let session = &mut self.slab[key];
        if !session.closed {
            enqueue(&mut self.runnable, session, key);
        }
    }

    /// Makes every session try to read, although no event says that there is anything.
    pub(crate) fn look_at_all(&mut self) {
        let keys: Vec<usize> = self.slab.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.slab[key].readiness.readable = true;
            self.make_runnable(key);
        }
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    /// Closes all sessions that are left, and returns how many of them still owed something to their clients. A session
    /// that only waits for its client to notice the end is not counted, nor one that was idle in the grace of a drain.
    pub(crate) fn cut(&mut self) -> usize {
        let keys: Vec<usize> = self.slab.iter().map(|(key, _)| key).collect();
        let mut count = 0;
        let had_grace = self.draining.has_begun();
        for key in keys {
            let session = &mut self.slab[key];
            let connection = &session.connection;
            let loses_nothing = connection.sends_nothing_more() || had_grace && connection.is_idle();
            if !session.closed && !loses_nothing {
                session.connection.cut(session.id);
                count += 1;
            }
            self.close(key);
        }
        self.draining = Draining::Closing;
        count
    }

    /// Marks a session as ended; it stays in the slab until the end of the tick.
    fn close(&mut self, key: usize) {
        if !std::mem::replace(&mut self.slab[key].closed, true) {
            self.ended.push(key as u32);
        }
    }
}

impl<T> Drop for Sessions<T> {
    /// Closes the mailbox and disposes of the letters, because nothing will read them any more.
    fn drop(&mut self) {
        self.mailbox.close();
        std::mem::take(&mut self.letters).into_iter().for_each(|(_, letter)| dispose(letter));
    }
}

impl<T: Transport> Sessions<T> {
    /// Begins a session in the [vacant slot](Self::vacant_key).
    pub(crate) fn begin(&mut self, transport: T, peer: Endpoint, id: ConnectionId, idle_timeout: Duration) {
        let session = Session::new(transport, peer, id, Millis::from(idle_timeout), self.now);
        let deadline = session.deadline(&self.config);
        let key = self.slab.insert(session);
        self.wheel.arm(&mut self.slab, key, deadline);
        self.watch.tell(|observer| observer.connection_opened(id, &peer));
    }

    /// Gives a turn to each session that is runnable now. A session that becomes runnable meanwhile has its turn in the
    /// next tick.
    #[inline(always)]
    pub(crate) fn pump_runnable(&mut self, service: &mut dyn Service) {
        std::mem::swap(&mut self.runnable, &mut self.turns);
        self.file_bytes = self.share_of_files();
        for turn in 0..self.turns.len() {
            self.turn(self.turns[turn] as usize, service, |session, _| session.queued = false);
        }
        self.turns.clear();
    }

    /// File bytes that each session may send in this tick. Other work must not wait long for downloads.
    #[inline]
    fn share_of_files(&self) -> usize {
        match self.turns.len() {
            0 | 1 => FILE_TURN,
            count => self.share_of_files_among(count),
        }
    }

    fn share_of_files_among(&self, count: usize) -> usize {
        match self.turns.iter().all(|&key| self.slab[key as usize].connection.is_held()) {
            true => (FILE_TICK / count).clamp(FILE_TURN_AMONG_OTHERS, FILE_TURN),
            false => FILE_TURN_AMONG_OTHERS,
        }
    }

    /// Gives a session its turn, unless it has ended: calls `first`, pumps the session, and then arms its deadline.
    #[inline(always)]
    fn turn(&mut self, key: usize, service: &mut dyn Service, first: impl FnOnce(&mut Session<T>, &mut Context<'_>)) {
        let session = &mut self.slab[key];
        if session.closed {
            return;
        }
        let mut idle_timeout = session.idle_timeout;
        self.reply.slot = key as u32;
        let mut cx = Context {
            now: self.now,
            id: session.id,
            config: &self.config,
            pools: &mut self.pools,
            reply: &mut self.reply,
            service,
            watch: &mut self.watch,
            idle_timeout: &mut idle_timeout,
            draining: self.draining,
        };
        first(session, &mut cx);
        let turn = Turn { partial_reads: self.interrupted, file_bytes: self.file_bytes, scratch: &mut self.scratch };
        let after = session.pump(&mut cx, turn);
        session.connection.settle(&mut cx);
        session.idle_timeout = idle_timeout;
        let deadline = session.deadline(&self.config);
        let comes_up_too_late = !session.timer.is_in_time(deadline);
        match after {
            After::Exhausted => {}
            After::Runnable => self.make_runnable(key),
            After::Closed => return self.close(key),
        }
        if comes_up_too_late {
            self.wheel.arm(&mut self.slab, key, deadline);
        }
    }

    /// Expires overdue sessions, at most [`EXPIRE_BUDGET`] in a tick. The rest are due in the next tick.
    ///
    /// **Invariant**: a session expires only if all that its client sent before the deadline has been looked at.
    pub(crate) fn expire_deadlines(&mut self, service: &mut dyn Service) {
        let looked_until = self.looked_until();
        for _ in 0..EXPIRE_BUDGET {
            let Some(key) = self.wheel.pop(&mut self.slab, looked_until) else { return };
            let session = &self.slab[key];
            if session.closed {
                continue;
            }
            let deadline = session.deadline(&self.config);
            if deadline > looked_until {
                self.wheel.arm(&mut self.slab, key, deadline);
            } else {
                self.turn(key, service, Session::expire);
            }
        }
    }

    /// Delivers letters of other threads, at most [`POSTED_BUDGET`] in a tick. A letter for an exchange that is over is
    /// dropped.
    pub(crate) fn deliver(&mut self, service: &mut dyn Service) {
        if self.letters.is_empty() {
            self.mailbox.take(&mut self.letters);
            self.letters.reverse();
        }
        if self.letters.len() > 1 {
            self.file_bytes = FILE_TURN_AMONG_OTHERS;
        }
        for _ in 0..POSTED_BUDGET {
            let Some((ticket, letter)) = self.letters.pop() else { return };
            let key = ticket.slot as usize;
            match self.slab.get(key) {
                Some(session) if !session.closed && session.connection.awaits(ticket) => {
                    self.turn(key, service, |session, cx| {
                        // The idle timeout begins again: the client could not send while its content was paused.
                        if matches!(letter, Letter::Resume) {
                            session.activity = cx.now;
                        }
                        session.connection.deliver(cx, letter);
                    });
                }
                _ => dispose(letter),
            }
        }
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

    /// Removes the sessions that have ended, and returns whether there was one. Dropping the transport closes it.
    #[inline]
    pub(crate) fn reap(&mut self, service: &mut dyn Service) -> bool {
        let any = !self.ended.is_empty();
        if any {
            self.reap_ended(service);
        }
        any
    }

    #[inline(never)]
    fn reap_ended(&mut self, service: &mut dyn Service) {
        // The queue may still hold keys of ended sessions.
        self.runnable.retain(|&key| !self.slab[key as usize].closed);
        while let Some(key) = self.ended.pop() {
            let key = key as usize;
            self.wheel.disarm(&mut self.slab, key);
            let mut session = self.slab.remove(key);
            // A connection that goes on has no reason of its own: it was cut.
            let reason = session.connection.close_reason().unwrap_or(CloseReason::Cut);
            if session.connection.is_cut_short() {
                session.transport.reset();
            }
            if self.watch.is_some() {
                session.connection.tell_cut(&mut self.watch, session.id, self.now);
            }
            session.connection.release(session.id, reason, &mut self.pools, service);
            session.transport.ended(reason);
            log::trace!("conn {}: closed, {reason}", session.id);
            self.watch.tell(|observer| {
                if session.connection.is_held() {
                    observer.backpressure(session.id, false);
                }
                observer.connection_closed(session.id, reason);
            });
        }
    }
}

/// Adds a session to the runnable queue, unless it is already there.
#[inline]
fn enqueue<T>(runnable: &mut Vec<u32>, session: &mut Session<T>, key: usize) {
    if !std::mem::replace(&mut session.queued, true) {
        runnable.push(key as u32);
    }
}
