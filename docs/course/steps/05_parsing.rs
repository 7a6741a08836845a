//! Step 5: reading what has not all come, and believing nothing.
//!
//!     cargo run --bin 05_parsing [ADDRESS [CLIENTS]]
//!
//! New: the search for the end of a head goes on where it stopped, httparse reads the head, and what is too large or
//! breaks a rule is refused. The rest is as in step 4, except that a connection may end after a reply.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::{mem, str};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// The longest head in bytes.
const MAX_HEAD: usize = 8 * 1024;
/// The longest content in bytes.
const MAX_CONTENT: usize = 64 * 1024;
/// The largest number of field lines in a head.
const MAX_FIELDS: usize = 64;

// ---- the connection: bytes in, bytes out ----------------------------------------------------------------------------

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the last reply is queued, or the client sends no more ──▶ Ending ── all is sent ──▶ (closed)
///
///     any phase ── the socket fails ──▶ Closed
/// ```
#[derive(Debug)]
enum Phase {
    /// The connection is between two requests, or within a head. The first `searched` bytes of the input do not hold
    /// the end of that head.
    Head { searched: usize },
    /// The head has come. The content has not, or not all of it.
    Content(Request),
    /// Nothing more is read. What is owed is still sent.
    Ending,
    /// The socket can go.
    Closed,
}

impl Phase {
    /// Before the first byte of a request.
    const START: Self = Self::Head { searched: 0 };

    /// The table of steps: whether one step leads from this phase to `next`.
    fn leads_to(&self, next: &Phase) -> bool {
        match (self, next) {
            (Phase::Closed, _) => false,
            (_, Phase::Closed) => true,
            (Phase::Head { .. }, next) => matches!(next, Phase::Content(_) | Phase::Ending),
            (Phase::Content(_), next) => matches!(next, Phase::Head { .. } | Phase::Ending),
            (Phase::Ending, _) => false,
        }
    }
}

/// The head of a request, as far as this server cares.
#[derive(Debug)]
struct Request {
    method: String,
    target: String,
    /// The length of the content in bytes.
    length: usize,
    /// Whether the client may send another request after this one.
    persists: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refusal {
    BadRequest,
    ContentTooLarge,
    HeadTooLarge,
    NotImplemented,
}

impl Refusal {
    fn status(self) -> &'static str {
        match self {
            Refusal::BadRequest => "400 Bad Request",
            Refusal::ContentTooLarge => "413 Content Too Large",
            Refusal::HeadTooLarge => "431 Request Header Fields Too Large",
            Refusal::NotImplemented => "501 Not Implemented",
        }
    }
}

/// What a step of the state machine has come to.
#[derive(PartialEq)]
enum Step {
    /// Something was done, so there may be more to do.
    Again,
    /// Nothing can be done until more input comes.
    Stalled,
}

/// The state of one connection. It knows neither socket nor clock: its driver brings bytes and takes bytes.
#[derive(Debug)]
struct Connection {
    phase: Phase,
    /// What has come and is not used yet.
    input: Vec<u8>,
    /// The client has closed its side.
    input_ended: bool,
    /// What is owed to the client.
    output: Vec<u8>,
}

impl Connection {
    fn new() -> Self {
        Self { phase: Phase::START, input: Vec::new(), input_ended: false, output: Vec::new() }
    }

