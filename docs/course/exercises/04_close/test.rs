//! Exercise 4: the last request of a connection. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/04_close.rs"]
mod exercise;

use exercise::Connection;

const LAST: &[u8] = b"POST /echo HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc";
const REPLY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc";

/// Brings the input in pieces of at most `size` bytes.
fn after(input: &[u8], size: usize) -> Connection {
    let mut connection = Connection::new();
    for piece in input.chunks(size) {
        connection.received(piece);
        connection.advance();
    }
    connection
}

#[track_caller]
fn owed(connection: &Connection) -> String {
    String::from_utf8(connection.output().to_vec()).unwrap()
}

#[test]
fn the_reply_says_that_it_is_the_last_one() {
    for size in 1..=LAST.len() {
        assert_eq!(owed(&after(LAST, size)), REPLY, "in pieces of {size}");
    }
}

#[test]
fn nothing_is_read_after_it_and_the_end_comes_when_all_is_sent() {
    let mut connection = after(LAST, LAST.len());
    assert!(!connection.wants_read(), "the client has said that it sends no more requests");
    assert!(!connection.wants_end(), "the reply is still owed");
    connection.sent(10);
    assert!(!connection.wants_end(), "most of the reply is still owed");
    connection.sent(connection.output().len());
    assert!(connection.wants_end());
}

#[test]
fn a_request_after_the_last_one_is_not_answered() {
    let input = [LAST, b"GET / HTTP/1.1\r\n\r\n"].concat();
    for size in 1..=input.len() {
        assert_eq!(owed(&after(&input, size)), REPLY, "in pieces of {size}");
    }
}

#[test]
fn a_request_without_the_line_is_answered_as_before() {
    let input = [b"GET / HTTP/1.1\r\nA: close\r\n\r\n", LAST].concat();
    let connection = after(&input, input.len());
    assert_eq!(owed(&connection), format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n{REPLY}"));
    let connection = after(b"GET / HTTP/1.1\r\n\r\n", 100);
    assert!(connection.wants_read() && !connection.wants_end());
}
