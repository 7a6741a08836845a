//! Chunked content, read slowly.

use super::{is_token, is_value_byte, trim};
use crate::exchange::Trailers;
use crate::limits::{MAX_CHUNK_EXTENSIONS, MAX_CHUNK_LINE, MAX_TRAILERS};

/// Field lines, as (name, value).
pub(in crate::h1::tests) type Lines = Vec<(String, Vec<u8>)>;

/// What follows the head of a request with chunked content.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::h1::tests) enum Chunked {
    Whole {
        content: Vec<u8>,
        trailers: Lines,
        len: usize,
    },
    /// Everything so far is valid, and more must come.
    Unfinished {
        content: Vec<u8>,
    },
    /// Its chunks announce more content than is allowed.
    TooLarge,
    Broken(u16),
}

/// Reads `chunked-body` by recursive descent (RFC 9112 §7.1).
pub(in crate::h1::tests) fn chunked(bytes: &[u8], max_content: u64) -> Chunked {
    let mut reader = ChunkReader {
        bytes,
        at: 0,
        line: 0,
        extensions: 0,
        trailers: 0,
        lines: Vec::new(),
        content: Vec::new(),
        max_content,
    };
    match reader.body() {
        Ok(()) => Chunked::Whole { content: reader.content, trailers: reader.lines, len: reader.at },
        Err(Stop::End) => Chunked::Unfinished { content: reader.content },
        Err(Stop::TooLarge) => Chunked::TooLarge,
        Err(Stop::Wrong(status)) => Chunked::Broken(status),
    }
}

enum Stop {
    End,
    TooLarge,
    Wrong(u16),
}

struct ChunkReader<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    extensions: u32,
    trailers: u32,
    lines: Lines,
    content: Vec<u8>,
    max_content: u64,
}

impl ChunkReader<'_> {
    /// `*chunk last-chunk trailer-section CRLF`
    fn body(&mut self) -> Result<(), Stop> {
        while self.chunk()? {}
        while self.trailer_byte()? != b'\r' {
            self.at -= 1;
            self.trailers -= 1;
            self.trailer()?;
        }
        self.expect(b'\n')
    }

    /// `chunk-size [ chunk-ext ] CRLF chunk-data CRLF`; false for the last one, which has no data.
    fn chunk(&mut self) -> Result<bool, Stop> {
        self.line = 0;
        let mut digits = String::new();
        while self.peek()?.is_ascii_hexdigit() {
            digits.push(char::from(self.line_byte()?));
            if digits.trim_start_matches('0').len() > 16 {
                return Err(Stop::Wrong(413));
            }
        }
        if digits.is_empty() {
            return Err(Stop::Wrong(400));
        }
        if self.peek()? == b'\r' {
            self.line_byte()?;
        } else {
            // The byte with which the extensions begin is counted at the CR that ends them.
            self.extensions = self.extensions.wrapping_sub(1);
            while self.peek()? != b'\r' {
                self.extension()?;
            }
            self.extension_byte()?;
        }
        if self.peek()? != b'\n' {
            return Err(Stop::Wrong(400));
        }
        self.line_byte()?;
        let size = u64::from_str_radix(&digits, 16).map_err(|_| Stop::Wrong(413))?;
        if size == 0 {
            return Ok(false);
        }
        if (self.content.len() as u64).saturating_add(size) > self.max_content {
            // A caller that only decodes needs what has come so far.
            let rest = &self.bytes[self.at..];
            let take = usize::try_from(size).unwrap_or(usize::MAX).min(rest.len());
            self.content.extend_from_slice(&rest[..take]);
            return Err(Stop::TooLarge);
        }
        for _ in 0..size {
            let byte = self.peek()?;
            self.content.push(byte);
            self.at += 1;
        }
        self.expect(b'\r')?;
        self.expect(b'\n')?;
        Ok(true)
    }

    /// `BWS ";" BWS name [ BWS "=" BWS value ]`. White space before the next `;` belongs to that extension, so the line
    /// must not end in white space.
    fn extension(&mut self) -> Result<(), Stop> {
        self.white_space()?;
        if self.extension_byte()? != b';' {
            return Err(Stop::Wrong(400));
        }
        self.white_space()?;
        self.token()?;
        let spaces = self.white_space()?;
        if self.peek()? == b'=' {
            self.extension_byte()?;
            self.white_space()?;
            if self.peek()? == b'"' {
                self.quoted_string()?;
            } else {
                self.token()?;
            }
        } else if spaces && self.peek()? != b';' {
            self.extension_byte()?;
            return Err(Stop::Wrong(400));
        }
        Ok(())
    }

    fn white_space(&mut self) -> Result<bool, Stop> {
        let mut found = false;
        while matches!(self.peek()?, b' ' | b'\t') {
            self.extension_byte()?;
            found = true;
        }
        Ok(found)
    }

    fn token(&mut self) -> Result<(), Stop> {
        if !is_token(&[self.peek()?]) {
            self.extension_byte()?;
            return Err(Stop::Wrong(400));
        }
        while is_token(&[self.peek()?]) {
            self.extension_byte()?;
        }
        Ok(())
    }

    /// `DQUOTE *( qdtext / quoted-pair ) DQUOTE` (RFC 9110 §5.6.4).
    fn quoted_string(&mut self) -> Result<(), Stop> {
        self.extension_byte()?;
        loop {
            match self.extension_byte()? {
                b'"' => return Ok(()),
                b'\\' => {
                    if !is_value_byte(self.extension_byte()?) {
                        return Err(Stop::Wrong(400));
                    }
                }
                byte if is_value_byte(byte) => {}
                _ => return Err(Stop::Wrong(400)),
            }
        }
    }

    /// `field-line CRLF`
    fn trailer(&mut self) -> Result<(), Stop> {
        let mut name = Vec::new();
        loop {
            match self.trailer_byte()? {
                b':' if !name.is_empty() => break,
                byte if is_token(&[byte]) => name.push(byte),
                _ => return Err(Stop::Wrong(400)),
            }
        }
        let mut value = Vec::new();
        loop {
            match self.trailer_byte()? {
                b'\r' => break,
                byte if is_value_byte(byte) => value.push(byte),
                _ => return Err(Stop::Wrong(400)),
            }
        }
        if self.trailer_byte()? != b'\n' {
            return Err(Stop::Wrong(400));
        }
        // The excluded names are a list, which is tested beside it.
        let line = [&name, &b": x\r\n"[..]].concat();
        if !Trailers::new(&line).is_empty() {
            self.lines.push((String::from_utf8_lossy(&name).into_owned(), trim(&value).to_vec()));
        }
        Ok(())
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::End)
    }

    fn expect(&mut self, expected: u8) -> Result<(), Stop> {
        if self.peek()? != expected {
            return Err(Stop::Wrong(400));
        }
        self.at += 1;
        Ok(())
    }

    fn line_byte(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.line += 1;
        if self.line > MAX_CHUNK_LINE {
            return Err(Stop::Wrong(400));
        }
        self.at += 1;
        Ok(byte)
    }

    fn extension_byte(&mut self) -> Result<u8, Stop> {
        let byte = self.line_byte()?;
        self.extensions = self.extensions.wrapping_add(1);
        if self.extensions > MAX_CHUNK_EXTENSIONS {
            return Err(Stop::Wrong(400));
        }
        Ok(byte)
    }

    fn trailer_byte(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.trailers += 1;
        if self.trailers > MAX_TRAILERS {
            return Err(Stop::Wrong(431));
        }
        self.at += 1;
        Ok(byte)
    }
}
