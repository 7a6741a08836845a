//! Sources for streamed replies that are made of iterators and readers.

use std::io::{self, Read};

use super::{BodySource, Chunk, Progress};
use crate::buffer::Content;

/// A source that gives the pieces of an iterator: see [`from_iter`].
#[derive(Debug)]
pub struct IterSource<I>(I);

/// Streams the pieces of an iterator. Each piece becomes a chunk, or several small ones together. An iterator that may
/// fail is for [`try_from_iter`].
///
/// ```
/// use monoloop::{Router, exchange::from_iter};
///
/// let mut app = Router::new(());
/// app.get("/squares", |_, _, res| res.stream(from_iter((0..1_000_u64).map(|n| format!("{}\n", n * n)))));
/// ```
pub fn from_iter<I>(pieces: I) -> IterSource<I::IntoIter>
where
    I: IntoIterator,
    I::Item: Into<Content<'static>>,
{
    IterSource(pieces.into_iter())
}

impl<I> BodySource for IterSource<I>
where
    I: Iterator,
    I::Item: Into<Content<'static>>,
{
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        while out.wanted() > 0 {
            match self.0.next() {
                Some(piece) => out.push(piece),
                None => return Ok(Progress::Done),
            }
        }
        Ok(Progress::More)
    }
}

/// A source that gives the pieces of an iterator until it fails: see [`try_from_iter`].
#[derive(Debug)]
pub struct TryIterSource<I>(I);

/// Streams the pieces of an iterator, and aborts the connection at its first error.
pub fn try_from_iter<I, C>(pieces: I) -> TryIterSource<I::IntoIter>
where
    I: IntoIterator<Item = io::Result<C>>,
    C: Into<Content<'static>>,
{
    TryIterSource(pieces.into_iter())
}

impl<I, C> BodySource for TryIterSource<I>
where
    I: Iterator<Item = io::Result<C>>,
    C: Into<Content<'static>>,
{
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        while out.wanted() > 0 {
            match self.0.next() {
                Some(piece) => out.push(piece?),
                None => return Ok(Progress::Done),
            }
        }
        Ok(Progress::More)
    }
}

/// A source that gives the bytes of a reader: see [`from_reader`].
#[derive(Debug)]
pub struct ReadSource<R> {
    reader: R,
    length: Option<u64>,
}

/// Streams the bytes of a reader, to its end. The reader must not block. One that blocks needs a thread of its own and
/// a [channel](crate::Response::channel).
///
/// ```
/// use monoloop::{Router, exchange::from_reader};
/// use std::fs::File;
///
/// let mut app = Router::new(());
/// app.get("/log", |_, _, res| {
///     let file = File::open("/var/log/messages")?;
///     let length = file.metadata()?.len();
///     res.stream(from_reader(file).with_length(length))
/// });
/// ```
pub const fn from_reader<R: Read>(reader: R) -> ReadSource<R> {
    ReadSource { reader, length: None }
}

impl<R> ReadSource<R> {
    /// Announces that there are `length` bytes. Bytes that the reader has after them are not sent.
    #[must_use]
    pub fn with_length(self, length: u64) -> Self {
        Self { length: Some(length), ..self }
    }
}

impl<R: Read> BodySource for ReadSource<R> {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        if out.wanted() == 0 {
            return Ok(Progress::More);
        }
        Ok(if out.read_from(&mut self.reader)? == 0 { Progress::Done } else { Progress::More })
    }

    fn length(&self) -> Option<u64> {
        self.length
    }
}
