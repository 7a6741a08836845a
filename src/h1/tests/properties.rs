//! What must hold for every stream of requests, every reply and any few bytes, tried with random ones.
//!
//! Each property has the same cases in every run; `PROPTEST_CASES=100000 cargo test --release properties` tries other
//! ones, and more. A case that fails is made as small as possible and printed: it becomes a row of a table. Nothing is
//! written to disk.
//!
//! Three judges decide, and none of them shares code with what it judges: the generated values themselves, the slow
//! reader in [`reference`], and the reader of replies.

mod bytes;
mod valid;

use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, RngSeed};

use self::bytes::{
    any_bytes, any_chunks, any_head, any_target_text, broken_stream, head_of_odd_lines, nearly, ordinary_head,
    size_lines,
};
use self::valid::{Valid, any_authority, bytes_of, one_of, valid_stream};
use super::app::{Echo, Seen, Witness};
use super::bench::{Bench, small};
use super::fuzzing;
use super::play::{Manner, assert_same, assert_understood, play};
use super::reference;
use super::scripts::{Content, Script, Step};
use crate::config::Config;
use crate::http::{DateText, Method, Version};
use crate::{Router, TestClient};

/// Runs this many cases, always the same; `PROPTEST_CASES=10000` runs that many new ones.
pub(super) fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        // The cases are the same each time, so that chance does not decide what a test finds.
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

// ---- streams ----------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn any_split_of_a_valid_stream_gives_the_same_requests_and_replies(
        stream in valid_stream(),
        manner in any_manner(),
    ) {
        let config = Config::default();
        let bytes = bytes_of(&stream);
        let mut bench = Bench::of(Echo::default(), config.clone());
        let whole = play(&mut bench, &bytes, &Manner { fin: manner.fin, ..Manner::default() });
        let expected: Vec<Seen> = stream.iter().map(Valid::seen).collect();
        assert_eq!(whole.seen, expected);
        assert_understood(&whole, &bytes, &manner, &config);
        let in_pieces = play(&mut bench, &bytes, &manner);
        assert_same(&whole, &in_pieces);
        // Whether a 100 is sent depends on when the content comes. Nothing else depends on it.
        if !stream.iter().any(|request| request.expects) {
            assert!(whole.sent == in_pieces.sent, "{}\n{}", whole.sent.escape_ascii(), in_pieces.sent.escape_ascii());
        }
    }

    #[test]
    fn what_just_fits_the_limits_is_taken_and_one_byte_more_is_not(stream in valid_stream(), manner in any_manner()) {
        let most = |len: &dyn Fn(&Valid) -> usize| stream.iter().map(len).max().unwrap_or_default();
        let tight = Config {
            max_target: most(&|request| request.target.text().len()),
            max_head: most(&|request| request.head().len()),
            max_content: most(&|request| request.body.content().len()) as u64,
            ..Config::default()
        };
        let bytes = bytes_of(&stream);
        let expected: Vec<Seen> = stream.iter().map(Valid::seen).collect();
        let mut bench = Bench::of(Echo::default(), tight.clone());
        assert_eq!(play(&mut bench, &bytes, &manner).seen, expected);
        let mut tighter = vec![
            Config { max_target: tight.max_target - 1, ..tight.clone() },
            Config { max_head: tight.max_head - 1, ..tight.clone() },
        ];
        if tight.max_content > 0 {
            tighter.push(Config { max_content: tight.max_content - 1, ..tight });
        }
        for config in tighter {
            let mut bench = Bench::of(Echo::default(), config.clone());
            let outcome = play(&mut bench, &bytes, &manner);
            assert_understood(&outcome, &bytes, &manner, &config);
            assert!(outcome.replies.last().is_some_and(|reply| matches!(reply.status, 413 | 414 | 431)), "{outcome:?}");
        }
    }

    #[test]
    fn however_slowly_a_client_reads_it_gets_the_same_bytes(
        lens in vec(prop_oneof![0..200_usize, 15_000..40_000_usize], 1..10),
        pieces in vec(500..20_000_usize, 1..6),
        windows in vec(prop_oneof![0..400_usize, 0..40_000_usize], 1..6),
    ) {
        let request = |(i, len): (usize, &usize)| {
            let content: Vec<u8> = (0..*len).map(|at| (at % 251 + i) as u8).collect();
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
            [head.into_bytes(), content].concat()
        };
        let bytes: Vec<u8> = lens.iter().enumerate().flat_map(request).collect();
        let mut bench = Bench::of(Echo::default(), Config::default());
        let slow = play(&mut bench, &bytes, &Manner { pieces, windows, fin: false });
        let whole = play(&mut bench, &bytes, &Manner::default());
        assert_eq!(slow.replies.len(), lens.len());
        assert!(slow.sent == whole.sent);
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_bytes_are_answered_within_all_bounds(
        bytes in prop_oneof![any_bytes(), broken_stream()],
        manner in any_manner(),
        config in any_limits(),
    ) {
        check_stream(&mut Bench::new(config.clone()), &bytes, &manner);
        let mut bench = Bench::of(Echo::default(), config.clone());
        assert_understood(&play(&mut bench, &bytes, &manner), &bytes, &manner, &config);
        check_stream(&mut bench, &bytes, &manner);
    }
}

