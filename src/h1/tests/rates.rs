//! Minimum rates of content and of replies, with a simulated clock.

use std::time::Duration;

use super::bench::{Bench, Fate, bench};
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::limits::SHARE_FROM;

const SECOND: Duration = Duration::from_secs(1);
const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_LARGE: &str = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";

/// The head of a POST with this Content-Length.
fn post(length: usize) -> String {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

const CHUNKED: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Sends `piece` every second until the state of the connection changes, and returns the number of seconds.
#[track_caller]
fn seconds_until_it_ends(bench: &mut Bench, piece: &str) -> u32 {
    for second in 0..100_000 {
        if bench.fate() != Fate::Open {
            return second;
        }
        bench.send(piece).wait(SECOND);
    }
    panic!("it goes on for ever");
}

// ---- content --------------------------------------------------------------------------------------------------------

#[test]
fn content_that_drips_is_a_408_soon_after_its_grace() {
    let extensions = format!("{CHUNKED}1;");
    let trailers = format!("{CHUNKED}0\r\nX: ");
    let chunks = format!("{CHUNKED}ffff\r\n");
    for head in [&post(100_000), &extensions, &trailers, &chunks] {
        let mut bench = bench();
        bench.send(head);
        let seconds = seconds_until_it_ends(&mut bench, "y");
        assert!((10..=12).contains(&seconds), "{head:?}: after {seconds} s");
        assert_eq!((bench.statuses(), bench.fate()), (vec![408], Fate::Lingers), "{head:?}");
        assert_eq!(bench.reason(), Some(CloseReason::ContentTimeout));
        bench.restart();
    }
}

#[test]
fn content_at_the_minimum_rate_comes_through_however_long_it_takes() {
    let mut bench = bench();
    bench.send(post(100_000));
    for _ in 0..200 {
        assert_eq!(bench.fate(), Fate::Open);
        bench.wait(SECOND).send([b'x'; 500]);
    }
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.restart();
}

#[test]
fn content_below_the_minimum_rate_is_a_408_in_the_end() {
    let mut bench = bench();
    bench.send(post(100_000));
    let seconds = seconds_until_it_ends(&mut bench, &"x".repeat(400));
    assert!((45..=55).contains(&seconds), "10 s of grace at 400 of 500 B/s last 50 s, not {seconds}");
    bench.restart();
}

#[test]
fn a_burst_of_content_pays_for_a_pause_as_long_as_the_idle_timeout() {
    let mut bench = bench();
    bench.send(post(600_000)).send(vec![b'x'; 500_000]).wait(29 * SECOND).send("x").wait(20 * SECOND);
    let after = (bench.statuses(), bench.reason());
    assert_eq!(after, (vec![408], Some(CloseReason::ContentTimeout)), "a byte after the pause buys nothing");
    bench.restart();
    bench.send(post(600_000)).send(vec![b'x'; 500_000]).wait(29 * SECOND).send(vec![b'x'; 100_000]);
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.restart();
}

#[test]
fn discarded_content_that_drips_is_closed_silently() {
    let mut bench = bench();
    bench.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n");
    let seconds = seconds_until_it_ends(&mut bench, "x");
    assert!((10..=12).contains(&seconds), "after {seconds} s");
    assert_eq!((bench.statuses(), bench.reason()), (vec![404], Some(CloseReason::ContentTimeout)));
    bench.restart();
}

#[test]
fn content_that_comes_with_its_head_counts_like_any_other() {
    let config = || Config { content_timeout: SECOND, min_content_rate: 1000, ..Config::default() };
    let half = "x".repeat(3000);
    let nowhere = "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n".to_owned();
    for (head, statuses) in
        [(post(6000), vec![200]), (GET.to_owned() + &post(6000), vec![200; 2]), (nowhere, vec![404])]
    {
        for pieces in [vec![head.clone() + &half], vec![head.clone(), half.clone()]] {
            let mut bench = Bench::new(config());
            for piece in pieces {
                bench.send(piece);
            }
            bench.wait(3 * SECOND).send(&half);
            assert_eq!((bench.statuses(), bench.fate()), (statuses.clone(), Fate::Open), "{head:?}");
            bench.restart();
        }
    }
}

#[test]
fn without_a_minimum_rate_of_replies_those_of_heads_and_content_hold_all_the_same() {
    for (begin, drip) in [("GET / HT".to_owned(), "T"), (post(100_000), "x")] {
        let mut bench = Bench::new(Config { min_send_rate: 0, ..Config::default() });
        bench.set_window(0);
        bench.send(GET.repeat(50) + &begin);
        for _ in 0..2 {
            bench.wait(9 * SECOND).send(drip);
        }
        assert_eq!(bench.fate(), Fate::Closed, "{begin:?}: unread replies do not stop its time");
        bench.restart();
    }
}

/// The replies take the client half a minute at 2,000 B/s, and are still few enough that the connection is not held.
const PIPELINE: usize = 280;

/// A client takes the replies to a pipeline slowly, sends more when it has taken all of them, and gets the last reply.
/// Until then it may not have seen what it waits for.
#[test]
fn the_time_of_a_request_begins_when_the_client_has_taken_its_replies() {
    let expects = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let nowhere = "POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx";
    let cases = [
        (expects.to_owned(), "xyz", 200),
        (post(3) + "x", "yz", 200),
        (nowhere.to_owned(), "yz", 404),
        ("GET / HT".to_owned(), "TP/1.1\r\nHost: a\r\n\r\n", 200),
    ];
    for (begin, rest, status) in cases {
        let mut bench = bench();
        bench.set_window(0);
        bench.send(GET.repeat(PIPELINE) + &begin);
        assert!(!bench.is_held());
        for _ in 0..20 {
            bench.wait(SECOND).read(2000);
            assert_eq!(bench.fate(), Fate::Open, "{begin:?}: within what it is owed");
        }
        bench.wait(SECOND).read(usize::MAX).wait(9 * SECOND);
        assert_eq!(bench.fate(), Fate::Open, "{begin:?}: its time runs from here");
        bench.send(rest);
        let statuses = bench.statuses();
        assert_eq!((statuses.len(), statuses[PIPELINE]), (PIPELINE + 1, status), "{begin:?}");
        bench.restart();

        bench.set_window(0);
        bench.send(GET.repeat(PIPELINE) + &begin).wait(30 * SECOND).read(usize::MAX).wait(13 * SECOND);
        assert_eq!(bench.fate(), Fate::Closed, "{begin:?}: and it ends");
        bench.restart();
    }
}

#[test]
fn a_client_that_owes_content_and_takes_nothing_is_cut() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send([GET_LARGE, &post(3), "x"].concat());
    assert!(bench.is_held(), "the second request waits for the first reply");
    bench.wait(60 * SECOND);
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::SendTimeout)));
    bench.restart();
}

