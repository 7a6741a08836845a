//! Exercise 9: the last reply of a connection. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/09_last_words.rs"]
mod exercise;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exercise::{Ended, send_last};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);
/// For a client that floods. It has filled all buffers, and read its reply, long before this is over.
const FLOOD: Duration = Duration::from_secs(3);

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

/// The kernel takes all of a long reply only when the client has read most of it. The patience begins then.
#[test]
fn a_slow_taker_has_its_patience_after_the_reply() {
    let patience = Duration::from_secs(2);
    let (mut client, server) = pair();
    client.write_all(&[b'x'; 10_000]).unwrap();
    let serving = thread::spawn(move || send_last(server, &vec![b'r'; 16 << 20], patience));
    thread::sleep(patience * 3 / 2);
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).expect("a reset has come in place of the end");
    assert_eq!(reply.len(), 16 << 20);
    drop(client);
    assert_eq!(serving.join().unwrap().unwrap(), Ended::ByClient);
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
    client.shutdown(Shutdown::Write).unwrap();
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

/// Its byte comes late, and buys no more time. The end of its side comes when the patience is long over.
#[test]
fn a_late_byte_does_not_buy_more_patience() {
    let patience = Duration::from_secs(2);
    let (mut client, server) = pair();
    let serving = thread::spawn(move || send_last(server, b"goodbye", patience));
    client.read_exact(&mut [0; 7]).unwrap();
    thread::sleep(patience * 9 / 10);
    client.write_all(b"x").unwrap();
    thread::sleep(patience * 6 / 10);
    // The server may be gone by now.
    let _ = client.shutdown(Shutdown::Write);
    assert_eq!(serving.join().unwrap().unwrap(), Ended::GivenUp, "the server has waited for more than its patience");
}

/// The client closes its socket over a reply that it has not read, and that is a reset.
#[test]
fn a_reset_after_the_reply_is_no_error_and_no_orderly_end() {
    let (client, server) = pair();
    let serving = thread::spawn(move || send_last(server, b"goodbye", LONG));
    while client.peek(&mut [0; 7]).unwrap() < 7 {}
    drop(client);
    assert_eq!(serving.join().unwrap().expect("the reply was sent before the reset"), Ended::Failed);
}

/// Sends as fast as it can, until the server takes no more. Returns how many bytes the kernel has taken.
fn flood(client: &mut TcpStream) -> usize {
    client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut sent = 0;
    // So many bytes that no kernel holds them.
    while sent < 100_000_000 {
        match client.write(&[b'x'; 10_000]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return sent,
            Err(error) => panic!("the client is not stopped, but cut: {error}"),
        }
    }
    panic!("the server has read a hundred million bytes");
}

/// It is stopped: the server reads no more, and does not close yet. Then it reads its reply.
#[test]
fn a_client_that_floods_is_stopped_and_gets_its_reply() {
    let (mut client, server) = pair();
    let serving = thread::spawn(move || send_last(server, b"goodbye", FLOOD));
    flood(&mut client);
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).expect("a reset has come in place of the end");
    assert_eq!(reply, b"goodbye");
    assert_eq!(serving.join().unwrap().unwrap(), Ended::GivenUp);
}

/// The test keeps the server's socket, and counts what is left in it.
#[test]
fn what_a_client_floods_is_read_up_to_the_limit() {
    let (mut client, server) = pair();
    let mut rest = server.try_clone().unwrap();
    let serving = thread::spawn(move || send_last(server, b"goodbye", FLOOD));
    let sent = flood(&mut client);
    assert_eq!(serving.join().unwrap().unwrap(), Ended::GivenUp);
    client.shutdown(Shutdown::Write).unwrap();
    rest.set_read_timeout(Some(LIMIT)).unwrap();
    let left = std::io::copy(&mut rest, &mut std::io::sink()).unwrap() as usize;
    let read = sent - left;
    let most = 65_536 + 4096;
    assert!((65_536..most).contains(&read), "{read} bytes were read: it must be 65,536 or more, and less than {most}");
}
