//! What a client sends: requests of all kinds, one after the other, and what the reply to each must be.

use std::borrow::Cow;
use std::time::Duration;

use super::application::{LARGEST, SLACK, content};
use super::deeds::{Traits, lasting};
use super::random::Random;
use super::replies::Reply;
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::limits::MAX_DISCARD;

/// A request, or bytes that are no request.
#[derive(Debug)]
pub(super) struct Message {
    /// Where the message begins in the stream, after the empty lines before it.
    pub(super) begin: usize,
    /// Where its head ends in the stream.
    pub(super) head_end: usize,
    /// Where the message ends in the stream.
    pub(super) end: usize,
    /// Its method is HEAD.
    pub(super) is_head: bool,
    /// It expects a 100 before its content.
    pub(super) expects_continue: bool,
    /// The status of its reply. It is 0 if the message is broken and any status from 400 on will do.
    pub(super) status: u16,
    /// It is a request, though perhaps one that is refused.
    pub(super) is_request: bool,
    /// The content of its reply, if that is known exactly.
    pub(super) reply: Option<&'static [u8]>,
    /// Start and end of the parts that its reply has, each with a head of its own. They are parts of the largest file.
    pub(super) parts: Vec<(usize, usize)>,
    /// Why the reply is the last one, if it is.
    pub(super) ends: Option<CloseReason>,
    /// The idle timeout that the request sets.
    pub(super) idle: Option<Duration>,
    pub(super) traits: Traits,
}

/// All that a client sends.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) stream: Vec<u8>,
    pub(super) messages: Vec<Message>,
}

/// The kinds of messages that a client prefers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste {
    /// The largest number of messages.
    pub(super) messages: usize,
    /// The largest content of a request.
    pub(super) content: usize,
    /// The largest content of a reply.
    pub(super) reply: usize,
    /// How many of a hundred requests ask for files.
    #[cfg_attr(not(feature = "files"), expect(dead_code, reason = "nothing sends files"))]
    pub(super) files: usize,
    /// How many of a hundred other requests are unusual.
    pub(super) odd: usize,
    /// How many of a hundred unusual requests take time.
    pub(super) lasting: usize,
    /// How many of a hundred unusual requests end the connection.
    pub(super) ending: usize,
    /// How many of a hundred requests with content have the largest content.
    pub(super) full: usize,
    /// How many of a hundred clients send bytes at the end that are no request.
    pub(super) broken: usize,
    /// The largest number of bytes after the last message.
    pub(super) junk: usize,
}

/// A message that is not written into the stream yet.
pub(super) struct Draft {
    pub(super) method: &'static str,
    pub(super) deed: &'static str,
    /// The last part of the target.
    pub(super) length: usize,
    pub(super) version: &'static str,
    pub(super) fields: Vec<String>,
    pub(super) body: Body,
    pub(super) status: u16,
    pub(super) reply: Option<&'static [u8]>,
    pub(super) parts: Vec<(usize, usize)>,
    pub(super) ends: Option<CloseReason>,
    pub(super) idle: Option<Duration>,
    pub(super) traits: Traits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Length(usize),
    Chunked(usize),
    /// The first number is the announced `Content-Length`; the second is the number of bytes that come.
    Announced(u64, usize),
    /// The same, as the size of one chunk.
    AnnouncedChunk(u64, usize),
}

impl Message {
    /// The content of a reply to this message, if that is known exactly.
    pub(super) fn expected(&self, reply: &Reply) -> Option<Cow<'static, [u8]>> {
        if self.parts.is_empty() {
            return self.reply.map(Cow::Borrowed);
        }
        let boundary = reply.boundary.as_deref().unwrap_or_else(|| panic!("parts without a boundary: {reply}"));
        let all = content(0, 0, LARGEST + SLACK);
        let mut expected = Vec::new();
        for &(start, end) in &self.parts {
            let range = format!("Content-Range: bytes {start}-{}/{}", end - 1, all.len());
            expected.extend_from_slice(format!("\r\n--{boundary}\r\n{range}\r\n\r\n").as_bytes());
            expected.extend_from_slice(&all[start..end]);
        }
        expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        Some(Cow::Owned(expected))
    }
}

