//! One connection: the two state machines, and the steps that drive them.
//!
//! ```text
//!     Reading   Head ───── content to be collected ─▶ Body ───────────────────┐
//!                ▲ ├────── content for a sink ──────▶ Sink ◀─ pause, resume ─▶ Paused
//!                │ ├────── answered before its content ▶ Discard ──────────────┤
//!                │ └────── another protocol ────────▶ Upgraded                 │
//!                └──────────────────── all of it has come ────────────────────┘
//!
//!     Writing   Idle ── the handler has returned without a whole reply ──▶ Awaiting, Streaming ──▶ Idle
//!                └── last reply, error, EOF ──▶ Flushing ──▶ HalfClosed ──▶ Closed
//! ```
//!
//! **Whoever drives it** reads into [`room`](Connection::room) and reports by [`received`](Connection::received) or
//! [`received_eof`](Connection::received_eof); calls [`advance`](Connection::advance) until it stalls; writes
//! [`output`](Connection::output) and reports by [`sent`](Connection::sent); and then does what
//! [`wants_read`](Connection::wants_read), [`wants_end`](Connection::wants_end) and
//! [`deadline`](Connection::deadline) say. They are computed from the state, never stored.

mod content;
mod context;
mod ending;
mod open;
mod output;
mod replies;
mod requests;
mod upgraded;

pub(crate) use context::{Budget, Context, End, Pools, Stall};

use super::incoming::{Incoming, Room};
use super::outgoing::Outgoing;
use super::state::{Joint, ReadingKind, WritingKind};
use crate::buffer::{Pooled, Receive};
use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, Endpoints, Service};
use crate::http::Moment;
use crate::limits::{HIGH_WATER, POOL_MAX_BUFFER, RECEIVE_BUFFER};
use upgraded::Upgraded;

/// The state of a connection. 48 bytes; everything else is borrowed from [`Pools`] while it is needed.
#[derive(Debug)]
pub(crate) struct Connection {
    reading: Reading,
    writing: Writing,
    /// Bytes that came and are not understood yet.
    input: Option<Box<Receive>>,
    /// Bytes that are owed, and the exchange that goes on behind them.
    output: Option<Box<Outgoing>>,
    /// When the first byte of the current request came; in `HalfClosed`, when our side was closed.
    began: Moment,
    /// The client has closed its side; what came before may still wait in `input`.
    input_ended: bool,
    /// More was owed than the high-water mark, and not yet less than the low-water mark.
    held: bool,
}

/// What the next input byte means.
#[derive(Debug)]
enum Reading {
    /// A head; the first `searched` bytes of the input do not hold its end, but perhaps that of its first line.
    Head { searched: u32, empty_lines: u8, line_ended: bool },
    /// Content of the request that is kept in the box.
    Body(Box<Incoming>),
    /// Content that a sink takes as it comes.
    Sink(Box<Incoming>),
    /// As `Sink`, but it has asked to wait.
    Paused(Box<Incoming>),
    /// Content that nobody wants.
    DiscardContent(Box<Incoming>),
    /// Bytes of another protocol.
    Upgraded(Box<Upgraded>),
    /// Whatever comes after the last reply; so many bytes more are read.
    DiscardRest { left: u32 },
    /// Nothing any more.
    Eof,
}

/// What we still owe.
#[derive(Clone, Copy, Debug)]
enum Writing {
    /// Every request that was read is answered, and the queue holds the replies.
    Idle,
    /// The reply to the last one. The exchange is open in `output`.
    Awaiting,
    /// The rest of the content of the last reply; as before.
    Streaming,
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

/// The boxes that a connection holds, each as bytes in it and bytes of its memory.
#[cfg(any(test, fuzzing))]
#[derive(Debug)]
pub(crate) struct Holds {
    pub(crate) receive: Option<(usize, usize)>,
    pub(crate) output: Option<(usize, usize)>,
    /// Content so far, without the head.
    pub(crate) incoming: Option<(usize, usize)>,
}

/// A step of [`Connection::advance`].
enum Step {
    Again,
    Stalled,
    OutOfBudget,
}

impl Connection {
    pub(crate) const fn new() -> Self {
        Self {
            reading: Reading::START,
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
        if !matches!(self.reading, Reading::Head { .. }) {
            return self.room_beside_heads(pools, config);
        }
        let input = self.input.get_or_insert_with(|| pools.receive.lend());
        input.room(0, config.max_head.saturating_add(RECEIVE_BUFFER))
    }

    /// Room anywhere else than in a head.
    #[inline(never)]
    fn room_beside_heads(&mut self, pools: &mut Pools, config: &Config) -> &mut [u8] {
        if let Some(wanted) = self.reading.room().and_then(|room| room.large()) {
            return Self::large_room(&mut self.input, pools, wanted);
        }
        // What stands in the input comes first: while it is not decoded, nothing can be read in place.
        if let (Reading::Body(incoming), None) = (&mut self.reading, &self.input)
            && incoming.has_room()
        {
            return incoming.room(&mut pools.incoming);
        }
        let input = self.input.get_or_insert_with(|| pools.receive.lend());
        input.room(0, config.max_head.saturating_add(RECEIVE_BUFFER))
    }

    /// Room for content of which much comes.
    fn large_room<'a>(input: &'a mut Option<Box<Receive>>, pools: &mut Pools, wanted: usize) -> &'a mut [u8] {
        let is_small = |input: &Receive| input.is_empty() && input.footprint() <= POOL_MAX_BUFFER;
        if wanted > POOL_MAX_BUFFER
            && input.as_deref().is_none_or(is_small)
            && let Some(large) = pools.receive.lend_large()
            && let Some(small) = input.replace(large)
        {
            pools.receive.give_back(small);
        }
        let input = input.get_or_insert_with(|| pools.receive.lend());
        let max = input.bytes().len() + wanted;
        let room = input.room(wanted, max);
        let len = room.len().min(wanted);
        &mut room[..len]
    }

