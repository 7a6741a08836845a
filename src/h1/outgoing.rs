use std::ops::{Deref, DerefMut};

use crate::buffer::{OutputQueue, Pooled, ReplyRecord};
use crate::exchange::{Address, CloseReason, Draft, FinishedReply, Stream, Waited};
use crate::http::{Method, Moment};

/// What a connection owes: the bytes in the queue, and what an exchange that is not finished will put behind them.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    queue: OutputQueue,
    /// The queue holds the end of content that only the end of the connection tells.
    pub(super) ends_with_connection: bool,
    pub(super) open: Option<Box<OpenExchange>>,
}

/// An exchange whose handler has returned and whose reply is not whole.
#[derive(Debug)]
pub(super) struct OpenExchange {
    /// Where it can be reached.
    pub(super) address: Address,
    pub(super) reply: OpenReply,
    /// When it began, for the observer.
    pub(super) began: Moment,
    pub(super) method: Option<Method>,
    /// Since when nobody but the application has kept it waiting; of a stream, when its heartbeat was last asked for.
    pub(super) since: Moment,
    /// Why the connection ends with this reply, if it does.
    pub(super) close: Option<CloseReason>,
    /// The drain has begun, and the source was asked since.
    pub(super) drained: bool,
    /// The client takes trailers.
    pub(super) takes_trailers: bool,
    /// Nothing was sent for the time of the source's heartbeat.
    pub(super) silent: bool,
}

/// What is missing.
#[derive(Debug)]
pub(super) enum OpenReply {
    /// All of it. It is awaited from another thread, or from the service when the content of the request is whole.
    Awaited { draft: Draft, waited: Option<Waited> },
    /// The rest of its content.
    Streamed { stream: Stream, status: u16 },
}

impl Outgoing {
    /// Nothing is owed and nothing will be.
    #[inline]
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.open.is_none()
    }

    /// Whether it has no memory to write to.
    pub(super) fn has_no_memory(&self) -> bool {
        self.queue.footprint() == 0
    }

    /// The queue, and the open exchange that writes to it.
    pub(super) fn parts(&mut self) -> (&mut OutputQueue, Option<&mut OpenExchange>) {
        (&mut self.queue, self.open.as_deref_mut())
    }
}

impl OpenExchange {
    /// What has left of a stream, if `owed` bytes have not.
    pub(super) fn cut(&self, owed: u64, now: Moment) -> Option<FinishedReply> {
        let OpenReply::Streamed { stream, status } = &self.reply else { return None };
        let content = stream.written().saturating_sub(owed);
        Some(ReplyRecord { end: 0, method: self.method, status: *status, content, began: self.began }.finished(now))
    }

    /// The source of the reply, if it has one.
    pub(super) fn stream(&self) -> Option<&Stream> {
        match &self.reply {
            OpenReply::Streamed { stream, .. } => Some(stream),
            OpenReply::Awaited { .. } => None,
        }
    }
}

impl Deref for Outgoing {
    type Target = OutputQueue;

    #[inline]
    fn deref(&self) -> &OutputQueue {
        &self.queue
    }
}

impl DerefMut for Outgoing {
    #[inline]
    fn deref_mut(&mut self) -> &mut OutputQueue {
        &mut self.queue
    }
}

impl Pooled for Outgoing {
    #[inline(always)]
    fn reset(&mut self) {
        self.queue.reset();
        self.ends_with_connection = false;
        // Who waits for it learns that it has ended.
        if self.open.is_some() {
            self.open = None;
        }
    }

    #[inline]
    fn footprint(&self) -> usize {
        self.queue.footprint()
    }
}
