//! A thread that writes the lines of a log. A loop does not wait when the reader of the log is slow.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::limits::{LOG_BYTES, LOG_LINES, LOG_PATIENCE};

/// Writes lines from a thread of its own, so that no event loop has to wait for a full disk or a pipe that nobody
/// reads. It is made for logs: the logger of a server gives its lines to a `LogWriter` instead of standard error.
/// [`AccessLog`](super::AccessLog) has one inside.
///
/// The lines that wait to be written are bounded, in number and in bytes. If there are too many, further lines are
/// lost. They are counted, and as soon as there is room again, a line of your choice says how many.
///
/// A clone writes to the same place. [`finish`](Self::finish) waits until everything is written, and so does the drop
/// of the last clone, each for at most a second. A logger usually lives as long as the process and is never dropped,
/// so call `finish` at the end of `main`.
///
/// ```
/// use monoloop::server::LogWriter;
/// use std::io::{Write, stderr};
///
/// # fn main() -> std::io::Result<()> {
/// let mut log = LogWriter::new(stderr(), |lost| format!("{lost} lines of this log were lost\n"))?;
/// log.push("the server starts\n".to_owned());
/// // As a `Write`, it takes the bytes of each call as one line. `env_logger` needs this for its `Target::Pipe`.
/// log.write_all(b"the server ends\n")?;
/// log.finish();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LogWriter(Arc<Owner>);

/// What all clones own together. When it is dropped, the thread ends.
struct Owner(Arc<Queue>);

/// What has gone wrong with lines.
pub(super) enum Trouble<'a> {
    /// So many lines were lost since this was last said. Now lines can be written again.
    Lost(u64),
    /// Lines cannot be written. This is said once, until lines can be written again.
    Failed(&'a io::Error),
}

/// What may wait to be written, and how long the end waits for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Most lines.
    pub(super) lines: usize,
    /// Most bytes of these lines.
    pub(super) bytes: usize,
    pub(super) patience: Duration,
}

/// The bounds of a log.
pub(super) const LOG: Bounds = Bounds { lines: LOG_LINES, bytes: LOG_BYTES, patience: LOG_PATIENCE };

/// The lines on their way to the thread.
pub(super) struct Queue {
    bounds: Bounds,
    state: Mutex<State>,
    /// Tells the thread that there is a line, or that no line will come any more.
    has_line: Condvar,
    /// Tells those who wait that more lines are settled, or that the thread has ended.
    is_settled: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// Bytes of these lines.
    bytes: usize,
    /// Lines that were lost and that nobody has been told of.
    lost: u64,
    /// Lines that were ever put into the queue, and those of them that the thread has done with.
    accepted: u64,
    settled: u64,
    /// No line will come any more.
    is_closed: bool,
    /// The thread writes no lines any more.
    has_ended: bool,
}

impl LogWriter {
    /// Makes a writer that writes to `out`. `tell_lost` makes the line that says how many lines were lost; it is called
    /// in the thread that writes.
    ///
    /// # Errors
    /// When the system denies a thread.
    pub fn new(
        out: impl Write + Send + 'static,
        mut tell_lost: impl FnMut(u64) -> String + Send + 'static,
    ) -> io::Result<Self> {
        Self::start("log", LOG, out, move |trouble| match trouble {
            Trouble::Lost(lines) => Some(tell_lost(lines)),
            Trouble::Failed(_) => None,
        })
    }

    /// Makes a writer with a thread of this name. `tell` hears of troubles, and can return a line that is written.
    pub(super) fn start(
        name: &str,
        bounds: Bounds,
        out: impl Write + Send + 'static,
        tell: impl FnMut(Trouble<'_>) -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        Ok(Self(Arc::new(Owner(Queue::start(name, bounds, out, tell)?))))
    }

    /// Puts a line into the queue, and never waits for it to be written. The line should end with a line feed. If there
    /// is no room, the line is lost, and counted.
    pub fn push(&self, line: impl Into<Vec<u8>>) {
        self.queue().push(line.into());
    }

    /// Waits until all lines are written that were pushed before, but at most for a second.
    pub fn finish(&self) {
        self.queue().finish();
    }

    pub(super) fn queue(&self) -> &Arc<Queue> {
        &self.0.0
    }
}

/// The bytes of each call are one line, which may get lost. No call fails, and `flush` does not wait.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for LogWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let State { accepted, settled, lost, .. } = *self.queue().lock();
        write!(f, "LogWriter({} lines wait, {lost} lost)", accepted - settled)
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
        // The reader of the log may have stopped. The server must not hang because of that.
        self.0.finish();
    }
}

/// Tells, when it is dropped, that the thread has ended.
struct End(Arc<Queue>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.lock().has_ended = true;
        self.0.is_settled.notify_all();
    }
}

