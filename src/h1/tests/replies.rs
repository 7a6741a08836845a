//! What the server sends: framing by status and method, the common fields, and replies of handlers with faults.

use std::time::Duration;

use super::app::{INJECTED, LARGE};
use super::bench::{Bench, Fate, bench, small};
use super::reader::Reply;
use super::table::After::{Closes, Errs, FinErrs, Open};
use super::table::{Row, run};
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::{Router, TestClient};

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

#[track_caller]
fn reply_to(request: impl AsRef<[u8]>) -> Reply {
    let mut bench = bench();
    let reply = bench.send(request).only_reply();
    bench.restart();
    reply
}

#[test]
fn status_and_method_decide_the_framing() {
    let table: &[Row<'_>] = &[
        ("204", &get("/204"), &["204 "], Open),
        ("204 with content", &get("/204/content"), &["204 "], Open),
        ("204 with written content", &get("/204/written"), &["204 "], Open),
        ("304", &get("/304"), &["304 "], Open),
        ("304 with a length", &get("/304/length"), &["304 "], Open),
        ("304 with content", &get("/304/content"), &["304 "], Open),
        ("205 with content", &get("/205"), &["205 "], Open),
        ("an unregistered code", &get("/299"), &["299 odd"], Open),
        ("no content", &get("/empty"), &["200 "], Open),
        ("written piece by piece", &get("/written"), &["201 1 2 3"], Open),
        ("started and never written", &get("/written/nothing"), &["200 "], Open),
        ("json", &get("/json"), &["200 [\"a\",\"b\"]"], Open),
        ("json to HEAD", b"HEAD /json HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("written to HEAD", b"HEAD /written HTTP/1.1\r\nHost: a\r\n\r\n", &["201 "], Open),
        ("204 to HEAD", b"HEAD /204 HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("an error to HEAD", b"HEAD /fail HTTP/1.1\r\nHost: a\r\n\r\n", &["409 "], Open),
        ("a 404 to HEAD", b"HEAD /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404 "], Open),
        ("a panic to HEAD", b"HEAD /panic HTTP/1.1\r\nHost: a\r\n\r\n", &["500 "], Errs),
        ("a route for HEAD", b"HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("HEAD on 1.0", b"HEAD / HTTP/1.0\r\n\r\n", &["200 "], Closes),
        ("a redirect", &get("/move"), &["302 "], Open),
        ("a handler that closes", &get("/close"), &["200 bye"], Closes),
        ("a true length", &get("/length/true"), &["200 12345"], Open),
    ];
    run(table);
}

#[test]
fn a_handler_that_fails_gives_one_whole_error_reply() {
    let table: &[Row<'_>] = &[
        ("an error", &get("/fail"), &["409 {\"error\":\"Taken\"}"], Open),
        ("another error type", &get("/parse"), &["500 {\"error\":\"Internal server error\"}"], Open),
        ("an error within content", &get("/half"), &["503 {\"error\":\"Not now\"}"], Open),
        ("content that is never ended", &get("/forgets"), &["500 {\"error\":\"Internal server error\"}"], Open),
        ("a parameter that does not parse", &get("/users/x"), &["400 {\"error\":\"Invalid parameter: id\"}"], Open),
        ("a panic", &get("/panic"), &["500 {\"error\":\"Internal server error\"}"], Errs),
        ("a panic with content", b"POST /panic HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["500"], Errs),
        ("a panic of the last request", b"GET /panic HTTP/1.0\r\n\r\n", &["500"], Errs),
        ("too much content", &get("/written/much"), &["500"], Open),
        ("too much json", &get("/json/much"), &["500"], Open),
        ("too much json to HEAD", b"HEAD /json/much HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open),
        ("Transfer-Encoding", &get("/coding"), &["500"], Open),
        ("an interim status", &get("/status/100"), &["500"], Open),
        ("an invalid status", &get("/status/999"), &["500"], Open),
    ];
    run(table);
}

#[test]
fn a_wrong_content_length_is_a_500() {
    for path in ["short", "long", "sign", "word", "list", "empty", "huge", "start"] {
        let reply = reply_to(get(&format!("/length/{path}")));
        assert_eq!((reply.status, &*reply.text()), (500, "{\"error\":\"Internal server error\"}"), "{path}");
    }
}

#[test]
fn nothing_of_an_injected_line_reaches_the_wire() {
    for path in ["value", "lf", "cr", "nul", "name", "empty", "space", "reason", "type", "redirect", "error", "late"] {
        let mut bench = bench();
        bench.send([get(&format!("/inject/{path}")), get("/")].concat());
        assert_eq!(bench.statuses(), [500, 200], "{path}");
        let sent = String::from_utf8_lossy(&bench.sent);
        assert!(!sent.contains(INJECTED) && !sent.contains("X-Value"), "{path}: {sent}");
        bench.restart();
    }
}

#[test]
fn a_reply_that_was_stashed_is_a_500() {
    let mut bench = bench();
    bench.send([get("/stash"), get("/unstash"), get("/unstash"), get("/")].concat());
    assert_eq!(bench.statuses(), [503, 500, 418, 200]);
    assert!(!String::from_utf8_lossy(&bench.sent).contains("stashed\r\n"));
    assert!(bench.replies().iter().all(|reply| reply.text() != "stashed"));
    bench.restart();
}

#[test]
fn an_error_reply_keeps_the_fields_of_middleware() {
    let reply = reply_to(get("/fail"));
    assert_eq!(reply.field("X-Kept"), Some("by middleware"));
    assert_eq!(reply.field("X-Told"), Some("by the error"));
    assert_eq!(reply.field("X-Lost"), None);
    let reply = reply_to(get("/half"));
    assert_eq!((reply.field("X-Kept"), reply.field("X-Lost")), (Some("by middleware"), None));
    let reply = reply_to("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n");
    assert_eq!((reply.status, reply.field("X-Kept")), (413, Some("by middleware")));
    let reply = reply_to("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 9\r\n\r\n");
    assert_eq!((reply.status, reply.field("X-Kept")), (417, Some("by middleware")));
}

#[test]
fn every_reply_has_the_common_fields() {
    let reply = reply_to(get("/"));
    assert_eq!(reply.field("Date"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(reply.field("Server"), Some("monoloop"));
    assert_eq!(reply.field("Content-Type"), Some("text/plain; charset=utf-8"));
    assert_eq!(reply.field("Content-Length"), Some("5"));
    assert_eq!((reply.field("Connection"), reply.field("Keep-Alive")), (None, None));
    assert_eq!(reply_to(get("/date")).field("Date"), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(reply_to(get("/move")).field("Location"), Some("/a%20b%C3%A9"));
    assert_eq!(reply_to(get("/json")).field("Content-Type"), Some("application/json"));
    assert_eq!(reply_to(get("/204")).field("Content-Type"), None);
    assert_eq!(reply_to(get("/304/length")).field("Content-Length"), Some("77"));
    assert_eq!(reply_to(get("/304")).field("ETag"), Some("\"a\""));
}

#[test]
fn append_header_doubled_a_field_that_may_be_there_once() {
    assert_eq!(reply_to(get("/date/twice")).field("Date"), Some("Fri, 02 Jan 1970 00:00:00 GMT"));
    assert_eq!(reply_to(get("/server/twice")).field("Server"), Some("two"));
    assert_eq!(reply_to(get("/type/twice")).field("Content-Type"), Some("text/two"));
}

#[test]
fn head_has_the_fields_of_get() {
    for path in [
        "/",
        "/users/7",
        "/json",
        "/large",
        "/written",
        "/written/nothing",
        "/empty",
        "/fail",
        "/nowhere",
        "/304",
        "/204",
    ] {
        let mut wanted = reply_to(get(path));
        wanted.content.clear();
        let got = reply_to(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(got, wanted, "{path}");
    }
    let own = reply_to("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(own.field("Content-Length"), Some("4711"));
}

#[test]
fn a_reply_announces_the_persistence() {
    let cases = [
        ("HTTP/1.1\r\nHost: a", None, None),
        ("HTTP/1.1\r\nHost: a\r\nConnection: keep-alive", Some("keep-alive"), Some("timeout=30")),
        ("HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, Keep-Alive", Some("keep-alive"), Some("timeout=30")),
        ("HTTP/1.0\r\nConnection: keep-alive", Some("keep-alive"), Some("timeout=30")),
        ("HTTP/1.0", Some("close"), None),
        ("HTTP/1.1\r\nHost: a\r\nConnection: close", Some("close"), None),
        ("HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close", Some("close"), None),
    ];
    for (rest, connection, keep_alive) in cases {
        for path in ["/", "/nowhere", "/204", "/large", "/fail"] {
            let reply = reply_to(format!("GET {path} {rest}\r\n\r\n"));
            assert_eq!(
                (reply.field("Connection"), reply.field("Keep-Alive")),
                (connection, keep_alive),
                "{path} {rest}"
            );
        }
        let reply = reply_to(format!("GET /close {rest}\r\n\r\n"));
        assert_eq!((reply.field("Connection"), reply.field("Keep-Alive")), (Some("close"), None), "/close {rest}");
    }
}

#[test]
fn each_connection_announces_its_own_time() {
    let mut app = Router::new(());
    app.get("/idle/:seconds", |_, req, res| res.idle_timeout(Duration::from_secs(req.param("seconds")?)).empty());
    let mut client = TestClient::new(app);
    let mut announced = Vec::new();
    for seconds in [5, 5, 60, 86_400, 7] {
        let reply = client.get(&format!("/idle/{seconds}")).header("Connection", "keep-alive").send();
        announced.push(reply.header("Keep-Alive").map(str::to_owned));
    }
    // A timeout that a handler sets applies from the next reply on.
    let expected = ["timeout=30", "timeout=5", "timeout=5", "timeout=60", "timeout=86400"];
    assert_eq!(announced, expected.map(|text| Some(text.to_owned())));
}

#[test]
fn a_handler_that_closes_says_so_and_does() {
    let mut bench = bench();
    bench.send(get("/close"));
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::HandlerClosed)));
    assert!(bench.only_reply().closes());
    bench.restart();
}

/// Only space and tab are white space in HTTP (RFC 9110 §5.6.3).
#[test]
fn a_close_after_a_no_break_space_closed_the_connection() {
    let mut bench = bench();
    bench.send(get("/close/almost")).send(get("/"));
    assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200], Fate::Open));
    assert_eq!(bench.replies()[0].field("Connection"), Some("\u{a0}close"));
    bench.restart();
}

#[test]
fn a_close_that_the_handler_removed_closed_the_connection() {
    for path in ["/close/removed", "/close/replaced"] {
        let mut bench = bench();
        bench.send(get(path)).send(get("/"));
        assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200], Fate::Open), "{path}");
        assert_eq!(bench.replies()[0].field("Connection"), None, "{path}");
        bench.restart();
    }
}

