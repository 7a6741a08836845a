//! The contents of the groups 1 to 5 and 7 of the Autobahn test suite, by their numbers. Group 6 is in
//! `autobahn_text`.
//!
//! The suite sends some cases in chops of one byte or of a frame; the table tries all chops of each.

use super::play::{Seen, frame, text};
use super::table::After::{self, Closed, Fails, Open};
use super::table::{LIMITS, Row, run, run_with};
use crate::websocket::assemble::Limits;
use crate::websocket::failure::code::{INVALID_DATA, PROTOCOL_ERROR};

const HELLO: &str = "Hello, world!";
const BYTES: &[u8] = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff";

fn frames(frames: &[(u8, &str)]) -> Vec<u8> {
    frames.iter().flat_map(|(first, payload)| frame(*first, payload.as_bytes())).collect()
}

fn ping(payload: &[u8]) -> Seen {
    Seen::Ping(payload.to_vec())
}

fn pong(payload: &[u8]) -> Seen {
    Seen::Pong(payload.to_vec())
}

fn close(code: u16, reason: &str) -> Seen {
    Seen::Close(Some(code), reason.to_owned())
}

/// Bytes after the one that shows the fault: all of the frame but `shown` bytes, and what follows the frame.
fn fails_in(bad: &[u8], shown: usize, rest: &[u8]) -> After {
    Fails(PROTOCOL_ERROR, bad.len() - shown + rest.len())
}

#[test]
fn group_1_messages_of_all_sizes() {
    // 1.1.8 and 1.2.8 are the last size in chops of 997 bytes.
    for len in [0, 125, 126, 127, 128, 65_535, 65_536] {
        run(&[
            ("1.1.*", frame(0x81, &vec![b'*'; len]), vec![text(&"*".repeat(len))], Open),
            ("1.2.*", frame(0x82, &vec![0xfe; len]), vec![Seen::Binary(vec![0xfe; len])], Open),
        ]);
    }
}

#[test]
fn group_2_pings_and_pongs() {
    let (full, long) = ([0xfe; 125], [0xfe; 126]);
    let long = frame(0x89, &long);
    let ten: Vec<Vec<u8>> = (0..10).map(|number| format!("payload-{number}").into_bytes()).collect();
    let unsolicited = b"unsolicited pong payload";
    run(&[
        ("2.1", frame(0x89, b""), vec![ping(b"")], Open),
        ("2.2", frame(0x89, HELLO.as_bytes()), vec![ping(HELLO.as_bytes())], Open),
        ("2.3", frame(0x89, BYTES), vec![ping(BYTES)], Open),
        ("2.4, 2.6", frame(0x89, &full), vec![ping(&full)], Open),
        ("2.5", long.clone(), vec![], fails_in(&long, 2, b"")),
        ("2.7", frame(0x8a, b""), vec![pong(b"")], Open),
        ("2.8", frame(0x8a, unsolicited), vec![pong(unsolicited)], Open),
        (
            "2.9",
            [frame(0x8a, unsolicited), frame(0x89, b"ping payload")].concat(),
            vec![pong(unsolicited), ping(b"ping payload")],
            Open,
        ),
        (
            "2.10, 2.11",
            ten.iter().flat_map(|payload| frame(0x89, payload)).collect(),
            ten.iter().map(|payload| ping(payload)).collect(),
            Open,
        ),
    ]);
}

/// A text, a frame that is wrong from its first byte on, a ping.
fn wrong_after_text<'a>(name: &'a str, bad: Vec<u8>) -> Row<'a> {
    let rest = frame(0x89, b"");
    let after = fails_in(&bad, 1, &rest);
    (name, [frame(0x81, HELLO.as_bytes()), bad, rest].concat(), vec![text(HELLO)], after)
}

/// A frame that is wrong from its first byte on.
fn wrong(name: &str, bad: Vec<u8>) -> Row<'_> {
    let after = fails_in(&bad, 1, b"");
    (name, bad, vec![], after)
}

#[test]
fn group_3_reserved_bits() {
    run(&[
        wrong("3.1", frame(0x91, HELLO.as_bytes())),
        wrong_after_text("3.2", frame(0xa1, HELLO.as_bytes())),
        wrong_after_text("3.3", frame(0xb1, HELLO.as_bytes())),
        wrong_after_text("3.4", frame(0xc1, HELLO.as_bytes())),
        wrong("3.5", frame(0xd2, BYTES)),
        wrong("3.6", frame(0xe9, HELLO.as_bytes())),
        wrong("3.7", frame(0xf8, b"")),
    ]);
}

#[test]
fn group_4_reserved_opcodes() {
    for (group, bit) in [("4.1", 0x83), ("4.2", 0x8b)] {
        let name = |case: u8| format!("{group}.{case}");
        run(&[
            wrong(&name(1), frame(bit, b"")),
            wrong(&name(2), frame(bit + 1, b"reserved opcode payload")),
            wrong_after_text(&name(3), frame(bit + 2, b"")),
            wrong_after_text(&name(4), frame(bit + 3, HELLO.as_bytes())),
            wrong_after_text(&name(5), frame(bit + 4, HELLO.as_bytes())),
        ]);
    }
}

