//! The output of a connection: what it owes, and what the kernel has taken.

use super::{Connection, Context};
use crate::buffer::{OutputQueue, Pace};
use crate::exchange::{ConnectionId, Watch};
use crate::http::Moment;
use crate::limits::LOW_WATER;

impl Connection {
    /// What is owed, if anything is.
    #[inline]
    pub(crate) fn output(&self) -> Option<&OutputQueue> {
        self.output.as_deref().map(|output| &**output).filter(|output| !output.is_empty())
    }

    /// Bytes that are owed.
    pub(crate) fn owed(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.len())
    }

    /// The kernel has taken the first `count` bytes that were owed.
    #[inline(always)]
    pub(crate) fn sent(&mut self, count: usize, cx: &mut Context<'_>) {
        let Some(output) = &mut self.output else { return };
        output.advance(count);
        let owed = output.len();
        if cx.watch.is_some() {
            self.tell_finished(cx);
        }
        let Some(output) = &mut self.output else { return };
        if owed == 0 {
            output.pace = Pace::default();
            if !self.held {
                self.restart_input(cx);
            }
        } else if output.pace.is_running() {
            output.pace.progress(count, cx.now, cx.config.min_send_rate, cx.config.send_timeout);
        }
        if self.held && owed < LOW_WATER {
            self.held = false;
            // Until now nobody listened to what the client has to send.
            self.restart_input(cx);
            log::trace!("conn {}: no longer held", cx.id);
            self.tell_of_room();
            cx.watch.tell(|observer| observer.backpressure(cx.id, false));
        }
    }

    /// Tells the observer of the replies whose last byte has left.
    pub(super) fn tell_finished(&mut self, cx: &mut Context<'_>) {
        let Some(output) = &mut self.output else { return };
        while let Some(record) = output.next_finished() {
            let reply = record.finished(cx.now);
            cx.watch.tell(|observer| observer.reply_finished(cx.id, &reply));
        }
    }

    /// Tells the observer of the reply in the middle of which the connection ends, if there is one.
    pub(crate) fn tell_cut(&self, watch: &mut Watch, id: ConnectionId, now: Moment) {
        let Some(output) = &self.output else { return };
        let cut = match (output.unfinished(), &output.open) {
            (Some(record), _) => Some(record.finished(now)),
            (None, Some(open)) => open.cut(output.len() as u64, now),
            (None, None) => None,
        };
        if let Some(reply) = cut {
            watch.tell(|observer| observer.reply_cut(id, &reply));
        }
    }
}
