//! What a head may cost (RFC 9110 §15.5.15, RFC 6585 §5). A limit applies before the line has ended.

use super::bench::{Bench, Fate, bench, small};
use super::table::After::{Errs, Open};
use super::table::{Row, run};
use crate::config::Config;
use crate::limits::{LINGER_BYTES, MAX_FIELDS, MAX_HEAD, MAX_TARGET};
use crate::wire::head::PARSES;

fn with_target(len: usize) -> Vec<u8> {
    format!("GET /query?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len - 7)).into_bytes()
}

fn with_head(len: usize) -> Vec<u8> {
    let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "y".repeat(len - rest)).into_bytes()
}

fn with_fields(count: usize) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X:\r\n".repeat(count - 1)).into_bytes()
}

fn with_absolute_target(len: usize) -> Vec<u8> {
    format!("GET http://b/query?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len - 15)).into_bytes()
}

fn with_name(len: usize) -> Vec<u8> {
    let rest = "GET / HTTP/1.1\r\nHost: a\r\n:\r\n\r\n".len();
    format!("GET / HTTP/1.1\r\nHost: a\r\n{}:\r\n\r\n", "x".repeat(len - rest)).into_bytes()
}

fn with_content(len: usize) -> Vec<u8> {
    let rest = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX: \r\n\r\n".len();
    let value = "y".repeat(len - rest);
    format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nX: {value}\r\n\r\nhi").into_bytes()
}

#[test]
fn limits_that_are_set_apply_to_the_byte() {
    let table: &[Row<'_>] = &[
        ("the longest target", &with_target(100), &["200"], Open),
        ("a target that is too long", &with_target(101), &["414"], Errs),
        ("a target that is much too long", &with_target(399), &["414"], Errs),
        ("a target and a head that are too long", &with_target(800), &["414"], Errs),
        ("the longest head", &with_head(400), &["200"], Open),
        ("a head that is too long", &with_head(401), &["431"], Errs),
        ("a head that is much too long", &with_head(4000), &["431"], Errs),
        ("the longest target in absolute form", &with_absolute_target(100), &["200"], Open),
        ("one that is too long", &with_absolute_target(101), &["414"], Errs),
        ("the longest head of one long name", &with_name(400), &["200"], Open),
        ("a name that is too long", &with_name(401), &["431"], Errs),
        ("the longest head with content", &with_content(400), &["200 hi"], Open),
        ("a head with content that is too long", &with_content(401), &["431"], Errs),
        ("HEAD of a target that is too long", &[b"HEAD".as_slice(), &with_target(101)[3..]].concat(), &["414"], Errs),
    ];
    run(table);
}

#[test]
fn the_default_limits_apply_to_the_byte() {
    let table: &[Row<'_>] = &[
        ("the longest target", &with_target(MAX_TARGET), &["200"], Open),
        ("a target that is too long", &with_target(MAX_TARGET + 1), &["414"], Errs),
        ("the longest head", &with_head(MAX_HEAD), &["200"], Open),
        ("a head that is too long", &with_head(MAX_HEAD + 1), &["431"], Errs),
        ("as many fields as there may be", &with_fields(MAX_FIELDS), &["200"], Open),
        ("one field more", &with_fields(MAX_FIELDS + 1), &["431"], Errs),
        ("many fields more", &with_fields(10 * MAX_FIELDS), &["431"], Errs),
        ("more fields than a head can hold", &with_fields(MAX_HEAD / 3), &["431"], Errs),
        // RFC 9112 §3 recommends "at a minimum, request-line lengths of 8000 octets".
        ("a request line of 8000 bytes", &with_target(8000 - "GET  HTTP/1.1".len()), &["200"], Open),
        ("a target of 8000 bytes", &with_target(8000), &["200"], Open),
        (
            "as many fields of one name",
            &format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "Cookie: a=b\r\n".repeat(MAX_FIELDS - 1)).into_bytes(),
            &["200"],
            Open,
        ),
        ("a head of twice the length", &with_head(2 * MAX_HEAD), &["431"], Errs),
        ("a name of the length of a head", &with_name(MAX_HEAD), &["200"], Open),
        ("a name that is longer", &with_name(MAX_HEAD + 1), &["431"], Errs),
    ];
    super::table::run_with(Config::default(), table);
}

