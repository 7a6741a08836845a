//! A strict reader of replies, independent of the server's own code: it panics on whatever a client could choke on.

use std::fmt;

use super::application::NUMBER;

/// A reply as a client sees it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// The number of the request that it answers; none tells of a message that was not understood.
    pub(super) number: Option<usize>,
    /// It announces the end of the connection.
    pub(super) closes: bool,
    pub(super) length: usize,
    pub(super) content: Vec<u8>,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, number, closes, length, content } = self;
        write!(f, "reply {number:?}: {status}, {} of {length} bytes, closes: {closes}", content.len())
    }
}

/// Whether content follows the head of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Whole,
    /// It answers a HEAD.
    HeadOnly,
    /// One of both: it answers the beginning of a HEAD, and nobody knows how much of that was seen.
    Either,
}

#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    bytes: Vec<u8>,
    at: usize,
    /// The reply whose content is to come.
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

    /// Whether nothing of a reply has come that is not a whole one.
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
        let (reply, shape) = self.begun.take()?;
        let expected = if shape == Shape::HeadOnly || reply.status == 100 { 0 } else { reply.length };
        let rest = &self.bytes[self.at..];
        if rest.len() < expected {
            self.begun = Some((reply, shape));
            return None;
        }
        let content = rest[..expected].to_vec();
        self.at += expected;
        Some(Reply { content, ..reply })
    }

    /// A reply whose content never came, where that is allowed.
    pub(super) fn last(&mut self) -> Option<Reply> {
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
    if status == 100 {
        assert!(fields.is_empty(), "a 100 has no fields here: {text:?}");
        return Reply { status, number: None, closes: false, length: 0, content: Vec::new() };
    }
    assert!((200..600).contains(&status), "an interim reply that nobody expects: {text:?}");
    assert_eq!(only("Transfer-Encoding"), None);
    assert!(only("Date").is_some_and(|date| date.len() == 29), "no date: {text:?}");
    let length = only("Content-Length").and_then(|value| value.parse().ok());
    Reply {
        status,
        number: only(NUMBER).map(|number| number.parse().expect("a number of ours")),
        closes: only("Connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
        length: length.unwrap_or_else(|| panic!("no Content-Length: {text:?}")),
        content: Vec::new(),
    }
}
