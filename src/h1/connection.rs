//! One connection: the two state machines, and the steps that drive them.
//!
//! ```text
//!                       ┌────────────── answered, persistent ──────────────┐
//!                       ▼                                                  │
//!     Reading   ┌──▶  Head ──── head, content to come ───▶ Body ── whole ──┤
//!               │       └────── answered before its content ──▶ Discard ───┘
//!               │
//!     Writing  Idle ── last reply, error, EOF ──▶ Flushing ──▶ HalfClosed ──▶ Closed
//! ```
//!
//! **Whoever drives it** reads into [`room`](Connection::room) and reports by [`received`](Connection::received) or
//! [`received_eof`](Connection::received_eof); calls [`advance`](Connection::advance) until it stalls; writes
//! [`output`](Connection::output) and reports by [`sent`](Connection::sent); and then does what
//! [`wants_read`](Connection::wants_read), [`wants_end`](Connection::wants_end) and
//! [`deadline`](Connection::deadline) say. They are computed from the state, never stored.

use super::error::ProtocolError;
use super::framing::{Expectation, Framing};
use super::head::{self, Message};
use super::incoming::Incoming;
use super::state::{Joint, ReadingKind, WritingKind};
use crate::buffer::{OutputQueue, Pool, Receive, ReplyRecord};
use crate::config::Config;
use crate::exchange::{
    Admission, Asked, CloseReason, ConnectionId, Endpoints, Reply, Request, RequestFacts, Service, Timeout, Watch,
    admit, conduct,
};
use crate::http::{Millis, Moment};
use crate::limits::{
    DRAIN_LINGER, HIGH_WATER, LINGER_BYTES, LOW_WATER, MAX_DISCARD, MAX_EMPTY_LINES, POOL_BYTES, RECEIVE_BUFFER,
};

/// The state of a connection. 48 bytes; everything else is borrowed from [`Pools`] while it is needed.
#[derive(Debug)]
pub(crate) struct Connection {
    reading: Reading,
    writing: Writing,
    /// Bytes that came and are not understood yet.
    input: Option<Box<Receive>>,
    /// Bytes that are owed.
    output: Option<Box<OutputQueue>>,
    /// When the first byte of the current request came; in `HalfClosed`, when our side was closed.
    began: Moment,
    /// The client has closed its side; what came before may still wait in `input`.
    input_ended: bool,
    /// More was owed than the high-water mark, and not yet less than the low-water mark.
    held: bool,
}

/// What the next input byte means. Of the kinds in the joint table, those that exist without streaming and upgrade.
#[derive(Debug)]
enum Reading {
    /// A head; the first `searched` bytes of the input do not hold its end.
    Head { searched: u32, empty_lines: u8 },
    /// Content of the request that is kept in the box.
    Body(Box<Incoming>),
    /// Content of a request that is already answered.
    DiscardContent(Box<Incoming>),
    /// Whatever comes after the last reply; so many bytes more are read.
    DiscardRest { left: u32 },
    /// Nothing any more.
    Eof,
}

/// What we still owe.
#[derive(Clone, Copy, Debug)]
enum Writing {
    Idle,
    /// The rest of the queue. `linger`: the client may still be sending, and would lose the reply to a reset.
    Flushing {
        reason: CloseReason,
        linger: bool,
    },
    HalfClosed {
        reason: CloseReason,
    },
    Closed {
        reason: CloseReason,
    },
}

/// What the loop lends to a connection for its turn.
pub(crate) struct Context<'a> {
    pub(crate) now: Moment,
    pub(crate) id: ConnectionId,
    pub(crate) config: &'a Config,
    pub(crate) pools: &'a mut Pools,
    pub(crate) reply: &'a mut Reply,
    pub(crate) service: &'a mut dyn Service,
    pub(crate) watch: &'a mut Watch,
    /// The connection's own idle timeout; a handler may set it.
    pub(crate) idle_timeout: &'a mut Millis,
    /// Every reply is the last one of its connection.
    pub(crate) draining: bool,
}

/// The buffers that connections borrow.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) receive: Pool<Receive>,
    pub(crate) output: Pool<OutputQueue>,
    pub(crate) incoming: Pool<Incoming>,
}

impl Pools {
    pub(crate) const fn new() -> Self {
        Self {
            receive: Pool::new(POOL_BYTES / 2),
            output: Pool::new(POOL_BYTES / 4),
            incoming: Pool::new(POOL_BYTES / 4),
        }
    }
}

