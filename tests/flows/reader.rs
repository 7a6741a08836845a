//! Content that a thread reads as from a file.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use monoloop::exchange::{ContentReader, Responder, to_reader};
use monoloop::{Method, Router, TestClient};

use crate::support::{LIMIT, assert_same, pattern};
use crate::{MIB, next, start};

type Handed = (ContentReader, Responder);

/// A route that gives the reader and the responder to the test.
fn hand_over(app: &mut Router<()>, hand_out: Sender<Handed>) {
    app.duplex(Method::Post, "/read", move |_, _, res| {
        let (sent, responder) = res.defer();
        let (sink, reader) = to_reader();
        hand_out.send((reader, responder)).expect("the test waits for it");
        Ok((sent, sink))
    });
}

fn in_memory() -> (TestClient<Router<()>>, Receiver<Handed>) {
    let (hand_out, handed) = channel();
    let mut app = Router::new(());
    hand_over(&mut app, hand_out);
    (TestClient::new(app), handed)
}

fn head(length: usize) -> String {
    format!("POST /read HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn a_reader_gets_the_content_piece_by_piece_and_its_end() {
    let (mut client, handed) = in_memory();
    client.write(head(6)).write("ab");
    let (mut reader, responder) = next(&handed);
    let mut room = [0; 4];
    assert_eq!((reader.read(&mut room[..1]).expect("a byte"), room[0]), (1, b'a'));
    assert_eq!((reader.read(&mut room).expect("a byte"), room[0]), (1, b'b'));
    client.write("cdef");
    let mut rest = String::new();
    assert_eq!(reader.read_to_string(&mut rest).expect("the end"), 4);
    assert_eq!(rest, "cdef");
    assert_eq!(reader.read(&mut room).expect("still the end"), 0);
    responder.text("whole");
    client.advance(Duration::ZERO);
    assert_eq!(client.read_reply().expect("a reply").text(), "whole");
}

#[test]
fn a_request_without_content_is_at_its_end_at_once() {
    let (mut client, handed) = in_memory();
    client.write(head(0));
    let (mut reader, _responder) = next(&handed);
    assert_eq!(reader.read(&mut [0; 4]).expect("the end"), 0);
}

#[test]
fn a_reader_learns_why_the_content_is_not_whole() {
    type End = fn(&mut TestClient<Router<()>>) -> &mut TestClient<Router<()>>;
    let ends: [(&str, End, ErrorKind); 3] = [
        ("gone", |client| client.reset(), ErrorKind::ConnectionAborted),
        ("closed", |client| client.half_close(), ErrorKind::ConnectionAborted),
        ("slow", |client| client.advance(Duration::from_secs(60)), ErrorKind::TimedOut),
    ];
    for (name, end, expected) in ends {
        let (mut client, handed) = in_memory();
        client.write(head(6)).write("ab");
        let (mut reader, _responder) = next(&handed);
        end(&mut client);
        let mut content = Vec::new();
        // What has come can be read before the error.
        assert_eq!(reader.read_to_end(&mut content).expect_err(name).kind(), expected, "{name}");
        assert_eq!(content, b"ab", "{name}");
    }
}

#[test]
fn a_reader_that_is_dropped_lets_the_content_pass() {
    let (mut client, handed) = in_memory();
    client.write(head(MIB)).write(vec![b'x'; MIB / 2]);
    let (reader, responder) = next(&handed);
    drop(reader);
    client.advance(Duration::ZERO).write(vec![b'x'; MIB / 2]);
    responder.text("unread");
    client.advance(Duration::ZERO);
    assert_eq!(client.read_reply().expect("a reply").text(), "unread");
    // The connection goes on: all of the content was taken from it.
    client.write(head(0));
    next(&handed).1.text("next");
    client.advance(Duration::ZERO);
    assert_eq!(client.read_reply().expect("a reply").text(), "next");
}

/// The client can be ahead by what memory and the kernel hold, and no more.
#[test]
fn a_client_waits_for_a_thread_that_reads_slowly() {
    const TOTAL: usize = 64 * MIB;
    let (server, handed) = start(|app, _, hand_out| hand_over(app, hand_out));
    let sent = Arc::new(AtomicUsize::new(0));
    let (count, address) = (Arc::clone(&sent), server.address());
    let client = thread::spawn(move || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        stream.write_all(head(TOTAL).as_bytes()).expect("it is taken");
        for piece in pattern(TOTAL).chunks(100_000) {
            stream.write_all(piece).expect("it is taken");
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
        let mut reply = [0; 12];
        stream.read_exact(&mut reply).expect("a reply in time");
        reply
    });
    let (mut reader, responder) = next(&handed);
    // When everything is full, the client makes no more progress.
    let mut before = usize::MAX;
    let since = Instant::now();
    while sent.load(Ordering::Relaxed) != before {
        before = sent.load(Ordering::Relaxed);
        for _ in 0..100 {
            server.connect().ask("/none");
        }
        assert!(since.elapsed() < LIMIT);
    }
    assert!(before < TOTAL / 2, "{before} bytes were sent though nobody reads");
    let mut content = Vec::new();
    reader.read_to_end(&mut content).expect("all of it");
    assert_same(&content, &pattern(TOTAL), "what was read");
    responder.text("read");
    assert_eq!(&client.join().expect("no panic"), b"HTTP/1.1 200");
}
