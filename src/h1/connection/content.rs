//! The content of a request: collected for a handler, taken by a sink piece by piece, or thrown away.

use std::time::Duration;

use super::buffers::Buffers;
use super::call::{self, reason_of};
use super::context::{Context, Pools, Step};
use super::exchange::Exchange;
use super::incoming::Collected;
use super::states::{ContentState, Discarding, Ending, ReplyState};
use crate::buffer::Pace;
use crate::exchange::{
    Abort, CloseReason, Endpoints, Intake, LiveKey, Request, Service, Trailers, dispose, guard, log_error,
};
use crate::http::{Error, Result};
use crate::limits::{MAX_DISCARD, POOL_MAX_BUFFER};
use crate::wire::ProtocolError;
use crate::wire::{Expectation, Framing, Scratch};
use crate::wire::{Message, head};

impl ContentState {
    /// The state of content that no handler wants.
    pub(super) fn unwanted(message: &Message<'_>, has_come: usize, cx: &Context<'_>) -> Self {
        match discardable(message) {
            Some(left) => Self::Discarded(Discarding { left, pace: cx.content_pace(has_come) }),
            None => Self::Unread,
        }
    }

    /// Gives back what the state holds, and tells a sink that its content will never be whole.
    #[inline]
    pub(super) fn let_go(self, why: Abort, pools: &mut Pools, service: &mut dyn Service) {
        match self {
            Self::Collected(collecting) => pools.collecting.give_back(collecting),
            Self::Taken(flow) => abort_sink(service, flow.key, why),
            Self::Discarded(_) | Self::Unread | Self::Done => {}
        }
    }
}

/// The length of content that the server may throw away to keep the connection. `None` for chunked and for long
/// content, and for a client that expects a 100: nobody knows whether it sends its content after another reply.
pub(super) const fn discardable(message: &Message<'_>) -> Option<u64> {
    match (message.framing, message.expectation) {
        (Framing::Length(length), Expectation::None) if length <= MAX_DISCARD => Some(length),
        _ => None,
    }
}

// ---- collected content ----------------------------------------------------------------------------------------------

impl Exchange {
    /// Decodes the content that has come, and answers the request when its content is whole.
    pub(super) fn collect(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        scratch: &mut Scratch,
    ) -> Step {
        let ContentState::Collected(collecting) = &mut self.content else { return Step::Stalled };
        match collecting.decode(buffers.input.as_deref_mut()) {
            Ok(Collected::Whole) => self.answer_collected(buffers, cx, endpoints, scratch, None),
            Ok(Collected::TooLarge) => {
                self.answer_collected(buffers, cx, endpoints, scratch, Some(ProtocolError::ContentTooLarge));
            }
            Ok(Collected::Partial) if buffers.input_ended => self.fail(buffers, cx, ProtocolError::IncompleteContent),
            Ok(Collected::Partial) => {
                // The rest of a content of known length is read in place.
                if let Some(input) = buffers.input.take_if(|input| input.is_empty()) {
                    cx.pools.receive.give_back(input);
                }
                return Step::Stalled;
            }
            Err(error) => self.fail(buffers, cx, error),
        }
        Step::Again
    }

    /// Answers the request whose content was collected, or refuses it with `refusal`.
    fn answer_collected(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        scratch: &mut Scratch,
        refusal: Option<ProtocolError>,
    ) {
        let rest = if refusal.is_some() { ContentState::Unread } else { ContentState::Done };
        let reply = {
            let ContentState::Collected(collecting) = &self.content else { return };
            let parsed = head::parse(&collecting.head, scratch, cx.config);
            // These bytes were parsed before, with the same result.
            let mut message = match parsed {
                Ok(Some(message)) => message,
                Ok(None) => return self.fail(buffers, cx, ProtocolError::IncompleteHead),
                Err(error) => return self.fail(buffers, cx, error),
            };
            message.followed = !buffers.has_no_input();
            let content = if refusal.is_some() { &[][..] } else { collecting.content.bytes() };
            // Large content is often answered by as much.
            if content.len() > POOL_MAX_BUFFER && buffers.output.is_none() {
                buffers.output = cx.pools.output.lend_large();
            }
            let trailers = Trailers::new(&collecting.trailers);
            let mut received = cx.received(&message.head, content, endpoints);
            received.trailers = trailers;
            let close = refusal.is_some().then_some(CloseReason::BadRequest);
            call::answer_or_refuse(buffers, cx, &message, Request::new(&received), close, refusal.map(Error::from))
        };
        if let ContentState::Collected(collecting) = self.set_content(cx.id, rest) {
            cx.pools.collecting.give_back(collecting);
        }
        self.set_reply(cx.id, reply);
    }

    /// Answers content that breaks a rule. The connection ends with this reply.
    pub(super) fn fail(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>, error: ProtocolError) {
        self.fail_for(buffers, cx, error, reason_of(error));
    }

