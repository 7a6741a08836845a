//! What must hold for every stream of frames, tried with random ones. Tungstenite is the other judge: what it sends is
//! read by us, and what we send is read by it.
//!
//! Each property has the same cases in every run; `PROPTEST_CASES=100000 cargo test --release websocket` tries other
//! ones, and more.

use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, RngSeed};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Bytes, Message, WebSocket};

use super::fuzzing;
use super::play::{Outcome, Seen, keyed_frame, play, text};
use super::reference;
use super::table::LIMITS;
use crate::websocket::assemble::Limits;
use crate::websocket::close::{self, MAX_REASON};
use crate::websocket::frame::{self, Opcode};

/// Runs this many cases, always the same; `PROPTEST_CASES=10000` runs that many new ones.
fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

/// A message, or a control frame, as a client sends it.
#[derive(Clone, Debug)]
struct Sent {
    event: Seen,
    /// The payload is cut at these places into fragments.
    cuts: Vec<usize>,
    key: [u8; 4],
}

impl Sent {
    fn frames(&self) -> Vec<u8> {
        let (first, payload) = match &self.event {
            Seen::Text(text) => (1, text.as_bytes()),
            Seen::Binary(bytes) => (2, &bytes[..]),
            Seen::Ping(bytes) => return keyed_frame(0x89, bytes, self.key),
            Seen::Pong(bytes) => return keyed_frame(0x8a, bytes, self.key),
            other => unreachable!("{other:?} is not made"),
        };
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut % (payload.len() + 1)).collect();
        cuts.extend([0, payload.len()]);
        cuts.sort_unstable();
        let last = cuts.len() - 2;
        let parts = cuts.windows(2).enumerate().flat_map(|(at, ends)| {
            let fin = if at == last { 0x80 } else { 0 };
            keyed_frame(fin | if at == 0 { first } else { 0 }, &payload[ends[0]..ends[1]], self.key)
        });
        parts.collect()
    }
}

fn any_sent() -> impl Strategy<Value = Sent> {
    let len = prop_oneof![6 => 0..40_usize, 2 => 100..300_usize, 1 => 65_500..65_600_usize];
    let bytes = len.prop_flat_map(|len| vec(any::<u8>(), len)).boxed();
    let event = prop_oneof![
        "\\PC{0,40}".prop_map(Seen::Text),
        "[a-zß€𝄞]{60,200}".prop_map(Seen::Text),
        bytes.prop_map(Seen::Binary),
        vec(any::<u8>(), 0..=125).prop_map(Seen::Ping),
        vec(any::<u8>(), 0..=125).prop_map(Seen::Pong),
    ];
    (event, vec(any::<usize>(), 0..4), any::<[u8; 4]>()).prop_map(|(event, cuts, key)| Sent { event, cuts, key })
}

