//! The body of the fuzz target `websocket`. It takes any bytes, and panics if a rule that must hold is broken.
//!
//! `tests/fuzz/` runs it under libFuzzer. `cargo test` runs it too: [`sow`] gives it each row of the tables as a seed,
//! unchanged and mutated a few times. With `MONOLOOP_CORPUS=folder` it also writes the seeds to that folder.

use super::play::{Outcome, play};
use super::reference;
use crate::websocket::assemble::Limits;

/// A stream of frames in any pieces, and with any limits: the decoder must see what the slow reader sees, as early.
///
/// The first bytes choose: whether messages may be compressed, the limits, and the lengths of the pieces.
pub fn websocket(data: &[u8]) {
    let Some((&[bits, message, pieces], stream)) = data.split_first_chunk() else { return };
    let limits = Limits {
        deflate: bits & 1 != 0,
        max_fragments: 1 + usize::from(bits >> 1 & 7),
        // Limits around the lengths at which the form of a header changes are among them.
        max_message: match message {
            0..=199 => usize::from(message),
            200..=250 => (usize::from(message) - 200) * 1500,
            _ => 1 << 24,
        },
    };
    let expected = reference::read(stream, &limits);
    let lengths = |seed: u8| (0..8).map(move |at| 1 + usize::from(seed.rotate_left(at) & 31)).collect::<Vec<_>>();
    for pieces in [vec![1], vec![stream.len()], lengths(pieces), vec![usize::from(pieces), usize::MAX]] {
        let found = play(stream, &limits, &pieces);
        compare(&expected, &found, &pieces, stream.len());
    }
}

/// Compares an outcome with the earliest possible one. An event or a failure comes with the piece that completes it.
pub(super) fn compare(expected: &Outcome, found: &Outcome, pieces: &[usize], len: usize) {
    let ends: Vec<usize> = {
        let last = pieces.last().copied().unwrap_or(usize::MAX);
        let lens = pieces.iter().copied().chain(std::iter::repeat(last)).map(|len| len.max(1));
        let mut fed = 0_usize;
        lens.map_while(|piece| {
            (fed < len).then(|| {
                fed = fed.saturating_add(piece).min(len);
                fed
            })
        })
        .collect()
    };
    let end = |at: usize| *ends.iter().find(|end| **end >= at).expect("it is in the stream");
    let at_end = Outcome {
        seen: expected.seen.iter().map(|(event, at)| (event.clone(), end(*at))).collect(),
        failure: expected.failure.map(|(code, at)| (code, end(at))),
    };
    assert_eq!(*found, at_end, "in pieces of {pieces:?}");
}

/// Gives a row of a table to the target, as it is and mutated.
#[cfg(test)]
pub(super) fn sow(stream: &[u8], limits: &Limits) {
    // What long rows have of their own is their length.
    if stream.len() > 4000 {
        return;
    }
    let bits = u8::from(limits.deflate) | 0b1110;
    let message = match limits.max_message {
        small @ 0..=199 => small as u8,
        _ => 255,
    };
    let seed = [&[bits, message, stream.len() as u8], stream].concat();
    let mut state = stream
        .iter()
        .fold(stream.len() as u64 + 1, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    if let Some(corpus) = std::env::var_os("MONOLOOP_CORPUS") {
        let folder = std::path::Path::new(&corpus).join("websocket");
        std::fs::create_dir_all(&folder).expect("the corpus can be written");
        std::fs::write(folder.join(format!("{state:016x}")), &seed).expect("the corpus can be written");
    }
    show(&seed);
    for _ in 0..4000 / (seed.len() + 100) {
        let mut mutant = seed.clone();
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..=random(3) {
            let (at, byte) = (random(mutant.len()), random(256) as u8);
            match random(4) {
                0 => mutant[at] = byte,
                1 => mutant[at] ^= 1 << (byte % 8),
                2 => mutant.insert(at, byte),
                _ => drop(mutant.remove(at)),
            }
        }
        show(&mutant);
    }
}

/// Runs the target, and prints the bytes if it panics.
#[cfg(test)]
fn show(bytes: &[u8]) {
    struct Shown<'a>(&'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("fuzzing::websocket(b\"{}\")", self.0.escape_ascii());
            }
        }
    }
    let _shown = Shown(bytes);
    websocket(bytes);
}
