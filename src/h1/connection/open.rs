//! Exchanges whose handler has returned and whose reply is not whole: awaited from another thread, or streamed.

use super::replies::{Answered, closing_reason};
use super::{Budget, Connection, Context, Reading, Step, Writing};
use crate::buffer::ReplyRecord;
use crate::exchange::{Answer, Asked, CloseReason, Letter, Response, Rest, Sent, Service, Stream, Ticket, dispose};
use crate::h1::incoming::Sink;
use crate::h1::outgoing::{OpenExchange, OpenReply};
use crate::http::{self, Error, Moment};
use crate::limits::{HIGH_WATER, MIN_READ, SHARE_FROM};

impl Connection {
    /// The handler has returned, and its reply is not whole.
    #[cold]
    pub(super) fn leave_open(
        &mut self,
        cx: &mut Context<'_>,
        close: Option<CloseReason>,
        takes_trailers: bool,
    ) -> Answered {
        let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
        let status = cx.reply.status();
        let method = cx.reply.method();
        let (reply, writing, close) = match cx.reply.take_rest() {
            None => return Answered::Whole,
            #[cfg(feature = "files")]
            Some(Rest::File(_)) => unreachable!("a file is put into the output as soon as the handler has returned"),
            Some(Rest::Switched) => {
                let record = ReplyRecord { end: 0, method, status, content: 0, began: self.began };
                if cx.watch.is_some() {
                    output.record(record);
                }
                return Answered::Open;
            }
            Some(Rest::Stream(mut stream)) => {
                stream.send_trailers(takes_trailers);
                // As in `refused`.
                let closes = cx.reply.closes() || close.is_some();
                let close = closes.then(|| closing_reason(close, false));
                (OpenReply::Streamed { stream, status }, Writing::Streaming, close)
            }
            Some(Rest::Deferred(waited)) => {
                let draft = cx.reply.put_aside();
                (OpenReply::Awaited { draft, waited: Some(waited) }, Writing::Awaiting, close)
            }
            Some(Rest::Later) => {
                let draft = cx.reply.put_aside();
                (OpenReply::Awaited { draft, waited: None }, Writing::Awaiting, close)
            }
        };
        let (address, began) = (cx.reply.address(), self.began);
        let open = OpenExchange {
            address,
            reply,
            began,
            method,
            since: cx.now,
            close,
            drained: cx.draining,
            takes_trailers,
            silent: false,
        };
        output.open = Some(Box::new(open));
        self.set_writing(cx.id, writing);
        Answered::Open
    }

    // ---- letters ----------------------------------------------------------------------------------------------------

    /// Whether a letter is for something that is still going on here.
    pub(crate) fn awaits(&self, ticket: Ticket) -> bool {
        let open = self.open().is_some_and(|open| open.address.ticket == ticket);
        open || match &self.reading {
            Reading::Sink(incoming) | Reading::Paused(incoming) => {
                incoming.sink.as_ref().is_some_and(|sink| sink.address.ticket == ticket)
            }
            Reading::Upgraded(upgraded) => upgraded.address.ticket == ticket,
            _ => false,
        }
    }

    /// Takes a letter that [it awaits](Self::awaits).
    pub(crate) fn deliver(&mut self, cx: &mut Context<'_>, letter: Letter) {
        let deferred = matches!(self.open().map(|open| &open.reply), Some(OpenReply::Awaited { waited: Some(_), .. }));
        match letter {
            Letter::Answer(answer) if deferred => self.answer_deferred(cx, Ok(answer), None),
            Letter::Unanswered if deferred => {
                let error = Error::internal("the responder was dropped without an answer");
                self.answer_deferred(cx, Err(error), None);
            }
            // A client that does not even take its replies gets no hints.
            Letter::Interim(bytes) if deferred && self.owed() < HIGH_WATER => {
                let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
                output.inline().extend_from_slice(&bytes);
            }
            Letter::Wake => self.wake(),
            Letter::Resume => self.resume(cx),
            unwanted => dispose(unwanted),
        }
    }

    /// A source or a protocol has something.
    fn wake(&mut self) {
        if let Reading::Upgraded(upgraded) = &mut self.reading {
            upgraded.may_write = true;
        }
        if let Some(stream) = self.stream() {
            stream.wake();
        }
    }

