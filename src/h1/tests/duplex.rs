//! Full duplex: content that arrives while its reply is sent.

use std::time::Duration;

use super::bench::{Bench, Fate};
use super::live::{How, NEXT, bench, bench_with, post};
use super::reader::read_head;
use crate::config::Config;
use crate::exchange::{Abort, CloseReason, Resumer};
use crate::limits::{CHANNEL_BYTES, HIGH_WATER, MAX_READ};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_echo_is_sent_while_its_content_still_arrives() {
    let mut bench = bench();
    bench.send(post("/duplex", "Transfer-Encoding: chunked"));
    for (chunk, echo) in
        [("2\r\nhi\r\n", "2\r\nhi\r\n"), ("1\r\na", "1\r\na\r\n"), ("\r\n", ""), ("0\r\n\r\n", "0\r\n\r\n")]
    {
        let before = bench.sent.len();
        bench.send(chunk);
        assert_eq!(bench.sent[before..], *echo.as_bytes(), "{chunk:?}");
    }
    bench.send(NEXT);
    assert_eq!(bench.statuses(), [200, 200]);
    bench.restart();
}

#[test]
fn a_client_that_does_not_read_its_echo_is_not_read() {
    // The queue exceeds the high-water mark by one piece at most.
    let mut bench = bench_with(Config { max_response_buffer: MAX_READ + 1024, ..Config::default() });
    bench.set_window(0).send(post("/duplex", "Content-Length: 3000000"));
    bench.send(vec![b'x'; 3_000_000]);
    let bound = HIGH_WATER + CHANNEL_BYTES + 2 * MAX_READ;
    assert!(bench.taken() < bound, "{} bytes were taken", bench.taken());
    while bench.router.state().live.ended.is_empty() || !bench.sent.ends_with(b"0\r\n\r\n") {
        let before = bench.sent.len();
        bench.read(50_000).wait(SECOND / 2);
        assert!(bench.sent.len() > before, "it stops at {before}");
        let memory: usize = bench.held_memory().iter().sum();
        assert!(memory < 2 * bound, "{memory} bytes of memory");
        bench.router.state_mut().live.pieces.clear();
    }
    assert_eq!(bench.only_reply().content.len(), 3_000_000);
    bench.restart();
}

#[test]
fn an_early_end_of_a_duplex_aborts_its_reply() {
    let broken = |bench: &mut Bench| {
        bench.send("x");
    };
    let failed = |bench: &mut Bench| {
        bench.send("1\r\n!\r\n");
    };
    let panics = |bench: &mut Bench| {
        bench.send("1\r\n?\r\n");
    };
    let closed = |bench: &mut Bench| {
        bench.fin();
    };
    let all: [(&str, How, Abort); 4] = [
        ("broken", broken, Abort::Malformed),
        ("an error", failed, Abort::Failed),
        ("a panic", panics, Abort::Failed),
        ("FIN", closed, Abort::ClientGone),
    ];
    for (name, how, why) in all {
        let mut bench = bench();
        bench.send(post("/duplex", "Transfer-Encoding: chunked")).send("1\r\na\r\n");
        how(&mut bench);
        let mut sent = &bench.sent[..];
        read_head(&mut sent);
        assert_eq!((sent, bench.was_reset()), (&b"1\r\na\r\n"[..], true), "{name}");
        assert_eq!((bench.fate(), &bench.router.state().live.aborted[..]), (Fate::Closed, &[why][..]), "{name}");
        bench.restart();
    }
}

#[test]
fn a_reply_that_was_whole_before_its_content_stays_the_only_one() {
    let all: [(&str, How, &[Abort]); 4] = [
        (
            "broken",
            |bench| {
                bench.send("x");
            },
            &[Abort::Malformed],
        ),
        (
            "an error",
            |bench| {
                bench.send("1\r\n!\r\n");
            },
            &[Abort::Failed],
        ),
        (
            "FIN",
            |bench| {
                bench.fin();
            },
            &[Abort::ClientGone],
        ),
        (
            "an error of the end",
            |bench| {
                bench.send("1\r\n.\r\n0\r\n\r\n");
            },
            &[],
        ),
    ];
    for (name, how, aborted) in all {
        let mut bench = bench();
        bench.send(post("/duplex/early", "Transfer-Encoding: chunked"));
        assert_eq!(bench.only_reply().text(), "early");
        how(&mut bench);
        bench.send(NEXT);
        assert_eq!((bench.statuses(), &bench.router.state().live.aborted[..]), (vec![200], aborted), "{name}");
        assert_ne!(bench.fate(), Fate::Open, "{name}");
        bench.restart();
    }
}