impl Script {
    pub(super) fn new(random: &mut Random, connection: usize, taste: &Taste, config: &Config) -> Self {
        let mut script = Self::default();
        let count = random.within(1..=taste.messages);
        for number in 0..count {
            script.add(random, connection, number, taste, config);
            if script.messages[number].traits.upgrades {
                // What follows belongs to the other protocol.
                return script;
            }
        }
        if random.percent(taste.broken) {
            script.add_broken(random, config);
        }
        let is_last = script.messages.last().is_some_and(|last| last.ends.is_some());
        if is_last && taste.junk > 0 && random.percent(50) {
            let length = random.size(taste.junk);
            script.stream.extend_from_slice(content(connection, count, length));
        }
        script
    }

    /// The first line of a message, and its length.
    pub(super) fn show(&self, message: &Message) -> String {
        let bytes = &self.stream[message.begin..message.end];
        let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        format!("{} ({} bytes)", line[..line.len().min(60)].escape_ascii(), bytes.len())
    }

    fn add(&mut self, random: &mut Random, connection: usize, number: usize, taste: &Taste, config: &Config) {
        let content_of = |length| content(connection, number, length);
        let mut draft = if let Some(draft) = file(random, taste, connection, number) {
            draft
        } else if random.percent(taste.odd) {
            if random.percent(taste.lasting) { lasting(random, taste, config) } else { odd(random, taste, config) }
        } else if random.percent(60) {
            let length = if random.percent(20) { random.size(taste.reply) } else { random.size(200) };
            let deed = random.pick(&["copy", "give", "share"]);
            draft("GET", deed, length)
        } else {
            let most = taste.content.min(config.max_content as usize);
            let length = if random.percent(taste.full) { most } else { random.size(most) };
            let body = if random.percent(50) { Body::Length(length) } else { Body::Chunked(length) };
            Draft { body, reply: Some(b"taken"), ..draft("POST", "take", length) }
        };
        let streams = draft.reply.is_none() && draft.traits.streams;
        if (draft.method == "GET" || streams) && draft.status == 200 && draft.reply.is_none() {
            draft.reply = Some(content_of(draft.length));
        }
        if draft.ends.is_none() && random.percent(taste.ending / 4) {
            let chunked = matches!(draft.body, Body::Chunked(_));
            if chunked || !draft.fields.is_empty() || random.percent(50) {
                draft.fields.push("Connection: close".to_owned());
            } else {
                draft.version = "HTTP/1.0";
            }
            draft.ends = Some(CloseReason::NotPersistent);
        }
        if random.percent(5) {
            let length = random.size(config.max_head / 4);
            draft.fields.push(format!("X-Pad: {}", "p".repeat(length)));
        }
        if random.percent(5) && draft.method != "HEAD" {
            self.stream.extend(b"\r\n".repeat(random.within(1..=3)));
        }
        self.write(random, connection, number, draft);
    }

    fn write(&mut self, random: &mut Random, connection: usize, number: usize, draft: Draft) {
        let Draft { method, deed, length, version, mut fields, body, status, reply, parts, ends, idle, mut traits } =
            draft;
        let mut expects_continue = fields.iter().any(|field| field == "Expect: 100-continue");
        if version == "HTTP/1.0" {
            (expects_continue, traits.hints, traits.trailers) = (false, false, false);
        }
        match body {
            Body::None => {}
            Body::Length(length) => fields.push(format!("Content-Length: {length}")),
            Body::Announced(length, _) => fields.push(format!("Content-Length: {length}")),
            Body::Chunked(_) | Body::AnnouncedChunk(..) => fields.push("Transfer-Encoding: chunked".to_owned()),
        }
        let begin = self.stream.len();
        self.text(&format!("{method} /{connection}/{number}/{deed}/{length} {version}\r\nHost: a\r\n"));
        fields.iter().for_each(|field| self.text(&format!("{field}\r\n")));
        self.text("\r\n");
        let head_end = self.stream.len();
        match body {
            Body::None => {}
            Body::Length(length) | Body::Announced(_, length) => {
                self.stream.extend_from_slice(content(connection, number, length));
            }
            Body::Chunked(length) => self.chunks(random, content(connection, number, length)),
            Body::AnnouncedChunk(announced, length) => {
                self.text(&format!("{announced:x}\r\n"));
                self.stream.extend_from_slice(content(connection, number, length));
            }
        }
        if traits.upgrades {
            // The client may wait for the switch of protocols before it sends its bytes.
            expects_continue = random.percent(50);
            self.stream.extend_from_slice(content(connection, number, length));
        }
        self.messages.push(Message {
            begin,
            head_end,
            end: self.stream.len(),
            is_head: method == "HEAD",
            expects_continue,
            status,
            is_request: true,
            reply,
            parts,
            ends,
            idle,
            traits,
        });
    }

