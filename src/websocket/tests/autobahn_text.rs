//! The contents of group 6 of the Autobahn test suite: UTF-8, most of it from Markus Kuhn's stress test.
//!
//! The suite sends most texts in one frame. Here each is also sent in frames of one byte, as in 6.2.3, 6.2.4 and 6.3.2,
//! and must fail at the same byte.

use super::play::{Seen, frame, text};
use super::table::After::{Fails, Open};
use super::table::run;
use crate::websocket::failure::code::INVALID_DATA;

/// κόσμε
const GREEK: &[u8] = b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5";
const EDITED: &[u8] = b"edited";

/// A message in frames of these payloads.
fn fragments(parts: &[&[u8]]) -> Vec<u8> {
    let last = parts.len() - 1;
    let first = |at| if at == last { 0x80 } else { 0 } | u8::from(at == 0);
    parts.iter().enumerate().flat_map(|(at, part)| frame(first(at), part)).collect()
}

/// One frame, and frames of one byte.
fn both_ways(bytes: &[u8]) -> [(Vec<u8>, usize); 2] {
    let parts: Vec<&[u8]> = bytes.chunks(1).collect();
    // A frame of one byte has seven.
    let single = fragments(if parts.is_empty() { &[b""] } else { &parts });
    [(frame(0x81, bytes), 1), (single, 7)]
}

#[track_caller]
fn good(case: &str, bytes: &[u8]) {
    let wanted = std::str::from_utf8(bytes).unwrap_or_else(|_| panic!("{case} is no UTF-8"));
    for (frames, _) in both_ways(bytes) {
        run(&[(case, frames, vec![text(wanted)], Open)]);
    }
}

/// A text that fails at the byte `shown`, counted from 1.
#[track_caller]
fn bad(case: &str, bytes: &[u8], shown: usize) {
    assert!(std::str::from_utf8(bytes).is_err(), "{case} is UTF-8");
    for (frames, width) in both_ways(bytes) {
        run(&[(case, frames, vec![], Fails(INVALID_DATA, width * (bytes.len() - shown)))]);
    }
}

#[test]
fn groups_6_1_and_6_2_good_text_in_fragments() {
    let (one, two) = ("Hello-µ@ßöä", "üàá-UTF-8!!");
    let whole = [one, two].concat();
    let middle = "middle frame payload";
    run(&[
        ("6.1.1", frame(0x81, b""), vec![text("")], Open),
        ("6.1.2", fragments(&[b"", b"", b""]), vec![text("")], Open),
        ("6.1.3", fragments(&[b"", middle.as_bytes(), b""]), vec![text(middle)], Open),
        ("6.2.2", fragments(&[one.as_bytes(), two.as_bytes()]), vec![text(&whole)], Open),
    ]);
    good("6.2.1, 6.2.3", whole.as_bytes());
    good("6.2.4", GREEK);
}

#[test]
fn groups_6_3_and_6_4_bad_text_fails_at_once() {
    let surrogate = [GREEK, b"\xed\xa0\x80", EDITED].concat();
    bad("6.3.1, 6.3.2", &surrogate, 13);
    let too_high = [GREEK, b"\xf4\x90\x80\x80", EDITED].concat();
    bad("6.4.3, 6.4.4", &too_high, 13);
    let rest = frame(0x80, EDITED).len();
    run(&[
        ("6.4.1", fragments(&[GREEK, b"\xf4\x90\x80\x80", EDITED]), vec![], Fails(INVALID_DATA, rest + 2)),
        (
            "6.4.2",
            fragments(&[&too_high[..12], &too_high[12..13], &too_high[13..]]),
            vec![],
            Fails(INVALID_DATA, frame(0x80, &too_high[13..]).len()),
        ),
    ]);
}

#[test]
fn group_6_5_characters_of_all_lengths() {
    good("6.5.1", b"hello\x24world");
    good("6.5.2", b"hello\xc2\xa2world");
    good("6.5.3", b"hello\xe2\x82\xacworld");
    good("6.5.4", b"hello\xf0\xa4\xad\xa2world");
    good("6.5.5", GREEK);
}

#[test]
fn group_6_6_all_prefixes() {
    for len in 1..=GREEK.len() {
        let (case, bytes) = (format!("6.6.{len}"), &GREEK[..len]);
        match len {
            // An end within a character shows with the last byte of the message.
            1 | 3 | 4 | 6 | 8 | 10 => bad(&case, bytes, len),
            _ => good(&case, bytes),
        }
    }
}

/// Runs the texts of a group, which are numbered from `first` on.
fn all_good(group: &str, first: usize, texts: &[&[u8]]) {
    (first..).zip(texts).for_each(|(number, bytes)| good(&format!("{group}.{number}"), bytes));
}

/// Runs the texts of a group, each with the number of the byte that shows the fault.
fn all_bad(group: &str, first: usize, texts: &[(&[u8], usize)]) {
    (first..).zip(texts).for_each(|(number, (bytes, shown))| bad(&format!("{group}.{number}"), bytes, *shown));
}

#[test]
fn groups_6_7_to_6_11_the_first_and_last_of_each_length() {
    all_good("6.7", 1, &[b"\x00", b"\xc2\x80", b"\xe0\xa0\x80", b"\xf0\x90\x80\x80"]);
    all_bad("6.8", 1, &[(b"\xf8\x88\x80\x80\x80", 1), (b"\xfc\x84\x80\x80\x80\x80", 1)]);
    all_good("6.9", 1, &[b"\x7f", b"\xdf\xbf", b"\xef\xbf\xbf", b"\xf4\x8f\xbf\xbf"]);
    let lasts: [(&[u8], usize); 3] =
        [(b"\xf7\xbf\xbf\xbf", 1), (b"\xfb\xbf\xbf\xbf\xbf", 1), (b"\xfd\xbf\xbf\xbf\xbf\xbf", 1)];
    all_bad("6.10", 1, &lasts);
    all_good("6.11", 1, &[b"\xed\x9f\xbf", b"\xee\x80\x80", b"\xef\xbf\xbd", b"\xf4\x8f\xbf\xbf"]);
    all_bad("6.11", 5, &[(b"\xf4\x90\x80\x80", 2)]);
}

