//! A session: the transport, what the kernel said about it, and the connection whose bytes it carries.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use super::deadlines::{Timed, TimerLink};
use super::readiness::Readiness;
use super::transport::{Transport, trace_read};
use crate::buffer::{Front, OutputQueue};
use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, Endpoint, Endpoints};
use crate::h1::{Budget, Connection, Context, End, Stall};
use crate::http::{Count, Millis, Moment};
use crate::limits::{
    FILE_TURN, FILE_TURN_AMONG_OTHERS, HIGH_WATER, MAX_SLICES, TURN_BYTES, TURN_OUTPUT, TURN_REQUESTS, TURN_TIME,
};
use crate::wire::Scratch;

/// The whole cost of an idle connection: at most 128 bytes in the slab.
#[derive(Debug)]
pub(crate) struct Session<T> {
    pub(crate) connection: Connection,
    pub(super) id: ConnectionId,
    /// When the last byte was read or written.
    pub(super) activity: Moment,
    pub(super) peer: Endpoint,
    pub(super) transport: T,
    pub(super) idle_timeout: Millis,
    pub(super) timer: TimerLink,
    pub(super) readiness: Readiness,
    /// Whether the session is in a queue.
    pub(super) queued: bool,
    /// Whether the session has ended and waits to be reaped.
    pub(super) closed: bool,
    pub(super) standing: Standing,
}

/// What the loop allows and lends to a session for a turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// A signal came in this tick and may have cut a read short. So a short read does not mean that the socket is
    /// exhausted.
    pub(super) partial_reads: bool,
    pub(super) sends: Sends,
    /// When the time of the turn is over.
    pub(super) end: Moment,
    pub(super) scratch: &'a mut Scratch,
}

/// How many bytes may be sent in a turn.
#[derive(Debug)]
pub(super) struct Sends {
    /// Bytes of files. None if no more bytes in memory may be sent.
    pub(super) file: usize,
    /// Bytes in memory.
    pub(super) memory: usize,
}

impl Sends {
    /// This many bytes of files, and as many in memory as a turn may send.
    pub(super) const fn up_to(file: usize) -> Self {
        Self { file, memory: TURN_OUTPUT }
    }

    /// Takes up to `bytes` from the budget of memory, and returns how many that were. What is short is not counted: the
    /// budgets of requests and of input bound it.
    fn memory_up_to(&mut self, bytes: usize) -> usize {
        let most = bytes.min(self.memory);
        self.memory -= most;
        if self.memory == 0 {
            self.file = 0;
        }
        most
    }

    #[inline]
    const fn are_used_up(&self) -> bool {
        self.file == 0
    }
}

/// What is known of the time that a session takes. It decides in which queue the session waits. In one byte, this is
/// how many turns the session must have that it does not use up, before it is polite again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing(u8);

impl Standing {
    /// It has neither read nor written yet.
    pub(super) const NEW: Self = Self(u8::MAX);
    /// It has not used up its last turns in which it read or wrote.
    pub(super) const POLITE: Self = Self(0);

    /// The standing after a turn that took so long: each [`TURN_TIME`] of it counts for one.
    fn after_long_turn(took: Duration) -> Self {
        let turns = took.as_nanos() / TURN_TIME.as_nanos();
        Self(u8::try_from(turns).unwrap_or(u8::MAX).clamp(1, u8::MAX - 1))
    }

    /// The standing after a turn that used up another budget than that of time.
    const fn after_full_turn(self) -> Self {
        match self {
            Self::NEW | Self::POLITE => Self(1),
            used_up => used_up,
        }
    }

    /// The standing after a turn that was not used up.
    const fn after_short_turn(self) -> Self {
        match self {
            Self::NEW | Self::POLITE => Self::POLITE,
            Self(turns) => Self(turns - 1),
        }
    }
}

/// What becomes of a session after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Each direction that the session wants is exhausted. The kernel will report when there is more.
    Exhausted,
    /// The turn ended before that. No event will come for the rest.
    Runnable,
    /// The session has ended.
    Closed,
}

/// The two endpoints of a session, for a handler that asks for them.
struct Ends<'a, T> {
    peer: &'a Endpoint,
    transport: &'a T,
}

impl<T: Transport> Endpoints for Ends<'_, T> {
    fn peer(&self) -> Endpoint {
        *self.peer
    }

    fn local(&self) -> Endpoint {
        self.transport.local()
    }
}

