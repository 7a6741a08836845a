//! What passes between a connection and whoever drives it, beside bytes.

use std::time::Duration;

use crate::buffer::{Pace, Pool, Pooled, Receive};
use crate::config::Config;
use crate::exchange::{ConnectionId, Reply, Service, Watch};
use crate::h1::authority::KnownAuthority;
use crate::h1::incoming::Incoming;
use crate::h1::outgoing::Outgoing;
use crate::http::{LineShape, Millis, Moment};
use crate::limits::POOL_BYTES;

/// What the loop lends to a connection for its turn.
pub(crate) struct Context<'a> {
    pub(crate) now: Moment,
    pub(crate) id: ConnectionId,
    pub(crate) config: &'a Config,
    pub(crate) pools: &'a mut Pools,
    pub(crate) reply: &'a mut Reply,
    pub(crate) known_authority: &'a mut KnownAuthority,
    pub(crate) service: &'a mut dyn Service,
    pub(crate) watch: &'a mut Watch,
    /// The connection's own idle timeout; a handler may set it.
    pub(crate) idle_timeout: &'a mut Millis,
    /// The server stops: a reply is the last one of its connection unless another request stands behind its own.
    pub(crate) draining: bool,
}

impl Context<'_> {
    /// The time that content has from now on, if so many bytes of it are there already.
    pub(super) fn content_pace(&self, bytes: usize) -> Pace {
        let mut pace = Pace::begin(self.now, self.config.content_timeout, self.config.min_content_rate);
        self.content_progress(&mut pace, bytes);
        pace
    }

    /// So many bytes of content have come.
    pub(super) fn content_progress(&self, pace: &mut Pace, bytes: usize) {
        let most = Duration::from(*self.idle_timeout).max(self.config.content_timeout);
        pace.progress(bytes, self.now, self.config.min_content_rate, most);
    }

    /// The time that the client has from now on for what is owed.
    pub(super) fn send_pace(&self) -> Pace {
        Pace::begin(self.now, self.config.send_timeout, self.config.min_send_rate)
    }
}

/// The buffers that connections borrow.
#[derive(Debug)]
pub(crate) struct Pools {
    pub(crate) receive: Pool<Receive>,
    pub(crate) output: Pool<Outgoing>,
    pub(crate) incoming: Pool<Incoming>,
    /// An output without memory, left by a stream that was [equipped](Self::equip): mostly the same stream is
    /// [stripped](Self::strip) at the end of its turn, so one is enough.
    bare: Option<Box<Outgoing>>,
}

impl Pools {
    pub(crate) const fn new() -> Self {
        Self {
            receive: Pool::new(POOL_BYTES / 2),
            output: Pool::new(POOL_BYTES / 4),
            incoming: Pool::new(POOL_BYTES / 4),
            bare: None,
        }
    }

    /// Takes the memory of an output back that owes nothing and stays, with the exchange that is open in it.
    #[inline(never)]
    pub(crate) fn strip(&mut self, output: &mut Box<Outgoing>) {
        debug_assert!(output.is_empty());
        let mut bare = self.output.adopt(self.bare.take().unwrap_or_default());
        bare.open = output.open.take();
        self.output.give_back(std::mem::replace(output, bare));
    }

    /// Gives memory to an output that was [stripped](Self::strip) of it.
    pub(crate) fn equip(&mut self, output: &mut Box<Outgoing>) {
        let mut equipped = self.output.lend();
        equipped.open = output.open.take();
        let mut bare = self.output.disown(std::mem::replace(output, equipped));
        bare.reset();
        self.bare = Some(bare);
    }

    /// Frees large buffers that were not used since the last call.
    pub(crate) fn trim(&mut self) {
        self.receive.trim();
        self.output.trim();
        self.incoming.trim();
    }

    /// Whether they hold large buffers, and so want to be trimmed again.
    pub(crate) const fn have_large(&self) -> bool {
        self.receive.has_large() || self.output.has_large() || self.incoming.has_large()
    }
}

/// Work that is allowed in a turn, and room for it.
#[derive(Debug)]
pub(crate) struct Budget<'a> {
    pub(crate) requests: usize,
    pub(crate) bytes: usize,
    /// For what the parser finds in a head: as [`shapes`](crate::h1::shapes) makes it.
    pub(crate) shapes: &'a mut [LineShape],
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
