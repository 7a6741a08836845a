//! The letters that other threads send to the loop, and application code on its own thread, too.
//!
//! ```text
//!     Responder, BodySender, Resumer, Waker ─ post ─▶ letters ─▶ Sessions::deliver ─▶ connection, if it still waits
//!                                              └ wakes the loop, once for all letters that arrive while it sleeps
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
    /// There will be no reply, because its responder was dropped.
    Unanswered,
    /// An interim reply, as it is sent.
    Interim(Vec<u8>),
    /// The source or the protocol has something to send.
    Wake,
    /// One of the pauses of the content is over.
    Resume,
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answer(_) => "the reply that was deferred",
            Self::Unanswered => "there will be no reply, since its responder was dropped",
            Self::Interim(_) => "an interim reply",
            Self::Wake => "there may be something to send",
            Self::Resume => "a pause of the content is over",
        })
    }
}

/// The letters, and the flags by which a sender wakes the loop.
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    /// Whether a sender has rung since the loop last looked.
    rung: AtomicBool,
    /// Whether the loop sleeps. It is also true between two turns that the application drives, where nobody polls.
    asleep: AtomicBool,
    /// Ends the sleep of the loop.
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Letters {
    waiting: Vec<(Ticket, Letter)>,
    /// Whether the loop is gone, so that no letter will be read.
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

    /// Makes the loop look for letters and tasks, and wakes it if it sleeps.
    ///
    /// A sender sets `rung`, and then looks whether the loop sleeps. The loop sets `asleep`, and then looks whether a
    /// sender has rung. All four accesses have one total order, so at least one side sees the other.
    pub(crate) fn ring(&self) {
        self.rung.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            (self.wake)();
        }
    }

    /// Ends the sleep of the loop, for another reason than a letter.
    pub(crate) fn wake(&self) {
        (self.wake)();
    }

    /// Whether a sender has rung since the last [`take`](Self::take).
    #[inline]
    pub(crate) fn is_rung(&self) -> bool {
        self.rung.load(Ordering::SeqCst)
    }

    /// Records that the loop is about to sleep. Returns whether a sender has rung by now: then the loop must not sleep.
    #[inline]
    pub(crate) fn announce_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        self.is_rung()
    }

    /// Records that the loop is at work and will look for letters.
    #[inline]
    pub(crate) fn announce_work(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// How many letters wait.
    #[cfg(feature = "live")]
    pub(crate) fn len(&self) -> usize {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner).waiting.len()
    }

    /// Takes all letters, in the order in which they were posted. `into` must be empty.
    pub(crate) fn take(&self, into: &mut Vec<(Ticket, Letter)>) {
        self.rung.store(false, Ordering::SeqCst);
        let mut letters = self.letters.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut letters.waiting, into);
    }

    /// Records that the loop is gone. Letters that are posted from now on are dropped.
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

/// The address of an exchange: the mailbox of its loop, and its ticket.
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
/// An additional call does no harm. After the end of the exchange it does nothing.
#[derive(Clone, Debug)]
pub struct Waker(Address);

impl Waker {
    pub(super) const fn new(address: Address) -> Self {
        Self(address)
    }

    /// Makes the loop ask the source or the protocol again.
    pub fn wake(&self) {
        self.0.post(Letter::Wake);
    }
}

/// Lets paused content go on, from any thread. A call of [`resume`](Self::resume) or a drop does that.
///
/// See [`Intake::pause`](super::Intake::pause).
#[derive(Debug)]
#[must_use = "dropping it resumes at once"]
pub struct Resumer(Address);

impl Resumer {
    pub(super) const fn new(address: Address) -> Self {
        Self(address)
    }

    /// Lets the content go on.
    pub fn resume(self) {
        // The drop posts the letter.
    }
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
    fn a_loop_that_sleeps_is_woken_once_for_all_letters() {
        let (mailbox, wakes) = counted();
        for batch in 1..=3 {
            assert!(!mailbox.announce_sleep(), "it may sleep");
            (0..100).for_each(|_| mailbox.post(TO, Letter::Wake));
            assert_eq!(wakes.load(Ordering::Relaxed), batch);
            mailbox.announce_work();
            let mut letters = Vec::new();
            mailbox.take(&mut letters);
            assert_eq!((letters.len(), mailbox.is_rung()), (100, false));
        }
    }

    #[test]
    fn a_loop_at_work_is_not_woken_and_looks_before_it_sleeps() {
        let (mailbox, wakes) = counted();
        mailbox.announce_work();
        mailbox.post(TO, Letter::Wake);
        assert!(mailbox.announce_sleep(), "a sender has rung");
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn letters_after_the_end_are_dropped() {
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