    /// `count` bytes were read into the room.
    #[inline]
    pub(crate) fn received(&mut self, count: usize, offered: usize, cx: &Context<'_>) {
        match (&mut self.input, &mut self.reading) {
            (Some(input), Reading::Head { .. }) => {
                if input.is_empty() {
                    self.began = cx.now;
                }
                input.filled(count);
            }
            _ => self.received_beside_heads(count, offered, cx),
        }
    }

    #[inline(never)]
    fn received_beside_heads(&mut self, count: usize, offered: usize, cx: &Context<'_>) {
        if let Reading::Body(incoming) | Reading::Sink(incoming) | Reading::DiscardContent(incoming) = &mut self.reading
        {
            cx.content_progress(&mut incoming.pace, count);
        }
        if let Some(room) = self.reading.room() {
            room.learn(count, offered);
        }
        match (&mut self.input, &mut self.reading) {
            (Some(input), _) => input.filled(count),
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
        if self.reads_heads() {
            return !self.held && !self.input_ended;
        }
        self.wants_read_beside_heads()
    }

    /// Whether the next byte belongs to a head, and every request before it is answered.
    #[inline]
    pub(super) fn reads_heads(&self) -> bool {
        matches!((&self.reading, self.writing), (Reading::Head { .. }, Writing::Idle))
    }

    #[inline(never)]
    fn wants_read_beside_heads(&self) -> bool {
        let wanted = match self.reading {
            // The request before is not answered yet: what follows it is not even read.
            Reading::Head { .. } => false,
            Reading::Body(_) | Reading::Sink(_) | Reading::DiscardContent(_) | Reading::Upgraded(_) => !self.held,
            Reading::DiscardRest { left } => left > 0,
            Reading::Paused(_) | Reading::Eof => false,
        };
        wanted && !self.input_ended && !matches!(self.writing, Writing::Closed { .. })
    }

    // ---- the steps --------------------------------------------------------------------------------------------------

    /// Parses and answers as far as input, output and budget allow.
    #[inline(always)]
    pub(crate) fn advance(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        budget: &mut Budget<'_>,
    ) -> Stall {
        loop {
            if matches!(self.writing, Writing::Closed { .. }) {
                return Stall::Input;
            }
            if self.held || self.owes_too_much(cx) {
                return Stall::Output;
            }
            let step = match self.reading {
                Reading::Head { .. } if budget.requests == 0 => return Stall::Budget,
                Reading::Head { .. } if matches!(self.writing, Writing::Idle) => self.head(cx, endpoints, budget),
                _ => self.step_beside_heads(cx, endpoints, budget),
            };
            match step {
                Step::Again => {}
                Step::Stalled => return Stall::Input,
                Step::OutOfBudget => return Stall::Budget,
            }
        }
    }

    /// The step anywhere else than in a head.
    #[inline(never)]
    fn step_beside_heads(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, budget: &mut Budget<'_>) -> Step {
        match self.reading {
            // What stands behind a request waits until it is answered.
            Reading::Head { .. } | Reading::Paused(_) => self.produce(cx, budget),
            Reading::Body(_) => self.body(cx, endpoints, budget),
            Reading::Sink(_) => self.take_content(cx).or_else(|| self.produce(cx, budget)),
            Reading::DiscardContent(_) => self.discard_content(cx).or_else(|| self.produce(cx, budget)),
            Reading::Upgraded(_) => self.talk(cx, budget),
            Reading::DiscardRest { .. } | Reading::Eof => self.discard_rest(cx),
        }
    }

    fn owes_too_much(&mut self, cx: &mut Context<'_>) -> bool {
        let goes_on = matches!(self.writing, Writing::Idle | Writing::Awaiting | Writing::Streaming);
        if !goes_on || self.output.as_ref().is_none_or(|output| output.len() < HIGH_WATER) {
            return false;
        }
        self.held = true;
        log::trace!("conn {}: held, {} bytes are owed", cx.id, self.owed());
        cx.watch.tell(|observer| observer.backpressure(cx.id, true));
        true
    }

    /// Whether more is owed than is good, so that nothing is read or parsed.
    #[inline]
    pub(crate) const fn is_held(&self) -> bool {
        self.held
    }

    /// The head of the current request, as far as it has come.
    fn current_head(&self) -> &[u8] {
        match (&self.reading, &self.input) {
            (Reading::Head { .. }, Some(input)) => input.bytes(),
            (Reading::Body(incoming), _) => &incoming.head,
            _ => &[],
        }
    }

    /// Whether every byte that came is understood.
    #[inline]
    pub(crate) fn has_no_input(&self) -> bool {
        self.input.as_ref().is_none_or(|input| input.is_empty())
    }

    /// What it holds of the pools.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn holds(&self) -> Holds {
        Holds {
            receive: self.input.as_deref().map(|input| (input.bytes().len(), input.footprint())),
            output: self.output.as_deref().map(|output| (output.len(), output.footprint())),
            incoming: match &self.reading {
                Reading::Body(incoming)
                | Reading::Sink(incoming)
                | Reading::Paused(incoming)
                | Reading::DiscardContent(incoming) => Some((incoming.content.bytes().len(), incoming.footprint())),
                _ => None,
            },
        }
    }

