//! The reply to a request: made by the application at once, awaited from it, or streamed.

use std::fmt;

use super::call;
use super::exchange::Exchange;
use super::phase::Ending;
use super::{Break, Budget, Buffers, Context, Step};
use crate::buffer::ReplyRecord;
use crate::exchange::{
    Address, Answer, Circumstances, CloseReason, Draft, FinishedReply, Letter, Response, Sent, Service, Stream, Waited,
    dispose,
};
use crate::http::{Error, Method, Moment, Result};
use crate::limits::{HIGH_WATER, MIN_READ, SHARE_FROM};

/// How far the reply is.
#[derive(Debug)]
pub(super) enum ReplyState {
    /// The application has not been asked for it, or is being asked at this moment.
    Unbegun,
    /// It is awaited: from another thread, or from the sink at the end of the content.
    Awaited(Box<Awaiting>),
    /// Its head is in the queue. Its content is produced as the client takes it.
    Streaming(Box<Streaming>),
    /// It is in the queue as a whole. The connection ends with it if there is an [`Ending`].
    Whole(Option<Ending>),
}

/// A reply that is awaited.
#[derive(Debug)]
pub(super) struct Awaiting {
    /// Where letters reach the exchange.
    pub(super) address: Address,
    /// The reply so far.
    pub(super) draft: Draft,
    /// The connection's end of the responder, if another thread is to answer.
    pub(super) waited: Option<Waited>,
    /// Since when the client waits for nothing but the application.
    pub(super) since: Moment,
    /// A reason why the connection ends with this reply, if there is one already.
    pub(super) close: Option<CloseReason>,
    pub(super) takes_trailers: bool,
}

/// A reply whose content is being produced.
#[derive(Debug)]
pub(super) struct Streaming {
    /// Where letters reach the exchange.
    pub(super) address: Address,
    pub(super) stream: Stream,
    pub(super) method: Option<Method>,
    pub(super) status: u16,
    /// When the source was last asked for a heartbeat, or when the reply got its time anew.
    pub(super) since: Moment,
    /// Why the connection ends with this reply, if it does.
    pub(super) close: Option<CloseReason>,
    /// The drain has begun, and the source was asked since then.
    pub(super) drained: bool,
    /// Nothing was sent for the time of the source's heartbeat.
    pub(super) silent: bool,
}

impl ReplyState {
    /// The table of steps: whether one step leads from this state to `next`.
    pub(super) const fn leads_to(&self, next: &Self) -> bool {
        match self {
            Self::Unbegun => true,
            // While an answer is being made, its reply is `Unbegun`.
            Self::Awaited(_) => matches!(next, Self::Unbegun),
            Self::Streaming(_) => matches!(next, Self::Whole(_)),
            // The content can fail after the reply is whole. Then the connection ends.
            Self::Whole(_) => matches!(next, Self::Whole(Some(_))),
        }
    }

    /// The same reply, as the last one because of `reason`. Another reason that it has already counts more, unless it is
    /// the handler's wish.
    pub(super) fn made_last(mut self, reason: CloseReason) -> Self {
        let stronger = |known: Option<CloseReason>| match known {
            None | Some(CloseReason::HandlerClosed) => reason,
            Some(known) => known,
        };
        match &mut self {
            Self::Awaited(awaiting) => awaiting.close = Some(stronger(awaiting.close)),
            Self::Streaming(streaming) => streaming.close = Some(stronger(streaming.close)),
            Self::Whole(ending) => {
                *ending = Some(Ending::lingering(stronger(ending.map(|ending| ending.reason))));
            }
            Self::Unbegun => {}
        }
        self
    }

    /// Whether a reply is awaited from another thread.
    pub(super) const fn is_deferred(&self) -> bool {
        matches!(self, Self::Awaited(awaiting) if awaiting.waited.is_some())
    }

    /// Whether a reply is awaited from the sink.
    pub(super) const fn awaits_content(&self) -> bool {
        matches!(self, Self::Awaited(awaiting) if awaiting.waited.is_none())
    }

    /// Whether the client waits for the application: for a reply, or for the rest of one.
    pub(super) const fn waits_for_application(&self) -> bool {
        matches!(self, Self::Awaited(_) | Self::Streaming(_))
    }

