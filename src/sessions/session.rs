//! A session: the transport, what the kernel said of it, and the connection whose bytes it carries.

use std::io::{self, ErrorKind, IoSlice};
use std::time::Duration;

use super::deadlines::TimerLink;
use super::readiness::Readiness;
use super::transport::Transport;
use crate::buffer::{Front, OutputQueue};
use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, Endpoint, Endpoints};
use crate::h1::{Budget, Connection, Context, End, Stall};
use crate::http::{LineShape, Millis, Moment};
use crate::limits::{FILE_TURN, FILE_TURN_AMONG_OTHERS, MAX_SLICES, TURN_BYTES, TURN_REQUESTS};

/// All that an idle connection costs: at most 128 bytes in the slab.
#[derive(Debug)]
pub(crate) struct Session<T> {
    pub(crate) connection: Connection,
    pub(super) id: ConnectionId,
    /// When the last byte came or went.
    pub(super) activity: Moment,
    pub(super) peer: Endpoint,
    pub(super) transport: T,
    pub(super) idle_timeout: Millis,
    pub(super) timer: TimerLink,
    pub(super) readiness: Readiness,
    /// It stands in the runnable queue.
    pub(super) queued: bool,
    /// It waits for the reaper.
    pub(super) closed: bool,
}

/// What the loop says of a turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    /// A signal came in this tick and may have cut a read short, so a short one exhausts nothing.
    pub(super) partial_reads: bool,
    /// Bytes of files that may be sent in it.
    pub(super) file_bytes: usize,
    /// Room for the parser.
    pub(super) shapes: &'a mut [LineShape],
}

/// What becomes of a session after its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Each direction that it wants is exhausted: the kernel will tell when there is more.
    Exhausted,
    /// Its turn was over before that: no event will come for what is left.
    Runnable,
    /// It has ended.
    Closed,
}

/// The two ends of a session, for a handler that asks.
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
            // A fresh socket can be written; whether there is something to read, the first event will tell.
            readiness: Readiness { writable: true, ..Readiness::default() },
            queued: false,
            closed: false,
        }
    }

    /// So much time does not count: the loop did not listen.
    pub(super) fn forgive(&mut self, late: Duration) {
        self.activity = self.activity + late;
        self.connection.forgive(late);
    }

    /// When [`expire`](Self::expire) must be called, if nothing happens until then.
    #[inline]
    pub(crate) fn deadline(&self, config: &Config) -> Moment {
        self.connection.deadline(config, self.idle_timeout, self.activity)
    }
}

