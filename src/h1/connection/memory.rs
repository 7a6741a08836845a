//! The memory of a connection: what it is charged for, and what becomes of a connection that wants more than there is.
//!
//! Nothing waits for memory. A connection may take what it needs within a turn. At the end of the turn it is charged
//! for what it holds then; if that is more than at the end of its last turn, and more than there is, it ends. So all
//! connections together exceed the limit by what one turn takes, and by no more.

use super::Connection;
use super::buffers::Buffers;
use super::context::{Context, Pools};
use super::exchange::Exchange;
use super::phase::Phase;
use super::states::{ContentState, Ending, ReplyState};
use crate::buffer::{OutputQueue, cost};
use crate::exchange::{Abort, CloseReason};
use crate::wire::ProtocolError;

impl Pools {
    /// Bytes in use: those of the connections, and those that the pools keep.
    pub(crate) const fn in_use(&self) -> usize {
        self.ledger.charged().saturating_add(self.kept())
    }

    /// Whether there are `more` bytes for a connection that then holds `all`. What the pools keep is freed first.
    pub(super) fn have(&mut self, more: usize, all: usize) -> bool {
        let limit = self.ledger.limit_for(all);
        if self.in_use().saturating_add(more) > limit && self.kept() > 0 {
            self.free();
        }
        self.in_use().saturating_add(more) <= limit
    }
}

impl Connection {
    /// Charges the connection for what it holds at the end of its turn. If that is more than there is, this ends it and
    /// returns true: the connection has something to say, or its socket is to be closed.
    #[inline(never)]
    pub(super) fn settle_memory(&mut self, cx: &mut Context<'_>) -> bool {
        let grew = self.charge(cx, false);
        if !grew || cx.pools.have(0, self.charged()) || self.is_ending() {
            return false;
        }
        // Perhaps only the room is too large that its buffers have.
        self.charge(cx, true);
        if cx.pools.have(0, self.charged()) {
            return false;
        }
        log::debug!("conn {}: it wants more than the {} bytes of memory", cx.id, cx.pools.ledger.limit());
        self.give_up(cx);
        // The last reply is written at once. Its client may not take it.
        self.begin_send_pace(cx);
        true
    }

    /// Brings the charge up to date. Returns whether it grew. Where memory is tight, or is said to be, buffers give
    /// back the room that they do not use.
    fn charge(&mut self, cx: &mut Context<'_>, is_tight: bool) -> bool {
        if is_tight || cx.pools.ledger.is_tight() {
            self.buffers.tighten();
            if let Phase::Exchange(exchange) = &mut self.phase {
                exchange.content.tighten();
            }
        }
        let bytes = self.memory();
        let grew = cx.pools.ledger.charge(&mut self.buffers.charge, bytes);
        cx.reply.set_room(cx.pools.ledger.room_for_reply());
        grew
    }

    /// Takes the charge back, because everything is given back.
    pub(super) const fn uncharge(&mut self, pools: &mut Pools) {
        pools.ledger.charge(&mut self.buffers.charge, 0);
    }

    /// Bytes that the connection was charged for at the end of its last turn.
    pub(crate) const fn charged(&self) -> usize {
        self.buffers.charge.bytes()
    }

    /// Bytes of memory that the connection holds, beside its place in the slab. Observers may keep parts of the head of
    /// a request until its reply has left.
    pub(crate) fn memory(&self) -> usize {
        let phase = match &self.phase {
            Phase::Exchange(exchange) | Phase::Closed { unfinished: Some(exchange), .. } => {
                exchange.memory().saturating_add(size_of::<Exchange>())
            }
            Phase::Upgraded(upgraded) => upgraded.memory(),
            Phase::Head(_) | Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => 0,
        };
        self.buffers.memory().saturating_add(phase)
    }

    // ---- the end for want of memory ---------------------------------------------------------------------------------

