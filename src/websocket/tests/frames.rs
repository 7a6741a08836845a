//! Headers, limits and what is kept in memory.

use super::play::{Seen, frame, keyed_frame, play, text};
use super::table::After::{Closed, Fails, Open, Within};
use super::table::{LIMITS, Row, run, run_with};
use crate::websocket::assemble::Limits;
use crate::websocket::decoder::{Decoder, Event};
use crate::websocket::failure::code::{PROTOCOL_ERROR, TOO_BIG};
use crate::websocket::frame::{EncodedHeader, Opcode};

/// The header of a frame with this length, however it is written, and no key yet.
fn header(first: u8, length: &[u8]) -> Vec<u8> {
    [&[first], length].concat()
}

#[test]
fn a_fault_shows_at_its_first_byte() {
    let fails = |name, bytes: &[u8], code| -> Row<'_> { (name, bytes.to_vec(), vec![], Fails(code, 0)) };
    let mut rows = vec![
        fails("not masked", b"\x81\x05", PROTOCOL_ERROR),
        fails("not masked, empty", b"\x82\x00", PROTOCOL_ERROR),
        fails("not masked, with a long length", b"\x82\x7f", PROTOCOL_ERROR),
        fails("a ping that is not masked", b"\x89\x00", PROTOCOL_ERROR),
        fails("a long ping", b"\x89\xfe", PROTOCOL_ERROR),
        fails("a longer pong", b"\x8a\xff", PROTOCOL_ERROR),
        fails("a long close", b"\x88\xfe", PROTOCOL_ERROR),
        fails("a close with half a code", b"\x88\x81", PROTOCOL_ERROR),
        fails("a fragmented close", b"\x08", PROTOCOL_ERROR),
        fails("a continuation of nothing", b"\x80", PROTOCOL_ERROR),
        fails("0 in two bytes", b"\x82\xfe\x00\x00", PROTOCOL_ERROR),
        fails("125 in two bytes", b"\x82\xfe\x00\x7d", PROTOCOL_ERROR),
        fails("any short length in eight bytes", b"\x82\xff\0\0\0\0\0\0", PROTOCOL_ERROR),
        fails("the highest bit", b"\x82\xff\x80", PROTOCOL_ERROR),
        fails("all bits", b"\x82\xff\xff", PROTOCOL_ERROR),
        fails("2^62", b"\x82\xff\x40", TOO_BIG),
        fails("2^56", b"\x82\xff\x01", TOO_BIG),
        fails("16 MiB", b"\x82\xff\0\0\0\0\x01", TOO_BIG),
        fails("100096", b"\x82\xff\0\0\0\0\0\x01\x87", TOO_BIG),
        fails("one byte more than the limit", b"\x82\xff\0\0\0\0\0\x01\x86\xa1", TOO_BIG),
    ];
    for first in 0..=255_u8 {
        let is_known = matches!(first, 0x01 | 0x02 | 0x81 | 0x82 | 0x88 | 0x89 | 0x8a);
        if !is_known {
            rows.push(("a first byte", vec![first], vec![], Fails(PROTOCOL_ERROR, 0)));
        }
    }
    run(&rows);
}

#[test]
fn a_length_has_one_form() {
    for len in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 100_000] {
        let payload = vec![b'x'; len];
        let form = match len {
            0..=125 => vec![0x80 | len as u8],
            126..=65_535 => [&[0xfe], &(len as u16).to_be_bytes()[..]].concat(),
            _ => [&[0xff], &(len as u64).to_be_bytes()[..]].concat(),
        };
        let frame = frame(0x82, &payload);
        assert!(frame.starts_with(&header(0x82, &form)));
        run(&[("this form", frame, vec![Seen::Binary(payload)], Open)]);
        // Ours is the same without a key.
        let mut ours = EncodedHeader::new(Opcode::Binary, true, false, len).as_slice().to_vec();
        ours[1] |= 0x80;
        assert_eq!(ours, header(0x82, &form));
    }
}

#[test]
fn the_first_byte_of_our_frames_says_what_they_are() {
    let encoded = |opcode, fin, rsv1| EncodedHeader::new(opcode, fin, rsv1, 3).as_slice().to_vec();
    assert_eq!(encoded(Opcode::Text, true, false), b"\x81\x03");
    assert_eq!(encoded(Opcode::Text, false, true), b"\x41\x03");
    assert_eq!(encoded(Opcode::Binary, true, true), b"\xc2\x03");
    assert_eq!(encoded(Opcode::Continuation, false, false), b"\x00\x03");
    assert_eq!(encoded(Opcode::Continuation, true, false), b"\x80\x03");
    assert_eq!(encoded(Opcode::Close, true, false), b"\x88\x03");
    assert_eq!(encoded(Opcode::Ping, true, false), b"\x89\x03");
    assert_eq!(encoded(Opcode::Pong, true, false), b"\x8a\x03");
}

