//! A simulated kernel: streams with finite buffers, and an epoll instance with its ready list.
//!
//! ```text
//!     client ──send──▶ received ──read──▶ server        a FIN or a reset comes after the bytes in `received`
//!     client ◀─receive── arrived ◀──transfer── sending ◀──write── server
//! ```
//!
//! **What it takes from Linux.** A socket enters the ready list when something *changes*: bytes, urgent data, a FIN or
//! a reset arrive, or our FIN is acknowledged. It also enters when a write, or a poll, had found the send buffer full
//! (`SOCK_NOSPACE`) and a third of it becomes free; and at registration. `epoll_wait` removes entries from the list and
//! reports their state at *that* moment; it drops an entry that is neither readable nor writable. Reading a part of the
//! bytes makes no edge. A close with unread bytes makes a reset, and so do bytes that arrive after the close. Otherwise
//! a FIN follows what was sent. `sendfile` looks at the file first, then at the room, and may stop anywhere. `MSG_MORE`
//! holds bytes back until more is sent.
//!
//! **Where it is simpler, or worse.** The client's bytes are in our queue at once; those of the server travel when the
//! client reads, or at random times. A reset takes from the client what it has not read yet. Linux keeps the client's
//! queue and loses only the bytes on the way; other systems do not (RFC 9293 §3.10.7). After EINTR, and in a tick in
//! which a signal came, a read may be cut short. On unix sockets a read returns one piece as it was sent, and a write
//! may be short although there is room. There is an edge each time the client reads and three quarters are free, and a
//! reset takes nothing away. A write never fails for lack of memory, and a read at an urgent mark never fails because
//! of a pending signal.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::time::Duration;

use super::random::Random;
use super::trace::Trace;
use crate::buffer::FileRange;
use crate::exchange::CloseReason;
use crate::http::Moment;
use crate::sessions::Readiness;

/// The kind of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    Tcp,
    Unix,
}

/// The sizes of a socket's three queues.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub(super) received: usize,
    pub(super) sending: usize,
    pub(super) arrived: usize,
}

/// The result of a client's receive.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    Bytes(Vec<u8>),
    Nothing,
    End,
    Reset,
}

/// What happened on a socket, for the checks. The simulation does not depend on it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// Bytes that the client sent while the server had the socket.
    pub(super) sent: usize,
    /// Bytes that the server has read.
    pub(super) taken: usize,
    /// When it read the last of them.
    pub(super) heard: Moment,
    /// How many bytes the server had read when it closed its side, and when that was.
    pub(super) ended: Option<(usize, Moment)>,
    /// When the server closed the socket, and why.
    pub(super) closed: Option<(Moment, CloseReason)>,
    /// When the server last moved a byte, and the longest time between two such moves.
    pub(super) moved: Moment,
    pub(super) longest_gap: Duration,
    /// The last write found no room for all of its bytes.
    pub(super) write_was_short: bool,
    /// When the server last tried to write.
    pub(super) tried_to_write: Moment,
    pub(super) events: usize,
    pub(super) moving_calls: usize,
    /// Bytes of files that were sent.
    pub(super) file_bytes: usize,
    pub(super) blocked_reads: usize,
    pub(super) blocked_writes: usize,
}

#[derive(Debug)]
pub(super) struct Socket {
    pub(super) flavour: Flavour,
    pub(super) sizes: Sizes,
    pub(super) received: VecDeque<u8>,
    /// When the first of these bytes came, or the last call that left some of them.
    pub(super) unread_since: Option<Moment>,
    /// Lengths of the pieces in `received`.
    pub(super) pieces: VecDeque<usize>,
    /// The number of bytes in `received` before the urgent mark.
    pub(super) urgent: Option<usize>,
    /// The client has closed its side.
    pub(super) fin: bool,
    /// The client has reset the connection.
    pub(super) reset: bool,
    /// No call has told the server of the reset yet.
    pub(super) error: bool,
    /// A read was just interrupted.
    cut: bool,

    pub(super) sending: VecDeque<u8>,
    pub(super) arrived: VecDeque<u8>,
    /// The number of bytes at the end of `sending` that are held back until more is sent (`MSG_MORE`).
    pub(super) corked: usize,
    pub(super) nospace: bool,
    pub(super) fin_sent: bool,
    pub(super) fin_acknowledged: bool,
    /// The kernel has reset the connection on the server's side.
    pub(super) broken: bool,

