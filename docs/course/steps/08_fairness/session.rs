//! The session: the owner of the socket. New: its turn may end before it is exhausted.

use std::io::{ErrorKind, Read, Write};
use std::time::Instant;

use mio::net::TcpStream;

use crate::connection::{Budget, Connection, Stall};

/// What the kernel last said about a socket. It says each thing only once, so it is kept here until a read or a write
/// finds that it is over.
#[derive(Debug, Default)]
pub struct Readiness {
    pub readable: bool,
    pub writable: bool,
}

pub struct Session {
    socket: TcpStream,
    pub connection: Connection,
    pub readiness: Readiness,
    /// When a byte came or went for the last time.
    pub activity: Instant,
    /// The slot of the wheel in which the session comes up.
    pub due: Option<u64>,
    /// The session is in a queue.
    pub queued: bool,
    /// Its last turn has used up its budget, so others come first.
    pub has_used_up: bool,
    /// Turns that it has had.
    pub turns: usize,
    /// It has ended, and is removed at the end of the tick.
    pub closed: bool,
}

/// What becomes of a session after its turn.
#[derive(PartialEq)]
pub enum After {
    /// The kernel owes an event for everything that is still wanted.
    Exhausted,
    /// It has more to do, and no event will say so.
    Runnable,
    Closed,
}

impl Session {
    pub fn new(socket: TcpStream, now: Instant) -> Self {
        let connection = Connection::new(now);
        Self {
            socket,
            connection,
            readiness: Readiness::default(),
            activity: now,
            due: None,
            queued: false,
            has_used_up: false,
            turns: 0,
            closed: false,
        }
    }

    /// Runs a turn: reads, answers and writes until each wanted direction is exhausted, or the budget is.
    pub fn pump(&mut self, now: Instant) -> After {
        self.turns += 1;
        let mut budget = Budget::OF_A_TURN;
        // What has come already goes first: it may be all that this turn can do.
        let mut reads = self.may_read() && !self.has_used_up;
        loop {
            if reads {
                self.fill(now, &mut budget);
            }
            let stall = self.connection.advance(now, &mut budget);
            self.flush(now);
            if self.connection.wants_end() {
                return After::Closed;
            }
            reads = match stall {
                // The client has taken enough meanwhile. What has come already goes first.
                Stall::Output if !self.connection.is_held() => false,
                Stall::Budget => return After::Runnable,
                Stall::Input if self.may_read() && budget.bytes == 0 => return After::Runnable,
                Stall::Input if self.may_read() => true,
                Stall::Input | Stall::Output => return After::Exhausted,
            };
        }
    }

    fn may_read(&self) -> bool {
        self.readiness.readable && self.connection.wants_read()
    }

    /// Reads once.
    fn fill(&mut self, now: Instant, budget: &mut Budget) {
        let mut buffer = [0; 4096];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.connection.received_eof(),
            Ok(count) => {
                self.activity = now;
                budget.bytes = budget.bytes.saturating_sub(count);
                self.connection.received(&buffer[..count], now);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.fail(),
        }
    }

    /// Writes what is owed until nothing is left, or the kernel takes no more.
    fn flush(&mut self, now: Instant) {
        while self.readiness.writable && !self.connection.output().is_empty() {
            match self.socket.write(self.connection.output().front()) {
                Ok(count) => {
                    self.activity = now;
                    self.connection.sent(count);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.fail(),
            }
        }
    }

    fn fail(&mut self) {
        self.connection.abort();
        self.readiness = Readiness::default();
    }
}