    /// [`fail`](Self::fail) for another reason than that of the error.
    pub(super) fn fail_for(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        error: ProtocolError,
        reason: CloseReason,
    ) {
        let ContentState::Collected(collecting) = &self.content else { return };
        let method = call::method_of_invalid(&collecting.head);
        self.set_content(cx.id, ContentState::Unread).let_go(Abort::Malformed, cx.pools, cx.service);
        call::answer_invalid(buffers, cx, method, error, reason);
        self.set_reply(cx.id, ReplyState::Whole(Some(Ending::lingering(reason))));
    }
}

// ---- content for a sink ---------------------------------------------------------------------------------------------

impl Exchange {
    /// Gives the next piece of the content to the sink.
    pub(super) fn take_content(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) -> Result<Step, CloseReason> {
        let ContentState::Taken(flow) = &mut self.content else { return Ok(Step::Stalled) };
        let bytes = buffers.bytes();
        if flow.is_paused() || (bytes.is_empty() && !buffers.input_ended && !flow.decoder.is_used_up()) {
            return Ok(Step::Stalled);
        }
        let piece = match flow.next_piece(bytes) {
            Ok(piece) => piece,
            Err(error) => return self.content_failed(buffers, cx, error),
        };
        let (consumed, end) = (piece.consumed, piece.end);
        let taken = match piece.content {
            [] => Ok(Ok(())),
            content => {
                let began = cx.watch.is_some().then(|| cx.read_clock());
                let mut intake = Intake::new(&flow.address, &mut flow.pauses);
                let taken = guard(|| cx.service.content(flow.key, content, &mut intake));
                if let (Some(began), Some(account)) = (began, self.reply.account()) {
                    account.add_piece(content.len(), cx.read_clock().since(began));
                }
                taken
            }
        };
        buffers.consume(consumed);
        match taken {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return self.sink_failed(buffers, cx, error, None),
            Err(panic) => return self.sink_failed(buffers, cx, Error::internal(panic), Some(CloseReason::Panicked)),
        }
        if flow.is_paused() {
            // The end of the content waits, too.
            flow.since = cx.now;
            return Ok(Step::Again);
        }
        if end {
            return self.content_ended(buffers, cx);
        }
        if consumed == 0 && buffers.input_ended {
            return self.content_failed(buffers, cx, ProtocolError::IncompleteContent);
        }
        Ok(Step::Again)
    }

    /// Undoes one pause of the content.
    pub(super) fn resume(&mut self, cx: &Context<'_>) {
        let Some(flow) = self.content.flow() else { return };
        let was_paused = flow.is_paused();
        flow.pauses = flow.pauses.saturating_sub(1);
        if was_paused && !flow.is_paused() {
            // The client could not send meanwhile. It has as much time left as before, and no new grace. If none was
            // left, it is late from now on: what waits in the kernel may still pay for more.
            flow.pace.postpone(cx.now.since(flow.since));
            flow.pace.extend(Pace::begin(cx.now, Duration::ZERO, cx.config.min_content_rate));
        }
    }

    /// Tells the sink that its content is whole.
    fn content_ended(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) -> Result<Step, CloseReason> {
        let ContentState::Taken(flow) = self.set_content(cx.id, ContentState::Done) else { return Ok(Step::Stalled) };
        let (key, trailers) = (flow.key, Trailers::new(&flow.trailers));
        if self.reply.awaits_content() {
            self.answer_awaited(buffers, cx, None, true, |service, response| {
                let sent = service.content_end(key, trailers, Some(response))?;
                sent.ok_or_else(|| Error::internal("the sink ended without a reply"))
            });
            return Ok(Step::Again);
        }
        let ended = guard(|| cx.service.content_end(key, trailers, None));
        let panicked = ended.is_err().then_some(CloseReason::Panicked);
        match ended.unwrap_or_else(|panic| Err(Error::internal(panic))) {
            Ok(_) => {
                self.reply.restart(cx.now);
                Ok(Step::Again)
            }
            Err(error) => self.application_failed(buffers, cx, error, panicked),
        }
    }

    /// The content breaks a rule, or it will never be whole.
    #[cold]
    pub(super) fn content_failed(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        error: ProtocolError,
    ) -> Result<Step, CloseReason> {
        let (why, reason) = match error {
            ProtocolError::IncompleteContent => (Abort::ClientGone, reason_of(error)),
            ProtocolError::ContentTooLarge => (Abort::TooLarge, reason_of(error)),
            ProtocolError::Timeout => (Abort::TimedOut, CloseReason::ContentTimeout),
            _ => (Abort::Malformed, reason_of(error)),
        };
        self.give_up_content(cx, why);
        match self.reply {
            // The fields that the middleware set stay: this is the reply to a request that was understood.
            ReplyState::Awaited(_) => self.answer_deferred(buffers, cx, Err(error.into()), Some(reason)),
            ReplyState::Streaming(_) => return Err(reason),
            ReplyState::Unbegun | ReplyState::Whole(_) => {
                self.set_reply(cx.id, ReplyState::Whole(Some(Ending::lingering(reason))));
            }
        }
        Ok(Step::Again)
    }