    fn received(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    fn received_eof(&mut self) {
        self.input_ended = true;
    }

    /// Parses and answers as far as the input allows.
    fn advance(&mut self) {
        while self.step() == Step::Again {}
        // What has not come whole will never come whole.
        if self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
    }

    fn step(&mut self) -> Step {
        match &self.phase {
            Phase::Head { searched } => self.read_head(*searched),
            Phase::Content(request) if self.input.len() < request.length => Step::Stalled,
            Phase::Content(_) => self.answer(),
            Phase::Ending | Phase::Closed => Step::Stalled,
        }
    }

    /// Enters the next phase: the one place where the phase changes. Returns the old one for what it holds.
    fn enter(&mut self, next: Phase) -> Phase {
        debug_assert!(self.phase.leads_to(&next), "no step leads from {:?} to {next:?}", self.phase);
        mem::replace(&mut self.phase, next)
    }

    /// Looks for the end of the head. The first `searched` bytes were searched before.
    fn read_head(&mut self, searched: usize) -> Step {
        // The end has four bytes, and up to three of them may have been searched.
        let from = searched.saturating_sub(3);
        let found = self.input[from..].windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = found.map(|at| from + at + 4);
        if end.unwrap_or(self.input.len()) > MAX_HEAD {
            return self.refuse(Refusal::HeadTooLarge);
        }
        let Some(end) = end else {
            self.phase = Phase::Head { searched: self.input.len() };
            return Step::Stalled;
        };
        match parse(&self.input[..end]) {
            Ok(request) => {
                self.input.drain(..end);
                self.enter(Phase::Content(request));
                Step::Again
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Answers the request whose content has come.
    fn answer(&mut self) -> Step {
        let Phase::Content(request) = self.enter(Phase::START) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        match (&*request.method, &*request.target) {
            ("GET", "/") => self.reply("200 OK", b"hello\n", request.persists),
            ("POST", "/echo") => self.reply("200 OK", &content, request.persists),
            _ => self.reply("404 Not Found", b"not found\n", request.persists),
        }
        if !request.persists {
            self.enter(Phase::Ending);
        }
        Step::Again
    }

    /// Answers a request that is not understood. Where the next one begins is not known, so this is the last reply.
    fn refuse(&mut self, refusal: Refusal) -> Step {
        self.reply(refusal.status(), b"", false);
        self.enter(Phase::Ending);
        Step::Stalled
    }

    fn reply(&mut self, status: &str, content: &[u8], persists: bool) {
        let close = if persists { "" } else { "Connection: close\r\n" };
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{close}\r\n", content.len());
        self.output.extend_from_slice(head.as_bytes());
        self.output.extend_from_slice(content);
    }

    // What the driver asks. All of it is computed from the phase.

    fn output(&self) -> &[u8] {
        &self.output
    }

    fn sent(&mut self, count: usize) {
        self.output.drain(..count);
    }

    fn wants_read(&self) -> bool {
        !self.input_ended && matches!(self.phase, Phase::Head { .. } | Phase::Content(_))
    }

    fn wants_end(&self) -> bool {
        match self.phase {
            Phase::Head { .. } | Phase::Content(_) => false,
            Phase::Ending => self.output.is_empty(),
            Phase::Closed => true,
        }
    }

    /// Ends the connection at once, since the socket has failed.
    fn abort(&mut self) {
        self.enter(Phase::Closed);
    }
}

/// Reads a head that has come whole.
fn parse(head: &[u8]) -> Result<Request, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    // For httparse a bare LF ends a line. For another program on the way it may be a byte of a value.
    if head.split_inclusive(|&byte| byte == b'\n').any(|line| !line.ends_with(b"\r\n")) {
        return Err(Refusal::BadRequest);
    }
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        _ => return Err(Refusal::BadRequest),
    }
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        length: 0,
        persists: parsed.version == Some(1),
    };
    let mut length = None;
    for field in parsed.headers.iter() {
        if field.name.eq_ignore_ascii_case("Content-Length") {
            // RFC 9112 §6.3: two lengths that differ are two messages for two readers.
            let value = content_length(field.value)?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(Refusal::BadRequest);
            }
        } else if field.name.eq_ignore_ascii_case("Transfer-Encoding") {
            // RFC 9112 §6.1: a server that does not understand the coding says so.
            return Err(Refusal::NotImplemented);
        } else if field.name.eq_ignore_ascii_case("Connection") {
            let options = str::from_utf8(field.value).map_err(|_| Refusal::BadRequest)?;
            request.persists &= !options.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        }
    }
    request.length = length.unwrap_or(0);
    match request.length {
        0..=MAX_CONTENT => Ok(request),
        _ => Err(Refusal::ContentTooLarge),
    }
}

/// RFC 9110 §8.6: only digits. `usize::from_str` would take a `+`, too.
fn content_length(value: &[u8]) -> Result<usize, Refusal> {
    let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits {
        None | Some("") => Err(Refusal::BadRequest),
        // A number that is too large for the machine is too large for us.
        Some(digits) => digits.parse().map_err(|_| Refusal::ContentTooLarge),
    }
}

// ---- the session: the owner of the socket ---------------------------------------------------------------------------

/// What the kernel last said about a socket. It says each thing only once, so it is kept here until a read or a write
/// finds that it is over.
#[derive(Debug, Default)]
struct Readiness {
    readable: bool,
    writable: bool,
}

struct Session {
    socket: TcpStream,
    connection: Connection,
    readiness: Readiness,
}

/// What becomes of a session after its turn.
#[derive(PartialEq)]
enum After {
    /// The kernel owes an event for everything that is still wanted.
    Exhausted,
    Closed,
}