#[test]
fn a_key_of_any_bytes_is_undone() {
    let keys = [[0; 4], [0xff; 4], [1, 0, 0, 0], [0, 0, 0, 0x80]];
    let payload: Vec<u8> = (0..=255).collect();
    for key in keys {
        let frames = [keyed_frame(0x02, &payload, key), keyed_frame(0x80, &payload[..101], key)].concat();
        run(&[("a key", frames, vec![Seen::Binary([&payload[..], &payload[..101]].concat())], Open)]);
    }
}

#[test]
fn a_message_is_at_most_as_long_as_allowed() {
    let limits = Limits { max_message: 10, ..LIMITS };
    let ten = || vec![text("0123456789")];
    let parts =
        |parts: &[(u8, &[u8])]| -> Vec<u8> { parts.iter().flat_map(|(first, part)| frame(*first, part)).collect() };
    run_with(
        &limits,
        &[
            ("just fits", frame(0x81, b"0123456789"), ten(), Open),
            ("one more", b"\x81\x8b".to_vec(), vec![], Fails(TOO_BIG, 0)),
            ("fits in parts", parts(&[(1, b"01234"), (0, b"5678"), (0x80, b"9")]), ten(), Open),
            ("fits, and then an empty part", parts(&[(1, b"0123456789"), (0, b""), (0x80, b"")]), ten(), Open),
            (
                "one more in parts",
                [parts(&[(1, b"01234"), (0, b"56789")]), b"\x80\x81".to_vec()].concat(),
                vec![],
                Fails(TOO_BIG, 0),
            ),
            ("each message for itself", parts(&[(0x81, &b"0123456789"[..]); 2]), [ten(), ten()].concat(), Open),
            (
                "a ping may be longer",
                parts(&[(1, b"01234"), (0x89, b"ping ping ping"), (0x80, b"56789")]),
                [vec![Seen::Ping(b"ping ping ping".to_vec())], ten()].concat(),
                Open,
            ),
            (
                "a close may be longer",
                frame(0x88, b"\x03\xe8a long reason"),
                vec![closed(1000, "a long reason")],
                Closed,
            ),
        ],
    );
    let none = Limits { max_message: 0, ..LIMITS };
    run_with(&none, &[("nothing but empty", parts(&[(0x81, b""), (2, b""), (0x80, b"")]), empty(), Open)]);
}

fn closed(code: u16, reason: &str) -> Seen {
    Seen::Close(Some(code), reason.to_owned())
}

fn empty() -> Vec<Seen> {
    vec![text(""), Seen::Binary(vec![])]
}

#[test]
fn a_message_has_at_most_as_many_frames_as_allowed() {
    let limits = Limits { max_fragments: 3, ..LIMITS };
    let begun = [frame(2, b"a"), frame(0, b""), frame(0, b"b")].concat();
    run_with(
        &limits,
        &[
            ("just as many", [frame(2, b""), frame(0, b"a"), frame(0x80, b"b")].concat(), binary(b"ab"), Open),
            ("pings do not count", [frame(2, b"a"), frame(0x89, b""), frame(0, b"b")].concat(), ping(b""), Within),
            // The header shows it, not the first byte: the frame must be one of the message.
            ("one more", [begun.clone(), frame(0x80, b"")].concat(), vec![], Fails(TOO_BIG, 0)),
            (
                "one more, and more to come",
                [begun, b"\x00\x81\x01\x02\x03\x04".to_vec()].concat(),
                vec![],
                Fails(TOO_BIG, 0),
            ),
        ],
    );
}

fn binary(bytes: &[u8]) -> Vec<Seen> {
    vec![Seen::Binary(bytes.to_vec())]
}

fn ping(bytes: &[u8]) -> Vec<Seen> {
    vec![Seen::Ping(bytes.to_vec())]
}

#[test]
fn rsv1_is_for_the_first_frame_of_a_message_if_that_was_agreed_on() {
    let limits = Limits { deflate: true, max_message: 1000, ..LIMITS };
    let deflated = |is_text, bytes: &[u8]| vec![Seen::Deflated { text: is_text, bytes: bytes.to_vec() }];
    run_with(
        &limits,
        &[
            ("text", frame(0xc1, b"\xff\xfe"), deflated(true, b"\xff\xfe"), Open),
            ("binary", frame(0xc2, b"\xff\xfe"), deflated(false, b"\xff\xfe"), Open),
            ("in parts", [frame(0x41, b"\xff"), frame(0x80, b"\xfe")].concat(), deflated(true, b"\xff\xfe"), Open),
            ("not compressed", frame(0x81, b"a"), vec![text("a")], Open),
            ("in the second frame", [frame(2, b"a"), b"\xc0".to_vec()].concat(), vec![], Fails(PROTOCOL_ERROR, 0)),
            ("in both", [frame(0x42, b"a"), b"\x40".to_vec()].concat(), vec![], Fails(PROTOCOL_ERROR, 0)),
            ("in a ping", b"\xc9".to_vec(), vec![], Fails(PROTOCOL_ERROR, 0)),
            ("in a close", b"\xc8".to_vec(), vec![], Fails(PROTOCOL_ERROR, 0)),
            ("with RSV2", b"\xe1".to_vec(), vec![], Fails(PROTOCOL_ERROR, 0)),
            ("what does not compress is longer", frame(0xc2, &[7; 1079]), deflated(false, &[7; 1079]), Open),
            ("but not much", b"\xc2\xfe\x04\x38".to_vec(), vec![], Fails(TOO_BIG, 0)),
            ("plain text has no such allowance", b"\x82\xfe\x03\xe9".to_vec(), vec![], Fails(TOO_BIG, 0)),
        ],
    );
    run(&[("not agreed on", b"\xc1".to_vec(), vec![], Fails(PROTOCOL_ERROR, 0))]);
}

