//! Content that goes to a sink, piece by piece.

use super::replies::{Outcome, closing_reason, reason_of};
use super::requests::{CONTINUE, Discard};
use super::{Connection, Context, Reading, Step, Writing};
use crate::buffer::Receive;
use crate::exchange::{
    Abort, CloseReason, ConnectionId, Intake, LiveKey, Request, Response, Sent, Service, Stage, Trailers, dispose,
    guard,
};
use crate::h1::error::ProtocolError;
use crate::h1::framing::Expectation;
use crate::h1::head::Message;
use crate::h1::incoming::{Incoming, Room, Sink};
use crate::h1::outgoing::OpenReply;
use crate::http::{Error, Result};
use crate::limits::{MAX_DISCARD, MAX_READ, SHARE_FROM};

impl Connection {
    /// Offers a request to the application at its head; gives the number of bytes that are done with.
    pub(super) fn open_content(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        request: Request<'_>,
        max_content: u64,
    ) -> usize {
        let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
        output.compact();
        let mark = output.mark();
        let mut key = None;
        let open = |service: &mut dyn Service, request: Request<'_>, response: Response<'_>| -> Result<Sent> {
            let (sent, sink) = service.open(request, response)?;
            key = sink;
            Ok(sent)
        };
        let persistent_if_refused = Discard::of(message) == Discard::Content;
        let stage = Stage::Open { persistent_if_accepted: true, persistent_if_refused };
        let (close, Outcome { failed, panicked }) = self.offer(cx, message, request, None, stage, open);
        let accepted = match key {
            Some(key) if failed => {
                abort_sink(cx.service, key, Abort::Failed);
                None
            }
            key => key,
        };
        let Some(key) = accepted else {
            self.refused(cx, bytes, message, close, panicked);
            return message.len;
        };
        if message.expectation == Expectation::Continue
            && bytes.len() == message.len
            && let Some(output) = &mut self.output
        {
            output.insert(mark, CONTINUE);
        }
        let mut incoming = cx.pools.incoming.lend();
        incoming.begin(&[], message.framing, cx.content_pace(bytes.len() - message.len));
        incoming.max_content = max_content;
        let mut sink = Sink {
            key,
            address: cx.reply.address(),
            taken: 0,
            pauses: 0,
            since: cx.now,
            close: None,
            room: Room::up_to(MAX_READ),
        };
        let writing = if cx.reply.has_rest() {
            self.leave_open(cx, close, message.takes_trailers());
            self.writing
        } else {
            let is_long = self.owed() >= SHARE_FROM;
            sink.close = cx.reply.closes().then(|| (closing_reason(close, panicked), is_long));
            Writing::Idle
        };
        incoming.sink = Some(sink);
        self.transition(cx.id, Reading::Sink(incoming), writing);
        message.len
    }

    /// The application has answered at the head and wants no content.
    fn refused(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        close: Option<CloseReason>,
        panicked: bool,
    ) {
        let close = close.or(Discard::of(message).close());
        if cx.reply.has_rest() {
            self.leave_open(cx, close, message.takes_trailers());
            self.leave_unread(cx, bytes, message);
            if self.awaits_content() {
                let error = Error::internal("a reply was put off until its content has come, and nobody takes that");
                self.answer_deferred(cx, Err(error), close);
            }
            return;
        }
        // Also when the reply did not say so, because the content had been accepted before nobody took it.
        let closes = cx.reply.closes() || close.is_some();
        match closes.then(|| closing_reason(close, panicked)) {
            Some(reason) => self.finish(cx, reason, true),
            None => self.discard_from(cx, bytes, message),
        }
    }

    /// A reply goes on although nobody wants the content of its request.
    pub(super) fn leave_unread(&mut self, cx: &mut Context<'_>, bytes: &[u8], message: &Message<'_>) {
        match Discard::of(message) {
            Discard::Content => self.discard_from(cx, bytes, message),
            // It is not read at all: the connection ends with the reply.
            Discard::Connection => self.reading = Reading::START,
        }
    }

    // ---- the step ---------------------------------------------------------------------------------------------------