    /// Where letters for the reply go.
    pub(super) const fn address(&self) -> Option<&Address> {
        match self {
            Self::Awaited(awaiting) => Some(&awaiting.address),
            Self::Streaming(streaming) => Some(&streaming.address),
            Self::Unbegun | Self::Whole(_) => None,
        }
    }

    /// From when on the reply has its time.
    pub(super) const fn since(&mut self) -> Option<&mut Moment> {
        match self {
            Self::Awaited(awaiting) => Some(&mut awaiting.since),
            Self::Streaming(streaming) => Some(&mut streaming.since),
            Self::Unbegun | Self::Whole(_) => None,
        }
    }

    /// Gives the reply its whole time, from now on.
    pub(super) const fn restart(&mut self, now: Moment) {
        if let Some(since) = self.since() {
            *since = now;
        }
    }

    /// Notes that the source may have something.
    pub(super) const fn wake(&mut self) {
        if let Self::Streaming(streaming) = self {
            streaming.stream.wake();
        }
    }

    /// Tells the responder that the client has closed its side.
    pub(super) fn note_half_close(&self) {
        if let Self::Awaited(awaiting) = self
            && let Some(waited) = &awaiting.waited
        {
            waited.half_close();
        }
    }

    /// What has left of a stream if `owed` bytes have not, for the observer.
    pub(super) fn cut(&self, owed: u64, began: Moment, now: Moment) -> Option<FinishedReply> {
        let Self::Streaming(streaming) = self else { return None };
        let record = streaming.record(began);
        Some(ReplyRecord { content: record.content.saturating_sub(owed), ..record }.finished(now))
    }
}

impl Streaming {
    fn record(&self, began: Moment) -> ReplyRecord {
        ReplyRecord { end: 0, method: self.method, status: self.status, content: self.stream.written(), began }
    }

    /// When the source is to be asked if nothing is sent until then, if it is pending and wants that.
    pub(super) fn heartbeat(&self, activity: Moment) -> Option<Moment> {
        let silence = if self.stream.is_pending() { self.stream.heartbeat()? } else { return None };
        Some(activity.max(self.since) + silence)
    }

    /// Whether the source is to be asked because nothing was sent since `activity`; notes that it is.
    ///
    /// This does not go on for ever: if the source says nothing then, the connection is idle like any other.
    pub(super) fn beat(&mut self, cx: &Context<'_>, activity: Moment) -> bool {
        let is_idle = activity + *cx.idle_timeout <= cx.now;
        let was_asked = self.since > activity;
        if (is_idle && was_asked) || self.heartbeat(activity).is_none_or(|due| due > cx.now) {
            return false;
        }
        (self.silent, self.since) = (true, cx.now);
        true
    }
}

// ---- awaited replies ------------------------------------------------------------------------------------------------

impl Exchange {
    /// Takes what a responder sends.
    pub(super) fn take_answer(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>, letter: Letter) {
        match letter {
            Letter::Answer(answer) => self.answer_late(buffers, cx, Ok(answer), None),
            Letter::Unanswered => {
                let error = Error::internal("the responder was dropped without an answer");
                self.answer_late(buffers, cx, Err(error), None);
            }
            // A client that does not even take its replies gets no hints.
            Letter::Interim(bytes) if buffers.owed() < HIGH_WATER => {
                let output = buffers.output.get_or_insert_with(|| cx.pools.output.lend());
                output.inline().extend_from_slice(&bytes);
            }
            unwanted => dispose(unwanted),
        }
    }

    /// Gives the reply that is awaited, or an error in place of it. `close` is a further reason why the connection ends
    /// with it.
    pub(super) fn answer_late(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        answer: Result<Answer, Error>,
        close: Option<CloseReason>,
    ) {
        let in_time = answer.is_ok();
        self.answer_awaited(buffers, cx, close, in_time, |_, response| answer.and_then(|answer| answer(response)));
    }