#[test]
fn a_panic_closes_and_the_next_connection_is_served() {
    let mut bench = bench();
    bench.send(get("/panic"));
    assert_eq!((bench.fate(), bench.reason()), (Fate::Lingers, Some(CloseReason::Panicked)));
    let reply = bench.only_reply();
    assert_eq!((reply.closes(), reply.field("X-Kept")), (true, Some("by middleware")));
    bench.restart();
    assert_eq!(bench.send(get("/")).statuses(), [200]);
}

#[test]
fn large_content_leaves_whole_however_the_client_reads() {
    for (path, byte) in [("/large", b'x'), ("/large/borrowed", b'y')] {
        for window in [1, 100, 777, 16_384, LARGE, usize::MAX] {
            let mut bench = bench();
            bench.set_window(0);
            bench.send([get("/"), get(path), get(path), get("/")].concat());
            for _ in 0..(3 * LARGE / window).min(5000) {
                bench.read(window);
            }
            bench.read(usize::MAX);
            assert_eq!(bench.statuses(), [200; 4], "{path} in windows of {window}");
            assert!(bench.replies()[1].content == vec![byte; LARGE]);
            assert_eq!(bench.replies()[3].text(), "hello");
            bench.restart();
        }
    }
}

#[test]
fn no_error_of_the_parser_lacks_its_fields() {
    for input in ["x\r\n\r\n", "BREW / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"]
    {
        let reply = reply_to(input);
        assert!(reply.closes() && reply.status >= 400);
        assert_eq!(reply.field("Content-Type"), Some("application/json"));
        assert_eq!(reply.field("Content-Length"), Some(&*reply.content.len().to_string()));
        assert!(reply.field("Date").is_some() && reply.text().starts_with("{\"error\":\""));
    }
}

