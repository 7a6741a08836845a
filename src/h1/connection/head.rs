//! Between two requests and within a head: from bytes to a request, and what becomes of its content.

use super::Connection;
use super::call::{self, Answered, Said, reason_of};
use super::content::{abort_sink, discardable};
use super::context::{Budget, Context, Step};
use super::incoming::Flow;
use super::phase::{Phase, Search};
use super::states::{ContentState, Ending, ReplyState};
use super::upgraded::{Upgraded, protocol_closed};
use crate::buffer::Receive;
use crate::exchange::{
    Abort, Admission, CloseReason, Endpoints, Received, Request, Response, Sent, Service, Stage, admit,
};
use crate::http::{Error, Method, Moment, Result};
use crate::limits::{HIGH_WATER, MAX_BUFFERED, MAX_EMPTY_LINES};
use crate::wire::ProtocolError;
use crate::wire::reply::CONTINUE;
use crate::wire::{Expectation, Framing, Scratch};
use crate::wire::{Message, head};

impl Connection {
    /// Answers the requests in the input, one after the other, as long as each is answered at once.
    #[inline(always)]
    pub(super) fn heads(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> Step {
        // A message borrows the input, so the input is taken out.
        let Some(mut input) = self.buffers.input.take() else { return self.no_head(cx, scratch) };
        let result = loop {
            match self.is_worth_parsing(&mut input, cx) {
                Ok(true) => {}
                Ok(false) => break Ok(Step::Stalled),
                Err(error) => break Err(error),
            }
            // The result is looked at where it lies: moving it out would copy it.
            let parsed = head::parse(input.bytes(), scratch, cx.config);
            let message = match &parsed {
                Ok(Some(message)) => message,
                Ok(None) => break self.begin_search(input.bytes()).map(|()| Step::Stalled),
                Err(error) => break Err(*error),
            };
            budget.requests -= 1;
            let consumed = match is_plain(message) {
                true => self.answer_at_once(cx, message, endpoints),
                false => self.head_with_content(cx, input.bytes(), message, endpoints),
            };
            input.consume(consumed);
            if !matches!(self.phase, Phase::Head(_)) || self.buffers.owed() >= HIGH_WATER {
                break Ok(Step::Again);
            }
            if input.is_empty() {
                break Ok(Step::Stalled);
            }
            if budget.requests == 0 {
                break Ok(Step::Again);
            }
        };
        self.buffers.input = Some(input);
        match result {
            Ok(Step::Stalled) if self.buffers.input_ended => self.no_head(cx, scratch),
            Ok(step) => step,
            Err(error) => self.fail(cx, error, reason_of(error)),
        }
    }

    /// Has a request without content answered. Returns the number of bytes that are consumed.
    #[inline(always)]
    fn answer_at_once(&mut self, cx: &mut Context<'_>, message: &Message<'_>, endpoints: &dyn Endpoints) -> usize {
        let received = Received::new(&message.head, &[], endpoints);
        let request = Request::new(&received);
        let call = |service: &mut dyn Service, response: Response<'_>| service.call(request, response);
        let answered = call::answer(&mut self.buffers, cx, message, request, None, Stage::Call, call);
        match answered.reply {
            ReplyState::Whole(None) => self.next_request(cx.now),
            _ => self.leave_head(cx, ContentState::Done, answered.reply),
        }
        message.len
    }

    // ---- the search for the end of a head ---------------------------------------------------------------------------

    /// Whether it is worth parsing: at the first look, and when a head that was partial has come to its end.
    #[inline(always)]
    fn is_worth_parsing(&mut self, input: &mut Receive, cx: &Context<'_>) -> Result<bool, ProtocolError> {
        let Phase::Head(search) = &mut self.phase else { return Ok(false) };
        match input.bytes() {
            [b'\r' | b'\n', ..] => search.skip_empty_lines(input, &mut self.buffers.since, cx.now)?,
            // Nearly always this is the first look.
            bytes if search.searched == 0 => return Ok(!bytes.is_empty()),
            _ => {}
        }
        search.finds_end(input.bytes(), cx)
    }

    /// Notes that the head at the front of `bytes` is partial.
    #[cold]
    fn begin_search(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        head::search_end(bytes, 0)?;
        if let Phase::Head(search) = &mut self.phase {
            *search = Search { searched: bytes.len() as u32, ..Search::default() };
        }
        Ok(())
    }

    /// There is no head, or not all of it, and perhaps there will be none.
    #[inline(never)]
    fn no_head(&mut self, cx: &mut Context<'_>, scratch: &mut Scratch) -> Step {
        if !self.buffers.input_ended {
            return Step::Stalled;
        }
        let error = match self.buffers.bytes() {
            [] | [b'\r'] => {
                self.finish(cx, Ending::at_once(CloseReason::ClientClosed));
                return Step::Again;
            }
            bytes => head::parse(bytes, scratch, cx.config).err(),
        };
        let error = error.unwrap_or(ProtocolError::IncompleteHead);
        self.fail(cx, error, reason_of(error))
    }

    /// Answers a head that breaks a rule, and ends the connection: nothing after it is ever parsed.
    #[cold]
    pub(super) fn fail(&mut self, cx: &mut Context<'_>, error: ProtocolError, reason: CloseReason) -> Step {
        let method = self.buffers.bytes().starts_with(b"HEAD ").then_some(Method::Head);
        call::answer_invalid(&mut self.buffers, cx, method, error);
        self.finish(cx, Ending::lingering(reason));
        Step::Again
    }

    /// The next byte begins another request.
    #[inline]
    pub(super) fn next_request(&mut self, now: Moment) {
        if let Phase::Head(search) = &mut self.phase {
            *search = Search::default();
        }
        self.buffers.since = now;
    }

    // ---- requests with content, and those that offer another protocol -----------------------------------------------

    /// Decides what becomes of a request, now that its head has come. Returns the number of bytes that are consumed.
    #[inline(never)]
    fn head_with_content(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        endpoints: &dyn Endpoints,
    ) -> usize {
        let offers_upgrade = message.offers_upgrade() && message.framing == Framing::None;
        let received = Received { offers_upgrade, ..Received::new(&message.head, &[], endpoints) };
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
            _ => return self.collect_content(cx, bytes, message, endpoints, max_content),
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
            _ => (ContentState::Unread, Some(CloseReason::BadRequest)),
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
    fn collect_content(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        endpoints: &dyn Endpoints,
        max_content: u64,
    ) -> usize {
        let (head, rest) = bytes.split_at(message.len);
        if let Framing::Length(length) = message.framing
            && let Some(content) = usize::try_from(length).ok().and_then(|length| rest.get(..length))
        {
            let received = Received::new(&message.head, content, endpoints);
            let request = Request::new(&received);
            let reply = call::answer_or_refuse(&mut self.buffers, cx, message, request, None, None);
            self.go_on(cx, ContentState::Done, reply);
            return message.len + content.len();
        }
        if message.expectation == Expectation::Continue && rest.is_empty() {
            let output = self.buffers.queue(cx.pools);
            output.inline().extend_from_slice(CONTINUE);
        }
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
                }
                let flow =
                    Flow::new(key, cx.reply.address(), message.framing, max_content, cx.content_pace(came), cx.now);
                self.begin_exchange(cx, ContentState::Taken(Box::new(flow)), reply);
            }
            key => {
                key.into_iter().for_each(|key| abort_sink(cx.service, key, Abort::Failed));
                // The reply may not say so, if the content was accepted before the application gave no sink.
                let reply = unread.into_iter().fold(reply, ReplyState::made_last);
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
            exchange.answer_late(&mut self.buffers, cx, Err(error), None);
            self.end_exchange(cx);
        }
    }

