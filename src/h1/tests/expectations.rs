//! Expectations, and the 100 that answers them (RFC 9110 §10.1.1).

use super::bench::bench;
use super::bodies::{BAD, HI};
use super::table::After::{Closes, Errs, Open};
use super::table::{Row, run};

#[test]
fn only_100_continue_is_an_expectation_that_is_met() {
    let table: &[Row<'_>] = &[
        (
            "100-continue with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-Continue in any case",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nexpect: 100-CONTINUE\r\n\
            Content-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-continue with chunks",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            HI,
            Open,
        ),
        (
            "100-continue without content",
            b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
            &["200 hello"],
            Open,
        ),
        (
            "100-continue on 1.0",
            b"POST /echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n\
            hi",
            HI,
            Closes,
        ),
        ("something else", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", &["417"], Open),
        ("nothing", b"GET / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", &["200 hello"], Open),
        ("a list of nothing", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: ,\t,\r\n\r\n", &["200 hello"], Open),
        (
            "100-continue after an empty member",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: , 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-continue twice in a list",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue,100-Continue,\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "something else with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 2\r\n\
            \r\nhi",
            &["417"],
            Errs,
        ),
        (
            "two",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\
            \r\nhi",
            &["417"],
            Errs,
        ),
        (
            "a list",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, tea\r\nContent-Length: 2\r\n\r\n\
            hi",
            &["417"],
            Errs,
        ),
        (
            "100-continue for too much",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 65\r\n\r\n",
            &["413"],
            Errs,
        ),
        (
            "100-continue for nothing there",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\n",
            &["404"],
            Errs,
        ),
        (
            "100-continue for a GET route",
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\n",
            &["405"],
            Errs,
        ),
        (
            "100-continue twice",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n\
            Content-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        (
            "100-continue and a request after",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\n\
            Host: a\r\n\r\n",
            &["200 hi", "200 hello"],
            Open,
        ),
        (
            "100-continue of HEAD",
            b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            &["200 "],
            Open,
        ),
        (
            "100-continue and the last request",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n\
            hi",
            HI,
            Closes,
        ),
        (
            "100-continue and a bad length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: +2\r\n\r\nhi",
            BAD,
            Errs,
        ),
        (
            "100-continue on 1.0 with keep-alive",
            b"POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            HI,
            Open,
        ),
        ("something else on 1.0", b"GET / HTTP/1.0\r\nExpect: tea\r\n\r\n", &["417"], Closes),
        (
            "something else for nothing there",
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n",
            &["417"],
            Open,
        ),
        ("another status code", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", &["417"], Open),
        (
            "100-continue with a letter more",
            b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continued\r\n\r\n",
            &["417"],
            Open,
        ),
        (
            "100-continue with a parameter",
            b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue;a=b\r\n\r\n",
            &["417"],
            Open,
        ),
        ("100-continue after a word", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x 100-continue\r\n\r\n", &["417"], Open),
        ("100-continue in quotes", b"GET / HTTP/1.1\r\nHost: a\r\nExpect: \"100-continue\"\r\n\r\n", &["417"], Open),
        (
            "100-continue over two lines",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect:\r\n 100-continue\r\nContent-Length: 2\r\n\r\nhi",
            BAD,
            Errs,
        ),
        (
            "something else with chunks",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["417"],
            Errs,
        ),
    ];
    run(table);
}

#[test]
fn a_100_is_sent_once_and_only_to_a_client_that_waits_for_it() {
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let head = |line: &str, fields: &str| format!("{line}\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\r\n");
    let cases = [
        ("1.1", head("POST /echo HTTP/1.1", "Content-Length: 3\r\n"), true),
        ("chunks", head("POST /echo HTTP/1.1", "Transfer-Encoding: chunked\r\n"), true),
        ("closing", head("POST /echo HTTP/1.1", "Content-Length: 3\r\nConnection: close\r\n"), true),
        ("1.0", head("POST /echo HTTP/1.0", "Content-Length: 3\r\n"), false),
        ("no content", head("POST /echo HTTP/1.1", ""), false),
        ("no content told", head("POST /echo HTTP/1.1", "Content-Length: 0\r\n"), false),
        ("too large", head("POST /echo HTTP/1.1", "Content-Length: 1000000000\r\n"), false),
        ("no route", head("POST /nowhere HTTP/1.1", "Content-Length: 3\r\n"), false),
        ("another method", head("POST / HTTP/1.1", "Content-Length: 3\r\n"), false),
        ("another expectation", head("POST /echo HTTP/1.1", "Expect: tea\r\nContent-Length: 3\r\n"), false),
        ("broken", head("POST /echo HTTP/1.1", "Content-Length: +3\r\n"), false),
    ];
    for (name, head, expected) in cases {
        let mut bench = bench();
        bench.send(&head);
        assert_eq!(bench.sent.starts_with(CONTINUE), expected, "{name}: {}", bench.sent.escape_ascii());
        if expected {
            assert_eq!(bench.sent, CONTINUE, "{name}");
            let content = if name == "chunks" { ["1\r\nx\r\n", "2\r\nyz\r\n", "0\r\n\r\n"] } else { ["x", "y", "z"] };
            content.iter().for_each(|piece| {
                bench.send(piece);
            });
            let reply = bench.only_reply();
            assert_eq!((reply.status, reply.continues, &*reply.text()), (200, 1, "xyz"), "{name}");
        }
        // If content has begun to come, the client does not wait for a 100.
        bench.restart();
        bench.send([head.as_bytes(), b"x"].concat());
        assert!(!bench.sent.starts_with(CONTINUE), "{name}: content has come already");
    }
}

#[test]
fn a_100_comes_after_the_replies_to_earlier_requests() {
    let mut bench = bench();
    bench.send(
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\
        Content-Length: 1\r\n\r\n",
    );
    bench.send("x");
    let replies = bench.replies();
    assert_eq!(replies.iter().map(|reply| reply.continues).collect::<Vec<_>>(), [0, 1]);
}