impl<T> Session<T> {
    pub(super) fn new(transport: T, peer: Endpoint, id: ConnectionId, idle_timeout: Millis, now: Moment) -> Self {
        Self {
            connection: Connection::new(),
            id,
            activity: now,
            peer,
            transport,
            idle_timeout,
            timer: TimerLink::default(),
            // A fresh socket can be written. The first event will tell whether there is something to read.
            readiness: Readiness { writable: true, ..Readiness::default() },
            queued: false,
            closed: false,
            standing: Standing::NEW,
        }
    }

    /// Adds `late` to the deadlines, because the loop did not read during that time.
    pub(super) fn forgive(&mut self, late: Duration) {
        self.activity = self.activity + late;
        self.connection.forgive(late);
    }

    /// Notes that the time of a turn was over, so that a client cannot make others wait by every other request.
    #[cold]
    pub(super) fn note_long_turn(&mut self, took: Duration) {
        self.standing = Standing::after_long_turn(took);
    }

    /// Notes at the end of a turn of this tick what it says of the client.
    #[cold]
    pub(super) fn note_standing(&mut self, after: After, now: Moment) {
        self.standing = match after {
            After::Runnable => self.standing.after_full_turn(),
            _ if self.activity == now => self.standing.after_short_turn(),
            // A turn without a byte says nothing: the first event of a socket only tells that it can be written.
            _ => self.standing,
        };
    }

    /// When [`expire`](Self::expire) must be called, if nothing happens until then.
    #[inline]
    pub(crate) fn deadline(&self, config: &Config) -> Moment {
        self.connection.deadline(config, self.idle_timeout, self.activity)
    }
}

impl<T> Timed for Session<T> {
    #[inline]
    fn timer(&self) -> &TimerLink {
        &self.timer
    }

    #[inline]
    fn timer_mut(&mut self) -> &mut TimerLink {
        &mut self.timer
    }
}

