//! The replies: one for each request, or one for what could not be understood.

use super::{Connection, Context, Step};
use crate::buffer::ReplyRecord;
use crate::exchange::{CloseReason, Request, RequestFacts, Response, Sent, Service, conduct, dispose};
use crate::h1::error::ProtocolError;
use crate::h1::head::Message;
use crate::http::{Error, Method, Millis, Result};
use crate::limits::SHARE_FROM;

impl Connection {
    /// Has a request answered by `call`, and ends the connection if this is its last reply; tells whether it goes on.
    /// `close` is the reason for which it cannot, if there is one beside those that the message and the server have.
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
    ) -> bool {
        cx.watch.tell(|observer| observer.request(cx.id, &request));
        let close = match close {
            None if !message.persistent => Some(CloseReason::NotPersistent),
            None if cx.draining && !message.followed => Some(CloseReason::Drained),
            close => close,
        };
        let announce = message.asked_keep_alive.then(|| keep_alive(cx).as_secs());
        let facts = RequestFacts { method: Some(message.head.method), persistent: close.is_none(), announce };
        let panicked = self.conduct(cx, facts, |service, response| call(service, request, response));
        if !cx.reply.closes() {
            return true;
        }
        let reason = match close {
            _ if panicked => CloseReason::Panicked,
            Some(reason) => reason,
            None => CloseReason::HandlerClosed,
        };
        // A client that did not choose this to be the last reply may have sent more behind the request; and whatever
        // comes late must not cost it the end of a reply that still stands in the kernel.
        let chosen = matches!(reason, CloseReason::NotPersistent | CloseReason::HandlerClosed);
        let linger = !chosen || self.owed() >= SHARE_FROM;
        self.finish(cx, reason, linger);
        false
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
    ) -> bool {
        self.answer(cx, message, request, close, |service, request, response| match refusal {
            None => service.call(request, response),
            Some(error) => service.refuse(request, error, response),
        })
    }

    /// Answers a message that breaks a rule, and ends the connection: nothing behind it is ever parsed.
    #[cold]
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, error: ProtocolError) -> Step {
        let reason = match error {
            ProtocolError::IncompleteHead | ProtocolError::IncompleteContent => CloseReason::ClientClosedEarly,
            _ => CloseReason::BadRequest,
        };
        self.fail_as(cx, error, reason);
        Step::Again
    }

    pub(super) fn fail_as(&mut self, cx: &mut Context<'_>, error: ProtocolError, reason: CloseReason) {
        log::debug!("conn {}: {error}", cx.id);
        // Even then a reply to HEAD has no content (RFC 9110 §9.3.2).
        let method = self.current_head().starts_with(b"HEAD ").then_some(Method::Head);
        let facts = RequestFacts { method, persistent: false, announce: None };
        self.conduct(cx, facts, |_, _| Err(error.into()));
        self.finish(cx, reason, true);
    }

    /// Puts one whole reply into the output; tells whether the application panicked.
    #[inline(always)]
    fn conduct(
        &mut self,
        cx: &mut Context<'_>,
        facts: RequestFacts,
        call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
    ) -> bool {
        let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
        output.compact();
        let conducted = conduct(cx.service, facts, cx.reply, output, call);
        if let Some(timeout) = cx.reply.idle_timeout() {
            *cx.idle_timeout = timeout.into();
        }
        if cx.watch.is_some() {
            output.record(ReplyRecord {
                end: 0,
                method: facts.method,
                status: cx.reply.status(),
                content: cx.reply.content_len(),
                began: self.began,
            });
            if let Some(error) = &conducted.error {
                cx.watch.tell(|observer| observer.request_failed(cx.id, error));
            }
        }
        if let Some(error) = conducted.error {
            dispose(error);
        }
        conducted.panicked
    }
}

/// How long the connection of this turn is kept between two requests.
fn keep_alive(cx: &Context<'_>) -> Millis {
    cx.config.keep_alive_timeout.map_or(*cx.idle_timeout, |timeout| Millis::from(timeout).min(*cx.idle_timeout))
}
