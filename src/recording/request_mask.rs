//! Hides secrets in what a client sends, and nothing else, so that a replay reads every message as the server did.
//!
//! The values of secrets are hidden in heads and in trailers. Content stays as it is: if a line of it were masked, the
//! mask could reach into the next head, and what the application computes from the content would differ in a replay.
//! The framing is read with the parts of the server's own parser.

use super::mask::Mask;
use crate::http::{Version, trim};
use crate::wire::body::BodyDecoder;
use crate::wire::{Framing, FramingFields};

/// Bytes of a line that are kept to find the framing. A field line that says something about it is shorter, or it is
/// not understood.
const LINE: usize = 1024;

/// The input of a connection.
#[derive(Debug)]
pub(super) struct RequestMask {
    lines: Mask,
    place: Place,
    /// What the lines of this head have said.
    fields: FramingFields,
    /// The line, as far as it has come.
    line: Vec<u8>,
    /// The head has a line, so an empty one ends it.
    has_begun: bool,
    /// The head has a field `Upgrade`.
    offers: bool,
}

/// Where in a message the next byte is.
#[derive(Debug)]
enum Place {
    Head,
    Body(BodyDecoder),
    /// After a head that offers another protocol. If the server has taken the offer, no head follows.
    Offered,
    /// Within another protocol, which has no field lines.
    Foreign,
    /// A head or a chunk was not understood. The server does not understand it either, and reads nothing more. Every
    /// line counts as one of a head.
    Lost,
}

impl RequestMask {
    pub(super) fn new() -> Self {
        let (lines, fields, line) = (Mask::new(), FramingFields::default(), Vec::new());
        Self { lines, place: Place::Head, fields, line, has_begun: false, offers: false }
    }

    /// Masks the next bytes of the stream.
    pub(super) fn apply(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() {
            let done = match &mut self.place {
                Place::Head => self.head(bytes),
                Place::Body(_) => self.body(bytes),
                // No frame of a WebSocket begins like a head.
                Place::Offered => {
                    let is_head = bytes[0].is_ascii_graphic() || b"\r\n".contains(&bytes[0]);
                    self.place = if is_head { Place::Head } else { Place::Foreign };
                    0
                }
                Place::Foreign => return,
                Place::Lost => {
                    self.lines.apply(bytes);
                    return;
                }
            };
            bytes = &mut bytes[done..];
        }
    }

    /// Takes the next bytes of a head, up to its end. Returns how many these are.
    fn head(&mut self, bytes: &mut [u8]) -> usize {
        for (at, byte) in bytes.iter_mut().enumerate() {
            let sent = *byte;
            self.lines.apply(std::slice::from_mut(byte));
            if self.line.len() < LINE {
                self.line.push(sent);
            }
            if sent == b'\n' {
                self.end_line();
            }
            if !matches!(self.place, Place::Head) {
                return at + 1;
            }
        }
        bytes.len()
    }

    fn end_line(&mut self) {
        let is_cut = !self.line.ends_with(b"\n");
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let is_end = line.is_empty() && self.has_begun;
        self.has_begun |= !line.is_empty();
        self.offers |= line.len() > 8 && line[..8].eq_ignore_ascii_case(b"upgrade:");
        if !read_line(line, is_cut, &mut self.fields) {
            self.place = Place::Lost;
        } else if is_end {
            // A head of HTTP/1.0 with chunks is refused, so nobody reads what comes after it.
            self.place = match self.fields.framing(Version::Http11) {
                Ok(Framing::None) if self.offers => Place::Offered,
                Ok(Framing::None) => Place::Head,
                Ok(framing) => Place::Body(BodyDecoder::new(framing)),
                Err(_) => Place::Lost,
            };
            (self.fields, self.has_begun, self.offers) = (FramingFields::default(), false, false);
        }
        self.line.clear();
    }

    /// Takes the next piece of a body. Returns how many bytes this is.
    fn body(&mut self, bytes: &mut [u8]) -> usize {
        let Place::Body(decoder) = &mut self.place else { return 0 };
        let Ok(piece) = decoder.decode(bytes) else {
            self.place = Place::Lost;
            return 0;
        };
        // Content is the last part of a piece. What comes before it are lines of the chunked coding.
        let (consumed, content, end) = (piece.consumed, piece.content.len(), piece.end);
        self.lines.apply(&mut bytes[..consumed - content]);
        if end {
            (self.place, self.lines) = (Place::Head, Mask::new());
        }
        consumed
    }
}

/// Reads what a line says about the framing. Returns false if it is not understood.
fn read_line(line: &[u8], is_cut: bool, fields: &mut FramingFields) -> bool {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return true };
    let (name, value) = (&line[..colon], trim(&line[colon + 1..]));
    let read = match () {
        () if name.eq_ignore_ascii_case(b"content-length") => fields.content_length(value),
        () if name.eq_ignore_ascii_case(b"transfer-encoding") => fields.transfer_encoding(value),
        () => return true,
    };
    read.is_ok() && !is_cut
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Masks `sent` in one piece, in two pieces in all ways, and byte by byte.
    #[track_caller]
    fn check(sent: &str, recorded: &str) {
        for split in 0..=sent.len() {
            let (mut bytes, mut mask) = (sent.as_bytes().to_vec(), RequestMask::new());
            let (first, second) = bytes.split_at_mut(split);
            mask.apply(first);
            mask.apply(second);
            assert_eq!(String::from_utf8_lossy(&bytes), recorded, "split at {split}");
        }
        let (mut bytes, mut mask) = (sent.as_bytes().to_vec(), RequestMask::new());
        bytes.iter_mut().for_each(|byte| mask.apply(std::slice::from_mut(byte)));
        assert_eq!(String::from_utf8_lossy(&bytes), recorded, "byte by byte");
    }

    #[test]
    fn content_stays_as_it_is_and_the_next_head_is_masked() {
        check(
            "\r\nPOST / HTTP/1.1\r\nCookie: a\r\ncontent-length: 9\r\n\r\nCookie: aGET / HTTP/1.1\r\nCookie: a\r\n\r\n",
            "\r\nPOST / HTTP/1.1\r\nCookie: *\r\ncontent-length: 9\r\n\r\nCookie: aGET / HTTP/1.1\r\nCookie: *\r\n\r\n",
        );
        check(
            "P / HTTP/1.1\nTransfer-Encoding: Chunked\n\n9;a=b\r\nCookie: a\r\n0\r\nCookie: a\r\n\r\nCookie: a",
            "P / HTTP/1.1\nTransfer-Encoding: Chunked\n\n9;a=b\r\nCookie: a\r\n0\r\nCookie: *\r\n\r\nCookie: *",
        );
    }

    #[test]
    fn after_an_offer_comes_a_head_or_another_protocol() {
        let head = "GET / HTTP/1.1\r\nUpgrade: a\r\n\r\n";
        check(&format!("{head}\u{81}\nCookie: a"), &format!("{head}\u{81}\nCookie: a"));
        check(&format!("{head}A\nCookie: a"), &format!("{head}A\nCookie: *"));
    }

    #[test]
    fn after_a_message_that_is_not_understood_every_line_may_be_a_secret() {
        for field in [
            "Content-Length: 9\r\nContent-Length: 9",
            "Content-Length: x",
            "Content-Length: 9\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\n\r\nx",
            &format!("Content-Length:{}9", " ".repeat(LINE)),
        ] {
            let sent = format!("POST / HTTP/1.1\r\n{field}\r\n\r\nCookie: a\r\n");
            check(&sent, &sent.replace("Cookie: a", "Cookie: *"));
        }
    }
}
