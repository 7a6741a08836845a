//! A reply head as bytes (RFC 9112 §4, RFC 9110 §8.6).

use super::field_lines::FieldLines;
use super::rendered::RenderedLines;
use crate::http::status_line;

/// A reply head as plain data: everything that is encoded, apart from the `Content-Type` and the length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyHead<'a> {
    pub(crate) rendered: &'a RenderedLines,
    pub(crate) status: u16,
    /// The reason phrase, if it is not the registered one.
    pub(crate) reason: Option<&'a str>,
    /// The field lines of the application.
    pub(crate) fields: &'a FieldLines,
    pub(crate) persistence: Persistence,
}

/// What a head says of the connection (RFC 9112 §9.3, §9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Persistence {
    /// The connection closes after this reply.
    Close,
    /// It goes on, and the client asked to be told so.
    KeepAlive,
    /// It goes on. HTTP/1.1 expects that, so the head does not say it.
    Default,
}

/// How the head announces the length of the content (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    /// The number of bytes.
    Known(u64),
    /// Not known yet. The head gets a [`LengthGap`] for the digits.
    Gap,
    /// The content is sent in chunks.
    Chunked,
    /// The end of the connection is the end of the content.
    CloseDelimited,
}

/// The `Content-Type` of a reply whose handler set none, and the beginning of the next line. Nearly every head has the
/// two in this order, so they are appended as one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContentType(&'static str);

impl ContentType {
    pub(crate) const TEXT: Self = Self("Content-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    pub(crate) const HTML: Self = Self("Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
    pub(crate) const BYTES: Self = Self("Content-Type: application/octet-stream\r\nContent-Length: ");
    #[cfg(feature = "json")]
    pub(crate) const JSON: Self = Self("Content-Type: application/json\r\nContent-Length: ");
    /// No `Content-Type`.
    pub(crate) const NONE: Self = Self("Content-Length: ");

    /// Both lines, up to the digits.
    const fn with_length(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The value of the first line; empty if there is no such line.
    pub(crate) fn value(self) -> &'static str {
        let line = self.0.split("\r\n").next().unwrap_or_default();
        line.strip_prefix("Content-Type: ").unwrap_or_default()
    }

    /// The first line alone.
    fn alone(self) -> &'static [u8] {
        self.with_length().strip_suffix(Self::NONE.with_length()).unwrap_or_default()
    }
}

impl ReplyHead<'_> {
    /// Appends the first lines of an ordinary head: a 200 whose field lines replace none of ours.
    /// Only what announces the content is missing after them.
    #[inline(always)]
    pub(crate) fn encode_ordinary_opening(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.rendered.opening());
        if !self.fields.text.is_empty() {
            out.extend_from_slice(self.fields.text.as_bytes());
        }
        self.encode_persistence(out);
    }

    /// Does the same as [`encode`](Self::encode) for an ordinary head, with fewer decisions.
    #[inline(always)]
    pub(crate) fn encode_ordinary(&self, out: &mut Vec<u8>, content_type: ContentType, length: usize) {
        self.encode_ordinary_opening(out);
        out.extend_from_slice(content_type.with_length());
        out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends the head, blank line included. `content_type` is for a handler that set none.
    ///
    /// Returns the gap if `length` asks for one and the head has it.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>, content_type: ContentType, length: BodyLength) -> Option<LengthGap> {
        let has = self.fields.has;
        match self.status {
            200 if self.reason.is_none() && !has.server && !has.date => out.extend_from_slice(self.rendered.opening()),
            _ => self.encode_unusual_opening(out),
        }
        out.extend_from_slice(self.fields.text.as_bytes());
        self.encode_persistence(out);
        let content_type = if has.content_type { ContentType::NONE } else { content_type };
        self.encode_length(out, content_type, length)
    }

    /// The first lines of a head that does not begin like nearly every other.
    #[cold]
    fn encode_unusual_opening(&self, out: &mut Vec<u8>) {
        match (self.reason, status_line(self.status)) {
            (None, Some(line)) => out.extend_from_slice(line.as_bytes()),
            (reason, _) => encode_status_line(out, self.status, reason.unwrap_or_default()),
        }
        out.extend_from_slice(self.rendered.server_and_date(self.fields.has));
    }

    #[inline]
    fn encode_persistence(&self, out: &mut Vec<u8>) {
        match self.persistence {
            Persistence::Close => out.extend_from_slice(b"Connection: close\r\n"),
            Persistence::KeepAlive => out.extend_from_slice(self.rendered.keep_alive()),
            Persistence::Default => {}
        }
    }

    /// `Content-Type`, what announces the length, and the blank line. A 204 never has a length. A 304 has only one that
    /// the handler set, since the server does not know the length of what a GET would have brought.
    #[inline]
    fn encode_length(&self, out: &mut Vec<u8>, content_type: ContentType, length: BodyLength) -> Option<LengthGap> {
        if self.fields.has.content_length.is_some() || matches!(self.status, 204 | 304) {
            out.extend_from_slice(content_type.alone());
            out.extend_from_slice(b"\r\n");
            return None;
        }
        if let BodyLength::Chunked | BodyLength::CloseDelimited = length {
            encode_without_length(out, content_type, length);
            return None;
        }
        out.extend_from_slice(content_type.with_length());
        let at = out.len();
        match length {
            BodyLength::Known(length) => out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes()),
            _ => out.extend_from_slice(&[b'0'; LengthGap::WIDTH]),
        }
        out.extend_from_slice(b"\r\n\r\n");
        (length == BodyLength::Gap).then_some(LengthGap { at })
    }

    /// The head of a 101 (RFC 9110 §15.2.2). It has no content, so it announces no length.
    pub(crate) fn encode_switch(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n");
        out.extend_from_slice(self.rendered.server_and_date(self.fields.has));
        out.extend_from_slice(self.fields.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// `Content-Type`, what announces content of unknown length, and the blank line.
#[cold]
fn encode_without_length(out: &mut Vec<u8>, content_type: ContentType, length: BodyLength) {
    out.extend_from_slice(content_type.alone());
    if length == BodyLength::Chunked {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

#[cold]
fn encode_status_line(out: &mut Vec<u8>, status: u16, reason: &str) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Room in a head for the digits of a `Content-Length` that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LengthGap {
    at: usize,
}

impl LengthGap {
    /// The digits of the greatest length.
    const WIDTH: usize = 20;

    /// Writes `length` into the gap and moves up what comes after it.
    pub(crate) fn close(self, out: &mut Vec<u8>, length: usize) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(length).as_bytes();
        let end = self.at + digits.len();
        out[self.at..end].copy_from_slice(digits);
        out.copy_within(self.at + Self::WIDTH.., end);
        out.truncate(out.len() - (Self::WIDTH - digits.len()));
    }
}
