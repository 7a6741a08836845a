//! What the sessions look like to an application that looks into the loop between two turns.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Sessions;
use super::session::Session;
use crate::buffer::Account;
use crate::exchange::observer::ObserverId;
use crate::exchange::{ConnectionId, Endpoint, Timeout, dispose};
use crate::h1::{Connection, PhaseName};

/// A connection, as [`Inspection::connections`](crate::server::Inspection::connections) shows it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ConnectionView<'a> {
    /// Its slot in the slab. When the connection has ended, another one can have it.
    pub slot: usize,
    /// Its number. No other connection of this server ever has it.
    pub id: ConnectionId,
    /// The client's end.
    pub peer: Endpoint,
    /// What it is doing.
    pub phase: PhaseName,
    /// Bytes that were read and are not consumed yet.
    pub received: usize,
    /// Bytes that are owed to the client: they are queued, and the kernel has not taken them.
    pub owed: usize,
    /// Whether so much is owed that the connection is not read (backpressure).
    pub held: bool,
    /// Whether a read may return something, as far as the loop knows.
    pub readable: bool,
    /// Whether a write may take something, as far as the loop knows.
    pub writable: bool,
    /// The queue in which it waits for its next turn; `None` if it waits for an event.
    pub queue: Option<Queue>,
    /// Bytes of memory that it held at the end of its last turn, beside its slot.
    pub memory: usize,
    /// The time since the last byte was read or written.
    pub idle_for: Duration,
    /// The timeout that is next, and the time until then; zero if it is due. A connection that has ended has none.
    pub deadline: Option<(Duration, Timeout)>,
    connection: &'a Connection,
}

impl<'a> ConnectionView<'a> {
    /// More about the phase, for people. In `Exchange` it says how far content and reply are, such as
    /// `content Taken, reply Streaming`; at the end, why the connection ends. The text may change.
    pub fn detail(&self) -> Option<impl fmt::Display + 'a> {
        self.connection.detail()
    }
}

/// A queue of connections that have work to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Queue {
    /// Those that have not used up their last turns. Their turns come first.
    Polite,
    /// Those that have neither read nor written anything yet.
    New,
    /// Those that have used up a turn. Their turns come last.
    UsedUp,
}

/// How much waits for the next tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLengths {
    /// Connections in [`Queue::Polite`].
    pub polite: usize,
    /// Connections in [`Queue::New`].
    pub new: usize,
    /// Connections in [`Queue::UsedUp`].
    pub used_up: usize,
    /// Letters for connections: answers, wake-ups, resumptions.
    pub letters: usize,
    /// Connections that have ended and are still to be reaped.
    pub ended: usize,
}

/// A pool of boxes that connections borrow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolView {
    /// What the boxes are for: `receive`, `output`, `exchange` or `collecting`.
    pub name: &'static str,
    /// How many boxes are lent.
    pub lent: usize,
    /// How many boxes the pool keeps.
    pub kept: usize,
    /// Bytes of memory that the kept boxes take.
    pub bytes: usize,
}

impl<T> Sessions<T> {
    /// Takes an observer away and drops it. Returns whether it was there.
    ///
    /// Without any observer, nobody would take what is kept for them, and it would count as owed to clients.
    pub(crate) fn remove_observer(&mut self, id: ObserverId) -> bool {
        let Some(observer) = self.watch.remove(id) else { return false };
        if !self.watch.is_some() {
            self.reply.account = Account::default();
            self.slab.iter_mut().for_each(|(_, session)| session.connection.forget_accounts());
        }
        dispose(observer);
        true
    }

    /// How many sessions the table has room for before it grows.
    pub(crate) fn slots(&self) -> usize {
        self.slab.capacity()
    }

    /// All sessions, in the order of their slots.
    pub(crate) fn views(&self) -> impl Iterator<Item = ConnectionView<'_>> {
        // The queue of a session is not kept in the session. If nothing is queued, this allocates nothing.
        let queued: BTreeMap<usize, Queue> = self.queued().collect();
        self.slab.iter().map(move |(slot, session)| self.view(slot, session, queued.get(&slot).copied()))
    }

    /// The slots of the sessions in queues.
    fn queued(&self) -> impl Iterator<Item = (usize, Queue)> {
        let polite = self.queues.polite.iter().map(|&key| (key as usize, Queue::Polite));
        let new = self.queues.new.iter().map(|&key| (key as usize, Queue::New));
        polite.chain(new).chain(self.queues.used_up.iter().map(|&key| (key as usize, Queue::UsedUp)))
    }

    fn view<'a>(&'a self, slot: usize, session: &'a Session<T>, queue: Option<Queue>) -> ConnectionView<'a> {
        let (now, connection) = (self.now(), &session.connection);
        let timeout = connection.timeout(&self.config, session.idle_timeout, session.activity);
        ConnectionView {
            slot,
            id: session.id,
            peer: session.peer,
            phase: if session.closed { PhaseName::Closed } else { connection.phase_name() },
            received: connection.received_bytes(),
            owed: connection.owed(),
            held: connection.is_held(),
            readable: session.readiness.readable,
            writable: session.readiness.writable,
            queue,
            memory: connection.charged(),
            idle_for: now.since(session.activity),
            deadline: timeout.filter(|_| !session.closed).map(|(due, timeout)| (due.since(now), timeout)),
            connection,
        }
    }

    pub(crate) fn queue_lengths(&self) -> QueueLengths {
        QueueLengths {
            polite: self.queues.polite.len(),
            new: self.queues.new.len(),
            used_up: self.queues.used_up.len(),
            letters: self.letters.len() + self.mailbox.len() + self.outbox.len(),
            ended: self.ended.len(),
        }
    }

    /// The slots of the wheel that are not empty: the time until each comes up, and how many sessions it has.
    pub(crate) fn wheel(&self) -> impl Iterator<Item = (Duration, usize)> {
        let now = self.now();
        self.wheel.slots(&self.slab).map(move |(due, count)| (due.since(now), count))
    }

    pub(crate) fn pool_views(&self) -> [PoolView; 4] {
        let view = |name, lent, (kept, bytes)| PoolView { name, lent, kept, bytes };
        let pools = &self.pools;
        [
            view("receive", pools.receive.lent(), pools.receive.idle()),
            view("output", pools.output.lent(), pools.output.idle()),
            view("exchange", pools.exchange.lent(), pools.exchange.idle()),
            view("collecting", pools.collecting.lent(), pools.collecting.idle()),
        ]
    }

    /// Bytes of memory that connections and pools hold, and how many they may; `None` if that has no limit.
    pub(crate) fn memory_in_use(&self) -> (usize, Option<usize>) {
        let limit = self.pools.ledger.limit();
        (self.pools.in_use(), (limit < usize::MAX).then_some(limit))
    }
}

#[cfg(test)]
mod tests;
