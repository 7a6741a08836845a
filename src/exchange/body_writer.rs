use std::fmt;
use std::io;

use super::{Reply, Sent};
use crate::buffer::OutputQueue;
use crate::http::Result;
use crate::wire::reply::{BodyLength, ContentType, LengthGap};

/// Writes the content of a reply piece by piece, to memory. The reply is sent when the handler has returned, so it gets
/// a `Content-Length`.
///
/// The head is finished already, so there are no methods for it. The compiler checks that:
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
    gap: Option<LengthGap>,
    content_from: usize,
}

impl<'a> BodyWriter<'a> {
    /// Encodes the head; the content comes after it.
    pub(super) fn new(reply: &'a mut Reply, output: &'a mut OutputQueue, content_type: ContentType) -> Result<Self> {
        reply.draft.seal()?;
        let gap = reply.encode_head(output, content_type, BodyLength::Gap);
        let content_from = output.inline().len();
        Ok(Self { reply, output, gap, content_from })
    }

    /// Appends to the content.
    ///
    /// # Errors
    /// When the content grows past [`Config::max_response_buffer`](crate::Config::max_response_buffer), or past what
    /// [`Config::max_memory`](crate::Config::max_memory) has left. For the second, the client gets a 503.
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.append(bytes.as_ref())?)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        let inline = self.output.inline();
        if inline.len() - self.content_from + bytes.len() > self.reply.writable {
            return Err(match self.reply.note_overflow() {
                true => TooLarge::OutOfMemory,
                false => TooLarge::Configured(self.reply.writable),
            });
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
        reply.draft.check_length(length as u64)?;
        let has_content = reply.draft.has_content();
        if !has_content {
            inline.truncate(content_from);
        }
        let announced = if reply.draft.rare.status == 205 { 0 } else { length };
        if let Some(gap) = gap {
            gap.close(inline, announced);
        }
        if reply.is_held() {
            reply.draft.settle_shape(output, announced, if has_content { length } else { 0 });
        }
        Ok(reply.finish(if has_content { length as u64 } else { 0 }))
    }
}

impl io::Write for BodyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Does nothing: the reply is sent when the handler has returned.
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
enum TooLarge {
    /// It is larger than the configuration allows: this many bytes.
    Configured(usize),
    /// It is larger than the memory that is left.
    OutOfMemory,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured(most) => {
                write!(f, "the content is larger than max_response_buffer ({most} bytes): `stream()` has no such limit")
            }
            Self::OutOfMemory => f.write_str("the content is larger than what max_memory has left"),
        }
    }
}

impl std::error::Error for TooLarge {}
