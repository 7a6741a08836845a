//! Content that is produced while it is sent: the trait of its sources, and what they write to.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::mailbox::{Address, Waker};
use crate::buffer::{Content, OutputQueue};
use crate::exchange::{dispose, guard};
use crate::limits::HIGH_WATER;
use crate::wire::body::{BodyEncoder, MAX_GAP_SIZE, TrailerLines};

/// Where the content of a [streamed](crate::Response::stream) reply comes from. It is asked only while the client takes
/// what it gave before, so memory is bounded however much it has to give.
///
/// It runs on the loop's thread and must not block. A [`File`](std::fs::File) on a local disk does not, in practice.
///
/// ```
/// use monoloop::exchange::{BodySource, Chunk, Progress};
/// use monoloop::Router;
/// use std::io::{self, Write};
///
/// struct Countdown(u32);
///
/// impl BodySource for Countdown {
///     fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
///         writeln!(out, "{}", self.0)?;
///         self.0 -= 1;
///         Ok(if self.0 > 0 { Progress::More } else { Progress::Done })
///     }
/// }
///
/// let mut app = Router::new(());
/// app.get("/countdown", |_, _, res| res.header("Content-Type", "text/plain").stream(Countdown(10)));
/// ```
#[doc(alias = "stream")]
pub trait BodySource {
    /// Writes some content, at best as much as [is wanted](Chunk::wanted), and says whether there is more.
    ///
    /// # Errors
    /// The head has been sent, so an error cannot be told to the client otherwise than by aborting the connection.
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress>;

    /// Bytes of content in all, if they are known: then the reply has a `Content-Length`, and it is an error to give more
    /// or less. Asked once, before the first [`fill`](Self::fill).
    fn length(&self) -> Option<u64> {
        None
    }

    /// How long no byte may have been sent before the source is asked although it is pending, so that it can
    /// [say something](Chunk::is_heartbeat).
    fn heartbeat(&self) -> Option<Duration> {
        None
    }
}

impl<T: BodySource + ?Sized> BodySource for Box<T> {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        (**self).fill(out)
    }

    fn length(&self) -> Option<u64> {
        (**self).length()
    }

    fn heartbeat(&self) -> Option<Duration> {
        (**self).heartbeat()
    }
}

/// How far a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more. The source is asked again as soon as the client takes it, so one that has written nothing is
    /// [pending](Self::Pending) instead: otherwise the loop does not sleep.
    More,
    /// There will be more; the source says when, by its [waker](Chunk::waker).
    Pending,
    /// That was all.
    Done,
}

/// What a source writes to: the output of its connection, chunk by chunk.
pub struct Chunk<'a> {
    output: &'a mut OutputQueue,
    encoder: &'a mut BodyEncoder,
    address: &'a Address,
    why: Asked,
    /// Bytes that may still be written before the client is to take some.
    wanted: usize,
    /// Bytes that were written.
    written: u64,
    trailers: &'a mut TrailerLines,
    fault: Option<io::Error>,
}

/// Under what circumstances a source is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) draining: bool,
    pub(crate) silent: bool,
}

impl Chunk<'_> {
    /// Bytes that are wanted now. More is taken, but then waits in memory for a client that is slow.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Writes content: copied if it is borrowed or small, sent from where it lies otherwise.
    pub fn push<'c>(&mut self, content: impl Into<Content<'c>>) {
        let content = content.into();
        let count = content.as_bytes().len();
        if count == 0 || !self.count(count) {
            return;
        }
        if OutputQueue::copies(&content) {
            self.encoder.inline(self.output).extend_from_slice(content.as_bytes());
        } else {
            self.encoder.splice(self.output, content);
        }
    }

    /// Reads once from `reader`, at most as much as is wanted; gives the number of bytes, 0 at its end.
    ///
    /// # Errors
    /// Those of the reader; what says that it was [interrupted](io::ErrorKind::Interrupted) is tried again.
    pub fn read_from(&mut self, reader: &mut impl Read) -> io::Result<usize> {
        let room = self.encoder.limit(self.wanted);
        if room == 0 {
            return Ok(0);
        }
        let inline = self.encoder.inline(self.output);
        let from = inline.len();
        inline.resize(from + room, 0);
        let result = loop {
            match reader.read(&mut inline[from..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map(|count| count.min(room)),
            }
        };
        inline.truncate(from + *result.as_ref().unwrap_or(&0));
        let count = result?;
        self.count(count);
        Ok(count)
    }

    /// Adds a field line that follows the content, for a client that asked for trailers by `TE: trailers`; any other gets
    /// none. What frames or routes a message does not belong there (RFC 9110 §6.5.1).
    pub fn trailer(&mut self, name: &str, value: &str) {
        if let Err(mistake) = self.trailers.add(name, value) {
            self.fail(mistake);
        }
    }

    /// What makes the source be asked again after it was [pending](Progress::Pending). Can be sent to another thread.
    pub fn waker(&self) -> Waker {
        Waker::new(self.address.clone())
    }

    /// Whether the server drains: a stream without an end of its own should end now. A pending source is asked once more
    /// when the drain begins.
    pub const fn is_draining(&self) -> bool {
        self.why.draining
    }

    /// Whether it is asked because no byte was sent for the time of its [heartbeat](BodySource::heartbeat).
    pub const fn is_heartbeat(&self) -> bool {
        self.why.silent
    }

    /// Counts content; false if it was more than announced.
    fn count(&mut self, count: usize) -> bool {
        if let Err(mistake) = self.encoder.count(count) {
            self.fail(mistake);
            return false;
        }
        self.wanted = self.wanted.saturating_sub(count);
        self.written += count as u64;
        true
    }

    fn fail(&mut self, mistake: impl Into<Box<dyn Error + Send + Sync>>) {
        self.fault.get_or_insert_with(|| io::Error::other(mistake));
    }
}

