//! The call into the application, and what the connection takes over from it.

use super::buffers::Buffers;
use super::context::Context;
use super::states::{Awaiting, Ending, ReplyState, Streaming};
use super::trace::{self, Asked};
use crate::buffer::Account;
use crate::config::Config;
use crate::exchange::{
    Called, CloseReason, Draft, Request, RequestFacts, Response, Rest, Sent, Service, Stage, Stream, Waited,
    call_guarded, dispose,
};
use crate::http::{Error, Method, Millis, Result};
use crate::limits::SHARE_FROM;
use crate::wire::{Message, ProtocolError};

/// What came of a call into the application.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) reply: ReplyState,
    pub(super) said: Said,
}

/// How the application answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It made the reply, or will.
    Reply,
    /// It failed, and an error took the place of its reply.
    Error,
    /// It switched to another protocol by a 101.
    Switch,
}

/// Has the application make a reply to the request of `message`, or begin one. `close` is a reason why the connection
/// cannot go on, beside those of the message and of the server.
#[inline(always)]
pub(super) fn answer(
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
    message: &Message<'_>,
    request: Request<'_>,
    close: Option<CloseReason>,
    stage: Stage,
    call: impl FnOnce(&mut dyn Service, Response<'_>) -> Result<Sent>,
) -> Answered {
    if cx.watch.is_some() {
        begin_account(cx, message, &request);
    }
    let close = match close {
        None if !message.persistent() => Some(CloseReason::NotPersistent),
        None if cx.draining.has_begun() => (!message.followed).then_some(CloseReason::Drained),
        close => close,
    };
    let facts = RequestFacts {
        method: Some(message.head.method),
        persistent: close.is_none(),
        stage,
        announce: message.asked_keep_alive().then(|| keep_alive(cx).as_secs()),
        version: message.head.version,
    };
    let output = buffers.queue(cx.pools);
    cx.reply.begin(facts.at_stage(), output.mark());
    let called = call_guarded(cx.service, cx.reply, output, Some(&request), call);
    // Nearly always the reply is whole, and the connection goes on.
    if called.error.is_none() && cx.reply.is_plain() && !cx.reply.closes() && !cx.watch.is_some() {
        return Answered { reply: ReplyState::Whole(None), said: Said::Reply };
    }
    let goes_on = cx.reply.has_rest();
    if goes_on {
        cx.reply.keep_request(&request);
    }
    let takes_trailers = goes_on && message.takes_trailers();
    take_reply(buffers, cx, called, close, takes_trailers)
}

/// [`answer`] for requests with content, of which there are fewer: calls the application, or refuses the request.
#[inline(never)]
pub(super) fn answer_or_refuse(
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
    message: &Message<'_>,
    request: Request<'_>,
    close: Option<CloseReason>,
    refusal: Option<Error>,
) -> ReplyState {
    let call = |service: &mut dyn Service, response: Response<'_>| match refusal {
        None => service.call(request, response),
        Some(error) => service.refuse(Some(request), error, response),
    };
    answer(buffers, cx, message, request, close, Stage::Call, call).reply
}

