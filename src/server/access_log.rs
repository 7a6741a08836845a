//! The access log: a line for each reply. A thread of its own writes the lines.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Write as _};
use std::io::{BufWriter, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::clock::{Clock, SystemClock};
use crate::exchange::{CloseReason, ConnectionId, Endpoint, FinishedReply, Observer, Request};
use crate::http::{Version, http_date, iso_date, push_json_string};
use crate::limits::{ACCESS_LOG_BYTES, ACCESS_LOG_LINES, ACCESS_LOG_PATIENCE};

/// The format of the lines of an [`AccessLog`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// The Common Log Format of Apache and of many other servers: `host - - [time] "request" status bytes`.
    Common,
    /// As `Common`, with the `Referer` and the `User-Agent`.
    Combined,
    /// A JSON object with all of these, and with the time that the reply took.
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
/// Text from clients is escaped so that it can end neither a line nor a quoted string.
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
    writer: Arc<Writer>,
    clock: SystemClock,
    connections: HashMap<ConnectionId, Connection>,
}

/// A connection, and its requests that have no reply yet.
struct Connection {
    peer: Endpoint,
    requests: VecDeque<Asked>,
}

/// What a line says about a request.
struct Asked {
    method: &'static str,
    target: Box<str>,
    version: Version,
    referer: Option<Box<str>>,
    user_agent: Option<Box<str>>,
}

/// The thread that writes, as the loops see it.
struct Writer {
    /// Dropped at the end: then the thread ends, because its queue has no sender any more.
    lines: Option<SyncSender<String>>,
    counts: Arc<Counts>,
    done: Mutex<mpsc::Receiver<()>>,
}

/// The counters that the loops and the thread share.
#[derive(Default)]
struct Counts {
    /// Bytes of the lines that are not written yet.
    queued: AtomicUsize,
    /// Lines that were dropped and that no message has reported yet.
    dropped: AtomicU64,
}

impl AccessLog {
    /// Makes a log that writes to `out`.
    ///
    /// # Errors
    /// When the system denies a thread.
    pub fn new(format: LogFormat, out: impl Write + Send + 'static) -> std::io::Result<Self> {
        let (lines, queue) = sync_channel(ACCESS_LOG_LINES);
        let (tell_done, done) = sync_channel(1);
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        thread::Builder::new().name("access log".to_owned()).spawn(move || {
            write_lines(&queue, &counted, out);
            let _ = tell_done.send(());
        })?;
        let writer = Arc::new(Writer { lines: Some(lines), counts, done: Mutex::new(done) });
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
        // Replies come in the order of their requests. The reply to a malformed request has no entry here; it is the
        // last reply.
        let (peer, asked) = (connection.peer, connection.requests.pop_front());
        self.log(id, peer, asked.as_ref(), Outcome::Whole(reply));
    }

    fn reply_cut(&mut self, id: ConnectionId, reply: &FinishedReply) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (peer, asked) = (connection.peer, connection.requests.pop_front());
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
            writer: Arc::clone(&self.writer),
            clock: SystemClock::new(),
            connections: HashMap::new(),
        }
    }
}

