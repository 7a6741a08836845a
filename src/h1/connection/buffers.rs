//! The input and the output of a connection.

use super::context::{Context, Pools};
use crate::buffer::{Charge, OutputQueue, Pooled, Receive, ReplyRecord};
use crate::config::Config;
use crate::exchange::FinishedReply;
use crate::http::Moment;
use crate::limits::{POOL_MAX_BUFFER, RECEIVE_BUFFER};

/// What a connection has in every phase.
#[derive(Debug)]
pub(super) struct Buffers {
    /// Bytes that came and are not consumed yet.
    pub(super) input: Option<Box<Receive>>,
    /// Bytes that are owed.
    pub(super) output: Option<Box<OutputQueue>>,
    /// When the current phase of the client began: when the last request was answered, the first byte of the next one
    /// came, or the connection began to listen again. In `HalfClosed`, when our side was closed.
    pub(super) since: Moment,
    /// The client has closed its side; what came before may still be in `input`.
    pub(super) input_ended: bool,
    /// More was owed than the high-water mark, and not yet less than the low-water mark.
    pub(super) held: bool,
    /// What the ledger has for all that the connection holds.
    pub(super) charge: Charge,
}

impl Buffers {
    /// The bytes that came and are not consumed yet.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.input.as_deref().map_or(&[][..], Receive::bytes)
    }

    #[inline]
    pub(super) fn has_no_input(&self) -> bool {
        self.input.as_ref().is_none_or(|input| input.is_empty())
    }

    /// Removes the first `count` bytes of the input.
    pub(super) fn consume(&mut self, count: usize) {
        if let Some(input) = &mut self.input {
            input.consume(count);
        }
    }

    /// Room as a head gets it.
    #[inline]
    pub(super) fn room(&mut self, pools: &mut Pools, config: &Config) -> &mut [u8] {
        let input = self.input.get_or_insert_with(|| pools.receive.lend());
        input.room(0, config.max_head.saturating_add(RECEIVE_BUFFER))
    }

    /// Room for content of which much comes.
    pub(super) fn large_room(&mut self, pools: &mut Pools, wanted: usize) -> &mut [u8] {
        let is_small = |input: &Receive| input.is_empty() && input.footprint() <= POOL_MAX_BUFFER;
        if wanted > POOL_MAX_BUFFER
            && self.input.as_deref().is_none_or(is_small)
            && let Some(large) = pools.receive.lend_large()
            && let Some(small) = self.input.replace(large)
        {
            pools.receive.give_back(small);
        }
        let input = self.input.get_or_insert_with(|| pools.receive.lend());
        let max = input.bytes().len() + wanted;
        let room = input.room(wanted, max);
        let len = room.len().min(wanted);
        &mut room[..len]
    }

    /// The queue of what is owed, without the bytes that have been sent. No [`Mark`](crate::buffer::Mark) of it may be
    /// held.
    #[inline(always)]
    pub(super) fn queue(&mut self, pools: &mut Pools) -> &mut OutputQueue {
        let output = self.output.get_or_insert_with(|| pools.output.lend());
        output.compact();
        output
    }

    /// Notes for the observers that a reply ends where the output ends now.
    pub(super) fn record(&mut self, record: ReplyRecord, path: &str) {
        if let Some(output) = &mut self.output {
            output.record(record, path);
        }
    }

    /// Forgets what observers were to be told: the last one is gone.
    #[cfg(feature = "live")]
    pub(super) fn forget_records(&mut self) {
        if let Some(output) = &mut self.output {
            output.forget_records();
        }
    }

    /// What is owed, together with what the observer keeps until it has left.
    #[inline]
    pub(super) fn weight(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.weight())
    }

    #[inline]
    pub(super) fn owed(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.len())
    }

    /// Tells the observers of the replies whose last byte has left. The clock is read once for all of them.
    pub(super) fn tell_finished(&mut self, cx: &mut Context<'_>) {
        let Some(output) = &mut self.output else { return };
        let mut now = None;
        while let Some((record, path)) = output.next_finished() {
            let now = *now.get_or_insert_with(|| cx.read_clock());
            let reply = FinishedReply::new(&record, path, now);
            log::trace!("conn {}: the reply {} has left, {} bytes in all", cx.id, reply.status, reply.sent);
            cx.watch.tell(|observer| observer.reply_finished(cx.id, &reply));
        }
    }
}