    /// If the source of the reply wants to be asked because nothing was sent since `activity`, has it asked. Not for
    /// ever: if it says nothing then, the connection is idle like any other.
    pub(crate) fn beat(&mut self, cx: &Context<'_>, activity: Moment) -> bool {
        let idle = activity + *cx.idle_timeout <= cx.now;
        let asked = self.open().is_some_and(|open| open.since > activity);
        let beats = !(idle && asked) && self.heartbeat(activity).is_some_and(|due| due <= cx.now);
        if let (true, Some(open)) = (beats, self.output.as_mut().and_then(|output| output.open.as_mut())) {
            open.silent = true;
            open.since = cx.now;
        }
        beats
    }

    /// When the source of the reply is to be asked if nothing is sent until then, if it is pending and wants it. While
    /// content comes, it is the content that is timed.
    pub(super) fn heartbeat(&self, activity: Moment) -> Option<Moment> {
        let alone = matches!(self.reading, Reading::Head { .. }) && self.output().is_none();
        let open = self.open().filter(|_| alone)?;
        let silence = open.stream().filter(|stream| stream.is_pending())?.heartbeat()?;
        Some(activity.max(open.since) + silence)
    }

    fn stream(&mut self) -> Option<&mut Stream> {
        match self.output.as_mut()?.open.as_deref_mut() {
            Some(OpenExchange { reply: OpenReply::Streamed { stream, .. }, .. }) => Some(stream),
            _ => None,
        }
    }

    // ---- deferred replies -------------------------------------------------------------------------------------------

    /// Gives the reply that was deferred. `close` is the reason for which the connection ends with it, if there is one
    /// beside that of the request.
    pub(super) fn answer_deferred(
        &mut self,
        cx: &mut Context<'_>,
        answer: Result<Answer, Error>,
        close: Option<CloseReason>,
    ) {
        let in_time = answer.is_ok();
        self.answer_put_off(cx, close, in_time, |_, response| answer.and_then(|answer| answer(response)));
    }

    /// Has `call` make the reply that was put off. Whoever was to give it learns that nobody waits any more, unless this is
    /// its own answer, `in_time`.
    pub(super) fn answer_put_off(
        &mut self,
        cx: &mut Context<'_>,
        close: Option<CloseReason>,
        in_time: bool,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> http::Result<Sent>,
    ) {
        let Some(OpenExchange {
            reply: OpenReply::Awaited { mut draft, waited },
            began,
            close: asked,
            takes_trailers,
            ..
        }) = self.take_open().map(|open| *open)
        else {
            return;
        };
        let drained = (cx.draining && self.has_no_input()).then_some(CloseReason::Drained);
        let close = close.or(asked).or(drained);
        if close.is_some() {
            draft.not_persistent();
        }
        match waited {
            Some(waited) if in_time => waited.answered(),
            waited => drop(waited),
        }
        self.began = began;
        let outcome = self.conduct_later(cx, draft, call);
        self.conclude(cx, close, outcome.panicked, takes_trailers);
    }

    /// After a reply that had been put off was given, or put off again.
    fn conclude(&mut self, cx: &mut Context<'_>, close: Option<CloseReason>, panicked: bool, takes_trailers: bool) {
        if cx.reply.has_rest() {
            self.leave_open(cx, close, takes_trailers);
            return;
        }
        let close = cx.reply.closes().then(|| closing_reason(close, panicked));
        self.reply_is_whole(cx, close, self.owed() >= SHARE_FROM);
    }

    /// The reply of the open exchange is in the queue, or was. `close`: it was the last one, and why. `is_long`: much of it may
    /// still stand in the kernel.
    fn reply_is_whole(&mut self, cx: &mut Context<'_>, close: Option<CloseReason>, is_long: bool) {
        match (&mut self.reading, close) {
            // The exchange ends with its content.
            (Reading::Sink(incoming) | Reading::Paused(incoming), close) => {
                if let Some(sink) = &mut incoming.sink {
                    sink.close = close.map(|reason| (reason, is_long));
                }
                self.set_writing(cx.id, Writing::Idle);
            }
            (reading, Some(reason)) => {
                let unread = matches!(reading, Reading::DiscardContent(_));
                self.finish_after_reply(cx, reason, unread || is_long);
            }
            (Reading::DiscardContent(_), None) => self.set_writing(cx.id, Writing::Idle),
            (_, None) => {
                self.set_writing(cx.id, Writing::Idle);
                self.next_request(cx.now);
            }
        }
    }

