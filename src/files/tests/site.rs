//! A client of an application whose date is set by hand. It parses replies with its own code.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Router;
use crate::config::Config;
use crate::exchange::Service;
use crate::files::Files;
use crate::testing::{Connected, VirtualLoop};

/// An application, and one connection to it.
pub(super) struct Site {
    pub(super) app: Router<()>,
    virtual_loop: VirtualLoop,
    connection: Connected,
}

/// A reply as the client received it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    fields: Vec<(String, String)>,
    pub(super) content: Vec<u8>,
}

impl Site {
    /// Mounts files at `/` and sets the date to one minute from now, so that all files are old enough for strong
    /// validators.
    pub(super) fn of(files: Files) -> Self {
        Self::new(super::app("/", files))
    }

    pub(super) fn new(app: Router<()>) -> Self {
        let mut virtual_loop = VirtualLoop::new(Config::default());
        let connection = virtual_loop.connect();
        let mut site = Self { app, virtual_loop, connection };
        site.set_date(now() + 60);
        site
    }

    /// Sets the date, in seconds of Unix time.
    pub(super) fn set_date(&mut self, second: u64) -> &mut Self {
        self.virtual_loop.sessions_mut().set_date(UNIX_EPOCH + Duration::from_secs(second));
        self
    }

    /// Lets time pass, but not the date.
    pub(super) fn wait(&mut self, seconds: u64) -> &mut Self {
        self.virtual_loop.wait(&mut self.app, Duration::from_secs(seconds));
        self
    }

    /// Returns the reply to one request; `line` is method and target, `fields` are field lines.
    #[track_caller]
    pub(super) fn ask<F: AsRef<str>>(&mut self, line: &str, fields: &[F]) -> Reply {
        let fields: String = fields.iter().map(|line| format!("{}\r\n", line.as_ref())).collect();
        self.ask_raw(line.starts_with("HEAD "), format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
    }

    /// As `ask`, with the bytes of the request. The server must send exactly one reply.
    #[track_caller]
    pub(super) fn ask_raw(&mut self, is_head: bool, request: &[u8]) -> Reply {
        if self.connection.link.wire().half_closed || self.connection.link.wire().closed.is_some() {
            self.connection = self.virtual_loop.connect();
        }
        self.virtual_loop.act(&self.connection, &mut self.app, |wire| wire.inbound.extend(request));
        let bytes = std::mem::take(&mut self.connection.link.wire_mut().outbound);
        Reply::parse(&bytes, is_head)
    }

    /// Returns the status code and the content, as text, of a GET for this target.
    #[track_caller]
    pub(super) fn get(&mut self, target: &str) -> (u16, String) {
        let reply = self.ask::<&str>(&format!("GET {target}"), &[]);
        (reply.status, reply.text())
    }

    /// Acts as a server that is out of descriptors; returns whether the application closed any.
    pub(super) fn free_descriptors(&mut self) -> bool {
        self.app.free_descriptors()
    }
}

impl Reply {
    #[track_caller]
    fn parse(bytes: &[u8], is_head: bool) -> Self {
        let shown = || bytes[..bytes.len().min(2000)].escape_ascii();
        let end = memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("no head: {}", shown()));
        let head = std::str::from_utf8(&bytes[..end]).expect("a head that is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let fields = lines.map(|line| line.split_once(": ").expect("a field line"));
        let reply = Self {
            status: status.unwrap_or_else(|| panic!("no status: {}", shown())),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            content: bytes[end + 4..].to_vec(),
        };
        let announced = reply.field("Content-Length").map_or(0, |value| value.parse().expect("a number"));
        let expected = if is_head || reply.status == 304 { 0 } else { announced };
        assert_eq!(reply.content.len(), expected, "the content is as long as announced: {}", shown());
        reply
    }

    /// The value of the field of this name, which must not be repeated.
    #[track_caller]
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let value = found.next();
        assert!(found.next().is_none(), "{name} is repeated: {:?}", self.fields);
        value.map(String::as_str)
    }

    #[track_caller]
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.content.clone()).expect("the content is text")
    }

    /// The entity tag, which the reply must have.
    #[track_caller]
    pub(super) fn tag(&self) -> String {
        self.field("ETag").expect("there is a tag").to_owned()
    }

    /// The names of the field lines, in lower case and in order.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.fields.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        names.sort();
        names
    }
}

/// The system's time, from which files get their times, in seconds of Unix time.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}
