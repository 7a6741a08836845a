//! Another protocol on the connection, after 101 (RFC 9110 §7.8).

use super::buffers::Buffers;
use super::context::{Break, Budget, Context, Step};
use super::incoming::Room;
use super::states::Ending;
use crate::exchange::{Address, CloseReason, LiveKey, Output, ProtocolEvent, Service, guard};
use crate::http::Printable;
use crate::limits::POOL_MAX_BUFFER;

/// A protocol that has taken over, as the connection knows it.
#[derive(Debug)]
pub(super) struct Upgraded {
    pub(super) key: LiveKey,
    /// Where letters reach it.
    pub(super) address: Address,
    /// It is to be told that there is room.
    pub(super) may_write: bool,
    /// It was told that the client has closed its side.
    ended: bool,
    /// It was told of the drain.
    drained: bool,
    /// The length of the input prefix that the protocol has seen and has not used.
    looked_at: usize,
    /// Room for the next read.
    pub(super) room: Room,
}

impl Upgraded {
    pub(super) const fn new(key: LiveKey, address: Address) -> Self {
        let room = Room::up_to(POOL_MAX_BUFFER);
        Self { key, address, may_write: true, ended: false, drained: false, looked_at: 0, room }
    }

    /// Tells the protocol the next thing that it has to know.
    pub(super) fn step(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        budget: &mut Budget,
    ) -> Result<Step, Break> {
        let Buffers { input, output, input_ended, .. } = buffers;
        let bytes = input.as_deref().map_or(&[][..], |input| input.bytes());
        let has_something = self.may_write || bytes.len() > self.looked_at;
        if has_something && budget.bytes == 0 {
            return Ok(Step::OutOfBudget);
        }
        let Some(event) = self.next_event(bytes, *input_ended, cx.draining.has_begun()) else {
            return Ok(Step::Stalled);
        };
        let queue = output.get_or_insert_with(|| cx.pools.output.lend());
        queue.compact();
        let before = queue.len();
        let mut out = Output::new(queue, &self.address);
        let result = guard(|| cx.service.protocol(self.key, event, &mut out));
        let (closes, idle_timeout, written) = (out.closes, out.idle_timeout, out.owed() - before);
        // A protocol that writes whenever it may has its share of the turn, and no more. What it has read was counted
        // when it was read.
        if matches!(event, ProtocolEvent::Writable) {
            budget.bytes = budget.bytes.saturating_sub(written);
        }
        if let Some(timeout) = idle_timeout {
            *cx.idle_timeout = timeout.into();
        }
        let understood = result.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(|error| {
            log::debug!("conn {}: the protocol failed: {}", cx.id, Printable(&error));
            Break::Abort(CloseReason::ProtocolFailed)
        })?;
        if let ProtocolEvent::Data(bytes) = event {
            let offered = bytes.len();
            self.consume(buffers, cx, offered, understood)?;
        }
        if closes {
            return Err(Break::Finish(Ending::lingering(CloseReason::ProtocolEnded)));
        }
        Ok(Step::Again)
    }

    /// The next thing that the protocol has to know, if there is one. Notes that it is told.
    fn next_event<'a>(&mut self, bytes: &'a [u8], input_ended: bool, draining: bool) -> Option<ProtocolEvent<'a>> {
        if std::mem::take(&mut self.may_write) {
            // What it left for want of room is given again.
            self.looked_at = 0;
            return Some(ProtocolEvent::Writable);
        }
        if draining && !std::mem::replace(&mut self.drained, true) {
            return Some(ProtocolEvent::Drain);
        }
        if bytes.len() > self.looked_at {
            return Some(ProtocolEvent::Data(bytes));
        }
        (input_ended && !std::mem::replace(&mut self.ended, true)).then_some(ProtocolEvent::End)
    }

    /// Takes the bytes out of the input that the protocol has understood.
    fn consume(
        &mut self,
        buffers: &mut Buffers,
        cx: &Context<'_>,
        offered: usize,
        understood: usize,
    ) -> Result<(), Break> {
        let left = offered.saturating_sub(understood);
        // A protocol that has understood something may understand more of it.
        self.looked_at = if understood == 0 { left } else { 0 };
        buffers.consume(offered - left);
        if understood == 0 && left >= cx.config.max_head {
            log::debug!("conn {}: the protocol leaves {left} bytes", cx.id);
            return Err(Break::Abort(CloseReason::ProtocolFailed));
        }
        Ok(())
    }
}

/// Tells a protocol that its connection has ended.
pub(super) fn protocol_closed(service: &mut dyn Service, key: LiveKey, why: CloseReason) {
    if let Err(panic) = guard(|| service.protocol_closed(key, why)) {
        log::error!("a protocol {panic}");
    }
}
