//! A strict reader of replies, independent of the server's own code. It panics on everything that a client may reject.

use std::fmt;

use super::application::{NUMBER, TRAILER};

/// A reply as a client sees it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The number of the request that the reply answers; `None` if the server could not parse the message.
    pub(super) number: Option<usize>,
    /// The reply announces the end of the connection.
    pub(super) closes: bool,
    pub(super) framing: Framing,
    pub(super) content: Vec<u8>,
    /// The boundary of its parts, if it has parts.
    pub(super) boundary: Option<String>,
    /// A trailer came after its content.
    pub(super) trailer: bool,
}

/// How the reply marks the end of its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(usize),
    Chunked,
    /// By the end of the connection.
    End,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, number, closes, framing, content, .. } = self;
        write!(f, "reply {number:?}: {status}, {} bytes of {framing:?}, closes: {closes}", content.len())
    }
}

/// Whether content follows the head of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// The reply answers a HEAD.
    HeadOnly,
    /// Either is possible: the reply answers the beginning of a HEAD, and the server may not have seen its method.
    Either,
}

#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    bytes: Vec<u8>,
    at: usize,
    /// The reply whose head has come, and whose content has not.
    begun: Option<(Reply, Shape)>,
}

impl ReplyReader {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether only whole replies have come.
    pub(super) fn is_between_replies(&self) -> bool {
        let begun = self.begun.as_ref().is_some_and(|(_, shape)| *shape != Shape::Either);
        !begun && self.at == self.bytes.len()
    }

    /// The next whole reply; `shape` knows the methods of the requests.
    pub(super) fn next(&mut self, shape: impl Fn(&Reply) -> Shape) -> Option<Reply> {
        if self.begun.is_none() {
            let rest = &self.bytes[self.at..];
            let end = memchr::memmem::find(rest, b"\r\n\r\n");
            assert!(end.is_some() || rest.len() < 4096, "a reply head without end");
            let reply = read_head(&rest[..end?]);
            self.at += end? + 4;
            let shape = shape(&reply);
            self.begun = Some((reply, shape));
        }
        let (mut reply, shape) = self.begun.take()?;
        let is_whole = match reply.framing {
            _ if shape == Shape::HeadOnly || reply.status < 200 => true,
            Framing::Length(length) => self.take_content(&mut reply, length),
            Framing::Chunked => self.take_chunks(&mut reply),
            Framing::End => false,
        };
        if is_whole {
            return Some(reply);
        }
        self.begun = Some((reply, shape));
        None
    }

    fn take_content(&mut self, reply: &mut Reply, length: usize) -> bool {
        let whole = self.bytes.len() - self.at >= length;
        if whole {
            reply.content = self.bytes[self.at..self.at + length].to_vec();
            self.at += length;
        }
        whole
    }

    /// Takes whole chunks, and returns true if the last chunk and the trailers after it have come.
    fn take_chunks(&mut self, reply: &mut Reply) -> bool {
        loop {
            let rest = &self.bytes[self.at..];
            let end = memchr::memmem::find(rest, b"\r\n");
            assert!(end.is_some() || rest.len() < 20, "the size of a chunk has no end: {}", rest.escape_ascii());
            let Some(end) = end else { return false };
            let line = std::str::from_utf8(&rest[..end]).unwrap_or("?");
            let strict = line == "0" || !line.starts_with(['0', '+', '-']);
            let size = usize::from_str_radix(line, 16).ok().filter(|_| strict);
            let size = size.unwrap_or_else(|| panic!("not the size of a chunk: {line:?}"));
            if size == 0 {
                return self.take_trailers(reply, end + 2);
            }
            let Some(chunk) = rest.get(end + 2..end + 2 + size + 2) else { return false };
            let (content, crlf) = chunk.split_at(size);
            assert_eq!(crlf, b"\r\n", "the bytes after a chunk");
            reply.content.extend_from_slice(content);
            self.at += end + 2 + size + 2;
        }
    }