/// [`play`] checks the bounds. If a client sends everything at once, the outcome must be the same.
#[track_caller]
fn check_stream<A: Witness>(bench: &mut Bench<A>, bytes: &[u8], manner: &Manner) {
    let in_pieces = play(bench, bytes, manner);
    let whole = play(bench, bytes, &Manner { fin: manner.fin, ..Manner::default() });
    assert_same(&whole, &in_pieces);
}

// ---- decoders ---------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn a_head_is_what_the_slow_reader_says(
        bytes in nearly(any_head()),
        framing in head_of_odd_lines(),
        words in any_bytes(),
    ) {
        fuzzing::head(&bytes);
        fuzzing::head(&framing);
        fuzzing::head(&words);
    }

    #[test]
    fn both_readings_of_a_head_agree(
        ordinary in nearly(ordinary_head()),
        valid in nearly(any_head()),
        framing in nearly(head_of_odd_lines()),
    ) {
        fuzzing::readings(&ordinary);
        fuzzing::readings(&valid);
        fuzzing::readings(&framing);
    }

    #[test]
    fn chunks_are_what_the_slow_reader_says_in_any_pieces(bytes in nearly(any_chunks()), words in any_bytes()) {
        fuzzing::chunked(&bytes);
        fuzzing::chunked(&words);
    }

    #[test]
    fn the_usual_line_of_a_chunk_is_what_the_state_machine_says(words in size_lines()) {
        fuzzing::chunked(&words);
    }

    #[test]
    fn a_target_is_what_the_slow_reader_says(text in nearly(any_target_text()), odd in "\\PC{0,12}") {
        fuzzing::target(&text);
        fuzzing::target(odd.as_bytes());
    }

    #[test]
    fn an_authority_is_what_the_slow_reader_says(
        text in nearly(any_authority().prop_map(String::into_bytes)),
        port in 0..140_000_u32,
    ) {
        fuzzing::target(&text);
        fuzzing::target(&[&text[..], format!(":{port}").as_bytes()].concat());
        fuzzing::target(&[b"http://", &text[..], b"/"].concat());
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn what_a_client_encodes_is_what_a_handler_sees(
        segment in "[^\0]{1,12}",
        rest in vec("[^\0]{1,6}", 1..4),
        pairs in vec((".{0,6}", ".{0,10}"), 0..5),
    ) {
        #[derive(Debug, Default)]
        struct Found {
            segment: String,
            rest: String,
            query: Vec<(String, String)>,
            form: Vec<(String, String)>,
            first: Option<String>,
        }
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let first = pairs.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let mut app = Router::new(Found::default());
        let name = first.clone();
        app.post("/:segment/x/*rest", move |found: &mut Found, req, res| {
            let owned = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
                (name.into_owned(), value.into_owned())
            };
            *found = Found {
                segment: req.param("segment")?,
                rest: req.param("rest")?,
                query: req.query_pairs().iter().map(owned).collect(),
                form: req.form()?.iter().map(owned).collect(),
                first: req.query(&name).map(Into::into),
            };
            res.empty()
        });
        let mut client = TestClient::new(app);
        let path: Vec<String> = rest.iter().map(|segment| encode(segment)).collect();
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&pairs).finish();
        let target = format!("/{}/x/{}?{query}", encode(&segment), path.join("/"));
        let reply = client.post(&target).form(pairs.iter().map(|(name, value)| (name, value))).send();
        assert_eq!(reply.status(), 200, "{target}");
        let found = client.app().state();
        assert_eq!((&found.segment, &found.rest), (&segment, &rest.join("/")));
        assert_eq!((&found.query, &found.form), (&pairs, &pairs));
        let values: HashMap<&String, &String> = pairs.iter().rev().map(|(name, value)| (name, value)).collect();
        assert_eq!(found.first.as_ref(), values.get(&first).copied());
    }

    #[test]
    fn a_date_is_what_the_calendar_says(second in 0..253_402_300_800_u64) {
        let time = UNIX_EPOCH + Duration::from_secs(second);
        let date = DateText::new(time);
        assert_eq!(date.as_str(), reference::date(second));
        assert_eq!(httpdate::parse_http_date(date.as_str()).ok(), Some(time));
    }
}

