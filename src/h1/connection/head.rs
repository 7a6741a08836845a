//! Between two requests and within a head: from bytes to a request, and the answer to one without content.

use super::Connection;
use super::call::{self, reason_of};
use super::context::{Budget, Context, Step};
use super::phase::{Phase, Search};
use super::states::{ContentState, Ending, ReplyState};
use super::trace;
use crate::buffer::Receive;
use crate::exchange::{CloseReason, Endpoints, Request, Response, Service, Stage};
use crate::http::{Moment, Result};
use crate::limits::{HIGH_WATER, MAX_EMPTY_LINES};
use crate::wire::ProtocolError;
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
            match self.prepare_head(&mut input, cx) {
                Ok(true) => {}
                Ok(false) => break Ok(Step::Stalled),
                Err(error) => break Err(error),
            }
            // The result is looked at where it lies: moving it out would copy it.
            let parsed = head::parse(input.bytes(), scratch, cx.config);
            let message = match &parsed {
                Ok(Some(message)) => message,
                Ok(None) => break self.begin_search(input.bytes(), cx).map(|()| Step::Stalled),
                Err(error) => break Err(*error),
            };
            budget.requests -= 1;
            let consumed = match is_plain(message) {
                true => self.answer_at_once(cx, message, endpoints),
                false => self.decide(cx, input.bytes(), message, endpoints),
            };
            input.consume(consumed);
            if !matches!(self.phase, Phase::Head(_)) || self.buffers.weight() >= HIGH_WATER {
                break Ok(Step::Again);
            }
            if input.is_empty() {
                break Ok(Step::Stalled);
            }
            if budget.requests == 0 || budget.is_late(cx) {
                break Ok(Step::OutOfBudget);
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
        let received = cx.received(&message.head, &[], endpoints);
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

    /// Skips empty lines and goes on with the search for the end of a partial head. Returns whether the head should be
    /// parsed now: at the first look, or because its end has come.
    #[inline(always)]
    fn prepare_head(&mut self, input: &mut Receive, cx: &Context<'_>) -> Result<bool, ProtocolError> {
        let Phase::Head(search) = &mut self.phase else { return Ok(false) };
        match input.bytes() {
            [b'\r' | b'\n', ..] => search.skip_empty_lines(input, &mut self.buffers.since, cx.now)?,
            // Nearly always this is the first look.
            bytes if search.searched == 0 => return Ok(!bytes.is_empty()),
            _ => {}
        }
        search.continue_search(input.bytes(), cx)
    }

    /// Notes that the head at the front of `bytes` is partial.
    #[cold]
    fn begin_search(&mut self, bytes: &[u8], cx: &Context<'_>) -> Result<(), ProtocolError> {
        head::search_end(bytes, 0)?;
        trace::part_of_a_head(cx.id, bytes.len());
        if let Phase::Head(search) = &mut self.phase {
            *search = Search { searched: bytes.len() as u32, ..Search::default() };
        }
        Ok(())
    }

    /// Handles input without a complete head. After the client's FIN, this closes the connection or sends an error
    /// reply.
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
        let method = call::method_of_invalid(self.buffers.bytes());
        call::answer_invalid(&mut self.buffers, cx, method, error, reason);
        self.finish(cx, Ending::lingering(reason));
        Step::Again
    }

    /// Some bytes of a head have come, not only of an empty line, and the connection waits for the rest.
    #[inline]
    pub(super) fn is_within_head(&self) -> bool {
        let is_head = matches!(self.phase, Phase::Head(_));
        is_head && !self.buffers.held && !matches!(self.buffers.bytes(), [] | [b'\r'])
    }

    /// The next byte begins another request.
    #[inline]
    pub(super) fn next_request(&mut self, now: Moment) {
        if let Phase::Head(search) = &mut self.phase {
            *search = Search::default();
        }
        self.buffers.since = now;
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
    fn continue_search(&mut self, bytes: &[u8], cx: &Context<'_>) -> Result<bool, ProtocolError> {
        if self.searched == 0 {
            return Ok(!matches!(bytes, [] | [b'\r']));
        }
        if head::search_end(bytes, self.searched as usize)? {
            return Ok(true);
        }
        self.searched = bytes.len() as u32;
        trace::part_of_a_head(cx.id, bytes.len());
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
