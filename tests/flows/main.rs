//! What flows between threads, sockets and the loop: replies from other threads, content that is pushed, protocols,
//! timers. These tests need a kernel and threads; `src/h1/tests` tests the protocol itself.

#[path = "../support/mod.rs"]
mod support;

mod content;
mod deferred;
mod protocols;
mod reader;
#[cfg(feature = "websocket")]
mod sockets;
mod tasks;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use monoloop::exchange::{Abort, BodySink, Intake, Responder, Resumer, Trailers};
use monoloop::{Config, Response, Result, Router, Sent};
use support::{Client, LIMIT, TestServer};

const MIB: usize = 1 << 20;

/// A server with routes, and what its handlers hand out.
fn start<T: Send + 'static>(
    setup: impl FnOnce(&mut Router<()>, &mut Config, Sender<T>) + Send + 'static,
) -> (TestServer, Receiver<T>) {
    let (hand_out, handed_out) = channel();
    (TestServer::start(move |app, config| setup(app, config, hand_out)), handed_out)
}

#[track_caller]
fn next<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(LIMIT).expect("it comes in time")
}

/// A route that defers its reply, and gives the responder to the test.
fn defer(app: &mut Router<()>, hand_out: Sender<Responder>) {
    app.get("/later/:name", move |_, _, res| {
        let (sent, responder) = res.defer();
        hand_out.send(responder).expect("the test waits for it");
        Ok(sent)
    });
    app.get("/now", |_, _, res| res.text("now"));
}

/// Reads chunked content to its end.
#[track_caller]
fn read_chunks(client: &mut Client) -> Vec<u8> {
    let mut content = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            assert_eq!(client.read_some(&mut byte).expect("a byte in time"), 1, "cut off after {line:?}");
            line.push(byte[0]);
        }
        let line = std::str::from_utf8(&line[..line.len() - 2]).expect("a size");
        let size = usize::from_str_radix(line, 16).expect("a size");
        let from = content.len();
        client.read_content(size + 2, MIB, |_, bytes| content.extend_from_slice(bytes));
        assert!(content.ends_with(b"\r\n"));
        content.truncate(from + size);
        if size == 0 {
            return content;
        }
    }
}

/// Reads until the connection ends, and returns how it ended.
fn read_to_the_end(client: &mut Client) -> (Vec<u8>, io::Result<()>) {
    let (mut all, mut room) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        match client.read_some(&mut room) {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend_from_slice(&room[..count]),
            Err(error) => return (all, Err(error)),
        }
    }
}

/// Gives the test a resumer for each piece.
struct Halting {
    bytes: usize,
    resumers: Sender<Resumer>,
    aborted: Sender<Abort>,
}

impl BodySink<()> for Halting {
    fn data(&mut self, _: &mut (), piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.bytes += piece.len();
        let _ = self.resumers.send(intake.pause());
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text(self.bytes.to_string())
    }

    fn abort(self: Box<Self>, _: &mut (), why: Abort) {
        let _ = self.aborted.send(why);
    }
}
