//! The access log: a line for each reply, written by a thread of its own.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::{Clock, SystemClock};
use crate::exchange::{CloseReason, ConnectionId, Endpoint, FinishedReply, Observer, Request};
use crate::http::{Version, http_date, iso_date, push_json_string};
use crate::limits::{ACCESS_LOG_LINES, ACCESS_LOG_PATIENCE};

/// How a line of an [`AccessLog`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The Common Log Format of Apache and of everyone else: `host - - [time] "request" status bytes`.
    Common,
    /// As `Common`, with the `Referer` and the `User-Agent`.
    Combined,
    /// An object of JSON with all of these, and how long the reply took.
    Json,
}

/// An access log, as an [`Observer`]: a line for each reply whose last byte was given to the kernel, and one with status 499
/// for each that the client did not wait for.
///
/// It never blocks the loop: lines go through a bounded queue to a thread that writes them. While it does not come after,
/// lines are dropped, and it says how many. A clone writes to the same place, for [`Workers`](super::Workers); when the last
/// one is dropped, what is queued is written, if that takes no longer than a second.
///
/// What clients say is written so that it can neither end a line nor a quotation.
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
pub struct AccessLog {
    format: LogFormat,
    writer: Arc<Writer>,
    clock: SystemClock,
    connections: HashMap<ConnectionId, Connection>,
}

/// A connection, and its requests that are not answered.
struct Connection {
    peer: Endpoint,
    requests: VecDeque<Asked>,
}

/// What a line says of a request.
struct Asked {
    method: &'static str,
    target: Box<str>,
    version: Version,
    referer: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

/// The thread that writes, as seen from the loops.
struct Writer {
    /// Taken at the end: that is how the thread learns of it.
    lines: Option<SyncSender<String>>,
    dropped: Arc<AtomicU64>,
    done: Mutex<mpsc::Receiver<()>>,
}

impl AccessLog {
    /// A log that writes to `out`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn new(format: LogFormat, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, queue) = sync_channel(ACCESS_LOG_LINES);
        let (tell_done, done) = sync_channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        thread::Builder::new().name("access log".to_owned()).spawn(move || {
            write_lines(&queue, &counter, out);
            let _ = tell_done.send(());
        })?;
        let writer = Arc::new(Writer { lines: Some(lines), dropped, done: Mutex::new(done) });
        Ok(Self { format, writer, clock: SystemClock::new(), connections: HashMap::new() })
    }

    fn log(
        &mut self,
        id: ConnectionId,
        peer: Endpoint,
        asked: Option<&Asked>,
        status: u16,
        reply: Option<&FinishedReply>,
    ) {
        let now = self.clock.wall_clock();
        let entry = Entry { now, id, peer, asked, status, reply };
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
        let field = |name| request.headers().get(name).map(|value| String::from_utf8_lossy(value).into());
        let asked = Asked {
            method: request.method().as_str(),
            target: request.target().into(),
            version: request.version(),
            referer: field("referer"),
            user_agent: field("user-agent"),
        };
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.requests.push_back(asked);
        }
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        // Replies come in the order of their requests; one that was not understood is the last.
        let (peer, asked) = (connection.peer, connection.requests.pop_front());
        self.log(id, peer, asked.as_ref(), reply.status, Some(reply));
    }

    fn connection_closed(&mut self, id: ConnectionId, _: CloseReason) {
        let Some(Connection { peer, requests }) = self.connections.remove(&id) else { return };
        for asked in requests {
            self.log(id, peer, Some(&asked), CLIENT_GONE, None);
        }
    }
}

/// What nginx logs for a client that is gone before its reply is; no status code of HTTP.
const CLIENT_GONE: u16 = 499;

impl Clone for AccessLog {
    /// A log for another loop, which numbers its connections itself.
    fn clone(&self) -> Self {
        Self {
            format: self.format,
            writer: Arc::clone(&self.writer),
            clock: SystemClock::new(),
            connections: HashMap::new(),
        }
    }
}

impl Writer {
    fn push(&self, line: String) {
        if self.lines.as_ref().is_none_or(|lines| lines.try_send(line).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lines = None;
        // Whoever reads the log may have stopped: that is no reason to hang.
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = done.recv_timeout(ACCESS_LOG_PATIENCE);
    }
}

/// Writes what comes, until nothing will.
fn write_lines(queue: &Receiver<String>, dropped: &AtomicU64, out: impl Write) {
    let mut out = BufWriter::new(out);
    let mut failed = false;
    while let Ok(first) = queue.recv() {
        // All that has come by now is written at once.
        let lines = std::iter::once(first).chain(queue.try_iter());
        let mut result = lines.map(|line| out.write_all(line.as_bytes())).fold(Ok(()), Result::and);
        result = result.and(out.flush());
        if let Err(error) = &result
            && !std::mem::replace(&mut failed, true)
        {
            log::error!("the access log: {error}");
        }
        failed = result.is_err();
        match dropped.swap(0, Ordering::Relaxed) {
            0 => {}
            count => {
                log::warn!("the access log has dropped {count} lines: they came faster than they could be written")
            }
        }
    }
}

/// What a line says.
struct Entry<'a> {
    now: SystemTime,
    id: ConnectionId,
    peer: Endpoint,
    asked: Option<&'a Asked>,
    status: u16,
    reply: Option<&'a FinishedReply>,
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
        let _ = write!(line, "\" {} ", self.status);
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
        let micros = self.reply.map_or(Duration::ZERO, |reply| reply.duration).as_micros();
        let (status, bytes) = (self.status, self.bytes());
        let _ = writeln!(json, ",\"status\":{status},\"bytes\":{bytes},\"duration_us\":{micros}}}");
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
        self.reply.map_or(0, |reply| reply.content)
    }
}

/// As nginx and Apache do: what could end the quotation or the line, or move a terminal's cursor, is written in hex.
fn push_escaped(line: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '"' | '\\' | '\0'..='\x1f' | '\x7f'..='\u{9f}' => {
                let _ = write!(line, "\\x{:02x}", u32::from(c));
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
