//! The steps of a connection: what is done in a phase, and how the next one is entered.

use super::Connection;
use super::buffers::Buffers;
use super::context::{Break, Budget, Context, Step};
use super::exchange::{Exchange, Outcome, outcome};
use super::phase::Phase;
use super::states::{ContentState, ReplyState};
use crate::exchange::{CloseReason, ConnectionId, Endpoints};
use crate::wire::Scratch;

impl Connection {
    /// The step in any other phase than `Head`.
    #[inline(never)]
    pub(super) fn step_outside_head(
        &mut self,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> Step {
        let step = match &mut self.phase {
            Phase::Exchange(exchange) => {
                exchange.step(&mut self.buffers, cx, endpoints, scratch, budget).map_err(Break::Abort)
            }
            Phase::Upgraded(upgraded) => upgraded.step(&mut self.buffers, cx, endpoints, budget),
            Phase::Ending { .. } | Phase::HalfClosed { .. } | Phase::Closed { .. } => return self.discard_rest(),
            // The step within a head is `heads`.
            Phase::Head(_) => return Step::Stalled,
        };
        match step {
            Ok(step) => {
                self.end_exchange(cx);
                // A connection that is to end makes no more calls, and its last bytes must leave with the FIN.
                let may_call_again = step == Step::Again && self.phase.goes_on();
                if !may_call_again || !budget.is_late(cx) {
                    return step;
                }
                // All that is owed may leave before the next turn, and a protocol waits to be told of it.
                self.hold_if_full(cx);
                return Step::OutOfBudget;
            }
            Err(Break::Finish(ending)) => self.finish(cx, ending),
            Err(Break::Abort(reason)) => self.abort(cx, reason),
        }
        Step::Again
    }

    /// Tells a protocol what it has to know although so much is owed that the connection is held. The driver calls it
    /// when it has found that the client takes nothing.
    #[cold]
    pub(crate) fn advance_held(&mut self, cx: &mut Context<'_>, endpoints: &dyn Endpoints, budget: &mut Budget) {
        while self.buffers.held
            && let Phase::Upgraded(upgraded) = &mut self.phase
        {
            match upgraded.step(&mut self.buffers, cx, endpoints, budget) {
                Ok(Step::Stalled) => return,
                Ok(_) => {}
                Err(Break::Finish(ending)) => self.finish(cx, ending),
                Err(Break::Abort(reason)) => self.abort(cx, reason),
            }
        }
    }

    // ---- from phase to phase ----------------------------------------------------------------------------------------

    /// Enters the next phase: the one place where the phase changes. Returns the old one for what it holds.
    pub(super) fn enter(&mut self, id: ConnectionId, next: Phase) -> Phase {
        log::trace!("conn {id}: {} -> {next}: {}", self.phase, next.meaning());
        debug_assert!(self.phase.leads_to(&next), "conn {id}: no step leads from {} to {next}", self.phase);
        std::mem::replace(&mut self.phase, next)
    }

    /// Goes on after a request whose handler has returned: with the next head, an open exchange, or the end.
    #[inline(always)]
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>, content: ContentState, reply: ReplyState) {
        // Nearly always the exchange is over.
        match (&content, &reply) {
            (ContentState::Done, ReplyState::Whole(None)) => self.next_request(cx.now),
            _ => self.leave_head(cx, content, reply),
        }
    }

    /// Leaves the phase `Head`, since an exchange is open or the connection ends.
    #[inline(never)]
    pub(super) fn leave_head(&mut self, cx: &mut Context<'_>, content: ContentState, reply: ReplyState) {
        match outcome(&content, &reply) {
            Outcome::NextRequest => self.next_request(cx.now),
            Outcome::Last(ending) => self.finish(cx, ending),
            Outcome::Open => self.begin_exchange(cx, content, reply),
        }
    }

    /// Enters the phase `Exchange`.
    pub(super) fn begin_exchange(&mut self, cx: &mut Context<'_>, content: ContentState, reply: ReplyState) {
        let mut exchange = cx.pools.exchange.lend();
        *exchange = Exchange { content, reply };
        debug_assert!(exchange.is_possible(), "conn {}: {exchange} is not possible", cx.id);
        self.enter(cx.id, Phase::Exchange(exchange));
    }

    /// Ends the exchange if it is over: the one place where an exchange ends by itself.
    pub(super) fn end_exchange(&mut self, cx: &mut Context<'_>) {
        let Phase::Exchange(exchange) = &self.phase else { return };
        match outcome(&exchange.content, &exchange.reply) {
            Outcome::Open => {}
            Outcome::NextRequest => {
                if let Phase::Exchange(over) = self.enter(cx.id, Phase::START) {
                    cx.pools.exchange.give_back(over);
                }
                self.buffers.since = cx.now;
            }
            Outcome::Last(ending) => self.finish(cx, ending),
        }
    }
}

impl Exchange {
    /// Takes a step of the content, or else one of the reply. An error is the reason why the connection must be
    /// aborted.
    pub(super) fn step(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> Result<Step, CloseReason> {
        let step = match self.content {
            ContentState::Collected(_) => return Ok(self.collect(buffers, cx, endpoints, scratch)),
            ContentState::Taken(_) => self.take_content(buffers, cx)?,
            ContentState::Discarded(_) => self.discard_content(buffers, cx)?,
            ContentState::Unread | ContentState::Done => Step::Stalled,
        };
        match step {
            Step::Stalled => self.produce(buffers, cx, budget),
            step => Ok(step),
        }
    }
}
