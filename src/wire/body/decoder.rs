//! Message bodies, decoded piece by piece as they come (RFC 9112 §6.2, §7.1). No byte is copied here.

use crate::http::{is_field_value, is_token_byte};
use crate::limits::{MAX_CHUNK_EXTENSIONS, MAX_CHUNK_LINE, MAX_TRAILERS};
use crate::wire::{Framing, ProtocolError};

/// Where in its body a message is.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    Length { left: u64 },
    Chunked(ChunkedDecoder),
}

/// What a step of decoding found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// Bytes of the input that are done with.
    pub(crate) consumed: usize,
    /// The content among them.
    pub(crate) content: &'a [u8],
    /// The trailer lines among them, or parts of such.
    pub(crate) trailers: &'a [u8],
    /// Whether the body has ended.
    pub(crate) end: bool,
}

impl BodyDecoder {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length { left: 0 },
            Framing::Length(left) => Self::Length { left },
            Framing::Chunked => Self::Chunked(ChunkedDecoder::default()),
        }
    }

    /// Bytes of content that are certain to come, if the client keeps its word.
    pub(crate) fn announced(&self) -> u64 {
        match self {
            Self::Length { left } => *left,
            Self::Chunked(chunked) if chunked.at == At::Data => chunked.size,
            Self::Chunked(_) => 0,
        }
    }

    /// Whether the content has come to its end without a byte that says so.
    pub(crate) const fn is_used_up(&self) -> bool {
        matches!(self, Self::Length { left: 0 })
    }

    /// Whether the length of the content was announced as a whole.
    pub(crate) const fn has_length(&self) -> bool {
        matches!(self, Self::Length { .. })
    }

    /// Takes the next piece from the front of `input`. Unless the end is reached, all of the input can be consumed by
    /// calling again with the rest.
    pub(crate) fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, ProtocolError> {
        match self {
            Self::Length { left } => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= take as u64;
                Ok(Piece { consumed: take, content: &input[..take], trailers: &[], end: *left == 0 })
            }
            Self::Chunked(chunked) => chunked.decode(input),
        }
    }
}

/// The chunked coding, strictly: `1*HEXDIG` that fits in 64 bits, extensions by their grammar, CRLF only, data followed
/// by exactly CRLF, trailer fields by theirs; each line and each total bounded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkedDecoder {
    at: At,
    /// The size of the chunk while its line is read, then what is left of its data.
    size: u64,
    /// Bytes of this chunk's size line.
    line: u32,
    /// Bytes of extensions, over the whole body.
    extensions: u32,
    /// Bytes of the trailer section.
    trailers: u32,
}

/// What the next byte is. BWS is the white space that a recipient has to tolerate (RFC 9110 §5.6.3); it stands before
/// and behind the `;` and `=` of an extension, never before the CRLF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    #[default]
    Size,
    /// Another digit, or what ends the size.
    Digits,
    /// White space behind a size or an extension: only `;` ends it.
    Semicolon,
    ExtensionStart,
    ExtensionName,
    /// White space behind an extension's name: `=` or `;` ends it.
    Equals,
    ValueStart,
    Value,
    Quoted,
    Escaped,
    QuotedEnd,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// The first byte of a trailer line, or the CR that ends the section.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

impl At {
    /// Behind the line of a chunk of this size: the chunk of size 0 is the last and has no data.
    #[inline]
    fn behind_size(size: u64) -> Self {
        if size == 0 { Self::TrailerStart } else { Self::Data }
    }
}

