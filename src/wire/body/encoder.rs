//! Content of a reply that is written piece by piece, framed as it goes (RFC 9112 §6.3, §7.1).

use std::fmt;
use std::io::Write;

use super::trailers::TrailerLines;
use crate::buffer::{Content, OutputQueue};
use crate::wire::reply::BodyLength;

/// Frames content, and knows how the client learns where it ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyEncoder {
    /// The head announced a length, of which `left` bytes are still to come.
    Length { left: u64 },
    /// Each piece is a chunk; a chunk of size zero ends the content.
    Chunked(ChunkedEncoder),
    /// The end of the connection ends the content, for a client of HTTP/1.0.
    CloseDelimited,
}

/// The chunked coding (RFC 9112 §7.1).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkedEncoder {
    /// Where in the output the open chunk begins, if there is one: at the gap for its size line.
    open: Option<usize>,
    sends_trailers: bool,
}

/// Room for the size line of a chunk that is written in parts. Four digits are enough below
/// [`HIGH_WATER`](crate::limits::HIGH_WATER), so that nothing has to be moved in most cases.
const SIZE_GAP: usize = "ffff\r\n".len();

/// The greatest size of a chunk that fills its gap exactly.
pub(crate) const MAX_GAP_SIZE: usize = 0xffff;

/// The content does not have the length that the head announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LengthMismatch {
    /// There is more.
    TooLong,
    /// So many bytes are missing.
    Missing(u64),
}

impl BodyEncoder {
    /// How the head announces this content.
    pub(crate) const fn announced(&self) -> BodyLength {
        match self {
            Self::Length { left } => BodyLength::Known(*left),
            Self::Chunked(_) => BodyLength::Chunked,
            Self::CloseDelimited => BodyLength::CloseDelimited,
        }
    }

    /// Whether the end of the connection ends the content. Then an aborted reply must not look like a whole one.
    pub(crate) const fn is_close_delimited(&self) -> bool {
        matches!(self, Self::CloseDelimited)
    }

    /// Decides whether the trailer section is sent, which only the chunked coding has.
    pub(crate) const fn send_trailers(&mut self, send: bool) {
        if let Self::Chunked(chunked) = self {
            chunked.sends_trailers = send;
        }
    }

    /// The smaller of `wanted` and what the announced length leaves.
    pub(crate) fn limit(&self, wanted: usize) -> usize {
        match self {
            Self::Length { left } => wanted.min(usize::try_from(*left).unwrap_or(usize::MAX)),
            _ => wanted,
        }
    }

    /// Counts content that is about to be written, or has just been.
    pub(crate) const fn count(&mut self, count: usize) -> Result<(), LengthMismatch> {
        if let Self::Length { left } = self {
            match left.checked_sub(count as u64) {
                Some(less) => *left = less,
                None => return Err(LengthMismatch::TooLong),
            }
        }
        Ok(())
    }

    /// Where content is copied to: within a chunk, if the content is chunked.
    pub(crate) fn inline<'o>(&mut self, output: &'o mut OutputQueue) -> &'o mut Vec<u8> {
        let inline = output.inline();
        if let Self::Chunked(chunked) = self {
            chunked.open(inline);
        }
        inline
    }

    /// Appends content that is not copied, as a chunk of its own if the content is chunked.
    pub(crate) fn splice(&mut self, output: &mut OutputQueue, content: Content<'_>) {
        let Self::Chunked(chunked) = self else { return output.push(content) };
        chunked.close(output.inline());
        let _ = write!(output.inline(), "{:x}\r\n", content.as_bytes().len());
        output.push(content);
        output.inline().extend_from_slice(b"\r\n");
    }

    /// Ends the open chunk, so that the output can leave.
    pub(crate) fn close_chunk(&mut self, output: &mut OutputQueue) {
        if let Self::Chunked(chunked) = self {
            chunked.close(output.inline());
        }
    }

    /// Ends the content: with the last chunk and the trailer section, if the content is chunked.
    pub(crate) fn end(&self, output: &mut OutputQueue, trailers: &TrailerLines) -> Result<(), LengthMismatch> {
        match self {
            Self::Length { left: 0 } | Self::CloseDelimited => {}
            Self::Length { left } => return Err(LengthMismatch::Missing(*left)),
            Self::Chunked(chunked) => {
                let inline = output.inline();
                inline.extend_from_slice(b"0\r\n");
                if chunked.sends_trailers {
                    inline.extend_from_slice(trailers.as_bytes());
                }
                inline.extend_from_slice(b"\r\n");
            }
        }
        Ok(())
    }
}

impl ChunkedEncoder {
    /// Begins a chunk, unless one is open: leaves the gap for its size line.
    fn open(&mut self, out: &mut Vec<u8>) {
        if self.open.is_none() {
            self.open = Some(out.len());
            out.extend_from_slice(&[b'0'; SIZE_GAP]);
        }
    }

    /// Writes the size of the open chunk into its gap, and CRLF after its data.
    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(gap) = self.open.take() else { return };
        let size = out.len() - gap - SIZE_GAP;
        if size == 0 {
            out.truncate(gap);
            return;
        }
        let mut line = [0; 18];
        let unused = {
            let mut rest = &mut line[..];
            let _ = write!(rest, "{size:x}\r\n");
            rest.len()
        };
        let line = &line[..line.len() - unused];
        // Most lines fill the gap or are shorter. After a shorter one, the data moves up.
        match line.len().checked_sub(SIZE_GAP) {
            None => {
                out[gap..gap + line.len()].copy_from_slice(line);
                out.copy_within(gap + SIZE_GAP.., gap + line.len());
                out.truncate(out.len() - (SIZE_GAP - line.len()));
            }
            Some(_) => drop(out.splice(gap..gap + SIZE_GAP, line.iter().copied())),
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl fmt::Display for LengthMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the source gave more than it had announced"),
            Self::Missing(left) => write!(f, "the source ended {left} bytes before the announced end"),
        }
    }
}

impl std::error::Error for LengthMismatch {}