    /// Ends the connection, because it wants more memory than there is, or holds some for a client that does nothing.
    /// A client that is owed nothing gets a 503.
    pub(crate) fn give_up(&mut self, cx: &mut Context<'_>) {
        cx.pools.ledger.note_refusal();
        let (owes, is_within_head) = (self.output().is_some(), self.is_within_head());
        match &mut self.phase {
            Phase::Exchange(exchange) if !owes => match exchange.give_up(&mut self.buffers, cx) {
                Ok(()) => self.end_exchange(cx),
                Err(reason) => self.abort(cx, reason),
            },
            Phase::Head(_) if is_within_head && !owes => {
                self.fail(cx, ProtocolError::OutOfMemory, CloseReason::OutOfMemory);
            }
            _ => self.abort(cx, CloseReason::OutOfMemory),
        }
        // What has come is not needed any more. Many connections may be given up in the same tick.
        if let Phase::Ending { .. } = self.phase {
            self.discard_rest();
            self.buffers.input.take().into_iter().for_each(|input| cx.pools.receive.give_back(input));
        }
        self.charge(cx, false);
    }

    /// Whether the connection holds memory until its client sends or takes something.
    pub(crate) fn holds_for_client(&self) -> bool {
        let is_collecting = matches!(&self.phase, Phase::Exchange(exchange) if exchange.is_collecting());
        let holds_part = matches!(&self.phase, Phase::Upgraded(upgraded) if upgraded.holds_for_client());
        self.output().is_some() || is_collecting || holds_part || self.is_within_head()
    }

    const fn is_ending(&self) -> bool {
        matches!(self.phase, Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. })
    }
}

impl Buffers {
    fn memory(&self) -> usize {
        let output = self.output.as_deref().map_or(0, |output| size_of::<OutputQueue>() + output.memory());
        self.input.as_deref().map_or(0, cost) + output
    }

    /// Gives memory back that holds nothing, because memory is short.
    fn tighten(&mut self) {
        if let Some(input) = &mut self.input {
            input.tighten();
        }
        if let Some(output) = &mut self.output {
            output.tighten();
        }
    }
}

impl Exchange {
    const fn is_collecting(&self) -> bool {
        matches!(self.content, ContentState::Collected(_))
    }

    fn memory(&self) -> usize {
        let (reply, account) = match &self.reply {
            ReplyState::Awaited(awaiting) => {
                (size_of_val(&**awaiting).saturating_add(awaiting.draft.memory()), &awaiting.account)
            }
            ReplyState::Streaming(streaming) => {
                (size_of_val(&**streaming).saturating_add(streaming.stream.memory()), &streaming.account)
            }
            ReplyState::Unbegun | ReplyState::Whole(_) => (0, &None),
        };
        let account = account.as_ref().map_or(0, |account| account.memory());
        reply.saturating_add(self.content.memory()).saturating_add(account)
    }

    /// Ends the exchange for want of memory. An error is the reason why the connection must be aborted.
    fn give_up(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        let reason = CloseReason::OutOfMemory;
        match self.reply {
            ReplyState::Unbegun => self.fail_for(buffers, cx, ProtocolError::OutOfMemory, reason),
            ReplyState::Awaited(_) => {
                self.give_up_content(cx, Abort::Cut);
                self.answer_deferred(buffers, cx, Err(ProtocolError::OutOfMemory.into()), Some(reason));
            }
            ReplyState::Streaming(_) => return Err(reason),
            // The client has had its reply, and may still be sending.
            ReplyState::Whole(_) => {
                self.give_up_content(cx, Abort::Cut);
                self.set_reply(cx.id, ReplyState::Whole(Some(Ending::lingering(reason))));
            }
        }
        Ok(())
    }
}

impl ContentState {
    /// Bytes of memory for content that is collected, or that flows.
    fn memory(&self) -> usize {
        match self {
            Self::Collected(collecting) => cost(&**collecting),
            Self::Taken(flow) => size_of_val(&**flow) + flow.trailers.capacity(),
            Self::Discarded(_) | Self::Unread | Self::Done => 0,
        }
    }

    fn tighten(&mut self) {
        if let Self::Collected(collecting) = self {
            collecting.content.tighten();
        }
    }
}