// ---- replies ----------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(1200))]

    #[test]
    fn what_a_handler_writes_is_what_a_client_reads(script in any_script(), bytes in any_bytes()) {
        script.check();
        fuzzing::reply(&bytes);
    }
}

fn any_script() -> impl Strategy<Value = Script> {
    let content = prop_oneof![
        Just(Content::Empty),
        "\\PC{0,40}".prop_map(Content::Text),
        ".{0,40}".prop_map(Content::Html),
        vec(any::<u8>(), 0..60).prop_map(Content::Send),
        vec(any::<u8>(), 0..60).prop_map(Content::Give),
        (16_300..16_500_usize).prop_map(|len| Content::Give(vec![b'x'; len])),
        vec(vec(any::<u8>(), 0..30), 0..5).prop_map(Content::Written),
    ];
    let status = prop_oneof![
        4 => 200..=599_u16,
        4 => select(vec![200, 204, 205, 304]),
        1 => select(vec![0, 99, 100, 101, 199, 600, 999, 65535]),
    ];
    (
        select(vec![Method::Get, Method::Head, Method::Post]),
        select(vec![Version::Http10, Version::Http11, Version::Http11]),
        select(vec![None, None, Some("close"), Some("keep-alive"), Some("x, Keep-Alive")]),
        status,
        option::weighted(0.2, prop_oneof![9 => "[\t -~é]{0,20}", 1 => "\\PC{0,3}[\r\n\0\x7f]\\PC{0,3}"]),
        (
            vec(any_step(), 0..6),
            option::weighted(0.2, select(vec!["0", "00", "true", "5", "+5", "", "18446744073709551616"])),
        ),
        content,
    )
        .prop_map(|(method, version, connection, status, reason, (mut steps, length), content)| {
            if let Some(length) = length {
                let value = if length == "true" { content.bytes().len().to_string() } else { length.to_owned() };
                steps.push(Step::Set("Content-Length".to_owned(), value));
            }
            Script { method, version, connection, status, reason, steps, content }
        })
}

/// A random change of a field line, which is now and then illegal.
fn any_step() -> impl Strategy<Value = Step> {
    let known =
        ["Content-Type", "content-type", "Server", "SERVER", "Connection", "connection", "X-A", "x-a", "Set-Cookie"];
    let name = prop_oneof![
        10 => one_of(&known),
        10 => "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}",
        1 => one_of(&["", "a b", "a:", "é", "a\r\nb", "Transfer-Encoding", "transfer-encoding"]),
    ];
    let value = prop_oneof![
        10 => "[\t -~]{0,20}",
        5 => one_of(&["close", "Close", "keep-alive", "upgrade", "close, x", "a,,close ,", "\u{a0}close", ""]),
        5 => "\\PC{0,10}",
        1 => "\\PC{0,4}[\r\n\0\x7f\x1b]\\PC{0,4}",
    ];
    let date = (0..4_000_000_000_u64).prop_map(|second| Step::Append("Date".to_owned(), reference::date(second)));
    prop_oneof![
        8 => (name.clone(), value.clone()).prop_map(|(name, value)| Step::Set(name, value)),
        8 => (name.clone(), value).prop_map(|(name, value)| Step::Append(name, value)),
        3 => name.prop_map(Step::Remove),
        1 => date,
    ]
}

// ---- manners ----------------------------------------------------------------------------------------------------

fn any_manner() -> impl Strategy<Value = Manner> {
    let pieces = prop_oneof![vec(1..4_usize, 1..4), vec(1..60_usize, 1..20), vec(1..2000_usize, 1..10), Just(vec![])];
    let windows = prop_oneof![3 => Just(vec![]), 1 => vec(0..80_usize, 1..10), 1 => vec(0..100_000_usize, 1..5)];
    (pieces, windows, any::<bool>()).prop_map(|(pieces, windows, fin)| Manner { pieces, windows, fin })
}

fn any_limits() -> impl Strategy<Value = Config> {
    let max_content = prop_oneof![0..5_u64, 0..100_u64];
    (20..200_usize, 100..600_usize, max_content).prop_map(|(max_target, max_head, max_content)| Config {
        max_target,
        max_head,
        max_content,
        ..small()
    })
}
