//! What becomes of a request whose head has come, if it has content or offers another protocol.

use super::Connection;
use super::call::{self, Answered, Said};
use super::content::{abort_sink, discardable};
use super::context::Context;
use super::incoming::Flow;
use super::phase::Phase;
use super::states::{ContentState, ReplyState};
use super::trace::{self, Asked};
use super::upgraded::{Upgraded, protocol_closed};
use crate::exchange::{
    Abort, Admission, CloseReason, Endpoints, Received, Request, Response, Sent, Service, Stage, admit,
};
use crate::http::{Error, Result};
use crate::limits::MAX_BUFFERED;
use crate::wire::reply::CONTINUE;
use crate::wire::{Expectation, Framing, Message, ProtocolError};

impl Connection {
    /// Decides what becomes of a request: the application admits its content, or the request is refused here. Returns
    /// the number of bytes that are consumed.
    #[inline(never)]
    pub(super) fn decide(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        endpoints: &dyn Endpoints,
    ) -> usize {
        let offers_upgrade = message.offers_upgrade() && message.framing == Framing::None;
        let mut received = cx.received(&message.head, &[], endpoints);
        received.offers_upgrade = offers_upgrade;
        let request = Request::new(&received);
        if message.expectation == Expectation::Unknown {
            return self.refuse(cx, message, request, ProtocolError::ExpectationFailed);
        }
        let admission = match admit(cx.service, &request) {
            Ok(admission) => admission,
            Err(panic) => {
                let close = Some(CloseReason::Panicked);
                let reply = call::answer_or_refuse(&mut self.buffers, cx, message, request, close, Some(panic));
                self.go_on(cx, ContentState::Unread, reply);
                return message.len;
            }
        };
        let max_content = match admission {
            Admission::Stream(max) => max,
            Admission::BufferUpTo(max) => max.min(MAX_BUFFERED),
            Admission::Buffer | Admission::Now | Admission::Upgrade => cx.config.max_content.min(MAX_BUFFERED),
        };
        match (admission, message.framing) {
            (Admission::Upgrade, Framing::None) => self.switch(cx, message, request),
            (_, Framing::None) => {
                let reply = call::answer_or_refuse(&mut self.buffers, cx, message, request, None, None);
                self.go_on(cx, ContentState::Done, reply);
            }
            (_, Framing::Length(length)) if length > max_content => {
                return self.refuse(cx, message, request, ProtocolError::ContentTooLarge);
            }
            (Admission::Stream(max), _) => self.offer_content(cx, bytes, message, request, max),
            (Admission::Now, _) => self.answer_early(cx, bytes, message, request),
            (_, Framing::Length(length)) if !has_room(cx, length, bytes.len() - message.len) => {
                return self.refuse(cx, message, request, ProtocolError::OutOfMemory);
            }
            _ => return self.collect_content(cx, bytes, message, &mut received, max_content),
        }
        message.len
    }

