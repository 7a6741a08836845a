//! Replies that a handler might write, as values: what the handler does, and what a client must then read.

use super::app::{Seen, Witness};
use super::bench::{Bench, Fate};
use super::reader::Reply;
use super::reference;
use crate::config::Config;
use crate::exchange::{Delegate, Nothing};
use crate::http::{Method, Version, reason_phrase};
use crate::{Error, Request, Response, Result, Sent};

/// A request, and what the handler does with its response.
#[derive(Clone, Debug)]
pub(super) struct Script {
    pub(super) method: Method,
    pub(super) version: Version,
    /// The value of the request's Connection field.
    pub(super) connection: Option<&'static str>,
    pub(super) status: u16,
    pub(super) reason: Option<String>,
    pub(super) steps: Vec<Step>,
    pub(super) content: Content,
}

/// What is done to the field lines.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Set(String, String),
    Append(String, String),
    Remove(String),
}

/// How the handler finishes the reply.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Empty,
    Text(String),
    Html(String),
    /// The content is borrowed, and so it is copied.
    Send(Vec<u8>),
    /// The content is given away, and so it is spliced in if it is large.
    Give(Vec<u8>),
    Written(Vec<Vec<u8>>),
}

/// What a client must read.
#[derive(Debug, Default)]
struct Expected {
    status: u16,
    reason: String,
    /// The lines that the handler set.
    fields: Vec<(String, String)>,
    content_type: Option<&'static str>,
    closes: bool,
    content: Vec<u8>,
    /// The Content-Length that the server must add.
    length: Option<usize>,
}

const SERVER: &str = "monoloop";
const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

impl Script {
    /// The script that `data` encodes: a head of three bytes, a line for the reason phrase, a line for each step, an
    /// empty line, and the content.
    pub(super) fn of(data: &[u8]) -> Self {
        let (head, rest) = data.split_at(data.len().min(3));
        let byte = |at: usize| usize::from(head.get(at).copied().unwrap_or(0));
        let (lines, content) = match memchr::memmem::find(rest, b"\n\n") {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (rest, &[][..]),
        };
        let lines = String::from_utf8_lossy(lines);
        let mut lines = lines.split('\n');
        let reason = lines.next().filter(|_| byte(0) & 128 != 0).map(str::to_owned);
        let text = || String::from_utf8_lossy(content).into_owned();
        Self {
            method: [Method::Get, Method::Head, Method::Post, Method::Get][byte(0) & 3],
            version: if byte(0) & 4 == 0 { Version::Http11 } else { Version::Http10 },
            connection: [None, Some("close"), Some("keep-alive"), Some("x, Keep-Alive")][byte(0) >> 3 & 3],
            status: 190 + (byte(1) << 1 | byte(2) & 1) as u16,
            reason,
            steps: lines.map(Step::of).collect(),
            content: match byte(2) >> 1 & 7 {
                0 => Content::Empty,
                1 => Content::Text(text()),
                2 => Content::Html(text()),
                3 => Content::Send(content.to_vec()),
                4 => Content::Give(content.to_vec()),
                5 => Content::Give(content.iter().copied().cycle().take(20_000 * content.len().min(1)).collect()),
                _ => Content::Written(content.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect()),
            },
        }
    }

    /// Lets a handler run the script, twice in a pipeline, and reads the replies.
    #[track_caller]
    pub(super) fn check(&self) {
        let mut bench =
            Bench::of(Actor { script: self.clone(), seen: Vec::new(), nothing: Nothing }, Config::default());
        let connection = self.connection.map(|value| format!("Connection: {value}\r\n")).unwrap_or_default();
        let request = format!("{} / {}\r\nHost: a\r\n{connection}\r\n", self.method, self.version);
        bench.send(request.repeat(2));
        let expected = self.expected();
        let replies = bench.replies();
        assert_eq!(replies.len(), if expected.closes { 1 } else { 2 }, "{self:?}: {replies:?}");
        assert_eq!(bench.fate() == Fate::Open, !expected.closes, "{self:?}");
        replies.iter().for_each(|reply| self.compare(&expected, reply));
        bench.restart();
    }