/// Work that is allowed in a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
}

/// Why [`Connection::advance`] can do no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stall {
    /// It needs more input, or there will be none.
    Input,
    /// So much is owed that it waits for the client to read.
    Output,
    /// The turn is over; there is more to do.
    Budget,
}

/// How the socket ends, once everything owed has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Close it.
    Close,
    /// Close it if nothing more has come, else as `HalfClose`: closing over unread input makes the kernel send a reset,
    /// which would take the reply from the client.
    CloseIfQuiet,
    /// Close our side, go on reading, and report by [`Connection::half_closed`].
    HalfClose,
}

/// A step of [`Connection::advance`].
enum Step {
    Again,
    Stalled,
}

impl Connection {
    pub(crate) const fn new() -> Self {
        Self {
            reading: Reading::Head { searched: 0, empty_lines: 0 },
            writing: Writing::Idle,
            input: None,
            output: None,
            began: Moment::ZERO,
            input_ended: false,
            held: false,
        }
    }

    // ---- input ------------------------------------------------------------------------------------------------------

    /// Where the next bytes from the socket go. Empty only if nothing more is wanted.
    #[inline]
    pub(crate) fn room(&mut self, pools: &mut Pools, config: &Config) -> &mut [u8] {
        if let Reading::Body(incoming) = &mut self.reading {
            // What stands in the input comes first. While it is not decoded, nothing can be read in place.
            if self.input.is_none() {
                if let Some(room) = incoming.room() {
                    return room;
                }
            }
        }
        let input = self.input.get_or_insert_with(|| pools.receive.lend());
        input.room(0, config.max_head.saturating_add(RECEIVE_BUFFER))
    }

    /// `count` bytes were read into the room.
    #[inline]
    pub(crate) fn received(&mut self, count: usize, now: Moment) {
        match (&mut self.input, &mut self.reading) {
            (Some(input), _) => {
                if input.is_empty() && matches!(self.reading, Reading::Head { .. }) {
                    self.began = now;
                }
                input.filled(count);
            }
            (None, Reading::Body(incoming)) => incoming.filled(count),
            (None, _) => unreachable!("bytes are received into a room that was given out"),
        }
    }

    /// The client has closed its side. What it sent before is still answered.
    pub(crate) const fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Whether bytes should be read from the socket.
    #[inline]
    pub(crate) fn wants_read(&self) -> bool {
        let wanted = match self.reading {
            Reading::Head { .. } | Reading::Body(_) | Reading::DiscardContent(_) => !self.held,
            Reading::DiscardRest { left } => left > 0,
            Reading::Eof => false,
        };
        wanted && !self.input_ended && !matches!(self.writing, Writing::Closed { .. })
    }

    // ---- the steps --------------------------------------------------------------------------------------------------