    /// Has `call` make the reply that is awaited. Unless the call is the responder's own answer, `in_time`, the responder
    /// learns that its answer is not awaited any more.
    pub(super) fn answer_awaited(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        close: Option<CloseReason>,
        in_time: bool,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
    ) {
        if !matches!(self.reply, ReplyState::Awaited(_)) {
            return;
        }
        let ReplyState::Awaited(awaiting) = self.set_reply(cx.id, ReplyState::Unbegun) else { return };
        let Awaiting { mut draft, waited, close: asked, takes_trailers, .. } = *awaiting;
        let drained = (cx.draining && buffers.has_no_input()).then_some(CloseReason::Drained);
        let close = close.or(asked).or(drained);
        if close.is_some() {
            draft.not_persistent();
        }
        match waited {
            Some(waited) if in_time => waited.answered(),
            waited => drop(waited),
        }
        let reply = call::answer_draft(buffers, cx, draft, close, takes_trailers, call);
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
    ) -> Result<Step, Break> {
        let ReplyState::Streaming(streaming) = &mut self.reply else { return Ok(Step::Stalled) };
        let Streaming { address, stream, drained, silent, .. } = &mut **streaming;
        let newly_drained = cx.draining && !*drained;
        if stream.is_pending() && !newly_drained && !*silent {
            return Ok(Step::Stalled);
        }
        if budget.bytes == 0 {
            return Ok(Step::OutOfBudget);
        }
        *drained = cx.draining;
        let asked = Circumstances { draining: cx.draining, silent: std::mem::take(silent) };
        let before = stream.written();
        let output = buffers.output.get_or_insert_with(|| cx.pools.output.lend());
        output.compact();
        let produced = stream.produce(output, address, asked);
        let count = usize::try_from(stream.written() - before).unwrap_or(usize::MAX);
        // A source that gives little each time has its share of the turn as well.
        budget.bytes = budget.bytes.saturating_sub(count.max(MIN_READ));
        match produced {
            Ok(true) => self.stream_is_whole(buffers, cx),
            Ok(false) => {}
            Err(error) => {
                log::debug!("conn {}: the source failed: {error}", cx.id);
                let error = Error::internal("the source of a reply failed").with_source(error);
                cx.watch.tell(|observer| observer.request_failed(cx.id, &error));
                return Err(Break::Abort(CloseReason::StreamFailed));
            }
        }
        Ok(Step::Again)
    }

    fn stream_is_whole(&mut self, buffers: &mut Buffers, cx: &mut Context<'_>) {
        let ReplyState::Streaming(streaming) = &self.reply else { return };
        let (stream, record) = (&streaming.stream, streaming.record(buffers.since));
        if let Some(output) = &mut buffers.output {
            output.ends_with_connection = stream.ends_with_connection();
        }
        let is_long = stream.written() >= SHARE_FROM as u64;
        let ending = streaming.close.map(|reason| Ending::after_reply(reason, is_long));
        if cx.watch.is_some() {
            buffers.record(record);
        }
        drop(self.set_reply(cx.id, ReplyState::Whole(ending)));
        // Perhaps the last byte has left before the source said so.
        buffers.tell_finished(cx);
    }
}

#[cfg(test)]
impl ReplyState {
    /// One value of each state, and one for each kind of a whole reply.
    pub(super) fn samples() -> Vec<Self> {
        use crate::buffer::OutputQueue;
        use crate::exchange::{Mailbox, Reply, RequestFacts, Rest, from_iter};

        let mut reply = Reply::new(None, 0, std::time::UNIX_EPOCH, Mailbox::new(|| {}));
        let mut output = OutputQueue::default();
        let facts = RequestFacts::unknown(None);
        reply.begin(facts, output.mark());
        let draft = reply.put_aside();
        let address = reply.address();
        let (since, close, takes_trailers) = (Moment::ZERO, None, false);
        let awaiting = Awaiting { address: address.clone(), draft, waited: None, since, close, takes_trailers };
        reply.begin(facts, output.mark());
        let source = from_iter(std::iter::empty::<&str>());
        let _sent = Response::new(&mut reply, &mut output).stream(source).expect("nothing is wrong with the head");
        let Some(Rest::Stream(stream)) = reply.take_rest() else { panic!("a stream is left") };
        let streaming =
            Streaming { address, stream, method: None, status: 200, since, close, drained: false, silent: false };
        vec![
            Self::Unbegun,
            Self::Awaited(Box::new(awaiting)),
            Self::Streaming(Box::new(streaming)),
            Self::Whole(None),
            Self::Whole(Some(Ending::at_once(CloseReason::NotPersistent))),
        ]
    }
}

impl fmt::Display for ReplyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unbegun => "Unbegun",
            Self::Awaited(_) => "Awaited",
            Self::Streaming(_) => "Streaming",
            Self::Whole(None) => "Whole",
            Self::Whole(Some(_)) => "Last",
        })
    }
}
