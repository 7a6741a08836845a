//! Another protocol on the connection, after 101 (RFC 9110 §7.8).

use std::io::ErrorKind;
use std::time::Duration;

use super::buffers::Buffers;
use super::context::{Break, Budget, Context, Step};
use super::incoming::Room;
use super::states::Ending;
use crate::config::Config;
use crate::exchange::{
    CloseReason, Endpoints, LAST_ALARM, LiveKey, Output, ProtocolEvent, Service, Surroundings, Ticket, Timeout, Wishes,
    guard,
};
use crate::http::{Moment, Printable};
use crate::limits::POOL_MAX_BUFFER;

/// A protocol that has taken over, as the connection knows it. An idle connection has one, so it is small: the address
/// where letters reach it is put together when it is needed.
#[derive(Debug)]
pub(super) struct Upgraded {
    /// The number of its ticket.
    serial: u64,
    /// When the last bytes of the client came, or input went on, or was paused.
    heard: Moment,
    /// When its alarm is due; `Moment::MAX` if none is set.
    alarm: Moment,
    /// Room for the next read.
    pub(super) room: Room,
    pub(super) key: LiveKey,
    /// The length of the input prefix that the protocol has seen and has not used.
    looked_at: u32,
    /// Bytes of memory that the protocol says it holds.
    memory: u32,
    /// How many pauses of input are not over.
    pauses: u32,
    /// It is to be told that there is room.
    pub(super) may_write: bool,
    /// It was told that there is room, for the first time.
    begun: bool,
    /// It is to be told that its alarm is due.
    alarmed: bool,
    /// The alarm is the end of the connection.
    ends_at_alarm: bool,
    /// It takes wake-ups of the loop's own thread, or has left some.
    wakes: bool,
    /// The alarm has come up while the session waited for its turn.
    late: bool,
    /// It was told that the client has closed its side.
    ended: bool,
    /// It was told of the drain.
    drained: bool,
}

// What glibc gives for 49 to 56 bytes is 64 bytes of memory.
const _: () = assert!(size_of::<Upgraded>() <= 56);

/// What happens when an alarm is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtAlarm {
    /// The protocol is told of it.
    Calls,
    /// The connection closes.
    Ends,
}

impl Upgraded {
    pub(super) const fn new(key: LiveKey, ticket: Ticket, now: Moment) -> Self {
        Self {
            serial: ticket.serial,
            heard: now,
            alarm: Moment::MAX,
            room: Room::up_to(POOL_MAX_BUFFER),
            key,
            looked_at: 0,
            memory: 0,
            pauses: 0,
            may_write: true,
            begun: false,
            alarmed: false,
            ends_at_alarm: false,
            wakes: false,
            late: false,
            ended: false,
            drained: false,
        }
    }

    /// Whether a letter with this ticket is for this protocol.
    pub(super) const fn awaits(&self, ticket: Ticket) -> bool {
        self.serial == ticket.serial
    }

    /// Notes that bytes have come.
    pub(super) const fn received(&mut self, now: Moment) {
        self.heard = now;
    }

    /// Notes that the connection was held, so that nobody listened to the client until now.
    pub(super) const fn listens_again(&mut self, now: Moment) {
        // The time of a pause is the application's, and goes on.
        if !self.is_paused() {
            self.heard = now;
        }
    }

    /// Whether it has looked at all that has come.
    pub(super) fn needs_input(&self, buffers: &Buffers) -> bool {
        buffers.bytes().len() <= self.looked_at as usize
    }

    /// Whether the application has paused input.
    pub(super) const fn is_paused(&self) -> bool {
        self.pauses > 0
    }

    /// Takes back one of the pauses. Input goes on when none is left.
    pub(super) const fn resume(&mut self, now: Moment) {
        self.pauses = self.pauses.saturating_sub(1);
        if !self.is_paused() {
            // Nobody listened to the client meanwhile.
            (self.heard, self.looked_at) = (now, 0);
        }
    }

    /// Bytes of memory that it holds.
    pub(super) const fn memory(&self) -> usize {
        size_of::<Self>() + self.memory as usize
    }