impl Write for Chunk<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes);
        Ok(bytes.len())
    }

    /// Does nothing: what was written leaves when the source has returned.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({:?}, {} bytes written, {} wanted)", self.encoder, self.written, self.wanted)
    }
}

/// A reply whose content is being produced.
pub(crate) struct Stream {
    source: Box<dyn BodySource>,
    encoder: BodyEncoder,
    /// Nothing has come since the source said that it is pending.
    pending: bool,
    /// Bytes of content so far.
    written: u64,
    /// Field lines that will follow it.
    trailers: TrailerLines,
}

impl Stream {
    pub(super) fn new(source: Box<dyn BodySource>, encoder: BodyEncoder) -> Self {
        Self { source, encoder, pending: false, written: 0, trailers: TrailerLines::default() }
    }

    /// Trailers are sent, if the content is sent in chunks.
    pub(crate) const fn send_trailers(&mut self, send: bool) {
        self.encoder.send_trailers(send);
    }

    /// Whether nothing will come before someone wakes it.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending
    }

    /// There may be something.
    pub(crate) const fn wake(&mut self) {
        self.pending = false;
    }

    /// How long it may be silent before it is asked, if there is a limit.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        guard(|| self.source.heartbeat()).unwrap_or_else(|panic| {
            log::error!("a source {panic}");
            None
        })
    }

    /// Whether the end of the connection is the end of the content, so that an early one must not look like it.
    pub(crate) const fn ends_with_connection(&self) -> bool {
        self.encoder.is_close_delimited()
    }

    /// Bytes of content that were produced.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Asks the source, guarded; true if the content is whole now, its end written too.
    ///
    /// # Errors
    /// What the source says, its panic, or that it gave more or less than it had announced.
    pub(crate) fn produce(&mut self, output: &mut OutputQueue, address: &Address, why: Asked) -> io::Result<bool> {
        self.pending = false;
        // A size of four digits, so that mostly nothing has to be moved.
        let wanted = HIGH_WATER.saturating_sub(output.len()).min(MAX_GAP_SIZE);
        let mut chunk = Chunk {
            output,
            encoder: &mut self.encoder,
            address,
            why,
            wanted,
            written: 0,
            trailers: &mut self.trailers,
            fault: None,
        };
        let result = guard(|| self.source.fill(&mut chunk));
        let Chunk { fault, written, .. } = chunk;
        self.encoder.close_chunk(output);
        self.written += written;
        if let Some(fault) = fault {
            return Err(fault);
        }
        match result.unwrap_or_else(|panic| Err(io::Error::other(panic)))? {
            Progress::More => Ok(false),
            Progress::Pending => {
                self.pending = true;
                Ok(false)
            }
            Progress::Done => match self.encoder.end(output, &self.trailers) {
                Ok(()) => Ok(true),
                Err(mistake) => Err(io::Error::other(mistake)),
            },
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stream({:?}, {} bytes, pending: {})", self.encoder, self.written, self.pending)
    }
}

impl Drop for Stream {
    /// The source is the application's, and so is what happens when it is dropped.
    fn drop(&mut self) {
        dispose(std::mem::replace(&mut self.source, Box::new(Nothing)));
    }
}

/// What stands in the place of a source that is gone.
struct Nothing;

impl BodySource for Nothing {
    fn fill(&mut self, _: &mut Chunk<'_>) -> io::Result<Progress> {
        Ok(Progress::Done)
    }
}
