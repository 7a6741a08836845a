//! What a protocol can do with its connection.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::mailbox::{Address, Mailbox, Resumer, Waker};
use super::outbox::{LocalWaker, Outbox};
use super::ticket::Ticket;
use crate::buffer::{Content, OutputQueue};
use crate::exchange::{Clock, ConnectionId, Draining, Endpoint, Endpoints, MessageRecord, ProtocolClose, Watch};
#[cfg(feature = "websocket")]
use crate::http::Error;
use crate::http::{Millis, Moment};
use crate::limits::HIGH_WATER;

/// The output of a protocol, its wishes for the connection, and what it can know of it.
pub struct Output<'a> {
    pub(crate) queue: &'a mut OutputQueue,
    pub(crate) ticket: Ticket,
    pub(crate) wishes: &'a mut Wishes,
    pub(crate) idle_timeout: &'a mut Millis,
    pub(crate) around: Surroundings<'a>,
}

/// The last moment at which an alarm can be due. It is not [`Moment::MAX`], which says that no alarm is set.
pub(crate) const LAST_ALARM: Moment = Moment::from_nanos(u64::MAX - 1);

/// What a protocol wants of its connection, beside output: what held before the call, and what it has changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// When [`Protocol::on_alarm`](super::Protocol::on_alarm) is called, or the connection closes; `Moment::MAX` if no
    /// alarm is set.
    pub(crate) alarm: Moment,
    /// The alarm is due, and the call is still to come.
    pub(crate) alarmed: bool,
    /// The alarm is the end of the connection.
    pub(crate) ends_at_alarm: bool,
    /// Bytes of memory that the protocol holds.
    pub(crate) memory: u32,
    /// How many [`Resumer`]s are out.
    pub(crate) pauses: u32,
    /// The protocol takes wake-ups of this thread, or leaves some.
    pub(crate) wakes: bool,
    /// What is owed is the last.
    pub(crate) closes: bool,
    /// The protocol knows that its time is over, so it may leave bytes that it could use.
    pub(crate) knows_time: bool,
}

/// What a protocol can know of its connection and of the loop.
pub(crate) struct Surroundings<'a> {
    pub(crate) id: ConnectionId,
    pub(crate) now: Moment,
    /// When the last bytes of the client came.
    pub(crate) heard: Moment,
    /// When the turn is over.
    pub(crate) end_of_turn: Moment,
    pub(crate) clock: &'a mut dyn Clock,
    pub(crate) draining: Draining,
    pub(crate) endpoints: &'a dyn Endpoints,
    pub(crate) mailbox: &'a Arc<Mailbox>,
    pub(crate) outbox: &'a Rc<Outbox>,
    pub(crate) watch: &'a mut Watch,
}

