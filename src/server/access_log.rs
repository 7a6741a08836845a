//! The access log: a line for each reply. A [`LogWriter`] writes the lines.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::SystemClock;
use super::log_writer::{LOG, LogWriter, Trouble};
use crate::exchange::{Clock, CloseReason, ConnectionId, Endpoint, FinishedReply, Observer, Request};
use crate::http::{Count, Version, http_date, is_unprintable, iso_date, push_json_string, write_escape};
use crate::limits::LOG_TEXT;

/// The format of the lines of an [`AccessLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The Common Log Format of Apache and of many other servers: `host - - [time] "request" status bytes`.
    Common,
    /// As `Common`, with the `Referer` and the `User-Agent`.
    Combined,
    /// A JSON object with all of these, with the time that the reply took and the part of it in the application, both
    /// in microseconds, and with the pattern of the route.
    Json,
}

/// An access log, as an [`Observer`]. It writes a line for each reply, when the kernel has taken the last byte of the
/// reply. If the connection ends in the middle of a reply, its line has the number of bytes that were sent. A request
/// without a reply has the status 499 if the client left, and 000 if not.
///
/// It never blocks the event loop: lines go through a bounded queue to a thread that writes them. If the writer falls
/// behind, lines are dropped and a `log` message says how many. A clone writes to the same place, for
/// [`Workers`](super::Workers). When the last clone is dropped, the queued lines are written, if that takes at most a
/// second.
///
/// Text from clients is escaped so that it can end neither a line nor a quoted string, and cannot change the order in
/// which a line is shown. Of a target or a field value of more than 2 KiB, the line has the beginning and `...`.
///
/// ```
/// use monoloop::server::{AccessLog, LogFormat};
/// use monoloop::Server;
///
/// # fn main() -> monoloop::server::Result<()> {
/// let log = AccessLog::new(LogFormat::Combined, std::io::stdout())?;
/// let server = Server::bind("127.0.0.1:0")?.observer(log);
/// # Ok(())
/// # }
/// ```
#[doc(alias("logger", "logging"))]
pub struct AccessLog {
    format: LogFormat,
    writer: LogWriter,
    clock: SystemClock,
    connections: HashMap<ConnectionId, Connection>,
}

/// A connection, and its requests that have no reply yet.
struct Connection {
    peer: Endpoint,
    requests: VecDeque<Asked>,
}

impl Connection {
    /// Takes the request whose reply comes next. A queue that was long gives its memory back.
    fn next(&mut self) -> Option<Asked> {
        let asked = self.requests.pop_front();
        if self.requests.is_empty() && self.requests.capacity() > KEPT {
            self.requests = VecDeque::new();
        }
        asked
    }
}

/// Places for requests that a connection keeps while none waits.
const KEPT: usize = 4;

/// What a line says about a request. It waits in memory for the end of the reply, so it has no more than the line
/// needs, and each text has a limit.
struct Asked {
    method: &'static str,
    target: Box<str>,
    version: Version,
    referer: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

impl Asked {
    fn of(request: &Request<'_>, format: LogFormat) -> Self {
        let field = |name| match format {
            LogFormat::Common => None,
            LogFormat::Combined | LogFormat::Json => {
                request.headers().get(name).map(|value| shortened(&String::from_utf8_lossy(value)))
            }
        };
        Self {
            method: request.method().as_str(),
            target: shortened(request.target()),
            version: request.version(),
            referer: field("referer"),
            user_agent: field("user-agent"),
        }
    }
}

/// The text, or its beginning and `...` if it has more than [`LOG_TEXT`] bytes.
fn shortened(text: &str) -> Box<str> {
    if text.len() <= LOG_TEXT {
        return text.into();
    }
    let end = (0..=LOG_TEXT).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    format!("{}...", &text[..end]).into()
}

impl AccessLog {
    /// Makes a log that writes to `out`.
    ///
    /// # Errors
    /// When the system denies a thread.
    pub fn new(format: LogFormat, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let writer = LogWriter::start("access log", LOG, out, |trouble| {
            match trouble {
                Trouble::Lost(lines) => {
                    let lines = Count(lines, "line");
                    log::warn!("the access log lost {lines}, which could not be written, or not in time");
                }
                Trouble::Failed(error) => fault!("the access log cannot be written: {error}"),
            }
            None
        })?;
        Ok(Self { format, writer, clock: SystemClock::new(), connections: HashMap::new() })
    }

    fn log(&mut self, id: ConnectionId, peer: Endpoint, asked: Option<&Asked>, outcome: Outcome<'_>) {
        let now = self.clock.wall_clock();
        let entry = Entry { now, id, peer, asked, outcome };
        let line = match self.format {
            LogFormat::Common => entry.common(),
            LogFormat::Combined => entry.combined(),
            LogFormat::Json => entry.json(),
        };
        self.writer.push(line);
    }
}

impl Observer for AccessLog {
    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.connections.insert(id, Connection { peer: *peer, requests: VecDeque::new() });
    }

    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.requests.push_back(Asked::of(request, self.format));
        }
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // Replies come in the order of their requests. The reply to a malformed request has no entry here; it is the
        // last reply.
        let (peer, asked) = (connection.peer, connection.next());
        self.log(id, peer, asked.as_ref(), Outcome::Whole(reply));
    }

    fn reply_cut(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (peer, asked) = (connection.peer, connection.next());
        self.log(id, peer, asked.as_ref(), Outcome::Cut(reply));
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        use CloseReason::{ClientClosed, ClientClosedEarly, SocketError};
        let Some(Connection { peer, requests }) = self.connections.remove(&id) else { return };
        let by_client = matches!(reason, ClientClosed | ClientClosedEarly | SocketError);
        for asked in requests {
            self.log(id, peer, Some(&asked), Outcome::Unanswered { by_client });
        }
    }
}