impl Session {
    /// Runs a turn: reads, answers and writes until each wanted direction is exhausted.
    fn pump(&mut self) -> After {
        loop {
            if self.readiness.readable && self.connection.wants_read() {
                self.fill();
            }
            self.connection.advance();
            self.flush();
            if self.connection.wants_end() {
                return After::Closed;
            }
            if !(self.readiness.readable && self.connection.wants_read()) {
                return After::Exhausted;
            }
        }
    }

    /// Reads once.
    fn fill(&mut self) {
        let mut buffer = [0; 4096];
        match self.socket.read(&mut buffer) {
            Ok(0) => self.connection.received_eof(),
            Ok(count) => self.connection.received(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => self.fail(),
        }
    }

    /// Writes what is owed until nothing is left, or the kernel takes no more.
    fn flush(&mut self) {
        while self.readiness.writable && !self.connection.output().is_empty() {
            match self.socket.write(self.connection.output()) {
                Ok(count) => self.connection.sent(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readiness.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.fail(),
            }
        }
    }

    fn fail(&mut self) {
        self.connection.abort();
        self.readiness = Readiness::default();
    }
}

// ---- the event loop -------------------------------------------------------------------------------------------------

const LISTENER: Token = Token(usize::MAX);

struct EventLoop {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    sessions: Slab<Session>,
    /// Sessions that have ended.
    served: usize,
}

impl EventLoop {
    fn new(mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, events: Events::with_capacity(256), listener, sessions: Slab::new(), served: 0 })
    }

    /// Sleeps once, and then does all the work that the events bring.
    fn tick(&mut self) -> io::Result<()> {
        match self.poll.poll(&mut self.events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            if event.token() == LISTENER {
                self.accept()?;
            } else if let Some(session) = self.sessions.get_mut(event.token().0) {
                session.readiness.readable |= event.is_readable();
                session.readiness.writable |= event.is_writable();
                if session.pump() == After::Closed {
                    self.sessions.remove(event.token().0);
                    self.served += 1;
                }
            }
        }
        self.events = events;
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut socket, _)) => {
                    let entry = self.sessions.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut socket, Token(entry.key()), interest)?;
                    entry.insert(Session { socket, connection: Connection::new(), readiness: Readiness::default() });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse().expect("ADDRESS is like 127.0.0.1:7000");
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut event_loop = EventLoop::new(listener)?;
    while event_loop.served < clients {
        event_loop.tick()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
    const REPLIES: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n\
                           HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";

    /// Brings the input in pieces of at most `size` bytes.
    fn replies(input: &[u8], size: usize) -> String {
        let mut connection = Connection::new();
        for piece in input.chunks(size) {
            connection.received(piece);
            connection.advance();
        }
        String::from_utf8_lossy(connection.output()).into_owned()
    }

    #[test]
    fn the_replies_are_the_same_in_whatever_pieces_the_requests_come() {
        for size in 1..=TWO.len() {
            assert_eq!(replies(TWO, size), REPLIES, "in pieces of {size}");
        }
    }

    #[test]
    fn what_breaks_a_rule_is_refused_at_any_size_of_the_pieces() {
        let long = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(MAX_HEAD));
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: a\r\n".repeat(MAX_FIELDS + 1));
        for (name, input, status) in [
            ("no version", "GET /\r\n\r\n", "400"),
            ("a bare LF ends a line", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"),
            ("a bare LF ends a line in a value", "GET / HTTP/1.1\r\nA: a\nContent-Length: 3\r\n\r\n", "400"),
            ("a bare LF ends a head early", "GET / HTTP/1.1\n\n GET / HTTP/1.1\r\n\r\n", "400"),
            ("a sign", "POST /echo HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", "400"),
            ("two lengths", "POST /echo HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "400"),
            ("a coding", "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "501"),
            ("long content", "POST /echo HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "413"),
            ("a head without end", &long, "431"),
            ("many field lines", &many, "431"),
        ] {
            for size in [1, 2, 3, 7, input.len()] {
                let replies = replies(input.as_bytes(), size);
                assert!(replies.starts_with(&format!("HTTP/1.1 {status} ")), "{name}, in pieces of {size}: {replies}");
                assert_eq!(replies.matches("HTTP/1.1").count(), 1, "{name}, in pieces of {size}");
            }
        }
    }

    #[test]
    fn after_the_end_of_the_input_the_last_replies_are_still_owed() {
        let mut connection = Connection::new();
        connection.received(&TWO[..TWO.len() - 1]);
        connection.received_eof();
        connection.advance();
        assert!(connection.output().ends_with(b"hello\n") && !connection.wants_end());
        connection.sent(connection.output().len());
        assert!(connection.wants_end());
    }
}
