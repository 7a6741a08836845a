//! The life of a socket: `open` first, `close` last and once, whatever ends it, and what its client gets.

use super::probe::{Client, all, calls, client, client_of, client_with, closed, open, secs, text};
use crate::Config;
use crate::exchange::CloseReason;
use crate::limits::WHEEL_SLOT;
use crate::testing::{TestMessage, TestSocket};

/// How a socket ends: its name, the query of the handshake, what its client does, what the client gets, and the
/// arguments of `close`.
type Row = (&'static str, &'static str, fn(&mut Client, &mut TestSocket), fn() -> Vec<TestMessage>, &'static str);

const INTERNAL: fn() -> Vec<TestMessage> = || vec![closed(1011, "Internal error")];

const INTERNAL_ENDED: &str = "1011 \"Internal error\" clean ProtocolEnded";

fn says_no_more(client: &mut Client, socket: &mut TestSocket) {
    socket.close(client, 1011, "");
}

/// Sends a frame that begins with these two bytes and has an empty payload.
fn header(client: &mut Client, socket: &mut TestSocket, first: u8, second: u8) {
    socket.write(client, &[first, second, 0, 0, 0, 0]);
}

const ROWS: &[Row] = &[
    (
        "the client closes",
        "",
        |client, socket| socket.close(client, 3001, "enough"),
        || vec![closed(3001, "")],
        "3001 \"enough\" clean ProtocolEnded",
    ),
    (
        "the client closes without a code",
        "",
        |client, socket| socket.frame(client, true, 8, b""),
        || vec![TestMessage::Close(None, String::new())],
        "1005 \"\" clean ProtocolEnded",
    ),
    (
        "the server closes and the client answers",
        "",
        |client, socket| {
            socket.send(client, "echo last;close 1000 done;echo never");
            socket.send(client, "echo never");
            socket.ping(client, b"never");
            socket.close(client, 1000, "done");
            socket.send(client, "echo never");
        },
        || vec![text("last"), closed(1000, "done")],
        "1000 \"done\" clean ProtocolEnded",
    ),
    (
        "both close at once",
        "",
        |client, socket| {
            socket.send(client, "close 4001 server");
            socket.close(client, 4002, "client");
        },
        || vec![closed(4001, "server")],
        "4001 \"server\" clean ProtocolEnded",
    ),
    (
        "the server closes and the client leaves without an answer",
        "",
        |client, socket| {
            socket.send(client, "close 4001 server");
            socket.half_close(client);
        },
        || vec![closed(4001, "server")],
        "4001 \"server\" unclean ProtocolEnded",
    ),
    (
        "the server closes and the client resets",
        "",
        |client, socket| {
            socket.send(client, "close 4001 server");
            socket.cut(client);
        },
        || vec![closed(4001, "server")],
        "4001 \"server\" unclean SocketError",
    ),
    (
        "the server closes and the client breaks a rule",
        "",
        |client, socket| {
            socket.send(client, "close 4001 server");
            header(client, socket, 0xf1, 0x80);
        },
        || vec![closed(4001, "server")],
        "4001 \"server\" unclean ProtocolEnded",
    ),
    ("the client resets", "", |client, socket| socket.cut(client), Vec::new, "1006 \"\" unclean SocketError"),
    (
        "the client leaves without a Close frame",
        "",
        |client, socket| {
            socket.send(client, "echo heard");
            socket.half_close(client);
        },
        || vec![text("heard")],
        "1006 \"\" unclean ProtocolEnded",
    ),
    (
        "the client leaves within a frame",
        "",
        |client, socket| {
            socket.write(client, b"\x81\x85\0\0\0\0He");
            socket.half_close(client);
        },
        Vec::new,
        "1006 \"\" unclean ProtocolEnded",
    ),
    (
        "a reserved bit",
        "",
        |client, socket| header(client, socket, 0xc1, 0x80),
        || vec![closed(1002, "a frame has a reserved bit")],
        "1002 \"a frame has a reserved bit\" unclean ProtocolEnded",
    ),
    (
        "what was sent before a broken rule is answered",
        "",
        |client, socket| {
            socket.write(client, b"\x81\x86\0\0\0\0echo 1\x83\x80\0\0\0\0\x81\x86\0\0\0\0echo 2");
        },
        || vec![text("1"), closed(1002, "a frame has a reserved opcode")],
        "1002 \"a frame has a reserved opcode\" unclean ProtocolEnded",
    ),
    (
        "text that is not UTF-8",
        "",
        |client, socket| socket.frame(client, true, 1, b"\xff"),
        || vec![closed(1007, "text is not UTF-8")],
        "1007 \"text is not UTF-8\" unclean ProtocolEnded",
    ),
    (
        "a message that is too long",
        "",
        |client, socket| socket.send(client, &"x".repeat(65_537)),
        || vec![closed(1009, "a message is too long")],
        "1009 \"a message is too long\" unclean ProtocolEnded",
    ),
    (
        "a message of too many fragments",
        "",
        |client, socket| {
            socket.frame(client, false, 2, b"x");
            (0..1024).for_each(|_| socket.frame(client, false, 0, b""));
        },
        || vec![closed(1009, "a message has too many fragments")],
        "1009 \"a message has too many fragments\" unclean ProtocolEnded",
    ),
    (
        "an error in message",
        "",
        |client, socket| {
            socket.send(client, "echo before;fail");
            says_no_more(client, socket);
        },
        || vec![text("before"), closed(1011, "Internal error")],
        INTERNAL_ENDED,
    ),
    (
        "an error for the client",
        "",
        |client, socket| {
            socket.send(client, "refuse No such room");
            says_no_more(client, socket);
        },
        || vec![closed(1011, "No such room")],
        "1011 \"No such room\" clean ProtocolEnded",
    ),
    (
        "a panic in message",
        "",
        |client, socket| {
            socket.send(client, "panic");
            says_no_more(client, socket);
        },
        INTERNAL,
        INTERNAL_ENDED,
    ),
    ("an error in open", "open=fail", says_no_more, INTERNAL, INTERNAL_ENDED),
    ("a panic in open", "open=join+0;panic", says_no_more, INTERNAL, INTERNAL_ENDED),
    (
        "a close in open",
        "open=echo+hi;close+4000",
        |client, socket| {
            socket.send(client, "echo never");
            socket.close(client, 4000, "");
        },
        || vec![text("hi"), closed(4000, "")],
        "4000 \"\" clean ProtocolEnded",
    ),
    (
        "a panic in writable",
        "writable=panic",
        |client, socket| {
            socket.set_window(client, 1000);
            socket.send(client, "bytes 70000");
            socket.set_window(client, usize::MAX);
            says_no_more(client, socket);
        },
        || vec![TestMessage::Binary(vec![b'x'; 70_000]), closed(1011, "Internal error")],
        INTERNAL_ENDED,
    ),
    (
        "an error in pong",
        "pong=fail",
        |client, socket| {
            socket.pong(client, b"");
            says_no_more(client, socket);
        },
        INTERNAL,
        INTERNAL_ENDED,
    ),
    (
        "a panic in pong",
        "pong=panic",
        |client, socket| {
            socket.pong(client, b"");
            says_no_more(client, socket);
        },
        INTERNAL,
        INTERNAL_ENDED,
    ),
    (
        "a panic in close",
        "close=panic",
        |client, socket| socket.close(client, 1000, ""),
        || vec![closed(1000, "")],
        "1000 \"\" clean ProtocolEnded",
    ),
    (
        "a close and an error after it",
        "",
        |client, socket| {
            socket.send(client, "close 4000 first;fail");
            socket.close(client, 4000, "");
        },
        || vec![closed(4000, "first")],
        "4000 \"first\" clean ProtocolEnded",
    ),
    (
        "a drain",
        "",
        |client, socket| {
            client.drain();
            socket.send(client, "echo never");
            socket.close(client, 1001, "");
        },
        || vec![closed(1001, "the server is stopping")],
        "1001 \"the server is stopping\" clean ProtocolEnded",
    ),
    (
        "a drain that the client does not answer",
        "",
        |client, _| _ = client.drain().advance(secs(5) + WHEEL_SLOT),
        || vec![closed(1001, "the server is stopping")],
        "1001 \"the server is stopping\" unclean ProtocolEnded",
    ),
    (
        "a client that falls silent",
        "",
        |client, _| _ = client.advance(secs(41)),
        || vec![TestMessage::Ping(Vec::new())],
        "1006 \"\" unclean IdleTimeout",
    ),
];

#[test]
fn each_end_is_told_once_and_said_to_the_client() {
    for (name, query, does, gets, end) in ROWS {
        let mut client = client();
        let mut socket = client.websocket(&format!("/ws?{query}")).open();
        does(&mut client, &mut socket);
        assert_eq!(all(&mut socket), gets(), "{name}");
        // The connection lingers until the client closes its side, or for two seconds.
        if socket.ended().is_none() {
            assert!(socket.is_half_closed(), "{name}");
            socket.half_close(&mut client);
        }
        assert!(socket.ended().is_some(), "{name}");
        let calls = calls(&mut client);
        assert_eq!(calls[0], "open", "{name}");
        assert_eq!(calls.last().unwrap(), &format!("close {end}"), "{name}");
        assert_eq!(calls.iter().filter(|call| call.starts_with("close ")).count(), 1, "{name}: {calls:?}");
        assert_eq!(client.app().state().sizes(), [0, 0, 0], "{name}");
    }
}

#[test]
fn after_its_end_a_connection_reads_no_message() {
    for (name, query, does, _, _) in ROWS {
        let mut client = client();
        let mut socket = client.websocket(&format!("/ws?{query}")).open();
        does(&mut client, &mut socket);
        let before = calls(&mut client).len();
        all(&mut socket);
        socket.send(&mut client, "echo never");
        assert_eq!((all(&mut socket), calls(&mut client).len()), (vec![], 0), "{name}, after {before} calls");
    }
}

#[test]
fn a_reason_is_cut_where_a_frame_ends() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, &format!("refuse {}", "é".repeat(100)));
    assert_eq!(all(&mut socket), [closed(1011, &"é".repeat(61))]);
}