    /// Whether it holds a part of something until the client sends the rest. While input is paused, the client cannot.
    pub(super) const fn holds_for_client(&self) -> bool {
        self.memory > 0 && !self.is_paused()
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// When its alarm is due; `Moment::MAX` if none is set.
    pub(super) const fn alarm(&self) -> Moment {
        self.alarm
    }

    /// When input must be resumed, if it is paused.
    pub(super) fn resumption_due(&self, config: &Config) -> Option<Moment> {
        self.is_paused().then(|| self.heard + config.reply_timeout)
    }

    /// Takes the alarm if it is due, and returns what happens then. A protocol is told of it in its next step.
    pub(super) fn take_alarm(&mut self, now: Moment) -> Option<AtAlarm> {
        if self.alarm > now {
            return None;
        }
        (self.alarm, self.late) = (Moment::MAX, false);
        self.alarmed = !self.ends_at_alarm;
        Some(if self.ends_at_alarm { AtAlarm::Ends } else { AtAlarm::Calls })
    }

    /// Notes that the alarm has come up while the session waits for its turn, if it is due. Returns whether that has
    /// happened before.
    pub(super) fn is_overdue(&mut self, looked_until: Moment) -> bool {
        self.alarm <= looked_until && std::mem::replace(&mut self.late, true)
    }

    /// Adds `late` to its deadlines, because nobody listened for that time.
    pub(super) fn forgive(&mut self, late: Duration) {
        if self.alarm < Moment::MAX {
            self.alarm = (self.alarm + late).min(LAST_ALARM);
        }
        self.heard = self.heard + late;
    }

    // ---- the step ---------------------------------------------------------------------------------------------------

    /// Tells the protocol the next thing that it has to know.
    pub(super) fn step(
        &mut self,
        buffers: &mut Buffers,
        cx: &mut Context<'_>,
        endpoints: &dyn Endpoints,
        budget: &mut Budget,
    ) -> Result<Step, Break> {
        let Buffers { input, output, input_ended, held, .. } = buffers;
        let bytes = input.as_deref_mut().map_or(&mut [][..], |input| input.bytes_mut());
        let has_data = bytes.len() > self.looked_at as usize && !self.is_paused();
        // Its bytes may make more letters, and those that wait come first.
        let must_wait = budget.bytes == 0 || (cx.letters_wait && self.wakes && !self.may_write && !self.alarmed);
        if (self.may_write || has_data) && must_wait && !*held {
            return Ok(Step::OutOfBudget);
        }
        let offered = bytes.len();
        let draining = cx.draining.has_begun();
        let event = match *held {
            true => self.event_while_held(draining),
            false => self.next_event(bytes, has_data, *input_ended, draining),
        };
        let Some(event) = event else { return Ok(Step::Stalled) };
        let (is_data, is_writable) =
            (matches!(event, ProtocolEvent::Data(_)), matches!(event, ProtocolEvent::Writable));
        let queue = output.get_or_insert_with(|| cx.pools.output.lend());
        queue.compact();
        let (before, letters) = (queue.len(), cx.outbox.len());
        let ticket = Ticket { slot: cx.reply.slot, serial: self.serial };
        let mut wishes = self.wishes();
        let mut out = Output {
            queue,
            ticket,
            wishes: &mut wishes,
            idle_timeout: cx.idle_timeout,
            around: Surroundings {
                id: cx.id,
                now: cx.now,
                // While bytes wait for the protocol, the client is not silent. More may be in the socket.
                heard: if has_data { cx.now } else { self.heard },
                end_of_turn: budget.end,
                clock: cx.clock,
                draining: cx.draining,
                endpoints,
                mailbox: cx.reply.mailbox(),
                outbox: cx.outbox,
                watch: cx.watch,
            },
        };
        let result = guard(|| cx.service.protocol(self.key, event, &mut out));
        let (written, is_full) = (out.owed() - before, out.is_full());
        // A protocol that writes whenever it may has its share of the turn, and no more. What it has read was counted
        // when it was read.
        if is_writable {
            budget.bytes = budget.bytes.saturating_sub(written);
        }
        wishes.wakes |= cx.outbox.len() > letters;
        self.grant(&wishes, cx.now);
        let understood =
            result.unwrap_or_else(|panic| Err(std::io::Error::other(panic))).map_err(|error| failed(cx, &error))?;
        if is_data {
            self.consume(buffers, cx, (offered, understood), wishes.knows_time)?;
        }
        // A goodbye is over when the client has closed its side.
        if wishes.closes || (self.ends_at_alarm && self.ended) {
            return Err(Break::Finish(Ending::lingering(CloseReason::ProtocolEnded)));
        }
        // Nearly always this was all. A full output must be noted before anything else is done.
        Ok(if is_full || self.has_more(buffers, cx) { Step::Again } else { Step::Stalled })
    }

    /// Whether the protocol has to be told of something more.
    fn has_more(&self, buffers: &Buffers, cx: &Context<'_>) -> bool {
        self.may_write
            || self.alarmed
            || !self.needs_input(buffers)
            || (cx.draining.has_begun() && !self.drained)
            || (buffers.input_ended && !self.ended)
    }

    /// What the protocol has wished for so far.
    const fn wishes(&self) -> Wishes {
        Wishes {
            alarm: self.alarm,
            alarmed: self.alarmed,
            ends_at_alarm: self.ends_at_alarm,
            memory: self.memory,
            pauses: self.pauses,
            wakes: self.wakes,
            closes: false,
            knows_time: false,
        }
    }

    /// Notes what the protocol wishes for after a call.
    fn grant(&mut self, wishes: &Wishes, now: Moment) {
        if wishes.pauses > 0 && !self.is_paused() {
            self.heard = now;
        }
        self.late &= wishes.alarm == self.alarm;
        (self.alarm, self.alarmed, self.ends_at_alarm) = (wishes.alarm, wishes.alarmed, wishes.ends_at_alarm);
        (self.memory, self.pauses, self.wakes) = (wishes.memory, wishes.pauses, wishes.wakes);
    }

    /// The next thing that the protocol has to know, if there is one. Notes that it is told.
    fn next_event<'a>(
        &mut self,
        bytes: &'a mut [u8],
        has_data: bool,
        input_ended: bool,
        draining: bool,
    ) -> Option<ProtocolEvent<'a>> {
        if std::mem::take(&mut self.may_write) {
            // What it left for want of room is given again.
            (self.looked_at, self.begun) = (0, true);
            return Some(ProtocolEvent::Writable);
        }
        if draining && !std::mem::replace(&mut self.drained, true) {
            return Some(ProtocolEvent::Drain);
        }
        if std::mem::take(&mut self.alarmed) {
            return Some(ProtocolEvent::Alarm);
        }
        if has_data {
            return Some(ProtocolEvent::Data(bytes));
        }
        let has_ended = input_ended && !self.is_paused() && !std::mem::replace(&mut self.ended, true);
        has_ended.then_some(ProtocolEvent::End)
    }

    /// What the protocol has to know although its client takes nothing: that it must come to its end, or that it was
    /// woken in vain. That there is room is told when there is.
    fn event_while_held<'a>(&mut self, draining: bool) -> Option<ProtocolEvent<'a>> {
        if !self.begun {
            return None;
        }
        if draining && !std::mem::replace(&mut self.drained, true) {
            return Some(ProtocolEvent::Drain);
        }
        std::mem::take(&mut self.may_write).then_some(ProtocolEvent::Blocked)
    }

    /// Takes the bytes out of the input that the protocol has understood, of those that it was offered. `knows_time`
    /// says that it may have left the rest because its time was over.
    fn consume(
        &mut self,
        buffers: &mut Buffers,
        cx: &Context<'_>,
        (offered, understood): (usize, usize),
        knows_time: bool,
    ) -> Result<(), Break> {
        let left = offered.saturating_sub(understood);
        // A protocol that has understood something, or had no time to, may understand more of it.
        let needs_more = understood == 0 && !knows_time;
        self.looked_at = if needs_more { left as u32 } else { 0 };
        buffers.consume(offered - left);
        if needs_more && left >= cx.config.max_head && !self.is_paused() {
            log::debug!("conn {}: the protocol understands nothing of {left} bytes", cx.id);
            return Err(Break::Abort(CloseReason::ProtocolFailed));
        }
        Ok(())
    }
}

/// Logs the failure of a protocol, and returns why the connection ends.
#[cold]
fn failed(cx: &mut Context<'_>, error: &std::io::Error) -> Break {
    log::debug!("conn {}: the protocol has failed: {}", cx.id, Printable(error));
    if error.kind() != ErrorKind::TimedOut {
        return Break::Abort(CloseReason::ProtocolFailed);
    }
    cx.watch.tell(|observer| observer.timed_out(cx.id, Timeout::Idle));
    Break::Abort(CloseReason::IdleTimeout)
}

/// Tells a protocol that its connection has ended.
pub(super) fn protocol_closed(service: &mut dyn Service, key: LiveKey, why: CloseReason) {
    if let Err(panic) = guard(|| service.protocol_closed(key, why)) {
        fault!("a protocol {panic}");
    }
}
