//! What a connection looks like to an application that looks into the loop. All of it is computed from the phase, as is
//! what the driver asks.

use std::fmt;

use super::Connection;
use super::phase::Phase;
use crate::config::Config;
use crate::exchange::Timeout;
use crate::http::{Millis, Moment};

/// What a connection is doing: its phase, as `docs/ARCHITECTURE.md` names it. The phase `Head` has four faces here:
/// `Fresh`, `Idle`, `Head` and `Sending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PhaseName {
    /// Nothing has come yet.
    Fresh,
    /// It is between two requests: each request was answered, and each reply has left.
    Idle,
    /// Some bytes of a request head have come.
    Head,
    /// Each request that was read has its whole reply in the queue, and the kernel has not taken all of that yet.
    Sending,
    /// The content of a request is still to come, or its reply.
    Exchange,
    /// Another protocol has taken over, such as WebSocket.
    Upgraded,
    /// The last reply is in the queue. Input is thrown away.
    Ending,
    /// All is sent and our side is closed. The client has time to take it.
    HalfClosed,
    /// The socket is about to be closed.
    Closed,
}

impl fmt::Display for PhaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Connection {
    /// What the connection is doing.
    pub(crate) fn phase_name(&self) -> PhaseName {
        match &self.phase {
            Phase::Head(_) if self.output().is_some() => PhaseName::Sending,
            Phase::Head(_) if self.is_within_head() => PhaseName::Head,
            Phase::Head(_) if self.buffers.since == Moment::ZERO => PhaseName::Fresh,
            Phase::Head(_) => PhaseName::Idle,
            Phase::Exchange(_) => PhaseName::Exchange,
            Phase::Upgraded(_) => PhaseName::Upgraded,
            Phase::Ending { .. } => PhaseName::Ending,
            Phase::HalfClosed { .. } => PhaseName::HalfClosed,
            Phase::Closed { .. } => PhaseName::Closed,
        }
    }

    /// The phase, as the trace log names it.
    pub(crate) fn phase_text(&self) -> String {
        self.phase.to_string()
    }

    /// More about the phase, if there is anything to say.
    pub(crate) const fn detail(&self) -> Option<Detail<'_>> {
        match &self.phase {
            Phase::Head(_) => None,
            Phase::Upgraded(upgraded) if !upgraded.is_paused() => None,
            phase => Some(Detail(phase)),
        }
    }

    /// How many bytes have come that are not consumed.
    pub(crate) fn received_bytes(&self) -> usize {
        self.buffers.bytes().len()
    }

    /// The next deadline and its timeout, as the loop sees them; `None` if there is none. The alarm of a protocol
    /// counts as [`Timeout::Idle`].
    pub(crate) fn timeout(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> Option<(Moment, Timeout)> {
        let (due, timeout) = self.next_timeout(config, idle_timeout, activity);
        let is_open = !matches!(self.phase, Phase::Closed { .. });
        (due < Moment::MAX && is_open).then(|| (due, timeout.unwrap_or(Timeout::Idle)))
    }
}

/// What more there is to say about a phase.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Detail<'a>(&'a Phase);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Phase::Head(_) => Ok(()),
            Phase::Exchange(exchange) => write!(f, "content {}, reply {}", exchange.content, exchange.reply),
            Phase::Upgraded(_) => f.write_str("input paused"),
            Phase::Ending { ending, .. } => ending.reason.fmt(f),
            Phase::HalfClosed { reason, .. } | Phase::Closed { reason, .. } => reason.fmt(f),
        }
    }
}