#[test]
fn a_close_that_may_not_be_sent_is_an_error() {
    for (script, is_ok) in [
        ("close 999", false),
        ("close 1004", false),
        ("close 1005", false),
        ("close 1006", false),
        ("close 1015", false),
        ("close 2999", false),
        ("close 5000", false),
        ("close 1003", true),
        ("close 3000", true),
    ] {
        let mut client = client();
        let mut socket = open(&mut client, "a");
        socket.send(&mut client, script);
        let code = script[6..].parse().unwrap();
        assert_eq!(all(&mut socket), [if is_ok { closed(code, "") } else { closed(1011, "Internal error") }]);
    }
    for (len, is_ok) in [(123, true), (124, false)] {
        let mut client = client();
        let mut socket = open(&mut client, "a");
        let reason = "r".repeat(len);
        socket.send(&mut client, &format!("close 1000 {reason}"));
        assert_eq!(all(&mut socket), [if is_ok { closed(1000, &reason) } else { closed(1011, "Internal error") }]);
    }
}

#[test]
fn a_socket_for_which_there_is_no_memory_is_told_so() {
    let config = Config { max_memory: Some(400_000), ..Config::default() };
    let mut client = client_of(config);
    let mut socket = open(&mut client, "a");
    socket.set_window(&mut client, 0);
    socket.send(&mut client, "bytes 1000000");
    assert_eq!(socket.ended(), Some(CloseReason::OutOfMemory));
    assert_eq!(calls(&mut client).last().unwrap(), "a close 1006 \"\" unclean OutOfMemory");
}