    // ---- streams ----------------------------------------------------------------------------------------------------

    /// The step of an open exchange: asks the source of the reply, if it has one that may have something.
    #[inline(never)]
    pub(super) fn produce(&mut self, cx: &mut Context<'_>, budget: &mut Budget<'_>) -> Step {
        if let Some(output) = self.output.as_mut().filter(|output| output.has_no_memory()) {
            cx.pools.equip(output);
        }
        let Some((queue, Some(open))) = self.output.as_deref_mut().map(|output| output.parts()) else {
            return Step::Stalled;
        };
        let OpenReply::Streamed { stream, .. } = &mut open.reply else { return Step::Stalled };
        let newly_drained = cx.draining && !open.drained;
        if stream.is_pending() && !newly_drained && !open.silent {
            return Step::Stalled;
        }
        if budget.bytes == 0 {
            return Step::OutOfBudget;
        }
        open.drained = cx.draining;
        let asked = Asked { draining: cx.draining, silent: std::mem::take(&mut open.silent) };
        let before = stream.written();
        queue.compact();
        let produced = stream.produce(queue, &open.address, asked);
        let count = usize::try_from(stream.written() - before).unwrap_or(usize::MAX);
        // A source that gives little each time has its share of the turn as well.
        budget.bytes = budget.bytes.saturating_sub(count.max(MIN_READ));
        match produced {
            Ok(false) => Step::Again,
            Ok(true) => {
                self.stream_is_whole(cx);
                Step::Again
            }
            Err(error) => {
                log::debug!("conn {}: the source failed: {error}", cx.id);
                let error = Error::internal("the source of a reply failed").with_source(error);
                cx.watch.tell(|observer| observer.request_failed(cx.id, &error));
                self.abort(cx.id, CloseReason::StreamFailed);
                Step::Again
            }
        }
    }

    fn stream_is_whole(&mut self, cx: &mut Context<'_>) {
        let Some(open) = self.take_open() else { return };
        let OpenExchange { reply: OpenReply::Streamed { stream, status }, method, began, close, .. } = *open else {
            unreachable!("a stream was asked")
        };
        if let Some(output) = &mut self.output {
            output.ends_with_connection = stream.ends_with_connection();
        }
        if let (Some(output), true) = (&mut self.output, cx.watch.is_some()) {
            output.record(ReplyRecord { end: 0, method, status, content: stream.written(), began });
        }
        let is_long = stream.written() >= SHARE_FROM as u64;
        drop(stream);
        // Perhaps the last byte has left before the source said so.
        self.tell_finished(cx);
        self.reply_is_whole(cx, close, is_long);
    }

    // ---- the open exchange ------------------------------------------------------------------------------------------

    pub(super) fn open(&self) -> Option<&OpenExchange> {
        self.output.as_ref().and_then(|output| output.open.as_deref())
    }

    pub(super) fn take_open(&mut self) -> Option<Box<OpenExchange>> {
        self.output.as_mut().and_then(|output| output.open.take())
    }

    /// Whether nobody but the application keeps the client waiting, so that the socket is neither read nor written and
    /// only an event tells that the client is gone.
    pub(crate) const fn waits_for_application(&self) -> bool {
        matches!(self.writing, Writing::Awaiting | Writing::Streaming) || matches!(self.reading, Reading::Paused(_))
    }

    /// An event says that the client has closed its side.
    pub(crate) fn note_half_close(&self) {
        if let Some(OpenReply::Awaited { waited: Some(waited), .. }) = self.open().map(|open| &open.reply) {
            waited.half_close();
        }
    }

    /// Whether the connection ends in the middle of a reply: what was sent of it must not look like all of it.
    pub(crate) fn is_cut_short(&self) -> bool {
        let Some(output) = &self.output else { return false };
        let streams = output.open.as_ref().is_some_and(|open| open.stream().is_some());
        streams || (output.ends_with_connection && !output.is_empty())
    }

    /// The sink of the content that comes, if it goes to one.
    pub(super) fn sink(&mut self) -> Option<&mut Sink> {
        match &mut self.reading {
            Reading::Sink(incoming) | Reading::Paused(incoming) => incoming.sink.as_mut(),
            _ => None,
        }
    }
}