impl<T: Transport> Session<T> {
    /// A turn: reads, answers and writes until each wanted direction is exhausted or the budget is.
    ///
    /// **Invariant**: when it returns `Exhausted`, the kernel owes an event for everything that is still wanted.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>, turn: Turn<'_>) -> After {
        let mut file_bytes = turn.file_bytes;
        let mut budget = Budget { requests: TURN_REQUESTS, bytes: TURN_BYTES, shapes: turn.shapes };
        self.look_after_client(cx);
        // What came before and is not understood yet comes first.
        let mut reads = self.connection.has_no_input() && self.may_read();
        loop {
            if reads {
                self.fill(cx, &mut budget, turn.partial_reads);
            }
            let ends = Ends { peer: &self.peer, transport: &self.transport };
            let stall = self.connection.advance(cx, &ends, &mut budget);
            self.flush(cx, &mut file_bytes);
            reads = match stall {
                Stall::Budget => return After::Runnable,
                _ if file_bytes == 0 && self.may_write() => return After::Runnable,
                Stall::Output if !self.connection.is_held() => false,
                Stall::Input if self.may_read() && budget.bytes == 0 => return After::Runnable,
                Stall::Input if self.may_read() => true,
                Stall::Input if cx.draining && self.connection.close_reason().is_none() => {
                    self.connection.drain(cx);
                    return self.end(cx);
                }
                Stall::Input | Stall::Output => return self.end(cx),
            };
        }
    }

    /// Nothing is read or written meanwhile, so an event is all that tells of the client.
    #[inline]
    fn look_after_client(&mut self, cx: &mut Context<'_>) {
        if self.readiness.to_the_end && self.connection.waits_for_application() {
            self.look_after_client_that_may_be_gone(cx);
        }
    }

    #[cold]
    fn look_after_client_that_may_be_gone(&mut self, cx: &mut Context<'_>) {
        if self.readiness.hung_up {
            log::debug!("conn {}: the client has hung up", cx.id);
            self.connection.abort(cx.id, CloseReason::SocketError);
        } else if self.readiness.half_closed {
            self.connection.note_half_close();
        }
    }

    /// The deadline of this session has passed.
    ///
    /// If it owes something, the kernel may take more long before it says so (Linux announces room only when a third of
    /// the send buffer is free): a client that reads slowly but steadily is not idle.
    pub(super) fn expire(&mut self, cx: &mut Context<'_>) {
        if self.connection.output().is_some() {
            self.readiness.writable = true;
            // What it leaves of a file has its turn behind this.
            let mut file_bytes = FILE_TURN_AMONG_OTHERS;
            self.flush(cx, &mut file_bytes);
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

    /// Whether the kernel would take more of what is owed.
    #[cold]
    fn may_write(&self) -> bool {
        self.readiness.writable && self.connection.output().is_some()
    }

    fn may_read(&self) -> bool {
        self.readiness.readable && self.connection.wants_read()
    }

    /// One read.
    #[inline]
    fn fill(&mut self, cx: &mut Context<'_>, budget: &mut Budget<'_>, mut partial_reads: bool) {
        let room = self.connection.room(cx.pools, cx.config);
        debug_assert!(!room.is_empty(), "a read into no room would look like EOF");
        let result = loop {
            match self.transport.read(room) {
                Err(error) if error.kind() == ErrorKind::Interrupted => partial_reads = true,
                result => break result,
            }
        };
        let offered = room.len();
        log::trace!("conn {}: read {:?} into {offered}", cx.id, result);
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

    /// Writes what is owed, until nothing is or the kernel takes no more, or so many bytes of files have been sent.
    #[inline(always)]
    fn flush(&mut self, cx: &mut Context<'_>, file_bytes: &mut usize) {
        while self.readiness.writable {
            let Some(output) = self.connection.output() else { return };
            let (offered, result) = match output.as_slice() {
                // As far as we know, nothing of the client's is unread.
                Some(bytes) if self.connection.closes_after_output() && !self.readiness.readable => {
                    (bytes.len(), self.transport.write_last(bytes))
                }
                Some(bytes) => (bytes.len(), self.transport.write(bytes)),
                None => match write_pieces(&mut self.transport, output, file_bytes) {
                    Some(written) => written,
                    None => return,
                },
            };
            log::trace!("conn {}: wrote {:?} of {offered}", cx.id, result);
            match result {
                Ok(0) => {
                    // Only of a file is nothing offered: then it has ended.
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
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return self.fail(cx, &error),
            }
        }
    }

    /// A file has fewer bytes than were announced. Nothing can stand in their place.
    #[cold]
    fn cut_short(&mut self, cx: &mut Context<'_>) {
        log::debug!("conn {}: a file has shrunk while it was sent", cx.id);
        self.connection.abort(cx.id, CloseReason::FileShrank);
        self.readiness = Readiness::default();
    }

    /// Ends the transport if the connection wants it.
    fn end(&mut self, cx: &mut Context<'_>) -> After {
        // Its end may have come with the request for which it waits now, and no other event will say so.
        self.look_after_client(cx);
        match self.connection.wants_end() {
            None => After::Exhausted,
            Some(End::Close) => After::Closed,
            Some(End::CloseIfQuiet) if !self.readiness.readable => After::Closed,
            Some(End::CloseIfQuiet | End::HalfClose) => {
                let result = self.transport.half_close();
                log::trace!("conn {}: half-close {result:?}", cx.id);
                if let Err(error) = result {
                    self.fail(cx, &error);
                    return After::Closed;
                }
                self.connection.half_closed(cx.id, cx.now);
                // The client may have closed its side already.
                if self.may_read() { After::Runnable } else { After::Exhausted }
            }
        }
    }

    fn fail(&mut self, cx: &mut Context<'_>, error: &io::Error) {
        log::debug!("conn {}: {error}", cx.id);
        self.connection.abort(cx.id, CloseReason::SocketError);
        self.readiness = Readiness::default();
    }
}

/// Writes from the front of what is owed, where it does not lie in one piece. Gives the bytes that were offered, of which
/// a short write says that the kernel takes no more, and the result; or nothing if no more bytes of a file may be sent.
#[inline(never)]
fn write_pieces<T: Transport>(
    transport: &mut T,
    output: &OutputQueue,
    file_bytes: &mut usize,
) -> Option<(usize, io::Result<usize>)> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    match output.front(&mut slices) {
        Front::File(_) if *file_bytes == 0 => None,
        Front::File(range) => {
            let mut most = usize::try_from(range.len()).map_or(*file_bytes, |len| len.min(*file_bytes));
            // Whoever waits for a disk has all others wait: so not for long at a time, and what comes next is fetched. Asked
            // before much is sent, and else once for each stretch of that length.
            let ahead = usize::try_from(range.len()).map_or(FILE_TURN, |len| len.min(FILE_TURN));
            let begins = range.offset() % (FILE_TURN as u64) < FILE_TURN_AMONG_OTHERS as u64;
            let asks = most > FILE_TURN_AMONG_OTHERS || (begins && *file_bytes == FILE_TURN_AMONG_OTHERS);
            if ahead > FILE_TURN_AMONG_OTHERS && asks && !transport.has_at_hand(range, ahead) {
                most = most.min(FILE_TURN_AMONG_OTHERS);
                *file_bytes = most;
            }
            let result = transport.send_file(range, most);
            *file_bytes -= *result.as_ref().unwrap_or(&0);
            // However much it was, the kernel may take more: sendfile(2) stops for reasons of its own.
            Some((0, result))
        }
        Front::Memory { slices: 1, more: true } => Some((slices[0].len(), transport.write_ahead(&slices[0]))),
        Front::Memory { slices: count, .. } => {
            let offered = slices[..count].iter().map(|slice| slice.len()).sum();
            Some((offered, transport.write_vectored(&slices[..count])))
        }
    }
}