impl Writer {
    fn push(&self, line: String) {
        let bytes = line.len();
        let fits = self.counts.queued.fetch_add(bytes, Ordering::Relaxed) + bytes <= ACCESS_LOG_BYTES;
        let is_queued = fits && self.lines.as_ref().is_some_and(|lines| lines.try_send(line).is_ok());
        if !is_queued {
            self.counts.queued.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.lines = None;
        // The program that reads the log may have stopped, and the server must not hang because of it.
        let done = self.done.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = done.recv_timeout(ACCESS_LOG_PATIENCE);
    }
}

/// Writes the lines that come, until the queue has no sender any more.
fn write_lines(queue: &Receiver<String>, counts: &Counts, out: impl Write) {
    let mut out = BufWriter::new(out);
    let mut failed = false;
    while let Ok(first) = queue.recv() {
        // All lines that have come by now are written before one flush.
        let mut result = Ok(());
        for line in std::iter::once(first).chain(queue.try_iter().take(ACCESS_LOG_LINES)) {
            let written = out.write_all(line.as_bytes());
            counts.queued.fetch_sub(line.len(), Ordering::Relaxed);
            counts.dropped.fetch_add(u64::from(written.is_err()), Ordering::Relaxed);
            result = result.and(written);
        }
        // Bytes that cannot be flushed are tried again with the next lines.
        match result.and(out.flush()) {
            Ok(()) => {
                failed = false;
                let dropped = counts.dropped.swap(0, Ordering::Relaxed);
                if dropped > 0 {
                    log::warn!("the access log lost {dropped} lines: they could not be written, or not in time");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    log::error!("the access log cannot be written: {error}");
                }
            }
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
    Whole(&'a FinishedReply),
    Cut(&'a FinishedReply),
    Unanswered { by_client: bool },
}

impl<'a> Outcome<'a> {
    const fn reply(self) -> Option<&'a FinishedReply> {
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
        let _ = writeln!(json, ",\"duration_us\":{micros}}}");
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

/// Escapes as nginx and Apache do: a character that could end the quoted string or the line, or move the cursor of a
/// terminal, is written in hex.
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

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind};
    use std::sync::mpsc::Sender;
    use std::time::Instant;

    use super::*;
    use crate::http::Method;
    use crate::{Router, TestClient};

    /// A file in memory.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).expect("lines are UTF-8")
        }

        /// The lines, without their times.
        #[track_caller]
        fn lines(&self) -> Vec<String> {
            let text = self.text();
            assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end: {text:?}");
            let timeless = |line: &str| {
                let (host, rest) = line.split_once(" - - [").expect("a host");
                let (time, rest) = rest.split_once("] ").expect("a time");
                assert_eq!((time.len(), &time[20..]), (26, " +0000"), "{line:?}");
                format!("{host} {rest}")
            };
            text.lines().map(timeless).collect()
        }
    }

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A writer that reports each write and then waits until the gate is open.
    struct Gated {
        paper: Paper,
        stands: Sender<()>,
        opens: Receiver<()>,
    }

    impl Write for Gated {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.stands.send(());
            // Once the sender is dropped, the gate stays open.
            let _ = self.opens.recv();
            self.paper.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A log whose writer waits at a closed gate to write its first line. Dropping the sender opens the gate.
    fn blocked() -> (AccessLog, Paper, Sender<()>) {
        let (stands, has_come) = mpsc::channel();
        let (gate, opens) = mpsc::channel();
        let paper = Paper::default();
        let log = AccessLog::new(LogFormat::Common, Gated { paper: paper.clone(), stands, opens }).unwrap();
        log.writer.push("first\n".to_owned());
        has_come.recv_timeout(Duration::from_secs(10)).expect("the writer gets the line");
        (log, paper, gate)
    }

    fn peer(host: u8) -> Endpoint {
        std::net::SocketAddr::from(([192, 0, 2, host], 4711)).into()
    }

    fn asked(target: &str) -> Asked {
        let (referer, user_agent) = (None, None);
        Asked { method: "GET", target: target.into(), version: Version::Http11, referer, user_agent }
    }

    fn finished(status: u16, content: u64) -> FinishedReply {
        FinishedReply { method: Some(Method::Get), status, content, duration: Duration::from_micros(1_234) }
    }

    /// An entry at a certain time, 10 October 2000.
    fn entry<'a>(asked: Option<&'a Asked>, reply: Option<&'a FinishedReply>) -> Entry<'a> {
        let now = UNIX_EPOCH + Duration::from_millis(971_186_136_078);
        let outcome = reply.map_or(Outcome::Unanswered { by_client: true }, Outcome::Whole);
        Entry { now, id: ConnectionId(7), peer: peer(1), asked, outcome }
    }

    // ---- lines ------------------------------------------------------------------------------------------------------

    #[test]
    fn a_line_of_each_format() {
        let from_somewhere = Asked {
            referer: Some("http://a/b".into()),
            user_agent: Some("curl/8 (\u{fc}ber)".into()),
            ..asked("/c?d=e")
        };
        let reply = finished(200, 2326);
        let entry = entry(Some(&from_somewhere), Some(&reply));
        let common = "192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] \"GET /c?d=e HTTP/1.1\" 200 2326";
        assert_eq!(entry.common(), format!("{common}\n"));
        assert_eq!(entry.combined(), format!("{common} \"http://a/b\" \"curl/8 (\u{fc}ber)\"\n"));
        assert_eq!(
            entry.json(),
            concat!(
                r#"{"time":"2000-10-10T13:55:36.078Z","connection":7,"remote":"192.0.2.1","method":"GET","#,
                r#""target":"/c?d=e","version":"HTTP/1.1","referer":"http://a/b","user_agent":"curl/8 (über)","#,
                r#""status":200,"bytes":2326,"complete":true,"duration_us":1234}"#,
                "\n"
            )
        );
    }

    #[test]
    fn an_unknown_value_is_a_dash_or_null() {
        let reply = finished(400, 0);
        let entry = Entry { peer: Endpoint::Unix, ..entry(None, Some(&reply)) };
        let common = "unix - - [10/Oct/2000:13:55:36 +0000] \"-\" 400 -";
        assert_eq!(entry.common(), format!("{common}\n"));
        assert_eq!(entry.combined(), format!("{common} \"-\" \"-\"\n"));
        assert_eq!(
            entry.json(),
            concat!(
                r#"{"time":"2000-10-10T13:55:36.078Z","connection":7,"remote":"unix","method":null,"target":null,"#,
                r#""version":null,"referer":null,"user_agent":null,"status":400,"bytes":0,"complete":true,"duration_us":1234}"#,
                "\n"
            )
        );
    }

    #[test]
    fn ipv6_addresses_and_large_byte_counts_are_written_in_full() {
        let reply = finished(206, 1 << 40);
        let address: std::net::SocketAddr = "[2001:db8::1]:80".parse().unwrap();
        let asked = Asked { version: Version::Http10, ..asked("*") };
        let entry = Entry { peer: address.into(), ..entry(Some(&asked), Some(&reply)) };
        let line = "2001:db8::1 - - [10/Oct/2000:13:55:36 +0000] \"GET * HTTP/1.0\" 206 1099511627776\n";
        assert_eq!(entry.common(), line);
    }

    #[test]
    fn a_time_before_1970_is_written_as_the_beginning_of_1970() {
        let entry = Entry { now: UNIX_EPOCH - Duration::from_secs(5), ..entry(None, None) };
        assert!(entry.common().contains("[01/Jan/1970:00:00:00 +0000]"), "{}", entry.common());
        assert!(entry.json().starts_with(r#"{"time":"1970-01-01T00:00:00.000Z","#), "{}", entry.json());
    }

    #[test]
    fn no_text_from_a_client_ends_a_line_or_a_quoted_string() {
        let every: String = (0..0x180).filter_map(char::from_u32).collect();
        let hostile = Asked {
            target: every.as_str().into(),
            referer: Some("\" 200 1\nforged - - \\".into()),
            user_agent: Some(every.as_str().into()),
            ..asked("/")
        };
        let reply = finished(200, 1);
        let entry = entry(Some(&hostile), Some(&reply));
        for line in [entry.common(), entry.combined(), entry.json()] {
            let within = line.strip_suffix('\n').expect("an end");
            assert!(!within.chars().any(|c| c < ' '), "a control character: {within:?}");
        }
        let combined = entry.combined();
        assert!(!combined[..combined.len() - 1].chars().any(char::is_control), "{combined:?}");
        assert_eq!(combined.matches('"').count(), 6, "{combined:?}");
        assert!(combined.contains(r#""\x22 200 1\x0aforged - - \x5c""#), "{combined:?}");
        assert!(combined.contains(r"\x00\x01") && combined.contains(r"~\x7f\x80") && combined.contains("\\x9f\u{a0}"));
    }

    #[cfg(feature = "json")]
    #[test]
    fn a_json_line_can_be_parsed_whatever_a_client_sends() {
        let every: String = (0..0x3000).filter_map(char::from_u32).collect();
        let hostile = Asked { user_agent: Some(every.as_str().into()), ..asked("/") };
        let json: serde_json::Value = serde_json::from_str(&entry(Some(&hostile), None).json()).expect("JSON");
        assert_eq!(json["user_agent"], every.as_str());
        assert_eq!((&json["status"], &json["bytes"]), (&499.into(), &0.into()));
    }

    // ---- requests and connections -----------------------------------------------------------------------------------

    /// A client of a small application, and the log that is complete when the client is dropped.
    fn client(format: LogFormat) -> (TestClient<Router<()>>, Paper) {
        let mut app = Router::new(());
        app.get("/", |_, _, res| res.text("hello"));
        app.get("/fail", |_, _, _| Err(crate::Error::new(409, "As asked")));
        app.get("/never", |_, _, res| {
            let (sent, responder) = res.defer();
            std::mem::forget(responder);
            Ok(sent)
        });
        let paper = Paper::default();
        let mut client = TestClient::new(app).observer(AccessLog::new(format, paper.clone()).unwrap());
        // The log has not seen the first connection, which is older than the log.
        client.reconnect();
        (client, paper)
    }

    #[test]
    fn the_lines_of_pipelined_requests_come_in_their_order() {
        let (mut client, paper) = client(LogFormat::Combined);
        client.write("GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: one\r\n\r\nHEAD /?2 HTTP/1.1\r\nHost: a\r\n\r\n");
        client.write(b"GET /fail HTTP/1.1\r\nHost: a\r\nReferer: /\xff\"\r\n\r\nGET /none HTTP/1.0\r\n\r\n");
        drop(client);
        let not_found = "{\"error\":\"Not found\"}".len();
        let lines = paper.lines();
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[0], "127.0.0.1 \"GET / HTTP/1.1\" 200 5 \"-\" \"one\"");
        assert_eq!(lines[1], "127.0.0.1 \"HEAD /?2 HTTP/1.1\" 200 - \"-\" \"-\"");
        assert_eq!(lines[2], "127.0.0.1 \"GET /fail HTTP/1.1\" 409 20 \"/\u{fffd}\\x22\" \"-\"");
        assert_eq!(lines[3], format!("127.0.0.1 \"GET /none HTTP/1.0\" 404 {not_found} \"-\" \"-\""));
    }

    #[test]
    fn a_malformed_request_has_a_line_after_the_others() {
        let (mut client, paper) = client(LogFormat::Common);
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n");
        drop(client);
        let lines = paper.lines();
        assert_eq!(lines[0], "127.0.0.1 \"GET / HTTP/1.1\" 200 5");
        assert!(lines[1].starts_with("127.0.0.1 \"-\" 400 "), "{lines:?}");
    }

    #[test]
    fn a_request_whose_client_does_not_wait_for_the_reply_has_a_line_with_499() {
        let (mut log, paper) = (None, Paper::default());
        let log = log.insert(AccessLog::new(LogFormat::Common, paper.clone()).unwrap());
        let id = ConnectionId(3);
        log.connection_opened(id, &peer(9));
        let connection = log.connections.get_mut(&id).unwrap();
        connection.requests.extend(["/1", "/2", "/3"].map(asked));
        log.reply_finished(id, &finished(200, 4));
        log.connection_closed(id, CloseReason::SocketError);
        log.connection_closed(id, CloseReason::SocketError);
        log.reply_finished(id, &finished(200, 4));
        assert!(log.connections.is_empty(), "the log keeps nothing about a closed connection");
        let Writer { lines, .. } = Arc::get_mut(&mut log.writer).expect("there is one log");
        drop(lines.take());
        let done = log.writer.done.lock().unwrap();
        done.recv_timeout(Duration::from_secs(10)).expect("the writer ends");
        let gone = ["/2", "/3"].map(|target| format!("192.0.2.9 \"GET {target} HTTP/1.1\" 499 -"));
        assert_eq!(paper.lines(), [&["192.0.2.9 \"GET /1 HTTP/1.1\" 200 4".to_owned()][..], &gone].concat());
    }

    #[test]
    fn a_request_that_waits_for_its_reply_when_the_client_leaves_has_a_line() {
        let (mut client, paper) = client(LogFormat::Common);
        client
            .write("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /never HTTP/1.1\r\nHost: a\r\n\r\nGET /unheard HTTP/1.1\r\n");
        client.reset();
        drop(client);
        assert_eq!(
            paper.lines(),
            ["127.0.0.1 \"GET / HTTP/1.1\" 200 5", "127.0.0.1 \"GET /never HTTP/1.1\" 499 -"],
            "a request that has not arrived whole has no line"
        );
    }

    #[test]
    fn a_clone_numbers_its_connections_itself_and_writes_to_the_same_place() {
        let paper = Paper::default();
        let mut one = AccessLog::new(LogFormat::Common, paper.clone()).unwrap();
        one.connection_opened(ConnectionId(1), &peer(1));
        let mut other = one.clone();
        assert!(other.connections.is_empty());
        other.connection_opened(ConnectionId(1), &peer(2));
        for (log, target) in [(&mut one, "/one"), (&mut other, "/other")] {
            log.connections.get_mut(&ConnectionId(1)).unwrap().requests.push_back(asked(target));
        }
        other.connection_closed(ConnectionId(1), CloseReason::SocketError);
        one.reply_finished(ConnectionId(1), &finished(200, 1));
        drop(one);
        // Dropping the last clone waits for the queued lines; dropping the first one does not.
        drop(other);
        let lines = ["192.0.2.2 \"GET /other HTTP/1.1\" 499 -", "192.0.2.1 \"GET /one HTTP/1.1\" 200 1"];
        assert_eq!(paper.lines(), lines);
    }

    // ---- the writer -------------------------------------------------------------------------------------------------

    #[test]
    fn lines_that_come_faster_than_they_are_written_are_dropped_and_counted() {
        let (log, paper, gate) = blocked();
        let counts = Arc::clone(&log.writer.counts);
        for number in 0..ACCESS_LOG_LINES + 5 {
            log.writer.push(format!("{number}\n"));
        }
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 5);
        drop(gate);
        drop(log);
        let expected: String = (0..ACCESS_LOG_LINES).map(|number| format!("{number}\n")).collect();
        assert!(paper.text() == format!("first\n{expected}"), "every queued line is written");
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 0, "the loss was reported");
    }

    #[test]
    fn long_lines_are_dropped_before_they_take_much_memory() {
        let (log, paper, gate) = blocked();
        let counts = Arc::clone(&log.writer.counts);
        let long = "x".repeat(ACCESS_LOG_BYTES / 10);
        (0..20).for_each(|_| log.writer.push(long.clone()));
        // The line that the writer has taken is not queued any more.
        assert_eq!(counts.dropped.load(Ordering::Relaxed), 10);
        drop(gate);
        drop(log);
        assert_eq!(paper.text().len(), "first\n".len() + 10 * long.len());
        assert_eq!(counts.queued.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_cut_reply_and_the_unanswered_requests_after_it_have_lines() {
        let paper = Paper::default();
        let mut log = AccessLog::new(LogFormat::Common, paper.clone()).unwrap();
        let closings = [CloseReason::SocketError, CloseReason::FileShrank, CloseReason::Cut];
        for (number, reason) in closings.into_iter().enumerate() {
            let id = ConnectionId(number as u64);
            log.connection_opened(id, &peer(1));
            let requests = &mut log.connections.get_mut(&id).unwrap().requests;
            requests.extend([asked("/cut"), asked("/behind")]);
            log.reply_cut(id, &finished(206, 77));
            log.connection_closed(id, reason);
        }
        drop(log);
        let cut = "192.0.2.1 \"GET /cut HTTP/1.1\" 206 77";
        let behind = |status| format!("192.0.2.1 \"GET /behind HTTP/1.1\" {status} -");
        let expected = ["499", "000", "000"].map(|status| [cut.to_owned(), behind(status)]);
        assert_eq!(paper.lines(), expected.concat());
    }

    #[test]
    fn dropping_the_last_clone_waits_until_the_queued_lines_are_written() {
        let (log, paper, gate) = blocked();
        log.writer.push("last\n".to_owned());
        let (clone, (begun, begins)) = (log.clone(), mpsc::channel::<()>());
        let opener = thread::spawn(move || {
            let _ = begins.recv();
            drop(gate);
        });
        drop(log);
        assert_eq!(paper.text(), "", "a clone is left");
        drop(begun);
        drop(clone);
        assert_eq!(paper.text(), "first\nlast\n");
        opener.join().unwrap();
    }

    #[test]
    fn dropping_the_last_clone_does_not_wait_for_ever() {
        let (log, paper, gate) = blocked();
        let before = Instant::now();
        drop(log);
        let waited = before.elapsed();
        assert!(waited >= ACCESS_LOG_PATIENCE, "{waited:?}");
        assert!(waited < 20 * ACCESS_LOG_PATIENCE, "{waited:?}");
        assert_eq!(paper.text(), "");
        drop(gate);
    }

    /// A disk that is full for the given number of writes.
    struct Full(usize, Paper);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return self.1.write(bytes);
            }
            self.0 -= 1;
            Err(ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_later_lines_are_written_whole() {
        for failures in [1, 3, usize::MAX] {
            let paper = Paper::default();
            let log = AccessLog::new(LogFormat::Common, Full(failures, paper.clone())).unwrap();
            for number in 0..1000 {
                log.writer.push(format!("line {number}\n"));
            }
            drop(log);
            let text = paper.text();
            assert_eq!(text.is_empty(), failures == usize::MAX, "{failures} failures");
            assert!(text.is_empty() || text.ends_with("line 999\n"), "{failures} failures");
            assert!(text.lines().all(|line| line.starts_with("line ") && line[5..].parse::<u32>().is_ok()), "{text}");
        }
    }

    /// A writer that panics.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            std::panic::resume_unwind(Box::new("as asked"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_writer_that_panics_loses_lines_and_does_no_other_harm() {
        let log = AccessLog::new(LogFormat::Common, Broken).unwrap();
        let before = Instant::now();
        log.writer.push("first\n".to_owned());
        log.writer.done.lock().unwrap().recv().expect_err("the thread is gone");
        log.writer.push("second\n".to_owned());
        assert_eq!(log.writer.counts.dropped.load(Ordering::Relaxed), 1);
        drop(log);
        assert!(before.elapsed() < Duration::from_secs(10), "the drop does not wait for a thread that is gone");
    }
}
