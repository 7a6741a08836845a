//! What answers in the place of a socket and of a clock: the recording.

use std::io::{self, ErrorKind, IoSlice};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::line::{Line, Stored};
use super::player::Played;
use super::tape::{Masks, asked, error_name, error_named};
use crate::buffer::FileRange;
use crate::exchange::{Clock, Endpoint};
use crate::http::Moment;
use crate::limits::MAX_READ;
use crate::sessions::Transport;

/// A transport whose calls have the results that were recorded.
pub(super) struct Replayed {
    pub(super) played: Played,
    pub(super) masks: Masks,
    pub(super) local: Endpoint,
    pub(super) short_means_exhausted: bool,
}

/// The replay has ended, so the result does not matter.
fn over() -> io::Error {
    ErrorKind::Other.into()
}

/// The error that a call has had.
fn error_of(stored: &Stored) -> Option<io::Error> {
    stored.fields.get("error").and_then(Value::as_str).map(|name| error_named(name).unwrap_or_else(over))
}

/// The result of a call that has sent something.
fn taken(stored: &Stored) -> io::Result<usize> {
    error_of(stored).map_or_else(|| stored.size("taken").map_err(|_| over()), Err)
}

impl Replayed {
    fn written(&mut self, call: &'static str, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let got = || format!("`write` call \"{call}\" offered {offered}");
        let stored = self.played.expect("write", got).ok_or_else(over)?;
        let result = taken(&stored).map(|taken| taken.min(offered));
        self.played.compare(self.masks.write(call, slices, &result), &stored);
        result
    }
}

impl Transport for Replayed {
    /// The room is not compared: [`next_room`](Self::next_room) has decided it.
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let got = || format!("`read` room {}", room.len());
        let stored = self.played.expect("read", got).ok_or_else(over)?;
        let line = Line::new("read").with("room", room.len());
        if let Some(error) = error_of(&stored) {
            self.played.show(line.with("error", error_name(&error)));
            return Err(error);
        }
        let bytes = stored.bytes("bytes").map_err(|_| over())?;
        self.played.show(line.with("bytes", stored.text("bytes").unwrap_or_default()));
        match room.get_mut(..bytes.len()) {
            Some(room) => room.copy_from_slice(&bytes),
            None => {
                self.played.fail(&stored, format!("there is room for {} bytes", room.len()));
                return Err(over());
            }
        }
        Ok(bytes.len())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written("write", &[IoSlice::new(bytes)])
    }

    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written("write_last", &[IoSlice::new(bytes)])
    }

    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written("write_ahead", &[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.written("write_vectored", slices)
    }

    fn has_at_hand(&self, range: &FileRange, most: usize) -> bool {
        let got = || format!("`at_hand` most {most}");
        let Some(stored) = self.played.expect("at_hand", got) else { return true };
        let yes = stored.flag("yes").unwrap_or(true);
        self.played.compare(asked(range, most).with("yes", yes), &stored);
        yes
    }

    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        let got = || format!("`file` from {} most {most}", range.offset());
        let stored = self.played.expect("file", got).ok_or_else(over)?;
        let result = taken(&stored).map(|taken| taken.min(most));
        self.played.compare(self.masks.file(range, most, &result), &stored);
        result
    }

    fn half_close(&mut self) -> io::Result<()> {
        let stored = self.played.expect("half_close", || "`half_close`".to_owned()).ok_or_else(over)?;
        let error = error_of(&stored);
        self.played.show(Line::new("half_close").with("error", error.as_ref().map(error_name)));
        error.map_or(Ok(()), Err)
    }

    fn reset(&mut self) {
        if let Some(stored) = self.played.expect("reset", || "`reset`".to_owned()) {
            self.played.compare(Line::new("reset"), &stored);
        }
    }

    fn local(&self) -> Endpoint {
        self.local
    }

    fn short_means_exhausted(&self) -> bool {
        self.short_means_exhausted
    }

    fn is_recorded(&self) -> bool {
        true
    }

    /// What was recorded, as far as a server can have had it.
    fn next_room(&self) -> Option<usize> {
        let stored = self.played.coming("read")?;
        let came = stored.text("bytes").map_or(0, |bytes| bytes.chars().count());
        stored.size("room").ok().map(|room| room.min(MAX_READ.max(came + 1)).max(1))
    }
}

/// The clock of a replay.
pub(super) struct ReplayedClock {
    pub(super) played: Played,
    /// The time of day when the recording began, in nanoseconds of Unix time.
    pub(super) date: u64,
}

impl Clock for ReplayedClock {
    fn now(&mut self) -> Moment {
        self.played.read_clock()
    }

    fn wall_clock(&mut self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.date)
    }
}
