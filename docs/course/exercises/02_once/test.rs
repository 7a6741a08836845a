//! Exercise 2: an edge comes once. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/02_once.rs"]
mod exercise;

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use exercise::{State, take};
use mio::{Events, Interest, Poll, Token};

/// A socket of which the test knows each answer.
struct Script(VecDeque<Result<&'static [u8], ErrorKind>>);

impl Script {
    fn new(answers: &[Result<&'static [u8], ErrorKind>]) -> Self {
        Self(answers.iter().copied().collect())
    }
}

impl Read for Script {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.pop_front().expect("nothing was to be read any more")?;
        let count = bytes.len().min(room.len());
        room[..count].copy_from_slice(&bytes[..count]);
        if count < bytes.len() {
            self.0.push_front(Ok(&bytes[count..]));
        }
        Ok(count)
    }
}

#[test]
fn it_reads_until_the_kernel_has_no_more() {
    let mut socket = Script::new(&[Ok(b"one "), Ok(b"two"), Err(ErrorKind::WouldBlock)]);
    let mut bytes = b"zero ".to_vec();
    assert_eq!(take(&mut socket, &mut bytes).unwrap(), State::Exhausted);
    assert_eq!(String::from_utf8(bytes).unwrap(), "zero one two");
}

#[test]
fn it_reads_all_of_more_than_a_buffer() {
    // No number of reads is enough for all clients.
    const MANY: &[u8] = &[7; 8_000_000];
    let mut socket = Script::new(&[Ok(MANY), Err(ErrorKind::WouldBlock)]);
    let mut bytes = Vec::new();
    assert_eq!(take(&mut socket, &mut bytes).unwrap(), State::Exhausted);
    assert_eq!(bytes.len(), MANY.len());
    assert!(bytes == MANY, "they are not the bytes that were sent");
}

#[test]
fn data_and_the_end_can_come_together() {
    let mut socket = Script::new(&[Ok(b"goodbye"), Ok(b"")]);
    let mut bytes = Vec::new();
    assert_eq!(take(&mut socket, &mut bytes).unwrap(), State::Ended);
    assert_eq!(bytes, b"goodbye");
}

#[test]
fn an_event_may_bring_no_bytes() {
    for (answer, state) in [(Ok(&b""[..]), State::Ended), (Err(ErrorKind::WouldBlock), State::Exhausted)] {
        let mut bytes = Vec::new();
        assert_eq!(take(&mut Script::new(&[answer]), &mut bytes).unwrap(), state, "the first answer is {answer:?}");
        assert_eq!(bytes, b"");
    }
}

#[test]
fn a_signal_is_no_reason_to_stop() {
    let signal = Err(ErrorKind::Interrupted);
    let mut socket = Script::new(&[signal, Ok(b"a"), signal, signal, Ok(b"b"), Err(ErrorKind::WouldBlock)]);
    let mut bytes = Vec::new();
    assert_eq!(take(&mut socket, &mut bytes).unwrap(), State::Exhausted);
    assert_eq!(bytes, b"ab");
}

#[test]
fn a_failure_is_told_and_loses_nothing() {
    for kind in [ErrorKind::ConnectionReset, ErrorKind::TimedOut, ErrorKind::BrokenPipe, ErrorKind::Other] {
        let mut socket = Script::new(&[Ok(b"a"), Err(kind)]);
        let mut bytes = Vec::new();
        let taken = take(&mut socket, &mut bytes);
        assert_eq!(taken.map_err(|error| error.kind()), Err(kind), "a read fails with {kind:?}");
        assert_eq!(bytes, b"a");
    }
}

/// The same with a kernel. One edge tells of all hundred bytes, and no other edge follows.
#[test]
fn one_edge_is_enough_with_a_kernel_too() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (socket, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut socket = mio::net::TcpStream::from_std(socket);
    let (mut poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(8));
    client.write_all(&[b'x'; 100]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    poll.registry().register(&mut socket, Token(0), Interest::READABLE).unwrap();
    let mut bytes = Vec::new();
    // The end may have an edge of its own, so up to two edges may come.
    for _ in 0..2 {
        poll.poll(&mut events, Some(Duration::from_secs(2))).unwrap();
        assert!(!events.is_empty(), "no edge comes, and {} of 100 bytes were read", bytes.len());
        if take(&mut socket, &mut bytes).unwrap() == State::Ended {
            break;
        }
    }
    assert_eq!(bytes.len(), 100);
}
