//! The replies: one for each request, or one for what could not be understood.

use super::{Connection, Context, Step};
use crate::buffer::{OutputQueue, ReplyRecord};
use crate::exchange::{CloseReason, Draft, Request, RequestFacts, Response, Sent, Service, Stage, conduct, dispose};
use crate::h1::error::ProtocolError;
use crate::h1::head::Message;
use crate::http::{Error, Fields, Method, Millis, Moment, Result};
use crate::limits::SHARE_FROM;

/// What has become of a request that was given to the application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// Its reply is in the queue, and the connection goes on.
    Whole,
    /// Its reply is in the queue, and is the last one.
    Last,
    /// Its reply is not whole; or another protocol begins.
    Open,
}

/// How the application took a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// The reply is an error.
    pub(super) failed: bool,
    pub(super) panicked: bool,
}

impl Connection {
    /// Has a request answered by `call`, and ends the connection if this is its last reply. `close` is the reason for
    /// which it cannot go on, if there is one beside those that the message and the server have.
    ///
    /// Inlined where each request passes.
    #[inline(always)]
    pub(super) fn answer(
        &mut self,
        cx: &mut Context<'_>,
        message: &Message<'_>,
        request: Request<'_>,
        close: Option<CloseReason>,
        call: impl FnOnce(&mut dyn Service, Request<'_>, Response<'_>) -> Result<Sent>,
    ) -> Answered {
        let (close, Outcome { panicked, .. }) = self.offer(cx, message, request, close, Stage::Call, call);
        // Nearly always it is whole, and the connection goes on.
        if cx.reply.is_plain() && !cx.reply.closes() {
            return Answered::Whole;
        }
        if cx.reply.has_rest() {
            return self.leave_open(cx, close, message.takes_trailers());
        }
        if !cx.reply.closes() {
            return Answered::Whole;
        }
        self.last_reply(cx, close, panicked);
        Answered::Last
    }

    /// Has `call` make what it can of a reply; gives the reason for which the connection cannot go on after it.
    #[inline(always)]
    pub(super) fn offer(
        &mut self,
        cx: &mut Context<'_>,
        message: &Message<'_>,
        request: Request<'_>,
        close: Option<CloseReason>,
        stage: Stage,
        call: impl FnOnce(&mut dyn Service, Request<'_>, Response<'_>) -> Result<Sent>,
    ) -> (Option<CloseReason>, Outcome) {
        cx.watch.tell(|observer| observer.request(cx.id, &request));
        let close = match close {
            None if !message.persistent() => Some(CloseReason::NotPersistent),
            None if cx.draining => (!message.followed).then_some(CloseReason::Drained),
            close => close,
        };
        let facts = RequestFacts {
            method: Some(message.head.method),
            persistent: close.is_none(),
            stage,
            announce: message.asked_keep_alive().then(|| keep_alive(cx).as_secs()),
            version: message.head.version,
        };
        let fields = Some(request.headers());
        (close, self.conduct(cx, facts.at_stage(), fields, |service, response| call(service, request, response)))
    }

    /// [`answer`](Self::answer) for requests with content, of which there are fewer.
    #[inline(never)]
    pub(super) fn answer_with_content(
        &mut self,
        cx: &mut Context<'_>,
        message: &Message<'_>,
        request: Request<'_>,
        close: Option<CloseReason>,
        refusal: Option<Error>,
    ) -> Answered {
        self.answer(cx, message, request, close, |service, request, response| match refusal {
            None => service.call(request, response),
            Some(error) => service.refuse(request, error, response),
        })
    }

    /// The reply that was just made says that it is the last one.
    pub(super) fn last_reply(&mut self, cx: &mut Context<'_>, close: Option<CloseReason>, panicked: bool) {
        let reason = closing_reason(close, panicked);
        self.finish_after_reply(cx, reason, self.owed() >= SHARE_FROM);
    }

