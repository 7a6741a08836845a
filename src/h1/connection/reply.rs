//! A reply that goes on after the handler has returned: the letters for it, an answer that is awaited, and a stream.

use super::buffers::Buffers;
use super::call::{self, resume_account};
use super::context::{Budget, Context, Step};
use super::exchange::Exchange;
use super::states::{Awaiting, Ending, ReplyState, Streaming};
use crate::exchange::{Answer, Circumstances, CloseReason, Letter, Response, Sent, Service, Ticket, dispose};
use crate::http::{Error, Printable, Result};
use crate::limits::{HIGH_WATER, MIN_READ, SHARE_FROM};

// ---- awaited replies ------------------------------------------------------------------------------------------------

impl Exchange {
    /// Whether a letter with this ticket is for this exchange.
    pub(super) fn awaits(&self, ticket: Ticket) -> bool {
        let addresses = [self.content.address(), self.reply.address()];
        addresses.into_iter().flatten().any(|address| address.ticket == ticket)
    }

    /// Takes a letter that [it awaits](Self::awaits).
    pub(super) fn deliver(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>, letter: Letter) {
        match letter {
            Letter::Wake => self.reply.wake(),
            Letter::Resume => self.resume(cx),
            letter if self.reply.is_deferred() => self.take_answer(buffers, cx, letter),
            unwanted => dispose(unwanted),
        }
    }

    /// Takes what a responder sends.
    pub(super) fn take_answer(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>, letter: Letter) {
        match letter {
            Letter::Answer(answer) => self.answer_deferred(buffers, cx, Ok(answer), None),
            Letter::Unanswered => {
                let error = Error::internal("the responder was dropped without an answer");
                self.answer_deferred(buffers, cx, Err(error), None);
            }
            // A client that does not even take its replies gets no hints.
            Letter::Interim(bytes) if buffers.owed() < HIGH_WATER => {
                let output = buffers.queue(cx.pools);
                output.inline().extend_from_slice(&bytes);
            }
            unwanted => dispose(unwanted),
        }
    }

    /// Produces the deferred reply by `answer`, or an error reply in its place. `close` is a further reason why the
    /// connection ends with it.
    pub(super) fn answer_deferred(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        answer: Result<Answer, Error>,
        close: Option<CloseReason>,
    ) {
        let by_responder = answer.is_ok();
        self.answer_awaited(buffers, cx, close, by_responder, |_, response| answer.and_then(|answer| answer(response)));
    }

    /// Runs `call` to produce the awaited reply. Unless it is `by_responder`, the responder learns that its answer is
    /// not awaited any more.
    pub(super) fn answer_awaited(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        close: Option<CloseReason>,
        by_responder: bool,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
    ) {
        if !matches!(self.reply, ReplyState::Awaited(_)) {
            return;
        }
        let ReplyState::Awaited(awaiting) = self.set_reply(cx.id, ReplyState::Unbegun) else { return };
        let Awaiting { mut draft, waited, close: asked, takes_trailers, account, .. } = *awaiting;
        resume_account(cx, account, waited.is_some());
        let drained = (cx.draining.has_begun() && buffers.has_no_input()).then_some(CloseReason::Drained);
        let close = close.or(asked).or(drained);
        if close.is_some() {
            draft.not_persistent();
        }
        match waited {
            Some(waited) if by_responder => waited.answered(),
            waited => drop(waited),
        }
        let mut call = Some(call);
        let reply = call::answer_draft(buffers, cx, draft, close, takes_trailers, &mut |service, res| {
            let call = call.take().ok_or_else(|| Error::internal("a reply is made once"))?;
            call(service, res)
        });
        self.set_reply(cx.id, reply);
    }
}

// ---- streams --------------------------------------------------------------------------------------------------------

impl Exchange {
    /// Asks the source of the reply, if it has one that may have something.
    #[inline(never)]
    pub(super) fn produce(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        budget: &mut Budget,
    ) -> Result<Step, CloseReason> {
        let ReplyState::Streaming(streaming) = &mut self.reply else { return Ok(Step::Stalled) };
        let Streaming { address, stream, drained, silent, .. } = &mut **streaming;
        let draining = cx.draining.has_begun();
        let newly_drained = draining && !*drained;
        if stream.is_pending() && !newly_drained && !*silent {
            return Ok(Step::Stalled);
        }
        if budget.bytes == 0 {
            return Ok(Step::OutOfBudget);
        }
        *drained = draining;
        let asked = Circumstances { draining, silent: std::mem::take(silent) };
        let before = stream.written();
        let output = buffers.queue(cx.pools);
        let produced = stream.produce(output, address, asked);
        let count = usize::try_from(stream.written() - before).unwrap_or(usize::MAX);
        // A source that gives little each time has its share of the turn as well.
        budget.bytes = budget.bytes.saturating_sub(count.max(MIN_READ));
        match produced {
            Ok(true) => self.stream_is_whole(buffers, cx),
            Ok(false) => {}
            Err(error) => {
                log::debug!("conn {}: the source has failed: {}", cx.id, Printable(&error));
                let error = Error::internal("the source of a reply failed").with_source(error);
                cx.watch.tell(|observer| observer.request_failed(cx.id, &error));
                return Err(CloseReason::StreamFailed);
            }
        }
        Ok(Step::Again)
    }

    fn stream_is_whole(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) {
        let ReplyState::Streaming(streaming) = &self.reply else { return };
        let stream = &streaming.stream;
        if let Some(output) = &mut buffers.output {
            output.ends_with_connection = stream.ends_with_connection();
        }
        let is_long = stream.written() >= SHARE_FROM as u64;
        let ending = streaming.close.map(|reason| Ending::after_reply(reason, is_long));
        if let Some((record, path)) = streaming.record(buffers.since) {
            buffers.record(record, path);
        }
        drop(self.set_reply(cx.id, ReplyState::Whole(ending)));
        // Perhaps the last byte has left before the source said so.
        buffers.tell_finished(cx);
    }
}
