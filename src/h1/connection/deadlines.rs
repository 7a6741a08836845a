//! The deadlines of a connection: computed from its phase, never stored.

use std::time::Duration;

use super::Connection;
use super::buffers::Buffers;
use super::context::Context;
use super::exchange::Exchange;
use super::phase::Phase;
use super::states::{ContentState, Ending, ReplyState, Streaming};
use super::upgraded::AtAlarm;
use crate::config::Config;
use crate::exchange::{Abort, CloseReason, Timeout};
use crate::http::{Error, Millis, Moment};
use crate::limits::DRAIN_LINGER;
use crate::wire::ProtocolError;

/// A deadline, and the timeout that it represents.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// The idle timeout alone.
    Idle,
    /// Another deadline together with the idle timeout: the earlier one counts.
    BesideIdle(Moment, Timeout),
    /// A deadline that replaces the idle timeout.
    Alone(Moment, Timeout),
}

use Limit::{Alone, BesideIdle, Idle};

impl Connection {
    /// When [`expire`](Self::expire) must be called, if no byte comes or goes until then. `activity` is when the last
    /// one did.
    ///
    /// While bytes are owed that the kernel does not take, only the client's reading is timed (if there is a rate to
    /// keep to). The client may not have seen yet what it waits for, and the kernel takes bytes in steps, so silence
    /// means little then.
    #[inline]
    pub(crate) fn deadline(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> Moment {
        let idle = activity + idle_timeout;
        // Nearly always: nothing has come that is not answered, and nothing is owed.
        let Buffers { input, output, .. } = &self.buffers;
        let at_rest = matches!(self.phase, Phase::Head(_)) && input.is_none() && output.is_none();
        match config.keep_alive_timeout {
            None if at_rest => idle,
            _ => self.deadline_at_work(config, idle_timeout, activity),
        }
    }

    #[inline(never)]
    fn deadline_at_work(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> Moment {
        self.next_timeout(config, idle_timeout, activity).0
    }

    /// The deadline, and the timeout that it represents; `None` if that is the alarm of a protocol.
    pub(super) fn next_timeout(
        &self,
        config: &Config,
        idle_timeout: Millis,
        activity: Moment,
    ) -> (Moment, Option<Timeout>) {
        let (idle, alarm) = (activity + idle_timeout, self.alarm());
        match self.limit(config, idle_timeout, activity) {
            BesideIdle(due, timeout) if due <= idle => (due, Some(timeout)),
            Idle | BesideIdle(..) => (idle, Some(Timeout::Idle)),
            Alone(due, Timeout::Idle) if due == alarm => (alarm, None),
            Alone(due, timeout) if due <= alarm => (due, Some(timeout)),
            Alone(..) => (alarm, None),
        }
    }

    /// The timeout that the [deadline](Self::deadline) represents, by its name.
    #[cold]
    pub(crate) fn timeout_name(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> &'static str {
        self.next_timeout(config, idle_timeout, activity).1.map_or("alarm of the protocol", Timeout::name)
    }

    /// When the alarm of a protocol is due, whatever else is timed.
    fn alarm(&self) -> Moment {
        if let Phase::Upgraded(upgraded) = &self.phase { upgraded.alarm() } else { Moment::MAX }
    }

    /// The deadline of the current phase, and the timeout that it represents.
    fn limit(&self, config: &Config, idle_timeout: Millis, activity: Moment) -> Limit {
        if !self.sends_nothing_more()
            && config.min_send_rate > 0
            && let Some(output) = self.output()
        {
            return Alone(output.pace.due(), Timeout::Send);
        }
        let since = self.buffers.since;
        match &self.phase {
            Phase::Head(_) if self.is_within_head() => BesideIdle(since + config.head_timeout, Timeout::Head),
            Phase::Head(_) if self.is_between_requests() => {
                config.keep_alive_timeout.map_or(Idle, |timeout| BesideIdle(activity + timeout, Timeout::Idle))
            }
            Phase::Exchange(exchange) => self.limit_of(exchange, config, idle_timeout, activity),
            Phase::HalfClosed { reason: CloseReason::Drained, .. } => Alone(since + DRAIN_LINGER, Timeout::Linger),
            Phase::HalfClosed { .. } => Alone(since + config.linger_timeout, Timeout::Linger),
            Phase::Closed { .. } => Alone(activity, Timeout::Idle),
            Phase::Upgraded(upgraded) => match upgraded.resumption_due(config) {
                Some(due) => Alone(due, Timeout::Reply),
                None if upgraded.alarm() < Moment::MAX => Alone(upgraded.alarm(), Timeout::Idle),
                None => Idle,
            },
            Phase::Head(_) | Phase::Ending { .. } => Idle,
        }
    }

    /// [`limit`](Self::limit) within an exchange. A stream that is silent is idle like any other connection.
    fn limit_of(&self, exchange: &Exchange, config: &Config, idle_timeout: Millis, activity: Moment) -> Limit {
        let due = exchange.content.due().filter(|_| !self.buffers.held);
        match (&exchange.content, due, &exchange.reply) {
            (ContentState::Taken(flow), _, _) if flow.is_paused() => {
                Alone(flow.since + config.reply_timeout, Timeout::Reply)
            }
            (_, Some(due), _) => BesideIdle(due, Timeout::Content),
            (_, None, ReplyState::Awaited(awaiting)) => Alone(awaiting.since + config.reply_timeout, Timeout::Reply),
            (_, None, ReplyState::Streaming(_)) => {
                let due = self.silent_stream().and_then(|streaming| streaming.heartbeat(idle_timeout, activity));
                due.map_or(Idle, |due| BesideIdle(due, Timeout::Idle))
            }
            _ => Idle,
        }
    }

    /// Expires the connection, because its deadline has passed. `activity` is as in [`deadline`](Self::deadline).
    pub(crate) fn expire(&mut self, cx: &mut Context<'_>, activity: Moment) {
        let timeout = match self.limit(cx.config, *cx.idle_timeout, activity) {
            Alone(_, timeout) => timeout,
            BesideIdle(due, timeout) if due <= cx.now => timeout,
            BesideIdle(..) | Idle => Timeout::Idle,
        };
        log::debug!("conn {}: it is ended by the {}", cx.id, timeout.name());
        cx.watch.tell(|observer| observer.timed_out(cx.id, timeout));
        let reason = match timeout {
            Timeout::Head => CloseReason::HeadTimeout,
            Timeout::Content => CloseReason::ContentTimeout,
            Timeout::Send => CloseReason::SendTimeout,
            Timeout::Reply => CloseReason::ReplyTimeout,
            Timeout::Idle | Timeout::Linger => CloseReason::IdleTimeout,
        };
        let (owes, is_within_head) = (self.output().is_some(), self.is_within_head());
        match &mut self.phase {
            Phase::HalfClosed { reason, .. } => {
                let reason = *reason;
                self.abort(cx, reason);
            }
            // The client takes too little: there is no use in owing it more.
            _ if owes => self.abort(cx, reason),
            Phase::Ending { .. } | Phase::Closed { .. } => self.abort(cx, reason),
            Phase::Exchange(exchange) => match exchange.expire(&mut self.buffers, cx, timeout, reason) {
                Ok(()) => self.end_exchange(cx),
                Err(reason) => self.abort(cx, reason),
            },
            Phase::Head(_) if is_within_head => {
                self.fail(cx, ProtocolError::Timeout, reason);
            }
            Phase::Upgraded(upgraded) if upgraded.is_paused() => self.abort(cx, reason),
            Phase::Head(_) | Phase::Upgraded(_) => self.finish(cx, Ending::at_once(reason)),
        }
    }

    /// Lets the application do what is due, in the turn that follows: the source of a stream gives its heartbeat,
    /// because nothing was sent since `activity`, or a protocol has set an alarm. Returns whether anything is due.
    pub(crate) fn beat(&mut self, cx: &mut Context<'_>, activity: Moment) -> bool {
        if matches!(self.phase, Phase::Upgraded(_)) {
            return self.take_alarm(cx, activity);
        }
        if self.silent_stream().is_none() {
            return false;
        }
        match &mut self.phase {
            Phase::Exchange(exchange) => match &mut exchange.reply {
                ReplyState::Streaming(streaming) => streaming.beat(cx.now, *cx.idle_timeout, activity),
                _ => false,
            },
            _ => false,
        }
    }

    /// Does what a protocol wants at its alarm, if that is due. Returns whether it is.
    fn take_alarm(&mut self, cx: &mut Context<'_>, activity: Moment) -> bool {
        // A protocol that sets one alarm after the other does not save a client that takes nothing, nor itself from
        // what it keeps paused.
        if let Alone(due, Timeout::Send | Timeout::Reply) = self.limit(cx.config, *cx.idle_timeout, activity)
            && due <= cx.now
        {
            return false;
        }
        let Phase::Upgraded(upgraded) = &mut self.phase else { return false };
        let taken = upgraded.take_alarm(cx.now);
        if taken == Some(AtAlarm::Ends) {
            log::debug!("conn {}: the alarm has passed at which the protocol ends", cx.id);
            match self.output() {
                // A client that reads slowly gets all that was said before the goodbye.
                Some(_) if cx.config.min_send_rate > 0 && activity + cx.config.linger_timeout > cx.now => {
                    self.finish(cx, Ending::lingering(CloseReason::ProtocolEnded));
                }
                _ => self.abort(cx, CloseReason::ProtocolEnded),
            }
        }
        taken.is_some()
    }

    /// Whether the alarm of a protocol comes up for the second time while its session waits for a turn: then the
    /// session has had one since, so that its client was heard. Other deadlines wait as long as the client is active;
    /// an alarm does not.
    pub(crate) fn is_overdue(&mut self, looked_until: Moment) -> bool {
        if let Phase::Upgraded(upgraded) = &mut self.phase { upgraded.is_overdue(looked_until) } else { false }
    }

    /// The stream that is being sent, if the connection does nothing else. While content comes, the content is timed.
    fn silent_stream(&self) -> Option<&Streaming> {
        let Phase::Exchange(exchange) = &self.phase else { return None };
        let Exchange { content: ContentState::Done | ContentState::Unread, reply: ReplyState::Streaming(streaming) } =
            &**exchange
        else {
            return None;
        };
        self.output().is_none().then_some(streaming)
    }

    /// Adds `late` to the deadlines: nobody listened for that time.
    pub(crate) fn forgive(&mut self, late: Duration) {
        if let Some(output) = &mut self.buffers.output {
            output.pace.postpone(late);
        }
        if let Phase::Upgraded(upgraded) = &mut self.phase {
            upgraded.forgive(late);
        }
        if let Phase::Exchange(exchange) = &mut self.phase {
            exchange.forgive(late);
            // After the call of the handler, `since` is the observer's start time and must not move.
            if !matches!(exchange.reply, ReplyState::Unbegun) {
                return;
            }
        }
        // Zero means that no request has come yet.
        if self.buffers.since > Moment::ZERO {
            self.buffers.since = self.buffers.since + late;
        }
    }

    /// Begins the client's time for what it sends again: all that was owed has left, or so little is left that the
    /// connection listens again. A reply that the kernel took at once was `awaited` by no one, and is no reason to give
    /// more time for the content: or the echo of each byte would pay for the next one.
    #[inline]
    pub(super) fn restart_input(&mut self, cx: &Context<'_>, awaited: bool) {
        match &mut self.phase {
            Phase::Head(_) => self.buffers.since = cx.now,
            Phase::Exchange(exchange) if awaited => exchange.restart_content(cx),
            _ => {}
        }
    }

    /// A request was answered and the next one has not begun.
    fn is_between_requests(&self) -> bool {
        self.buffers.since > Moment::ZERO && self.output().is_none()
    }
}

impl Exchange {
    /// Expires what the exchange waits for: content, or the application.
    fn expire(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        timeout: Timeout,
        reason: CloseReason,
    ) -> Result<(), CloseReason> {
        match self.reply {
            ReplyState::Unbegun => self.fail_for(buffers, cx, ProtocolError::Timeout, reason),
            ReplyState::Awaited(_) => {
                let late = match timeout {
                    Timeout::Reply => Error::new(503, "The reply took too long"),
                    _ => ProtocolError::Timeout.into(),
                };
                self.give_up_content(cx, Abort::TimedOut);
                self.answer_deferred(buffers, cx, Err(late), Some(reason));
            }
            ReplyState::Streaming(_) => return Err(reason),
            // A client in the middle of its content goes on sending, and would lose the reply that it has had.
            ReplyState::Whole(_) => {
                self.give_up_content(cx, Abort::TimedOut);
                self.set_reply(cx.id, ReplyState::Whole(Some(Ending::lingering(reason))));
            }
        }
        Ok(())
    }

    fn forgive(&mut self, late: Duration) {
        if let Some(pace) = self.content.pace() {
            pace.postpone(late);
        }
        if let Some(flow) = self.content.flow() {
            flow.since = flow.since + late;
        }
        if let Some(since) = self.reply.since() {
            *since = *since + late;
        }
    }

    /// Begins the client's time for its content again.
    fn restart_content(&mut self, cx: &Context<'_>) {
        match &mut self.content {
            // Until now it may have been the client that kept the content paused.
            ContentState::Taken(flow) => flow.restart(cx.content_pace(0), cx.now),
            content => {
                if let Some(pace) = content.pace() {
                    // What has come already may have bought more.
                    pace.extend(cx.content_pace(0));
                }
            }
        }
    }
}
