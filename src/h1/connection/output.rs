//! The output of a connection: what it owes, and what the kernel has taken.

use super::Connection;
use super::context::Context;
use super::phase::Phase;
use super::trace::StillOwed;
use crate::buffer::{OutputQueue, Pace};
use crate::http::Count;
use crate::limits::{HIGH_WATER, LOW_WATER};

impl Connection {
    /// What is owed, if anything is.
    #[inline]
    pub(crate) fn output(&self) -> Option<&OutputQueue> {
        self.buffers.output.as_deref().filter(|output| !output.is_empty())
    }

    /// How many bytes are owed.
    pub(crate) fn owed(&self) -> usize {
        self.buffers.owed()
    }

    /// Whether so much is owed that nothing is read or parsed.
    #[inline]
    pub(crate) const fn is_held(&self) -> bool {
        self.buffers.held
    }

    /// Holds the connection if more is owed than the high-water mark, or the observer keeps as much for it. Returns
    /// whether it did.
    pub(super) fn hold_if_full(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.phase.goes_on() || self.buffers.output.as_ref().is_none_or(|output| output.weight() < HIGH_WATER) {
            return false;
        }
        self.buffers.held = true;
        let owed = self.owed();
        log::trace!("conn {}: held above the high-water mark: {owed} bytes are owed, so nothing is read", cx.id);
        cx.watch.tell(|observer| observer.backpressure(cx.id, true));
        true
    }

    /// Notes that the kernel has taken the first `count` bytes that were owed.
    #[inline(always)]
    pub(crate) fn sent(&mut self, count: usize, cx: &mut Context<'_>) {
        let Some(output) = &mut self.buffers.output else { return };
        output.advance(count);
        let owed = output.len();
        if cx.watch.is_some() {
            log::trace!("conn {}: wrote {}; {}", cx.id, Count(count, "byte"), StillOwed(owed));
            self.buffers.tell_finished(cx);
        }
        let Some(output) = &mut self.buffers.output else { return };
        if owed == 0 {
            let was_awaited = output.pace.is_running();
            output.pace = Pace::default();
            if !self.buffers.held {
                self.restart_input(cx, was_awaited);
            }
        } else if output.pace.is_running() {
            output.pace.progress(count, cx.now, cx.config.min_send_rate, cx.config.send_timeout);
        }
        if self.buffers.held && self.buffers.weight() < LOW_WATER {
            self.buffers.held = false;
            // Until now nobody listened to what the client has to send.
            self.restart_input(cx, true);
            log::trace!("conn {}: no longer held: less than the low-water mark is owed", cx.id);
            if let Phase::Upgraded(upgraded) = &mut self.phase {
                upgraded.may_write = true;
                upgraded.listens_again(cx.now);
            }
            cx.watch.tell(|observer| observer.backpressure(cx.id, false));
        }
    }
}