fn any_pieces() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![vec(1..10_usize, 1..20), vec(1..3000_usize, 1..20)]
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn any_split_gives_the_messages_that_were_sent(sent in vec(any_sent(), 0..6), pieces in any_pieces()) {
        let stream: Vec<u8> = sent.iter().flat_map(Sent::frames).collect();
        let found = play(&stream, &LIMITS, &pieces);
        let seen: Vec<Seen> = found.seen.iter().map(|(event, _)| event.clone()).collect();
        let wanted: Vec<Seen> = sent.into_iter().map(|sent| sent.event).collect();
        assert_eq!((seen, found.failure), (wanted, None));
        fuzzing::compare(&reference::read(&stream, &LIMITS), &found, &pieces, stream.len());
    }

    #[test]
    fn any_bytes_and_any_limits_are_judged_as_by_the_slow_reader(bytes in vec(any::<u8>(), 0..200)) {
        fuzzing::websocket(&bytes);
    }

    #[test]
    fn a_good_stream_with_a_few_bad_bytes_is_judged_as_by_the_slow_reader(
        choice in any::<[u8; 3]>(),
        sent in vec(any_sent(), 1..4),
        faults in vec((any::<usize>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = [&choice[..], &sent.iter().flat_map(Sent::frames).collect::<Vec<u8>>()].concat();
        bytes.truncate(1000);
        for (at, byte) in faults {
            let at = 3 + at % (bytes.len() - 3).max(1);
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        fuzzing::websocket(&bytes);
    }
}

// ---- tungstenite ------------------------------------------------------------------------------------------------

/// Both directions of a connection, in memory.
#[derive(Debug, Default)]
struct Wire {
    to_read: io::Cursor<Vec<u8>>,
    written: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.to_read.read(into)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client that reads these bytes.
fn tungstenite(to_read: Vec<u8>) -> WebSocket<Wire> {
    let wire = Wire { to_read: io::Cursor::new(to_read), written: Vec::new() };
    WebSocket::from_raw_socket(wire, Role::Client, Some(WebSocketConfig::default()))
}

fn message(event: &Seen) -> Message {
    match event.clone() {
        Seen::Text(text) => Message::text(text),
        Seen::Binary(bytes) => Message::binary(bytes),
        Seen::Ping(bytes) => Message::Ping(bytes.into()),
        Seen::Pong(bytes) => Message::Pong(bytes.into()),
        Seen::Close(code, reason) => Message::Close(code.map(|code| close_frame(code, &reason))),
        Seen::Deflated { .. } => unreachable!("tungstenite knows no extensions"),
    }
}

fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into() }
}

/// Encodes an event as the server sends it, a message in frames of at most `most` bytes.
fn encode(event: &Seen, most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let (opcode, payload) = match event {
        Seen::Text(text) => (Opcode::Text, text.as_bytes()),
        Seen::Binary(bytes) => (Opcode::Binary, &bytes[..]),
        Seen::Ping(bytes) => (Opcode::Ping, &bytes[..]),
        Seen::Pong(bytes) => (Opcode::Pong, &bytes[..]),
        Seen::Close(Some(code), reason) => {
            close::encode(&mut out, *code, reason);
            return out;
        }
        other => unreachable!("{other:?} is not made"),
    };
    let most = if opcode.is_control() { payload.len() } else { most };
    let mut rest = payload;
    loop {
        let is_first = rest.len() == payload.len();
        let (part, further) = rest.split_at(rest.len().min(most));
        let opcode = if is_first { opcode } else { Opcode::Continuation };
        frame::encode_header(&mut out, opcode, further.is_empty(), false, part.len());
        out.extend(part);
        rest = further;
        if rest.is_empty() {
            return out;
        }
    }
}

fn any_close() -> impl Strategy<Value = Seen> {
    let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999];
    (select(codes.to_vec()), "[ -~ä€]{0,40}").prop_map(|(code, reason)| Seen::Close(Some(code), reason))
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn tungstenite_reads_what_we_encode(
        sent in vec(any_sent(), 0..6),
        end in any_close(),
        most in prop_oneof![1..50_usize, 1000..100_000_usize],
    ) {
        let events = || sent.iter().map(|sent| &sent.event).chain([&end]);
        let mut client = tungstenite(events().flat_map(|event| encode(event, most)).collect());
        for event in events() {
            assert_eq!(client.read().expect("it is a message"), message(event));
        }
    }

    #[test]
    fn we_read_what_tungstenite_encodes(
        sent in vec(any_sent(), 0..6),
        end in any_close(),
        pieces in any_pieces(),
        parts in vec("[a-zß€𝄞]{0,30}", 2..6),
    ) {
        let mut client = tungstenite(Vec::new());
        let mut wanted: Vec<Seen> = sent.into_iter().map(|sent| sent.event).collect();
        for event in &wanted {
            client.write(message(event)).expect("it is written");
        }
        for (at, part) in parts.iter().enumerate() {
            let data = if at == 0 { Data::Text } else { Data::Continue };
            let fin = at == parts.len() - 1;
            let frame = Frame::message(Bytes::from(part.clone()), OpCode::Data(data), fin);
            client.write(Message::Frame(frame)).expect("it is written");
        }
        wanted.push(text(&parts.concat()));
        let Seen::Close(Some(code), reason) = &end else { unreachable!("a code was made") };
        client.close(Some(close_frame(*code, reason))).expect("it is written");
        client.flush().expect("it is written");
        wanted.push(end);
        let Outcome { seen, failure } = play(&client.get_ref().written, &LIMITS, &pieces);
        let seen: Vec<Seen> = seen.into_iter().map(|(event, _)| event).collect();
        assert_eq!((seen, failure), (wanted, None));
    }

    #[test]
    fn any_reason_is_cut_between_characters(reason in "\\PC{0,150}") {
        let mut frame = Vec::new();
        close::encode(&mut frame, 1000, &reason);
        assert_eq!(frame[..2], [0x88, frame.len() as u8 - 2]);
        let (code, kept) = close::parse(&frame[2..]).expect("it is valid");
        assert!(code == Some(1000) && reason.starts_with(kept));
        // The next character did not fit.
        let next = reason[kept.len()..].chars().next().map_or(usize::MAX, char::len_utf8);
        assert!(kept.len() <= MAX_REASON && kept.len().saturating_add(next) > MAX_REASON);
    }
}

/// Limits of nothing and of everything.
#[test]
fn the_largest_limits_do_not_overflow() {
    let limits = Limits { max_message: usize::MAX, max_fragments: usize::MAX, deflate: true };
    let header = b"\xc2\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0ab";
    let found = play(header, &limits, &[1]);
    assert_eq!(found, Outcome::default());
    let found = play(
        &[&b"\x02\x81\0\0\0\0a"[..], b"\x80\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0b"].concat(),
        &limits,
        &[1],
    );
    assert_eq!(found, Outcome::default());
}
