//! One exchange: a request whose content is still to come, or whose reply is not whole.
//!
//! Its content and its reply are two machines that overlap: a reply can be whole before its content has ended (a 404 to
//! a POST), or both can flow at the same time. The exchange is over when the content is done and the reply is whole;
//! then [`outcome`] says how the connection goes on.

use std::fmt;

use super::states::{ContentState, Ending, ReplyState};
use crate::buffer::Pooled;
use crate::exchange::{CloseReason, ConnectionId};

/// A request and its reply, as far as they have come.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(super) content: ContentState,
    pub(super) reply: ReplyState,
}

/// What an exchange waits for that must come from outside of the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Awaited {
    /// The reply, from its responder.
    Reply,
    /// More content of the reply, from its source.
    Content,
    /// The end of a pause of the request's content.
    Resumption,
}

/// How a connection goes on with this content and this reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something is still to come.
    Open,
    /// The exchange is over. The next byte begins another request.
    NextRequest,
    /// The reply was the last one.
    Last(Ending),
}

/// Decides whether an exchange is over. A connection that ends does not wait for the rest of content that nobody takes.
pub(super) fn outcome(content: &ContentState, reply: &ReplyState) -> Outcome {
    match (content, reply) {
        (ContentState::Done, ReplyState::Whole(None)) => Outcome::NextRequest,
        (ContentState::Done, ReplyState::Whole(Some(ending))) => Outcome::Last(*ending),
        // The client may still be sending this content.
        (ContentState::Discarded(_) | ContentState::Unread, ReplyState::Whole(Some(ending))) => {
            Outcome::Last(Ending::lingering(ending.reason))
        }
        (ContentState::Unread, ReplyState::Whole(None)) => Outcome::Last(Ending::lingering(CloseReason::ContentUnread)),
        _ => Outcome::Open,
    }
}

impl Exchange {
    pub(super) fn is_over(&self) -> bool {
        outcome(&self.content, &self.reply) == Outcome::NextRequest
    }

    /// What must come from outside of the loop before anything else can happen.
    pub(super) fn awaited(&self) -> Option<Awaited> {
        match &self.reply {
            reply if reply.is_deferred() => Some(Awaited::Reply),
            _ if self.content.is_paused() => Some(Awaited::Resumption),
            ReplyState::Streaming(streaming) if streaming.stream.is_pending() => Some(Awaited::Content),
            _ => None,
        }
    }

    /// Changes the state of the content. Returns the old state for what it holds.
    pub(super) fn set_content(&mut self, id: ConnectionId, next: ContentState) -> ContentState {
        log::trace!("conn {id}: content {} -> {next}: {}", self.content, next.meaning());
        debug_assert!(self.content.leads_to(&next), "conn {id}: no step leads from {} to {next}", self.content);
        let old = std::mem::replace(&mut self.content, next);
        debug_assert!(self.is_possible(), "conn {id}: {self} is not possible");
        old
    }

    /// Changes the state of the reply. Returns the old state for what it holds.
    pub(super) fn set_reply(&mut self, id: ConnectionId, next: ReplyState) -> ReplyState {
        log::trace!("conn {id}: reply {} -> {next}: {}", self.reply, next.meaning());
        debug_assert!(self.reply.leads_to(&next), "conn {id}: no step leads from {} to {next}", self.reply);
        let old = std::mem::replace(&mut self.reply, next);
        debug_assert!(self.is_possible(), "conn {id}: {self} is not possible");
        old
    }

    /// Whether these states can occur together. Content is collected only for a reply that has not begun.
    pub(super) const fn is_possible(&self) -> bool {
        match self.content {
            ContentState::Collected(_) => matches!(self.reply, ReplyState::Unbegun),
            ContentState::Taken(_) | ContentState::Discarded(_) | ContentState::Unread | ContentState::Done => true,
        }
    }
}

impl Default for Exchange {
    fn default() -> Self {
        Self { content: ContentState::Done, reply: ReplyState::Unbegun }
    }
}

impl Pooled for Exchange {
    #[inline]
    fn reset(&mut self) {
        *self = Self::default();
    }

    /// Nothing, once it is reset.
    #[inline]
    fn footprint(&self) -> usize {
        0
    }

    fn free(self) {}
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({}, {})", self.content, self.reply)
    }
}
