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

/// What is owed. The field lines of a head may come in any order, so `Connection` is put last.
#[track_caller]
fn owed(connection: &Connection) -> String {
    let mut text = String::from_utf8(connection.output().to_vec()).unwrap();
    for length in [3, 6, 10] {
        let (close, length) = ("Connection: close\r\n", format!("Content-Length: {length}\r\n"));
        text = text.replace(&format!("{close}{length}"), &format!("{length}{close}"));
    }
    text
}

/// Sends all that is owed, and asserts that the connection waits for nothing more.
#[track_caller]
fn expect_end(connection: &mut Connection) {
    assert!(!connection.wants_read(), "the client has said that it sends no more requests");
    assert!(!connection.wants_end(), "the reply is still owed");
    connection.sent(10);
    assert!(!connection.wants_end(), "most of the reply is still owed");
    connection.sent(connection.output().len());
    assert!(connection.wants_end(), "all is sent, so the socket can be closed");
    assert!(!connection.wants_read(), "nothing can be read at the end");
}

#[test]
fn the_reply_says_that_it_is_the_last_one() {
    for size in 1..=LAST.len() {
        assert_eq!(owed(&after(LAST, size)), REPLY, "in pieces of {size}");
    }
}

#[test]
fn nothing_is_read_after_it_and_the_end_comes_when_all_is_sent() {
    expect_end(&mut after(LAST, LAST.len()));
    // The same is so if the client closes its side meanwhile.
    let mut connection = after(LAST, LAST.len());
    connection.received_eof();
    connection.advance();
    assert_eq!(owed(&connection), REPLY);
    expect_end(&mut connection);
}

#[test]
fn a_request_after_the_last_one_is_not_answered() {
    let input = [LAST, b"GET / HTTP/1.1\r\n\r\n"].concat();
    for size in 1..=input.len() {
        let mut connection = after(&input, size);
        assert_eq!(owed(&connection), REPLY, "in pieces of {size}");
        expect_end(&mut connection);
    }
}

#[test]
fn any_request_can_be_the_last_one() {
    let rows = [
        ("GET /", "200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n"),
        ("GET /nowhere", "404 Not Found\r\nContent-Length: 10\r\nConnection: close\r\n\r\nnot found\n"),
    ];
    for (target, reply) in rows {
        let head = format!("{target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        let mut connection = after(head.as_bytes(), head.len());
        assert_eq!(owed(&connection), format!("HTTP/1.1 {reply}"));
        expect_end(&mut connection);
    }
}

#[test]
fn what_only_looks_like_the_line_ends_nothing() {
    for line in
        ["A: close", "Connection: keep-alive", "Connection: closed", "X-Connection: close", "A: Connection: close"]
    {
        let head = format!("GET / HTTP/1.1\r\n{line}\r\n\r\n");
        let connection = after(head.as_bytes(), head.len());
        assert_eq!(owed(&connection), "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n", "{line}");
        assert!(connection.wants_read() && !connection.wants_end(), "{line}");
    }
    // Content is not a head.
    let post = b"POST /echo HTTP/1.1\r\nContent-Length: 21\r\n\r\n\r\nConnection: close\r\n";
    let connection = after(post, post.len());
    assert_eq!(owed(&connection), "HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n\r\nConnection: close\r\n");
    assert!(connection.wants_read() && !connection.wants_end());
}

#[test]
fn a_request_without_the_line_is_answered_as_before() {
    let input = [b"GET / HTTP/1.1\r\nA: close\r\n\r\n", LAST].concat();
    let connection = after(&input, input.len());
    assert_eq!(owed(&connection), format!("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n{REPLY}"));
    let connection = after(b"GET / HTTP/1.1\r\n\r\n", 100);
    assert!(connection.wants_read() && !connection.wants_end());
}
