use std::fmt;
use std::io::Write;

use crate::http::{is_field_value, is_token};
use crate::limits::MAX_TRAILERS;

/// The trailer section of a chunked request: field lines that arrived after its content (RFC 9110 §6.5).
///
/// They are apart from the head and are never merged into it. Some fields frame or route the message, or say who sent
/// it or how to read it. They are too late when the content has been read (RFC 9110 §6.5.1), so such lines are left
/// out.
///
/// ```
/// # use monoloop::{Router, TestClient};
/// let mut app = Router::new(());
/// app.post("/upload", |_, req, res| {
///     let names: Vec<&str> = req.trailers().iter().map(|(name, _)| name).collect();
///     assert_eq!(names, ["Content-Digest"]);
///     res.text(req.trailer("content-digest").unwrap_or_default())
/// });
/// # let mut client = TestClient::new(app);
/// # client.write("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
/// # client.write("5\r\nhello\r\n0\r\nContent-Digest: sha-256=:LPJNul:\r\nContent-Length: 9\r\n\r\n");
/// # assert_eq!(client.read_reply().unwrap().text(), "sha-256=:LPJNul:");
/// ```
#[derive(Clone, Copy, Default)]
pub struct Trailers<'a>(&'a [u8]);

/// Fields that do not belong in a trailer section (RFC 9110 §6.5.1): message framing, routing, connection management,
/// request modifiers, authentication, and the fields that describe the content.
const IGNORED: [&str; 26] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field of this name does not belong in a trailer section.
fn is_ignored(name: &str) -> bool {
    IGNORED.iter().any(|ignored| ignored.eq_ignore_ascii_case(name))
}

impl<'a> Trailers<'a> {
    /// `lines` are whole field lines, each with its CRLF. The decoder has checked them.
    pub(crate) const fn new(lines: &'a [u8]) -> Self {
        Self(lines)
    }

    /// The value of the first field line of this name.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// The values of all field lines of this name, in order.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.iter().filter(move |(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All field lines: each name as the client wrote it, and each value without the white space around it.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + use<'a> {
        self.0.split(|&byte| byte == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            // A name is a token: the decoder has checked it.
            let name = std::str::from_utf8(&line[..colon]).ok()?;
            (!is_ignored(name)).then(|| (name, line[colon + 1..].trim_ascii()))
        })
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl fmt::Debug for Trailers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(name, value)| (name, value.escape_ascii().to_string()))).finish()
    }
}

/// The trailer section of a reply in the making.
#[derive(Debug, Default)]
pub(crate) struct TrailerLines(Vec<u8>);

impl TrailerLines {
    /// Adds a field line.
    ///
    /// # Errors
    /// A text that says what is wrong with the line, or that the section would be too large.
    pub(crate) fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        if !is_token(name.as_bytes()) || !is_field_value(value.as_bytes()) || is_ignored(name) {
            return Err(format!("not a trailer: {name:?}: {value:?}"));
        }
        if self.0.len() + name.len() + value.len() + ": \r\n".len() > MAX_TRAILERS as usize {
            return Err("the trailers are too large".to_owned());
        }
        let _ = write!(self.0, "{name}: {value}\r\n");
        Ok(())
    }

    /// The lines as they are sent.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_came() {
        let trailers = Trailers::new(b"X-One: 1\r\nx-two:\t two \t\r\nX-ONE:3\r\nX-Empty:\r\nX-Bytes: \xff:\x80\r\n");
        let all: Vec<_> = trailers.iter().collect();
        let expected: [(&str, &[u8]); 5] =
            [("X-One", b"1"), ("x-two", b"two"), ("X-ONE", b"3"), ("X-Empty", b""), ("X-Bytes", b"\xff:\x80")];
        assert_eq!(all, expected);
        assert_eq!(trailers.all("x-one").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!((trailers.get("X-TWO"), trailers.get("X")), (Some(&b"two"[..]), None));
        assert!(!trailers.is_empty() && Trailers::default().is_empty());
    }

    #[test]
    fn fields_that_do_not_belong_are_left_out_in_any_case() {
        for name in IGNORED.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]) {
            let lines = format!("{name}: x\r\nX: y\r\n");
            assert_eq!(Trailers::new(lines.as_bytes()).iter().collect::<Vec<_>>(), [("X", &b"y"[..])], "{name}");
        }
    }

    #[test]
    fn what_frames_or_routes_a_message_is_left_out() {
        let trailers =
            Trailers::new(b"Content-Length: 9\r\nTRANSFER-encoding: chunked\r\nHost: evil\r\nHosts: fine\r\n");
        assert_eq!(trailers.iter().collect::<Vec<_>>(), [("Hosts", &b"fine"[..])]);
        assert!(IGNORED.is_sorted());
    }
}