    #[track_caller]
    fn compare(&self, expected: &Expected, reply: &Reply) {
        assert_eq!((reply.status, &reply.reason), (expected.status, &expected.reason), "{self:?}");
        assert_eq!(reply.closes(), expected.closes, "{self:?}: {reply:?}");
        assert!(reply.content == expected.content, "{self:?}: {reply:?}");
        let mut fields = Vec::new();
        let mut add = |name: &str, value: &str| fields.push((name.to_owned(), trim(value)));
        let has = |name: &str| expected.fields.iter().any(|(line, _)| line.eq_ignore_ascii_case(name));
        if !has("Server") {
            add("Server", SERVER);
        }
        if !has("Date") {
            add("Date", DATE);
        }
        expected.fields.iter().for_each(|(name, value)| add(name, value));
        if expected.closes {
            add("Connection", "close");
        } else if self.asks_to_stay() {
            add("Connection", "keep-alive");
            add("Keep-Alive", "timeout=30");
        }
        if let Some(value) = expected.content_type.filter(|_| !has("Content-Type")) {
            add("Content-Type", value);
        }
        if let Some(length) = expected.length.filter(|_| !has("Content-Length")) {
            add("Content-Length", &length.to_string());
        }
        assert_eq!(reply.fields, fields, "{self:?}");
    }

    fn asks_to_stay(&self) -> bool {
        self.connection.is_some_and(|value| value.to_ascii_lowercase().contains("keep-alive"))
    }

    fn expected(&self) -> Expected {
        let persistent = match self.version {
            Version::Http10 => self.asks_to_stay(),
            Version::Http11 => self.connection != Some("close"),
        };
        let is_head = self.method == Method::Head;
        self.written(is_head, persistent).unwrap_or_else(|| {
            let content = "{\"error\":\"Internal server error\"}";
            Expected {
                status: 500,
                reason: reason_phrase(500).to_owned(),
                fields: vec![
                    ("Vary".to_owned(), "Accept".to_owned()),
                    ("Content-Type".to_owned(), "application/json".to_owned()),
                ],
                closes: !persistent,
                content: if is_head { Vec::new() } else { content.into() },
                length: Some(content.len()),
                ..Expected::default()
            }
        })
    }

    /// What the client reads if the script is legal.
    fn written(&self, is_head: bool, persistent: bool) -> Option<Expected> {
        let is_value = |value: &str| !value.chars().any(|c| c.is_ascii_control() && c != '\t');
        let is_name = |name: &str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))
        };
        if !(200..=599).contains(&self.status) || !self.reason.as_deref().is_none_or(is_value) {
            return None;
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut closes = false;
        for step in &self.steps {
            let (name, value, replaces) = match step {
                Step::Set(name, value) => (name, value, true),
                Step::Append(name, value) => (name, value, false),
                Step::Remove(name) => {
                    fields.retain(|(line, _)| !line.eq_ignore_ascii_case(name));
                    closes &= !name.eq_ignore_ascii_case("connection");
                    continue;
                }
            };
            let lower = name.to_ascii_lowercase();
            let is_length = !value.is_empty()
                && value.chars().all(|c| c.is_ascii_digit())
                && value.trim_start_matches('0').len() <= 20
                && format!("0{value}").parse::<u128>().is_ok_and(|value| value < 1 << 64);
            if !is_name(name)
                || !is_value(value)
                || lower == "transfer-encoding"
                || (lower == "content-length" && !is_length)
            {
                return None;
            }
            if replaces || ["content-length", "content-type", "date", "server"].contains(&lower.as_str()) {
                fields.retain(|(line, _)| !line.eq_ignore_ascii_case(name));
                closes &= lower != "connection";
            }
            if lower != "connection" {
                fields.push((name.clone(), value.clone()));
                continue;
            }
            let options: Vec<String> = value.split(',').map(trim).filter(|option| !option.is_empty()).collect();
            closes |= options.iter().any(|option| option.eq_ignore_ascii_case("close"));
            let is_ours = |option: &String| ["close", "keep-alive"].contains(&option.to_ascii_lowercase().as_str());
            let others: Vec<String> = options.into_iter().filter(|option| !is_ours(option)).collect();
            if !others.is_empty() {
                fields.push(("Connection".to_owned(), others.join(", ")));
            }
        }

        let content = self.content.bytes();
        let content_type = match self.content {
            Content::Empty | Content::Written(_) => None,
            Content::Text(_) => Some("text/plain; charset=utf-8"),
            Content::Html(_) => Some("text/html; charset=utf-8"),
            Content::Send(_) | Content::Give(_) => Some("application/octet-stream"),
        };
        let has_content = !is_head && ![204, 205, 304].contains(&self.status);
        if self.status == 204 {
            fields.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
        }
        let claimed = fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if let Some((_, claimed)) = claimed {
            let claimed: u128 = format!("0{claimed}").parse().ok()?;
            let is_true = match self.status {
                205 => claimed == 0,
                _ => claimed == content.len() as u128 || (content.is_empty() && !has_content),
            };
            if !is_true {
                return None;
            }
        }
        Some(Expected {
            status: self.status,
            reason: self.reason.clone().unwrap_or_else(|| reason_phrase(self.status).to_owned()),
            fields,
            content_type: content_type.filter(|_| !content.is_empty() && ![204, 205].contains(&self.status)),
            closes: closes || !persistent,
            length: match self.status {
                204 | 304 => None,
                205 => Some(0),
                _ => Some(content.len()),
            },
            content: if has_content { content } else { Vec::new() },
        })
    }
}