    fn take_trailers(&mut self, reply: &mut Reply, from: usize) -> bool {
        let rest = &self.bytes[self.at + from..];
        let end = if rest.starts_with(b"\r\n") { Some(0) } else { memchr::memmem::find(rest, b"\r\n\r\n") };
        let Some(end) = end else { return false };
        if end > 0 {
            assert_eq!(&rest[..end], format!("{TRAILER}: whole").as_bytes(), "the trailers");
            reply.trailer = true;
        }
        self.at += from + if end == 0 { 2 } else { end + 4 };
        true
    }

    /// A reply of known length that has not come whole, and what has come of its content.
    pub(super) fn partial(&self) -> Option<(&Reply, &[u8])> {
        let (reply, shape) = self.begun.as_ref()?;
        let is_counted = matches!(reply.framing, Framing::Length(_)) && *shape == Shape::Whole;
        is_counted.then(|| (reply, &self.bytes[self.at..]))
    }

    /// Takes all bytes that have come and are not parsed yet: they belong to another protocol.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.bytes.split_off(self.at);
        self.bytes.clear();
        self.at = 0;
        rest
    }

    /// Takes a reply that ends with the connection, or whose content never came although that is allowed.
    pub(super) fn last(&mut self) -> Option<Reply> {
        let ends = |(reply, shape): &(Reply, Shape)| reply.framing == Framing::End && *shape == Shape::Whole;
        if self.begun.as_ref().is_some_and(ends) {
            let content = self.take_rest();
            return self.begun.take().map(|(reply, _)| Reply { content, ..reply });
        }
        if !self.is_between_replies() {
            return None;
        }
        self.begun.take().map(|(reply, _)| reply)
    }
}

#[track_caller]
fn read_head(head: &[u8]) -> Reply {
    let text = std::str::from_utf8(head).unwrap_or_else(|_| panic!("not UTF-8: {}", head.escape_ascii()));
    let mut lines = text.split("\r\n");
    let status_line = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let (code, phrase) =
        status_line.and_then(|line| line.split_once(' ')).unwrap_or_else(|| panic!("no status line: {text:?}"));
    assert!(code.len() == 3 && !phrase.contains(|c: char| c.is_control()), "status line of {text:?}");
    let fields: Vec<(&str, &str)> = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap_or_else(|| panic!("no field line: {line:?}"));
            assert!(
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
                "{line:?}"
            );
            assert!(!value.contains(|c: char| c.is_control()), "{line:?}");
            (name, value)
        })
        .collect();
    let only = |wanted: &str| {
        let mut values = fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let value = values.next().map(|(_, value)| *value);
        assert!(values.next().is_none(), "{wanted} is there more than once: {text:?}");
        value
    };
    let status = code.parse().unwrap_or_else(|_| panic!("no status code: {text:?}"));
    let closes = only("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let parts = only("Content-Type").and_then(|value| value.strip_prefix("multipart/byteranges; boundary="));
    let boundary = parts.map(str::to_owned);
    let reply = |number, framing| {
        let (content, boundary, trailer) = (Vec::new(), boundary.clone(), false);
        Reply { status, number, closes, framing, content, boundary, trailer }
    };
    let number = only(NUMBER).map(|number| number.parse().expect("a number of ours"));
    match status {
        100 => assert!(fields.is_empty(), "a 100 has no fields here: {text:?}"),
        101 => assert_eq!((only("Upgrade"), only("Connection")), (Some("echo"), Some("upgrade"))),
        103 => assert!(only("Link").is_some() && fields.len() == 1, "hints: {text:?}"),
        _ => assert!((200..600).contains(&status), "an unexpected interim reply: {text:?}"),
    }
    let (length, coding) = (only("Content-Length"), only("Transfer-Encoding"));
    if status < 200 {
        assert_eq!((length, coding), (None, None), "{text:?}");
        return reply(number, Framing::Length(0));
    }
    assert!(only("Date").is_some_and(|date| date.len() == 29), "no date: {text:?}");
    let framing = match (length, coding) {
        (Some(length), None) => Framing::Length(length.parse().expect("a length")),
        (None, Some("chunked")) => Framing::Chunked,
        (None, None) => Framing::End,
        _ => panic!("the framing is not clear: {text:?}"),
    };
    assert!(framing != Framing::End || closes, "the reply ends with the connection, but does not say so: {text:?}");
    reply(number, framing)
}