    /// The token in the poll, while the server has the socket.
    key: Option<usize>,
    pub(super) listed: bool,
    pub(super) facts: Facts,
}

impl Socket {
    /// Whether a read would return something other than `WouldBlock`.
    pub(super) fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.fin || self.reset
    }

    /// Whether a poll would report the socket as writable.
    pub(super) fn is_writable(&self) -> bool {
        let (room, size) = (self.room(), self.sizes.sending);
        let enough = match self.flavour {
            Flavour::Tcp => room * 3 >= size,
            Flavour::Unix => room * 4 >= size * 3,
        };
        enough || self.reset || self.fin_sent
    }

    /// Whether an edge will come when the client's reads make room.
    pub(super) fn will_tell_of_room(&self) -> bool {
        self.nospace || self.flavour == Flavour::Unix
    }

    /// Whether the server's bytes are still on their way, or wait for the client.
    pub(super) fn has_bytes_for_client(&self) -> bool {
        !self.sending.is_empty() || !self.arrived.is_empty()
    }

    /// Whether a receive would return anything.
    pub(super) fn is_receivable(&self) -> bool {
        self.has_bytes_for_client() || self.fin_sent || self.broken
    }

    /// How much the client can send before it blocks.
    pub(super) fn client_room(&self) -> usize {
        self.sizes.received - self.received.len()
    }

    fn room(&self) -> usize {
        self.sizes.sending - if self.flavour == Flavour::Tcp { self.sending.len() } else { self.arrived.len() }
    }

    /// The state as the server's poll reports it (mio's reading of epoll's mask, and that of `server/socket.rs`).
    fn readiness(&self) -> Readiness {
        let hang_up = self.reset || (self.fin && self.fin_sent);
        let to_the_end = hang_up || self.fin || self.urgent.is_some();
        Readiness {
            readable: self.is_readable() || to_the_end || self.error,
            writable: self.is_writable() || self.error,
            to_the_end,
            read_closed: self.fin || self.reset,
            hung_up: hang_up || self.error,
        }
    }

    fn has_moved(&mut self, now: Moment) {
        self.facts.moving_calls += 1;
        self.facts.longest_gap = self.facts.longest_gap.max(now.since(self.facts.moved));
        self.facts.moved = now;
    }
}

pub(super) struct Kernel {
    pub(super) sockets: Vec<Socket>,
    ready: VecDeque<usize>,
    pub(super) random: Random,
    pub(super) trace: Trace,
    pub(super) now: Moment,
    /// A signal came in this tick.
    pub(super) signal: bool,
    /// How often a call is interrupted, in percent.
    pub(super) interruptions: usize,
}

impl Kernel {
    pub(super) const fn new(random: Random, trace: Trace, now: Moment, interruptions: usize) -> Self {
        Self { sockets: Vec::new(), ready: VecDeque::new(), random, trace, now, signal: false, interruptions }
    }

    /// Opens a connection that the server has not accepted yet, and returns its number.
    pub(super) fn connect(&mut self, flavour: Flavour, sizes: Sizes) -> usize {
        self.sockets.push(Socket {
            flavour,
            sizes,
            received: VecDeque::new(),
            unread_since: None,
            pieces: VecDeque::new(),
            urgent: None,
            fin: false,
            reset: false,
            error: false,
            cut: false,
            sending: VecDeque::new(),
            arrived: VecDeque::new(),
            corked: 0,
            nospace: false,
            fin_sent: false,
            fin_acknowledged: false,
            broken: false,
            key: None,
            listed: false,
            facts: Facts::default(),
        });
        self.sockets.len() - 1
    }

    // ---- epoll ------------------------------------------------------------------------------------------------------

    /// The server has accepted a connection and registers it.
    pub(super) fn register(&mut self, number: usize, key: usize) {
        let socket = &mut self.sockets[number];
        socket.key = Some(key);
        socket.facts.moved = self.now;
        self.notify(number);
    }

    /// Adds a socket to the ready list, because something has changed.
    pub(super) fn notify(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.key.is_some() && !socket.listed {
            socket.listed = true;
            self.ready.push_back(number);
        }
    }