impl ChunkedDecoder {
    pub(crate) fn decode<'a>(&mut self, input: &'a [u8]) -> Result<Piece<'a>, ProtocolError> {
        let at = self.usual_line(input);
        match self.at {
            At::Data if at < input.len() => Ok(self.data(input, at)),
            _ => self.decode_by_bytes(input, at),
        }
    }

    /// The state machine, from `at` on. It needs no [`usual_line`](Self::usual_line): that only saves time.
    #[inline(never)]
    pub(crate) fn decode_by_bytes<'a>(&mut self, input: &'a [u8], mut at: usize) -> Result<Piece<'a>, ProtocolError> {
        let mut trailers = 0..0;
        while at < input.len() {
            if self.at == At::Data {
                return Ok(self.data(input, at));
            }
            let byte = input[at];
            at += 1;
            self.at = match self.at {
                At::TrailerStart | At::TrailerName | At::TrailerValue | At::TrailerLf => {
                    let next = self.trailer_byte(byte)?;
                    if next != At::EndLf {
                        trailers = if trailers.is_empty() { at - 1..at } else { trailers.start..at };
                    }
                    next
                }
                At::EndLf if byte == b'\n' => {
                    return Ok(Piece { consumed: at, content: &[], trailers: &input[trailers], end: true });
                }
                At::DataCr if byte == b'\r' => At::DataLf,
                At::DataLf if byte == b'\n' => At::Size,
                At::EndLf | At::DataCr | At::DataLf => return Err(ProtocolError::Chunk),
                _ => self.line_byte(byte)?,
            };
        }
        Ok(Piece { consumed: at, content: &[], trailers: &input[trailers], end: false })
    }

    /// Takes, all at once, the line that nearly every chunk begins with, and the CRLF of the chunk before: if both are here
    /// as a whole, and the line is digits and CRLF. Gives the number of bytes.
    ///
    /// Anything else is left to the state machine from its first byte on. So nothing is refused here, and what is taken is
    /// what the state machine would take: it stands at the first byte of a line, and leaves no trace of one but the size.
    #[inline]
    fn usual_line(&mut self, input: &[u8]) -> usize {
        let (line, before) = match (self.at, input) {
            (At::Size, _) => (input, 0),
            (At::DataCr, [b'\r', b'\n', line @ ..]) => (line, 2),
            _ => return 0,
        };
        let Some((size, len)) = size_line(line) else { return 0 };
        (self.size, self.at) = (size, At::behind_size(size));
        before + len
    }

    /// As much of the data as is here, from `from` on.
    #[inline]
    fn data<'a>(&mut self, input: &'a [u8], from: usize) -> Piece<'a> {
        let take = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - from);
        self.size -= take as u64;
        if self.size == 0 {
            self.at = At::DataCr;
        }
        Piece { consumed: from + take, content: &input[from..from + take], trailers: &[], end: false }
    }

    /// A byte of the line that holds the size (RFC 9112 §7.1, §7.1.1).
    fn line_byte(&mut self, byte: u8) -> Result<At, ProtocolError> {
        self.line += 1;
        if !matches!(self.at, At::Size | At::Digits | At::SizeLf) {
            self.extensions += 1;
        }
        if self.line > MAX_CHUNK_LINE || self.extensions > MAX_CHUNK_EXTENSIONS {
            return Err(ProtocolError::Chunk);
        }
        Ok(match (self.at, byte) {
            (At::Size | At::Digits, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                let size = self.size.checked_mul(16).ok_or(ProtocolError::ContentTooLarge)?;
                self.size = size | digit;
                At::Digits
            }
            (At::Digits | At::ExtensionName | At::Value | At::QuotedEnd, b'\r') => At::SizeLf,
            (At::Digits | At::ExtensionName | At::Equals | At::Value | At::QuotedEnd | At::Semicolon, b';') => {
                At::ExtensionStart
            }
            (At::Digits | At::Value | At::QuotedEnd | At::Semicolon, b' ' | b'\t') => At::Semicolon,
            (At::ExtensionName | At::Equals, b' ' | b'\t') => At::Equals,
            (At::ExtensionName | At::Equals, b'=') => At::ValueStart,
            (At::ExtensionStart | At::ValueStart, b' ' | b'\t') => self.at,
            (At::ExtensionStart | At::ExtensionName, _) if is_token_byte(byte) => At::ExtensionName,
            (At::ValueStart, b'"') => At::Quoted,
            (At::ValueStart | At::Value, _) if is_token_byte(byte) => At::Value,
            (At::Quoted, b'"') => At::QuotedEnd,
            (At::Quoted, b'\\') => At::Escaped,
            (At::Quoted | At::Escaped, _) if is_field_value(&[byte]) => At::Quoted,
            (At::SizeLf, b'\n') => {
                self.line = 0;
                At::behind_size(self.size)
            }
            _ => return Err(ProtocolError::Chunk),
        })
    }

    /// A byte of the trailer section. Nothing in it can change how a message is framed or routed (RFC 9110 §6.5.1).
    fn trailer_byte(&mut self, byte: u8) -> Result<At, ProtocolError> {
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(ProtocolError::TrailersTooLarge);
        }
        Ok(match (self.at, byte) {
            (At::TrailerStart, b'\r') => At::EndLf,
            (At::TrailerName, b':') => At::TrailerValue,
            (At::TrailerStart | At::TrailerName, _) if is_token_byte(byte) => At::TrailerName,
            (At::TrailerValue, b'\r') => At::TrailerLf,
            (At::TrailerValue, _) if is_field_value(&[byte]) => At::TrailerValue,
            (At::TrailerLf, b'\n') => At::TrailerStart,
            _ => return Err(ProtocolError::Trailer),
        })
    }
}

/// Most digits of a size for which [`size_line`] looks: any number of so many fits in 64 bits.
const USUAL_DIGITS: usize = 8;

/// Reads a whole line of digits and CRLF at the front of `input`: the size and the length of the line.
#[inline]
fn size_line(input: &[u8]) -> Option<(u64, usize)> {
    let mut size = 0;
    for (count, &byte) in input.iter().enumerate().take(USUAL_DIGITS + 1) {
        match (byte as char).to_digit(16) {
            Some(digit) => size = size << 4 | u64::from(digit),
            None => return (count > 0 && input[count..].starts_with(b"\r\n")).then_some((size, count + 2)),
        }
    }
    None
}
