//! Faults: errors of the application or of the server that nobody else is told of. A client that gets a 500 learns
//! nothing of its reason, so the reason must be somewhere. If there is a logger, it is in the log. If there is none,
//! it is on standard error.
//!
//! A logger counts as installed once the maximum level of the crate `log` is not `Off`. What it then does with an error
//! is its own affair.

use std::fmt::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::limits::{FAULTS_PER_SECOND, LOG_TEXT};

/// Logs an error. Without a logger, it is written to standard error.
macro_rules! fault {
    ($($text:tt)+) => {
        match ::log::max_level() {
            ::log::LevelFilter::Off => $crate::fault::tell(::core::format_args!($($text)+)),
            _ => ::log::error!($($text)+),
        }
    };
}

/// Faults since the last [`renew`].
static FAULTS: AtomicU32 = AtomicU32::new(0);

/// Writes a fault to standard error, unless there were too many in this second: a client may be able to cause them, and
/// the disk that keeps the lines can be full.
#[cold]
pub(crate) fn tell(fault: fmt::Arguments<'_>) {
    if FAULTS.fetch_add(1, Ordering::Relaxed) < FAULTS_PER_SECOND {
        write(fault);
    }
}

/// Begins another second, and says how many faults were left out in the last one. Each loop calls it, and each test
/// client when it begins.
pub(crate) fn renew() {
    // Nearly always there were none, and then nothing is written that threads share.
    if FAULTS.load(Ordering::Relaxed) > 0 {
        let left_out = FAULTS.swap(0, Ordering::Relaxed).saturating_sub(FAULTS_PER_SECOND);
        if left_out > 0 {
            write(format_args!("{left_out} more errors in the last second"));
        }
    }
}

/// A macro for standard error, and not a plain write, because the output of a test is kept with the test.
#[allow(clippy::print_stderr, reason = "there is no logger")]
fn write(text: fmt::Arguments<'_>) {
    let mut line = Line(String::new());
    // An error says that the line is full.
    let _ = write!(line, "{text}");
    // The macro panics if nobody has standard error open, which must not end the loop.
    let _ = catch_unwind(AssertUnwindSafe(|| eprintln!("monoloop: {}", line.0)));
}

/// A text that takes no more than a line of the log takes of the text of a client.
struct Line(String);

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LOG_TEXT - self.0.len();
        if text.len() <= room {
            self.0.push_str(text);
            return Ok(());
        }
        let end = (0..=room).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        self.0.push_str(&text[..end]);
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_ends_at_its_limit_and_not_within_a_character() {
        let mut line = Line(String::new());
        assert!(write!(line, "{}\u{e9}", "x".repeat(LOG_TEXT - 3)).is_ok());
        assert!(line.write_str("\u{e9}").is_err());
        assert_eq!(line.0.len(), LOG_TEXT - 1);
    }
}
