//! The steps of reading: from bytes to a request that can be answered.

use super::replies::Answered;
use super::{Budget, Connection, Context, Reading, Step, Writing};
use crate::buffer::Receive;
use crate::exchange::{Admission, CloseReason, Endpoints, Received, Request, Trailers, admit};
use crate::h1::error::ProtocolError;
use crate::h1::framing::{Expectation, Framing};
use crate::h1::head::{self, Message};
use crate::http::Moment;
use crate::limits::{HIGH_WATER, MAX_BUFFERED, MAX_DISCARD, MAX_EMPTY_LINES, POOL_MAX_BUFFER};

impl Connection {
    /// The step within `Head`: skips empty lines, looks for the end of the head, parses it, answers its request.
    #[inline(always)]
    pub(super) fn head(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, budget: &mut Budget<'_>) -> Step {
        let Some(mut input) = self.input.take() else { return self.no_head(cx, budget) };
        let step = self.requests(cx, &mut input, endpoints, budget);
        self.input = Some(input);
        match step {
            Ok(Step::Stalled) if self.input_ended => self.no_head(cx, budget),
            Ok(step) => step,
            Err(error) => self.fail(cx, error),
        }
    }

    /// Answers one request after the other, as long as each is answered at once.
    #[inline(always)]
    fn requests(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut Receive,
        endpoints: &dyn Endpoints,
        budget: &mut Budget<'_>,
    ) -> Result<Step, ProtocolError> {
        loop {
            if !self.find_head(input, cx)? {
                return Ok(Step::Stalled);
            }
            match self.parse_head(cx, input.bytes(), endpoints, budget)? {
                0 => return Ok(Step::Stalled),
                consumed => input.consume(consumed),
            }
            if !self.reads_heads() || self.owed() >= HIGH_WATER {
                return Ok(Step::Again);
            }
            if input.is_empty() {
                return Ok(Step::Stalled);
            }
            if budget.requests == 0 {
                return Ok(Step::Again);
            }
        }
    }

    /// Whether it is worth parsing: at the first look, and when a head that was partial has come to its end.
    #[inline(always)]
    fn find_head(&mut self, input: &mut Receive, cx: &Context<'_>) -> Result<bool, ProtocolError> {
        match (&self.reading, input.bytes()) {
            (_, [b'\r' | b'\n', ..]) => self.skip_empty_lines(input, cx)?,
            // Nearly always this is the first look.
            (Reading::Head { searched: 0, .. }, bytes) => return Ok(!bytes.is_empty()),
            _ => {}
        }
        self.search_end(input, cx)
    }

    /// As [`find_head`](Self::find_head), for a head of which some may have been searched before.
    #[inline(never)]
    fn search_end(&mut self, input: &Receive, cx: &Context<'_>) -> Result<bool, ProtocolError> {
        let Reading::Head { searched, line_ended, .. } = &mut self.reading else { unreachable!("within a head") };
        if *searched == 0 {
            return Ok(!matches!(input.bytes(), [] | [b'\r']));
        }
        if head::search_end(input.bytes(), *searched as usize)? {
            return Ok(true);
        }
        *searched = input.bytes().len() as u32;
        if *line_ended {
            head::check_size(0, input.bytes().len(), cx.config)?;
        } else {
            *line_ended = head::check_partial(input.bytes(), cx.config)?;
        }
        Ok(false)
    }

    /// RFC 9112 §2.2: "a server ... SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
    #[cold]
    fn skip_empty_lines(&mut self, input: &mut Receive, cx: &Context<'_>) -> Result<(), ProtocolError> {
        let Reading::Head { empty_lines, .. } = &mut self.reading else { unreachable!("within a head") };
        loop {
            match input.bytes() {
                [b'\r', b'\n', ..] => input.consume(2),
                [b'\r'] => return Ok(()),
                [b'\n', ..] => return Err(ProtocolError::BareLf),
                [b'\r', ..] => return Err(ProtocolError::RequestLine),
                _ => return Ok(()),
            }
            // Empty lines do not count: the head begins after them.
            self.began = cx.now;
            *empty_lines += 1;
            if *empty_lines > MAX_EMPTY_LINES {
                return Err(ProtocolError::EmptyLines);
            }
        }
    }

