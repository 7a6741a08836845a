//! One connection: the phases of its life, and the steps that drive it.
//!
//! **Its driver** reads into [`room`](Connection::room) and reports by [`received`](Connection::received) or
//! [`received_eof`](Connection::received_eof); calls [`advance`](Connection::advance) until it stalls; writes
//! [`output`](Connection::output) and reports by [`sent`](Connection::sent); and then does what
//! [`wants_read`](Connection::wants_read), [`wants_end`](Connection::wants_end) and
//! [`deadline`](Connection::deadline) say. They are computed from the phase, never stored.
//!
//! The calls of the driver are in this file, in `output`, `ending` and `deadlines`.
//!
//! Reading order: `phase` (the picture), this file, `steps`, `head`, `call`, `ending`; then `states`, `exchange`,
//! `admission`, `incoming`, `content`, `reply`, `upgraded`, `deadlines`, `memory`.

mod admission;
mod buffers;
mod call;
mod content;
mod context;
mod deadlines;
mod ending;
mod exchange;
mod head;
#[cfg(any(test, fuzzing))]
mod holds;
mod incoming;
#[cfg(feature = "live")]
mod inspection;
mod memory;
mod output;
mod phase;
mod reply;
mod states;
mod steps;
#[cfg(test)]
mod tests;
mod trace;
mod upgraded;

pub(crate) use context::{Budget, Context, End, Pools, Stall};
pub(crate) use exchange::Awaited;
#[cfg(feature = "live")]
pub use inspection::PhaseName;

use crate::buffer::Charge;
use crate::config::Config;
use crate::exchange::{Endpoints, Letter, Ticket, dispose};
use crate::http::Moment;
use crate::wire::Scratch;
use buffers::Buffers;
use context::Step;
use incoming::Room;
use phase::Phase;
use states::ContentState;

/// The state of a connection. 48 bytes; everything else is borrowed from [`Pools`] while it is needed.
#[derive(Debug)]
pub(crate) struct Connection {
    phase: Phase,
    buffers: Buffers,
}

impl Connection {
    pub(crate) fn new() -> Self {
        let charge = Charge::default();
        let buffers =
            Buffers { input: None, output: None, since: Moment::ZERO, input_ended: false, held: false, charge };
        Self { phase: Phase::START, buffers }
    }

    // ---- input ------------------------------------------------------------------------------------------------------

    /// Where the next bytes from the socket go. Empty only if nothing more is wanted.
    #[inline]
    pub(crate) fn room(&mut self, pools: &mut Pools, config: &Config) -> &mut [u8] {
        match self.phase {
            Phase::Head(_) => self.buffers.room(pools, config),
            _ => self.room_outside_head(pools, config),
        }
    }

    /// Room anywhere else than in a head.
    #[inline(never)]
    fn room_outside_head(&mut self, pools: &mut Pools, config: &Config) -> &mut [u8] {
        if let Some(wanted) = self.phase.room().and_then(|room| room.large()) {
            return self.buffers.large_room(pools, wanted);
        }
        // Bytes in the input come first: while they are not decoded, nothing can be read in place.
        if let (Phase::Exchange(exchange), None) = (&mut self.phase, &self.buffers.input)
            && let ContentState::Collected(collecting) = &mut exchange.content
            && let Some(room) = collecting.room(&mut pools.collecting)
        {
            return room;
        }
        self.buffers.room(pools, config)
    }

    /// Room of this size for a read that is repeated. How much room a read gets depends on who used the buffer before,
    /// and a replay need not have that connection.
    #[cfg(feature = "live")]
    #[cold]
    pub(crate) fn room_of(&mut self, size: usize, pools: &mut Pools, config: &Config) -> &mut [u8] {
        let missing = size.saturating_sub(self.room(pools, config).len());
        match (&mut self.phase, &mut self.buffers.input) {
            _ if missing == 0 => {}
            (_, Some(input)) => input.widen(missing),
            (Phase::Exchange(exchange), None) => {
                if let ContentState::Collected(collecting) = &mut exchange.content {
                    collecting.widen(missing);
                }
            }
            _ => {}
        }
        let room = self.room(pools, config);
        let size = size.min(room.len());
        &mut room[..size]
    }

    /// Notes that `count` bytes were read into the room.
    #[inline]
    pub(crate) fn received(&mut self, count: usize, offered: usize, cx: &Context<'_>) {
        match (&self.phase, &mut self.buffers.input) {
            (Phase::Head(_), Some(input)) => {
                if input.is_empty() {
                    self.buffers.since = cx.now;
                }
                input.filled(count);
            }
            _ => self.received_outside_head(count, offered, cx),
        }
    }

    #[inline(never)]
    fn received_outside_head(&mut self, count: usize, offered: usize, cx: &Context<'_>) {
        if let Some(room) = self.phase.room() {
            room.learn(count, offered);
        }
        if let Phase::Exchange(exchange) = &mut self.phase {
            if let Some(pace) = exchange.content.pace() {
                cx.content_progress(pace, count);
            }
            if let (ContentState::Collected(collecting), None) = (&mut exchange.content, &self.buffers.input) {
                return collecting.filled(count);
            }
        }
        if let Phase::Upgraded(upgraded) = &mut self.phase {
            upgraded.received(cx.now);
        }
        let input = self.buffers.input.as_mut().expect("bytes are received into a room that was given out");
        input.filled(count);
    }

    /// Notes that the client has closed its side. What it sent before is still answered.
    pub(crate) const fn received_eof(&mut self) {
        self.buffers.input_ended = true;
    }

