//! The lines on their way out: up to the largest size, up to an error, or until the file takes them too slowly.

use super::line::Line;
use super::scribe::Lines;
use crate::limits::RECORDING_PIECE;

/// Takes the lines from the loop and writes them elsewhere, since the loop must not wait for a disk. Its drop waits
/// until they are written, for a limited time.
pub(crate) trait Outlet {
    /// Takes whole lines, and does not wait.
    ///
    /// # Errors
    /// When it does not take them. Then it gets no more but the last line.
    fn take(&mut self, lines: &[u8]) -> Result<(), Refused>;

    /// Takes the last line. There is always room for it, and no other line follows.
    fn end(&mut self, last: &str);
}

/// Why an outlet does not take lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Too many bytes wait to be written.
    NoRoom,
    /// Lines cannot be written, which the outlet has told.
    Failed,
}

/// The last line of a recording: that it is whole, that it has reached its largest size, or that its file took the
/// lines too slowly.
const DONE: &str = "{\"event\":\"done\"}\n";
const FULL: &str = "{\"event\":\"full\"}\n";
const SLOW: &str = "{\"event\":\"full\",\"why\":\"slow\"}\n";

/// Collects lines, and hands them over in pieces.
pub(super) struct Writer {
    /// It is kept when the recording has ended, and dropped at the end of the server.
    out: Box<dyn Outlet>,
    /// Lines that were not handed over.
    lines: String,
    /// Bytes that may still come, the last line left out.
    left: u64,
    has_ended: bool,
}

impl Writer {
    /// `left` is how many bytes may come after the first line.
    pub(super) fn new(out: Box<dyn Outlet>, left: u64) -> Self {
        // Room for the last line, whichever it is.
        Self { out, lines: String::new(), left: left.saturating_sub(SLOW.len() as u64), has_ended: false }
    }

    fn hand_over(&mut self) {
        let taken = self.out.take(self.lines.as_bytes());
        self.lines.clear();
        // A long read makes a long line.
        self.lines.shrink_to(2 * RECORDING_PIECE);
        match taken {
            Ok(()) => {}
            Err(Refused::NoRoom) => {
                log::warn!("the recording ends here, since its file takes it too slowly; the server goes on");
                self.stop(SLOW);
            }
            Err(Refused::Failed) => self.has_ended = true,
        }
    }

    /// Hands over what there is, and then the last line.
    fn end(&mut self, last: &str) {
        self.hand_over();
        if !self.has_ended {
            self.stop(last);
        }
    }

    fn stop(&mut self, last: &str) {
        self.out.end(last);
        self.has_ended = true;
    }
}

impl Lines for Writer {
    fn put(&mut self, line: Line) {
        if self.has_ended {
            return;
        }
        let begin = self.lines.len();
        line.encode(&mut self.lines);
        match self.left.checked_sub((self.lines.len() - begin) as u64) {
            Some(left) => {
                self.left = left;
                if self.lines.len() >= RECORDING_PIECE {
                    self.hand_over();
                }
            }
            None => {
                self.lines.truncate(begin);
                log::warn!("the recording is full: it ends here, and the server goes on");
                self.end(FULL);
            }
        }
    }

    fn settle(&mut self) {
        if self.is_behind() {
            self.hand_over();
        }
    }

    fn is_behind(&self) -> bool {
        !self.lines.is_empty()
    }
}

/// A server that has ended without a panic has handed over everything.
impl Drop for Writer {
    fn drop(&mut self) {
        if !self.has_ended && !std::thread::panicking() {
            self.end(DONE);
        }
    }
}
