//! The form of an event on the wire, and that no part of an event can be taken for another part.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, RngSeed};

use super::reader::{Seen, read};
use crate::sse::Event;

#[track_caller]
fn encoded(event: &Event) -> String {
    String::from_utf8(event.encode().expect("there is no mistake").to_vec()).expect("it is UTF-8")
}

#[test]
fn each_event_is_encoded_as_in_the_standard() {
    let table = [
        ("data", Event::new("hello"), "data: hello\n\n"),
        ("no data", Event::new(""), "data:\n\n"),
        ("a space at the front", Event::new(" a"), "data:  a\n\n"),
        ("a space alone", Event::new(" "), "data:  \n\n"),
        ("a colon at the front", Event::new(":a"), "data: :a\n\n"),
        ("LF", Event::new("a\nb"), "data: a\ndata: b\n\n"),
        ("CRLF", Event::new("a\r\nb"), "data: a\ndata: b\n\n"),
        ("CR", Event::new("a\rb"), "data: a\ndata: b\n\n"),
        ("LF CR is two line ends", Event::new("a\n\rb"), "data: a\ndata:\ndata: b\n\n"),
        ("LF at the end", Event::new("a\n"), "data: a\ndata:\n\n"),
        ("CR at the end", Event::new("a\r"), "data: a\ndata:\n\n"),
        ("LF alone", Event::new("\n"), "data:\ndata:\n\n"),
        ("others do not end a line", Event::new("a\u{85}b\u{2028}c\u{b}d"), "data: a\u{85}b\u{2028}c\u{b}d\n\n"),
        ("NUL", Event::new("a\0b"), "data: a\0b\n\n"),
        ("a name", Event::new("a").event("joined"), "event: joined\ndata: a\n\n"),
        ("an empty name", Event::new("a").event(""), "event:\ndata: a\n\n"),
        ("an id", Event::new("a").id("7"), "id: 7\ndata: a\n\n"),
        ("an empty id", Event::new("a").id(""), "id:\ndata: a\n\n"),
        ("an id in UTF-8", Event::new("a").id("é 7"), "id: é 7\ndata: a\n\n"),
        ("retry", Event::new("a").retry(Duration::from_micros(2_999_999)), "retry: 2999\ndata: a\n\n"),
        ("retry at once", Event::new("a").retry(Duration::from_micros(999)), "retry: 0\ndata: a\n\n"),
        ("comment", Event::comment("a"), ": a\n\n"),
        ("empty comment", Event::comment(""), ":\n\n"),
        ("comment of several lines", Event::comment("a\rdata: b\n\nc"), ": a\n: data: b\n:\n: c\n\n"),
        ("comment with an id", Event::comment("").id("7"), "id: 7\n:\n\n"),
    ];
    for (name, event, expected) in table {
        assert_eq!(encoded(&event), expected, "{name}");
    }
    assert!(encoded(&Event::new("").retry(Duration::MAX)).starts_with("retry: 18446744073709551615999\n"));
}

#[test]
fn mistakes_are_errors() {
    let table = [
        ("LF in a name", Event::new("a").event("a\nb")),
        ("CR in a name", Event::new("a").event("a\rdata: b")),
        ("LF in an id", Event::new("a").id("a\n")),
        ("CR in an id", Event::new("a").id("\ra")),
        ("NUL in an id", Event::new("a").id("a\0")),
        ("a control character in an id", Event::new("a").id("a\u{1}")),
        ("DEL in an id", Event::new("a").id("\u{7f}")),
        ("a space in front of an id", Event::new("a").id(" a")),
        ("a tab after an id", Event::comment("a").id("a\t")),
    ];
    for (name, event) in table {
        let error = event.encode().expect_err(name);
        assert_eq!((error.status(), error.message()), (500, "Internal server error"), "{name}");
    }
}

#[cfg(feature = "json")]
#[test]
fn json_with_line_breaks_is_one_line() {
    assert_eq!(encoded(&Event::json("a\nb\r").unwrap()), "data: \"a\\nb\\r\"\n\n");
    let map: std::collections::HashMap<[u8; 2], u8> = [([1, 2], 3)].into();
    assert!(Event::json(&map).is_err(), "a key that is no string");
}

/// Runs `count` cases that are always the same. `PROPTEST_CASES=10000` runs that many random cases instead.
fn cases(count: u32) -> Cases {
    let config = Cases { failure_persistence: None, ..Cases::default() };
    match std::env::var_os("PROPTEST_CASES") {
        None => Cases { cases: count, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..config },
        Some(_) => config,
    }
}

/// Text that is made of all pieces with a meaning in a stream of events.
fn any_text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "\0",
        " ",
        "\t",
        ":",
        "data",
        "data: x",
        "id: 666",
        "event: evil",
        "retry: 1",
        "\u{feff}",
        "é",
        "\u{1}",
        "\u{85}",
        "\u{2028}",
        "a",
        "7",
    ];
    let piece = prop_oneof![9 => select(pieces).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// Mostly valid names and ids, so that valid events are tested as well.
fn any_label() -> impl Strategy<Value = String> {
    let harmless = any_text().prop_map(|text| text.replace(|c: char| c.is_control(), "").trim().to_owned());
    prop_oneof![3 => harmless, 1 => any_text()]
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn an_encoded_event_is_read_back_unchanged(
        text in any_text(),
        is_comment in prop::bool::weighted(0.2),
        name in option::of(any_label()),
        id in option::of(any_label()),
        retry in option::of(0..=u64::MAX),
    ) {
        let mut event = if is_comment { Event::comment(&text) } else { Event::new(&text) };
        if let Some(name) = &name {
            event = event.event(name);
        }
        if let Some(id) = &id {
            event = event.id(id);
        }
        if let Some(millis) = retry {
            event = event.retry(Duration::from_millis(millis));
        }
        let breaks = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(['\r', '\n']));
        let Ok(bytes) = event.encode() else {
            let strange = id.as_ref().is_some_and(|id| id.contains(|c: char| c.is_ascii_control()) || id.trim() != id);
            prop_assert!(breaks(&name) || strange, "the event had no mistake");
            return Ok(());
        };
        prop_assert!(!breaks(&name) && !breaks(&id) && !id.as_ref().is_some_and(|id| id.contains('\0')));
        prop_assert!(!bytes.contains(&b'\r'));
        prop_assert_eq!(memchr::memmem::find(&bytes, b"\n\n"), Some(bytes.len() - 2), "one empty line, at the end");

        let before = Event::new("before").event("other").id("1").encode().unwrap();
        let after = Event::new("after").encode().unwrap();
        let stream = [&before[..], &bytes, &after].concat();
        let reader = read(&stream);

        let seen = |kind: &str, data: &str, id: &str| Seen {
            kind: kind.to_owned(),
            data: data.to_owned(),
            last_event_id: id.to_owned(),
        };
        let last = id.as_deref().unwrap_or("1");
        let mut expected = vec![seen("other", "before", "1")];
        if !is_comment {
            let kind = name.as_deref().filter(|name| !name.is_empty()).unwrap_or("message");
            expected.push(seen(kind, &text.replace("\r\n", "\n").replace('\r', "\n"), last));
        }
        expected.push(seen("message", "after", last));
        prop_assert_eq!(reader.seen, expected);
        prop_assert_eq!(reader.retry, retry.map(|millis| millis.to_string()));
    }
}