#[test]
fn a_duplex_may_be_answered_later_before_or_after_its_content() {
    for behind in [false, true] {
        let mut bench = bench();
        bench.send(post("/duplex/deferred", "Content-Length: 4")).send("ab");
        let responder = bench.router.state_mut().live.responders.pop_front().unwrap();
        if behind {
            bench.send(["cd", NEXT].concat());
            assert!(bench.sent.is_empty());
        }
        responder.text("answer");
        bench.turn();
        if !behind {
            assert_eq!(bench.only_reply().text(), "answer");
            bench.send(["cd", NEXT].concat());
        }
        assert_eq!(bench.replies().iter().map(|reply| reply.text()).collect::<Vec<_>>(), ["answer", "hello"]);
        assert_eq!(bench.router.state().live.ended, [b"abcd"]);
        bench.restart();
    }
}

#[test]
fn a_duplex_that_fails_before_its_deferred_reply_gives_the_error() {
    let mut bench = bench();
    bench.send(post("/duplex/deferred", "Content-Length: 4")).send("a!");
    let responder = bench.router.state_mut().live.responders.pop_front().unwrap();
    assert_eq!((bench.only_reply().status, responder.is_cancelled()), (409, true));
    responder.text("too late");
    bench.turn().send(["cd", NEXT].concat());
    assert_eq!(bench.statuses(), [409, 200]);
    bench.restart();
}

#[test]
fn a_client_that_takes_its_echo_slowly_but_steadily_is_not_cut() {
    let mut bench = bench();
    let content = vec![b'x'; 400_000];
    bench.set_window(0).send(post("/duplex", "Content-Length: 400000"));
    bench.send(&content);
    for _ in 0..90 {
        bench.read(5_000).wait(SECOND);
        assert_eq!((bench.fate(), bench.reason()), (Fate::Open, None), "after {} bytes", bench.sent.len());
    }
    bench.set_window(usize::MAX);
    assert!(bench.only_reply().content == content);
    bench.restart();
}

/// Undoes all pauses.
fn resume(bench: &mut Bench) -> &mut Bench {
    bench.router.state_mut().live.resumers.drain(..).for_each(Resumer::resume);
    bench.turn()
}

/// Neither the echo of a byte nor the pause after it buys time for the next one.
#[test]
fn content_that_drips_is_cut_however_it_is_taken() {
    for (path, pauses) in [("/sink", false), ("/sink", true), ("/duplex", false), ("/duplex", true)] {
        let mut bench = bench();
        bench.router.state_mut().live.pauses = pauses;
        bench.send(post(path, "Content-Length: 100000"));
        let seconds = (0..1000).find(|_| {
            bench.send("x");
            resume(&mut bench).wait(SECOND);
            bench.fate() != Fate::Open
        });
        assert!(matches!(seconds, Some(9..=11)), "{path}, pauses: {pauses}: after {seconds:?} s");
        assert_eq!(bench.reason(), Some(CloseReason::ContentTimeout), "{path}, pauses: {pauses}");
        bench.restart();
    }
}

#[test]
fn a_pause_neither_takes_the_client_s_time_nor_adds_to_it() {
    let mut bench = bench();
    bench.router.state_mut().live.pauses = true;
    bench.send(post("/sink", "Content-Length: 3")).wait(6 * SECOND);
    for _ in 0..2 {
        bench.send("x").wait(50 * SECOND);
        resume(&mut bench).wait(SECOND);
        assert_eq!(bench.fate(), Fate::Open);
    }
    bench.wait(3 * SECOND);
    assert_eq!((bench.statuses(), bench.reason()), (vec![408], Some(CloseReason::ContentTimeout)), "10 of 6+1+1+3 s");
    bench.restart();
}
