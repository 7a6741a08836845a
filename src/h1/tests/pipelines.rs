//! Several requests on one connection: their order, what a broken one does to the others, and clients that do not read.

use std::time::Duration;

use super::bench::{Fate, bench};
use super::table::After::Errs;
use super::table::{Row, run};
use crate::exchange::CloseReason;
use crate::limits::{HIGH_WATER, RECEIVE_BUFFER, TURN_REQUESTS};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn users(range: std::ops::Range<usize>) -> String {
    range.map(|i| get(&format!("/users/{i}"))).collect()
}

fn expected(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("user {i}")).collect()
}

#[track_caller]
fn contents(bench: &super::bench::Bench) -> Vec<String> {
    bench.replies().iter().map(|reply| reply.text()).collect()
}

#[test]
fn replies_leave_in_the_order_of_the_requests() {
    for count in [1, TURN_REQUESTS - 1, TURN_REQUESTS, TURN_REQUESTS + 1, 5 * TURN_REQUESTS] {
        let mut bench = bench();
        bench.send(users(0..count));
        assert_eq!(contents(&bench), expected(0..count));
        assert_eq!(bench.fate(), Fate::Open);
        bench.restart();
    }
}

#[test]
fn requests_of_all_kinds_are_answered_in_one_pipeline() {
    let input = [
        &get("/large"),
        "HEAD /large HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\nX: y\r\n\r\n",
        "\r\n",
        &get("/204"),
        "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nbad",
        &get("/304"),
        &get("/panic"),
        &get("/"),
    ]
    .concat();
    for step in [1, 10, 100, input.len()] {
        let mut bench = bench();
        input.as_bytes().chunks(step).for_each(|piece| {
            bench.send(piece);
        });
        assert_eq!(bench.statuses(), [200, 200, 200, 200, 204, 404, 304, 500], "in steps of {step}");
        assert_eq!((&*contents(&bench)[2], &*contents(&bench)[3]), ("one", "two"));
        assert_eq!((bench.fate(), bench.reason()), (Fate::Lingers, Some(CloseReason::Panicked)));
        bench.restart();
    }
}

#[test]
fn nothing_after_a_broken_request_is_parsed() {
    for bad in
        ["x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx"]
    {
        let mut bench = bench();
        bench.send(format!("{}{bad}{}", users(0..3), users(3..6)));
        assert_eq!(bench.statuses(), [200, 200, 200, 400], "{bad}");
        bench.send(users(6..9));
        assert_eq!((bench.seen().len(), bench.fate()), (3, Fate::Lingers), "{bad}");
        bench.restart();
    }
}

#[test]
fn nothing_after_the_last_request_is_answered() {
    let mut bench = bench();
    bench.send(format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{}", get("/any")));
    assert_eq!((bench.statuses(), bench.seen().len()), (vec![200], 1));
    assert_eq!(bench.fate(), Fate::Lingers, "a close over unread bytes would be a reset");
    bench.fin();
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::NotPersistent)));
    bench.restart();
}

#[test]
fn whole_requests_before_a_fin_are_all_answered() {
    for count in [0, 1, 2, TURN_REQUESTS - 1, TURN_REQUESTS, TURN_REQUESTS + 1, 3 * TURN_REQUESTS] {
        let mut bench = bench();
        // Both have come before the loop looks.
        bench.set_window(0);
        bench.send(users(0..count)).fin();
        bench.read(usize::MAX);
        assert_eq!(contents(&bench), expected(0..count));
        assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::ClientClosed)), "{count}");
        bench.restart();
    }
}

#[test]
fn a_fin_while_a_reply_is_unread_loses_no_reply() {
    let mut bench = bench();
    bench.set_window(1000);
    bench.send(format!("{}{}", get("/large"), get("/"))).fin();
    assert_eq!(bench.fate(), Fate::Open, "most of the reply is still owed");
    bench.read(usize::MAX);
    assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200], Fate::Closed));
    bench.restart();
}

#[test]
fn a_fin_between_requests_gets_no_reply() {
    let mut bench = bench();
    bench.fin();
    assert_eq!((bench.sent.len(), bench.fate(), bench.reason()), (0, Fate::Closed, Some(CloseReason::ClientClosed)));
    bench.restart();
    bench.send("\r\n\r\n").fin();
    assert_eq!((bench.sent.len(), bench.fate(), bench.reason()), (0, Fate::Closed, Some(CloseReason::ClientClosed)));
    bench.restart();
}

