//! Exercise 9: the last reply of a connection. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/09_last_words.rs"]
mod exercise;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exercise::{Ended, send_last};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

/// A client, and the server's end of its connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_write_timeout(Some(LIMIT)).unwrap();
    }
    (client, server)
}

/// What the client has sent waits unread in the server's socket.
#[test]
fn the_reply_survives_what_nobody_has_read() {
    let (mut client, server) = pair();
    client.write_all(&[b'x'; 10_000]).unwrap();
    let serving = thread::spawn(move || send_last(server, b"goodbye", LONG));
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).expect("a reset has come in place of the end");
    assert_eq!(reply, b"goodbye");
    drop(client);
    assert_eq!(serving.join().unwrap().unwrap(), Ended::ByClient);
}

#[test]
fn the_reply_survives_what_comes_after_it() {
    let (mut client, server) = pair();
    let serving = thread::spawn(move || send_last(server, b"goodbye", LONG));
    let mut reply = [0; 7];
    client.read_exact(&mut reply).unwrap();
    for _ in 0..10 {
        client.write_all(&[b'x'; 1000]).expect("the server still reads");
    }
    assert_eq!(client.read(&mut [0; 10]).expect("a reset has come in place of the end"), 0);
    drop(client);
    assert_eq!(serving.join().unwrap().unwrap(), Ended::ByClient);
}

/// Waiting for such a client would be a waste.
#[test]
fn a_client_that_has_closed_is_not_waited_for() {
    let (client, server) = pair();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let began = Instant::now();
    assert_eq!(send_last(server, b"goodbye", LONG).unwrap(), Ended::ByClient);
    assert!(began.elapsed() < LIMIT);
}

#[test]
fn a_client_that_never_closes_costs_no_more_than_the_patience() {
    let (client, server) = pair();
    assert_eq!(send_last(server, b"goodbye", SHORT).unwrap(), Ended::GivenUp);
    drop(client);
}

/// Each byte comes in time for its own read.
#[test]
fn a_client_that_drips_costs_no_more_than_the_patience() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let (mut client, server) = pair();
    let dripping = thread::spawn(move || {
        let end = Instant::now() + LIMIT / 2;
        while !DONE.load(Ordering::Relaxed) && Instant::now() < end && client.write_all(b"x").is_ok() {
            thread::sleep(SHORT / 10);
        }
        !DONE.load(Ordering::Relaxed) && Instant::now() >= end
    });
    assert_eq!(send_last(server, b"goodbye", SHORT).unwrap(), Ended::GivenUp);
    DONE.store(true, Ordering::Relaxed);
    assert!(!dripping.join().unwrap(), "the server listened to each drop");
}

/// It sends as fast as it can, and so many bytes that no kernel holds them.
#[test]
fn a_client_that_floods_is_not_read_to_the_end() {
    let (mut client, server) = pair();
    let flooding = thread::spawn(move || (0..10_000).all(|_| client.write_all(&[b'x'; 10_000]).is_ok()));
    assert_eq!(send_last(server, b"goodbye", LONG).unwrap(), Ended::GivenUp);
    assert!(!flooding.join().unwrap(), "the server has read a hundred million bytes");
}
