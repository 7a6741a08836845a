//! The end of a connection: the last reply, the linger, and the release of what it holds.

use super::Connection;
use super::content::abort_of;
use super::context::{Context, End, Pools, Step};
use super::exchange::Exchange;
use super::phase::Phase;
use super::states::{Ending, ReplyState};
use super::upgraded::protocol_closed;
use crate::exchange::{CloseReason, ConnectionId, FinishedReply, Service, Watch};
use crate::http::Moment;

impl Connection {
    /// Ends the connection: the last reply is in the queue, or there is none to come.
    pub(super) fn finish(&mut self, cx: &mut Context<'_>, ending: Ending) {
        let old = self.enter(cx.id, Phase::ending(ending, self.buffers.input_ended));
        old.let_go(ending.reason, cx.pools, cx.service);
        // Nobody waits for the low-water mark any more.
        if std::mem::take(&mut self.buffers.held) {
            cx.watch.tell(|observer| observer.backpressure(cx.id, false));
        }
    }

    /// Ends the connection at once: the socket is gone or must go, and nothing more is read.
    pub(crate) fn abort(&mut self, cx: &mut Context<'_>, reason: CloseReason) {
        if matches!(self.phase, Phase::Closed { .. }) {
            return;
        }
        match (self.enter(cx.id, Phase::closed(reason)), &mut self.phase) {
            (Phase::Exchange(exchange), Phase::Closed { unfinished, .. }) => *unfinished = Some(exchange),
            (old, _) => old.let_go(reason, cx.pools, cx.service),
        }
    }

    /// Replaces the close reason of an ending connection by `Cut`. In other phases the release supplies that reason.
    pub(crate) fn cut(&mut self, id: ConnectionId) {
        if matches!(self.phase, Phase::Ending { .. }) {
            self.enter(id, Phase::closed(CloseReason::Cut));
        }
    }

    /// Ends a connection between two requests, since the server drains and the socket has nothing more.
    pub(crate) fn drain(&mut self, cx: &mut Context<'_>) {
        if self.is_between_heads() {
            self.finish(cx, Ending::lingering(CloseReason::Drained));
        }
    }

    /// Whether the connection waits for the first byte of a request, and takes it.
    fn is_between_heads(&self) -> bool {
        matches!(self.phase, Phase::Head(_)) && !self.buffers.held && !self.is_within_head()
    }

    /// Throws away what the client sends after the last reply.
    pub(super) fn discard_rest(&mut self) -> Step {
        let Some(input) = &mut self.buffers.input else { return Step::Stalled };
        let count = input.bytes().len() as u32;
        input.clear();
        match &mut self.phase {
            Phase::Ending { left: 1.., ending } if count > 0 => ending.linger = true,
            _ => {}
        }
        if let Phase::Ending { left, .. } | Phase::HalfClosed { left, .. } = &mut self.phase {
            *left = left.saturating_sub(count);
        }
        Step::Stalled
    }

    // ---- what the driver asks ---------------------------------------------------------------------------------------

    /// Whether the socket will be closed as soon as all that is owed has left, if the client sends nothing more.
    #[inline]
    pub(crate) const fn closes_after_output(&self) -> bool {
        matches!(self.phase, Phase::Ending { ending: Ending { linger: false, .. }, .. })
    }

    /// How the socket should end now, if it should.
    #[inline]
    pub(crate) fn wants_end(&self) -> Option<End> {
        // Nearly always the connection goes on.
        if matches!(self.phase, Phase::Head(_)) { None } else { self.wants_end_outside_head() }
    }

    #[inline(never)]
    fn wants_end_outside_head(&self) -> Option<End> {
        match &self.phase {
            Phase::Head(_) | Phase::Exchange(_) | Phase::Upgraded(_) => None,
            Phase::Closed { .. } => Some(End::Close),
            Phase::Ending { .. } if self.output().is_some() => None,
            Phase::Ending { .. } | Phase::HalfClosed { .. } if self.buffers.input_ended => Some(End::Close),
            Phase::Ending { ending, .. } if ending.linger => Some(End::HalfClose),
            Phase::Ending { .. } => Some(End::CloseIfQuiet),
            // Also when no more is thrown away: unread bytes would make the close a reset. The deadline ends it.
            Phase::HalfClosed { .. } => None,
        }
    }