#[test]
fn a_limit_is_decided_before_the_line_has_ended() {
    let cases: [(&str, Vec<u8>, u16); 6] = [
        ("a method", vec![b'A'; 33], 501),
        ("a target", [b"GET /".as_slice(), &[b'x'; 100]].concat(), 414),
        ("an absolute target", [b"GET http://".as_slice(), &[b'x'; 94]].concat(), 414),
        ("a name", [b"GET / HTTP/1.1\r\n".as_slice(), &[b'x'; 385]].concat(), 431),
        ("a value", [b"GET / HTTP/1.1\r\nHost: a\r\nX: ".as_slice(), &[b'x'; 400]].concat(), 431),
        ("many lines", [b"GET / HTTP/1.1\r\n".as_slice(), &b"X:\r\n".repeat(97)].concat(), 431),
    ];
    for (name, input, status) in cases {
        for step in [1, 7, input.len()] {
            let mut bench = Bench::new(small());
            input.chunks(step).for_each(|piece| {
                bench.send(piece);
            });
            assert_eq!((bench.statuses(), bench.fate()), (vec![status], Fate::Lingers), "{name} in steps of {step}");
            bench.restart();
        }
    }
}

/// A client that drips makes neither memory nor work grow: the limit of the head bounds what it sends.
#[test]
fn a_head_that_never_ends_is_cut_at_its_limit() {
    let mut bench = bench();
    bench.send("GET / HTTP/1.1\r\nHost: a\r\n");
    let mut sent = 0;
    while bench.fate() == Fate::Open {
        bench.send("X: y\r\n");
        sent += 6;
        assert!(sent <= MAX_HEAD);
    }
    assert_eq!(bench.statuses(), [431]);
}

/// If a client drips a head, each byte costs one look, not a parse of all that has come.
#[test]
fn a_head_is_parsed_at_most_twice_however_it_drips() {
    let mut bench = bench();
    for step in [1, 2, 100, 10_000] {
        let before = PARSES.get();
        for piece in with_head(10_000).chunks(step) {
            bench.send(piece);
        }
        assert_eq!(bench.statuses().len(), 1);
        assert!(PARSES.get() - before <= 2, "{} parses in steps of {step}", PARSES.get() - before);
        bench.restart();
    }
}

#[test]
fn what_comes_after_an_error_is_read_within_bounds() {
    let mut bench = bench();
    bench.send("broken\r\n\r\n");
    assert_eq!(bench.fate(), Fate::Lingers);
    for _ in 0..100 {
        bench.send([b'x'; 4096]);
    }
    assert_eq!(
        (bench.statuses(), bench.fate()),
        (vec![400], Fate::Lingers),
        "a close over unread bytes would be a reset"
    );
    assert!(bench.taken() <= LINGER_BYTES as usize + 64 * 1024, "{} bytes were read", bench.taken());
    bench.expire();
    assert_eq!(bench.fate(), Fate::Closed);
    bench.restart();
}

#[test]
fn when_all_that_may_be_discarded_has_come_at_once_the_client_still_has_time_to_read_its_reply() {
    let mut bench = bench();
    let length = 2 * LINGER_BYTES as usize;
    let head = format!("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    bench.send([head.as_bytes(), &vec![b'x'; length]].concat());
    assert_eq!((bench.statuses(), bench.fate()), (vec![404], Fate::Lingers));
    assert!(bench.taken() < length, "{} bytes were read", bench.taken());
    bench.expire();
    assert_eq!(bench.fate(), Fate::Closed);
    bench.restart();
}

/// Such requests are longer than what is read after an error: they are refused as soon as their beginning has come.
#[test]
fn a_head_of_a_hundred_kilobytes_is_refused_and_read_within_bounds() {
    let much = "x".repeat(100_000);
    let cases = [
        ("a method", format!("{much} / HTTP/1.1\r\nHost: a\r\n\r\n"), 501),
        ("a target", format!("GET /{much} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("a query", format!("GET /?{much} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("a host", format!("GET http://{much}/ HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        ("a name", format!("GET / HTTP/1.1\r\nHost: a\r\n{much}: y\r\n\r\n"), 431),
        ("a value", format!("GET / HTTP/1.1\r\nHost: a\r\nX: {much}\r\n\r\n"), 431),
        ("a Host", format!("GET / HTTP/1.1\r\nHost: {much}\r\n\r\n"), 431),
        ("a length", format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", "0".repeat(100_000)), 431),
        ("ten thousand lines", format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10_000)), 431),
        ("a cookie", format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: {}\r\n\r\n", "a=b; ".repeat(20_000)), 431),
        ("spaces", format!("GET / HTTP/1.1\r\nHost:{}a\r\n\r\n", " ".repeat(100_000)), 431),
    ];
    for (name, input, status) in cases {
        for step in [1000, input.len()] {
            let mut bench = bench();
            input.as_bytes().chunks(step).for_each(|piece| {
                bench.send(piece);
            });
            assert_eq!((bench.statuses(), bench.seen().len()), (vec![status], 0), "{name} in steps of {step}");
            assert_ne!(bench.fate(), Fate::Open, "{name} in steps of {step}");
            assert!(bench.taken() <= MAX_HEAD + LINGER_BYTES as usize + 64 * 1024, "{name}: {} bytes", bench.taken());
            bench.restart();
        }
    }
}
