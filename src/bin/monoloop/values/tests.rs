//! The values of options, each as it is written and as it is read.

use std::fmt::Debug;

use super::*;

#[track_caller]
fn check<T: Debug + PartialEq>(parse: fn(&'static str) -> Result<T>, table: Vec<(&'static str, Result<T>)>) {
    for (text, expected) in table {
        assert_eq!(parse(text), expected, "of {text:?}");
    }
}

#[test]
fn durations() {
    check(
        duration,
        vec![
            ("30", Ok(Duration::from_secs(30))),
            ("30s", Ok(Duration::from_secs(30))),
            ("500ms", Ok(Duration::from_millis(500))),
            ("2m", Ok(Duration::from_secs(120))),
            ("1h", Ok(Duration::from_secs(3600))),
            ("0", Ok(Duration::ZERO)),
            ("007s", Ok(Duration::from_secs(7))),
            ("18446744073709551615", Ok(Duration::from_secs(u64::MAX))),
            ("18446744073709551615ms", Ok(Duration::from_millis(u64::MAX))),
            ("18446744073709551616", Err(TOO_LARGE)),
            ("18446744073709551615m", Err(TOO_LARGE)),
            ("99999999999999999999999h", Err(TOO_LARGE)),
            ("", Err(DURATION)),
            ("s", Err(DURATION)),
            ("-1", Err(DURATION)),
            ("+1", Err(DURATION)),
            ("1.5s", Err(DURATION)),
            ("1e3", Err(DURATION)),
            (" 1s", Err(DURATION)),
            ("1 s", Err(DURATION)),
            ("1s ", Err(DURATION)),
            ("1S", Err(DURATION)),
            ("1d", Err(DURATION)),
            ("1m30s", Err(DURATION)),
            ("١s", Err(DURATION)),
        ],
    );
}

#[test]
fn timeouts_are_not_zero() {
    let zero = "it must be longer than zero";
    check(
        timeout,
        vec![
            ("1ms", Ok(Duration::from_millis(1))),
            ("0", Err(zero)),
            ("0ms", Err(zero)),
            ("000h", Err(zero)),
            ("", Err(DURATION)),
        ],
    );
}

#[test]
fn sizes() {
    check(
        bytes,
        vec![
            ("16384", Ok(16384)),
            ("16k", Ok(16384)),
            ("16K", Ok(16384)),
            ("1m", Ok(1 << 20)),
            ("2G", Ok(2 << 30)),
            ("4g", Ok(1 << 32)),
            ("6g", Ok(6 << 30)),
            ("18446744073709551615", Ok(u64::MAX)),
            ("17179869183g", Ok(17_179_869_183 << 30)),
            ("17179869184g", Err(TOO_LARGE)),
            ("0", Ok(0)),
            ("18446744073709551616", Err(TOO_LARGE)),
            ("18446744073709551615k", Err(TOO_LARGE)),
            ("", Err(SIZE)),
            ("k", Err(SIZE)),
            ("-1", Err(SIZE)),
            ("+1", Err(SIZE)),
            ("1.5m", Err(SIZE)),
            ("16kb", Err(SIZE)),
            ("16 k", Err(SIZE)),
            ("0x10", Err(SIZE)),
        ],
    );
    let addressed = usize::try_from(6_u64 << 30).map_err(|_| TOO_LARGE);
    check(size, vec![("16k", Ok(16384)), ("6g", addressed), ("", Err(SIZE)), ("18446744073709551616", Err(TOO_LARGE))]);
    check(rate, vec![("4194303k", Ok(4_194_303 << 10)), ("4g", Err(TOO_LARGE)), ("x", Err(SIZE))]);
    check(capacity, vec![("1", Ok(1)), ("0k", Err("it must be more than zero")), ("x", Err(SIZE))]);
}

#[test]
fn numbers() {
    let zero = "it must be more than zero";
    check(
        count,
        vec![
            ("1", Ok(1)),
            ("10000", Ok(10_000)),
            ("0", Err(zero)),
            ("", Err(COUNT)),
            ("-5", Err(COUNT)),
            ("1k", Err(COUNT)),
            ("99999999999999999999", Err(TOO_LARGE)),
        ],
    );
    check(
        backlog,
        vec![("2147483647", Ok(i32::MAX)), ("2147483648", Err(TOO_LARGE)), ("0", Err(zero)), ("-1", Err(COUNT))],
    );
    let bad = "expected a port number from 0 to 65535";
    check(
        port,
        vec![
            ("0", Ok(0)),
            ("3000", Ok(3000)),
            ("65535", Ok(65535)),
            ("65536", Err(bad)),
            ("99999999999999999999", Err(TOO_LARGE)),
            ("", Err(bad)),
            ("-1", Err(bad)),
            ("+80", Err(bad)),
            ("http", Err(bad)),
            ("80 ", Err(bad)),
        ],
    );
}

#[test]
fn numbers_of_workers() {
    let bad = "expected auto or a whole number from 1 to 1024";
    check(
        workers,
        vec![
            ("1", Ok(Some(1))),
            ("1024", Ok(Some(1024))),
            ("auto", Ok(None)),
            ("0", Err(bad)),
            ("1025", Err(bad)),
            ("99999999999999999999", Err(bad)),
            ("", Err(bad)),
            ("-1", Err(bad)),
            ("+2", Err(bad)),
            ("2.5", Err(bad)),
            ("Auto", Err(bad)),
            ("all", Err(bad)),
        ],
    );
}

#[test]
fn hosts_and_paths() {
    let bad = "expected a host name or an IP address";
    check(
        host,
        vec![
            ("127.0.0.1", Ok("127.0.0.1")),
            ("localhost", Ok("localhost")),
            ("::1", Ok("::1")),
            ("[::1]", Ok("::1")),
            ("", Err(bad)),
            ("[]", Err(bad)),
            ("[::1", Err(bad)),
            ("a b", Err(bad)),
            ("http://localhost", Err(bad)),
            ("a\0", Err(bad)),
        ],
    );
    let bad = "expected a path";
    check(path, vec![("/run/a.sock", Ok("/run/a.sock")), ("", Err(bad)), ("a\0b", Err(bad))]);
}

#[test]
fn server_names() {
    let bad = "expected text without control characters";
    check(
        server_name,
        vec![
            ("monoloop", Ok(Some("monoloop"))),
            ("", Ok(None)),
            ("a\r\nX-Evil: 1", Err(bad)),
            ("a\0", Err(bad)),
            ("a\u{7f}", Err(bad)),
        ],
    );
}

#[test]
fn log_filters() {
    check(
        log_filter,
        vec![
            ("warn", Ok("warn")),
            ("TRACE", Ok("TRACE")),
            ("monoloop", Ok("monoloop")),
            ("warn,monoloop=trace", Ok("warn,monoloop=trace")),
            ("warn, monoloop::h1=debug", Ok("warn, monoloop::h1=debug")),
            ("info/conn 1=", Ok("info/conn 1=")),
            ("", Err(FILTER)),
            ("  ", Err(FILTER)),
            ("monoloop=loud", Err(FILTER)),
            ("=debug", Err(FILTER)),
            ("a=b=debug", Err(FILTER)),
            ("very loud", Err(FILTER)),
        ],
    );
}