    /// The end of a turn: gives back the buffers that hold nothing, and gives the client its time to take the rest.
    #[inline(always)]
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) {
        if let Some(input) = self.input.take_if(|input| input.is_empty()) {
            cx.pools.receive.give_back(input);
        }
        if let Some(output) = self.output.take_if(|output| output.is_idle()) {
            cx.pools.output.give_back(output);
        }
        match &mut self.output {
            // A stream that has nothing to say keeps no memory for it.
            Some(output) if output.is_empty() && !output.has_no_memory() => {
                cx.pools.strip(output);
            }
            Some(output) if output.is_empty() => {}
            Some(output) if !output.pace.is_running() => {
                output.pace = cx.send_pace();
            }
            _ => {}
        }
    }

    /// Gives back all buffers, and tells everyone who still waits that the connection has ended.
    pub(crate) fn release(&mut self, pools: &mut Pools, service: &mut dyn Service) {
        self.input.take().into_iter().for_each(|input| pools.receive.give_back(input));
        self.output.take().into_iter().for_each(|output| pools.output.give_back(output));
        let reason = self.close_reason().unwrap_or(CloseReason::ClientClosed);
        let reading = std::mem::replace(&mut self.reading, Reading::Eof);
        Self::let_go(reading, reason, pools, service);
    }

    /// Gives back what a state of reading holds, and tells whoever took the bytes that there will be no more.
    fn let_go(reading: Reading, reason: CloseReason, pools: &mut Pools, service: &mut dyn Service) {
        match reading {
            Reading::Upgraded(upgraded) => upgraded::protocol_closed(service, upgraded.key, reason),
            Reading::Body(incoming)
            | Reading::Sink(incoming)
            | Reading::Paused(incoming)
            | Reading::DiscardContent(incoming) => {
                if let Some(sink) = &incoming.sink {
                    content::abort_sink(service, sink.key, content::abort_of(reason));
                }
                pools.incoming.give_back(incoming);
            }
            Reading::Head { .. } | Reading::DiscardRest { .. } | Reading::Eof => {}
        }
    }

    // ---- the table --------------------------------------------------------------------------------------------------

    /// The only place where the machines change, but for two: a request that is answered at once leads from `Head` to
    /// `Head`, and a connection that is released has no state any more. Gives the old reading state, for its box.
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
        debug_assert!(from == to || from.leads_to(to), "conn {id}: no step leads from {from} to {to}");
    }

    const fn joint(&self) -> Joint {
        Joint(self.reading.kind(), self.writing.kind())
    }
}

impl Step {
    /// This step, unless it has stalled: then another one.
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if matches!(self, Self::Stalled) { other() } else { self }
    }
}

impl Reading {
    /// Before the first byte of a request.
    const START: Self = Self::Head { searched: 0, empty_lines: 0, line_ended: false };

    /// How much room reads get here, if it is not what a head gets.
    #[inline]
    fn room(&mut self) -> Option<&mut Room> {
        match self {
            Self::Sink(incoming) => incoming.sink.as_mut().map(|sink| &mut sink.room),
            Self::Upgraded(upgraded) => Some(&mut upgraded.room),
            _ => None,
        }
    }

    const fn kind(&self) -> ReadingKind {
        match self {
            Self::Head { .. } => ReadingKind::Head,
            Self::Body(_) | Self::Sink(_) => ReadingKind::Body,
            Self::Paused(_) => ReadingKind::Paused,
            Self::Upgraded(_) => ReadingKind::Upgraded,
            Self::DiscardContent(_) | Self::DiscardRest { .. } => ReadingKind::Discard,
            Self::Eof => ReadingKind::Eof,
        }
    }
}

impl Writing {
    const fn kind(&self) -> WritingKind {
        match self {
            Self::Idle => WritingKind::Idle,
            Self::Awaiting => WritingKind::Awaiting,
            Self::Streaming => WritingKind::Streaming,
            Self::Flushing { .. } => WritingKind::Flushing,
            Self::HalfClosed { .. } => WritingKind::HalfClosed,
            Self::Closed { .. } => WritingKind::Closed,
        }
    }
}