    /// Parses the head at the front of `bytes` and answers its request if the content is there too. Gives the number
    /// of bytes that are done with: none if the head is partial.
    #[inline(always)]
    fn parse_head(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        endpoints: &dyn Endpoints,
        budget: &mut Budget<'_>,
    ) -> Result<usize, ProtocolError> {
        // Looked at where it lies: moving it out would copy it.
        let parsed = head::parse(bytes, budget.shapes, cx.known_authority, cx.config);
        let message = match &parsed {
            Ok(Some(message)) => message,
            Ok(None) => {
                head::search_end(bytes, 0)?;
                self.reading = Reading::Head { searched: bytes.len() as u32, empty_lines: 0, line_ended: false };
                return Ok(0);
            }
            Err(error) => return Err(*error),
        };
        budget.requests -= 1;
        if message.framing != Framing::None || message.expectation == Expectation::Unknown || message.offers_upgrade() {
            return Ok(self.head_with_content(cx, bytes, message, endpoints));
        }
        let received = Received::new(&message.head, &[], endpoints);
        let request = Request::new(&received);
        let answered =
            self.answer(cx, message, request, None, |service, request, response| service.call(request, response));
        self.after(answered, cx.now);
        Ok(message.len)
    }

    /// Goes on after a request whose content has come, or that has none.
    #[inline(always)]
    pub(super) fn after(&mut self, answered: Answered, now: Moment) {
        match answered {
            Answered::Whole => self.next_request(now),
            Answered::Open => self.restart_head(),
            Answered::Last => {}
        }
    }

