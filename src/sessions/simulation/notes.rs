//! What an observer of the simulated server records. Half of the worlds have no observer, because the code takes
//! another path then.

use std::cell::RefCell;
use std::rc::Rc;

use crate::exchange::{CloseReason, ConnectionId, Endpoint, FinishedReply, MessageRecord, Observer, Request, Timeout};

/// What the observer saw of one connection.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) opened: usize,
    pub(super) closed: usize,
    pub(super) requests: usize,
    pub(super) replies: usize,
    /// Messages of another protocol.
    pub(super) messages: usize,
    /// How often a deadline has passed.
    pub(super) timed_out: usize,
    /// Whether backpressure is on.
    pub(super) held: bool,
    /// How often backpressure was switched to the state that it already had.
    pub(super) wrong_switches: usize,
}

#[derive(Debug, Default)]
pub(super) struct Notes {
    /// The server's number of each connection, and the kernel's.
    pub(super) ids: Vec<(ConnectionId, usize)>,
    watched: Vec<Watched>,
}

impl Notes {
    /// What the observer saw of a connection, by the kernel's number.
    pub(super) fn of(&mut self, number: usize) -> &mut Watched {
        if self.watched.len() <= number {
            self.watched.resize_with(number + 1, Watched::default);
        }
        &mut self.watched[number]
    }
}

pub(super) struct Watcher(pub(super) Rc<RefCell<Notes>>);

impl Watcher {
    fn note(&self, id: ConnectionId, note: impl FnOnce(&mut Watched)) {
        let mut notes = self.0.borrow_mut();
        if let Some((_, number)) = notes.ids.iter().find(|(known, _)| *known == id).copied() {
            note(notes.of(number));
        }
    }
}

impl Observer for Watcher {
    fn connection_opened(&mut self, id: ConnectionId, _: &Endpoint) {
        self.note(id, |watched| watched.opened += 1);
    }

    fn request(&mut self, id: ConnectionId, _: &Request<'_>) {
        self.note(id, |watched| watched.requests += 1);
    }

    fn reply_finished(&mut self, id: ConnectionId, _: &FinishedReply<'_>) {
        self.note(id, |watched| watched.replies += 1);
    }

    fn message(&mut self, id: ConnectionId, _: &MessageRecord) {
        self.note(id, |watched| watched.messages += 1);
    }

    fn timed_out(&mut self, id: ConnectionId, _: Timeout) {
        self.note(id, |watched| watched.timed_out += 1);
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.note(id, |watched| {
            watched.wrong_switches += usize::from(watched.held == on);
            watched.held = on;
        });
    }

    fn connection_closed(&mut self, id: ConnectionId, _: CloseReason) {
        self.note(id, |watched| watched.closed += 1);
    }
}