#[test]
fn a_fin_within_content_never_gets_a_success() {
    for content in
        ["Content-Length: 5\r\n\r\nhell", "Content-Length: 5\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n"]
    {
        for path in ["/echo", "/any"] {
            let mut bench = bench();
            bench.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\n{content}")).fin();
            assert_eq!((bench.statuses(), bench.fate()), (vec![400], Fate::Closed));
            assert_eq!((bench.reason(), bench.seen().len()), (Some(CloseReason::ClientClosedEarly), 0));
            bench.restart();
        }
    }
}

#[test]
fn a_fin_within_discarded_content_closes_the_connection() {
    let mut bench = bench();
    bench.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").fin();
    assert_eq!((bench.statuses(), bench.fate()), (vec![404], Fate::Closed));
    bench.restart();
}

#[test]
fn a_client_that_does_not_read_its_replies_is_held() {
    const COUNT: usize = 10_000;
    let mut bench = bench();
    bench.set_window(0);
    bench.send(users(0..COUNT));
    assert!(bench.is_held(), "it is held");
    assert!(bench.most_owed < HIGH_WATER + 1024, "{} bytes are owed", bench.most_owed);
    assert!(bench.taken() < HIGH_WATER + 4 * RECEIVE_BUFFER, "{} bytes were read", bench.taken());
    assert!(bench.seen().len() < 1000);
    // It reads in portions of every size, and gets everything in order.
    for portion in [1, 7, 1000, 50_000, 100_000] {
        bench.read(portion);
    }
    bench.read(usize::MAX);
    assert_eq!(contents(&bench), expected(0..COUNT));
    assert!(bench.most_owed < HIGH_WATER + 1024, "{} bytes were owed", bench.most_owed);
    assert_eq!(bench.fate(), Fate::Open);
    bench.restart();
}

#[test]
fn a_client_that_closes_its_side_before_it_reads_gets_everything() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send(users(0..3000)).fin();
    assert_eq!(bench.fate(), Fate::Open);
    for _ in 0..100 {
        bench.read(3000);
    }
    bench.read(usize::MAX);
    assert_eq!(contents(&bench), expected(0..3000));
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::ClientClosed)));
    bench.restart();
}

#[test]
fn large_replies_are_held_one_by_one() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send(get("/large").repeat(50));
    assert_eq!(bench.seen().len(), 1);
    assert!(bench.most_owed < super::app::LARGE + 1024, "{} bytes are owed", bench.most_owed);
    for _ in 0..1000 {
        bench.read(super::app::LARGE / 19);
    }
    assert_eq!(bench.statuses(), [200; 50]);
    assert!(bench.most_owed < 2 * super::app::LARGE, "{} bytes were owed", bench.most_owed);
    bench.restart();
}

#[test]
fn a_client_that_never_reads_is_cut() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send(get("/large").repeat(3)).expire();
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::SendTimeout)));
    assert_eq!(bench.sent.len(), 0);
    bench.restart();
}

#[test]
fn a_client_that_never_reads_its_error_is_cut() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send("broken\r\n\r\n").expire();
    assert_eq!(bench.fate(), Fate::Closed);
    bench.restart();
}

/// The head timeout runs while the server waits for the client. It does not run while the server leaves the client
/// unread.
#[test]
fn a_head_that_was_held_back_has_its_time_when_it_is_read() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send(format!("{}GET /users/1 HT", get("/large")));
    assert!(bench.is_held());
    for _ in 0..4 {
        bench.wait(Duration::from_secs(8)).read(20_000);
    }
    bench.wait(Duration::from_secs(8)).read(usize::MAX);
    assert!(!bench.is_held());
    bench.wait(Duration::from_secs(2));
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200], Fate::Open));
    bench.restart();
}

/// The first request is answered. The second one is refused with its own status code, and nothing after it is parsed.
#[test]
fn a_refused_request_does_not_affect_the_one_before_it() {
    let long = "x".repeat(400);
    let refused: &[(&str, &str, &str)] = &[
        ("a bare LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", "400"),
        ("no Host", "GET / HTTP/1.1\r\n\r\n", "400"),
        ("two lengths", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "400"),
        ("a broken chunk", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhiX", "400"),
        ("an unknown method", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "501"),
        ("an unknown coding", "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"),
        ("another version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"),
        ("a long target", &format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "414"),
        ("a long head", &format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431"),
        ("too much content", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n", "413"),
        (
            "an expectation and content",
            "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 2\r\n\r\nhi",
            "417",
        ),
    ];
    let good = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let rows: Vec<_> = refused
        .iter()
        .map(|&(name, bad, status)| (name, format!("{}{good}{bad}", get("/")), ["200 hello", "200 hi", status]))
        .collect();
    let table: Vec<Row<'_>> =
        rows.iter().map(|(name, input, replies)| (*name, input.as_bytes(), &replies[..], Errs)).collect();
    run(&table);
}