    pub(super) fn has_events(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Up to `most` events, as (token, readiness).
    pub(super) fn epoll_wait(&mut self, most: usize) -> Vec<(usize, Readiness)> {
        let mut events = Vec::new();
        while events.len() < most
            && let Some(number) = self.ready.pop_front()
        {
            let socket = &mut self.sockets[number];
            socket.listed = false;
            socket.nospace |= !socket.is_writable();
            let readiness = socket.readiness();
            let Some(key) = socket.key else { unreachable!("a socket that leaves the poll leaves the ready list") };
            if readiness.readable || readiness.writable {
                socket.facts.events += 1;
                self.trace.note(|| format!("poll: connection {number} is {readiness}"));
                events.push((key, readiness));
            }
        }
        events
    }

    // ---- the server's side ------------------------------------------------------------------------------------------

    pub(super) fn read(&mut self, number: usize, room: &mut [u8]) -> io::Result<usize> {
        assert!(!room.is_empty(), "connection {number}: a read into no room looks like EOF");
        let result = self.try_read(number, room);
        self.trace.note(|| format!("server: connection {number}: read into {} gives {result:?}", room.len()));
        result
    }

    fn try_read(&mut self, number: usize, room: &mut [u8]) -> io::Result<usize> {
        let socket = &mut self.sockets[number];
        if self.random.percent(self.interruptions) {
            socket.cut = true;
            return Err(ErrorKind::Interrupted.into());
        }
        let may_cut = std::mem::take(&mut socket.cut) || self.signal;
        if socket.received.is_empty() {
            return match (std::mem::take(&mut socket.error), socket.fin || socket.reset) {
                (true, _) => Err(ErrorKind::ConnectionReset.into()),
                (false, true) => Ok(0),
                (false, false) => {
                    socket.facts.blocked_reads += 1;
                    Err(ErrorKind::WouldBlock.into())
                }
            };
        }
        let mut count = room.len().min(socket.received.len());
        match socket.urgent {
            // The byte at the mark is not part of the stream.
            Some(0) => socket.urgent = None,
            Some(before) => count = count.min(before),
            None => {}
        }
        if socket.flavour == Flavour::Unix {
            count = count.min(socket.pieces[0]);
        }
        if may_cut && self.random.percent(60) {
            count = self.random.within(1..=count);
        }
        socket.received.read_exact(&mut room[..count])?;
        socket.urgent = socket.urgent.map(|before| before - count);
        let mut left = count;
        while left > 0 {
            let piece = &mut socket.pieces[0];
            let of_this = left.min(*piece);
            *piece -= of_this;
            left -= of_this;
            if *piece == 0 {
                socket.pieces.pop_front();
            }
        }
        socket.facts.taken += count;
        socket.facts.heard = self.now;
        socket.unread_since = (!socket.received.is_empty()).then_some(self.now);
        socket.has_moved(self.now);
        Ok(count)
    }

    pub(super) fn write(&mut self, number: usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        assert!(offered > 0, "connection {number}: a write of nothing");
        let result = self.try_write(number, slices, offered);
        self.trace.note(|| format!("server: connection {number}: write of {offered} gives {result:?}"));
        result
    }

    fn try_write(&mut self, number: usize, slices: &[IoSlice<'_>], offered: usize) -> io::Result<usize> {
        let socket = &mut self.sockets[number];
        assert!(!socket.fin_sent, "connection {number}: a write after our FIN");
        if self.random.percent(self.interruptions) {
            return Err(ErrorKind::Interrupted.into());
        }
        socket.corked = 0;
        socket.facts.tried_to_write = self.now;
        if socket.reset {
            let first = std::mem::take(&mut socket.error);
            return Err(if first { ErrorKind::ConnectionReset } else { ErrorKind::BrokenPipe }.into());
        }
        let mut count = offered.min(socket.room());
        socket.nospace |= count < offered;
        socket.facts.write_was_short = count < offered;
        if count == 0 {
            socket.facts.blocked_writes += 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        if socket.flavour == Flavour::Unix && self.random.percent(20) {
            count = self.random.within(1..=count);
        }
        let queue = if socket.flavour == Flavour::Tcp { &mut socket.sending } else { &mut socket.arrived };
        let mut left = count;
        for slice in slices {
            let of_this = left.min(slice.len());
            queue.extend(&slice[..of_this]);
            left -= of_this;
        }
        socket.has_moved(self.now);
        Ok(count)
    }

    /// As `write`, but the kernel holds the bytes back until more is sent.
    pub(super) fn write_ahead(&mut self, number: usize, bytes: &[u8]) -> io::Result<usize> {
        let result = self.write(number, &[IoSlice::new(bytes)]);
        let socket = &mut self.sockets[number];
        if let Ok(count) = result
            && count == bytes.len()
            && socket.flavour == Flavour::Tcp
        {
            socket.corked = count;
        }
        result
    }

    /// As sendfile(2). It reads the file first, so it reports the end of the file even if there is no room. It may stop
    /// for reasons of its own, which say nothing about the socket.
    pub(super) fn send_file(&mut self, number: usize, range: &FileRange, most: usize) -> io::Result<usize> {
        assert!(most > 0 && most as u64 <= range.len(), "connection {number}: {most} bytes of {range:?}");
        let result = self.try_send_file(number, range, most);
        self.trace.note(|| format!("server: connection {number}: {most} bytes of {range:?} give {result:?}"));
        result
    }

    fn try_send_file(&mut self, number: usize, range: &FileRange, most: usize) -> io::Result<usize> {
        let socket = &mut self.sockets[number];
        assert!(!socket.fin_sent, "connection {number}: a file after our FIN");
        if self.random.percent(self.interruptions) {
            return Err(ErrorKind::Interrupted.into());
        }
        socket.facts.tried_to_write = self.now;
        let room = socket.room();
        let mut piece = vec![0; most.min(room.max(1))];
        let mut count = range.read(&mut piece)?;
        if count == 0 {
            return Ok(0);
        }
        socket.corked = 0;
        if socket.reset {
            let first = std::mem::take(&mut socket.error);
            return Err(if first { ErrorKind::ConnectionReset } else { ErrorKind::BrokenPipe }.into());
        }
        if self.random.percent(20) {
            count = self.random.within(1..=count);
        }
        let is_full = count >= room && most > room;
        socket.nospace |= is_full;
        socket.facts.write_was_short = is_full;
        if room == 0 {
            socket.facts.blocked_writes += 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        let queue = if socket.flavour == Flavour::Tcp { &mut socket.sending } else { &mut socket.arrived };
        queue.extend(&piece[..count]);
        socket.has_moved(self.now);
        Ok(count)
    }

    pub(super) fn half_close(&mut self, number: usize) -> io::Result<()> {
        let socket = &mut self.sockets[number];
        socket.corked = 0;
        assert!(!socket.fin_sent, "connection {number}: our side is closed twice");
        self.trace.note(|| format!("server: connection {number}: half-close"));
        socket.fin_sent = true;
        socket.facts.ended = Some((socket.facts.taken, self.now));
        if socket.reset { Err(ErrorKind::NotConnected.into()) } else { Ok(()) }
    }

    /// Records why the server ends the connection. The server drops the socket next.
    pub(super) fn ended(&mut self, number: usize, reason: CloseReason) {
        let facts = &mut self.sockets[number].facts;
        assert!(facts.closed.is_none(), "connection {number} ends twice");
        facts.closed = Some((self.now, reason));
        facts.ended = facts.ended.or(Some((facts.taken, self.now)));
        facts.longest_gap = facts.longest_gap.max(self.now.since(facts.moved));
    }

    pub(super) fn close(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        let unread = socket.received.len();
        self.trace.note(|| format!("server: connection {number}: closed, {unread} bytes unread"));
        socket.key = None;
        socket.corked = 0;
        socket.fin_sent = true;
        if std::mem::take(&mut socket.listed) {
            self.ready.retain(|listed| *listed != number);
        }
        if unread > 0 && !socket.reset {
            self.break_off(number);
        }
    }

    /// Sends a reset.
    pub(super) fn break_off(&mut self, number: usize) {
        self.trace.note(|| format!("kernel: connection {number}: reset"));
        let socket = &mut self.sockets[number];
        socket.broken = true;
        if socket.flavour == Flavour::Tcp {
            socket.sending.clear();
            socket.arrived.clear();
        }
    }
}
