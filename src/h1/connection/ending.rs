//! The end of a connection, and the deadlines that lead there.

use std::time::Duration;

use super::{Connection, Context, End, Reading, Writing};
use crate::buffer::Receive;
use crate::config::Config;
use crate::exchange::{Abort, CloseReason, ConnectionId, Timeout};
use crate::h1::error::ProtocolError;
use crate::http::{Error, Millis, Moment};
use crate::limits::{DRAIN_LINGER, LINGER_BYTES};

impl Connection {
    /// The last reply is in the queue, or there is none to come.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, reason: CloseReason, linger: bool) {
        let reading = match self.input_ended {
            true => Reading::Eof,
            false => Reading::DiscardRest { left: LINGER_BYTES },
        };
        let old = self.transition(cx.id, reading, Writing::Flushing { reason, linger });
        Self::let_go(old, reason, cx.pools, cx.service);
        drop(self.take_open());
        // Nobody waits for the low-water mark any more.
        if std::mem::take(&mut self.held) {
            cx.watch.tell(|observer| observer.backpressure(cx.id, false));
        }
    }

    /// The client may still be sending, and would lose the last reply to a reset.
    pub(super) fn linger(&mut self) {
        if let Writing::Flushing { linger, .. } = &mut self.writing {
            *linger = true;
        }
    }

    /// Whether the socket will be closed as soon as all that is owed has left, if the client sends nothing more.
    #[inline]
    pub(crate) const fn closes_after_output(&self) -> bool {
        matches!(self.writing, Writing::Flushing { linger: false, .. })
    }

    /// How the socket should end now, if it should.
    #[inline]
    pub(crate) fn wants_end(&self) -> Option<End> {
        // Nearly always it goes on.
        if matches!(self.writing, Writing::Idle) {
            return None;
        }
        self.wants_end_after_output()
    }

    #[inline(never)]
    fn wants_end_after_output(&self) -> Option<End> {
        match (self.writing, &self.reading) {
            (Writing::Idle | Writing::Awaiting | Writing::Streaming, _) => None,
            (Writing::Closed { .. }, _) => Some(End::Close),
            (Writing::Flushing { .. }, _) if self.output().is_some() => None,
            (_, Reading::Eof) => Some(End::Close),
            (Writing::Flushing { linger: true, .. }, _) => Some(End::HalfClose),
            (Writing::Flushing { linger: false, .. }, _) => Some(End::CloseIfQuiet),
            // Also when no more is thrown away: what is still unread would make the close a reset. The deadline ends it.
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
        if between && !self.held && !self.within_head() {
            self.finish(cx, CloseReason::Drained, true);
        }
    }

    /// Whether the client has got everything that it will get, so that it loses nothing if the socket goes now.
    pub(crate) const fn owes_nothing(&self) -> bool {
        matches!(self.writing, Writing::HalfClosed { .. } | Writing::Closed { .. })
    }

    /// Why the connection ended, or is about to.
    pub(crate) const fn close_reason(&self) -> Option<CloseReason> {
        match self.writing {
            Writing::Idle | Writing::Awaiting | Writing::Streaming => None,
            Writing::Flushing { reason, .. } | Writing::HalfClosed { reason } | Writing::Closed { reason } => {
                Some(reason)
            }
        }
    }

    /// When [`expire`](Self::expire) must be called, if no byte comes or goes until then. `activity` is when the last
    /// one did.
    ///
    /// While bytes are owed that the kernel does not take, it is the client's reading that counts, and nothing else (if
    /// there is a rate to keep to): it may not have seen yet what it waits for. What the kernel takes, it takes in steps,
    /// so silence means little then.
    #[inline]
    pub(crate) fn deadline(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> Moment {
        let idle = activity + idle_timeout;
        // Nearly always: nothing has come that is not answered, nothing is owed.
        let at_rest = self.reads_heads() && self.input.is_none() && self.output.is_none();
        match config.keep_alive_timeout {
            None if at_rest => idle,
            _ => self.deadline_at_work(config, idle, activity),
        }
    }

    #[inline(never)]
    fn deadline_at_work(&self, config: &Config, idle: Moment, activity: Moment) -> Moment {
        match self.limit(config, activity) {
            Limit::Idle => idle,
            Limit::BesideIdle(due, _) => idle.min(due),
            Limit::Alone(due, _) => due,
        }
    }

    /// What limits the time of the connection in its state, until when, and what it means if that has passed.
    fn limit(&self, config: &Config, activity: Moment) -> Limit {
        use Limit::{Alone, BesideIdle, Idle};
        if !self.owes_nothing()
            && config.min_send_rate > 0
            && let Some(output) = self.output()
        {
            return Alone(output.pace.due(), Timeout::Send);
        }
        match (&self.reading, self.writing, self.application_since()) {
            (_, Writing::HalfClosed { reason }, _) => {
                let linger = if reason == CloseReason::Drained { DRAIN_LINGER } else { config.linger_timeout };
                Alone(self.began + linger, Timeout::Linger)
            }
            (_, Writing::Closed { .. }, _) => Alone(activity, Timeout::Idle),
            (_, Writing::Flushing { .. }, _) => Idle,
            (Reading::Body(incoming) | Reading::Sink(incoming) | Reading::DiscardContent(incoming), _, _)
                if !self.held =>
            {
                BesideIdle(incoming.pace.due(), Timeout::Content)
            }
            (_, _, Some(since)) => Alone(since + config.reply_timeout, Timeout::Reply),
            (_, Writing::Idle, _) if self.within_head() => BesideIdle(self.began + config.head_timeout, Timeout::Head),
            (_, Writing::Idle, _) if self.between_requests() => {
                config.keep_alive_timeout.map_or(Idle, |timeout| BesideIdle(activity + timeout, Timeout::Idle))
            }
            (_, Writing::Streaming, _) => self.heartbeat(activity).map_or(Idle, |due| BesideIdle(due, Timeout::Idle)),
            _ => Idle,
        }
    }

    /// Since when the client waits for nothing but the application, if it does: for a deferred reply, or until paused
    /// content goes on. A stream that is silent is idle like any other connection.
    fn application_since(&self) -> Option<Moment> {
        match (&self.reading, self.writing) {
            (Reading::Paused(incoming), _) => incoming.sink.as_ref().map(|sink| sink.since),
            (_, Writing::Awaiting) => self.open().map(|open| open.since),
            _ => None,
        }
    }

    /// The deadline has passed. `activity` is as in [`deadline`](Self::deadline).
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>, activity: Moment) {
        let timeout = match self.limit(cx.config, activity) {
            Limit::Alone(_, timeout) => timeout,
            Limit::BesideIdle(due, timeout) if due <= cx.now => timeout,
            Limit::BesideIdle(..) | Limit::Idle => Timeout::Idle,
        };
        log::debug!("conn {}: {timeout:?} timeout", cx.id);
        cx.watch.tell(|observer| observer.timed_out(cx.id, timeout));
        let reason = match timeout {
            Timeout::Head => CloseReason::HeadTimeout,
            Timeout::Content => CloseReason::ContentTimeout,
            Timeout::Send => CloseReason::SendTimeout,
            Timeout::Reply => CloseReason::ReplyTimeout,
            Timeout::Idle | Timeout::Linger => CloseReason::IdleTimeout,
        };
        match (&self.reading, self.writing) {
            (_, Writing::HalfClosed { reason }) => self.abort(cx.id, reason),
            // The client takes too little: there is no use in owing it more.
            _ if self.output().is_some() => self.abort(cx.id, reason),
            (_, Writing::Flushing { .. } | Writing::Closed { .. } | Writing::Streaming) => self.abort(cx.id, reason),
            (_, Writing::Awaiting) => {
                let late = match timeout {
                    Timeout::Reply => Error::new(503, "The reply took too long"),
                    _ => ProtocolError::Timeout.into(),
                };
                self.abort_content(cx, Abort::TimedOut);
                self.answer_deferred(cx, Err(late), Some(reason));
            }
            (Reading::Body(_), _) => self.fail_as(cx, ProtocolError::Timeout, reason),
            _ if self.within_head() => self.fail_as(cx, ProtocolError::Timeout, reason),
            // Who is in the middle of its content goes on sending, and would lose the reply that it has had.
            (reading, _) => {
                let linger = matches!(reading, Reading::DiscardContent(_) | Reading::Sink(_) | Reading::Paused(_));
                self.finish(cx, reason, linger);
            }
        }
    }

    /// So much time does not count: nobody listened.
    pub(crate) fn forgive(&mut self, late: Duration) {
        // Zero stands for "no request yet".
        if self.began > Moment::ZERO {
            self.began = self.began + late;
        }
        if let Reading::Body(incoming)
        | Reading::Sink(incoming)
        | Reading::Paused(incoming)
        | Reading::DiscardContent(incoming) = &mut self.reading
        {
            incoming.pace.postpone(late);
            if let Some(sink) = &mut incoming.sink {
                sink.since = sink.since + late;
            }
        }
        if let Some(output) = &mut self.output {
            output.pace.postpone(late);
            if let Some(open) = &mut output.open {
                open.since = open.since + late;
            }
        }
    }

    /// What the client sends has its time from now on: all that was owed has left, or little enough is for it to be heard.
    #[inline]
    pub(super) fn restart_input(&mut self, cx: &Context<'_>) {
        match &mut self.reading {
            Reading::Head { .. } => self.began = cx.now,
            Reading::Body(incoming)
            | Reading::Sink(incoming)
            | Reading::Paused(incoming)
            | Reading::DiscardContent(incoming) => {
                // What has come already may have bought more.
                incoming.pace.extend(cx.content_pace(0));
                // Until now it may have been the client that kept it paused.
                if let Some(sink) = &mut incoming.sink {
                    sink.since = cx.now;
                }
            }
            _ => {}
        }
    }

    /// Some bytes of a head have come, not only of an empty line, and it is the client that we wait for.
    #[inline]
    fn within_head(&self) -> bool {
        let input = self.input.as_deref().map_or(&[][..], Receive::bytes);
        matches!(self.reading, Reading::Head { .. }) && !self.held && !matches!(input, [] | [b'\r'])
    }

    /// A request was answered and the next one has not begun.
    #[inline]
    fn between_requests(&self) -> bool {
        matches!(self.reading, Reading::Head { .. }) && self.began > Moment::ZERO && self.output().is_none()
    }
}

/// What limits the time of a connection, beside its idle timeout or alone: until when, and what has passed then.
#[derive(Clone, Copy, Debug)]
enum Limit {
    Idle,
    BesideIdle(Moment, Timeout),
    Alone(Moment, Timeout),
}