#[test]
fn a_burst_allows_a_pause_as_long_as_the_idle_timeout_of_the_connection() {
    let mut bench = bench();
    bench.send("GET /patient HTTP/1.1\r\nHost: a\r\n\r\n").send(post(200_001)).send(vec![b'x'; 200_000]);
    bench.wait(89 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.send("x");
    assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200], Fate::Open));
    bench.restart();
}

#[test]
fn without_a_minimum_rate_content_may_drip_within_the_idle_timeout() {
    let mut bench = Bench::new(Config { min_content_rate: 0, ..Config::default() });
    bench.send(post(20));
    for _ in 0..20 {
        bench.wait(29 * SECOND).send("x");
    }
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.send(post(20)).wait(30 * SECOND);
    assert_eq!((bench.statuses(), bench.reason()), (vec![200, 408], Some(CloseReason::IdleTimeout)));
    bench.restart();
}

// ---- replies --------------------------------------------------------------------------------------------------------

/// Reads `portion` bytes every second until the connection ends, and returns the number of seconds.
#[track_caller]
fn seconds_until_cut(bench: &mut Bench, portion: usize) -> u32 {
    for second in 0..100_000 {
        if bench.fate() == Fate::Closed {
            return second;
        }
        bench.wait(SECOND).read(portion);
    }
    panic!("it goes on for ever");
}

