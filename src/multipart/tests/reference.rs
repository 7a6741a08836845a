//! A slow reader of a multipart body (RFC 2046 §5.1.1). It has the whole body, searches from the front again and again,
//! and knows no state machine.

use super::play::{Outcome, Piece};
use crate::limits::{MAX_AROUND_PARTS, MAX_PART_HEADER};
use crate::multipart::fault::Fault;

pub(super) fn read(boundary: &str, body: &[u8]) -> Outcome {
    let mut reader = Reader { delimiter: format!("\r\n--{boundary}").into_bytes(), around: 0, parts: Vec::new() };
    // The first boundary line needs no CRLF before it; here it has one in any case.
    let end = reader.read(&[b"\r\n", body].concat());
    Outcome { parts: reader.parts, end }
}

struct Reader {
    delimiter: Vec<u8>,
    around: usize,
    parts: Vec<Piece>,
}

impl Reader {
    fn read(&mut self, text: &[u8]) -> Result<(), Fault> {
        let (preamble, mut after) = self.until_delimiter(text);
        self.skip(preamble.len())?;
        while let Some(rest) = after {
            if let Some(rest) = rest.strip_prefix(b"--") {
                return self.last(rest);
            }
            if rest == b"-" {
                break;
            }
            let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            self.skip(padding)?;
            let rest = match &rest[padding..] {
                [] | [b'\r'] => break,
                [b'\r', b'\n', rest @ ..] => rest,
                _ => return Err(Fault::BoundaryLine),
            };
            let Some(len) = header_len(rest) else {
                return Err(if rest.len() > MAX_PART_HEADER { too_large() } else { Fault::Incomplete });
            };
            if len > MAX_PART_HEADER {
                return Err(too_large());
            }
            // The end of the header can be the CRLF of the delimiter.
            let (content, next) = self.until_delimiter(&rest[len - 2..]);
            self.parts.push(Piece {
                header: rest[..len].to_vec(),
                content: content.to_vec(),
                is_whole: next.is_some(),
            });
            after = next;
        }
        Err(Fault::Incomplete)
    }

    /// What comes after the last boundary.
    fn last(&mut self, rest: &[u8]) -> Result<(), Fault> {
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.skip(padding)?;
        match &rest[padding..] {
            [] => Ok(()),
            [b'\r'] => Err(Fault::Incomplete),
            [b'\r', epilogue @ ..] if epilogue[0] == b'\n' => self.skip(epilogue.len()),
            _ => Err(Fault::BoundaryLine),
        }
    }

    /// Splits a text that begins with CRLF. Returns what is between that and the next delimiter, and what comes after
    /// the delimiter. Without a delimiter, the end of the text is left out if it may be the beginning of one.
    fn until_delimiter<'a>(&self, text: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
        let len = self.delimiter.len();
        for at in 0..text.len() {
            if text[at..].starts_with(&self.delimiter) {
                return (text.get(2..at).unwrap_or_default(), Some(&text[at + len..]));
            }
            if self.delimiter.starts_with(&text[at..]) {
                return (text.get(2..at).unwrap_or_default(), None);
            }
        }
        (&text[2..], None)
    }

    fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.around += count;
        if self.around > MAX_AROUND_PARTS { Err(Fault::Around) } else { Ok(()) }
    }
}

fn header_len(text: &[u8]) -> Option<usize> {
    if text.starts_with(b"\r\n") {
        return Some(2);
    }
    text.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4)
}

const fn too_large() -> Fault {
    Fault::HeaderTooLarge(MAX_PART_HEADER)
}