    /// Parses and answers as far as input, output and budget allow.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, budget: &mut Budget) -> Stall {
        loop {
            if matches!(self.writing, Writing::Closed { .. }) {
                return Stall::Input;
            }
            if self.held || self.owes_too_much(cx) {
                return Stall::Output;
            }
            let step = match self.reading {
                Reading::Head { .. } if budget.requests == 0 => return Stall::Budget,
                Reading::Head { .. } => self.head(cx, endpoints, budget),
                Reading::Body(_) => self.body(cx, endpoints),
                Reading::DiscardContent(_) => self.discard_content(cx),
                Reading::DiscardRest { .. } | Reading::Eof => self.discard_rest(cx),
            };
            if matches!(step, Step::Stalled) {
                return Stall::Input;
            }
        }
    }

    fn owes_too_much(&mut self, cx: &mut Context<'_>) -> bool {
        let parses = matches!(self.writing, Writing::Idle);
        if !parses || self.output.as_ref().is_none_or(|output| output.len() < HIGH_WATER) {
            return false;
        }
        self.held = true;
        log::trace!("conn {}: held, {} bytes are owed", cx.id, self.owed());
        cx.watch.tell(|observer| observer.backpressure(cx.id, true));
        true
    }

    /// The step within `Head`: skips empty lines, looks for the end of the head, parses it, answers its request.
    #[inline]
    fn head(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, budget: &mut Budget) -> Step {
        let Some(mut input) = self.input.take() else { return self.no_head(cx) };
        let parsed = match self.find_head(&mut input, cx.config) {
            Ok(true) => self.parse_head(cx, input.bytes(), endpoints, budget),
            Ok(false) => Ok(0),
            Err(error) => Err(error),
        };
        if let Ok(consumed) = parsed {
            input.consume(consumed);
        }
        self.input = Some(input);
        match parsed {
            Ok(0) if self.input_ended => self.no_head(cx),
            Ok(0) => Step::Stalled,
            Ok(_) => Step::Again,
            Err(error) => self.fail(cx, error),
        }
    }

    /// Whether it is worth parsing: at the first look, and when a head that was partial has come to its end.
    #[inline]
    fn find_head(&mut self, input: &mut Receive, config: &Config) -> Result<bool, ProtocolError> {
        let Reading::Head { searched, empty_lines } = &mut self.reading else { unreachable!("within a head") };
        // RFC 9112 §2.2: "a server ... SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
        while let [b'\r' | b'\n', ..] = input.bytes() {
            match input.bytes() {
                [b'\r', b'\n', ..] => input.consume(2),
                [b'\r'] => return Ok(false),
                [b'\n', ..] => return Err(ProtocolError::BareLf),
                _ => return Err(ProtocolError::RequestLine),
            }
            *empty_lines += 1;
            if *empty_lines > MAX_EMPTY_LINES {
                return Err(ProtocolError::EmptyLines);
            }
        }
        if *searched == 0 {
            return Ok(!input.is_empty());
        }
        if head::search_end(input.bytes(), *searched as usize)? {
            return Ok(true);
        }
        *searched = input.bytes().len() as u32;
        head::check_partial(input.bytes(), config).map(|()| false)
    }

    /// Parses the head at the front of `bytes` and answers its request if the content is there too. Gives the number
    /// of bytes that are done with: none if the head is partial.
    #[inline]
    fn parse_head(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        endpoints: &dyn Endpoints,
        budget: &mut Budget,
    ) -> Result<usize, ProtocolError> {
        let mut slots = head::slots();
        let Some(message) = head::parse(bytes, &mut slots, cx.config)? else {
            head::search_end(bytes, 0)?;
            self.reading = Reading::Head { searched: bytes.len() as u32, empty_lines: 0 };
            return Ok(0);
        };
        budget.requests -= 1;
        if message.framing != Framing::None || message.expectation == Expectation::Unknown {
            return Ok(self.head_with_content(cx, bytes, &message, endpoints));
        }
        let request = Request::new(&message.head, &[], endpoints);
        if self.answer(cx, &message, Asked::Call(request), None) {
            self.next_request(cx.now);
        }
        Ok(message.len)
    }

    /// Decides on a request with content, at its head; gives the number of bytes that are done with.
    fn head_with_content(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        endpoints: &dyn Endpoints,
    ) -> usize {
        let request = Request::new(&message.head, &[], endpoints);
        let refusal = match message.framing {
            _ if message.expectation == Expectation::Unknown => Some(ProtocolError::ExpectationFailed),
            Framing::Length(length) if length > cx.config.max_content => Some(ProtocolError::ContentTooLarge),
            _ => None,
        };
        if let Some(error) = refusal {
            let close = (message.framing != Framing::None).then_some(CloseReason::BadRequest);
            if self.answer(cx, message, Asked::Refuse(request, error.into()), close) {
                self.next_request(cx.now);
            }
            return message.len;
        }
        match admit(cx.service, &request) {
            Ok(Admission::Buffer) => self.buffer_content(cx, bytes, message, endpoints),
            Ok(Admission::Now) => {
                // Whether a client that expects a 100 goes on to send its content after another reply, nobody knows.
                let short = matches!(message.framing, Framing::Length(length) if length <= MAX_DISCARD);
                let keep = short && message.expectation == Expectation::None;
                let close = (!keep).then_some(CloseReason::ContentUnread);
                if self.answer(cx, message, Asked::Call(request), close) {
                    let mut incoming = cx.pools.incoming.lend();
                    incoming.begin(&[], message.framing);
                    self.transition(cx.id, Reading::DiscardContent(incoming), Writing::Idle);
                }
                message.len
            }
            Err(panic) => {
                self.answer(cx, message, Asked::Refuse(request, panic), Some(CloseReason::Panicked));
                message.len
            }
        }
    }

    /// Answers at once if the content is all there; else begins to collect it.
    fn buffer_content(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        message: &Message<'_>,
        endpoints: &dyn Endpoints,
    ) -> usize {
        let (head, rest) = bytes.split_at(message.len);
        if let Framing::Length(length) = message.framing {
            if let Some(content) = usize::try_from(length).ok().and_then(|length| rest.get(..length)) {
                let request = Request::new(&message.head, content, endpoints);
                if self.answer(cx, message, Asked::Call(request), None) {
                    self.next_request(cx.now);
                }
                return message.len + content.len();
            }
        }
        if message.expectation == Expectation::Continue && rest.is_empty() {
            let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
            output.inline().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        let mut incoming = cx.pools.incoming.lend();
        incoming.begin(head, message.framing);
        self.transition(cx.id, Reading::Body(incoming), Writing::Idle);
        message.len
    }

    /// The step within `Body`: decodes what has come, and answers when it is whole.
    fn body(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints) -> Step {
        match self.collect(cx.config.max_content) {
            Ok(Collected::Partial) if self.input_ended => self.fail(cx, ProtocolError::IncompleteContent),
            Ok(Collected::Partial) => {
                // The rest of a content of known length is read in place.
                if let Some(input) = self.input.take_if(|input| input.is_empty()) {
                    cx.pools.receive.give_back(input);
                }
                Step::Stalled
            }
            Ok(whole) => self.answer_collected(cx, endpoints, matches!(whole, Collected::TooLarge)),
            Err(error) => self.fail(cx, error),
        }
    }

    /// Decodes the input into the content of the current request.
    fn collect(&mut self, max_content: u64) -> Result<Collected, ProtocolError> {
        let Reading::Body(incoming) = &mut self.reading else { unreachable!("within content") };
        let mut input = self.input.as_deref_mut();
        loop {
            let bytes = input.as_deref().map_or(&[][..], Receive::bytes);
            let piece = incoming.decoder.decode(bytes)?;
            let (consumed, end) = (piece.consumed, piece.end);
            if (incoming.content.bytes().len() + piece.content.len()) as u64 > max_content {
                return Ok(Collected::TooLarge);
            }
            let content = piece.content;
            incoming.content.push(content);
            if let Some(input) = &mut input {
                input.consume(consumed);
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
    fn answer_collected(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, too_large: bool) -> Step {
        let next = Reading::Head { searched: 0, empty_lines: 0 };
        let Reading::Body(incoming) = std::mem::replace(&mut self.reading, next) else {
            unreachable!("within content")
        };
        let mut slots = head::slots();
        let Ok(Some(message)) = head::parse(&incoming.head, &mut slots, cx.config) else {
            unreachable!("this head was parsed before");
        };
        let request = Request::new(&message.head, incoming.content.bytes(), endpoints);
        let (asked, close) = match too_large {
            true => {
                let error = ProtocolError::ContentTooLarge.into();
                (Asked::Refuse(Request::new(&message.head, &[], endpoints), error), Some(CloseReason::BadRequest))
            }
            false => (Asked::Call(request), None),
        };
        if self.answer(cx, &message, asked, close) {
            self.next_request(cx.now);
        }
        cx.pools.incoming.give_back(incoming);
        Step::Again
    }

    /// The step within the content of a request that is already answered.
    fn discard_content(&mut self, cx: &mut Context<'_>) -> Step {
        let Reading::DiscardContent(incoming) = &mut self.reading else { unreachable!("within discarded content") };
        if let Some(input) = &mut self.input {
            match incoming.decoder.decode(input.bytes()) {
                Ok(piece) => {
                    let (consumed, end) = (piece.consumed, piece.end);
                    input.consume(consumed);
                    if end {
                        let next = Reading::Head { searched: 0, empty_lines: 0 };
                        let Reading::DiscardContent(incoming) = self.transition(cx.id, next, Writing::Idle) else {
                            unreachable!("within discarded content");
                        };
                        cx.pools.incoming.give_back(incoming);
                        self.next_request(cx.now);
                        return Step::Again;
                    }
                }
                Err(error) => return self.fail(cx, error),
            }
        }
        if self.input_ended {
            self.finish(cx, CloseReason::ClientClosedEarly, false);
            return Step::Again;
        }
        Step::Stalled
    }

    /// The step after the last reply: throws away what comes.
    fn discard_rest(&mut self, cx: &mut Context<'_>) -> Step {
        if let Some(input) = &mut self.input {
            let count = input.bytes().len();
            input.clear();
            if let (Reading::DiscardRest { left }, 1..) = (&mut self.reading, count) {
                *left = left.saturating_sub(count as u32);
                if let Writing::Flushing { linger, .. } = &mut self.writing {
                    *linger = true;
                }
            }
        }
        if self.input_ended && matches!(self.reading, Reading::DiscardRest { .. }) {
            self.transition(cx.id, Reading::Eof, self.writing);
        }
        Step::Stalled
    }

    /// There is no head, or not all of it, and perhaps there will be none.
    fn no_head(&mut self, cx: &mut Context<'_>) -> Step {
        if !self.input_ended {
            return Step::Stalled;
        }
        let Some(input) = self.input.take_if(|input| !input.is_empty()) else {
            self.finish(cx, CloseReason::ClientClosed, false);
            return Step::Again;
        };
        let mut slots = head::slots();
        let error = head::parse(input.bytes(), &mut slots, cx.config).err();
        self.input = Some(input);
        self.fail(cx, error.unwrap_or(ProtocolError::IncompleteHead))
    }

    /// The next byte begins another request.
    #[inline]
    fn next_request(&mut self, now: Moment) {
        self.reading = Reading::Head { searched: 0, empty_lines: 0 };
        self.began = now;
    }

    // ---- replies ----------------------------------------------------------------------------------------------------

    /// Has a request answered, and ends the connection if this is its last reply; tells whether it goes on. `close` is
    /// the reason for which it cannot, if there is one beside those that the message and the server have.
    #[inline]
    fn answer(
        &mut self,
        cx: &mut Context<'_>,
        message: &Message<'_>,
        asked: Asked<'_>,
        close: Option<CloseReason>,
    ) -> bool {
        if let (true, Asked::Call(request) | Asked::Refuse(request, _)) = (cx.watch.is_some(), &asked) {
            cx.watch.tell(|observer| observer.request(cx.id, request));
        }
        let close = match close {
            None if !message.persistent => Some(CloseReason::NotPersistent),
            None if cx.draining => Some(CloseReason::Drained),
            close => close,
        };
        let announce = message.asked_keep_alive.then(|| keep_alive(cx).as_secs());
        let facts = RequestFacts { method: Some(message.head.method), persistent: close.is_none(), announce };
        let panicked = self.conduct(cx, asked, facts);
        if !cx.reply.closes() {
            return true;
        }
        let reason = match close {
            _ if panicked => CloseReason::Panicked,
            Some(reason) => reason,
            None => CloseReason::HandlerClosed,
        };
        let linger = matches!(reason, CloseReason::BadRequest | CloseReason::ContentUnread | CloseReason::Panicked);
        self.finish(cx, reason, linger);
        false
    }

    /// Answers a message that breaks a rule, and ends the connection: nothing behind it is ever parsed.
    #[cold]
    fn fail(&mut self, cx: &mut Context<'_>, error: ProtocolError) -> Step {
        let reason = match error {
            ProtocolError::IncompleteHead | ProtocolError::IncompleteContent => CloseReason::ClientClosedEarly,
            _ => CloseReason::BadRequest,
        };
        self.fail_as(cx, error, reason);
        Step::Again
    }

    fn fail_as(&mut self, cx: &mut Context<'_>, error: ProtocolError, reason: CloseReason) {
        log::debug!("conn {}: {error}", cx.id);
        let facts = RequestFacts { method: None, persistent: false, announce: None };
        self.conduct(cx, Asked::Fail(error.into()), facts);
        self.finish(cx, reason, true);
    }

    /// Puts one whole reply into the output; tells whether the application panicked.
    #[inline]
    fn conduct(&mut self, cx: &mut Context<'_>, asked: Asked<'_>, facts: RequestFacts) -> bool {
        let output = self.output.get_or_insert_with(|| cx.pools.output.lend());
        output.compact();
        let conducted = conduct(cx.service, asked, facts, cx.reply, output);
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
        conducted.panicked
    }

    // ---- output -----------------------------------------------------------------------------------------------------

    /// What is owed, if anything is.
    #[inline]
    pub(crate) fn output(&self) -> Option<&OutputQueue> {
        self.output.as_deref().filter(|output| !output.is_empty())
    }

    /// Bytes that are owed.
    pub(crate) fn owed(&self) -> usize {
        self.output.as_ref().map_or(0, |output| output.len())
    }

    /// The kernel has taken the first `count` bytes that were owed.
    #[inline]
    pub(crate) fn sent(&mut self, count: usize, cx: &mut Context<'_>) {
        let Some(output) = &mut self.output else { return };
        output.advance(count);
        if cx.watch.is_some() {
            while let Some(record) = output.next_finished() {
                let reply = record.finished(cx.now);
                cx.watch.tell(|observer| observer.reply_finished(cx.id, &reply));
            }
        }
        if self.held && output.len() < LOW_WATER {
            self.held = false;
            log::trace!("conn {}: no longer held", cx.id);
            cx.watch.tell(|observer| observer.backpressure(cx.id, false));
        }
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    /// The last reply is in the queue, or there is none to come.
    fn finish(&mut self, cx: &mut Context<'_>, reason: CloseReason, linger: bool) {
        let reading = match self.input_ended {
            true => Reading::Eof,
            false => Reading::DiscardRest { left: LINGER_BYTES },
        };
        let old = self.transition(cx.id, reading, Writing::Flushing { reason, linger });
        if let Reading::Body(incoming) | Reading::DiscardContent(incoming) = old {
            cx.pools.incoming.give_back(incoming);
        }
        // Nobody waits for the low-water mark any more.
        if std::mem::take(&mut self.held) {
            cx.watch.tell(|observer| observer.backpressure(cx.id, false));
        }
    }

    /// How the socket should end now, if it should.
    #[inline]
    pub(crate) fn wants_end(&self) -> Option<End> {
        match (self.writing, &self.reading) {
            (Writing::Idle, _) => None,
            (Writing::Closed { .. }, _) => Some(End::Close),
            (Writing::Flushing { .. }, _) if self.output().is_some() => None,
            (_, Reading::Eof) => Some(End::Close),
            (Writing::Flushing { linger: true, .. }, _) => Some(End::HalfClose),
            (Writing::Flushing { linger: false, .. }, _) => Some(End::CloseIfQuiet),
            (Writing::HalfClosed { .. }, Reading::DiscardRest { left: 0 }) => Some(End::Close),
            (Writing::HalfClosed { .. }, _) => None,
        }
    }

    /// Our side of the socket was closed; the client has until the linger deadline.
    pub(crate) fn half_closed(&mut self, id: ConnectionId, now: Moment) {
        if let Writing::Flushing { reason, .. } = self.writing {
            self.set_writing(id, Writing::HalfClosed { reason });
            self.began = now;
        }
    }

    /// The socket is gone or must go; nothing more is sent.
    pub(crate) fn abort(&mut self, id: ConnectionId, reason: CloseReason) {
        if !matches!(self.writing, Writing::Closed { .. }) {
            self.set_writing(id, Writing::Closed { reason });
        }
    }

    /// The server drains and the socket has nothing more: a connection between two requests ends.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_>) {
        let between = matches!((&self.reading, self.writing), (Reading::Head { .. }, Writing::Idle));
        if between && self.has_no_input() {
            self.finish(cx, CloseReason::Drained, true);
        }
    }

    /// Whether more is owed than is good, so that nothing is read or parsed.
    #[inline]
    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    /// Why the connection ended, or is about to.
    pub(crate) const fn close_reason(&self) -> Option<CloseReason> {
        match self.writing {
            Writing::Idle => None,
            Writing::Flushing { reason, .. } | Writing::HalfClosed { reason } | Writing::Closed { reason } => {
                Some(reason)
            }
        }
    }

    /// Gives back the buffers that hold nothing.
    #[inline]
    pub(crate) fn settle(&mut self, pools: &mut Pools) {
        if let Some(input) = self.input.take_if(|input| input.is_empty()) {
            pools.receive.give_back(input);
        }
        if let Some(output) = self.output.take_if(|output| output.is_empty()) {
            pools.output.give_back(output);
        }
    }

    /// Gives back all buffers.
    pub(crate) fn release(&mut self, pools: &mut Pools) {
        self.input.take().into_iter().for_each(|input| pools.receive.give_back(input));
        self.output.take().into_iter().for_each(|output| pools.output.give_back(output));
        let reading = std::mem::replace(&mut self.reading, Reading::Eof);
        if let Reading::Body(incoming) | Reading::DiscardContent(incoming) = reading {
            pools.incoming.give_back(incoming);
        }
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// When [`expire`](Self::expire) must be called, if no byte comes or goes until then. `activity` is when the last
    /// one did.
    #[inline]
    pub(crate) fn deadline(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> Moment {
        let idle = activity + idle_timeout;
        match self.writing {
            Writing::Idle if self.within_head() => idle.min(self.began + config.head_timeout),
            Writing::Idle if self.between_requests() => {
                config.keep_alive_timeout.map_or(idle, |timeout| idle.min(activity + timeout))
            }
            Writing::Idle | Writing::Flushing { .. } => idle,
            Writing::HalfClosed { reason: CloseReason::Drained } => self.began + DRAIN_LINGER,
            Writing::HalfClosed { .. } => self.began + config.linger_timeout,
            Writing::Closed { .. } => activity,
        }
    }

    /// The deadline has passed.
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>) {
        let timeout = match self.writing {
            Writing::HalfClosed { .. } => Timeout::Linger,
            Writing::Idle if self.within_head() && cx.now >= self.began + cx.config.head_timeout => Timeout::Head,
            _ => Timeout::Idle,
        };
        log::debug!("conn {}: {timeout:?} timeout", cx.id);
        cx.watch.tell(|observer| observer.timed_out(cx.id, timeout));
        let reason = match timeout {
            Timeout::Head => CloseReason::HeadTimeout,
            _ => CloseReason::IdleTimeout,
        };
        match self.writing {
            Writing::HalfClosed { reason } => self.abort(cx.id, reason),
            // The client takes nothing: there is no use in owing it more.
            _ if self.output().is_some() => self.abort(cx.id, reason),
            Writing::Idle if self.within_head() || matches!(self.reading, Reading::Body(_)) => {
                self.fail_as(cx, ProtocolError::Timeout, reason);
            }
            Writing::Idle => self.finish(cx, reason, false),
            Writing::Flushing { .. } | Writing::Closed { .. } => self.abort(cx.id, reason),
        }
    }

    /// Whether every byte that came is understood.
    #[inline]
    pub(crate) fn has_no_input(&self) -> bool {
        self.input.as_ref().is_none_or(|input| input.is_empty())
    }

    /// Some bytes of a head have come, and it is the client that we wait for.
    #[inline]
    fn within_head(&self) -> bool {
        matches!(self.reading, Reading::Head { .. }) && !self.held && !self.has_no_input()
    }

    /// A request was answered and the next one has not begun.
    #[inline]
    fn between_requests(&self) -> bool {
        matches!(self.reading, Reading::Head { .. }) && self.began > Moment::ZERO && self.output().is_none()
    }

    // ---- the table --------------------------------------------------------------------------------------------------

    /// The only place where the machines change, but for the steps that lead from `Head` to `Head`. Gives the old
    /// reading state, for its box.
    fn transition(&mut self, id: ConnectionId, reading: Reading, writing: Writing) -> Reading {
        let from = self.joint();
        let old = std::mem::replace(&mut self.reading, reading);
        self.writing = writing;
        self.check(id, from);
        old
    }

    /// As [`transition`](Self::transition), where only the writing state changes.
    fn set_writing(&mut self, id: ConnectionId, writing: Writing) {
        let from = self.joint();
        self.writing = writing;
        self.check(id, from);
    }

    fn check(&self, id: ConnectionId, from: Joint) {
        let to = self.joint();
        log::trace!("conn {id}: {from} -> {to}");
        debug_assert!(from.leads_to(to), "conn {id}: no step leads from {from} to {to}");
    }

    const fn joint(&self) -> Joint {
        Joint(self.reading.kind(), self.writing.kind())
    }
}

/// What came of collecting content.
enum Collected {
    Partial,
    Whole,
    TooLarge,
}

impl Reading {
    const fn kind(&self) -> ReadingKind {
        match self {
            Self::Head { .. } => ReadingKind::Head,
            Self::Body(_) => ReadingKind::Body,
            Self::DiscardContent(_) | Self::DiscardRest { .. } => ReadingKind::Discard,
            Self::Eof => ReadingKind::Eof,
        }
    }
}

impl Writing {
    const fn kind(&self) -> WritingKind {
        match self {
            Self::Idle => WritingKind::Idle,
            Self::Flushing { .. } => WritingKind::Flushing,
            Self::HalfClosed { .. } => WritingKind::HalfClosed,
            Self::Closed { .. } => WritingKind::Closed,
        }
    }
}

/// How long the connection of this turn is kept between two requests.
fn keep_alive(cx: &Context<'_>) -> Millis {
    cx.config.keep_alive_timeout.map_or(*cx.idle_timeout, |timeout| Millis::from(timeout).min(*cx.idle_timeout))
}
