//! The phases of a connection: its whole life on one page.

use std::fmt;

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the last reply is queued, no more comes, or it takes too long ──▶ Ending
///
///     Ending ── all is sent, our side is closed ──▶ HalfClosed ── the client closes its side, or is late ──▶ Closed
///
///     any phase ── the socket fails, or the client takes nothing for too long ──▶ Closed
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Phase {
    /// The connection is between two requests, or within a head. The first `searched` bytes of the input do not hold
    /// the end of that head.
    Head { searched: usize },
    /// A head of so many bytes has come. Its content of `length` bytes has not, or not all of it. Both stay in the
    /// receive buffer until then.
    Content { head: usize, length: usize },
    /// The last reply is queued. Input is thrown away; `left` is how many bytes more of it are read.
    Ending { reason: Reason, left: usize },
    /// All is sent, and our side of the socket is closed. The client has time to take the reply and to close its side.
    HalfClosed { reason: Reason, left: usize },
    /// The socket can go.
    Closed { reason: Reason },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reason {
    ClientClosed,
    ClientClosedEarly,
    NotPersistent,
    BadRequest,
    TimedOut,
    SocketFailed,
    Drained,
    Cut,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ClientClosed => "the client closed an idle connection",
            Self::ClientClosedEarly => "the client closed in the middle of a request",
            Self::NotPersistent => "the client did not ask for another request",
            Self::BadRequest => "the request was malformed or over a limit",
            Self::TimedOut => "the client took too long",
            Self::SocketFailed => "the socket failed",
            Self::Drained => "the server is draining",
            Self::Cut => "the drain took too long",
        })
    }
}

impl Phase {
    /// Before the first byte of a request.
    pub const START: Self = Self::Head { searched: 0 };

    /// The table of steps: whether one step leads from this phase to `next`.
    pub fn leads_to(&self, next: &Phase) -> bool {
        match (self, next) {
            (Phase::Closed { .. }, _) => false,
            (_, Phase::Closed { .. }) => true,
            (Phase::Head { .. }, next) => matches!(next, Phase::Content { .. } | Phase::Ending { .. }),
            (Phase::Content { .. }, next) => matches!(next, Phase::Head { .. } | Phase::Ending { .. }),
            (Phase::Ending { .. }, next) => matches!(next, Phase::HalfClosed { .. }),
            (Phase::HalfClosed { .. }, _) => false,
        }
    }
}
