//! Content that is produced while it is sent: the trait of the sources, and the chunk that they write to.

use std::error::Error;
use std::fmt;
use std::io::{self, Read, Write};
use std::time::Duration;

use super::mailbox::{Address, Waker};
use crate::buffer::{Content, OutputQueue};
use crate::exchange::{dispose, guard};
use crate::limits::HIGH_WATER;
use crate::wire::body::{BodyEncoder, MAX_GAP_SIZE, TrailerLines};

/// Where the content of a [streamed](crate::Response::stream) reply comes from. It is asked for more only while the
/// client takes what it gave before. So memory is bounded, however long the content is.
///
/// It runs on the thread of the loop and must not block. A [`File`](std::fs::File) on a local disk does not, in
/// practice.
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
    /// Writes some content, ideally as much as [is wanted](Chunk::wanted), and returns whether there is more.
    ///
    /// # Errors
    /// The head has been sent, so the only way to report an error to the client is to abort the connection.
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress>;

    /// The length of the whole content, if it is known. Then the reply has a `Content-Length`, and giving more or less
    /// is an error. This is called once, before the first [`fill`](Self::fill).
    fn length(&self) -> Option<u64> {
        None
    }

    /// After this much silence a pending source is asked anyway, so that it can [send something](Chunk::is_heartbeat).
    ///
    /// If this is not shorter than the connection's [idle timeout](crate::Config::idle_timeout), the source is asked
    /// after half of that timeout. `None` and [`Duration::MAX`] mean that it is not asked.
    fn heartbeat(&self) -> Option<Duration> {
        None
    }

    /// Bytes of memory that the source holds for content that is still to be sent, beside its own size. They count
    /// towards [`Config::max_memory`](crate::Config::max_memory). The default is none.
    fn memory(&self) -> usize {
        0
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

    fn memory(&self) -> usize {
        (**self).memory()
    }
}

/// What a source will do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is more. The source is asked again as soon as the client takes more. A source that has written nothing
    /// must be [pending](Self::Pending) instead, or the loop does not sleep.
    More,
    /// There will be more. The source says when, by its [waker](Chunk::waker).
    Pending,
    /// The content is whole.
    Done,
}

/// The output of a connection, to which a source writes chunk by chunk.
pub struct Chunk<'a> {
    output: &'a mut OutputQueue,
    encoder: &'a mut BodyEncoder,
    address: &'a Address,
    circumstances: Circumstances,
    /// Bytes that should still be written before the client takes some.
    wanted: usize,
    /// Bytes that have been written.
    written: u64,
    trailers: &'a mut TrailerLines,
    fault: Option<io::Error>,
}

/// The circumstances under which a source is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    /// Whether the server drains.
    pub(crate) draining: bool,
    /// Whether no byte was sent for the time of the heartbeat.
    pub(crate) silent: bool,
}

impl Chunk<'_> {
    /// Bytes that are wanted now. More is accepted, but waits in memory if the client is slow.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// Writes content. Borrowed or small content is copied; all other is sent from where it is.
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

    /// Reads once from `reader`, at most as much as is wanted. Returns the number of bytes, which is 0 at its end.
    ///
    /// # Errors
    /// Those of the reader. A read that was [interrupted](io::ErrorKind::Interrupted) is tried again.
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

    /// Adds a field line that follows the content, if the client asked for trailers by `TE: trailers`. Fields that
    /// frame or route a message do not belong there (RFC 9110 §6.5.1).
    pub fn trailer(&mut self, name: &str, value: &str) {
        if let Err(mistake) = self.trailers.add(name, value) {
            self.fail(mistake);
        }
    }

    /// A waker, which makes the loop ask a [pending](Progress::Pending) source again. It can be sent to another thread.
    pub fn waker(&self) -> Waker {
        Waker::new(self.address.clone())
    }

    /// Whether the server drains. Then a stream without an end of its own should end now. A pending source is asked
    /// once more when the drain begins.
    pub const fn is_draining(&self) -> bool {
        self.circumstances.draining
    }

    /// Whether the source is asked because no byte was sent for the time of its [heartbeat](BodySource::heartbeat).
    pub const fn is_heartbeat(&self) -> bool {
        self.circumstances.silent
    }

    /// Counts content. Returns false if there is more than was announced.
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

    /// Does nothing: what was written is sent when the source has returned.
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
    /// Whether the source is pending and was not woken since.
    pending: bool,
    /// Bytes of content so far.
    written: u64,
    /// Field lines that follow the content.
    trailers: TrailerLines,
}

impl Stream {
    pub(super) fn new(source: Box<dyn BodySource>, encoder: BodyEncoder) -> Self {
        Self { source, encoder, pending: false, written: 0, trailers: TrailerLines::default() }
    }

    /// Decides whether trailers are sent, if the content is in chunks.
    pub(crate) const fn send_trailers(&mut self, send: bool) {
        self.encoder.send_trailers(send);
    }

    /// Whether the source gives nothing before it is woken.
    pub(crate) const fn is_pending(&self) -> bool {
        self.pending
    }

    /// Records that the source was woken.
    pub(crate) const fn wake(&mut self) {
        self.pending = false;
    }

    /// How long the stream may be silent before its source is asked anyway.
    pub(crate) fn heartbeat(&self) -> Option<Duration> {
        let heartbeat = guard(|| self.source.heartbeat()).unwrap_or_else(|panic| {
            fault!("a source {panic}");
            None
        });
        heartbeat.filter(|silence| *silence < Duration::MAX)
    }

    /// Bytes of memory that the source takes.
    pub(crate) fn memory(&self) -> usize {
        let held = guard(|| self.source.memory()).unwrap_or_else(|panic| {
            fault!("a source {panic}");
            0
        });
        held.saturating_add(size_of_val(&*self.source))
    }

    /// Whether the end of the connection is the end of the content. Then an abort must not look like the end.
    pub(crate) const fn ends_with_connection(&self) -> bool {
        self.encoder.is_close_delimited()
    }

    /// Bytes of content that have been produced.
    pub(crate) const fn written(&self) -> u64 {
        self.written
    }

    /// Asks the source, guarded. Returns whether the content is whole now; then its end is written, too.
    ///
    /// # Errors
    /// The error of the source, its panic, or that it gave more or less than it had announced.
    pub(crate) fn produce(
        &mut self,
        output: &mut OutputQueue,
        address: &Address,
        circumstances: Circumstances,
    ) -> io::Result<bool> {
        self.pending = false;
        // A chunk of this size fills the gap for its size line, so nothing has to be moved.
        let wanted = HIGH_WATER.saturating_sub(output.len()).min(MAX_GAP_SIZE);
        let mut chunk = Chunk {
            output,
            encoder: &mut self.encoder,
            address,
            circumstances,
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
    /// Drops the source guarded, because it is application code.
    fn drop(&mut self) {
        dispose(std::mem::replace(&mut self.source, Box::new(EmptySource)));
    }
}

/// Takes the place of a source that is dropped.
struct EmptySource;

impl BodySource for EmptySource {
    fn fill(&mut self, _: &mut Chunk<'_>) -> io::Result<Progress> {
        Ok(Progress::Done)
    }
}
