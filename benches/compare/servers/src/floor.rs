//! The floor: what an epoll loop costs without an HTTP server.
//!
//! It reads once, looks for blank lines, and answers each with a constant reply, all of them with one write. It parses
//! nothing. A request that begins with `POST` is echoed, and one for a path that begins with `/j` gets JSON. A head
//! that ends with `close` ends the connection, and everything else is greeted. There are no limits, no timeouts, no
//! `Date`, no 404, and no defence of any kind. Hardly any server can be cheaper on the same kernel. What a real server
//! costs beyond this is the price of its HTTP.

use std::io::{ErrorKind, Read, Result, Write};

use compare_servers::address;
use memchr::memmem::{self, Finder};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};

const GREETING: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const GREETING_AND_CLOSE: &[u8] =
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!";
const JSON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n\
                      {\"message\":\"Hello, World!\"}";

const LISTENER: Token = Token(usize::MAX);
const READ_BUFFER: usize = 256 * 1024;

fn main() -> Result<()> {
    let mut floor = Floor::new()?;
    let mut events = Events::with_capacity(1024);
    loop {
        if let Err(error) = floor.poll.poll(&mut events, None)
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error);
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(),
                Token(index) => floor.turn(index),
            }
        }
    }
}

struct Floor {
    poll: Poll,
    listener: TcpListener,
    /// The index is the token. A connection ends only in its own event, so no event is left for the next one at its
    /// index.
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Box<[u8]>,
    replies: Vec<u8>,
    blank_line: Finder<'static>,
}

struct Connection {
    socket: TcpStream,
    /// The beginning of a head, if the blank line has not come yet.
    unfinished: Vec<u8>,
    /// Bytes of content that are still to be echoed.
    content_left: usize,
    /// What the kernel did not take.
    unsent: Vec<u8>,
    /// The poll tells when the kernel takes more. Most connections never need that.
    is_watched: bool,
    is_closing: bool,
}

impl Floor {
    fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(address())?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self {
            poll,
            listener,
            connections: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; READ_BUFFER].into(),
            replies: Vec::new(),
            blank_line: Finder::new(b"\r\n\r\n"),
        })
    }

    fn accept(&mut self) {
        while let Ok((mut socket, _)) = self.listener.accept() {
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            if self.poll.registry().register(&mut socket, Token(index), Interest::READABLE).is_err() {
                self.free.push(index);
                continue;
            }
            self.connections[index] = Some(Connection {
                socket,
                unfinished: Vec::new(),
                content_left: 0,
                unsent: Vec::new(),
                is_watched: false,
                is_closing: false,
            });
        }
    }

    /// Answers everything that has come, and drops the connection if it has ended.
    fn turn(&mut self, index: usize) {
        let Some(connection) = &mut self.connections[index] else { return };
        let mut is_alive = connection.send(&[]);
        while is_alive {
            let count = match connection.socket.read(&mut self.buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                result => result.unwrap_or(0),
            };
            self.replies.clear();
            connection.answer(&self.buffer[..count], &self.blank_line, &mut self.replies);
            is_alive = count > 0 && connection.send(&self.replies) && !connection.is_closing;
            if is_alive && !connection.unsent.is_empty() && !connection.is_watched {
                is_alive = connection.watch(self.poll.registry(), Token(index)).is_ok();
            }
            if is_alive && count < self.buffer.len() {
                return;
            }
        }
        self.connections[index] = None;
        self.free.push(index);
    }
}

impl Connection {
    /// For the few replies that do not leave in one write.
    fn watch(&mut self, registry: &Registry, token: Token) -> Result<()> {
        self.is_watched = true;
        self.socket.set_nodelay(true)?;
        registry.reregister(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Appends a reply for each blank line in `input`.
    fn answer(&mut self, input: &[u8], blank_line: &Finder<'_>, replies: &mut Vec<u8>) {
        let joined;
        let mut rest = input;
        if !self.unfinished.is_empty() {
            self.unfinished.extend_from_slice(input);
            joined = std::mem::take(&mut self.unfinished);
            rest = &joined;
        }
        loop {
            let content = self.content_left.min(rest.len());
            replies.extend_from_slice(&rest[..content]);
            self.content_left -= content;
            rest = &rest[content..];
            let Some(end) = blank_line.find(rest) else { break };
            let (head, behind) = rest.split_at(end + 4);
            rest = behind;
            self.reply(head, replies);
        }
        self.unfinished.extend_from_slice(rest);
    }

    fn reply(&mut self, head: &[u8], replies: &mut Vec<u8>) {
        if head.starts_with(b"POST") {
            self.content_left = content_length(head);
            let length = self.content_left;
            let _ = write!(replies, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        } else if head.starts_with(b"GET /j") {
            replies.extend_from_slice(JSON);
        } else if head.ends_with(b"close\r\n\r\n") {
            replies.extend_from_slice(GREETING_AND_CLOSE);
            self.is_closing = true;
        } else {
            replies.extend_from_slice(GREETING);
        }
    }

    /// Sends the bytes left over and then `bytes`. Returns false if the socket is broken.
    fn send(&mut self, bytes: &[u8]) -> bool {
        if self.unsent.is_empty() {
            return match write(&mut self.socket, bytes) {
                Some(sent) => {
                    self.unsent.extend_from_slice(&bytes[sent..]);
                    true
                }
                None => false,
            };
        }
        self.unsent.extend_from_slice(bytes);
        match write(&mut self.socket, &self.unsent) {
            Some(sent) => {
                self.unsent.drain(..sent);
                true
            }
            None => false,
        }
    }
}

/// Writes until the kernel takes no more. Returns the number of bytes it took, or `None` if the socket is broken.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> Option<usize> {
    let mut sent = 0;
    while sent < bytes.len() {
        match socket.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => return None,
        }
    }
    Some(sent)
}

/// The number after `Content-Length: `, which must be spelled exactly like this. No number is 0.
fn content_length(head: &[u8]) -> usize {
    let name = b"\r\nContent-Length: ";
    let Some(at) = memmem::find(head, name) else { return 0 };
    let digits = head[at + name.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
}
