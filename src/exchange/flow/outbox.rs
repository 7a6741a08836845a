//! Wake-ups that the application leaves on the loop's own thread. They need no lock, and no more memory than a ticket
//! each.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::mailbox::{Letter, Mailbox};
use super::ticket::Ticket;

/// The wake-ups that wait for the loop.
pub(crate) struct Outbox {
    waiting: RefCell<Vec<Ticket>>,
    /// The loop looks into the outbox when the mailbox rings.
    mailbox: Arc<Mailbox>,
}

impl Outbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Rc<Self> {
        Rc::new(Self { waiting: RefCell::default(), mailbox })
    }

    /// Leaves a wake-up. The first one rings, because the application may be at work while the loop sleeps.
    fn post(&self, to: Ticket) {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.mailbox.ring();
        }
        waiting.push(to);
    }

    /// Moves all wake-ups to the end of `into`, in the order in which they were posted.
    pub(crate) fn take(&self, into: &mut Vec<(Ticket, Letter)>) {
        into.extend(self.waiting.borrow_mut().drain(..).map(|to| (to, Letter::Wake)));
    }

    /// Gives room back that holds no wake-ups.
    pub(crate) fn shrink(&self) {
        self.waiting.borrow_mut().shrink_to_fit();
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outbox({} waiting)", self.waiting.borrow().len())
    }
}

/// Tells the loop, on its own thread, that a [`Protocol`](super::Protocol) has something to send.
///
/// An additional call does no harm. After the end of the connection it does nothing.
#[derive(Clone, Debug)]
pub struct LocalWaker {
    outbox: Rc<Outbox>,
    ticket: Ticket,
}

impl LocalWaker {
    pub(super) const fn new(outbox: Rc<Outbox>, ticket: Ticket) -> Self {
        Self { outbox, ticket }
    }

    /// Makes the loop call [`Protocol::on_writable`](super::Protocol::on_writable).
    pub fn wake(&self) {
        self.outbox.post(self.ticket);
    }
}