/// Has `call`, which is called once, make a reply that goes on as `draft`.
#[inline(never)]
pub(super) fn answer_draft(
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
    draft: Draft,
    close: Option<CloseReason>,
    takes_trailers: bool,
    call: &mut dyn FnMut(&mut dyn Service, Response<'_>) -> Result<Sent>,
) -> ReplyState {
    let output = buffers.queue(cx.pools);
    cx.reply.go_on(draft, output.mark());
    let (service, reply) = (&mut *cx.service, &mut *cx.reply);
    let second = reply.unix_second();
    let called = match reply.take_request() {
        None => call_guarded(service, reply, output, None, call),
        Some(request) => request.lend(cx.config, cx.draining, second, |request| {
            let called = call_guarded(service, reply, output, request, call);
            // It may have put the reply off once more.
            request.into_iter().for_each(|request| reply.keep_request(request));
            called
        }),
    };
    take_reply(buffers, cx, called, close, takes_trailers).reply
}

/// Answers a message that breaks a rule of HTTP, and that no request was made of.
#[cold]
pub(super) fn answer_invalid(
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
    method: Option<Method>,
    error: ProtocolError,
    reason: CloseReason,
) {
    log::debug!("conn {}: no request is made of this: {error}", cx.id);
    if cx.watch.is_some() {
        let now = cx.read_clock();
        cx.reply.account.begin(b"", 0, 0, now);
    }
    let output = buffers.queue(cx.pools);
    // Even then a reply to HEAD has no content (RFC 9110 §9.3.2).
    cx.reply.begin(RequestFacts::unknown(method), output.mark());
    let refuse = |service: &mut dyn Service, response: Response<'_>| service.refuse(None, error.into(), response);
    let called = call_guarded(cx.service, cx.reply, output, None, refuse);
    take_reply(buffers, cx, called, Some(reason), false);
}

/// Converts the loop's [`Reply`](crate::exchange::Reply) into a [`ReplyState`], and reports the reply or the error to
/// the observer.
#[inline(never)]
fn take_reply(
    buffers: &mut Buffers,
    cx: &mut Context<'_>,
    called: Called,
    close: Option<CloseReason>,
    takes_trailers: bool,
) -> Answered {
    let Called { error, panicked, out_of_memory } = called;
    if out_of_memory {
        cx.pools.ledger.note_refusal();
        cx.reply.set_room(cx.pools.ledger.room_for_reply());
    }
    if let Some(timeout) = cx.reply.idle_timeout() {
        *cx.idle_timeout = timeout.into();
    }
    let said = match &error {
        Some(_) => Said::Error,
        None if cx.reply.has_switched() => Said::Switch,
        None => Said::Reply,
    };
    tell_observer(buffers, cx, &error);
    error.into_iter().for_each(dispose);
    let reason = match close {
        _ if panicked => CloseReason::Panicked,
        Some(reason) => reason,
        None => CloseReason::HandlerClosed,
    };
    let reply = match cx.reply.take_rest() {
        Some(Rest::Stream(mut stream)) => {
            stream.send_trailers(takes_trailers);
            let close = cx.reply.closes().then_some(reason);
            begin_stream(cx, stream, close)
        }
        Some(Rest::Deferred(waited)) => await_reply(cx, Some(waited), close, takes_trailers),
        Some(Rest::Later) => await_reply(cx, None, close, takes_trailers),
        // For a 101, the caller ignores this state.
        None | Some(Rest::Switched) => whole(buffers, cx, reason),
        // `call_guarded` has put the file into the output already.
        #[cfg(feature = "files")]
        Some(Rest::File(_)) => whole(buffers, cx, reason),
    };
    if cx.watch.is_some() {
        trace::reply(buffers, cx, &reply, said == Said::Switch);
    }
    Answered { reply, said }
}

/// Tells the observers of a request, and begins what they will be told of its reply.
#[cold]
fn begin_account(cx: &mut Context<'_>, message: &Message<'_>, request: &Request<'_>) {
    log::trace!("conn {}: request: {}", cx.id, Asked(message, request));
    cx.watch.tell(|observer| observer.request(cx.id, request));
    let now = cx.read_clock();
    let received = message.len as u64 + request.body().len() as u64;
    // Each of the observers may keep parts of the head.
    let kept = u32::try_from(message.len * cx.watch.count()).unwrap_or(u32::MAX);
    cx.reply.account.begin(request.raw_path(), received, kept, now);
}

/// Goes on with the account of a reply that was put aside. `deferred` says that another thread was to answer. Without
/// an account, no observer was there when the exchange began, or none is there any more.
pub(super) fn resume_account(cx: &mut Context<'_>, account: Option<Box<Account>>, deferred: bool) {
    let Some(account) = account else {
        cx.reply.account.is_kept = false;
        return;
    };
    let now = cx.read_clock();
    cx.reply.account = *account;
    cx.reply.account.resume(now, deferred);
}

/// Puts the account of a reply aside that goes on, if one is kept.
fn put_account_aside(cx: &mut Context<'_>) -> Option<Box<Account>> {
    cx.reply.account.is_kept.then(|| Box::new(std::mem::take(&mut cx.reply.account)))
}

/// Ends the account of a call: tells the observers of a reply that is whole, when its last byte will have left, and of
/// an error.
fn tell_observer(buffers: &mut Buffers, cx: &mut Context<'_>, error: &Option<Error>) {
    if !cx.watch.is_some() {
        return;
    }
    let now = cx.read_clock();
    let (method, status, content) = (cx.reply.method(), cx.reply.status(), cx.reply.content_len());
    let queued = buffers.output.as_ref().map_or(0, |output| output.since(cx.reply.mark));
    let is_whole = !cx.reply.has_rest() || cx.reply.has_switched();
    let account = &mut cx.reply.account;
    account.end_call(now);
    account.reply_head = queued.saturating_sub(content);
    if is_whole && account.is_kept {
        buffers.record(account.record(method, status, content, buffers.since), account.path());
    }
    if let Some(error) = error {
        cx.watch.tell(|observer| observer.request_failed(cx.id, error));
    }
}

/// The state of a reply that is in the output as a whole. `reason` is why the connection ends with it, if it does.
fn whole(buffers: &Buffers, cx: &Context<'_>, reason: CloseReason) -> ReplyState {
    let is_long = buffers.owed() >= SHARE_FROM;
    ReplyState::Whole(cx.reply.closes().then(|| Ending::after_reply(reason, is_long)))
}

fn begin_stream(cx: &mut Context<'_>, stream: Stream, close: Option<CloseReason>) -> ReplyState {
    ReplyState::Streaming(Box::new(Streaming {
        address: cx.reply.address(),
        stream,
        method: cx.reply.method(),
        status: cx.reply.status(),
        account: put_account_aside(cx),
        since: cx.now,
        close,
        drained: cx.draining.has_begun(),
        silent: false,
    }))
}

fn await_reply(
    cx: &mut Context<'_>,
    waited: Option<Waited>,
    close: Option<CloseReason>,
    takes_trailers: bool,
) -> ReplyState {
    let draft = cx.reply.put_aside();
    let address = cx.reply.address();
    ReplyState::Awaited(Box::new(Awaiting {
        address,
        draft,
        waited,
        since: cx.now,
        close,
        takes_trailers,
        account: put_account_aside(cx),
    }))
}

/// How long the connection of this turn is kept between two requests.
fn keep_alive(cx: &Context<'_>) -> Millis {
    let Config { keep_alive_timeout, .. } = cx.config;
    keep_alive_timeout.map_or(*cx.idle_timeout, |timeout| Millis::from(timeout).min(*cx.idle_timeout))
}

/// The method of a message that breaks a rule, as far as its reply depends on it: only HEAD matters.
pub(super) fn method_of_invalid(head: &[u8]) -> Option<Method> {
    head.starts_with(b"HEAD ").then_some(Method::Head)
}

/// Why a connection ends with a message that breaks a rule.
pub(super) const fn reason_of(error: ProtocolError) -> CloseReason {
    match error {
        ProtocolError::IncompleteHead | ProtocolError::IncompleteContent => CloseReason::ClientClosedEarly,
        ProtocolError::OutOfMemory => CloseReason::OutOfMemory,
        _ => CloseReason::BadRequest,
    }
}