impl Output<'_> {
    // ---- bytes ------------------------------------------------------------------------------------------------------

    /// Queues bytes. Borrowed or few bytes are copied; all others are sent from where they are.
    pub fn write<'c>(&mut self, bytes: impl Into<Content<'c>>) {
        self.queue.push(bytes.into());
    }

    /// The buffer to whose end few bytes can be written in place.
    #[cfg(feature = "websocket")]
    pub(crate) fn inline(&mut self) -> &mut Vec<u8> {
        self.queue.inline()
    }

    /// The same output for a shorter time, so that a part of the protocol can own it.
    #[cfg(feature = "websocket")]
    pub(crate) fn reborrow(&mut self) -> Output<'_> {
        let Self { queue, ticket, wishes, idle_timeout, around } = self;
        let Surroundings { id, now, heard, end_of_turn, clock, draining, endpoints, mailbox, outbox, watch } = around;
        let around = Surroundings {
            id: *id,
            now: *now,
            heard: *heard,
            end_of_turn: *end_of_turn,
            clock: &mut **clock,
            draining: *draining,
            endpoints: *endpoints,
            mailbox,
            outbox,
            watch,
        };
        Output { queue, ticket: *ticket, wishes, idle_timeout, around }
    }

    /// Bytes that are owed to the client.
    pub fn owed(&self) -> usize {
        self.queue.len()
    }

    /// Whether so much is owed that the protocol should stop until
    /// [`Protocol::on_writable`](super::Protocol::on_writable) is called.
    pub fn is_full(&self) -> bool {
        self.queue.len() >= HIGH_WATER
    }

    // ---- the end ----------------------------------------------------------------------------------------------------

    /// Sends what is owed, and then closes the connection. No more bytes are passed to the protocol.
    pub const fn close(&mut self) {
        self.wishes.closes = true;
    }

    /// Closes the connection when the client has closed its side, or at the latest `after` this time. Until then bytes
    /// are passed to the protocol as before. It is for protocols that say goodbye, and can [close](Self::close) earlier
    /// when the client has answered. It replaces the [alarm](Self::set_alarm).
    ///
    /// The connection closes at that time even if input is paused, or bytes are still owed. But if the client has sent
    /// or taken any bytes just before, it gets what is owed, as after [`close`](Self::close). A second call sets
    /// another time.
    pub fn close_when(&mut self, after: Duration) {
        self.wishes.ends_at_alarm = true;
        self.replace_alarm(after);
    }

    // ---- time -------------------------------------------------------------------------------------------------------

    /// Has [`Protocol::on_alarm`](super::Protocol::on_alarm) called once, `after` this time: never earlier, and about a
    /// quarter of a second later at most. It replaces the alarm that was set before. While one is set, the idle timeout
    /// does not end the connection. An alarm that is due while the output is [full](Self::is_full) waits until there is
    /// room again; input that is [paused](Self::pause) does not stop it.
    ///
    /// After [`close_when`](Self::close_when) it does nothing.
    pub fn set_alarm(&mut self, after: Duration) {
        if !self.wishes.ends_at_alarm {
            self.replace_alarm(after);
        }
    }

    fn replace_alarm(&mut self, after: Duration) {
        self.wishes.alarm = (self.around.now + after).min(LAST_ALARM);
        self.wishes.alarmed = false;
    }

    /// How long the server has listened and nothing came: since the last bytes of the client, or since input went on
    /// after a [pause](Self::pause) or after the output was [full](Self::is_full). Zero while input is paused, and
    /// while bytes wait that the protocol was not given yet, or has left for want of time.
    pub const fn silence(&self) -> Duration {
        if self.is_paused() { Duration::ZERO } else { self.around.now.since(self.around.heard) }
    }

    /// Sets the idle timeout of the connection, from now on.
    pub fn set_idle_timeout(&mut self, timeout: Duration) {
        *self.idle_timeout = timeout.into();
    }

    /// Reads the clock, and returns whether the time of this turn is over. A protocol that does much with few bytes
    /// should then leave the rest of the bytes, so that other connections do not wait. They are passed again in its
    /// next turn, even if it has used none.
    pub fn is_time_over(&mut self) -> bool {
        let is_over = self.around.clock.now() >= self.around.end_of_turn;
        self.wishes.knows_time |= is_over;
        is_over
    }

    // ---- input ------------------------------------------------------------------------------------------------------

    /// Pauses input until the [`Resumer`] is used or dropped. The socket is not read, so the client has to wait, too.
    /// If input is still paused after [`Config::reply_timeout`](crate::Config::reply_timeout), the connection closes.
    ///
    /// After two pauses, both must be resumed.
    pub fn pause(&mut self) -> Resumer {
        self.wishes.pauses += 1;
        Resumer::new(self.address())
    }

    /// Whether input is paused.
    pub const fn is_paused(&self) -> bool {
        self.wishes.pauses > 0
    }

    /// Says how many bytes of memory the protocol holds for this connection, now and until the next call. They count
    /// towards [`Config::max_memory`](crate::Config::max_memory). Where that is short, the connection may end: at once
    /// if it holds more than before, and after some seconds if its client sends nothing, since the server takes what it
    /// holds for a part that waits for the rest.
    pub fn set_memory(&mut self, bytes: usize) {
        self.wishes.memory = u32::try_from(bytes).unwrap_or(u32::MAX);
    }

    // ---- calls from elsewhere ---------------------------------------------------------------------------------------

    /// A waker, by which any thread causes a call of [`Protocol::on_writable`](super::Protocol::on_writable). A
    /// protocol that sends on its own needs one.
    pub fn waker(&self) -> Waker {
        Waker::new(self.address())
    }

    /// A waker for the loop's own thread, which costs less and locks nothing.
    ///
    /// While wake-ups of an earlier tick wait for the loop, no bytes are passed to the protocols that have such a waker
    /// or have used one: they could make wake-ups faster than these are delivered.
    pub fn local_waker(&mut self) -> LocalWaker {
        self.wishes.wakes = true;
        LocalWaker::new(Rc::clone(self.around.outbox), self.ticket)
    }

    /// Where other threads reach the protocol.
    fn address(&self) -> Address {
        Address { mailbox: Arc::clone(self.around.mailbox), ticket: self.ticket }
    }

    // ---- what it can know -------------------------------------------------------------------------------------------

    /// The number of the connection, as an [`Observer`](crate::server::Observer) has it.
    pub const fn id(&self) -> ConnectionId {
        self.around.id
    }

    /// The client's end of the connection.
    pub fn peer(&self) -> Endpoint {
        self.around.endpoints.peer()
    }

    /// Whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.around.draining.has_begun()
    }

    /// Tells the observer of a message that came or was sent.
    pub fn report_message(&mut self, message: MessageRecord) {
        let Surroundings { watch, id, .. } = &mut self.around;
        watch.tell(|observer| observer.message(*id, &message));
    }

    /// Tells the observer that the application has failed.
    #[cfg(feature = "websocket")]
    pub(crate) fn report_failure(&mut self, error: &Error) {
        let Surroundings { watch, id, .. } = &mut self.around;
        watch.tell(|observer| observer.request_failed(*id, error));
    }

    /// Tells the observer how the protocol has ended, if both sides know.
    pub fn report_close(&mut self, close: &ProtocolClose<'_>) {
        let Surroundings { watch, id, .. } = &mut self.around;
        watch.tell(|observer| observer.protocol_closed(*id, close));
    }
}

impl fmt::Debug for Output<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Output({} bytes owed)", self.queue.len())
    }
}