    /// Whether bytes should be read from the socket.
    #[inline]
    pub(crate) fn wants_read(&self) -> bool {
        let wanted = match &self.phase {
            Phase::Head(_) => !self.buffers.held,
            Phase::Upgraded(upgraded) => !self.buffers.held && !upgraded.is_paused(),
            Phase::Exchange(exchange) => !self.buffers.held && exchange.content.wants_read(),
            Phase::Ending { left, .. } | Phase::HalfClosed { left, .. } => *left > 0,
            Phase::Closed { .. } => false,
        };
        wanted && !self.buffers.input_ended
    }

    /// Whether every byte that came is consumed.
    #[inline]
    pub(crate) fn has_no_input(&self) -> bool {
        self.buffers.has_no_input()
    }

    /// Whether nothing can be done with what has come until more comes. A protocol may have looked at all of it, and
    /// may have other calls that use up each turn, in which the socket would not be read.
    #[inline]
    pub(crate) fn needs_input(&self) -> bool {
        self.has_no_input() || matches!(&self.phase, Phase::Upgraded(upgraded) if upgraded.needs_input(&self.buffers))
    }

    // ---- the steps --------------------------------------------------------------------------------------------------

    /// Parses and answers as far as input, output and budget allow.
    #[inline(always)]
    pub(crate) fn advance(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> Stall {
        loop {
            if self.buffers.held || self.hold_if_full(cx) {
                return Stall::Output;
            }
            let step = match self.phase {
                Phase::Head(_) if budget.requests == 0 => return Stall::Budget,
                Phase::Head(_) => self.heads(cx, endpoints, scratch, budget),
                _ => self.step_outside_head(cx, endpoints, scratch, budget),
            };
            match step {
                Step::Again => {}
                Step::Stalled => return Stall::Input,
                Step::OutOfBudget => return Stall::Budget,
            }
        }
    }

    /// The end of a turn: gives back the buffers that hold nothing, gives the client its time to take the rest, and
    /// charges the connection for the memory that it holds. Returns whether it needs another turn, because it asked for
    /// more memory than there is.
    #[inline(always)]
    pub(crate) fn settle(&mut self, cx: &mut Context<'_>) -> bool {
        let Buffers { input, output, .. } = &mut self.buffers;
        if let Some(input) = input.take_if(|input| input.is_empty()) {
            cx.pools.receive.give_back(input);
        }
        if let Some(output) = output.take_if(|output| output.is_empty()) {
            cx.pools.output.give_back(output);
        }
        self.begin_send_pace(cx);
        // Nearly always the connection holds nothing now, and held nothing before: so there is one branch for all.
        let Buffers { input, output, charge, .. } = &self.buffers;
        let holds = input.is_some() | output.is_some() | !charge.is_none() | !matches!(self.phase, Phase::Head(_));
        holds && self.settle_memory(cx)
    }

    /// Begins the client's time for what is owed, unless it has begun.
    #[inline(always)]
    fn begin_send_pace(&mut self, cx: &Context<'_>) {
        if let Some(output) = &mut self.buffers.output
            && !output.pace.is_running()
        {
            output.pace = cx.send_pace();
        }
    }

    // ---- letters, and what a client that leaves means ---------------------------------------------------------------

    /// Whether a letter is for something that is still going on here.
    pub(crate) fn awaits(&self, ticket: Ticket) -> bool {
        match &self.phase {
            Phase::Exchange(exchange) => exchange.awaits(ticket),
            Phase::Upgraded(upgraded) => upgraded.awaits(ticket),
            _ => false,
        }
    }

    /// Takes a letter that [it awaits](Self::awaits).
    pub(crate) fn deliver(&mut self, cx: &mut Context<'_>, letter: Letter) {
        match (&mut self.phase, letter) {
            (Phase::Exchange(exchange), letter) => {
                exchange.deliver(&mut self.buffers, cx, letter);
                self.end_exchange(cx);
            }
            (Phase::Upgraded(upgraded), Letter::Wake) => upgraded.may_write = true,
            (Phase::Upgraded(upgraded), Letter::Resume) => upgraded.resume(cx.now),
            (_, unwanted) => dispose(unwanted),
        }
    }

    /// Whether the connection waits for the application. Unless content is still taken, the socket is then neither read
    /// nor written, and only an event tells that the client is gone.
    pub(crate) const fn waits_for_application(&self) -> bool {
        match &self.phase {
            Phase::Exchange(exchange) => exchange.reply.waits_for_application() || exchange.content.is_paused(),
            Phase::Upgraded(upgraded) => upgraded.is_paused(),
            _ => false,
        }
    }

    /// What the connection waits for that must come from outside of the loop. None if the client has to do something.
    pub(crate) fn awaited(&self) -> Option<Awaited> {
        match &self.phase {
            Phase::Exchange(exchange) if !self.buffers.held => exchange.awaited(),
            _ => None,
        }
    }

    /// Whether another protocol has taken over.
    pub(crate) const fn is_upgraded(&self) -> bool {
        matches!(self.phase, Phase::Upgraded(_))
    }

    /// Notes an event that says that the client has closed its side.
    pub(crate) fn note_client_closed(&self) {
        if let Phase::Exchange(exchange) = &self.phase {
            exchange.reply.note_client_closed();
        }
    }
}

impl Phase {
    /// How much room reads get in this phase, if it is not what a head gets.
    #[inline]
    fn room(&mut self) -> Option<&mut Room> {
        match self {
            Self::Exchange(exchange) => exchange.content.flow().map(|flow| &mut flow.room),
            Self::Upgraded(upgraded) => Some(&mut upgraded.room),
            _ => None,
        }
    }
}