#[test]
fn a_client_that_takes_a_byte_a_second_is_cut() {
    let last = "GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for (requests, at_first) in [(GET_LARGE, 0), (last, 0), (GET_LARGE, 80_000), (&GET_LARGE.repeat(9), 250_000)] {
        let mut bench = bench();
        bench.set_window(0);
        bench.send(requests).read(at_first);
        let seconds = seconds_until_cut(&mut bench, 1);
        assert!((60..=63).contains(&seconds), "after {seconds} s");
        assert_eq!(bench.reason(), Some(CloseReason::SendTimeout));
        bench.restart();
    }
}

#[test]
fn a_client_that_takes_the_minimum_rate_gets_everything() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send(GET_LARGE.repeat(3));
    for _ in 0..620 {
        assert_eq!(bench.fate(), Fate::Open);
        bench.wait(SECOND).read(500);
    }
    assert_eq!((bench.statuses(), bench.fate()), (vec![200; 3], Fate::Open));
    bench.restart();
}

/// The kernel may report room only when there is a lot of it.
#[test]
fn progress_may_come_in_large_steps() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send(GET_LARGE.repeat(4));
    for _ in 0..6 {
        bench.wait(59 * SECOND).read(1 << 16);
        assert_eq!(bench.fate(), Fate::Open, "silence of more than the idle timeout means little here");
    }
    bench.read(usize::MAX);
    assert_eq!((bench.statuses(), bench.fate()), (vec![200; 4], Fate::Open));
    bench.restart();
}

#[test]
fn a_reply_has_its_own_time_however_late_the_one_before_was_taken() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send("GET /patient HTTP/1.1\r\nHost: a\r\n\r\n").read(1000).set_window(0);
    // The first reply is taken at the last moment, and the second one follows in the same turn.
    bench.send(GET_LARGE.repeat(2)).wait(59 * SECOND).read(2 * SHARE_FROM);
    bench.wait(30 * SECOND).read(100_000 - SHARE_FROM);
    bench.wait(59 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.read(usize::MAX);
    assert_eq!((bench.statuses(), bench.fate()), (vec![200; 3], Fate::Open));
    bench.restart();
}

#[test]
fn a_client_that_takes_nothing_is_cut_by_the_send_timeout_or_without_a_rate_by_the_idle_timeout() {
    for (min_send_rate, after, reason) in [(500, 60, CloseReason::SendTimeout), (0, 30, CloseReason::IdleTimeout)] {
        let mut bench = Bench::new(Config { min_send_rate, ..Config::default() });
        bench.set_window(0);
        bench.send(GET_LARGE).wait(after * SECOND - SECOND);
        assert_eq!(bench.fate(), Fate::Open);
        bench.wait(SECOND);
        assert_eq!((bench.fate(), bench.reason(), bench.sent.len()), (Fate::Closed, Some(reason), 0));
        bench.restart();
    }
}

#[test]
fn without_a_minimum_rate_a_client_may_take_a_byte_per_idle_timeout() {
    let mut bench = Bench::new(Config { min_send_rate: 0, ..Config::default() });
    bench.set_window(0);
    bench.send(GET_LARGE);
    for _ in 0..50 {
        bench.wait(29 * SECOND).read(1);
    }
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(30 * SECOND);
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::IdleTimeout)));
    bench.restart();
}

#[test]
fn an_idle_connection_has_no_rate_to_keep_to() {
    let mut bench = bench();
    bench.send(GET_LARGE).send(post(2)).send("hi");
    for _ in 0..10 {
        bench.wait(29 * SECOND).send(GET);
    }
    assert_eq!((bench.statuses(), bench.fate()), (vec![200; 12], Fate::Open));
    bench.restart();
}
