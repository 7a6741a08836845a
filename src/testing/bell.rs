use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::exchange::real_time;

/// How long a client waits for other threads, unless the test sets another limit: long enough for a busy machine.
pub(super) const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// Wakes a [`VirtualLoop`](super::VirtualLoop) that waits for other threads, as mio's waker wakes a loop in its poll.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits until somebody rings, but not beyond `until`, in real time. `has_work` is asked first; if there is work,
    /// nobody has to ring. Returns false if the time is over. It may return true once without work, because of work
    /// that was done without a wait.
    pub(super) fn wait(&self, until: Instant, has_work: impl FnOnce() -> bool) -> bool {
        let left = until.saturating_duration_since(real_time());
        if left.is_zero() {
            return false;
        }
        if has_work() {
            return true;
        }
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(rung, left, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *rung)
    }
}
