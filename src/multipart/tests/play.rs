//! Feeds a decoder.

use crate::multipart::boundary::Delimiter;
use crate::multipart::decoder::{Decoder, Event};
use crate::multipart::fault::Fault;

/// What a body consists of, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) parts: Vec<Piece>,
    pub(super) end: Result<(), Fault>,
}

/// A part, as far as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) header: Vec<u8>,
    pub(super) content: Vec<u8>,
    pub(super) is_whole: bool,
}

pub(super) fn delimiter(boundary: &str) -> Delimiter {
    Delimiter::read(&format!("multipart/form-data; boundary=\"{boundary}\"")).expect("a valid boundary")
}

/// Feeds `body` in pieces of these lengths; the last one is repeated.
pub(super) fn play(boundary: &str, body: &[u8], lengths: &[usize]) -> Outcome {
    let mut decoder = Decoder::new(&delimiter(boundary));
    let mut parts = Vec::new();
    let last = lengths.last().copied().unwrap_or(usize::MAX);
    let mut rest = body;
    for length in lengths.iter().copied().chain(std::iter::repeat(last)) {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(length.clamp(1, rest.len()));
        rest = after;
        if let Err(fault) = feed(&mut decoder, piece, &mut parts) {
            return Outcome { parts, end: Err(fault) };
        }
    }
    let end = if decoder.is_complete() { Ok(()) } else { Err(Fault::Incomplete) };
    Outcome { parts, end }
}

fn feed(decoder: &mut Decoder, mut piece: &[u8], parts: &mut Vec<Piece>) -> Result<(), Fault> {
    let mut idle = 0;
    while !piece.is_empty() {
        let (used, event) = decoder.decode(piece)?;
        // A step that uses nothing gives back what was held, and at most once in a row.
        idle = if used == 0 { idle + 1 } else { 0 };
        assert!(idle < 2, "the decoder makes no progress at {:?}", piece.escape_ascii().to_string());
        piece = &piece[used..];
        match event {
            Some(Event::Header(header)) => {
                parts.push(Piece { header: header.to_vec(), ..Piece::default() });
            }
            Some(Event::Content(content)) => {
                assert!(!content.is_empty(), "a piece of content is not empty");
                let part = parts.last_mut().filter(|part| !part.is_whole).expect("content belongs to a part");
                part.content.extend_from_slice(content);
            }
            Some(Event::PartEnd) => {
                let part = parts.last_mut().filter(|part| !part.is_whole).expect("it is the end of a part");
                part.is_whole = true;
            }
            None => {}
        }
    }
    Ok(())
}