#[test]
fn group_5_fragments() {
    let (one, two) = ("fragment1", "fragment2");
    let both = || text("fragment1fragment2");
    let nothing = "non-continuation payload";
    let rest = frames(&[(0x80, two)]);
    let fragmented = |name, bad: u8| -> Row<'_> {
        let bad = frames(&[(bad, one)]);
        let after = fails_in(&bad, 1, &rest);
        (name, [bad, rest.clone()].concat(), vec![], after)
    };
    let stray = |name, bad: u8| -> Row<'_> {
        let (bad, rest) = (frames(&[(bad, nothing)]), frames(&[(0x81, HELLO)]));
        let after = fails_in(&bad, 1, &rest);
        (name, [bad, rest].concat(), vec![], after)
    };
    let twice = |name, bad: u8| -> Row<'_> {
        let bad = frames(&[(bad, one)]);
        let rest =
            [frames(&[(1, two), (0x80, "fragment3")]), bad.clone(), frames(&[(1, two), (0x80, "fragment3")])].concat();
        let after = fails_in(&bad, 1, &rest);
        (name, [bad, rest].concat(), vec![], after)
    };
    let (stray_after, rest_after) = (frames(&[(0, "fragment3")]), frames(&[(0x81, "fragment4")]));
    let second = frames(&[(0x81, two)]);
    let five = [
        (1, one),
        (0, two),
        (0x89, "pongme 1!"),
        (0, "fragment3"),
        (0, "fragment4"),
        (0x89, "pongme 2!"),
        (0x80, "fragment5"),
    ];
    run(&[
        fragmented("5.1", 9),
        fragmented("5.2", 10),
        ("5.3, 5.4, 5.5", frames(&[(1, one), (0x80, two)]), vec![both()], Open),
        (
            "5.6, 5.7, 5.8",
            frames(&[(1, one), (0x89, "ping payload"), (0x80, two)]),
            vec![ping(b"ping payload"), both()],
            Open,
        ),
        stray("5.9, 5.10, 5.11", 0x80),
        stray("5.12, 5.13, 5.14", 0),
        (
            "5.15",
            [frames(&[(1, one), (0x80, two)]), stray_after.clone(), rest_after.clone()].concat(),
            vec![both()],
            fails_in(&stray_after, 1, &rest_after),
        ),
        twice("5.16", 0),
        twice("5.17", 0x80),
        ("5.18", [frames(&[(1, one)]), second.clone()].concat(), vec![], fails_in(&second, 1, b"")),
        (
            "5.19, 5.20",
            frames(&five),
            vec![ping(b"pongme 1!"), ping(b"pongme 2!"), text("fragment1fragment2fragment3fragment4fragment5")],
            Open,
        ),
    ]);
}

/// The payload of a Close frame.
fn reason(code: u16, reason: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes(), reason].concat()
}

#[test]
fn group_7_the_end() {
    let normal = frame(0x88, &reason(1000, b""));
    let closed = || close(1000, "");
    let then = |rest: Vec<u8>| [normal.clone(), rest].concat();
    let (full, long) = ("*".repeat(123), "*".repeat(124));
    let half = frame(0x88, b"a");
    let long = frame(0x88, &reason(1000, long.as_bytes()));
    let bad_text = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65\x64\x69\x74\x65\x64";
    run(&[
        ("7.1.1", [frames(&[(0x81, HELLO)]), normal.clone()].concat(), vec![text(HELLO), closed()], Closed),
        ("7.1.2", then(normal.clone()), vec![closed()], Closed),
        ("7.1.3", then(frame(0x89, b"")), vec![closed()], Closed),
        ("7.1.4", then(frames(&[(0x81, HELLO)])), vec![closed()], Closed),
        ("7.1.5", [frames(&[(1, "fragment1")]), then(frames(&[(0x80, "fragment2")]))].concat(), vec![closed()], Closed),
        ("7.3.1", frame(0x88, b""), vec![Seen::Close(None, String::new())], Closed),
        ("7.3.2", half.clone(), vec![], fails_in(&half, 2, b"")),
        ("7.3.3", normal.clone(), vec![closed()], Closed),
        ("7.3.4", frame(0x88, &reason(1000, b"Hello World!")), vec![close(1000, "Hello World!")], Closed),
        ("7.3.5", frame(0x88, &reason(1000, full.as_bytes())), vec![close(1000, &full)], Closed),
        ("7.3.6", long.clone(), vec![], fails_in(&long, 2, b"")),
        ("7.5.1", frame(0x88, &reason(1000, bad_text)), vec![], Fails(INVALID_DATA, 0)),
    ]);
    let payload = "BAsd7&jh23".repeat(26_215);
    let payload = &payload[..256 * 1024];
    let stream = [frames(&[(0x81, payload), (0x81, "Hello World!")]), then(frame(0x89, b""))].concat();
    run_with(
        &Limits { max_message: 1 << 20, ..LIMITS },
        &[("7.1.6", stream, vec![text(payload), text("Hello World!"), closed()], Closed)],
    );
}

#[test]
fn group_7_the_codes() {
    // The suite asks for the first line of each. 1012 to 1014 and 1015 were registered later.
    let good = [
        [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999].as_slice(),
        &[1012, 1013, 1014],
    ];
    let bad = [[0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].as_slice(), &[1015, 5000, 65535]];
    for code in good.concat() {
        run(&[("7.7.*", frame(0x88, &reason(code, b"")), vec![close(code, "")], Closed)]);
    }
    for code in bad.concat() {
        run(&[("7.9.*, 7.13.*", frame(0x88, &reason(code, b"")), vec![], Fails(PROTOCOL_ERROR, 0))]);
    }
}
