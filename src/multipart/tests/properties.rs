//! What must hold for every form, tried with random ones: what was encoded is decoded, in any pieces.
//!
//! Each property has the same cases in every run; `PROPTEST_CASES=100000 cargo test --release multipart` tries other
//! ones, and more.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, RngSeed};

use super::fuzzing;
use super::play::{delimiter, play};
use super::reference;
use crate::multipart::{MultipartForm, Part};

/// Runs this many cases, always the same; `PROPTEST_CASES=10000` runs that many new ones.
fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

const BOUNDARY: &str = "----b";

#[derive(Clone, Debug)]
struct Sent {
    name: String,
    file_name: Option<String>,
    content: Vec<u8>,
    padding: String,
}

/// A name of characters that mean something in a header, and of others. Those that are ambiguous are left out: a
/// browser sends `%22` and `\` as they are.
fn name() -> impl Strategy<Value = String> {
    vec(select(vec!['a', '"', '\r', '\n', ';', '=', ' ', '\u{e9}', '\u{1f600}', '/', '.', '%', '*', ':']), 0..12)
        .prop_map(|characters| characters.into_iter().collect::<String>())
        .prop_map(|name| ["%22", "%0D", "%0A"].iter().fold(name, |name, escape| name.replace(escape, "")))
}

/// Content that is full of what looks like a boundary.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec!["\r\n", "\r", "\n", "--", "-", "----", "----B", "\r\n------", "\r\n-----", "x", "\0\u{e9}", ": "];
    vec(select(pieces), 0..20).prop_map(|pieces| pieces.concat()).prop_filter_map(
        "a line of it is a boundary",
        |text| {
            let inside = format!("\r\n{text}\r\n").contains(&format!("\r\n--{BOUNDARY}"));
            (!inside).then(|| text.into_bytes())
        },
    )
}

fn sent() -> impl Strategy<Value = Sent> {
    (name(), proptest::option::of(name()), content(), select(vec!["", " ", "\t "]))
        .prop_map(|(name, file_name, content, padding)| Sent { name, file_name, content, padding: padding.to_owned() })
}

fn encode(parts: &[Sent], preamble: &str, epilogue: &str) -> Vec<u8> {
    let escape = |name: &str| name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut body = preamble.as_bytes().to_vec();
    for part in parts {
        let file_name = part.file_name.as_ref().map(|name| format!("; filename=\"{}\"", escape(name)));
        let header = format!(
            "--{BOUNDARY}{}\r\nContent-Disposition: form-data; name=\"{}\"{}\r\n\r\n",
            part.padding,
            escape(&part.name),
            file_name.unwrap_or_default()
        );
        body.extend([header.as_bytes(), &part.content, b"\r\n"].concat());
    }
    body.extend(format!("--{BOUNDARY}--{epilogue}").bytes());
    body
}

/// What bodies of the boundary `b` are made of.
const PIECES: [&str; 11] = ["--b", "--", "\r\n", "\r", "\n", " ", "x", "A: 1\r\n", "\r\n\r\n", "\r\n--b", "-"];

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn a_form_that_was_encoded_is_decoded(
        parts in vec(sent(), 0..5),
        preamble in select(vec!["", "\r\n", "hello\r\n", "--\r\n"]),
        epilogue in select(vec!["", "\r\n", " \r\nbye", "\r\n------b\r\n"]),
        lengths in vec(1_usize..40, 1..10),
    ) {
        let body = encode(&parts, preamble, epilogue);
        let outcome = play(BOUNDARY, &body, &lengths);
        prop_assert_eq!(&outcome.end, &Ok(()));
        prop_assert_eq!(outcome.parts.len(), parts.len());
        for (part, sent) in outcome.parts.iter().zip(&parts) {
            let header = Part::read(&part.header).expect("a header");
            prop_assert_eq!((header.name(), header.file_name()), (sent.name.as_str(), sent.file_name.as_deref()));
            prop_assert_eq!((&part.content, part.is_whole), (&sent.content, true));
        }
        let form = MultipartForm::read(&delimiter(BOUNDARY), &body).expect("a form");
        let contents: Vec<_> = form.parts().iter().map(|part| part.content()).collect();
        prop_assert_eq!(contents, parts.iter().map(|part| &part.content[..]).collect::<Vec<_>>());
    }

    #[test]
    fn a_form_that_breaks_off_is_never_whole(
        parts in vec(sent(), 1..4),
        cut: prop::sample::Index,
        length in 1_usize..40,
    ) {
        let body = encode(&parts, "", "");
        let body = &body[..cut.index(body.len())];
        let outcome = play(BOUNDARY, body, &[length]);
        prop_assert!(outcome.end.is_err());
        prop_assert_eq!(outcome, reference::read(BOUNDARY, body));
    }

    #[test]
    fn any_bytes_are_read_as_the_slow_reader_reads_them(
        pieces in vec(select(PIECES.to_vec()), 0..30),
        choice: [u8; 2],
    ) {
        fuzzing::show(&[&choice[..], pieces.concat().as_bytes()].concat());
    }
}
