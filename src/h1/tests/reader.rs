//! An independent small reader of replies. It panics on everything that a strict client would reject.

/// Field lines as (name, value).
pub(super) type Lines = Vec<(String, String)>;

/// A reply as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) reason: String,
    pub(super) fields: Lines,
    pub(super) content: Vec<u8>,
    /// The number of `100 Continue` before the reply.
    pub(super) continues: usize,
    /// The field lines of each `103 Early Hints` before the reply.
    pub(super) hints: Vec<Lines>,
    /// The sizes of its chunks, if it is chunked.
    pub(super) chunks: Option<Vec<usize>>,
    /// The field lines after the last chunk.
    pub(super) trailers: Lines,
}

impl Reply {
    /// The value of the only field line of this name.
    #[track_caller]
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there more than once: {self:?}");
        value
    }

    /// Whether the reply announces the end of the connection.
    pub(super) fn closes(&self) -> bool {
        let mut lines = self.fields.iter().filter(|(line, _)| line.eq_ignore_ascii_case("Connection"));
        lines.any(|(_, value)| value.split(", ").any(|option| option.eq_ignore_ascii_case("close")))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// Reads all replies in `bytes`. `is_head` says whether the n-th request was a HEAD. A 100 at the end belongs to a
/// reply that has not come yet.
#[track_caller]
pub(super) fn read_all(mut bytes: &[u8], is_head: impl Fn(usize) -> bool) -> Vec<Reply> {
    let mut replies = Vec::new();
    while !bytes.is_empty() {
        replies.extend(read(&mut bytes, is_head(replies.len())));
    }
    replies
}

#[track_caller]
fn read(bytes: &mut &[u8], is_head: bool) -> Option<Reply> {
    let (mut continues, mut hints) = (0, Vec::new());
    loop {
        let (status, reason, fields) = read_head(bytes);
        if status == 100 {
            assert!(fields.is_empty(), "a 100 has no fields here: {fields:?}");
            continues += 1;
            if bytes.is_empty() {
                return None;
            }
            continue;
        }
        if status == 103 {
            hints.push(fields);
            if bytes.is_empty() {
                return None;
            }
            continue;
        }
        assert!(status >= 200, "an interim reply that nobody expects: {status}");
        let (content, chunks, trailers) = (Vec::new(), None, Vec::new());
        let mut reply = Reply { status, reason, fields, content, continues, hints, chunks, trailers };
        assert!(reply.field("Date").is_some_and(|date| date.len() == 29 && date.ends_with(" GMT")), "{reply:?}");
        let length = reply.field("Content-Length").map(|value| {
            assert!(!value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()), "{value:?}");
            value.parse::<usize>().expect("a Content-Length that fits")
        });
        if let Some(coding) = reply.field("Transfer-Encoding") {
            assert_eq!((coding, length), ("chunked", None), "RFC 9112 §6.2: {reply:?}");
            assert!(!matches!(status, 204 | 205), "RFC 9112 §6.1: {reply:?}");
            if !is_head && status != 304 {
                (reply.content, reply.chunks, reply.trailers) = read_chunks(bytes);
            }
            return Some(reply);
        }
        let expected = match status {
            204 => {
                assert_eq!(length, None, "RFC 9110 §8.6: no Content-Length with a 204");
                0
            }
            304 => 0,
            _ => {
                let length = length.unwrap_or_else(|| panic!("no Content-Length: {reply:?}"));
                if is_head { 0 } else { length }
            }
        };
        assert!(bytes.len() >= expected, "content of {expected} bytes is cut off at {}: {reply:?}", bytes.len());
        let (content, rest) = bytes.split_at(expected);
        reply.content = content.to_vec();
        *bytes = rest;
        return Some(reply);
    }
}

/// Reads the only reply in `bytes`, whose content ends with the connection.
#[track_caller]
pub(super) fn read_to_end(mut bytes: &[u8]) -> Reply {
    let (status, reason, fields) = read_head(&mut bytes);
    let (continues, hints, chunks, trailers) = (0, Vec::new(), None, Vec::new());
    let reply = Reply { status, reason, fields, content: bytes.to_vec(), continues, hints, chunks, trailers };
    assert_eq!((reply.field("Transfer-Encoding"), reply.field("Content-Length")), (None, None), "{reply:?}");
    assert!(reply.closes(), "{reply:?}");
    reply
}

/// Content in chunks as we send them: sizes without leading zeros and without extensions (RFC 9112 §7.1).
#[track_caller]
fn read_chunks(bytes: &mut &[u8]) -> (Vec<u8>, Option<Vec<usize>>, Lines) {
    let (mut content, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let line = read_line(bytes);
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(!line.is_empty() && line.bytes().all(is_hex), "a chunk size: {line:?}");
        let size = usize::from_str_radix(&line, 16).expect("a size that fits");
        assert_eq!(line, format!("{size:x}"));
        if size == 0 {
            break;
        }
        assert!(bytes.len() >= size + 2, "a chunk of {size} bytes is cut off at {}", bytes.len());
        let (data, rest) = bytes.split_at(size);
        assert!(rest.starts_with(b"\r\n"), "a chunk ends in {}", rest[..2].escape_ascii());
        (*bytes, _) = (&rest[2..], content.extend_from_slice(data));
        sizes.push(size);
    }
    let mut trailers = Vec::new();
    loop {
        let line = read_line(bytes);
        if line.is_empty() {
            return (content, Some(sizes), trailers);
        }
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field line: {line:?}"));
        trailers.push((name.to_owned(), value.to_owned()));
    }
}

#[track_caller]
fn read_line(bytes: &mut &[u8]) -> String {
    let shown = bytes[..bytes.len().min(100)].escape_ascii();
    let end = bytes.windows(2).position(|window| window == b"\r\n");
    let end = end.unwrap_or_else(|| panic!("a line is cut off: {shown}"));
    let line = String::from_utf8(bytes[..end].to_vec()).unwrap_or_else(|_| panic!("not UTF-8: {shown}"));
    *bytes = &bytes[end + 2..];
    line
}

#[track_caller]
pub(super) fn read_head(bytes: &mut &[u8]) -> (u16, String, Lines) {
    let shown = bytes[..bytes.len().min(300)].escape_ascii();
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no reply head: {shown}"));
    let head = std::str::from_utf8(&bytes[..end]).unwrap_or_else(|_| panic!("not UTF-8: {shown}"));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).unwrap_or_default();
    let (code, reason) = status.split_once(' ').unwrap_or_else(|| panic!("no status line: {shown}"));
    assert!(code.len() == 3 && !reason.contains(['\r', '\n', '\0']), "status line: {status:?}");
    let fields = lines.map(|line| {
        let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field line: {line:?} in {shown}"));
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert!(name.bytes().all(is_token) && !name.is_empty(), "{line:?}");
        assert!(!value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t'), "{line:?}");
        (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
    });
    let fields = fields.collect();
    let status = code.parse().unwrap_or_else(|_| panic!("no status code: {code:?}"));
    *bytes = &bytes[end + 4..];
    (status, reason.to_owned(), fields)
}