    /// The step within `Sink`: gives the next piece of what has come to the sink.
    pub(super) fn take_content(&mut self, cx: &mut Context<'_>) -> Step {
        let Reading::Sink(incoming) = &mut self.reading else { unreachable!("within content for a sink") };
        let Incoming { decoder, trailers, max_content, sink: Some(sink), .. } = &mut **incoming else {
            unreachable!("content for a sink has one")
        };
        let bytes = self.input.as_deref().map_or(&[][..], Receive::bytes);
        if bytes.is_empty() && !self.input_ended && !decoder.is_used_up() {
            return Step::Stalled;
        }
        let piece = match decoder.decode(bytes) {
            Ok(piece) => piece,
            Err(error) => return self.content_failed(cx, error),
        };
        trailers.extend_from_slice(piece.trailers);
        let (consumed, end) = (piece.consumed, piece.end);
        sink.taken += piece.content.len() as u64;
        // A chunk that is too large is refused at its size.
        if sink.taken.saturating_add(decoder.announced()) > *max_content {
            return self.content_failed(cx, ProtocolError::ContentTooLarge);
        }
        let taken = match piece.content {
            [] => Ok(Ok(())),
            content => {
                let mut intake = Intake::new(&sink.address, &mut sink.pauses);
                guard(|| cx.service.content(sink.key, content, &mut intake))
            }
        };
        let pauses = sink.pauses > 0;
        if let Some(input) = &mut self.input {
            input.consume(consumed);
        }
        match taken {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.sink_failed(cx, error, None);
                return Step::Again;
            }
            Err(panic) => {
                self.sink_failed(cx, Error::internal(panic), Some(CloseReason::Panicked));
                return Step::Again;
            }
        }
        match () {
            // The end waits, too.
            () if pauses => self.pause(cx),
            () if end => self.content_ended(cx),
            () if consumed == 0 && self.input_ended => {
                return self.content_failed(cx, ProtocolError::IncompleteContent);
            }
            () => {}
        }
        Step::Again
    }

    fn pause(&mut self, cx: &mut Context<'_>) {
        if let Some(sink) = self.sink() {
            sink.since = cx.now;
        }
        self.rewrap(cx.id, Reading::Paused);
    }

    /// One of those who paused the content lets it go on.
    pub(super) fn resume(&mut self, cx: &mut Context<'_>) {
        let Some(sink) = self.sink() else { return };
        sink.pauses = sink.pauses.saturating_sub(1);
        if sink.pauses == 0 && matches!(self.reading, Reading::Paused(_)) {
            self.rewrap(cx.id, Reading::Sink);
            // The client could not send meanwhile.
            self.restart_input(cx);
        }
    }

    /// Puts the content that is coming into another state.
    fn rewrap(&mut self, id: ConnectionId, state: fn(Box<Incoming>) -> Reading) {
        let from = self.joint();
        self.reading = match std::mem::replace(&mut self.reading, Reading::Eof) {
            Reading::Sink(incoming) | Reading::Paused(incoming) => state(incoming),
            other => other,
        };
        self.check(id, from);
    }

    // ---- its end ----------------------------------------------------------------------------------------------------

    /// All of the content has come.
    fn content_ended(&mut self, cx: &mut Context<'_>) {
        let Reading::Sink(mut incoming) = self.transition(cx.id, Reading::START, self.writing) else {
            unreachable!("within content for a sink")
        };
        let Some(Sink { key, close, .. }) = incoming.sink.take() else { unreachable!("content for a sink has one") };
        let trailers = Trailers::new(&incoming.trailers);
        if self.awaits_content() {
            self.answer_put_off(cx, None, true, |service, response| {
                let sent = service.content_end(key, trailers, Some(response))?;
                sent.ok_or_else(|| Error::internal("the sink ended without a reply"))
            });
        } else {
            let ended = guard(|| cx.service.content_end(key, trailers, None));
            let panicked = ended.is_err().then_some(CloseReason::Panicked);
            match ended.unwrap_or_else(|panic| Err(Error::internal(panic))) {
                Ok(_) if matches!(self.writing, Writing::Idle) => match close {
                    Some((reason, is_long)) => self.finish_after_reply(cx, reason, is_long),
                    None => self.next_request(cx.now),
                },
                // The reply has its time from now on.
                Ok(_) => {
                    if let Some(open) = self.output.as_mut().and_then(|output| output.open.as_mut()) {
                        open.since = cx.now;
                    }
                }
                Err(error) => self.fail_exchange(cx, error, panicked),
            }
        }
        cx.pools.incoming.give_back(incoming);
    }

    /// Whether the open exchange waits for the end of its content, and for nobody else.
    fn awaits_content(&self) -> bool {
        matches!(self.open().map(|open| &open.reply), Some(OpenReply::Awaited { waited: None, .. }))
    }

    /// What comes is no content.
    #[cold]
    pub(super) fn content_failed(&mut self, cx: &mut Context<'_>, error: ProtocolError) -> Step {
        let why = match error {
            ProtocolError::IncompleteContent => Abort::ClientGone,
            ProtocolError::ContentTooLarge => Abort::TooLarge,
            ProtocolError::Timeout => Abort::TimedOut,
            _ => Abort::Malformed,
        };
        let reason = match error {
            ProtocolError::Timeout => CloseReason::ContentTimeout,
            error => reason_of(error),
        };
        self.abort_content(cx, why);
        match self.writing {
            // What the middleware set stays: it is the reply to a request that was understood.
            Writing::Awaiting => self.answer_deferred(cx, Err(error.into()), Some(reason)),
            Writing::Streaming => self.abort(cx.id, reason),
            _ => self.finish(cx, reason, true),
        }
        Step::Again
    }

    /// The sink has failed. `close` is the reason for which the connection cannot go on, if there is one already.
    fn sink_failed(&mut self, cx: &mut Context<'_>, error: Error, close: Option<CloseReason>) {
        let (Reading::Sink(incoming) | Reading::Paused(incoming)) = &mut self.reading else { return };
        let rest = incoming.decoder.announced();
        let short = incoming.decoder.has_length() && rest <= MAX_DISCARD && close.is_none();
        if let Some(sink) = incoming.sink.take() {
            abort_sink(cx.service, sink.key, Abort::Failed);
        }
        // What is left of the content is thrown away, or it is too much for that.
        if short {
            self.rewrap(cx.id, Reading::DiscardContent);
        } else {
            self.drop_content(cx);
        }
        self.fail_exchange(cx, error, close.or((!short).then_some(CloseReason::ContentUnread)));
    }

    /// The application has failed after the head of the request. `close` is the reason for which the connection cannot go
    /// on, if there is one.
    fn fail_exchange(&mut self, cx: &mut Context<'_>, error: Error, close: Option<CloseReason>) {
        match self.writing {
            Writing::Awaiting => return self.answer_deferred(cx, Err(error), close),
            Writing::Streaming => {
                cx.watch.tell(|observer| observer.request_failed(cx.id, &error));
                self.abort(cx.id, CloseReason::StreamFailed);
            }
            // The reply was whole before.
            _ => {
                cx.watch.tell(|observer| observer.request_failed(cx.id, &error));
                self.finish(cx, close.unwrap_or(CloseReason::StreamFailed), true);
            }
        }
        log::debug!("conn {}: {error:?}", cx.id);
        dispose(error);
    }

    /// Whatever takes content takes no more; what comes is not looked at.
    pub(super) fn drop_content(&mut self, cx: &mut Context<'_>) {
        if let Reading::Sink(incoming) | Reading::Paused(incoming) | Reading::DiscardContent(incoming) =
            self.transition(cx.id, Reading::START, self.writing)
        {
            cx.pools.incoming.give_back(incoming);
        }
    }

    /// Tells the sink, if there is one, that its content will never be whole.
    pub(super) fn abort_content(&mut self, cx: &mut Context<'_>, why: Abort) {
        if let Reading::Sink(incoming) | Reading::Paused(incoming) = &mut self.reading {
            if let Some(sink) = incoming.sink.take() {
                abort_sink(cx.service, sink.key, why);
            }
            self.drop_content(cx);
        }
    }

    /// The content that nobody wanted has come to its end.
    pub(super) fn content_is_over(&mut self, cx: &Context<'_>) {
        if matches!(self.writing, Writing::Idle) {
            self.next_request(cx.now);
        }
    }
}

/// Tells a sink that its content will never be whole.
pub(super) fn abort_sink(service: &mut dyn Service, key: LiveKey, why: Abort) {
    if let Err(panic) = guard(|| service.content_abort(key, why)) {
        log::error!("a sink {panic}");
    }
}

/// What the end of a connection means for content that was still coming.
pub(super) const fn abort_of(reason: CloseReason) -> Abort {
    match reason {
        CloseReason::IdleTimeout
        | CloseReason::HeadTimeout
        | CloseReason::ContentTimeout
        | CloseReason::SendTimeout
        | CloseReason::ReplyTimeout => Abort::TimedOut,
        CloseReason::BadRequest => Abort::Malformed,
        CloseReason::StreamFailed | CloseReason::Panicked | CloseReason::ContentUnread => Abort::Failed,
        CloseReason::Cut | CloseReason::Drained => Abort::Cut,
        _ => Abort::ClientGone,
    }
}