    /// Refuses a request at its head.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        message: &Message<'_>,
        request: Request<'_>,
        error: ProtocolError,
    ) -> usize {
        let (content, close) = match message.framing {
            Framing::None => (ContentState::Done, None),
            _ => (ContentState::Unread, Some(call::reason_of(error))),
        };
        let reply = call::answer_or_refuse(&mut self.buffers, cx, message, request, close, Some(error.into()));
        self.go_on(cx, content, reply);
        message.len
    }

    /// Answers a request at its head, because the reply does not depend on the content.
    fn answer_early(&mut self, cx: &mut Context<'_>, bytes: &[u8], message: &Message<'_>, request: Request<'_>) {
        let close = discardable(message).is_none().then_some(CloseReason::ContentUnread);
        let reply = call::answer_or_refuse(&mut self.buffers, cx, message, request, close, None);
        self.go_on(cx, ContentState::unwanted(message, bytes.len() - message.len, cx), reply);
    }

    /// Answers at once if the content is all there; else begins to collect it.
    fn collect_content<'a>(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &'a [u8],
        message: &Message<'_>,
        received: &mut Received<'a>,
        max_content: u64,
    ) -> usize {
        let (head, rest) = bytes.split_at(message.len);
        if let Framing::Length(length) = message.framing
            && let Some(content) = usize::try_from(length).ok().and_then(|length| rest.get(..length))
        {
            received.content = content;
            let request = Request::new(received);
            let reply = call::answer_or_refuse(&mut self.buffers, cx, message, request, None, None);
            self.go_on(cx, ContentState::Done, reply);
            return message.len + content.len();
        }
        if message.expectation == Expectation::Continue && rest.is_empty() {
            let output = self.buffers.queue(cx.pools);
            output.inline().extend_from_slice(CONTINUE);
            trace::go_on(cx.id);
        }
        log::trace!("conn {}: head: {}", cx.id, Asked(message, &Request::new(received)));
        let mut collecting = cx.pools.collecting.lend();
        collecting.begin(head, message.framing, max_content, cx.content_pace(rest.len()));
        self.begin_exchange(cx, ContentState::Collected(collecting), ReplyState::Unbegun);
        message.len
    }

    /// Offers the content of a request to a sink of the application.
    fn offer_content(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        request: Request<'_>,
        max_content: u64,
    ) {
        let came = bytes.len() - message.len;
        let output = self.buffers.queue(cx.pools);
        let mark = output.mark();
        let mut key = None;
        let open = |service: &mut dyn Service, response: Response<'_>| -> Result<Sent> {
            let (sent, sink) = service.open(request, response)?;
            key = sink;
            Ok(sent)
        };
        let unread = discardable(message).is_none().then_some(CloseReason::ContentUnread);
        let stage = Stage::Open { persistent_if_accepted: true, persistent_if_refused: unread.is_none() };
        let Answered { reply, said } = call::answer(&mut self.buffers, cx, message, request, None, stage, open);
        match key {
            Some(key) if said != Said::Error => {
                if let (Some(output), Expectation::Continue, 0) = (&mut self.buffers.output, message.expectation, came)
                {
                    output.insert(mark, CONTINUE);
                    trace::go_on(cx.id);
                }
                let flow =
                    Flow::new(key, cx.reply.address(), message.framing, max_content, cx.content_pace(came), cx.now);
                self.begin_exchange(cx, ContentState::Taken(Box::new(flow)), reply);
            }
            key => {
                if let Some(key) = key {
                    abort_sink(cx.service, key, Abort::Failed);
                }
                // The reply may lack `Connection: close` if the application accepted the content but returned no sink.
                let reply = match unread {
                    Some(reason) => reply.made_last(reason),
                    None => reply,
                };
                self.go_on(cx, ContentState::unwanted(message, came, cx), reply);
                self.end_wait_for_no_sink(cx);
            }
        }
    }

    /// Answers a request whose reply awaits the end of content that no sink takes.
    fn end_wait_for_no_sink(&mut self, cx: &mut Context<'_>) {
        let Phase::Exchange(exchange) = &mut self.phase else { return };
        if exchange.reply.awaits_content() {
            let error = Error::internal("a reply was put off until its content has come, and nobody takes that");
            exchange.answer_deferred(&mut self.buffers, cx, Err(error), None);
            self.end_exchange(cx);
        }
    }

    /// Offers a request to the application that asks for another protocol.
    #[cold]
    fn switch(&mut self, cx: &mut Context<'_>, message: &Message<'_>, request: Request<'_>) {
        let mut key = None;
        let upgrade = |service: &mut dyn Service, response: Response<'_>| -> Result<Sent> {
            let (sent, protocol) = service.upgrade(request, response)?;
            key = protocol;
            Ok(sent)
        };
        let Answered { reply, said } =
            call::answer(&mut self.buffers, cx, message, request, None, Stage::Upgrade, upgrade);
        match (key, said) {
            (Some(key), Said::Switch) => {
                cx.watch.tell(|observer| observer.upgraded(cx.id));
                let upgraded = Upgraded::new(key, cx.reply.address().ticket, cx.now);
                self.enter(cx.id, Phase::Upgraded(Box::new(upgraded)));
            }
            (None, Said::Switch) => self.abort(cx, CloseReason::ProtocolFailed),
            (key, _) => {
                if let Some(key) = key {
                    protocol_closed(cx.service, key, CloseReason::ProtocolFailed);
                }
                self.go_on(cx, ContentState::Done, reply);
            }
        }
    }
}

/// Whether there is memory for content of this length, of which `came` bytes are here already.
fn has_room(cx: &mut Context<'_>, length: u64, came: usize) -> bool {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let has_room = length <= came || cx.pools.have(length, length);
    if !has_room {
        log::debug!("conn {}: there is no memory for {length} bytes of content", cx.id);
        cx.pools.ledger.note_refusal();
    }
    has_room
}
