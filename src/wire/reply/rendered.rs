//! Lines that nearly all reply heads share. They are rendered when they change, which is about once a second, and not
//! for each reply.

use std::time::SystemTime;

use super::field_lines::Has;
use crate::http::{DateText, is_field_value};

/// The shared lines, as bytes.
#[derive(Debug)]
pub(crate) struct RenderedLines {
    date: DateText,
    opening: Opening,
    keep_alive: KeepAlive,
}

impl RenderedLines {
    /// A `server_name` that is not a valid field value is left out.
    pub(crate) fn new(server_name: Option<&str>, wall_clock: SystemTime) -> Self {
        let date = DateText::new(wall_clock);
        let mut opening = Opening::new(server_name);
        opening.set_date(date.as_str());
        Self { date, opening, keep_alive: KeepAlive::new(0) }
    }

    /// Takes the new time; called about once a second.
    pub(crate) fn set_date(&mut self, wall_clock: SystemTime) {
        if self.date.update(wall_clock) {
            self.opening.set_date(self.date.as_str());
        }
    }

    /// The time of `Date` in seconds of Unix time.
    pub(crate) const fn unix_second(&self) -> u64 {
        self.date.second()
    }

    /// Sets the time that [`keep_alive`](Self::keep_alive) announces.
    #[inline]
    pub(crate) fn set_keep_alive(&mut self, seconds: u32) {
        self.keep_alive.set(seconds);
    }

    /// How nearly every head begins: the status line of a 200, `Server` and `Date`.
    #[inline]
    pub(super) fn opening(&self) -> &[u8] {
        &self.opening.bytes
    }

    /// `Server` and `Date`, without those that the handler has set itself.
    pub(super) fn server_and_date(&self, has: Has) -> &[u8] {
        let Opening { bytes, status_end, server_end } = &self.opening;
        let from = if has.server { *server_end } else { *status_end };
        let to = if has.date { *server_end } else { bytes.len() };
        &bytes[from..to]
    }

    /// The lines for a client that asked for `Connection: keep-alive`.
    #[inline]
    pub(super) fn keep_alive(&self) -> &[u8] {
        self.keep_alive.lines.as_bytes()
    }
}

/// The first lines of a head, and where each of them ends.
#[derive(Debug)]
struct Opening {
    bytes: Vec<u8>,
    status_end: usize,
    server_end: usize,
}

impl Opening {
    fn new(server_name: Option<&str>) -> Self {
        let mut bytes = b"HTTP/1.1 200 OK\r\n".to_vec();
        let status_end = bytes.len();
        if let Some(name) = server_name.filter(|name| is_field_value(name.as_bytes())) {
            bytes.extend_from_slice(format!("Server: {name}\r\n").as_bytes());
        }
        Self { status_end, server_end: bytes.len(), bytes }
    }

    fn set_date(&mut self, date: &str) {
        self.bytes.truncate(self.server_end);
        self.bytes.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
}

/// The lines for `keep-alive`. Nearly all connections announce the same time, so the lines seldom change.
#[derive(Debug)]
struct KeepAlive {
    seconds: u32,
    lines: String,
}

impl KeepAlive {
    fn new(seconds: u32) -> Self {
        Self { seconds, lines: format!("Connection: keep-alive\r\nKeep-Alive: timeout={seconds}\r\n") }
    }

    #[inline(never)]
    fn set(&mut self, seconds: u32) {
        if seconds != self.seconds {
            *self = Self::new(seconds);
        }
    }
}
