use std::fmt;
use std::io;

use super::encode::{ContentType, Length, close_gap};
use super::{Reply, Response, Sent};
use crate::buffer::OutputQueue;
use crate::http::{Error, Result};

/// Writes the content of a reply piece by piece, to memory; the reply leaves when the handler has returned, and so gets
/// a `Content-Length`.
///
/// The head is behind us, so there are no methods for it. That is checked by the compiler:
///
/// ```compile_fail,E0599
/// # let mut app = monoloop::Router::new(());
/// app.get("/", |_, _, res| {
///     let mut body = res.start()?;
///     body.write("too late for")?;
///     body.header("X-Late", "yes").end()   // no such method
/// });
/// ```
///
/// ```
/// # let mut app = monoloop::Router::new(());
/// use std::io::Write;
///
/// app.get("/", |_, _, res| {
///     let mut body = res.header("X-Early", "yes").start()?;
///     body.write("1 + 1 = ")?;
///     write!(body, "{}", 1 + 1)?;
///     body.end()
/// });
/// ```
#[must_use = "a reply that is not ended is a 500"]
pub struct BodyWriter<'a> {
    reply: &'a mut Reply,
    output: &'a mut OutputQueue,
    gap: Option<usize>,
    content_from: usize,
}

impl<'a> BodyWriter<'a> {
    /// Encodes the head behind which the content will stand.
    pub(super) fn new(response: Response<'a>, content_type: ContentType) -> Result<Self> {
        let Response { reply, output } = response;
        reply.seal()?;
        let gap = reply.encode_head(output.inline(), content_type, Length::Gap);
        let content_from = output.inline().len();
        Ok(Self { reply, output, gap, content_from })
    }

    /// Appends to the content.
    ///
    /// # Errors
    /// When the content grows past [`Config::max_response_buffer`](crate::Config::max_response_buffer).
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.append(bytes.as_ref())?)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let inline = self.output.inline();
        if inline.len() - self.content_from + bytes.len() > self.reply.max_content {
            return Err(TooLarge(self.reply.max_content));
        }
        inline.extend_from_slice(bytes);
        Ok(())
    }

    /// Finishes the reply.
    ///
    /// # Errors
    /// When the handler set a `Content-Length` that is not the length of what was written.
    pub fn end(self) -> Result<Sent> {
        let Self { reply, output, gap, content_from } = self;
        let inline = output.inline();
        let length = inline.len() - content_from;
        reply.check_length(length as u64)?;
        reply.content_len = if reply.has_content() { length as u64 } else { 0 };
        if !reply.has_content() {
            inline.truncate(content_from);
        }
        if let Some(gap) = gap {
            close_gap(inline, gap, if reply.rare.status == 205 { 0 } else { length });
        }
        reply.finished = true;
        Ok(Sent::new())
    }
}

impl io::Write for BodyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Does nothing: the reply leaves when the handler has returned.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for BodyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BodyWriter({:?}, {:?})", self.reply, self.output)
    }
}

/// The content does not fit in memory.
#[derive(Debug)]
struct TooLarge(usize);

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the content is larger than max_response_buffer ({} bytes): `stream()` has no such limit", self.0)
    }
}

impl std::error::Error for TooLarge {}

impl Reply {
    /// Ends the head: gives the first mistake that was made with it. A 204 never has a `Content-Length` (RFC 9110 §8.6):
    /// it is dropped.
    #[inline]
    pub(super) fn seal(&mut self) -> Result<()> {
        if self.is_plain() {
            return Ok(());
        }
        if let Some(fault) = self.rare.fault.take() {
            return Err(fault);
        }
        if self.rare.status == 204 {
            self.fields.remove("content-length");
        }
        Ok(())
    }

    /// A `Content-Length` of the handler's must be true; only a reply to HEAD and a 304 may tell of content that they
    /// do not bring.
    #[inline]
    pub(super) fn check_length(&self, length: u64) -> Result<()> {
        match self.fields.has.content_length {
            None => Ok(()),
            Some(claimed) => self.check_claimed_length(claimed, length),
        }
    }

    #[cold]
    fn check_claimed_length(&self, claimed: u64, length: u64) -> Result<()> {
        match self.rare.status {
            205 if claimed != 0 => Err(Error::internal("a 205 has no content")),
            205 => Ok(()),
            _ if claimed == length || (length == 0 && !self.has_content()) => Ok(()),
            _ => Err(Error::internal(format!("Content-Length says {claimed}, but the content has {length} bytes"))),
        }
    }
}
