//! Content that a sink takes as it comes.

use std::time::Duration;

use super::bench::{Bench, Fate};
use super::live::{How, NEXT, bench, bench_with, post};
use super::reader::read_all;
use super::table::After::{Closes, Errs, FinErrs, Open};
use super::table::{Row, run_live};
use crate::config::Config;
use crate::exchange::{Abort, CloseReason};
use crate::limits::{HIGH_WATER, MAX_READ};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_sink_takes_content_in_any_framing() {
    let table: &[Row<'_>] = &[
        ("a length", b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["200 hi"], Open),
        (
            "chunks",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nh\r\n2\r\ni!\r\n0\r\n\r\n",
            &["409"],
            Errs,
        ),
        (
            "chunks and trailers",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nh\r\n1\r\ni\r\n0\r\n\
            X-Note: a\r\n\r\n",
            &["200 hi"],
            Open,
        ),
        ("none", b"POST /sink HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("a length of zero", b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &["200 "], Open),
        (
            "chunks of none",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            &["200 "],
            Open,
        ),
        ("1.0", b"POST /sink HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", &["200 hi"], Closes),
        (
            "two in a pipeline",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiPOST /sink HTTP/1.1\r\nHost: a\r\n\
            Content-Length: 2\r\n\r\nho",
            &["200 hi", "200 ho"],
            Open,
        ),
        (
            "exactly the limit",
            b"POST /sink/small HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n12345678",
            &["200 12345678"],
            Open,
        ),
        ("too much", b"POST /sink/small HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", &["413"], Errs),
        (
            "just so much in chunks",
            b"POST /sink/small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n4\r\n5678\r\n\
            0\r\n\r\n",
            &["200 12345678"],
            Open,
        ),
        (
            "too much in chunks, decided at the size",
            b"POST /sink/small HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n5\r\n",
            &["413"],
            Errs,
        ),
        (
            "more than the server buffers",
            &[b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n".as_slice(), &[b'x'; 65]].concat(),
            &["200 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"],
            Open,
        ),
        ("an error of data", b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab!cd", &["409"], Open),
        (
            "an error of the last data",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab!",
            &["409"],
            Open,
        ),
        ("an error of the end", b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab.", &["422"], Open),
        (
            "an error of the end, in chunks",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n\r\n",
            &["422"],
            Open,
        ),
        (
            "a broken chunk",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\nx\r\n",
            &["400"],
            Errs,
        ),
        (
            "a broken trailer",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX Y: z\r\n\r\n",
            &["400"],
            Errs,
        ),
        ("FIN within a length", b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nhi", &["400"], FinErrs),
        ("FIN before it", b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", &["400"], FinErrs),
        (
            "FIN within chunks",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi",
            &["400"],
            FinErrs,
        ),
        (
            "FIN before the last line",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
            &["400"],
            FinErrs,
        ),
        (
            "a reply that is streamed",
            b"POST /sink/streams HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        (
            "a reply that is streamed, to chunks",
            b"POST /sink/streams HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["200 hi"],
            Open,
        ),
        ("another method", b"PUT /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["405"], Open),
        ("an echo", b"POST /duplex HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["200 hi"], Open),
        (
            "an echo in chunks",
            b"POST /duplex HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n ho\r\n0\r\n\r\n",
            &["200 hi ho"],
            Open,
        ),
        ("an echo of no content", b"POST /duplex HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        (
            "a reply ahead",
            b"POST /duplex/early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            &["200 early"],
            Open,
        ),
        (
            "a reply ahead, in chunks",
            b"POST /duplex/early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["200 early"],
            Open,
        ),
        ("a refusal", b"POST /sink/refuses HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &["415"], Open),
        ("a refusal, no content", b"POST /sink/refuses HTTP/1.1\r\nHost: a\r\n\r\n", &["415"], Open),
        (
            "a refused duplex",
            b"POST /duplex/refuses HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            &["415"],
            Open,
        ),
    ];
    run_live(table);
}

/// RFC 9112 §9.6: a server that is going to close says so.
#[test]
fn a_refusal_that_leaves_content_unread_says_that_it_closes() {
    let table: &[Row<'_>] = &[
        (
            "a sink, in chunks",
            b"POST /sink/refuses HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["415"],
            Errs,
        ),
        (
            "a duplex, in chunks",
            b"POST /duplex/refuses HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["415"],
            Errs,
        ),
        ("too much", b"POST /sink/refuses HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\nhi", &["415"], Errs),
        (
            "a client that waits for a 100",
            b"POST /sink/refuses HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
            &["415"],
            Errs,
        ),
    ];
    run_live(table);
}

/// Bytes of content never become a request, whatever they look like.
#[test]
fn unwanted_content_is_never_a_request() {
    let table: &[Row<'_>] = &[
        (
            "a stream of a middleware in place of a sink, short",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nX-Intercept: stream\r\nContent-Length: 18\r\n\r\n\
            GET / HTTP/1.1\r\n\r\n",
            &["200 intercepted"],
            Open,
        ),
        (
            "a stream of a middleware in place of a sink, in chunks",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nX-Intercept: stream\r\nTransfer-Encoding: chunked\r\n\r\n\
            GET /users/7 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 intercepted"],
            Errs,
        ),
        (
            "a stream of a middleware in place of a sink, long",
            b"POST /sink HTTP/1.1\r\nHost: a\r\nX-Intercept: stream\r\nContent-Length: 65537\r\n\r\n\
            GET /users/7 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 intercepted"],
            Errs,
        ),
        (
            "a stream of a middleware in place of nothing, in chunks",
            b"POST /nowhere HTTP/1.1\r\nHost: a\r\nX-Intercept: stream\r\nTransfer-Encoding: chunked\r\n\r\n\
            GET /users/7 HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 intercepted"],
            Errs,
        ),
    ];
    run_live(table);
}

#[test]
fn a_sink_gets_its_content_although_the_request_offers_another_protocol() {
    let table: &[Row<'_>] = &[
        (
            "a length",
            b"POST /sink/up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        (
            "no option of the connection",
            b"POST /sink/up HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n\
            0\r\n\r\n",
            &["200 hi"],
            Open,
        ),
        ("1.0", b"POST /sink/up HTTP/1.0\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi", &["200 hi"], Closes),
    ];
    run_live(table);
}

#[test]
fn a_sink_gets_each_piece_at_once_and_the_reply_comes_after_the_last() {
    let mut bench = bench();
    bench.send(post("/sink", "Content-Length: 6"));
    for piece in ["a", "bc", "d"] {
        bench.send(piece);
        assert!(bench.sent.is_empty());
        assert_eq!(bench.router.state().live.pieces.last().unwrap(), piece.as_bytes());
    }
    bench.send(["ef", NEXT].concat());
    let texts: Vec<String> = bench.replies().iter().map(|reply| reply.text()).collect();
    assert_eq!(texts, ["abcdef", "hello"]);
    bench.restart();
}

#[test]
fn a_paused_sink_leaves_its_content_in_the_socket() {
    let mut bench = bench();
    bench.router.state_mut().live.pauses = true;
    bench.send(post("/sink", "Content-Length: 1000000")).send("one");
    bench.send("two").send(vec![b'x'; 900_000]);
    assert_eq!(bench.router.state().live.pieces, [b"one"]);
    assert_eq!(bench.unread(), 900_003);
    let resumer = bench.router.state_mut().live.resumers.pop().unwrap();
    bench.turn();
    assert_eq!(bench.router.state().live.pieces.len(), 1, "nobody has gone on");
    resumer.resume();
    bench.turn();
    let live = &mut bench.router.state_mut().live;
    assert!(live.pieces.len() == 2 && live.pieces[1].starts_with(b"twox"));
    live.pauses = false;
    live.resumers.clear();
    bench.turn().send(vec![b'x'; 99_994]);
    assert_eq!(bench.only_reply().content.len(), 1_000_000);
    assert!(bench.router.state().live.ended.len() == 1);
    bench.restart();
}

#[test]
fn the_end_waits_too_while_content_is_paused() {
    for (framing, content) in [("Content-Length: 2", "hi"), ("Transfer-Encoding: chunked", "2\r\nhi\r\n0\r\n\r\n")] {
        let mut bench = bench();
        bench.router.state_mut().live.pauses = true;
        bench.send(post("/sink", framing) + content);
        assert_eq!(bench.router.state().live.ended.len(), 0, "{framing}");
        bench.router.state_mut().live.resumers.clear();
        bench.turn();
        assert_eq!(bench.only_reply().text(), "hi");
        bench.restart();
    }
}

#[test]
fn a_sink_that_is_never_resumed_ends_its_exchange() {
    let mut bench = bench();
    bench.router.state_mut().live.pauses = true;
    bench.send(post("/sink", "Content-Length: 9")).send("one").wait(59 * SECOND);
    assert!(bench.sent.is_empty() && bench.fate() == Fate::Open);
    bench.wait(2 * SECOND);
    let reply = bench.only_reply();
    assert_eq!((reply.status, reply.closes(), reply.field("X-Kept")), (503, true, Some("by middleware")));
    assert_eq!(
        (bench.reason(), &bench.router.state().live.aborted[..]),
        (Some(CloseReason::ReplyTimeout), &[Abort::TimedOut][..])
    );
    bench.router.state_mut().live.resumers.clear();
    bench.turn().restart();
}

#[test]
fn content_that_is_too_slow_is_a_408() {
    let mut bench = bench();
    bench.send(post("/sink", "Content-Length: 9")).send("one").wait(12 * SECOND);
    let reply = bench.only_reply();
    assert_eq!((reply.status, reply.closes(), reply.field("X-Kept")), (408, true, Some("by middleware")));
    assert_eq!(bench.router.state().live.aborted, [Abort::TimedOut]);
    bench.restart();
}

#[test]
fn a_sink_is_told_why_its_content_will_never_be_whole() {
    let broken = |bench: &mut Bench| {
        bench.send("x");
    };
    let gone = |bench: &mut Bench| {
        bench.reset();
    };
    let closed = |bench: &mut Bench| {
        bench.fin();
    };
    let cut = |bench: &mut Bench| {
        bench.cut();
    };
    let failed = |bench: &mut Bench| {
        bench.send("1\r\n!\r\n");
    };
    let panics = |bench: &mut Bench| {
        bench.send("1\r\n?\r\n");
    };
    let large = |bench: &mut Bench| {
        bench.send("a\r\n");
    };
    let all: [(&str, How, Abort, &[u16]); 7] = [
        ("broken", broken, Abort::Malformed, &[400]),
        ("a reset", gone, Abort::ClientGone, &[]),
        ("FIN", closed, Abort::ClientGone, &[400]),
        ("the cut", cut, Abort::Cut, &[]),
        ("an error", failed, Abort::Failed, &[409]),
        ("a panic", panics, Abort::Failed, &[500]),
        ("too much", large, Abort::TooLarge, &[413]),
    ];
    for (name, how, why, statuses) in all {
        let mut bench = bench();
        bench.send(post("/sink/small", "Transfer-Encoding: chunked")).send("1\r\na\r\n");
        how(&mut bench);
        bench.turn();
        assert_eq!(
            (&bench.router.state().live.aborted[..], bench.statuses()),
            (&[why][..], statuses.to_vec()),
            "{name}"
        );
        // Nothing more comes, and the sink is not told twice.
        bench.send("1\r\nb\r\n0\r\n\r\n").wait(100 * SECOND);
        assert_eq!(bench.router.state().live.aborted, [why], "{name}");
        assert!(bench.router.state().live.ended.is_empty() && bench.fate() == Fate::Closed, "{name}");
        bench.restart();
    }
}

/// A sink that has failed is told so once. After that its key may belong to another sink.
#[test]
fn the_end_of_a_failed_exchange_does_not_reach_the_sink_of_another() {
    let mut bench = bench();
    bench.send(post("/sink", "Content-Length: 10")).send("a!");
    assert_eq!((bench.statuses(), &bench.router.state().live.aborted[..]), (vec![409], &[Abort::Failed][..]));
    let other = bench.other();
    bench
        .act_as(&other, |wire| wire.inbound.extend(post("/sink", "Content-Length: 4\r\nConnection: close").as_bytes()));
    bench.act_as(&other, |wire| wire.inbound.extend(b"ab"));
    bench.reset();
    assert_eq!(bench.router.state().live.aborted.len(), 1, "the other one was aborted");
    let sent = bench.act_as(&other, |wire| wire.inbound.extend(b"cd"));
    assert_eq!(read_all(&sent, |_| false)[0].text(), "abcd");
    bench.restart();
}

#[test]
fn a_100_is_for_content_that_a_sink_wants() {
    let expects = |path: &str, more: &str| post(path, &format!("Expect: 100-continue\r\n{more}"));
    const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
    let mut bench = bench();
    bench.send(expects("/sink", "Content-Length: 2"));
    assert_eq!(bench.sent, CONTINUE);
    bench.send("hi");
    assert_eq!((bench.only_reply().text(), bench.only_reply().continues), ("hi".to_owned(), 1));
    bench.restart();
    for (name, request, statuses) in [
        ("the content is here", expects("/sink", "Content-Length: 2") + "hi", [200]),
        ("it is too long", expects("/sink/small", "Content-Length: 9"), [413]),
        ("the route refuses", expects("/sink/refuses", "Content-Length: 2"), [415]),
        ("the duplex refuses", expects("/duplex/refuses", "Content-Length: 2"), [415]),
        ("there is none", expects("/sink", "Content-Length: 0"), [200]),
    ] {
        bench.send(request);
        let reply = bench.only_reply();
        assert_eq!((bench.statuses(), reply.continues), (statuses.to_vec(), 0), "{name}");
        assert_eq!(bench.router.state().live.pieces.len(), usize::from(name == "the content is here"), "{name}");
        bench.restart();
    }
    bench.send("POST /sink HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert!(bench.sent.is_empty(), "RFC 9110 §15.2: none to 1.0");
    bench.restart();
    // A reply of this sink will come, so the other one must not wait for it.
    bench.send(expects("/duplex/deferred", "Content-Length: 2"));
    assert_eq!(bench.sent, CONTINUE);
    bench.restart();
    // The reply exists already, so a 100 must come before it or not at all.
    for path in ["/duplex", "/duplex/early"] {
        bench.send(expects(path, "Content-Length: 2"));
        assert!(bench.sent.starts_with(CONTINUE), "{path}: {}", bench.sent.escape_ascii());
        bench.send("hi");
        assert_eq!(bench.only_reply().continues, 1);
        bench.restart();
    }
}

#[test]
fn a_sink_costs_no_more_memory_than_a_read() {
    let mut bench = bench_with(Config { max_response_buffer: 4000, ..Config::default() });
    bench.send(post("/duplex/early", "Content-Length: 20000000"));
    for _ in 0..20 {
        bench.send(vec![b'x'; 1_000_000]);
        bench.router.state_mut().live.pieces.clear();
        let [input, output, incoming] = bench.held_memory();
        assert!(input <= 2 * MAX_READ && output <= HIGH_WATER && incoming <= 1024, "{input}, {output}, {incoming}");
    }
    assert_eq!(bench.router.state().live.ended.len(), 1);
    bench.restart();
}

#[test]
fn a_sink_may_defer_its_reply() {
    for framing in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
        let mut bench = bench();
        let content = if framing.ends_with('2') { "hi" } else { "2\r\nhi\r\n0\r\n\r\n" };
        bench.send([&post("/sink/defers", framing), content, NEXT].concat());
        assert!(bench.sent.is_empty() && bench.router.state().live.ended == [b"hi"]);
        bench.router.state_mut().live.responders.pop_front().unwrap().text("later");
        bench.turn();
        assert_eq!(bench.replies().iter().map(|reply| reply.text()).collect::<Vec<_>>(), ["later", "hello"]);
        assert_eq!(bench.replies()[0].field("X-Kept"), Some("by middleware"));
        bench.restart();
    }
}

#[test]
fn a_panic_at_the_end_is_a_500() {
    let mut bench = bench();
    bench.send(post("/sink", "Content-Length: 1") + ",");
    let reply = bench.only_reply();
    assert_eq!((reply.status, reply.field("X-Kept")), (500, Some("by middleware")));
    assert_eq!((bench.router.state().live.ended.len(), bench.router.state().live.aborted.len()), (1, 0));
    bench.restart();
}
