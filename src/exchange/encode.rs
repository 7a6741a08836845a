//! A reply head as bytes (RFC 9112 §4, RFC 9110 §8.6).

use super::Reply;
use super::stream::Framing;
use crate::http::{Error, Method, Result, is_field_value, is_token, status_line};

/// How the content of a reply is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// So many bytes.
    Known(u64),
    /// Not known yet: a gap is left for the digits, to be closed by [`close_gap`].
    Gap,
    /// As the content of a stream is framed.
    Streamed(Framing),
}

/// The `Content-Type` of a reply whose handler set none, and the beginning of the line that comes next: the two stand in
/// nearly every head, and so are appended as one.
#[derive(Clone, Copy, Debug)]
pub(super) struct ContentType(pub(super) &'static str);

impl ContentType {
    pub(super) const NONE: Self = Self("Content-Length: ");

    /// Both lines, up to the digits.
    const fn with_length(self) -> &'static [u8] {
        self.0.as_bytes()
    }

    /// The first line alone.
    fn alone(self) -> &'static [u8] {
        self.with_length().strip_suffix(Self::NONE.with_length()).unwrap_or_default()
    }
}

/// Room for the digits of the longest `Content-Length`.
const GAP: usize = 20;

impl Reply {
    /// Whether a reply with this status has content on the wire: not to HEAD, not with 204, 205 and 304
    /// (RFC 9110 §6.4.1, §15.3.6).
    pub(super) fn has_content(&self) -> bool {
        self.request.method != Some(Method::Head) && !matches!(self.rare.status, 204 | 205 | 304)
    }

    /// Whether the head is that of nearly every reply: a 200, not to HEAD, and no line of the handler's that stands in
    /// place of one of ours. Such a head is [encoded](Self::encode_ordinary_head) with few questions.
    #[inline]
    pub(super) fn is_ordinary(&self) -> bool {
        (self.is_plain() || self.has_ordinary_status())
            && self.request.method != Some(Method::Head)
            && self.fields.has.is_none()
    }

    #[inline(never)]
    fn has_ordinary_status(&self) -> bool {
        self.rare.status == 200 && self.rare.fault.is_none() && self.rare.reason.is_none()
    }

    /// [`encode_head`](Self::encode_head) for a reply that is ordinary.
    #[inline(always)]
    pub(super) fn encode_ordinary_head(&self, out: &mut Vec<u8>, content_type: ContentType, length: usize) {
        out.extend_from_slice(&self.prefix.bytes);
        if !self.fields.text.is_empty() {
            out.extend_from_slice(self.fields.text.as_bytes());
        }
        self.encode_connection(out);
        out.extend_from_slice(content_type.with_length());
        out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// Appends the head, blank line included. `content_type` is for a handler that set none.
    ///
    /// Gives the position of the gap in `out`, if `length` is one and the head has it.
    #[inline]
    pub(super) fn encode_head(&self, out: &mut Vec<u8>, content_type: ContentType, length: Length) -> Option<usize> {
        let has = self.fields.has;
        match self.rare.status {
            200 if self.rare.reason.is_none() && !has.server && !has.date => out.extend_from_slice(&self.prefix.bytes),
            _ => self.encode_other_prefix(out),
        }
        out.extend_from_slice(self.fields.text.as_bytes());
        self.encode_connection(out);
        let content_type = if has.content_type { ContentType::NONE } else { content_type };
        self.encode_length(out, content_type, length)
    }

    /// The first lines of a head that does not begin like nearly every other.
    #[cold]
    fn encode_other_prefix(&self, out: &mut Vec<u8>) {
        match (&self.rare.reason, status_line(self.rare.status)) {
            (None, Some(line)) => out.extend_from_slice(line.as_bytes()),
            (reason, _) => encode_status_line(out, self.rare.status, reason.as_deref().unwrap_or_default()),
        }
        out.extend_from_slice(self.prefix.lines_beside(self.fields.has));
    }

    /// The announcement of the connection's fate (RFC 9112 §9.3, §9.6).
    #[inline]
    pub(super) fn encode_connection(&self, out: &mut Vec<u8>) {
        if self.closes() {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if self.request.announce.is_some() {
            out.extend_from_slice(self.keep_alive.lines.as_bytes());
        }
    }

    /// `Content-Type`, `Content-Length` and the blank line. 204 never has a length; 304 only the one that the handler set,
    /// since the length of what a GET would have brought is not ours to know.
    #[inline]
    fn encode_length(&self, out: &mut Vec<u8>, content_type: ContentType, length: Length) -> Option<usize> {
        if self.fields.has.content_length.is_some() || matches!(self.rare.status, 204 | 304) {
            out.extend_from_slice(content_type.alone());
            out.extend_from_slice(b"\r\n");
            return None;
        }
        if let Length::Streamed(framing) = length {
            self.encode_framing(out, content_type, framing);
            return None;
        }
        out.extend_from_slice(content_type.with_length());
        let at = out.len();
        match length {
            Length::Known(length) => out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes()),
            Length::Gap | Length::Streamed(_) => out.extend_from_slice(&[b'0'; GAP]),
        }
        out.extend_from_slice(b"\r\n\r\n");
        (length == Length::Gap).then_some(at)
    }

    /// `Content-Type`, what announces a stream, and the blank line.
    #[cold]
    fn encode_framing(&self, out: &mut Vec<u8>, content_type: ContentType, framing: Framing) {
        out.extend_from_slice(content_type.alone());
        match framing {
            // RFC 9110 §15.3.6: a 205 has no content.
            _ if self.rare.status == 205 => out.extend_from_slice(b"Content-Length: 0\r\n"),
            Framing::Length { left } => out.extend_from_slice(format!("Content-Length: {left}\r\n").as_bytes()),
            Framing::Chunked { .. } => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Framing::Close => {}
        }
        out.extend_from_slice(b"\r\n");
    }

    /// The head of a 101 (RFC 9110 §15.2.2): it has no content, so it says nothing of its length.
    pub(super) fn encode_switch(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n");
        out.extend_from_slice(self.prefix.lines_beside(self.fields.has));
        out.extend_from_slice(self.fields.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// An interim reply (RFC 9110 §15.2) as it goes on the wire.
///
/// # Errors
/// When a name or a value cannot stand in a field line.
pub(crate) fn encode_interim<N: AsRef<str>, V: AsRef<str>>(
    status: u16,
    fields: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<u8>> {
    let phrase = if status == 103 { "Early Hints" } else { "" };
    let mut out = format!("HTTP/1.1 {status} {phrase}\r\n").into_bytes();
    for (name, value) in fields {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !is_token(name.as_bytes()) || !is_field_value(value.as_bytes()) || is_framing(name) {
            return Err(Error::internal(format!("not a field line of an interim reply: {name:?}: {value:?}")));
        }
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// What an interim reply must not have: it has no content (RFC 9110 §8.6, RFC 9112 §6.1).
fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding", "connection"].iter().any(|framing| framing.eq_ignore_ascii_case(name))
}

#[cold]
fn encode_status_line(out: &mut Vec<u8>, status: u16, reason: &str) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    out.push(b' ');
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes `length` into the gap and moves up what comes after it.
pub(super) fn close_gap(out: &mut Vec<u8>, gap: usize, length: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(length).as_bytes();
    let end = gap + digits.len();
    out[gap..end].copy_from_slice(digits);
    out.copy_within(gap + GAP.., end);
    out.truncate(out.len() - (GAP - digits.len()));
}