#[test]
fn without_a_server_name_there_is_no_server_field() {
    let mut bench = Bench::new(Config { server_name: None, ..small() });
    assert_eq!(bench.send(get("/")).only_reply().field("Server"), None);
}

/// The reader of these tests rejects Transfer-Encoding in any reply to 1.0 (RFC 9112 §6.1), and an interim reply that
/// it does not expect (RFC 9110 §15.2).
#[test]
fn a_client_of_1_0_gets_replies_without_transfer_encoding() {
    let table: &[Row<'_>] = &[
        ("200", b"GET / HTTP/1.0\r\n\r\n", &["200 hello"], Closes),
        ("204", b"GET /204 HTTP/1.0\r\n\r\n", &["204 "], Closes),
        ("204 with keep-alive", b"GET /204 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["204 "], Open),
        ("304", b"GET /304 HTTP/1.0\r\n\r\n", &["304 "], Closes),
        ("304 with keep-alive", b"GET /304 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["304 "], Open),
        ("written piece by piece", b"GET /written HTTP/1.0\r\n\r\n", &["201 1 2 3"], Closes),
        (
            "written piece by piece, with keep-alive",
            b"GET /written HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            &["201 1 2 3"],
            Open,
        ),
        ("a redirect", b"GET /move HTTP/1.0\r\n\r\n", &["302 "], Closes),
        ("an error", b"GET /fail HTTP/1.0\r\n\r\n", &["409"], Closes),
        ("an error with keep-alive", b"GET /fail HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["409"], Open),
        ("OPTIONS", b"OPTIONS / HTTP/1.0\r\n\r\n", &["204 "], Closes),
        ("HEAD with keep-alive", b"HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["200 "], Open),
        ("no content", b"GET /empty HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["200 "], Open),
        ("a handler that closes", b"GET /close HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &["200 bye"], Closes),
        ("a broken request", b"GET / HTTP/1.0\r\nX\r\n\r\n", &["400"], Errs),
    ];
    run(table);
}

/// A reply to HEAD has no content, also if the server has understood nothing but the method (RFC 9110 §9.3.2).
#[test]
fn errors_of_the_parser_to_head_have_no_content() {
    let table: &[Row<'_>] = &[
        ("400", b"HEAD / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", &["400 "], Errs),
        ("no Host", b"HEAD / HTTP/1.1\r\n\r\n", &["400 "], Errs),
        ("an invalid target", b"HEAD index.html HTTP/1.1\r\nHost: a\r\n\r\n", &["400 "], Errs),
        ("505", b"HEAD / HTTP/3.0\r\nHost: a\r\n\r\n", &["505 "], Errs),
        ("501", b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", &["501 "], Errs),
        ("413", b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n", &["413 "], Errs),
        ("417", b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", &["417 "], Open),
        (
            "a broken chunk",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
            &["400 "],
            Errs,
        ),
        ("FIN within the head", b"HEAD / HT", &["400 "], FinErrs),
        ("FIN within content", b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh", &["400 "], FinErrs),
    ];
    run(table);
}