    /// Offers a request to the application that asks for another protocol.
    #[cold]
    pub(super) fn switch(&mut self, cx: &mut Context<'_>, message: &Message<'_>, request: Request<'_>) {
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
                let upgraded = Upgraded::new(key, cx.reply.address());
                self.enter(cx.id, Phase::Upgraded(Box::new(upgraded)));
            }
            (None, Said::Switch) => self.abort(cx, CloseReason::ProtocolFailed),
            (key, _) => {
                key.into_iter().for_each(|key| protocol_closed(cx.service, key, CloseReason::ProtocolFailed));
                self.go_on(cx, ContentState::Done, reply);
            }
        }
    }
}

impl Search {
    /// RFC 9112 §2.2: "a server ... SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
    #[cold]
    fn skip_empty_lines(&mut self, input: &mut Receive, since: &mut Moment, now: Moment) -> Result<(), ProtocolError> {
        loop {
            match input.bytes() {
                [b'\r', b'\n', ..] => input.consume(2),
                [b'\r'] => return Ok(()),
                [b'\n', ..] => return Err(ProtocolError::BareLf),
                [b'\r', ..] => return Err(ProtocolError::RequestLine),
                _ => return Ok(()),
            }
            // Empty lines do not count: the head begins after them.
            *since = now;
            self.empty_lines += 1;
            if self.empty_lines > MAX_EMPTY_LINES {
                return Err(ProtocolError::EmptyLines);
            }
        }
    }

    /// Goes on with the search in a head that was partial, and tells whether it is worth parsing now.
    #[inline(never)]
    fn finds_end(&mut self, bytes: &[u8], cx: &Context<'_>) -> Result<bool, ProtocolError> {
        if self.searched == 0 {
            return Ok(!matches!(bytes, [] | [b'\r']));
        }
        if head::search_end(bytes, self.searched as usize)? {
            return Ok(true);
        }
        self.searched = bytes.len() as u32;
        if self.line_ended {
            head::check_size(0, bytes.len(), cx.config)?;
        } else {
            self.line_ended = head::check_partial(bytes, cx.config)?;
        }
        Ok(false)
    }
}

/// Whether a request can be answered at its head without asking the application what becomes of it.
#[inline]
fn is_plain(message: &Message<'_>) -> bool {
    message.framing == Framing::None && message.expectation != Expectation::Unknown && !message.offers_upgrade()
}