    /// The sink has failed. `close` is a reason why the connection cannot go on, if there is one already.
    fn sink_failed(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        error: Error,
        close: Option<CloseReason>,
    ) -> Result<Step, CloseReason> {
        let Some(flow) = self.content.flow() else { return Ok(Step::Stalled) };
        let left = flow.decoder.announced();
        let is_short = flow.decoder.has_length() && left <= MAX_DISCARD && close.is_none();
        let (next, unread) = match is_short {
            true => (ContentState::Discarded(Discarding { left, pace: flow.pace }), None),
            false => (ContentState::Unread, Some(CloseReason::ContentUnread)),
        };
        self.set_content(cx.id, next).let_go(Abort::Failed, cx.pools, cx.service);
        self.application_failed(buffers, cx, error, close.or(unread))
    }

    /// The application has failed after the head of the request. `close` is the reason why the connection cannot go on,
    /// if there is one.
    fn application_failed(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        error: Error,
        close: Option<CloseReason>,
    ) -> Result<Step, CloseReason> {
        if let ReplyState::Awaited(_) = self.reply {
            self.answer_deferred(buffers, cx, Err(error), close);
            return Ok(Step::Again);
        }
        cx.watch.tell(|observer| observer.request_failed(cx.id, &error));
        log_error(&error);
        dispose(error);
        if let ReplyState::Streaming(_) = self.reply {
            return Err(CloseReason::StreamFailed);
        }
        // The reply was whole before.
        let reason = close.unwrap_or(CloseReason::StreamFailed);
        self.set_reply(cx.id, ReplyState::Whole(Some(Ending::lingering(reason))));
        Ok(Step::Again)
    }

    /// Takes no more content from a client that is to end its connection, and tells a sink why.
    pub(super) fn give_up_content(&mut self, cx: &mut Context<'_>, why: Abort) {
        if let ContentState::Taken(_) = self.content {
            self.set_content(cx.id, ContentState::Unread).let_go(why, cx.pools, cx.service);
        }
    }
}

// ---- content that is thrown away ------------------------------------------------------------------------------------

impl Exchange {
    /// Throws away what has come of the content.
    pub(super) fn discard_content(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) -> Result<Step, CloseReason> {
        let ContentState::Discarded(discarding) = &mut self.content else { return Ok(Step::Stalled) };
        let count = usize::try_from(discarding.left).unwrap_or(usize::MAX).min(buffers.bytes().len());
        discarding.left -= count as u64;
        buffers.consume(count);
        if discarding.left == 0 {
            self.set_content(cx.id, ContentState::Done);
            return Ok(Step::Again);
        }
        if !buffers.input_ended {
            return Ok(Step::Stalled);
        }
        match self.reply {
            // RFC 9112 §8: the server must not treat the request as complete, so it announces no success.
            ReplyState::Awaited(_) => return self.content_failed(buffers, cx, ProtocolError::IncompleteContent),
            // A client that has closed its side still gets the whole of a reply that has begun. No more content comes.
            ReplyState::Streaming(_) => drop(self.set_content(cx.id, ContentState::Done)),
            ReplyState::Unbegun | ReplyState::Whole(_) => {
                let ending = Ending::at_once(CloseReason::ClientClosedEarly);
                self.set_content(cx.id, ContentState::Done);
                self.set_reply(cx.id, ReplyState::Whole(Some(ending)));
            }
        }
        Ok(Step::Again)
    }
}

/// Tells a sink that its content will never be whole.
pub(super) fn abort_sink(service: &mut dyn Service, key: LiveKey, why: Abort) {
    if let Err(panic) = guard(|| service.content_abort(key, why)) {
        fault!("a sink {panic}");
    }
}

/// What the end of a connection means for content that was still to come.
pub(super) const fn abort_of(reason: CloseReason) -> Abort {
    match reason {
        CloseReason::IdleTimeout
        | CloseReason::HeadTimeout
        | CloseReason::ContentTimeout
        | CloseReason::SendTimeout
        | CloseReason::ReplyTimeout => Abort::TimedOut,
        CloseReason::BadRequest => Abort::Malformed,
        CloseReason::StreamFailed | CloseReason::Panicked | CloseReason::ContentUnread => Abort::Failed,
        CloseReason::Cut | CloseReason::Drained | CloseReason::OutOfMemory => Abort::Cut,
        _ => Abort::ClientGone,
    }
}
