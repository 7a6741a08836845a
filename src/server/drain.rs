//! The drain: how a server stops without dropping anything that it accepted. This file says what is due; the event loop
//! does it.
//!
//! ```text
//!     serving ── signal or Handle ──▶ delayed ── drain_delay ──▶ grace ── drain_grace ──▶ closing
//!                                        │                         │                        │
//!                                        │                         ├── no connection left ──┴──▶ done
//!                                        └────── second signal ────┴── drain_timeout, second signal ──▶ cut
//! ```

use std::time::Duration;

use super::error::Error;
use crate::exchange::{DrainCause, Draining};
use crate::http::Moment;

/// How far a server is on its way to the end.
#[derive(Debug)]
pub(super) struct Drain {
    stage: Stage,
    cause: Option<DrainCause>,
    /// A signal has come, so the next signal cuts the connections.
    #[cfg(feature = "signals")]
    signalled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The server serves, and nothing has asked it to stop.
    Serving,
    /// The server was asked to stop. It serves as before until this time.
    Delayed { until: Moment },
    /// The server accepts no new connection. A reply is the last of its connection, unless more requests have arrived
    /// after its own. A connection between two requests stays until `ends`.
    Grace { ends: Moment, until: Moment },
    /// Connections between two requests are closed. At this time the server cuts the connections that are left.
    Closing { until: Moment },
}

/// A step that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Stop accepting, and let each connection end.
    Drain,
    /// Close the connections that have not asked once more in their grace.
    CloseIdle,
    /// Cut the connections that are left: they have taken too long.
    Cut,
}

/// How a drain was cut short.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Forced {
    /// The number of connections that were cut off.
    pub(super) connections: usize,
    /// Whether a second signal was the cause.
    pub(super) signalled: bool,
}

impl From<Forced> for Error {
    fn from(Forced { connections, signalled }: Forced) -> Self {
        Self::Forced { connections, signalled }
    }
}

impl Drain {
    /// A server that nothing has asked to stop.
    pub(super) const fn new() -> Self {
        Self {
            stage: Stage::Serving,
            cause: None,
            #[cfg(feature = "signals")]
            signalled: false,
        }
    }

    /// The server was asked to stop, and serves as before until this time. Returns false if it was asked before: then
    /// this changes nothing.
    pub(super) fn delay(&mut self, cause: DrainCause, until: Moment) -> bool {
        let is_first = self.stage == Stage::Serving;
        if is_first {
            self.stage = Stage::Delayed { until };
            self.cause = Some(cause);
        }
        is_first
    }

    /// Notes a signal. Returns whether it is the second one.
    #[cfg(feature = "signals")]
    pub(super) const fn note_signal(&mut self) -> bool {
        std::mem::replace(&mut self.signalled, true)
    }

    /// The server drains from now on, at most for `timeout`. The first part of that is the grace.
    pub(super) fn begin(&mut self, now: Moment, grace: Duration, timeout: Duration) {
        let until = now + timeout;
        self.stage = match grace.min(timeout) {
            Duration::ZERO => Stage::Closing { until },
            grace => Stage::Grace { ends: now + grace, until },
        };
    }

    /// The grace is over.
    pub(super) const fn end_grace(&mut self) {
        if let Stage::Grace { until, .. } = self.stage {
            self.stage = Stage::Closing { until };
        }
    }

    /// All connections are being cut.
    pub(super) const fn cut(&mut self) {
        self.stage = Stage::Closing { until: Moment::MAX };
    }

    /// What the connections have to know.
    pub(super) const fn for_connections(&self) -> Draining {
        match self.stage {
            Stage::Serving => Draining::No,
            Stage::Delayed { .. } => Draining::Asked,
            Stage::Grace { .. } => Draining::Grace,
            Stage::Closing { .. } => Draining::Closing,
        }
    }

    /// Whether the server was asked to stop.
    #[inline]
    pub(super) const fn has_begun(&self) -> bool {
        self.cause.is_some()
    }

    /// The step that is due now. Connections are cut only when all that came before the time of the cut has been looked
    /// at; the other steps look at them themselves.
    pub(super) fn due(&self, now: Moment, looked_until: Moment) -> Option<Step> {
        match self.stage {
            Stage::Delayed { until } if now >= until => Some(Step::Drain),
            Stage::Grace { ends, .. } if now >= ends => Some(Step::CloseIdle),
            Stage::Closing { until } if looked_until >= until => Some(Step::Cut),
            _ => None,
        }
    }

    /// When the next step is due.
    pub(super) const fn deadline(&self) -> Option<Moment> {
        match self.stage {
            Stage::Serving => None,
            Stage::Delayed { until } | Stage::Grace { ends: until, .. } | Stage::Closing { until } => Some(until),
        }
    }

    /// When the server cuts the connections that are left; `None` while it accepts new ones, or if it has cut them.
    #[cfg(feature = "live")]
    pub(super) fn cut_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Grace { until, .. } | Stage::Closing { until } => Some(until).filter(|until| *until < Moment::MAX),
            Stage::Serving | Stage::Delayed { .. } => None,
        }
    }

    pub(super) const fn is_draining(&self) -> bool {
        matches!(self.stage, Stage::Grace { .. } | Stage::Closing { .. })
    }

    /// What has asked the server to stop.
    pub(super) const fn cause(&self) -> Option<DrainCause> {
        self.cause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_has_its_deadline_and_its_step() {
        let at = |nanos| Moment::from_nanos(nanos);
        let mut drain = Drain::new();
        assert_eq!((drain.deadline(), drain.due(Moment::MAX, Moment::MAX), drain.cause()), (None, None, None));
        assert!(drain.delay(DrainCause::Handle, at(10)));
        assert!(!drain.delay(DrainCause::Signal("SIGTERM"), at(5)), "it was asked before");
        assert_eq!((drain.deadline(), drain.cause()), (Some(at(10)), Some(DrainCause::Handle)));
        assert_eq!(
            (drain.due(at(9), at(9)), drain.due(at(10), at(5)), drain.is_draining()),
            (None, Some(Step::Drain), false)
        );
        let nanos = Duration::from_nanos;
        drain.begin(at(10), nanos(5), nanos(20));
        assert_eq!((drain.deadline(), drain.for_connections()), (Some(at(15)), Draining::Grace));
        assert_eq!((drain.due(at(14), at(14)), drain.due(at(15), at(9))), (None, Some(Step::CloseIdle)));
        drain.end_grace();
        assert_eq!((drain.deadline(), drain.for_connections()), (Some(at(30)), Draining::Closing));
        let looked = |until| drain.due(at(50), at(until));
        assert_eq!((looked(29), looked(30), drain.is_draining()), (None, Some(Step::Cut), true));
    }

    #[test]
    fn the_grace_is_a_part_of_the_time_for_the_drain() {
        let (at, nanos) = (Moment::from_nanos, Duration::from_nanos);
        for (grace, timeout, deadline, draining) in [
            (0, 20, 30, Draining::Closing),
            (5, 0, 10, Draining::Closing),
            (50, 20, 30, Draining::Grace),
            (5, 20, 15, Draining::Grace),
        ] {
            let mut drain = Drain::new();
            drain.begin(at(10), nanos(grace), nanos(timeout));
            assert_eq!((drain.deadline(), drain.for_connections()), (Some(at(deadline)), draining));
        }
    }
}
