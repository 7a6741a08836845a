//! The log of the command, on standard error. A thread writes it, so the loop never waits for the reader.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::env;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::panic;
use std::sync::OnceLock;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use monoloop::server::{Clock, LogWriter, SystemClock};

use crate::options::Settings;

/// The log. Its thread starts with the first line, so a server that has nothing to say has none.
static LOG: OnceLock<Option<LogWriter>> = OnceLock::new();

/// Makes everything go to standard error that is logged from now on, and the messages of panics too.
pub(crate) fn start(settings: &Settings) -> Log {
    let with_time = lines_have_time();
    // Each worker numbers its connections from 1, so with several workers a line names its thread.
    let with_thread = settings.workers != Some(1);
    let mut logger = env_logger::Builder::new();
    logger.parse_filters(&settings.log);
    logger.format(move |line, record| {
        let (level, target) = (record.level(), record.target());
        let text = record.args().to_string().replace('\n', "\n    ");
        write!(line, "[{}{level:<5} ", now(with_time))?;
        if with_thread {
            write!(line, "{} ", thread::current().name().unwrap_or("?"))?;
        }
        writeln!(line, "{target}] {text}")
    });
    logger.target(env_logger::Target::Pipe(Box::new(Log))).init();
    // With `RUST_LOG=off` the library would take it that there is no logger.
    log::set_max_level(log::max_level().max(log::LevelFilter::Error));
    panic::set_hook(Box::new(|panic| push(describe(panic))));
    Log
}

/// Writes a line as it is, after those that were logged before.
pub(crate) fn complain(line: impl Display) {
    push(format!("{line}\n"));
}

/// If the system denies the thread, all lines are lost: standard error may be full, and nobody must wait for it.
fn push(line: impl Into<Vec<u8>>) {
    let start = || {
        let with_time = lines_have_time();
        let tell_lost = move |lost| {
            let (lines, were, them) = if lost == 1 { ("line", "was", "it") } else { ("lines", "were", "them") };
            let time = now(with_time);
            format!("[{time}WARN  monoloop] {lost} {lines} of this log {were} lost: nobody took {them} in time\n")
        };
        LogWriter::new(io::stderr(), tell_lost).ok()
    };
    if let Some(writer) = LOG.get_or_init(start) {
        writer.push(line);
    }
}

/// The log as the logger sees it, and as `main` keeps it: its drop waits, at most for a second, until the lines are
/// written. (The logger itself is never dropped.)
pub(crate) struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        if let Some(Some(writer)) = LOG.get() {
            writer.finish();
        }
    }
}

/// What the standard library would write, too. It would wait for the reader of standard error.
fn describe(panic: &panic::PanicHookInfo<'_>) -> String {
    let name = thread::current().name().unwrap_or("?").to_owned();
    let trace = Backtrace::capture();
    match trace.status() {
        BacktraceStatus::Captured => format!("thread '{name}' {panic}\n{trace}\n"),
        _ => format!("thread '{name}' {panic}\n"),
    }
}

/// The time in UTC and a space, `2026-11-29T11:34:01.078Z `, if the lines of the log have a time.
fn now(with_time: bool) -> String {
    if with_time { stamp(SystemClock::new().wall_clock()) + " " } else { String::new() }
}

fn stamp(time: SystemTime) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let time = time.max(UNIX_EPOCH);
    let millis = time.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
    // Sun, 06 Nov 1994 08:49:37 GMT
    let date = httpdate::fmt_http_date(time);
    let month = MONTHS.iter().position(|month| *month == &date[8..11]).unwrap_or(0) + 1;
    format!("{}-{month:02}-{}T{}.{millis:03}Z", &date[12..16], &date[5..7], &date[17..25])
}

/// Lines have a time, unless standard error is the journal, which adds times itself. systemd.exec(5) says how to know:
/// `JOURNAL_STREAM` has the device and the inode of the stream. A child whose standard error was redirected has the
/// variable, too.
fn lines_have_time() -> bool {
    let errors = io::stderr().as_fd().try_clone_to_owned().and_then(|errors| File::from(errors).metadata());
    let stream = env::var("JOURNAL_STREAM");
    !matches!((stream, errors), (Ok(stream), Ok(errors)) if stream == format!("{}:{}", errors.dev(), errors.ino()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        let time = UNIX_EPOCH + Duration::from_millis(971_186_136_078);
        assert_eq!(stamp(time), "2000-10-10T13:55:36.078Z");
        assert_eq!(stamp(UNIX_EPOCH - Duration::from_secs(5)), "1970-01-01T00:00:00.000Z");
    }
}
