//! Wake-ups that the application leaves on the loop's own thread. They need no lock, and no more memory than a ticket
//! each.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use super::mailbox::{Letter, Mailbox};
use super::ticket::Ticket;

/// The wake-ups that wait for the loop.
pub(crate) struct Outbox {
    waiting: RefCell<Vec<Ticket>>,
    /// The loop is gone, so that nothing looks into the outbox any more.
    closed: Cell<bool>,
    /// The loop looks into the outbox when the mailbox rings.
    mailbox: Arc<Mailbox>,
}

impl Outbox {
    pub(crate) fn new(mailbox: Arc<Mailbox>) -> Rc<Self> {
        Rc::new(Self { waiting: RefCell::default(), closed: Cell::new(false), mailbox })
    }

    /// Leaves a wake-up. The first one rings, because the application may be at work while the loop sleeps.
    fn post(&self, to: Ticket) {
        if self.closed.get() {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            self.mailbox.ring();
        }
        waiting.push(to);
    }

    /// How many wake-ups wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.borrow().len()
    }

    /// Moves all wake-ups to the end of `into`, in the order in which they were posted.
    pub(crate) fn take(&self, into: &mut Vec<(Ticket, Letter)>) {
        into.extend(self.waiting.borrow_mut().drain(..).map(|to| (to, Letter::Wake)));
    }

    /// Records that the loop is gone. Wake-ups that are posted from now on are dropped.
    pub(crate) fn close(&self) {
        self.closed.set(true);
        self.waiting.take();
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn counted() -> (Rc<Outbox>, Arc<Mailbox>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let mailbox = Mailbox::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        (Outbox::new(Arc::clone(&mailbox)), mailbox, wakes)
    }

    const fn to(serial: u64) -> Ticket {
        Ticket { slot: 0, serial }
    }

    #[test]
    fn wake_ups_come_in_their_order_and_the_first_one_rings() {
        let (outbox, mailbox, wakes) = counted();
        for round in 1..=3 {
            assert!(!mailbox.announce_sleep());
            (0..100).for_each(|serial| LocalWaker::new(Rc::clone(&outbox), to(serial)).wake());
            assert_eq!(wakes.load(Ordering::Relaxed), round, "once, however many there are");
            mailbox.announce_work();
            let mut taken = Vec::new();
            mailbox.take(&mut taken);
            outbox.take(&mut taken);
            let serials: Vec<u64> = taken.iter().map(|(to, _)| to.serial).collect();
            assert_eq!(serials, (0..100).collect::<Vec<_>>());
        }
        outbox.shrink();
        assert_eq!(outbox.waiting.borrow().capacity(), 0);
    }

    #[test]
    fn a_loop_at_work_looks_into_the_outbox_before_it_sleeps() {
        let (outbox, mailbox, wakes) = counted();
        mailbox.announce_work();
        outbox.post(to(1));
        assert!(mailbox.announce_sleep());
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn wake_ups_after_the_end_of_the_loop_take_no_memory() {
        let (outbox, mailbox, wakes) = counted();
        let waker = LocalWaker::new(Rc::clone(&outbox), to(1));
        waker.wake();
        mailbox.close();
        outbox.close();
        let before = wakes.load(Ordering::Relaxed);
        (0..100).for_each(|_| waker.wake());
        assert_eq!((wakes.load(Ordering::Relaxed), outbox.waiting.borrow().capacity()), (before, 0));
    }
}
