//! What other threads, and application code between its turns, have to say to the loop.
//!
//! ```text
//!     Responder, BodySender, Resumer, Waker ── post ──▶ letters ──▶ Sessions::deliver ──▶ the connection, if it still waits
//!                                               └ wakes the loop, once for all letters that come while it sleeps
//! ```

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::ticket::Ticket;
use crate::exchange::{Response, Sent, dispose};
use crate::http::Result;

/// The reply to a deferred request: called on the loop with the response as the middleware left it.
pub(crate) type Answer = Box<dyn FnOnce(Response<'_>) -> Result<Sent> + Send>;

/// Something that an exchange waits for.
pub(crate) enum Letter {
    /// The reply.
    Answer(Answer),
    /// There will be none: whoever owed it has dropped it.
    Unanswered,
    /// An interim reply, as it goes on the wire.
    Interim(Vec<u8>),
    /// The source or the protocol has something.
    Wake,
    /// One of those who paused the content lets it go on.
    Resume,
}

/// The letters, and the bell.
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    /// Someone has rung since the loop last looked.
    rung: AtomicBool,
    /// The loop sleeps, or is not at work: whoever turns it sleeps perhaps.
    asleep: AtomicBool,
    /// Ends the sleep of the loop.
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Letters {
    waiting: Vec<(Ticket, Letter)>,
    /// Nobody will read any more.
    closed: bool,
}

impl Mailbox {
    pub(crate) fn new(wake: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            letters: Mutex::default(),
            rung: AtomicBool::new(false),
            asleep: AtomicBool::new(true),
            wake: Box::new(wake),
        })
    }

    /// Leaves a letter, and wakes the loop if it sleeps.
    pub(crate) fn post(&self, to: Ticket, letter: Letter) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        if letters.closed {
            drop(letters);
            return dispose(letter);
        }
        letters.waiting.push((to, letter));
        drop(letters);
        self.ring();
    }

    /// Has the loop look for what waits for it; wakes it if it sleeps.
    ///
    /// Sender: rings, then looks whether the loop sleeps. Loop: lies down, then looks whether someone has rung. Both in one
    /// total order, so at least one of them sees the other.
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            (self.wake)();
        }
    }

    /// Ends the sleep of the loop, whatever the reason.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// Whether someone has rung since the last [`take`](Self::take).
    #[inline]
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst)
    }

    /// The loop has done its work. It must not sleep if someone has rung by now: tells whether that is so.
    #[inline]
    pub(crate) fn lie_down(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        self.is_rung()
    }

    /// The loop is at work, and will look.
    #[inline]
    pub(crate) fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Takes all letters, in the order in which they came; `into` is empty.
    pub(crate) fn take(&self, into: &mut Vec<(Ticket, Letter)>) {
        self.rung.store(false, Ordering::SeqCst);
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut letters.waiting, into);
    }

    /// The loop is gone: what comes from now on is dropped.
    pub(crate) fn close(&self) {
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        letters.closed = true;
        let left = std::mem::take(&mut letters.waiting);
        drop(letters);
        left.into_iter().for_each(|(_, letter)| dispose(letter));
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox")
    }
}

/// Where an exchange can be reached.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) ticket: Ticket,
}

impl Address {
    pub(crate) fn post(&self, letter: Letter) {
        self.mailbox.post(self.ticket, letter);
    }
}

/// Tells the loop, from any thread, that a [`BodySource`](super::BodySource) or a [`Protocol`](super::Protocol) has
/// something to send.
///
/// Once too often does no harm; after the end of the exchange it does nothing.
#[derive(Clone, Debug)]
pub struct Waker(Address);

impl Waker {
    pub(super) const fn new(address: Address) -> Self {
        Self(address)
    }

    /// Has the source or the protocol be asked again.
    pub fn wake(&self) {
        self.0.post(Letter::Wake);
    }
}

/// Lets paused content go on, from any thread: [`resume`](Self::resume) it, or drop it.
///
/// See [`Intake::pause`](super::Intake::pause).
#[derive(Debug)]
#[must_use = "dropping it resumes at once"]
pub struct Resumer(Address);

impl Resumer {
    pub(super) const fn new(address: Address) -> Self {
        Self(address)
    }

    /// Content comes again.
    pub fn resume(self) {}
}

impl Drop for Resumer {
    fn drop(&mut self) {
        self.0.post(Letter::Resume);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn counted() -> (Arc<Mailbox>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&wakes);
        let mailbox = Mailbox::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        (mailbox, wakes)
    }

    const TO: Ticket = Ticket { slot: 0, serial: 1 };

    #[test]
    fn a_loop_that_sleeps_is_woken_once_for_all_that_comes_meanwhile() {
        let (mailbox, wakes) = counted();
        for batch in 1..=3 {
            assert!(!mailbox.lie_down(), "it may sleep");
            (0..100).for_each(|_| mailbox.post(TO, Letter::Wake));
            assert_eq!(wakes.load(Ordering::Relaxed), batch);
            mailbox.get_up();
            let mut letters = Vec::new();
            mailbox.take(&mut letters);
            assert_eq!((letters.len(), mailbox.is_rung()), (100, false));
        }
    }

    #[test]
    fn a_loop_that_is_at_work_is_not_woken_and_looks_before_it_sleeps() {
        let (mailbox, wakes) = counted();
        mailbox.get_up();
        mailbox.post(TO, Letter::Wake);
        assert!(mailbox.lie_down(), "someone has rung");
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_comes_after_the_end_is_dropped() {
        let (mailbox, kept) = (counted().0, Arc::new(()));
        let letter = |kept: &Arc<()>| {
            let kept = Arc::clone(kept);
            Letter::Answer(Box::new(move |res| {
                drop(kept);
                res.empty()
            }))
        };
        mailbox.post(TO, letter(&kept));
        mailbox.close();
        mailbox.post(TO, letter(&kept));
        assert_eq!(Arc::strong_count(&kept), 1);
    }
}
