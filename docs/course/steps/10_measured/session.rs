//! The session: the owner of the socket.
//!
//! New: it counts its calls, and a read that fills less than its room is the last one.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::time::Duration;

use mio::net::TcpStream;
use rustix::net::{SendFlags, send};

use crate::connection::{Connection, Context, End, Stall};
use crate::counters::Counters;
use crate::deadlines::{Moment, TimerLink};
use crate::phase::Reason;
use crate::turns::Standing;

/// What the kernel last said about a socket. It says each thing only once, so it is kept here until a read or a write
/// finds that it is over.
#[derive(Debug, Default)]
pub struct Readiness {
    pub readable: bool,
    pub writable: bool,
    /// The client has closed its side. Data and FIN can share one edge, and no other edge comes. So from now on only
    /// `WouldBlock` and the end mean that nothing more can be read.
    pub read_closed: bool,
}

pub struct Session {
    socket: TcpStream,
    pub connection: Connection,
    pub readiness: Readiness,
    /// When the last byte came or went.
    pub activity: Moment,
    pub timer: TimerLink,
    /// Whether the session is in a queue.
    pub queued: bool,
    pub standing: Standing,
}

/// What becomes of a session after its turn.
#[derive(Clone, Copy, PartialEq)]
pub enum After {
    /// The kernel owes an event for everything that is still wanted.
    Exhausted,
    /// The turn has ended before that. No event will come for the rest.
    Runnable,
    Closed,
}

impl Session {
    pub fn new(socket: TcpStream, now: Moment) -> Self {
        Self {
            socket,
            connection: Connection::new(),
            readiness: Readiness::default(),
            activity: now,
            timer: TimerLink::default(),
            queued: false,
            standing: Standing::POLITE,
        }
    }

    /// Until when the session waits, if no byte comes or goes until then.
    pub fn deadline(&self) -> Moment {
        self.connection.deadline(self.activity)
    }

    /// Adds `late` to the deadlines, because the loop did not read during that time.
    pub fn forgive(&mut self, late: Duration) {
        self.activity += late;
        self.connection.forgive(late);
    }

    /// Looks at the session, which has come up in the wheel. It ends what is due, and nothing if its deadline lies
    /// ahead.
    pub fn look_at(&mut self, cx: &mut Context<'_>, counters: &mut Counters) -> After {
        let now = cx.now;
        if self.deadline() > now {
            return After::Exhausted;
        }
        // There may be room in the kernel although no event has said so: Linux announces room only when a third of the
        // send buffer is free. A client that reads slowly but steadily must not expire.
        self.readiness.writable = true;
        self.flush(now, counters);
        if self.deadline() <= now {
            self.connection.expire(now, cx.pools);
        }
        self.pump(cx, counters)
    }

    /// Runs a turn: reads, answers and writes until each wanted direction is exhausted, or the budget is used up.
    pub fn pump(&mut self, cx: &mut Context<'_>, counters: &mut Counters) -> After {
        // What has come already goes first. Otherwise each turn would read more than it answers.
        let mut reads = self.connection.needs_input() && self.may_read();
        loop {
            if reads {
                self.fill(cx, counters);
            }
            let stall = self.connection.advance(cx);
            self.flush(cx.now, counters);
            reads = match stall {
                // The socket may have failed in this turn.
                Stall::Budget if self.connection.wants_end() == Some(End::Close) => return After::Closed,
                Stall::Budget => return After::Runnable,
                Stall::Input if self.may_read() && cx.budget.is_used_up() => return After::Runnable,
                // The client has taken enough meanwhile. What has come already goes first.
                Stall::Output if !self.connection.is_held() => false,
                Stall::Input if self.may_read() => true,
                Stall::Input if cx.draining => {
                    self.connection.drain();
                    return self.end(cx.now);
                }
                Stall::Input | Stall::Output => return self.end(cx.now),
            };
        }
    }

    /// Closes or half-closes the socket, if the connection wants that.
    fn end(&mut self, now: Moment) -> After {
        match self.connection.wants_end() {
            None => After::Exhausted,
            Some(End::Close) => After::Closed,
            Some(End::HalfClose) => {
                if self.socket.shutdown(Shutdown::Write).is_err() {
                    self.fail();
                    return After::Closed;
                }
                self.connection.half_closed(now);
                // The client may have closed its side already.
                if self.may_read() { After::Runnable } else { After::Exhausted }
            }
        }
    }

    fn may_read(&self) -> bool {
        self.readiness.readable && self.connection.wants_read()
    }

    /// Reads once. A short read exhausts the socket: epoll(7) promises that for streams. It saves the read that would
    /// only find `WouldBlock`.
    fn fill(&mut self, cx: &mut Context<'_>, counters: &mut Counters) {
        let room = self.connection.room(cx.pools);
        let offered = room.len();
        counters.reads += 1;
        match self.socket.read(room) {
            Ok(0) => self.connection.received_eof(),
            Ok(count) => {
                self.readiness.readable = count == offered || self.readiness.read_closed;
                self.activity = cx.now;
                self.connection.received(count, cx.now);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.fail(),
        }
    }

    /// Writes what is owed until nothing is left, or the kernel takes no more.
    fn flush(&mut self, now: Moment, counters: &mut Counters) {
        while self.readiness.writable && !self.connection.output().is_empty() {
            counters.writes += 1;
            let offered = self.connection.output().len();
            match self.write() {
                Ok(count) => {
                    // A short write exhausts the socket, too.
                    self.readiness.writable = count == offered;
                    self.activity = now;
                    self.connection.sent(count, now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.fail(),
            }
        }
    }

    /// Writes once. The last bytes wait in the kernel for the half-close that follows, so that they leave in one
    /// segment with the FIN (`MSG_MORE`, see tcp(7)).
    fn write(&mut self) -> io::Result<usize> {
        let bytes = self.connection.output();
        match self.connection.ends_after_output() {
            true => Ok(send(&self.socket, bytes, SendFlags::MORE | SendFlags::NOSIGNAL)?),
            false => self.socket.write(bytes),
        }
    }

    fn fail(&mut self) {
        self.connection.abort(Reason::SocketFailed);
        self.readiness = Readiness::default();
    }
}