    fn text(&mut self, text: &str) {
        self.stream.extend_from_slice(text.as_bytes());
    }

    /// Writes content as chunks of any size, with everything that may come with them: extensions and trailers.
    fn chunks(&mut self, random: &mut Random, mut content: &[u8]) {
        let most = random.size(content.len()).max(content.len() / 50);
        while !content.is_empty() {
            let (chunk, rest) = content.split_at(random.within(1..=most).min(content.len()));
            let extension = random.pick(&["", "", "", ";a", ";a=b", " ; a = \"b c\""]);
            self.text(&format!("{:x}{extension}\r\n", chunk.len()));
            self.stream.extend_from_slice(chunk);
            self.text("\r\n");
            content = rest;
        }
        let trailer = random.pick(&["", "", "X-Trailer: one\r\n", "X-Trailer: one\r\nX-Other: two\r\n"]);
        self.text(&format!("0\r\n{trailer}\r\n"));
    }

    /// Adds bytes that are no request.
    fn add_broken(&mut self, random: &mut Random, config: &Config) {
        let begin = self.stream.len();
        let long = "x".repeat(config.max_head + 100);
        let (status, text) = match random.below(11) {
            0 => (400, "GET /no-host HTTP/1.1\r\n\r\n"),
            1 => (400, "GET /bare HTTP/1.1\nHost: a\r\n\r\n"),
            2 => (400, "GET  /two-spaces HTTP/1.1\r\nHost: a\r\n\r\n"),
            3 => (501, "BREW /tea HTTP/1.1\r\nHost: a\r\n\r\n"),
            4 => (505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n"),
            5 => (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello"),
            6 => (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            7 => (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello6\r\n0\r\n\r\n"),
            8 => (400, "\r\n\r\n\r\n\r\n\r\n"),
            9 => (400, "HEAD /no-host HTTP/1.1\r\n\r\n"),
            _ => (0, "GET /"),
        };
        self.text(text);
        if status == 0 {
            self.text(&long);
        }
        let end = self.stream.len();
        // Of too many empty lines, only the last byte is an error.
        let begin = if text.starts_with('\r') { end - 1 } else { begin };
        self.messages.push(Message {
            begin,
            head_end: end,
            end,
            is_head: text.starts_with("HEAD"),
            expects_continue: false,
            status,
            is_request: false,
            reply: None,
            parts: Vec::new(),
            ends: Some(CloseReason::BadRequest),
            idle: None,
            traits: Traits::default(),
        });
    }
}

/// A plain request.
pub(super) fn draft(method: &'static str, deed: &'static str, length: usize) -> Draft {
    Draft {
        method,
        deed,
        length,
        version: "HTTP/1.1",
        fields: Vec::new(),
        body: Body::None,
        status: 200,
        reply: None,
        parts: Vec::new(),
        ends: None,
        idle: None,
        traits: Traits::default(),
    }
}

/// A request for a file, or for parts of one.
fn file(random: &mut Random, taste: &Taste, connection: usize, number: usize) -> Option<Draft> {
    #[cfg(feature = "files")]
    return random.percent(taste.files).then(|| super::files::draft(random, taste, connection, number));
    #[cfg(not(feature = "files"))]
    {
        let _ = (random, taste, connection, number);
        None
    }
}

/// A request that is not like most.
fn odd(random: &mut Random, taste: &Taste, config: &Config) -> Draft {
    let ends = random.percent(taste.ending);
    let length = random.size(taste.content);
    let field = |draft: Draft, line: &str| Draft { fields: vec![line.to_owned()], ..draft };
    if !ends {
        return match random.below(9) {
            0 => draft("HEAD", "give", length),
            1 => Draft { status: 409, ..draft("GET", "fail", 0) },
            2 => Draft { status: 503, ..draft("GET", "half", length) },
            3 => Draft { status: 404, ..draft("GET", "missing", 0) },
            7 => Draft { status: 409, ..draft("GET", "undo", length) },
            4 => {
                let length = random.size(MAX_DISCARD.min(config.max_content) as usize);
                Draft { status: 404, body: Body::Length(length), ..draft("POST", "missing", 0) }
            }
            5 => {
                let length = length.min(config.max_content as usize);
                let body = if random.percent(50) { Body::Length(length) } else { Body::Chunked(length) };
                let draft = Draft { body, reply: Some(b"taken"), ..draft("POST", "take", length) };
                field(draft, "Expect: 100-continue")
            }
            6 => Draft { status: 417, fields: vec!["Expect: wonders".to_owned()], ..draft("GET", "give", 0) },
            _ if random.percent(50) => {
                let millis = random.pick(&[700, 1_500, 4_000, 60_000]);
                let idle = Some(Duration::from_millis(millis as u64));
                Draft { idle, reply: Some(b"idle"), ..draft("GET", "idle", millis) }
            }
            _ => Draft {
                version: "HTTP/1.0",
                fields: vec!["Connection: keep-alive".to_owned()],
                ..draft("GET", "copy", random.size(taste.reply))
            },
        };
    }
    let over = config.max_content + 1 + random.size(1 << 20) as u64;
    let most = if random.percent(50) { 2_000 } else { taste.content };
    let length = random.size(most);
    let because = |reason, draft: Draft| Draft { ends: Some(reason), ..draft };
    match random.below(10) {
        0 => because(
            CloseReason::NotPersistent,
            Draft { version: "HTTP/1.0", ..draft("GET", "give", random.size(taste.reply)) },
        ),
        1 => {
            let draft = draft("GET", "copy", random.size(taste.reply));
            because(CloseReason::NotPersistent, field(draft, "Connection: close"))
        }
        2 => because(CloseReason::HandlerClosed, draft("GET", "close", random.size(taste.reply))),
        3 => because(CloseReason::Panicked, Draft { status: 500, ..draft("GET", "panic", 0) }),
        4 => {
            let body = Body::Length(length.min(config.max_content as usize));
            because(CloseReason::Panicked, Draft { status: 500, body, ..draft("POST", "unadmitted", 0) })
        }
        5 => {
            let body =
                if random.percent(50) { Body::Announced(over, length) } else { Body::AnnouncedChunk(over, length) };
            because(CloseReason::BadRequest, Draft { status: 413, body, ..draft("POST", "take", 0) })
        }
        6 => {
            let body = Body::Announced(config.max_content.min(9) + 1, length.min(10));
            let draft = Draft { status: 417, body, ..draft("POST", "take", 0) };
            because(CloseReason::BadRequest, field(draft, "Expect: wonders"))
        }
        7 => {
            let long = MAX_DISCARD as usize + length;
            let known = long as u64 <= config.max_content && random.percent(50);
            let body = if known { Body::Length(long) } else { Body::Chunked(length) };
            because(CloseReason::ContentUnread, Draft { status: 404, body, ..draft("POST", "missing", 0) })
        }
        8 => {
            let body = Body::Length(length.min(config.max_content as usize));
            let draft = Draft { status: 404, body, ..draft("POST", "missing", 0) };
            because(CloseReason::ContentUnread, field(draft, "Expect: 100-continue"))
        }
        _ => {
            let length = length.min(config.max_content.min(MAX_DISCARD) as usize);
            let draft = Draft { status: 404, body: Body::Length(length), ..draft("POST", "missing", 0) };
            because(CloseReason::NotPersistent, field(draft, "Connection: close"))
        }
    }
}
