//! What is recorded of a loop: which connections, and from when on. A thread writes it.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::error::{Error, Result};
use super::event_loop::{EventLoop, Parts};
use super::log_writer::{Bounds, Queue};
use super::recordable::{Recordable, Shelved};
use super::socket::Socket;
use crate::exchange::{Endpoint, guard};
use crate::limits::{RECORDING_PATIENCE, RECORDING_WAITS};
use crate::recording::{Outlet, Refused};

impl Parts {
    /// Begins the recording, if there is to be one.
    pub(super) fn begin_recording(mut self) -> Result<Self> {
        if let Some(recorder) = self.recorder.take() {
            let tape = recorder.begin(&self.config, &mut *self.clock, Pen::begin).map_err(Error::Recording)?;
            self.clock = tape.clock(self.clock);
            self.observers.push(tape.observer());
            self.tape = Some(tape);
        }
        Ok(self)
    }
}

impl EventLoop {
    /// Makes a socket the transport of a session. Its calls are recorded if those of this peer are.
    pub(super) fn taped(&mut self, socket: Socket, peer: &Endpoint) -> Recordable {
        let Some(tape) = &mut self.tape else { return Recordable::Plain(socket) };
        match tape.wants(peer) {
            true => Recordable::Recorded(Shelved::new(tape.transport(socket))),
            false => Recordable::Plain(socket),
        }
    }
}

/// The thread that writes a recording, as the loop sees it.
struct Pen {
    queue: Arc<Queue>,
    fate: Arc<Fate>,
}

/// What has become of the writing.
#[derive(Default)]
struct Fate {
    /// The first line is written, so nobody waits for an error any more, and it is logged.
    has_begun: AtomicBool,
    /// Nothing is written any more, for this reason.
    failed: OnceLock<io::Error>,
}

/// Only the bytes bound what waits: the shortest piece, of a connection that does nothing, is longer than this.
const SHORT_PIECE: usize = 100;

const BOUNDS: Bounds =
    Bounds { lines: RECORDING_WAITS / SHORT_PIECE, bytes: RECORDING_WAITS, patience: RECORDING_PATIENCE };

impl Pen {
    /// Starts the thread, and waits for a limited time until the first line is written.
    fn begin(out: Box<dyn Write + Send>, first: String) -> io::Result<Box<dyn Outlet>> {
        let fate = Arc::new(Fate::default());
        let out = UpToError { out, fate: Arc::clone(&fate) };
        let queue = Queue::start("recording", BOUNDS, out, |_| None)?;
        let mut pen = Self { queue, fate };
        let taken = pen.take(first.as_bytes());
        let is_written = pen.queue.finish();
        if let Some(error) = pen.fate.failed.get() {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        if taken.is_err() || !is_written {
            return Err(io::Error::new(ErrorKind::TimedOut, "nobody takes its first line"));
        }
        pen.fate.has_begun.store(true, Ordering::Relaxed);
        Ok(Box::new(pen))
    }
}

impl Outlet for Pen {
    fn take(&mut self, lines: &[u8]) -> Result<(), Refused> {
        if self.fate.failed.get().is_some() {
            return Err(Refused::Failed);
        }
        // A copy of this length takes no more memory than is counted.
        if self.queue.offer(lines.to_vec()) { Ok(()) } else { Err(Refused::NoRoom) }
    }

    fn end(&mut self, last: &str) {
        self.queue.push_last(last.into());
        self.queue.close();
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.queue.close();
        // A server that cannot start has waited for the first line already.
        let has_begun = self.fate.has_begun.load(Ordering::Relaxed);
        if has_begun && !self.queue.finish() && self.fate.failed.get().is_none() {
            fault!("the recording has no end, since nobody took it within {RECORDING_PATIENCE:?}");
        }
    }
}

/// A writer that takes nothing more after an error, since what comes after a gap could not be replayed.
struct UpToError {
    out: Box<dyn Write + Send>,
    fate: Arc<Fate>,
}

impl UpToError {
    fn attempt<T>(&mut self, act: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        if self.fate.failed.get().is_some() {
            return Err(ErrorKind::Other.into());
        }
        let result = guard(|| act(&mut self.out));
        let result = result.unwrap_or_else(|panic| Err(io::Error::other(format!("its writer {panic}"))));
        result.map_err(|error| match error.kind() {
            // It is tried again.
            ErrorKind::Interrupted => error,
            kind => {
                if self.fate.has_begun.load(Ordering::Relaxed) {
                    fault!("the recording ends here, since it cannot be written: {error}");
                }
                let _ = self.fate.failed.set(error);
                kind.into()
            }
        })
    }
}

impl Write for UpToError {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.attempt(|out| match out.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero.into()),
            // What follows would panic, and the recording would seem to be cut for another reason.
            Ok(count) if count > bytes.len() => Err(io::Error::other("its writer has taken more than there was")),
            result => result,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.attempt(|out| out.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    /// A disk that takes the first write at once, and the others when the test has ended.
    struct Disk {
        has_begun: bool,
        ended: Receiver<()>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.has_begun, true) {
                let _ = self.ended.recv();
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn short_pieces_wait_up_to_the_same_size_as_long_ones() {
        for piece in [SHORT_PIECE, 300, 32_000] {
            let (ends, ended) = channel::<()>();
            let mut pen = Pen::begin(Box::new(Disk { has_begun: false, ended }), "first\n".to_owned()).unwrap();
            let taken = (0..=RECORDING_WAITS).take_while(|_| pen.take(&vec![b'x'; piece]).is_ok()).count();
            // The thread holds some that do not wait any more.
            let bytes = taken * piece;
            assert!((RECORDING_WAITS - piece..RECORDING_WAITS + 100_000).contains(&bytes), "{bytes} bytes of {piece}");
            drop(ends);
        }
    }
}