impl Content {
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Empty => Vec::new(),
            Self::Text(text) | Self::Html(text) => text.clone().into_bytes(),
            Self::Send(bytes) | Self::Give(bytes) => bytes.clone(),
            Self::Written(pieces) => pieces.concat(),
        }
    }
}

impl Step {
    fn of(line: &str) -> Self {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        if let Some(name) = name.strip_prefix('-') {
            return Self::Remove(name.to_owned());
        }
        let append = name.strip_prefix('+');
        let name = append.unwrap_or(name);
        // A field line cannot contain these control characters.
        let value = value.replace('\u{1}', "\n");
        let value = if name.eq_ignore_ascii_case("date") { reference::date(value.len() as u64) } else { value };
        match append {
            Some(name) => Self::Append(name.to_owned(), value),
            None => Self::Set(name.to_owned(), value),
        }
    }
}

/// White space around a value is not part of it (RFC 9110 §5.5).
fn trim(value: &str) -> String {
    value.trim_matches([' ', '\t']).to_owned()
}

/// A handler that follows a script.
#[derive(Debug)]
struct Actor {
    script: Script,
    seen: Vec<Seen>,
    nothing: Nothing,
}

impl Delegate for Actor {
    type Inner = Nothing;

    fn inner(&mut self) -> &mut Nothing {
        &mut self.nothing
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        self.seen.push(Seen::new(&request));
        let script = &self.script;
        let mut res = response.status(script.status);
        if let Some(reason) = &script.reason {
            res = res.reason(reason);
        }
        for step in &script.steps {
            res = match step {
                Step::Set(name, value) => res.header(name, value),
                Step::Append(name, value) => res.append_header(name, value),
                Step::Remove(name) => res.remove_header(name),
            };
        }
        match &script.content {
            Content::Empty => res.empty(),
            Content::Text(text) => res.text(text),
            Content::Html(text) => res.html(text),
            Content::Send(bytes) => res.send(bytes),
            Content::Give(bytes) => res.send(bytes.clone()),
            Content::Written(pieces) => {
                let mut body = res.start()?;
                pieces.iter().try_for_each(|piece| body.write(piece))?;
                body.end()
            }
        }
    }

    fn refuse(&mut self, _: Option<Request<'_>>, error: Error, _: Response<'_>) -> Result<Sent> {
        Err(error)
    }
}

impl Witness for Actor {
    fn seen(&self) -> &[Seen] {
        &self.seen
    }

    fn forget(&mut self) {
        self.seen.clear();
    }
}