    /// Notes that our side of the socket was closed. The client has until the linger deadline.
    pub(crate) fn half_closed(&mut self, id: ConnectionId, now: Moment) {
        if let Phase::Ending { ending, left } = self.phase {
            self.enter(id, Phase::HalfClosed { reason: ending.reason, left });
            self.buffers.since = now;
        }
    }

    /// Whether the client has got everything that it will get, so that it loses nothing if the socket goes now.
    pub(crate) const fn sends_nothing_more(&self) -> bool {
        matches!(self.phase, Phase::HalfClosed { .. } | Phase::Closed { .. })
    }

    /// Whether no request has begun that is not answered, and every reply has left.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_between_heads() && self.output().is_none()
    }

    /// Why the connection ended, or is about to.
    pub(crate) const fn close_reason(&self) -> Option<CloseReason> {
        match &self.phase {
            Phase::Head(_) | Phase::Exchange(_) | Phase::Upgraded(_) => None,
            Phase::Ending { ending, .. } => Some(ending.reason),
            Phase::HalfClosed { reason, .. } | Phase::Closed { reason, .. } => Some(*reason),
        }
    }

    // ---- the release ------------------------------------------------------------------------------------------------

    /// The reply in the middle of which the connection ends, if its exchange is not over.
    fn unfinished_reply(&self) -> Option<&ReplyState> {
        match &self.phase {
            Phase::Exchange(exchange) | Phase::Closed { unfinished: Some(exchange), .. } => Some(&exchange.reply),
            _ => None,
        }
    }

    /// Whether the connection ends in the middle of a reply: what was sent of it must not look like all of it.
    pub(crate) fn is_cut_short(&self) -> bool {
        matches!(self.unfinished_reply(), Some(ReplyState::Streaming(_)))
            || self.output().is_some_and(|output| output.ends_with_connection)
    }

    /// Tells the observer of the reply in the middle of which the connection ends, if there is one.
    pub(crate) fn tell_cut(&self, watch: &mut Watch, id: ConnectionId, now: impl FnOnce() -> Moment) {
        let unfinished = self.buffers.output.as_ref().and_then(|output| output.unfinished());
        let in_exchange = || self.unfinished_reply()?.cut(self.owed() as u64, self.buffers.since);
        if let Some((record, path)) = unfinished.or_else(in_exchange) {
            let reply = FinishedReply::new(&record, path, now());
            watch.tell(|observer| observer.reply_cut(id, &reply));
        }
    }

    /// Forgets what observers were to be told: the last one is gone. Records count as owed, and nobody would take them.
    #[cfg(feature = "live")]
    pub(crate) fn forget_accounts(&mut self) {
        self.buffers.forget_records();
        if let Phase::Exchange(exchange) | Phase::Closed { unfinished: Some(exchange), .. } = &mut self.phase {
            exchange.reply.forget_account();
        }
    }

    /// Gives back all buffers, and tells the application that the connection has ended because of `reason`.
    pub(crate) fn release(
        &mut self,
        id: ConnectionId,
        reason: CloseReason,
        pools: &mut Pools,
        service: &mut dyn Service,
    ) {
        self.uncharge(pools);
        self.buffers.input.take().into_iter().for_each(|input| pools.receive.give_back(input));
        self.buffers.output.take().into_iter().for_each(|output| pools.output.give_back(output));
        match &mut self.phase {
            Phase::Closed { unfinished, .. } => {
                unfinished
                    .take()
                    .into_iter()
                    .for_each(|exchange| Phase::Exchange(exchange).let_go(reason, pools, service));
            }
            _ => self.enter(id, Phase::closed(reason)).let_go(reason, pools, service),
        }
    }
}

impl Phase {
    /// Gives back what the phase holds, and tells a sink or a protocol that it gets no more.
    pub(super) fn let_go(self, reason: CloseReason, pools: &mut Pools, service: &mut dyn Service) {
        match self {
            Self::Exchange(mut exchange) | Self::Closed { unfinished: Some(mut exchange), .. } => {
                // Dropping the reply tells a responder that its answer is not awaited any more, and a sender that its
                // channel is closed.
                let Exchange { content, reply } = std::mem::take(&mut *exchange);
                content.let_go(abort_of(reason), pools, service);
                drop(reply);
                pools.exchange.give_back(exchange);
            }
            Self::Upgraded(upgraded) => protocol_closed(service, upgraded.key, reason),
            Self::Head(_) | Self::Ending { .. } | Self::HalfClosed { .. } | Self::Closed { .. } => {}
        }
    }
}