impl Queue {
    /// Makes a queue and the thread that empties it, as [`LogWriter::start`] does. Nothing ends the thread but
    /// [`close`](Self::close).
    pub(super) fn start(
        name: &str,
        bounds: Bounds,
        out: impl Write + Send + 'static,
        tell: impl FnMut(Trouble<'_>) -> Option<String> + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let (has_line, is_settled) = (Condvar::new(), Condvar::new());
        let queue = Arc::new(Self { bounds, state: Mutex::default(), has_line, is_settled });
        let its_queue = Arc::clone(&queue);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Declared first, so that it is dropped last, also if `out` panics.
            let end = End(its_queue);
            write_lines(&end.0, out, tell);
        })?;
        Ok(queue)
    }

    /// The lock is only held for a few moves, never while something is written.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: Vec<u8>) {
        if let Err(mut state) = self.try_put(line) {
            state.lost += 1;
        }
    }

    /// Takes a line, if there is room for it and the thread runs. If not, nobody is told of a loss.
    #[cfg(feature = "live")]
    pub(super) fn offer(&self, line: Vec<u8>) -> bool {
        self.try_put(line).is_ok()
    }

    /// Takes a line, if there is room for it and the thread runs. If not, the state is still locked: a loss must be
    /// counted before the thread has written all other lines, or nothing may come after which it is told.
    fn try_put(&self, line: Vec<u8>) -> Result<(), MutexGuard<'_, State>> {
        let state = self.lock();
        let fits = state.lines.len() < self.bounds.lines && state.bytes + line.len() <= self.bounds.bytes;
        if !fits || state.has_ended {
            return Err(state);
        }
        self.put(state, line);
        Ok(())
    }

    /// Takes a line although there may be no room for it. So it must be short, and the last one.
    #[cfg(feature = "live")]
    pub(super) fn push_last(&self, line: Vec<u8>) {
        self.put(self.lock(), line);
    }

    /// No line will come any more: the thread writes those that wait, and drops the place that it writes to.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.has_line.notify_one();
    }

    fn put(&self, mut state: MutexGuard<'_, State>, line: Vec<u8>) {
        state.bytes += line.len();
        state.accepted += 1;
        state.lines.push_back(line);
        drop(state);
        self.has_line.notify_one();
    }

    /// Waits until all lines are written that were pushed before, but not for ever. Returns whether they are.
    pub(super) fn finish(&self) -> bool {
        let state = self.lock();
        // A writer that is dropped has no other lines; its end comes after the last of them.
        let (pushed, is_closed) = (state.accepted, state.is_closed);
        let goes_on = |state: &mut State| !state.has_ended && (is_closed || state.settled < pushed);
        let waited = self.is_settled.wait_timeout_while(state, self.bounds.patience, goes_on);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.settled >= pushed && (!is_closed || state.has_ended)
    }

    /// Waits for a line; `None` if no line will come any more.
    fn wait(&self) -> Option<Vec<u8>> {
        let mut state = self.lock();
        if state.lines.is_empty() {
            // What a flood of lines took is given back.
            state.lines = VecDeque::new();
        }
        let mut state = self
            .has_line
            .wait_while(state, |state| state.lines.is_empty() && !state.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        state.pop()
    }
}

impl State {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(line)
    }

    /// The lines that were lost, when `count` lines of at most `most` were written before one flush. While others wait
    /// that are older than the loss, it is not told, except after a long time.
    fn take_lost(&mut self, count: u64, most: usize) -> u64 {
        match self.lines.is_empty() || count == most as u64 {
            true => std::mem::take(&mut self.lost),
            false => 0,
        }
    }
}

/// Writes the lines that come, until none will come any more.
fn write_lines(queue: &Queue, out: impl Write, mut tell: impl FnMut(Trouble<'_>) -> Option<String>) {
    let mut out = BufWriter::new(out);
    let mut failed = false;
    while let Some(first) = queue.wait() {
        // All lines that have come by now are written before one flush.
        let mut result = Ok(());
        let mut count = 0;
        let mut next = Some(first);
        while let Some(line) = next {
            let written = out.write_all(&line);
            count += 1;
            let mut state = queue.lock();
            state.lost += u64::from(written.is_err());
            next = if count < queue.bounds.lines as u64 { state.pop() } else { None };
            drop(state);
            result = result.and(written);
        }
        // Bytes that cannot be flushed are tried again with the next lines.
        match result.and(out.flush()) {
            Ok(()) => {
                failed = false;
                let lost = queue.lock().take_lost(count, queue.bounds.lines);
                let line = if lost > 0 { tell(Trouble::Lost(lost)) } else { None };
                if let Some(line) = line
                    && out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err()
                {
                    queue.lock().lost += lost;
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    let _ = tell(Trouble::Failed(&error));
                }
            }
        }
        queue.lock().settled += count;
        queue.is_settled.notify_all();
    }
}

#[cfg(test)]
mod tests;
