//! Another protocol on the connection, after 101 (RFC 9110 §7.8).

use super::replies::{Answered, Outcome};
use super::{Budget, Connection, Context, Reading, Step, Writing};
use crate::buffer::Receive;
use crate::exchange::{Address, CloseReason, LiveKey, Output, ProtocolEvent, Request, Service, Stage, guard};
use crate::h1::head::Message;
use crate::h1::incoming::Room;
use crate::limits::POOL_MAX_BUFFER;

/// A protocol that has taken over, as the connection knows it.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) key: LiveKey,
    /// Where it can be reached.
    pub(super) address: Address,
    /// It is to be told that there is room.
    pub(super) may_write: bool,
    /// It was told that the client has closed its side.
    ended: bool,
    /// It was told of the drain.
    drained: bool,
    /// So many bytes at the front of the input were not enough for it.
    looked_at: usize,
    /// Room for the next read.
    pub(super) room: Room,
}

impl Connection {
    /// Offers a request to the application that asks for another protocol.
    #[cold]
    pub(super) fn switch(&mut self, cx: &mut Context<'_>, message: &Message<'_>, request: Request<'_>) {
        let mut key = None;
        let (close, Outcome { panicked, .. }) =
            self.offer(cx, message, request, None, Stage::Upgrade, |service, request, response| {
                let (sent, protocol) = service.upgrade(request, response)?;
                key = protocol;
                Ok(sent)
            });
        let switched = cx.reply.has_switched();
        let answered = match () {
            () if cx.reply.has_rest() => self.leave_open(cx, close, message.takes_trailers()),
            () if cx.reply.closes() => {
                self.last_reply(cx, close, panicked);
                Answered::Last
            }
            () => Answered::Whole,
        };
        match key {
            Some(key) if switched => {
                cx.watch.tell(|observer| observer.upgraded(cx.id));
                let address = cx.reply.address();
                let upgraded = Upgraded {
                    key,
                    address,
                    may_write: true,
                    ended: false,
                    drained: false,
                    looked_at: 0,
                    room: Room::up_to(POOL_MAX_BUFFER),
                };
                self.transition(cx.id, Reading::Upgraded(Box::new(upgraded)), Writing::Idle);
            }
            Some(key) => {
                protocol_closed(cx.service, key, CloseReason::ProtocolFailed);
                self.after(answered, cx.now);
            }
            None if switched => self.abort(cx.id, CloseReason::ProtocolFailed),
            None => self.after(answered, cx.now),
        }
    }

    /// The step within another protocol: tells it the next thing that it has to know.
    pub(super) fn talk(&mut self, cx: &mut Context<'_>, budget: &mut Budget<'_>) -> Step {
        let Reading::Upgraded(upgraded) = &mut self.reading else { unreachable!("within another protocol") };
        let bytes = self.input.as_deref().map_or(&[][..], Receive::bytes);
        let has_something = upgraded.may_write || bytes.len() > upgraded.looked_at;
        if has_something && budget.bytes == 0 {
            return Step::OutOfBudget;
        }
        let event = if std::mem::take(&mut upgraded.may_write) {
            // What it left for want of room is given again.
            upgraded.looked_at = 0;
            ProtocolEvent::Writable
        } else if cx.draining && !std::mem::replace(&mut upgraded.drained, true) {
            ProtocolEvent::Drain
        } else if bytes.len() > upgraded.looked_at {
            ProtocolEvent::Data(bytes)
        } else if self.input_ended && !std::mem::replace(&mut upgraded.ended, true) {
            ProtocolEvent::End
        } else {
            return Step::Stalled;
        };
        let queue = self.output.get_or_insert_with(|| cx.pools.output.lend());
        queue.compact();
        let before = queue.len();
        let mut out = Output::new(queue, &upgraded.address);
        let result = guard(|| cx.service.protocol(upgraded.key, event, &mut out));
        let (closes, idle_timeout, written) = (out.closes, out.idle_timeout, out.owed() - before);
        // A protocol that writes whenever it may has its share of the turn, and no more. What it has read was counted then.
        if matches!(event, ProtocolEvent::Writable) {
            budget.bytes = budget.bytes.saturating_sub(written);
        }
        if let Some(timeout) = idle_timeout {
            *cx.idle_timeout = timeout.into();
        }
        let understood = match result.unwrap_or_else(|panic| Err(std::io::Error::other(panic))) {
            Ok(count) => count,
            Err(error) => {
                log::debug!("conn {}: the protocol failed: {error}", cx.id);
                self.abort(cx.id, CloseReason::ProtocolFailed);
                return Step::Again;
            }
        };
        let offered = if let ProtocolEvent::Data(bytes) = event { bytes.len() } else { 0 };
        if let (1.., Some(input)) = (offered, &mut self.input) {
            let left = offered.saturating_sub(understood);
            // Whoever has understood something may understand more of it.
            upgraded.looked_at = if understood == 0 { left } else { 0 };
            input.consume(offered - left);
            if understood == 0 && left >= cx.config.max_head {
                log::debug!("conn {}: the protocol leaves {left} bytes", cx.id);
                self.abort(cx.id, CloseReason::ProtocolFailed);
                return Step::Again;
            }
        }
        if closes {
            self.finish(cx, CloseReason::ProtocolEnded, true);
        }
        Step::Again
    }

    /// Less than the low-water mark is owed again.
    pub(super) fn tell_of_room(&mut self) {
        if let Reading::Upgraded(upgraded) = &mut self.reading {
            upgraded.may_write = true;
        }
    }
}

/// Tells a protocol that its connection has ended.
pub(super) fn protocol_closed(service: &mut dyn Service, key: LiveKey, why: CloseReason) {
    if let Err(panic) = guard(|| service.protocol_closed(key, why)) {
        log::error!("a protocol {panic}");
    }
}
