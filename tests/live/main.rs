//! `monoloop demo --live`: the feed of the page through a socket, and the page itself in Chromium. Nothing here sleeps,
//! and every wait has an end.
#![cfg(all(feature = "cli", feature = "live", target_os = "linux"))]

#[path = "../support/mod.rs"]
mod support;

mod feed;
mod guarded;
mod pace;
mod page;

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Instant;

use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use support::process::{End, Process};
use support::{Client, LIMIT};
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// `monoloop demo --live`, on free ports.
struct Demo {
    process: Process,
    address: SocketAddr,
    /// Where the page is.
    page: SocketAddr,
}

impl Demo {
    #[track_caller]
    fn start() -> Self {
        Self::start_with(&[])
    }

    #[track_caller]
    fn start_with(options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.args(["demo", "--port=0", "--live=127.0.0.1:0"]).args(options);
        let mut process = Process::start(command);
        let mut address = None;
        loop {
            let line = process.line();
            if let Some(listening) = line.strip_prefix("listening on http://") {
                address = listening.parse().ok();
            }
            if let Some(url) = line.strip_prefix("live page on http://") {
                let address = address.expect("the server is announced before the page");
                let page = url.strip_suffix("/_live").and_then(|page| page.parse().ok());
                return Self { address, process, page: page.expect("an address") };
            }
        }
    }

    #[track_caller]
    fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    #[track_caller]
    fn feed(&self) -> Feed {
        Feed::open(self.page)
    }

    fn url(&self) -> String {
        format!("http://{}/_live", self.page)
    }

    /// Ends it by SIGTERM.
    #[track_caller]
    fn end(mut self) -> End {
        kill_process(self.process.pid(), Signal::TERM).expect("it is alive");
        self.process.end()
    }
}

/// One page, as the server sees it.
struct Feed(WebSocket<TcpStream>);

impl Feed {
    #[track_caller]
    fn open(page: SocketAddr) -> Self {
        let (status, socket) = shake_hands(page, &format!("Host: {page}\r\nOrigin: http://{page}\r\n"));
        assert_eq!(status, 101);
        Self(WebSocket::from_raw_socket(socket, Role::Client, None))
    }

    /// The code and the reason of the close, which comes before any other message.
    #[track_caller]
    fn end(mut self) -> (u16, String) {
        match self.0.read().expect("a message comes") {
            Message::Close(Some(close)) => (close.code.into(), close.reason.to_string()),
            other => panic!("it is not closed: {other:?}"),
        }
    }

    #[track_caller]
    fn order(&mut self, order: &Value) {
        self.0.send(Message::text(order.to_string())).expect("the feed takes orders");
    }

    #[track_caller]
    fn start(&mut self, what: &str) {
        self.order(&json!({ "order": "start", "what": what }));
    }

    /// The next message.
    #[track_caller]
    fn next(&mut self) -> Value {
        loop {
            match self.0.read().expect("a message comes") {
                Message::Text(text) => return serde_json::from_str(&text).expect("it is JSON"),
                Message::Close(close) => panic!("the feed was closed: {close:?}"),
                _ => {}
            }
        }
    }

    /// The first message of which this holds. All before it are skipped.
    #[track_caller]
    fn wait(&mut self, what: &str, mut holds: impl FnMut(&Value) -> bool) -> Value {
        let end = Instant::now() + 2 * LIMIT;
        loop {
            let message = self.next();
            if holds(&message) {
                return message;
            }
            assert!(Instant::now() < end, "no {what} comes; the last message is {message}");
        }
    }

    /// The first connection of which this holds.
    #[track_caller]
    fn slot(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        self.wait(what, |message| {
            let slot = slots(message).iter().find(|slot| holds(slot));
            found = slot.cloned().unwrap_or_default();
            slot.is_some()
        });
        found
    }
}

fn slots(message: &Value) -> &[Value] {
    message["slots"]["shown"].as_array().map_or(&[], Vec::as_slice)
}

/// Whether a message is a frame with a sentence that contains this text.
fn says(message: &Value, text: &str) -> bool {
    let sentences = message["sentences"].as_array().map_or(&[][..], Vec::as_slice);
    sentences.iter().any(|sentence| sentence["text"].as_str().is_some_and(|said| said.contains(text)))
}

/// Asks for the feed with these field lines. Returns the status, and the socket after the head of the reply.
#[track_caller]
fn shake_hands(page: SocketAddr, fields: &str) -> (u16, TcpStream) {
    let client = Client::tcp(page);
    let mut socket = client.socket().try_clone().expect("a descriptor is free");
    std::io::Write::write_all(
        &mut socket,
        format!(
            "GET /_live/feed HTTP/1.1\r\n{fields}Connection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        .as_bytes(),
    )
    .expect("the server takes it");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).expect("a head comes");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("it is text");
    (head[9..12].parse().expect("a status"), socket)
}