    /// Decides on a request with content, or one that offers another protocol, at its head; gives the number of bytes that
    /// are done with.
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
                self.answer_with_content(cx, message, request, Some(CloseReason::Panicked), Some(panic));
                return message.len;
            }
        };
        let max_content = match admission {
            Admission::Stream(max) => max,
            Admission::BufferUpTo(max) => max.min(MAX_BUFFERED),
            Admission::Buffer | Admission::Now | Admission::Upgrade => cx.config.max_content.min(MAX_BUFFERED),
        };
        match (admission, message.framing) {
            (Admission::Upgrade, Framing::None) => {
                self.switch(cx, message, request);
                message.len
            }
            (_, Framing::None) => {
                let answered = self.answer_with_content(cx, message, request, None, None);
                self.after(answered, cx.now);
                message.len
            }
            (_, Framing::Length(length)) if length > max_content => {
                self.refuse(cx, message, request, ProtocolError::ContentTooLarge)
            }
            (Admission::Stream(max), _) => self.open_content(cx, bytes, message, request, max),
            (Admission::Now, _) => {
                let discard = Discard::of(message);
                match self.answer_with_content(cx, message, request, discard.close(), None) {
                    Answered::Whole => self.discard_from(cx, bytes, message),
                    // Whatever the reason is, the content may still be coming.
                    Answered::Last => self.linger(),
                    Answered::Open => self.leave_unread(cx, bytes, message),
                }
                message.len
            }
            _ => self.buffer_content(cx, bytes, message, endpoints, max_content),
        }
    }

    /// Refuses a request at its head.
    fn refuse(
        &mut self,
        cx: &mut Context<'_>,
        message: &Message<'_>,
        request: Request<'_>,
        error: ProtocolError,
    ) -> usize {
        let close = (message.framing != Framing::None).then_some(CloseReason::BadRequest);
        let answered = self.answer_with_content(cx, message, request, close, Some(error.into()));
        self.after(answered, cx.now);
        message.len
    }

    /// The request was answered, and its content is thrown away as it comes.
    pub(super) fn discard_from(&mut self, cx: &mut Context<'_>, bytes: &[u8], message: &Message<'_>) {
        let mut incoming = cx.pools.incoming.lend();
        incoming.begin(&[], message.framing, cx.content_pace(bytes.len() - message.len));
        self.transition(cx.id, Reading::DiscardContent(incoming), self.writing);
    }

    /// Answers at once if the content is all there; else begins to collect it.
    fn buffer_content(
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
            let answered = self.answer_with_content(cx, message, Request::new(&received), None, None);
            self.after(answered, cx.now);
            return message.len + content.len();
        }
        if message.expectation == Expectation::Continue && rest.is_empty() {
            let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
            output.inline().extend_from_slice(CONTINUE);
        }
        let mut incoming = cx.pools.incoming.lend();
        incoming.begin(head, message.framing, cx.content_pace(rest.len()));
        incoming.max_content = max_content;
        self.transition(cx.id, Reading::Body(incoming), Writing::Idle);
        message.len
    }

    /// The step within `Body`: decodes what has come, and answers when it is whole.
    pub(super) fn body(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, budget: &mut Budget<'_>) -> Step {
        match self.collect() {
            Ok(Collected::Partial) if self.input_ended => self.fail(cx, ProtocolError::IncompleteContent),
            Ok(Collected::Partial) => {
                // The rest of a content of known length is read in place.
                if let Some(input) = self.input.take_if(|input| input.is_empty()) {
                    cx.pools.receive.give_back(input);
                }
                Step::Stalled
            }
            Ok(whole) => self.answer_collected(cx, endpoints, budget, matches!(whole, Collected::TooLarge)),
            Err(error) => self.fail(cx, error),
        }
    }

    /// Decodes the input into the content of the current request.
    fn collect(&mut self) -> Result<Collected, ProtocolError> {
        let Reading::Body(incoming) = &mut self.reading else { unreachable!("within content") };
        let mut input = self.input.as_deref_mut();
        loop {
            let bytes = input.as_deref().map_or(&[][..], Receive::bytes);
            let piece = incoming.decoder.decode(bytes)?;
            let (consumed, end) = (piece.consumed, piece.end);
            incoming.content.push(piece.content);
            incoming.trailers.extend_from_slice(piece.trailers);
            if let Some(input) = &mut input {
                input.consume(consumed);
            }
            // A chunk that is too large is refused at its size.
            let announced = (incoming.content.bytes().len() as u64).saturating_add(incoming.decoder.announced());
            if announced > incoming.max_content {
                return Ok(Collected::TooLarge);
            }
            if end {
                return Ok(Collected::Whole);
            }
            if consumed == 0 {
                return Ok(Collected::Partial);
            }
        }
    }

    /// Answers the request whose content was collected.
    fn answer_collected(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        budget: &mut Budget<'_>,
        too_large: bool,
    ) -> Step {
        let Reading::Body(incoming) = self.transition(cx.id, Reading::START, Writing::Idle) else {
            unreachable!("within content")
        };
        let Ok(Some(mut message)) = head::parse(&incoming.head, budget.shapes, cx.known_authority, cx.config) else {
            unreachable!("this head was parsed before");
        };
        message.followed = !self.has_no_input();
        let (content, close, refusal) = match too_large {
            true => (&[][..], Some(CloseReason::BadRequest), Some(ProtocolError::ContentTooLarge.into())),
            false => (incoming.content.bytes(), None, None),
        };
        // Large content is often answered by as much.
        if content.len() > POOL_MAX_BUFFER && self.output.is_none() {
            self.output = cx.pools.output.lend_large();
        }
        let trailers = Trailers::new(&incoming.trailers);
        let received = Received { trailers, ..Received::new(&message.head, content, endpoints) };
        let answered = self.answer_with_content(cx, &message, Request::new(&received), close, refusal);
        self.after(answered, cx.now);
        cx.pools.incoming.give_back(incoming);
        Step::Again
    }

    /// The step within the content of a request that is already answered.
    pub(super) fn discard_content(&mut self, cx: &mut Context<'_>) -> Step {
        let Reading::DiscardContent(incoming) = &mut self.reading else { unreachable!("within discarded content") };
        let bytes = self.input.as_deref().map_or(&[][..], Receive::bytes);
        let (consumed, end) = match incoming.decoder.decode(bytes) {
            Ok(piece) => (piece.consumed, piece.end),
            Err(error) if matches!(self.writing, Writing::Idle) => return self.fail(cx, error),
            Err(error) => return self.content_failed(cx, error),
        };
        if let Some(input) = &mut self.input {
            input.consume(consumed);
        }
        if end {
            let Reading::DiscardContent(incoming) = self.transition(cx.id, Reading::START, self.writing) else {
                unreachable!("within discarded content");
            };
            cx.pools.incoming.give_back(incoming);
            self.content_is_over(cx);
            return Step::Again;
        }
        if self.input_ended && consumed == 0 {
            match self.writing {
                Writing::Idle => self.finish(cx, CloseReason::ClientClosedEarly, false),
                // "A server ... MUST NOT" take it for whole, and no success may be announced (RFC 9112 §8).
                Writing::Awaiting => return self.content_failed(cx, ProtocolError::IncompleteContent),
                // Who has closed its side still gets the whole of a reply that has begun.
                _ => self.drop_content(cx),
            }
            return Step::Again;
        }
        Step::Stalled
    }

    /// The step after the last reply: throws away what comes.
    pub(super) fn discard_rest(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(input) = &mut self.input {
            let count = input.bytes().len();
            input.clear();
            if let (Reading::DiscardRest { left }, 1..) = (&mut self.reading, count) {
                *left = left.saturating_sub(count as u32);
                self.linger();
            }
        }
        if self.input_ended && matches!(self.reading, Reading::DiscardRest { .. }) {
            self.transition(cx.id, Reading::Eof, self.writing);
        }
        Step::Stalled
    }

    /// There is no head, or not all of it, and perhaps there will be none.
    #[inline(never)]
    fn no_head(&mut self, cx: &mut Context<'_>, budget: &mut Budget<'_>) -> Step {
        if !self.input_ended {
            return Step::Stalled;
        }
        let Some(input) = self.input.take_if(|input| !matches!(input.bytes(), [] | [b'\r'])) else {
            self.finish(cx, CloseReason::ClientClosed, false);
            return Step::Again;
        };
        let error = head::parse(input.bytes(), budget.shapes, cx.known_authority, cx.config).err();
        self.input = Some(input);
        self.fail(cx, error.unwrap_or(ProtocolError::IncompleteHead))
    }

    /// The next byte begins another request.
    #[inline]
    pub(super) fn next_request(&mut self, now: Moment) {
        self.restart_head();
        self.began = now;
    }
}

impl Connection {
    /// What comes next is the beginning of a head, if it belongs to one at all.
    #[inline]
    fn restart_head(&mut self) {
        if let Reading::Head { searched, empty_lines, line_ended } = &mut self.reading {
            (*searched, *empty_lines, *line_ended) = (0, 0, false);
        }
    }
}

/// What a client that expects it waits for (RFC 9110 §10.1.1).
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What becomes of content that nobody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discard {
    /// It is thrown away as it comes, and the connection goes on.
    Content,
    /// There may be too much of it, or none at all: the connection ends.
    Connection,
}

impl Discard {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let short = matches!(message.framing, Framing::Length(length) if length <= MAX_DISCARD);
        // Whether a client that expects a 100 goes on to send its content after another reply, nobody knows.
        if short && message.expectation == Expectation::None { Self::Content } else { Self::Connection }
    }

    /// Why the connection ends, if it does.
    pub(super) fn close(&self) -> Option<CloseReason> {
        matches!(self, Self::Connection).then_some(CloseReason::ContentUnread)
    }
}

/// What came of collecting content.
enum Collected {
    Partial,
    Whole,
    TooLarge,
}
