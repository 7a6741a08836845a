//! The body of the fuzz target `multipart`. It takes any bytes, and panics if a rule that must hold is broken.
//!
//! `tests/fuzz/` runs it under libFuzzer. `cargo test` runs it too: [`sow`] gives it each row of the tables as a seed,
//! unchanged and mutated a few times. With `MONOLOOP_CORPUS=folder` it also writes the seeds to that folder.

use super::play::{Outcome, delimiter, play};
use super::reference;
use crate::multipart::fault::Fault;
use crate::multipart::parameters::Parameters;
use crate::multipart::{MultipartForm, Part, safe_name};

/// The boundaries of which the target takes one: the shortest one, one that looks like the hyphens before it, and one
/// of unusual characters.
const BOUNDARIES: [&str; 3] = ["b", "--", "a' ()b"];

/// A body in any pieces: the decoder must see what the slow reader sees. Then the parts are read, and the form as a
/// whole.
///
/// The first bytes choose the boundary, and the lengths of the pieces.
pub fn multipart(data: &[u8]) {
    let Some((&[boundary, pieces], body)) = data.split_first_chunk() else { return };
    let boundary = BOUNDARIES[usize::from(boundary) % BOUNDARIES.len()];
    let expected = reference::read(boundary, body);
    let lengths: Vec<_> = (0..8).map(|at| 1 + usize::from(pieces.rotate_left(at) & 31)).collect();
    for lengths in [vec![1], vec![usize::MAX], lengths, vec![usize::from(pieces), usize::MAX]] {
        assert_eq!(play(boundary, body, &lengths), expected, "in pieces of {lengths:?}");
    }
    let parts: Vec<_> = expected.parts.iter().map(|part| Part::read(&part.header)).collect();
    parts.iter().flatten().for_each(check_part);
    check_whole(&expected, &parts, MultipartForm::read(&delimiter(boundary), body));
    if let Ok(text) = std::str::from_utf8(body) {
        // Each step of it takes something.
        let (_, parameters) = Parameters::split(text);
        assert!(parameters.count() <= text.len());
    }
}

fn check_part(part: &Part<'_>) {
    let lines = part.headers().count();
    assert!(lines > 0 && part.header("content-disposition").is_some(), "{part:?}");
    assert_eq!(part.is_file(), part.file_name().is_some());
    let safe = safe_name(part.file_name().unwrap_or_default());
    assert_eq!(part.safe_name(), safe);
    assert!(!safe.is_empty() && safe.len() <= 255 && !safe.starts_with('.'), "{safe:?}");
    assert!(!safe.contains(['/', '\\', '\0', '\r', '\n']), "{safe:?}");
}

/// The form as a whole has the same parts, or it is refused for a reason.
fn check_whole(expected: &Outcome, parts: &[Result<Part<'_>, Fault>], form: Result<MultipartForm<'_>, Fault>) {
    match form {
        Ok(form) => {
            assert_eq!(expected.end, Ok(()));
            let names = |part: &Part<'_>| (part.name().to_owned(), part.file_name().map(str::to_owned));
            let whole: Vec<_> = form.parts().iter().map(|part| (names(part), part.content())).collect();
            let pieces = parts.iter().zip(&expected.parts);
            let pieces: Vec<_> = pieces
                .map(|(part, piece)| (names(part.as_ref().expect("it was read")), piece.content.as_slice()))
                .collect();
            assert_eq!(whole, pieces);
        }
        Err(Fault::TooManyParts(max)) => assert!(parts.len() > max),
        // The first fault is that of a part, or that of the body.
        Err(fault) => {
            let first = parts.iter().find_map(|part| part.as_ref().err().copied());
            assert_eq!(Some(fault), first.or(expected.end.err()));
        }
    }
}

/// Gives a row of a table to the target, as it is and mutated.
#[cfg(test)]
pub(super) fn sow(body: &[u8]) {
    // What long rows have of their own is their length.
    if body.len() > 4000 {
        return;
    }
    let seed = [&[0, body.len() as u8], body].concat();
    let mut state =
        body.iter().fold(body.len() as u64 + 1, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    if let Some(corpus) = std::env::var_os("MONOLOOP_CORPUS") {
        let folder = std::path::Path::new(&corpus).join("multipart");
        std::fs::create_dir_all(&folder).expect("the corpus can be written");
        std::fs::write(folder.join(format!("{state:016x}")), &seed).expect("the corpus can be written");
    }
    show(&seed);
    let inserts: [&[u8]; 6] = [b"\r\n", b"--b", b"\r\n--b", b"--", b"\r\n\r\n", b" "];
    for _ in 0..20_000 / (seed.len() + 100) {
        let mut mutant = seed.clone();
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        for _ in 0..=random(3) {
            // The boundary of the row stays.
            let (at, byte) = (1 + random(mutant.len() - 1), random(256) as u8);
            match random(5) {
                0 => mutant[at] = byte,
                1 => mutant[at] ^= 1 << (byte % 8),
                2 => mutant.insert(at, byte),
                3 => drop(mutant.splice(at..at, inserts[usize::from(byte) % inserts.len()].iter().copied())),
                _ if mutant.len() > 2 => drop(mutant.remove(at)),
                _ => {}
            }
        }
        show(&mutant);
    }
}

/// Runs the target, and prints the bytes if it panics.
#[cfg(test)]
pub(super) fn show(bytes: &[u8]) {
    struct Shown<'a>(&'a [u8]);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("fuzzing::multipart(b\"{}\")", self.0.escape_ascii());
            }
        }
    }
    let _shown = Shown(bytes);
    multipart(bytes);
}
