//! The phases of a connection: its whole life on one page.
//!
//! ```text
//!              ┌──── the reply is whole at once ────┐
//!              ▼                                    │
//!     ──▶    Head ── a request has come ────────────┤
//!              ▲                                    ├── content or reply is to come ──▶ Exchange ──┐
//!              │                                    └── 101 ──▶ Upgraded                          │
//!              └──────────────────────────── content done, reply whole ───────────────────────────┘
//!
//!     Head, Exchange, Upgraded ── the last reply is queued ──▶ Ending ── all is sent ──▶ HalfClosed ──▶ Closed
//!
//!     any phase ── the socket fails, or the reply cannot go on ──▶ Closed
//! ```
//!
//! `docs/diagrams/phases.svg` is drawn from the table below, with the cause of each step.
//!
//! Two things overlap in an exchange, and only there: its content comes while its reply goes. So an
//! [`Exchange`] holds two machines of its own, [`ContentState`](super::states::ContentState) and
//! [`ReplyState`](super::states::ReplyState).
//!
//! What a phase holds is in its variant. The queue of output belongs to none: it may hold earlier replies.

use std::fmt;

use super::exchange::Exchange;
use super::states::{Ending, ReplyState};
use super::upgraded::Upgraded;
use crate::exchange::CloseReason;
use crate::limits::LINGER_BYTES;

/// What a connection is doing. 16 bytes, because every idle connection has one.
#[derive(Debug)]
pub(super) enum Phase {
    /// The connection is between two requests, or within a head. All requests before it are answered.
    Head(Search),
    /// A request has come whose content or reply is still to come. Input after its content is not read.
    Exchange(Box<Exchange>),
    /// Another protocol has taken over.
    Upgraded(Box<Upgraded>),
    /// The last reply is in the queue. Input is thrown away; `left` is how many bytes more of it are read.
    Ending { ending: Ending, left: u32 },
    /// All is sent and our side of the socket is closed. The client has time to take the reply and to close its side.
    HalfClosed { reason: CloseReason, left: u32 },
    /// The socket can go. An exchange that is cut short stays until the release: its last bytes may still leave.
    Closed { reason: CloseReason, unfinished: Option<Box<Exchange>> },
}

/// How far the search for the end of a head has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search {
    /// The first bytes of the input that were searched and do not hold the end of the head.
    pub(super) searched: u32,
    /// Empty lines that came before the head.
    pub(super) empty_lines: u8,
    /// The searched bytes hold the end of the request line.
    pub(super) line_ended: bool,
}

impl Phase {
    /// Before the first byte of a request.
    pub(super) const START: Self = Self::Head(Search { searched: 0, empty_lines: 0, line_ended: false });

    /// The phase after the last reply. After the client has closed its side, there is no input to throw away.
    pub(super) const fn ending(ending: Ending, input_ended: bool) -> Self {
        Self::Ending { ending, left: if input_ended { 0 } else { LINGER_BYTES } }
    }

    pub(super) const fn closed(reason: CloseReason) -> Self {
        Self::Closed { reason, unfinished: None }
    }

    /// Whether replies may follow that are not in the queue yet.
    pub(super) const fn goes_on(&self) -> bool {
        matches!(self, Self::Head(_) | Self::Exchange(_) | Self::Upgraded(_))
    }

    /// The table of steps: whether one step leads from this phase to `next`.
    ///
    /// A request that is answered at once makes no step: it leads from `Head` back to `Head`.
    pub(super) fn leads_to(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Closed { .. }, _) => false,
            (_, Self::Closed { .. }) => true,
            (Self::Head(_), next) => matches!(next, Self::Exchange(_) | Self::Upgraded(_) | Self::Ending { .. }),
            (Self::Exchange(exchange), Self::Head(_)) => exchange.is_over(),
            (Self::Exchange(exchange), Self::Ending { .. }) => matches!(exchange.reply, ReplyState::Whole(_)),
            (Self::Upgraded(_), next) => matches!(next, Self::Ending { .. }),
            (Self::Ending { .. }, next) => matches!(next, Self::HalfClosed { .. }),
            (Self::Exchange(_) | Self::HalfClosed { .. }, _) => false,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(_) => f.write_str("Head"),
            Self::Exchange(exchange) => exchange.fmt(f),
            Self::Upgraded(_) => f.write_str("Upgraded"),
            Self::Ending { .. } => f.write_str("Ending"),
            Self::HalfClosed { .. } => f.write_str("HalfClosed"),
            Self::Closed { .. } => f.write_str("Closed"),
        }
    }
}
