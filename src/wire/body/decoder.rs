//! The content of a request, decoded piece by piece as it arrives (RFC 9112 §6.2, §7.1). No byte is copied here.

use crate::http::{is_field_value, is_token_byte};
use crate::limits::{MAX_CHUNK_EXTENSIONS, MAX_CHUNK_LINE, MAX_TRAILERS};
use crate::wire::{Framing, ProtocolError};

/// Takes the framing off a body, and knows where in the body the input is.
#[derive(Debug)]
pub(crate) enum BodyDecoder {
    Length { left: u64 },
    Chunked(ChunkedDecoder),
}

/// The result of a step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The number of bytes of the input that this step has used.
    pub(crate) consumed: usize,
    /// The content among them.
    pub(crate) content: &'a [u8],
    /// The trailer lines among them, or parts of trailer lines.
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

    /// Bytes of content that the client has announced and not sent yet.
    pub(crate) fn announced(&self) -> u64 {
        match self {
            Self::Length { left } => *left,
            Self::Chunked(chunked) if chunked.at == At::Data => chunked.size,
            Self::Chunked(_) => 0,
        }
    }

    /// Whether the announced length has arrived, so that no byte has to follow.
    pub(crate) const fn is_used_up(&self) -> bool {
        matches!(self, Self::Length { left: 0 })
    }

    /// Whether the length of the content was announced as a whole.
    pub(crate) const fn has_length(&self) -> bool {
        matches!(self, Self::Length { .. })
    }

    /// Takes the next piece from the front of `input`. The caller calls again with the rest until the end is reached or
    /// all of the input is used.
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

/// The chunked coding, read strictly. A size is `1*HEXDIG` that fits in 64 bits. Extensions and trailer fields follow
/// their grammar. A line ends in CRLF, and so do the data. Each line and each total has a limit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkedDecoder {
    at: At,
    /// The size of the chunk while its size line is read, and then the length of the data that are left.
    size: u64,
    /// Bytes of this chunk's size line.
    line: u32,
    /// Bytes of extensions, over the whole body.
    extensions: u32,
    /// Bytes of the trailer section.
    trailers: u32,
}

/// What the next byte is. A recipient has to tolerate white space before and after the `;` and the `=` of an extension
/// (BWS, RFC 9110 §5.6.3), but not before the CRLF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// The first digit of a size.
    #[default]
    Size,
    /// Another digit, or the byte that ends the size.
    Digits,
    /// White space after a size or an extension; only `;` ends it.
    Semicolon,
    ExtensionStart,
    ExtensionName,
    /// White space after the name of an extension; `=` or `;` ends it.
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
    /// The state after the line of a chunk of this size. A chunk of size 0 is the last one, and has no data.
    #[inline]
    fn after_size(size: u64) -> Self {
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

    /// Runs the state machine, from `at` on. [`usual_line`](Self::usual_line) only saves time.
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

    /// Reads at once the CRLF of the chunk before and the next size line, if both are whole and the line has only
    /// digits. Returns the number of bytes.
    ///
    /// The state machine gets everything else, from its first byte on. So nothing is refused here. What is read here,
    /// the state machine would read with the same result: it begins at the first byte of a line, and keeps only the
    /// size.
    #[inline]
    fn usual_line(&mut self, input: &[u8]) -> usize {
        let (line, before) = match (self.at, input) {
            (At::Size, _) => (input, 0),
            (At::DataCr, [b'\r', b'\n', line @ ..]) => (line, 2),
            _ => return 0,
        };
        let Some((size, len)) = size_line(line) else { return 0 };
        (self.size, self.at) = (size, At::after_size(size));
        before + len
    }

    /// Takes as much of the data as the input has, from `from` on.
    #[inline]
    fn data<'a>(&mut self, input: &'a [u8], from: usize) -> Piece<'a> {
        let take = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - from);
        self.size -= take as u64;
        if self.size == 0 {
            self.at = At::DataCr;
        }
        Piece { consumed: from + take, content: &input[from..from + take], trailers: &[], end: false }
    }

    /// Reads a byte of a size line (RFC 9112 §7.1, §7.1.1).
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
                At::after_size(self.size)
            }
            _ => return Err(ProtocolError::Chunk),
        })
    }

    /// Reads a byte of the trailer section, which cannot change how a message is framed or routed (RFC 9110 §6.5.1).
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

/// The most digits that [`size_line`] reads. Any number with so many digits fits in 64 bits.
const USUAL_DIGITS: usize = 8;

/// Reads a whole line of digits and CRLF at the front of `input`. Returns the size, and the length of the line.
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
