//! Content of a request as a reader for another thread.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Abort, Duplex, Intake, Resumer};
use crate::exchange::Trailers;
use crate::http::Result;
use crate::limits::CHANNEL_BYTES;

/// Hands the content of a request to another thread, which reads it as any other reader: a decoder, a client that sends
/// it on, a program. The sink is for [`Routes::duplex`](crate::router::Routes::duplex), and the reader for the thread.
///
/// The client is not read while [`CHANNEL_BYTES`] wait for the thread. This is the counterpart of
/// [`BodySender::send_blocking`](super::BodySender::send_blocking).
///
/// ```
/// use monoloop::{Method, Router, exchange::to_reader};
/// use std::io::{BufRead, BufReader};
///
/// let mut app = Router::new(());
/// app.duplex(Method::Post, "/lines", |_, _, res| {
///     let (sent, responder) = res.defer();
///     let (sink, content) = to_reader();
///     std::thread::spawn(move || {
///         let lines: Result<Vec<_>, _> = BufReader::new(content).lines().collect();
///         match lines {
///             Ok(lines) => responder.text(format!("{} lines\n", lines.len())),
///             Err(error) => responder.error(error.into()),    // not UTF-8, or the client is gone
///         }
///     });
///     Ok((sent, sink))
/// });
/// ```
#[doc(alias("body", "thread", "upload", "pipe"))]
pub fn to_reader() -> (ReadSink, ContentReader) {
    let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
    (ReadSink(Arc::clone(&shared)), ContentReader(shared))
}

/// A sink that gives what it takes to a [`ContentReader`]: see [`to_reader`].
pub struct ReadSink(Arc<Shared>);

/// The content of a request, for a thread that is not the loop's: see [`to_reader`].
///
/// `read` waits for the client. At the end of the content it returns zero bytes. It returns an error when the content
/// will never be whole: `TimedOut` if the client was too slow, otherwise `ConnectionAborted`. If the reader is dropped
/// early, the rest of the content is discarded.
///
/// On the thread of the loop `read` would wait for itself.
pub struct ContentReader(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece was read.
    read: usize,
    /// What all pieces hold that was not read.
    waiting: usize,
    end: Option<Result<(), ErrorKind>>,
    /// Set while the client is not read.
    paused: Option<Resumer>,
    is_unread: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only the first end counts.
    fn end(&self, end: Result<(), ErrorKind>) {
        self.state().end.get_or_insert(end);
        self.changed.notify_one();
    }
}

impl<S> Duplex<S> for ReadSink {
    fn data(&mut self, _: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        let mut state = self.0.state();
        if !state.is_unread {
            state.pieces.push_back(piece.to_vec());
            state.waiting += piece.len();
            if state.waiting >= CHANNEL_BYTES {
                state.paused = Some(intake.pause());
            }
            self.0.changed.notify_one();
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>) -> Result<()> {
        self.0.end(Ok(()));
        Ok(())
    }

    fn abort(self: Box<Self>, _: &mut S, why: Abort) {
        self.0.end(Err(if why == Abort::TimedOut { ErrorKind::TimedOut } else { ErrorKind::ConnectionAborted }));
    }
}

/// A reader never waits for content that nobody will bring.
impl Drop for ReadSink {
    fn drop(&mut self) {
        self.0.end(Err(ErrorKind::ConnectionAborted));
    }
}

impl Read for ContentReader {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let waits = |state: &mut State| state.pieces.is_empty() && state.end.is_none();
        let mut state = self.0.changed.wait_while(self.0.state(), waits).unwrap_or_else(PoisonError::into_inner);
        let from = state.read;
        let Some(piece) = state.pieces.front() else {
            return match state.end {
                Some(Err(kind)) => Err(kind.into()),
                _ => Ok(0),
            };
        };
        let rest = &piece[from..];
        let length = rest.len().min(room.len());
        room[..length].copy_from_slice(&rest[..length]);
        let is_read = length == rest.len();
        state.read = if is_read { 0 } else { from + length };
        state.waiting -= length;
        let read = if is_read { state.pieces.pop_front() } else { None };
        // At half of the limit, so that the loop is not woken for each piece.
        let resumer = if state.waiting <= CHANNEL_BYTES / 2 { state.paused.take() } else { None };
        // A resumer takes the lock of the mailbox.
        drop(state);
        drop((read, resumer));
        Ok(length)
    }
}

impl Drop for ContentReader {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_unread = true;
        let (pieces, resumer) = (std::mem::take(&mut state.pieces), state.paused.take());
        drop(state);
        drop((pieces, resumer));
    }
}

impl fmt::Debug for ReadSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadSink").finish_non_exhaustive()
    }
}

impl fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContentReader").finish_non_exhaustive()
    }
}
