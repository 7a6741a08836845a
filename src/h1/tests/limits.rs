//! What a head may cost (RFC 9110 §15.5.15, RFC 6585 §5), and that a limit is decided before the line has ended.

use super::bench::{Bench, Fate, bench, small};
use super::table::After::{Errs, Open};
use super::table::{Row, run};
use crate::config::Config;
use crate::limits::{LINGER_BYTES, MAX_FIELDS, MAX_HEAD, MAX_TARGET};

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

#[test]
fn small_limits() {
    let table: &[Row<'_>] = &[
        ("the longest target", &with_target(100), &["200"], Open),
        ("a target that is too long", &with_target(101), &["414"], Errs),
        ("a target that is much too long", &with_target(399), &["414"], Errs),
        ("a target and a head that are too long", &with_target(800), &["414"], Errs),
        ("the longest head", &with_head(400), &["200"], Open),
        ("a head that is too long", &with_head(401), &["431"], Errs),
        ("a head that is much too long", &with_head(4000), &["431"], Errs),
    ];
    run(table);
}

#[test]
fn default_limits() {
    let table: &[Row<'_>] = &[
        ("the longest target", &with_target(MAX_TARGET), &["200"], Open),
        ("a target that is too long", &with_target(MAX_TARGET + 1), &["414"], Errs),
        ("the longest head", &with_head(MAX_HEAD), &["200"], Open),
        ("a head that is too long", &with_head(MAX_HEAD + 1), &["431"], Errs),
        ("as many fields as there may be", &with_fields(MAX_FIELDS), &["200"], Open),
        ("one field more", &with_fields(MAX_FIELDS + 1), &["431"], Errs),
        ("many fields more", &with_fields(10 * MAX_FIELDS), &["431"], Errs),
        ("more fields than a head can hold", &with_fields(MAX_HEAD / 3), &["431"], Errs),
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

/// A dripping client makes neither memory nor work grow: what it sends is bounded by the limit of the head.
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

#[test]
fn what_comes_after_an_error_is_read_within_bounds() {
    let mut bench = bench();
    bench.send("broken\r\n\r\n");
    assert_eq!(bench.fate(), Fate::Lingers);
    for _ in 0..100 {
        bench.send([b'x'; 4096]);
    }
    assert_eq!((bench.statuses(), bench.fate()), (vec![400], Fate::Closed));
    assert!(bench.taken() <= LINGER_BYTES as usize + 64 * 1024, "{} bytes were read", bench.taken());
    bench.restart();
}