impl Clone for AccessLog {
    /// Makes a log for another loop, which numbers its connections by itself.
    fn clone(&self) -> Self {
        Self {
            format: self.format,
            writer: self.writer.clone(),
            clock: SystemClock::new(),
            connections: HashMap::new(),
        }
    }
}

/// The content of a line.
struct Entry<'a> {
    now: SystemTime,
    id: ConnectionId,
    peer: Endpoint,
    asked: Option<&'a Asked>,
    outcome: Outcome<'a>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
enum Outcome<'a> {
    Whole(&'a FinishedReply<'a>),
    Cut(&'a FinishedReply<'a>),
    Unanswered { by_client: bool },
}

impl<'a> Outcome<'a> {
    const fn reply(self) -> Option<&'a FinishedReply<'a>> {
        match self {
            Self::Whole(reply) | Self::Cut(reply) => Some(reply),
            Self::Unanswered { .. } => None,
        }
    }

    /// 499 means, as in nginx, that the client did not wait for the reply. 000 means that there is no reply.
    const fn status(self) -> u16 {
        match self {
            Self::Whole(reply) | Self::Cut(reply) => reply.status,
            Self::Unanswered { by_client: true } => 499,
            Self::Unanswered { by_client: false } => 0,
        }
    }
}

impl Entry<'_> {
    fn common(&self) -> String {
        let mut line = self.common_part();
        line.push('\n');
        line
    }

    fn combined(&self) -> String {
        let mut line = self.common_part();
        for field in [self.asked.and_then(|asked| asked.referer.as_deref()), self.user_agent()] {
            line.push_str(" \"");
            push_escaped(&mut line, field.unwrap_or("-"));
            line.push('"');
        }
        line.push('\n');
        line
    }

    /// `host - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 2326`
    fn common_part(&self) -> String {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let date = http_date(self.second());
        let (day, month, year, time) = (&date[5..7], &date[8..11], &date[12..16], &date[17..25]);
        let mut line = String::with_capacity(160);
        self.push_host(&mut line);
        let _ = write!(line, " - - [{day}/{month}/{year}:{time} +0000] \"");
        match self.asked {
            Some(asked) => {
                line.push_str(asked.method);
                line.push(' ');
                push_escaped(&mut line, &asked.target);
                let _ = write!(line, " {}", asked.version);
            }
            None => line.push('-'),
        }
        let _ = write!(line, "\" {:03} ", self.outcome.status());
        match self.bytes() {
            0 => line.push('-'),
            bytes => {
                let _ = write!(line, "{bytes}");
            }
        }
        line
    }

    fn json(&self) -> String {
        let mut json = String::with_capacity(320);
        let millis = self.now.duration_since(UNIX_EPOCH).unwrap_or_default().subsec_millis();
        let (day, time) = iso_date(self.second());
        let _ = write!(json, "{{\"time\":\"{day}T{time}.{millis:03}Z\",\"connection\":{},\"remote\":", self.id);
        let mut host = String::new();
        self.push_host(&mut host);
        push_json_string(&mut json, &host);
        let mut push = |name: &str, value: Option<&str>| {
            let _ = write!(json, ",\"{name}\":");
            match value {
                Some(value) => push_json_string(&mut json, value),
                None => json.push_str("null"),
            }
        };
        push("method", self.asked.map(|asked| asked.method));
        push("target", self.asked.map(|asked| &*asked.target));
        push("version", self.asked.map(|asked| asked.version.to_string()).as_deref());
        push("referer", self.asked.and_then(|asked| asked.referer.as_deref()));
        push("user_agent", self.user_agent());
        let micros = self.outcome.reply().map_or(Duration::ZERO, |reply| reply.duration).as_micros();
        let (status, bytes) = (self.outcome.status(), self.bytes());
        let complete = matches!(self.outcome, Outcome::Whole(_));
        let _ = write!(json, ",\"status\":{status},\"bytes\":{bytes},\"complete\":{complete}");
        let handler = self.outcome.reply().map_or(Duration::ZERO, |reply| reply.handler).as_micros();
        let _ = write!(json, ",\"duration_us\":{micros},\"handler_us\":{handler},\"route\":");
        match self.outcome.reply().and_then(|reply| reply.route) {
            Some(route) => push_json_string(&mut json, route),
            None => json.push_str("null"),
        }
        json.push_str("}\n");
        json
    }

    fn push_host(&self, line: &mut String) {
        let _ = match self.peer.ip() {
            Some(ip) => write!(line, "{ip}"),
            None => write!(line, "unix"),
        };
    }

    fn second(&self) -> u64 {
        self.now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn user_agent(&self) -> Option<&str> {
        self.asked.and_then(|asked| asked.user_agent.as_deref())
    }

    fn bytes(&self) -> u64 {
        self.outcome.reply().map_or(0, |reply| reply.content)
    }
}

/// Escapes as nginx and Apache do: a character that could end the quoted string or the line, move the cursor of a
/// terminal, or change the order of the line, is written in hex.
fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            c if matches!(c, '"' | '\\') || is_unprintable(c) => {
                let _ = write_escape(line, c);
            }
            c => line.push(c),
        }
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessLog({:?})", self.format)
    }
}

#[cfg(test)]
mod tests;