    /// Ends the connection when its last reply is whole.
    pub(super) fn finish_after_reply(&mut self, cx: &mut Context<'_>, reason: CloseReason, is_long: bool) {
        // A client that did not choose this to be the last reply may have sent more behind the request; and whatever
        // comes late must not cost it the end of a reply that still stands in the kernel.
        let chosen = matches!(reason, CloseReason::NotPersistent | CloseReason::HandlerClosed);
        self.finish(cx, reason, !chosen || is_long);
    }

    /// Answers a message that breaks a rule, and ends the connection: nothing behind it is ever parsed.
    #[cold]
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, error: ProtocolError) -> Step {
        self.fail_as(cx, error, reason_of(error));
        Step::Again
    }

    pub(super) fn fail_as(&mut self, cx: &mut Context<'_>, error: ProtocolError, reason: CloseReason) {
        log::debug!("conn {}: {error}", cx.id);
        // Even then a reply to HEAD has no content (RFC 9110 §9.3.2).
        let method = self.current_head().starts_with(b"HEAD ").then_some(Method::Head);
        self.conduct(cx, RequestFacts::unknown(method), None, |_, _| Err(error.into()));
        self.finish(cx, reason, true);
    }

    /// Puts one whole reply into the output, or the beginning of one.
    #[inline(always)]
    fn conduct(
        &mut self,
        cx: &mut Context<'_>,
        facts: RequestFacts,
        fields: Option<Fields<'_>>,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
    ) -> Outcome {
        let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
        output.compact();
        cx.reply.begin(facts, output.mark());
        Self::conduct_begun(output, self.began, cx, facts.method, fields, call)
    }

    /// [`conduct`](Self::conduct) for a reply that was put off: it goes on as `draft`.
    #[inline(never)]
    pub(super) fn conduct_later(
        &mut self,
        cx: &mut Context<'_>,
        draft: Draft,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
    ) -> Outcome {
        let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
        output.compact();
        cx.reply.go_on(draft, output.mark());
        let method = cx.reply.method();
        Self::conduct_begun(output, self.began, cx, method, None, call)
    }

    /// The call itself, when the reply has begun.
    #[inline(always)]
    fn conduct_begun(
        output: &mut OutputQueue,
        began: Moment,
        cx: &mut Context<'_>,
        method: Option<Method>,
        fields: Option<Fields<'_>>,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
    ) -> Outcome {
        let conducted = conduct(cx.service, cx.reply, output, fields, call);
        // Nearly always there is no more to say of it.
        if conducted.error.is_none() && cx.reply.is_plain() && !cx.watch.is_some() {
            return Outcome { failed: false, panicked: false };
        }
        if let Some(timeout) = cx.reply.idle_timeout() {
            *cx.idle_timeout = timeout.into();
        }
        if cx.watch.is_some() {
            if !cx.reply.has_rest() {
                output.record(ReplyRecord {
                    end: 0,
                    method,
                    status: cx.reply.status(),
                    content: cx.reply.content_len(),
                    began,
                });
            }
            if let Some(error) = &conducted.error {
                cx.watch.tell(|observer| observer.request_failed(cx.id, error));
            }
        }
        let outcome = Outcome { failed: conducted.error.is_some(), panicked: conducted.panicked };
        if let Some(error) = conducted.error {
            dispose(error);
        }
        outcome
    }
}

/// Why a connection ends with a reply that says so.
pub(super) fn closing_reason(close: Option<CloseReason>, panicked: bool) -> CloseReason {
    match close {
        _ if panicked => CloseReason::Panicked,
        Some(reason) => reason,
        None => CloseReason::HandlerClosed,
    }
}

/// Why a connection ends with a message that breaks a rule.
pub(super) const fn reason_of(error: ProtocolError) -> CloseReason {
    match error {
        ProtocolError::IncompleteHead | ProtocolError::IncompleteContent => CloseReason::ClientClosedEarly,
        _ => CloseReason::BadRequest,
    }
}

/// How long the connection of this turn is kept between two requests.
fn keep_alive(cx: &Context<'_>) -> Millis {
    cx.config.keep_alive_timeout.map_or(*cx.idle_timeout, |timeout| Millis::from(timeout).min(*cx.idle_timeout))
}
