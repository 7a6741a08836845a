//! A transport and a clock that write down what they are asked, and what they answer.

use std::io::{self, ErrorKind, IoSlice};
use std::time::SystemTime;

use serde_json::Value;

use super::line::{Line, text_of};
use super::mask::Mask;
use super::request_mask::RequestMask;
use super::scribe::{Shared, date};
use crate::buffer::FileRange;
use crate::exchange::{Clock, CloseReason, Endpoint};
use crate::http::Moment;
use crate::sessions::Transport;

/// A transport whose calls are recorded.
pub(crate) struct Taped<T> {
    inner: T,
    scribe: Shared,
    masks: Masks,
}

/// The masks of both directions of a connection; none if secrets are recorded.
pub(super) struct Masks(Option<(RequestMask, Mask)>);

impl Masks {
    pub(super) fn new(masks: bool) -> Self {
        Self(masks.then(|| (RequestMask::new(), Mask::new())))
    }

    pub(super) fn input(&mut self, bytes: &mut [u8]) {
        if let Some((input, _)) = &mut self.0 {
            input.apply(bytes);
        }
    }

    fn output(&mut self, bytes: &mut [u8]) {
        if let Some((_, output)) = &mut self.0 {
            output.apply(bytes);
        }
    }

    /// The line of a write, from the bytes that were offered and how many of them were taken.
    pub(super) fn write(&mut self, call: &'static str, slices: &[IoSlice<'_>], taken: &io::Result<usize>) -> Line {
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let line = Line::new("write").with("call", call).with("offered", offered);
        match taken {
            Err(error) => line.with("error", error_name(error)),
            Ok(taken) => {
                let mut bytes = Vec::with_capacity(*taken);
                for slice in slices {
                    let left = taken.saturating_sub(bytes.len());
                    bytes.extend_from_slice(&slice[..left.min(slice.len())]);
                }
                self.output(&mut bytes);
                line.with("taken", *taken).with_output(&bytes)
            }
        }
    }

    /// The line of a call that sends bytes of a file.
    pub(super) fn file(&mut self, range: &FileRange, most: usize, taken: &io::Result<usize>) -> Line {
        let line = Line::new("file").with("from", range.offset()).with("most", most);
        match taken {
            Err(error) => line.with("error", error_name(error)),
            Ok(taken) => {
                let mut bytes = vec![0; *taken];
                // The kernel has just read them, so they are in memory. If not, the file has changed meanwhile.
                let read = range.read(&mut bytes).unwrap_or(0);
                bytes.truncate(read);
                self.output(&mut bytes);
                line.with("taken", *taken).with_output(&bytes)
            }
        }
    }
}

/// The kinds of errors that mean something to a session, or to a reader.
const ERRORS: [ErrorKind; 9] = [
    ErrorKind::WouldBlock,
    ErrorKind::Interrupted,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::NotConnected,
    ErrorKind::TimedOut,
    ErrorKind::HostUnreachable,
    ErrorKind::Other,
];

/// The name of an error of a call.
pub(super) fn error_name(error: &io::Error) -> String {
    let kind = if ERRORS.contains(&error.kind()) { error.kind() } else { ErrorKind::Other };
    format!("{kind:?}")
}

/// The error of this name.
pub(super) fn error_named(name: &str) -> Option<io::Error> {
    ERRORS.into_iter().find(|kind| format!("{kind:?}") == name).map(io::Error::from)
}

impl<T> Taped<T> {
    pub(super) fn new(inner: T, scribe: Shared) -> Self {
        let masks = Masks::new(scribe.masks());
        Self { inner, scribe, masks }
    }

    fn note_write(
        &mut self,
        call: &'static str,
        slices: &[IoSlice<'_>],
        result: io::Result<usize>,
    ) -> io::Result<usize> {
        self.scribe.put(self.masks.write(call, slices, &result));
        result
    }
}

impl<T: Transport> Transport for Taped<T> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(room);
        let line = Line::new("read").with("room", room.len());
        let line = match &result {
            Err(error) => line.with("error", error_name(error)),
            Ok(count) => {
                let mut bytes = room[..*count].to_vec();
                // Another protocol has no field lines.
                if !self.scribe.is_upgraded() {
                    self.masks.input(&mut bytes);
                }
                line.with("bytes", text_of(&bytes))
            }
        };
        self.scribe.put(line);
        result
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write(bytes);
        self.note_write("write", &[IoSlice::new(bytes)], result)
    }

    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write_last(bytes);
        self.note_write("write_last", &[IoSlice::new(bytes)], result)
    }

    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.inner.write_ahead(bytes);
        self.note_write("write_ahead", &[IoSlice::new(bytes)], result)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let result = self.inner.write_vectored(slices);
        self.note_write("write_vectored", slices, result)
    }

    fn has_at_hand(&self, range: &FileRange, most: usize) -> bool {
        let at_hand = self.inner.has_at_hand(range, most);
        self.scribe.put(asked(range, most).with("yes", at_hand));
        at_hand
    }

    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        let result = self.inner.send_file(range, most);
        self.scribe.put(self.masks.file(range, most, &result));
        result
    }

    fn half_close(&mut self) -> io::Result<()> {
        let result = self.inner.half_close();
        let error = result.as_ref().err().map(error_name);
        self.scribe.put(Line::new("half_close").with("error", error));
        result
    }

    fn reset(&mut self) {
        self.inner.reset();
        self.scribe.put(Line::new("reset"));
    }

    fn local(&self) -> Endpoint {
        self.inner.local()
    }

    fn short_means_exhausted(&self) -> bool {
        self.inner.short_means_exhausted()
    }

    fn is_recorded(&self) -> bool {
        true
    }

    fn ended(&mut self, reason: CloseReason) {
        self.inner.ended(reason);
    }
}

/// The line of the question whether a part of a file can be sent without waiting for a disk, without its answer.
pub(super) fn asked(range: &FileRange, most: usize) -> Line {
    Line::new("at_hand").with("from", range.offset()).with("most", most)
}

impl<T: std::fmt::Debug> std::fmt::Debug for Taped<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Taped({:?})", self.inner)
    }
}

/// A clock whose readings within turns are recorded.
pub(super) struct TapedClock {
    pub(super) inner: Box<dyn Clock>,
    pub(super) scribe: Shared,
}

impl Clock for TapedClock {
    fn now(&mut self) -> Moment {
        let now = self.inner.now();
        if self.scribe.is_within() {
            self.scribe.put(Line::new("clock").with("at", now.as_nanos()));
        }
        now
    }

    fn wall_clock(&mut self) -> SystemTime {
        self.inner.wall_clock()
    }
}

/// The time of a clock for the first line.
pub(super) fn beginning(clock: &mut dyn Clock) -> [(&'static str, Value); 2] {
    [("at", clock.now().as_nanos().into()), ("date", date(clock.wall_clock()).into())]
}
