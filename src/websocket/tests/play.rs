//! Feeds a decoder as a connection does, and writes down what it says.

use crate::websocket::assemble::Limits;
use crate::websocket::decoder::{Decoder, Event};

/// An event that outlives the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Deflated { text: bool, bytes: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Text(text) => Self::Text(text.to_owned()),
            Event::Binary(bytes) => Self::Binary(bytes.to_owned()),
            Event::Deflated { text, bytes } => Self::Deflated { text, bytes: bytes.to_owned() },
            Event::Ping(bytes) => Self::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Self::Pong(bytes.to_owned()),
            Event::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

/// What came out of a stream of frames: each event, and the code of the failure if there was one. The numbers say how
/// many bytes had been fed until then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) seen: Vec<(Seen, usize)>,
    pub(super) failure: Option<(u16, usize)>,
}

/// Bytes of a header and a control frame that the decoder may leave in the input.
const MAX_LEFT: usize = 14 + 125;

/// Feeds `bytes` to a new decoder, in pieces of these lengths. The last length is repeated.
///
/// # Panics
/// If the decoder keeps too much, or leaves too much in the input.
#[track_caller]
pub(super) fn play(bytes: &[u8], limits: &Limits, pieces: &[usize]) -> Outcome {
    let mut decoder = Decoder::default();
    let mut outcome = Outcome::default();
    let (mut held, mut fed) = (Vec::new(), 0);
    let mut pieces = pieces.iter().copied();
    let mut len = usize::MAX;
    while fed < bytes.len() {
        len = pieces.next().unwrap_or(len).max(1);
        let piece = &bytes[fed..bytes.len().min(fed.saturating_add(len))];
        held.extend_from_slice(piece);
        fed += piece.len();
        let used = feed(&mut decoder, &mut held, limits, fed, &mut outcome);
        held.drain(..used);
        assert!(held.len() < MAX_LEFT, "{} bytes were left", held.len());
        // A character that is not all there takes three bytes more.
        let received = limits.max_message.saturating_add(limits.max_message / 64 + 67);
        assert!(decoder.capacity() <= (2 * fed + 3).min(received), "{} for {fed} bytes", decoder.capacity());
    }
    outcome
}

/// Takes all events out of the input. Returns how many bytes were used.
fn feed(decoder: &mut Decoder, input: &mut [u8], limits: &Limits, fed: usize, outcome: &mut Outcome) -> usize {
    let mut at = 0;
    loop {
        match decoder.next(&mut input[at..], limits) {
            Ok((used, event)) => {
                at += used;
                let Some(event) = event else { return at };
                assert!(used > 0, "an event of no bytes: {event:?}");
                assert_eq!(outcome.failure, None, "an event after a failure: {event:?}");
                outcome.seen.push((event.into(), fed));
            }
            Err(failure) => {
                assert_eq!(outcome.failure, None, "a failure after a failure: {failure:?}");
                outcome.failure = Some((failure.code, fed));
            }
        }
    }
}

/// A frame of a client with this first byte, and with the length in its shortest form.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    keyed_frame(first, payload, [0x37, 0xfa, 0x21, 0x3d])
}

/// The same with this masking key.
pub(super) fn keyed_frame(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let len = payload.len();
    let mut frame = match len {
        0..=125 => vec![first, 0x80 | len as u8],
        126..=0xffff => [&[first, 0xfe][..], &(len as u16).to_be_bytes()].concat(),
        _ => [&[first, 0xff][..], &(len as u64).to_be_bytes()].concat(),
    };
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

pub(super) fn text(text: &str) -> Seen {
    Seen::Text(text.to_owned())
}