#[test]
fn a_client_that_lets_a_part_of_a_message_lie_gives_its_memory_when_it_is_short() {
    let config = Config { max_memory: Some(1_500_000), ..Config::default() };
    let mut client = client_of(config);
    let mut sockets: Vec<_> = (0..60).map(|at| open(&mut client, &at.to_string())).collect();
    for socket in &mut sockets {
        socket.frame(&mut client, false, 2, &[0; 60_000]);
        client.advance(secs(1));
    }
    client.advance(secs(5));
    let ended = sockets.iter().filter(|socket| socket.ended() == Some(CloseReason::OutOfMemory)).count();
    assert!((20..60).contains(&ended), "{ended} were given up");
    let calls = calls(&mut client);
    assert_eq!(calls.iter().filter(|call| call.ends_with("close 1006 \"\" unclean OutOfMemory")).count(), ended);
}

#[test]
fn a_message_may_have_the_size_of_the_limit_and_the_limit_can_be_set() {
    let mut client = client_with(|route| route.max_message(100_000).max_fragments(2));
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, &[7; 100_000]);
    assert_eq!(all(&mut socket), [TestMessage::Binary(vec![7; 100_000])]);
    socket.frame(&mut client, false, 2, &[7; 50_000]);
    socket.frame(&mut client, true, 0, &[7; 50_000]);
    assert_eq!(all(&mut socket), [TestMessage::Binary(vec![7; 100_000])]);
    socket.frame(&mut client, false, 2, &[7; 50_000]);
    socket.frame(&mut client, true, 0, &[7; 50_001]);
    assert_eq!(all(&mut socket), [closed(1009, "a message is too long")]);
}

#[test]
fn a_message_of_one_frame_is_not_fragmented_however_it_comes() {
    let mut client = client_with(|route| route.max_fragments(0));
    let mut ann = open(&mut client, "ann");
    let frame = b"\x81\x86\0\0\0\0echo x";
    ann.write(&mut client, &frame[..9]);
    ann.write(&mut client, &frame[9..]);
    assert_eq!(ann.next(), Some(text("x")));
}

#[test]
fn a_reason_that_is_too_long_is_cut_for_both_sides() {
    let mut client = client();
    let mut ann = open(&mut client, "ann");
    ann.send(&mut client, &format!("refuse {}", "\u{e9}".repeat(100)));
    let cut = "\u{e9}".repeat(61);
    assert_eq!(all(&mut ann), [closed(1011, &cut)]);
    ann.close(&mut client, 1011, "");
    assert_eq!(calls(&mut client).last(), Some(&format!("ann close 1011 \"{cut}\" clean ProtocolEnded")));
}
