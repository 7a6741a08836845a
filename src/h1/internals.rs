//! The parsers by themselves, called as a connection calls them.

use std::hint::black_box;

use crate::config::Config;
use crate::wire::Framing;
use crate::wire::body::BodyDecoder;
use crate::wire::{Scratch, head};

/// Parses and checks heads.
#[derive(Debug, Default)]
pub struct HeadParser(Scratch);

impl HeadParser {
    /// Parses and checks a whole head; gives its length.
    ///
    /// # Panics
    /// If it is none.
    #[inline(never)]
    pub fn parse(&mut self, bytes: &[u8], config: &Config) -> usize {
        // Looked at as a whole, so that the compiler leaves out no part of it as unused.
        match black_box(&head::parse(bytes, &mut self.0, config)) {
            Ok(Some(message)) => message.len,
            invalid => panic!("not a head: {invalid:?}"),
        }
    }
}

/// Decodes a whole body in the chunked coding; gives the length of its content.
///
/// # Panics
/// If it is none.
#[inline(never)]
pub fn decode_chunks(body: &[u8]) -> usize {
    let mut decoder = BodyDecoder::new(Framing::Chunked);
    let (mut at, mut content) = (0, 0);
    loop {
        let piece = black_box(decoder.decode(&body[at..]).expect("a body in the chunked coding"));
        assert!(piece.consumed > 0, "the body has an end");
        at += piece.consumed;
        content += piece.content.len();
        if piece.end {
            return content;
        }
    }
}