#[test]
fn an_idle_decoder_is_small() {
    assert_eq!(size_of::<Decoder>(), 16);
}

/// The announced length is 16 MiB, and three bytes come.
#[test]
fn nothing_is_reserved_that_was_only_announced() {
    let limits = Limits { max_message: 1 << 24, ..LIMITS };
    for first in [1, 2, 0x81, 0x82] {
        let mut decoder = Decoder::default();
        let mut input = b"\0\xff\0\0\0\0\x01\0\0\0\0\0\0\0abc".to_vec();
        input[0] = first;
        let used = input.len();
        assert_eq!(decoder.next(&mut input, &limits), Ok((used, None)));
        assert!((3..=6).contains(&decoder.capacity()), "{}", decoder.capacity());
    }
}

#[test]
fn the_buffer_of_a_message_is_freed_when_it_was_handed_out() {
    let mut stream = [frame(1, b"Hel"), frame(0x80, b"lo")].concat();
    for with_done in [true, false] {
        let mut decoder = Decoder::default();
        let mut input = stream.clone();
        assert_eq!(decoder.next(&mut input, &LIMITS), Ok((stream.len(), Some(Event::Text("Hello")))));
        assert!(decoder.capacity() >= 5);
        if with_done {
            decoder.done();
        } else {
            assert_eq!(decoder.next(&mut [], &LIMITS), Ok((0, None)));
        }
        assert_eq!(decoder.capacity(), 0);
        // The next message begins anew.
        let mut input = stream.clone();
        assert_eq!(decoder.next(&mut input, &LIMITS), Ok((stream.len(), Some(Event::Text("Hello")))));
        assert_eq!(decoder.next(&mut frame(0x82, b"!"), &LIMITS), Ok((7, Some(Event::Binary(b"!")))));
        assert_eq!(decoder.capacity(), 0);
    }
    // A failure frees it, too.
    stream[10] = 0xff;
    let mut decoder = Decoder::default();
    assert!(decoder.next(&mut stream, &LIMITS).is_err());
    assert_eq!(decoder.capacity(), 0);
}

/// Only headers and control frames wait in the input, so the receive buffer is never full of a message.
#[test]
fn a_part_of_a_message_does_not_wait_in_the_input() {
    let long = frame(0x82, &[1; 1000]);
    let ping = frame(0x89, &[2; 125]);
    let left = |bytes: &[u8]| {
        let used = Decoder::default().next(&mut bytes.to_vec(), &LIMITS).unwrap().0;
        bytes.len() - used
    };
    for (len, wanted) in [(1, 1), (7, 7), (8, 0), (9, 0), (1007, 0)] {
        assert_eq!(left(&long[..len]), wanted, "{len} of the message");
    }
    for len in [1, 5, 6, 130] {
        assert_eq!(left(&ping[..len]), len, "{len} of the ping");
    }
    // Many small parts cost time in proportion to their bytes, and no more memory than twice these.
    let parts = frame(0, b"1234567").repeat(1000);
    let limits = Limits { max_fragments: 2000, ..LIMITS };
    let outcome = play(&[&frame(2, b"")[..], &parts, &frame(0x80, b"")].concat(), &limits, &[13]);
    assert_eq!(outcome.seen.len(), 1);
}

#[test]
fn a_limit_may_be_lowered_within_a_message() {
    let mut message = [frame(2, &[7; 1000]), frame(0x80, b"")].concat();
    let (begun, rest) = message.split_at_mut(400);
    let mut decoder = Decoder::default();
    assert_eq!(decoder.next(begun, &LIMITS), Ok((400, None)));
    let lower = Limits { max_message: 500, ..LIMITS };
    let (used, event) = decoder.next(rest, &lower).expect("the frame was announced before");
    assert_eq!((used, event.map(Seen::from)), (rest.len(), Some(Seen::Binary(vec![7; 1000]))));
}
