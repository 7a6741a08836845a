//! What passes between a connection, its driver and its steps, beside bytes.

use std::rc::Rc;
use std::time::Duration;

use super::exchange::Exchange;
use super::incoming::Collecting;
use super::states::Ending;
use crate::buffer::{Ledger, OutputQueue, Pace, Pool, Receive};
use crate::config::Config;
use crate::exchange::{Clock, CloseReason, ConnectionId, Draining, Endpoints, Outbox, Received, Reply, Service, Watch};
use crate::http::{Millis, Moment};
use crate::limits::{MEMORY_OF_POOL, POOL_BUSY_BYTES, POOL_BYTES};
use crate::wire::Head;

/// What the loop lends to a connection for its turn.
pub(crate) struct Context<'a> {
    /// The time of the tick.
    pub(crate) now: Moment,
    /// The clock, which says how much of its time a turn has used.
    pub(crate) clock: &'a mut dyn Clock,
    pub(crate) id: ConnectionId,
    pub(crate) config: &'a Config,
    pub(crate) pools: &'a mut Pools,
    pub(crate) reply: &'a mut Reply,
    pub(crate) service: &'a mut dyn Service,
    pub(crate) watch: &'a mut Watch,
    /// The connection's own idle timeout; a handler may set it.
    pub(crate) idle_timeout: &'a mut Millis,
    pub(crate) draining: Draining,
    /// Where the application leaves wake-ups on this thread.
    pub(crate) outbox: &'a Rc<Outbox>,
    /// Letters wait for more than a tick.
    pub(crate) letters_wait: bool,
}

impl Context<'_> {
    /// A request without trailers, as the application gets it.
    #[inline(always)]
    pub(super) fn received<'a>(
        &self,
        head: &'a Head<'a>,
        content: &'a [u8],
        endpoints: &'a dyn Endpoints,
    ) -> Received<'a> {
        Received::new(head, content, endpoints, self.draining, self.reply.unix_second())
    }

    /// Reads the clock, for the observers alone. Virtual time may pass while the clock of a test stands still.
    pub(super) fn read_clock(&mut self) -> Moment {
        self.clock.now().max(self.now)
    }

    /// Begins the time for the content of a request, and credits the `bytes` that have arrived already.
    pub(super) fn content_pace(&self, bytes: usize) -> Pace {
        let mut pace = Pace::begin(self.now, self.config.content_timeout, self.config.min_content_rate);
        self.content_progress(&mut pace, bytes);
        pace
    }

    /// Credits `bytes` of content that have arrived.
    pub(super) fn content_progress(&self, pace: &mut Pace, bytes: usize) {
        let most = Duration::from(*self.idle_timeout).max(self.config.content_timeout);
        pace.progress(bytes, self.now, self.config.min_content_rate, most);
    }

    /// The time that the client has from now on for what is owed.
    pub(super) fn send_pace(&self) -> Pace {
        Pace::begin(self.now, self.config.send_timeout, self.config.min_send_rate)
    }
}

/// The boxes that connections borrow, and what they hold of memory in all.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) receive: Pool<Receive>,
    pub(crate) output: Pool<OutputQueue>,
    pub(crate) exchange: Pool<Exchange>,
    pub(crate) collecting: Pool<Collecting>,
    /// What the connections hold.
    pub(crate) ledger: Ledger,
}

impl Pools {
    /// Pools for connections that may hold `limit` bytes of memory in all. A low limit makes the pools keep less.
    pub(crate) fn new(limit: usize) -> Self {
        let small = POOL_BYTES.min(limit / MEMORY_OF_POOL);
        let large = POOL_BUSY_BYTES.min(limit / MEMORY_OF_POOL);
        Self {
            receive: Pool::new(small / 2, large),
            output: Pool::new(small / 4, large),
            exchange: Pool::new(small / 16, large),
            collecting: Pool::new(small / 4 - small / 16, large),
            ledger: Ledger::new(limit),
        }
    }

    /// Bytes that the pools keep.
    pub(super) const fn kept(&self) -> usize {
        self.receive.kept() + self.output.kept() + self.exchange.kept() + self.collecting.kept()
    }

    /// Frees all that the pools keep, because its memory is wanted.
    #[cold]
    pub(super) fn free(&mut self) {
        self.receive.free();
        self.output.free();
        self.exchange.free();
        self.collecting.free();
    }

    /// Frees large buffers that were not used since the last call.
    pub(crate) fn trim(&mut self) {
        self.ledger.begin_round();
        self.receive.trim();
        self.output.trim();
        self.collecting.trim();
    }

    /// Whether they want to be trimmed again: they hold large buffers, or memory is short.
    pub(crate) const fn want_trim(&self) -> bool {
        let have_large = self.receive.has_large() || self.output.has_large() || self.collecting.has_large();
        have_large || self.ledger.is_short()
    }
}

/// Work that is allowed in a turn.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// When the time of the turn is over.
    pub(crate) end: Moment,
}

impl Budget {
    /// Reads the clock, and returns whether the time of the turn is over. Then nothing else is left of the budget.
    #[inline]
    pub(crate) fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let is_late = cx.clock.now() >= self.end;
        if is_late {
            (self.requests, self.bytes) = (0, 0);
        }
        is_late
    }
}

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The next step can be taken.
    Again,
    /// No step can be taken without more input, or without the application.
    Stalled,
    /// The turn is over.
    OutOfBudget,
}

/// Why a connection does not go on in its phase.
#[derive(Clone, Copy, Debug)]
pub(super) enum Break {
    /// What is owed is the last that it sends.
    Finish(Ending),
    /// A reply or a protocol has begun and cannot go on: the socket must go.
    Abort(CloseReason),
}

/// Why [`Connection::advance`](super::Connection::advance) can do no more.
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
    /// Close our side, go on reading, and report by [`Connection::half_closed`](super::Connection::half_closed).
    HalfClose,
}
