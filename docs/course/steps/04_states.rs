//! Step 4: the protocol becomes a state machine that knows no socket.
//!
//!     cargo run --bin 04_states [ADDRESS [CLIENTS]]
//!
//! The protocol is a small part of HTTP/1.1: `GET /`, and `POST /echo` with a `Content-Length`. The step trusts its
//! clients far too much; the next steps end that.

use std::env;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

// ---- the connection: bytes in, bytes out ----------------------------------------------------------------------------

/// What a connection is doing.
///
/// ```text
///     ──▶ Head ── a head has come ──▶ Content ── the content has come, the reply is queued ──▶ Head
///
///     Head, Content ── the client sends no more ──▶ Ending ── all is sent ──▶ (the socket is closed)
///
///     any phase ── the socket fails ──▶ Closed
/// ```
#[derive(Debug)]
enum Phase {
    /// The connection is between two requests, or within a head.
    Head,
    /// The head has come. The content has not, or not all of it.
    Content(Request),
    /// Nothing more is read. What is owed is still sent.
    Ending,
    /// The socket can go.
    Closed,
}

impl Phase {
    /// The table of steps: whether one step leads from this phase to `next`.
    fn leads_to(&self, next: &Phase) -> bool {
        match (self, next) {
            (Phase::Closed, _) => false,
            (_, Phase::Closed) => true,
            (Phase::Head, next) => matches!(next, Phase::Content(_) | Phase::Ending),
            (Phase::Content(_), next) => matches!(next, Phase::Head | Phase::Ending),
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
        Self { phase: Phase::Head, input: Vec::new(), input_ended: false, output: Vec::new() }
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
        if self.input_ended && matches!(self.phase, Phase::Head | Phase::Content(_)) {
            self.enter(Phase::Ending);
        }
    }

    fn step(&mut self) -> Step {
        match &self.phase {
            Phase::Head => self.read_head(),
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

    fn read_head(&mut self) -> Step {
        let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Step::Stalled };
        let head: Vec<u8> = self.input.drain(..end + 4).collect();
        self.enter(Phase::Content(parse(&String::from_utf8_lossy(&head))));
        Step::Again
    }

    /// Answers the request whose content has come.
    fn answer(&mut self) -> Step {
        let Phase::Content(request) = self.enter(Phase::Head) else { unreachable!("only a request is answered") };
        let content: Vec<u8> = self.input.drain(..request.length).collect();
        match (&*request.method, &*request.target) {
            ("GET", "/") => self.reply("200 OK", b"hello\n"),
            ("POST", "/echo") => self.reply("200 OK", &content),
            _ => self.reply("404 Not Found", b"not found\n"),
        }
        Step::Again
    }

    fn reply(&mut self, status: &str, content: &[u8]) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", content.len());
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
        !self.input_ended && matches!(self.phase, Phase::Head | Phase::Content(_))
    }

    fn wants_end(&self) -> bool {
        match self.phase {
            Phase::Head | Phase::Content(_) => false,
            Phase::Ending => self.output.is_empty(),
            Phase::Closed => true,
        }
    }

    /// Ends the connection at once, since the socket has failed.
    fn abort(&mut self) {
        self.enter(Phase::Closed);
    }
}

/// Takes the request line and the length from a head. It believes everything; step 5 does not.
fn parse(head: &str) -> Request {
    let mut words = head.split([' ', '\r']).map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let length = head.lines().filter_map(|line| line.strip_prefix("Content-Length: ")).next();
    Request { method, target, length: length.and_then(|length| length.parse().ok()).unwrap_or(0) }
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