#[test]
fn groups_6_12_to_6_16_malformed_sequences() {
    let all: Vec<u8> = (0x80..0xbf).collect();
    let continuations: [(&[u8], usize); 8] = [
        (b"\x80", 1),
        (b"\xbf", 1),
        (b"\x80\xbf", 1),
        (b"\x80\xbf\x80", 1),
        (b"\x80\xbf\x80\xbf", 1),
        (b"\x80\xbf\x80\xbf\x80", 1),
        (b"\x80\xbf\x80\xbf\x80\xbf", 1),
        (&all, 1),
    ];
    all_bad("6.12", 1, &continuations);
    let starts = [(0xc0..0xdf, 1), (0xe0..0xef, 2), (0xf0..0xf7, 2), (0xf8..0xfb, 1), (0xfc..0xfd, 1)];
    for (number, (range, shown)) in (1..).zip(starts) {
        let bytes: Vec<u8> = range.flat_map(|start| [start, b' ']).collect();
        bad(&format!("6.13.{number}"), &bytes, shown);
    }
    let incomplete: [(&[u8], usize); 10] = [
        (b"\xc0", 1),
        (b"\xe0\x80", 2),
        (b"\xf0\x80\x80", 2),
        (b"\xf8\x80\x80\x80", 1),
        (b"\xfc\x80\x80\x80\x80", 1),
        (b"\xdf", 1),
        (b"\xef\xbf", 2),
        (b"\xf7\xbf\xbf", 1),
        (b"\xfb\xbf\xbf\xbf", 1),
        (b"\xfd\xbf\xbf\xbf\xbf", 1),
    ];
    all_bad("6.14", 1, &incomplete);
    let together: Vec<u8> = incomplete.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
    bad("6.15.1", &together, 1);
    all_bad("6.16", 1, &[(b"\xfe", 1), (b"\xff", 1), (b"\xfe\xfe\xff\xff", 1)]);
}

#[test]
fn groups_6_17_to_6_19_overlong_sequences() {
    let slash: [(&[u8], usize); 5] = [
        (b"\xc0\xaf", 1),
        (b"\xe0\x80\xaf", 2),
        (b"\xf0\x80\x80\xaf", 2),
        (b"\xf8\x80\x80\x80\xaf", 1),
        (b"\xfc\x80\x80\x80\x80\xaf", 1),
    ];
    all_bad("6.17", 1, &slash);
    let largest: [(&[u8], usize); 5] = [
        (b"\xc1\xbf", 1),
        (b"\xe0\x9f\xbf", 2),
        (b"\xf0\x8f\xbf\xbf", 2),
        (b"\xf8\x87\xbf\xbf\xbf", 1),
        (b"\xfc\x83\xbf\xbf\xbf\xbf", 1),
    ];
    all_bad("6.18", 1, &largest);
    let nul: [(&[u8], usize); 5] = [
        (b"\xc0\x80", 1),
        (b"\xe0\x80\x80", 2),
        (b"\xf0\x80\x80\x80", 2),
        (b"\xf8\x80\x80\x80\x80", 1),
        (b"\xfc\x80\x80\x80\x80\x80", 1),
    ];
    all_bad("6.19", 1, &nul);
}

#[test]
fn groups_6_20_and_6_21_surrogates() {
    let single: [[u8; 2]; 7] =
        [*b"\xa0\x80", *b"\xad\xbf", *b"\xae\x80", *b"\xaf\xbf", *b"\xb0\x80", *b"\xbe\x80", *b"\xbf\xbf"];
    for (number, [two, three]) in (1..).zip(single) {
        bad(&format!("6.20.{number}"), &[0xed, two, three], 2);
    }
    let mut number = 0;
    for high in [*b"\xa0\x80", *b"\xad\xbf", *b"\xae\x80", *b"\xaf\xbf"] {
        for low in [*b"\xb0\x80", *b"\xbf\xbf"] {
            number += 1;
            bad(&format!("6.21.{number}"), &[0xed, high[0], high[1], 0xed, low[0], low[1]], 2);
        }
    }
    assert_eq!(number, 8);
}

#[test]
fn groups_6_22_and_6_23_noncharacters_and_specials() {
    // U+FFFE, U+FFFF, and the last two of each further plane.
    let noncharacters = (0..=16).flat_map(|plane| [plane << 16 | 0xfffe, plane << 16 | 0xffff]);
    let noncharacters: Vec<char> = noncharacters.filter_map(char::from_u32).collect();
    assert_eq!(noncharacters.len(), 34);
    for (group, characters) in [("6.22", noncharacters), ("6.23", ('\u{fff9}'..='\u{ffff}').collect())] {
        for (number, character) in (1..).zip(characters) {
            good(&format!("{group}.{number}"), character.to_string().as_bytes());
        }
    }
}

/// All characters, and all pairs of bytes before and after a cut.
#[test]
fn no_cut_changes_what_is_text() {
    let all: String = (0..=char::MAX as u32).step_by(97).filter_map(char::from_u32).collect();
    run(&[("every 97th character", frame(0x81, all.as_bytes()), vec![Seen::Text(all.clone())], Open)]);
}
