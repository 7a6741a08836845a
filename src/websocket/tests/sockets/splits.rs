//! What must hold for any bytes of a client, in any pieces.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed};

use super::probe::{Client, calls, client_with};
use crate::testing::{TestMessage, TestSocket};

/// The cases are the same in each run, unless `PROPTEST_CASES` asks for others.
fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

/// A frame as a client sends it, most of them valid by themselves.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let scripts = prop::sample::select(vec![
        "echo hello",
        "echo ",
        "bytes 300",
        "bytes 70000",
        "part a",
        "last b",
        "ping p",
        "close 4000 over",
        "fail",
        "panic",
        "join 0",
        "leave 0",
        "say 0 room",
        "join 1;say 1 room",
        "pause;resume",
        "blink",
        "\u{e9}\u{20ac}",
    ]);
    let script = scripts.prop_map(|script| (0x81, script.as_bytes().to_vec()));
    let begun = (prop::sample::select(vec![0x01, 0x02, 0x00, 0x80]), vec(any::<u8>(), 0..20));
    let bytes = vec(any::<u8>(), 0..300).prop_map(|bytes| (0x82, bytes));
    let control = (prop::sample::select(vec![0x89, 0x8a]), vec(any::<u8>(), 0..126));
    let close = prop::sample::select(vec![&b""[..], b"\x03\xe8", b"\x0f\xa0bye", b"\x03", b"\x03\xec"]);
    let close = close.prop_map(|payload| (0x88, payload.to_vec()));
    let odd = (any::<u8>(), vec(any::<u8>(), 0..10));
    let frame = prop_oneof![8 => script, 3 => begun, 4 => bytes, 3 => control, 1 => close, 1 => odd];
    (frame, any::<[u8; 4]>()).prop_map(|((first, payload), key)| {
        let mut frame = vec![first];
        match payload.len() {
            len @ ..126 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend((len as u16).to_be_bytes());
            }
        }
        frame.extend(key);
        frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    })
}

/// What a client and an application see of a connection.
#[derive(Debug, PartialEq)]
struct Seen {
    got: Vec<TestMessage>,
    calls: Vec<String>,
    /// The server has closed its side by itself.
    is_half_closed: bool,
}

/// Sends pieces to a new socket, and then resets the connection, if it is still there.
fn play(pieces: &[&[u8]], window: Option<usize>) -> Seen {
    let mut client = client_with(|route| route.max_message(1000).max_fragments(4));
    let mut socket = client.websocket("/ws?writable=echo+writable").open();
    if let Some(bytes) = window {
        socket.set_window(&mut client, bytes);
    }
    pieces.iter().for_each(|piece| socket.write(&mut client, piece));
    socket.set_window(&mut client, usize::MAX);
    // Resumptions are letters.
    client.advance(std::time::Duration::ZERO);
    let is_half_closed = socket.is_half_closed();
    end(&mut client, &mut socket);
    // A message whose end never came is left.
    let got = std::iter::from_fn(|| socket.next()).collect();
    Seen { got, calls: calls(&mut client), is_half_closed }
}

/// Ends the connection, and checks that the handler has learnt of it.
fn end(client: &mut Client, socket: &mut TestSocket) {
    socket.cut(client);
    assert!(socket.ended().is_some());
    let calls = &client.app().state().calls;
    assert_eq!(calls[0], "open");
    assert!(calls.last().is_some_and(|call| call.starts_with("close ")), "{calls:?}");
    assert_eq!(calls.iter().filter(|call| call.starts_with("close ")).count(), 1, "{calls:?}");
    assert_eq!(client.app().state().sizes(), [0, 0, 0]);
}

/// Checks that nothing follows a Close frame.
fn check_end(seen: &Seen) {
    let close = seen.got.iter().position(|message| matches!(message, TestMessage::Close(..)));
    assert!(close.is_none_or(|at| at == seen.got.len() - 1), "{:?}", seen.got);
}

/// Cuts bytes at these places, each counted from the one before.
fn cut<'a>(mut bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for &len in cuts {
        let (piece, rest) = bytes.split_at(len.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces.push(bytes);
    pieces
}

/// Messages of a room leave after the call, and what comes in the same read is answered before. So their place depends
/// on how the stream is cut, and also whether they leave before the end or before a message that comes in parts.
fn without_room(mut seen: Seen) -> Seen {
    seen.got.retain(|message| !matches!(message, TestMessage::Text(text) if text == "room"));
    seen
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn any_split_gives_the_same_calls_and_the_same_output(
        frames in vec(any_frame(), 1..12),
        cuts in vec(0_usize..40, 0..30),
    ) {
        let bytes = frames.concat();
        let whole = play(&[&bytes], None);
        check_end(&whole);
        let whole = without_room(whole);
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        for pieces in [cut(&bytes, &cuts), single] {
            let seen = play(&pieces, None);
            check_end(&seen);
            prop_assert_eq!(&without_room(seen), &whole);
        }
    }

    #[test]
    fn any_bytes_end_in_good_order(
        bytes in vec(any::<u8>(), 0..400),
        frames in vec(any_frame(), 0..6),
        cuts in vec(0_usize..60, 0..10),
        window in prop::option::of(0_usize..100_000),
    ) {
        let all = [frames.concat(), bytes].concat();
        check_end(&play(&cut(&all, &cuts), window));
    }
}