impl<T: Transport> Session<T> {
    /// Runs a turn: reads, answers and writes until each wanted direction is exhausted, or the budget is.
    ///
    /// **Invariant**: when it returns `Exhausted`, the kernel owes an event for everything that is still wanted.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> After {
        let mut sends = turn.sends;
        let mut budget = Budget { requests: TURN_REQUESTS, bytes: TURN_BYTES, end: turn.end };
        self.check_client(cx);
        // Input that is already in the receive buffer comes first, unless it waits for more.
        let mut reads = self.connection.needs_input() && self.may_read();
        loop {
            if reads {
                self.fill(cx, &mut budget, turn.partial_reads);
            }
            let ends = Ends { peer: &self.peer, transport: &self.transport };
            let stall = self.connection.advance(cx, &ends, turn.scratch, &mut budget);
            self.flush(cx, &mut sends);
            reads = match stall {
                // The socket may have failed in this turn.
                Stall::Budget if self.connection.wants_end() == Some(End::Close) => return After::Closed,
                Stall::Budget => return After::Runnable,
                _ if sends.are_used_up() && self.may_write() => return After::Runnable,
                // The client takes its replies as fast as they are made. They must not fill more than a turn.
                Stall::Output if !self.connection.is_held() && budget.is_late(cx) => return After::Runnable,
                Stall::Output if !self.connection.is_held() => false,
                Stall::Input if self.may_read() && (budget.bytes == 0 || budget.is_late(cx)) => return After::Runnable,
                Stall::Input if self.may_read() => true,
                Stall::Input if cx.draining.closes_idle() && self.connection.close_reason().is_none() => {
                    self.connection.drain(cx);
                    return self.end(cx);
                }
                Stall::Output => {
                    self.connection.advance_held(
                        cx,
                        &Ends { peer: &self.peer, transport: &self.transport },
                        &mut budget,
                    );
                    return self.end(cx);
                }
                Stall::Input => return self.end(cx),
            };
        }
    }

    /// Looks whether an event has said that the client is gone. While the connection waits for the application alone,
    /// nothing is read or written, so only an event can say so.
    #[inline]
    fn check_client(&mut self, cx: &mut Context<'_>) {
        if self.readiness.to_the_end && self.connection.waits_for_application() {
            self.note_client_has_left(cx);
        }
    }

    #[cold]
    fn note_client_has_left(&mut self, cx: &mut Context<'_>) {
        if self.readiness.hung_up {
            log::debug!("conn {}: the client has hung up in the middle of an exchange", cx.id);
            self.connection.abort(cx, CloseReason::SocketError);
        } else if self.readiness.read_closed {
            self.connection.note_client_closed();
        }
    }

    /// Tries to write, although no event says that the kernel has room: it may have some long before it says so (Linux
    /// announces room only when a third of the send buffer is free). The pump, which follows, sends what this leaves.
    #[inline(never)]
    fn try_to_write(&mut self, cx: &mut Context<'_>) {
        self.readiness.writable = true;
        self.flush(cx, &mut Sends::up_to(FILE_TURN_AMONG_OTHERS));
    }

    /// Expires the session, because its deadline has passed.
    ///
    /// If the session owes something, this first tries to write: a client that reads slowly but steadily is not idle.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) {
        if self.connection.output().is_some() {
            self.try_to_write(cx);
            let deadline = self.connection.deadline(cx.config, *cx.idle_timeout, self.activity);
            let reason = self.connection.close_reason();
            let failed = matches!(reason, Some(CloseReason::SocketError | CloseReason::FileShrank));
            if failed || deadline > cx.now {
                return;
            }
        }
        if !self.connection.beat(cx, self.activity) {
            self.connection.expire(cx, self.activity);
        }
    }

    /// Ends the session because memory is short and its client does nothing, not even take what it is owed.
    pub(super) fn give_up(&mut self, cx: &mut Context<'_>) {
        let owed = self.connection.owed();
        if owed > 0 {
            self.try_to_write(cx);
        }
        if owed == self.connection.owed() {
            self.connection.give_up(cx);
        }
    }

    /// Sends what a connection still has to say that was given up at the end of its turn, and ends it.
    #[cold]
    pub(super) fn send_refusal(&mut self, cx: &mut Context<'_>) -> After {
        self.try_to_write(cx);
        let after = self.end(cx);
        self.connection.settle(cx);
        after
    }

    /// Reads a byte to see whether there is one. The session is to end, so nobody misses it.
    pub(super) fn has_unread(&mut self) -> bool {
        self.transport.read(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// Whether bytes are owed and the kernel may take more of them.
    #[cold]
    fn may_write(&self) -> bool {
        self.readiness.writable && self.connection.output().is_some()
    }

    fn may_read(&self) -> bool {
        self.readiness.readable && self.connection.wants_read()
    }

    /// Reads once.
    #[inline]
    fn fill(&mut self, cx: &mut Context<'_>, budget: &mut Budget, mut partial_reads: bool) {
        let room = self.connection.room(cx.pools, cx.config);
        #[cfg(feature = "live")]
        let room = match self.transport.next_room() {
            None => room,
            Some(size) => self.connection.room_of(size, cx.pools, cx.config),
        };
        debug_assert!(!room.is_empty(), "a read into no room would look like EOF");
        let result = loop {
            match self.transport.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => partial_reads = true,
                result => break result,
            }
        };
        let offered = room.len();
        if log::log_enabled!(log::Level::Trace) {
            let may_be_short = self.transport.short_means_exhausted() && !partial_reads && !self.readiness.to_the_end;
            trace_read(cx.id, &result, offered, may_be_short);
        }
        match result {
            Ok(0) => {
                self.readiness.readable = false;
                self.connection.received_eof();
            }
            Ok(count) => {
                let short = count < offered && self.transport.short_means_exhausted() && !partial_reads;
                self.readiness.readable = !short || self.readiness.to_the_end;
                budget.bytes = budget.bytes.saturating_sub(count);
                self.activity = cx.now;
                self.connection.received(count, offered, cx);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.readable = false,
            Err(error) => self.fail(cx, &error),
        }
    }

    /// Writes what is owed until nothing is left, the kernel takes no more, or as much has been sent as may be.
    #[inline(always)]
    fn flush(&mut self, cx: &mut Context<'_>, sends: &mut Sends) {
        while self.readiness.writable {
            let Some(output) = self.connection.output() else { return };
            let (offered, result) = match output.as_slice() {
                Some(bytes) if bytes.len() > HIGH_WATER => match sends.memory_up_to(bytes.len()) {
                    0 => return,
                    most => (most, self.transport.write(&bytes[..most])),
                },
                // As far as we know, the session has read everything that the client sent.
                Some(bytes) if self.connection.closes_after_output() && !self.readiness.readable => {
                    (bytes.len(), self.transport.write_last(bytes))
                }
                Some(bytes) => (bytes.len(), self.transport.write(bytes)),
                None => match write_pieces(&mut self.transport, output, sends) {
                    Some(written) => written,
                    None => return,
                },
            };
            match result {
                Ok(0) => {
                    // `offered` is 0 only for a file, and then a result of 0 means that the file has ended.
                    return match offered {
                        0 => self.cut_short(cx),
                        _ => self.fail(cx, &ErrorKind::WriteZero.into()),
                    };
                }
                Ok(count) => {
                    self.readiness.writable = count >= offered || !self.transport.short_means_exhausted();
                    self.activity = cx.now;
                    self.connection.sent(count, cx);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.readiness.writable = false;
                    log::trace!(
                        "conn {}: wrote nothing of {}: the kernel takes no more",
                        cx.id,
                        Count(offered, "byte")
                    );
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(cx, &error),
            }
        }
    }

    /// Aborts the connection: a file has fewer bytes than were announced, and nothing can replace them.
    #[cold]
    fn cut_short(&mut self, cx: &mut Context<'_>) {
        log::debug!("conn {}: a file has shrunk while it was sent", cx.id);
        self.connection.abort(cx, CloseReason::FileShrank);
        self.readiness = Readiness::default();
    }

    /// Closes or half-closes the transport, if the connection wants that.
    fn end(&mut self, cx: &mut Context<'_>) -> After {
        // The client's FIN may have come with the request whose reply the connection now waits for. No other event will
        // report it.
        self.check_client(cx);
        match self.connection.wants_end() {
            None => After::Exhausted,
            Some(End::Close) => After::Closed,
            Some(End::CloseIfQuiet) if !self.readiness.readable => After::Closed,
            Some(End::CloseIfQuiet | End::HalfClose) => {
                let result = self.transport.half_close();
                if let Err(error) = result {
                    self.fail(cx, &error);
                    return After::Closed;
                }
                log::trace!("conn {}: half-closed by shutdown(Write), and the client may still send", cx.id);
                self.connection.half_closed(cx.id, cx.now);
                // The client may have closed its side already.
                if self.may_read() { After::Runnable } else { After::Exhausted }
            }
        }
    }

    fn fail(&mut self, cx: &mut Context<'_>, error: &io::Error) {
        let id = cx.id;
        match error.kind() {
            ErrorKind::ConnectionReset => log::debug!("conn {id}: the client has reset it"),
            // The kernel has told of the reset before, or the socket of a unix client is closed.
            ErrorKind::BrokenPipe => log::debug!("conn {id}: the client is gone, so nothing can be written: {error}"),
            _ => log::debug!("conn {id}: the socket has failed: {error}"),
        }
        self.connection.abort(cx, CloseReason::SocketError);
        self.readiness = Readiness::default();
    }
}

/// Writes from the front of what is owed, where it does not lie in one piece. Returns the number of bytes that were
/// offered and the result, or `None` if no more may be sent. A write of fewer bytes than offered means that
/// the kernel takes no more.
#[inline(never)]
fn write_pieces<T: Transport>(
    transport: &mut T,
    output: &OutputQueue,
    sends: &mut Sends,
) -> Option<(usize, io::Result<usize>)> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    match output.front(&mut slices, sends.memory) {
        Front::File(_) if sends.file == 0 => None,
        Front::File(range) => {
            let mut most = usize::try_from(range.len()).map_or(sends.file, |len| len.min(sends.file));
            // A disk read stalls every client, so cold files go out in small slices while the next stretch is
            // prefetched. The transport is asked before each large slice, and otherwise once for each `FILE_TURN` bytes
            // of the file.
            let ahead = usize::try_from(range.len()).map_or(FILE_TURN, |len| len.min(FILE_TURN));
            let begins = range.offset() % (FILE_TURN as u64) < FILE_TURN_AMONG_OTHERS as u64;
            let asks = most > FILE_TURN_AMONG_OTHERS || (begins && sends.file == FILE_TURN_AMONG_OTHERS);
            if ahead > FILE_TURN_AMONG_OTHERS && asks && !transport.has_at_hand(range, ahead) {
                most = most.min(FILE_TURN_AMONG_OTHERS);
                sends.file = most;
            }
            let result = transport.send_file(range, most);
            sends.file -= *result.as_ref().unwrap_or(&0);
            // sendfile(2) may stop early for reasons of its own. `offered` is 0, so no count looks like a short write.
            Some((0, result))
        }
        Front::Memory { slices: 0, .. } => None,
        Front::Memory { slices: 1, more: true } => Some((slices[0].len(), transport.write_ahead(&slices[0]))),
        Front::Memory { slices: count, .. } => {
            let offered = slices[..count].iter().map(|slice| slice.len()).sum();
            sends.memory_up_to(offered);
            Some((offered, transport.write_vectored(&slices[..count])))
        }
    }
}
