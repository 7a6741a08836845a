//! Standard input as the way to give orders: its end is the order to drain, and a line ends a pause.
//!
//! Reading it may block, so a thread does that. It has the loop's waker, since the loop sleeps in its poll.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::{io, thread};

use mio::Waker;

/// What the thread has been told.
pub struct Orders {
    drain: Arc<AtomicBool>,
    /// Keeps the waker alive. The thread ends after it has used it, and a wake-up that the poll has not brought yet
    /// goes with its waker: the loop would sleep on.
    _waker: Arc<Waker>,
}

impl Orders {
    /// Begins to read standard input. Each of its lines goes to the receiver.
    pub fn read(waker: Waker) -> (Self, Receiver<()>) {
        let drain = Arc::new(AtomicBool::new(false));
        let (sender, lines) = mpsc::channel();
        let told = Arc::clone(&drain);
        let waker = Arc::new(waker);
        let wakes = Arc::clone(&waker);
        thread::spawn(move || {
            let _ = io::stdin().lines().map_while(Result::ok).try_for_each(|_| sender.send(()));
            // First the order, then the wake-up. Otherwise the loop could look too early and sleep again. The sender is
            // dropped after both, and that ends a pause.
            told.store(true, Ordering::Release);
            wakes.wake().expect("the poll exists as long as the process");
        });
        (Self { drain, _waker: waker }, lines)
    }

    /// Whether the server is to drain.
    pub fn has_drain(&self) -> bool {
        self.drain.load(Ordering::Acquire)
    }
}
