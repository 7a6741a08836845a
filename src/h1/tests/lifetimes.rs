//! Timeouts, lingering and the drain, with a simulated clock.

use std::time::Duration;

use super::bench::{Bench, Fate, bench};
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::http::Moment;
use crate::limits::{DRAIN_LINGER, WHEEL_SLOT};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn check(bench: &Bench, statuses: &[u16], fate: Fate, reason: CloseReason) {
    assert_eq!((bench.statuses(), bench.fate(), bench.reason()), (statuses.to_vec(), fate, Some(reason)));
}

#[test]
fn a_client_that_says_nothing_is_closed_silently() {
    let mut bench = bench();
    bench.wait(29 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(SECOND);
    check(&bench, &[], Fate::Closed, CloseReason::IdleTimeout);
    bench.restart();
}

#[test]
fn an_idle_client_is_closed_silently_between_requests() {
    let mut bench = bench();
    for _ in 0..3 {
        bench.send(GET).wait(29 * SECOND);
        assert_eq!(bench.fate(), Fate::Open);
    }
    bench.wait(SECOND);
    check(&bench, &[200; 3], Fate::Closed, CloseReason::IdleTimeout);
    bench.restart();
}

#[test]
fn empty_lines_are_no_request() {
    let mut bench = bench();
    bench.send("\r\n").wait(20 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(10 * SECOND);
    check(&bench, &[], Fate::Closed, CloseReason::IdleTimeout);
    bench.restart();
}

#[test]
fn the_keep_alive_timeout_holds_between_requests_only() {
    let mut bench = Bench::new(Config { keep_alive_timeout: Some(5 * SECOND), ..Config::default() });
    bench.wait(20 * SECOND);
    assert_eq!(bench.fate(), Fate::Open, "before the first request it is the idle timeout");
    bench.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(bench.only_reply().field("Keep-Alive"), Some("timeout=5"));
    bench.wait(4 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(SECOND);
    check(&bench, &[200], Fate::Closed, CloseReason::IdleTimeout);
    bench.restart();
    bench.send(GET).send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh").wait(9 * SECOND).send("i");
    assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200], Fate::Open), "within a request it is not");
    bench.restart();
}

#[test]
fn a_handler_sets_the_idle_timeout_of_its_connection() {
    let mut bench = bench();
    bench.send("GET /patient HTTP/1.1\r\nHost: a\r\n\r\n").wait(89 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.send(GET).wait(89 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(SECOND);
    check(&bench, &[200, 200], Fate::Closed, CloseReason::IdleTimeout);
    bench.restart();
}

#[test]
fn a_head_that_is_too_slow_is_a_408_however_it_drips() {
    for (step, pause) in [(1, 1), (1, 3), (2, 9), (100, 9)] {
        let mut bench = bench();
        let began = bench.now();
        for piece in b"GET / HTTP/1.1\r\nHost: a\r\nX: yyyyyyyyyyyyyyyyyyyyyyy".chunks(step) {
            bench.send(piece).wait(pause * SECOND);
        }
        bench.wait(10 * SECOND);
        check(&bench, &[408], Fate::Closed, CloseReason::HeadTimeout);
        assert!(bench.replies()[0].closes());
        assert!(bench.now().since(began) >= 10 * SECOND);
        bench.restart();
    }
}

#[test]
fn the_head_timeout_runs_from_the_first_byte_of_the_request() {
    let mut bench = bench();
    bench.wait(25 * SECOND).send("\r\nG").wait(9 * SECOND).send("ET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    // The first byte of the second head comes together with the first request.
    bench.send(format!("{GET}G")).wait(9 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(SECOND);
    check(&bench, &[200, 200, 408], Fate::Lingers, CloseReason::HeadTimeout);
    bench.restart();
}

#[test]
fn an_empty_line_that_comes_in_two_pieces_does_not_start_the_head_timeout() {
    let mut bench = bench();
    bench.send("\r").wait(6 * SECOND).send("\nG").wait(6 * SECOND);
    assert_eq!(bench.fate(), Fate::Open, "the empty line does not count");
    bench.restart();
}

#[test]
fn content_that_does_not_come_is_a_408() {
    for content in
        ["Content-Length: 3\r\n\r\n", "Content-Length: 3\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n3\r\nab"]
    {
        let mut bench = bench();
        bench.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\n{content}")).wait(9 * SECOND);
        assert_eq!(bench.fate(), Fate::Open);
        // The content that has come allows some milliseconds more.
        bench.wait(SECOND + WHEEL_SLOT);
        check(&bench, &[408], Fate::Lingers, CloseReason::ContentTimeout);
        assert!(bench.replies()[0].closes());
        bench.wait(2 * SECOND);
        assert_eq!(bench.fate(), Fate::Closed);
        bench.restart();
    }
}

#[test]
fn discarded_content_that_does_not_come_is_closed_silently() {
    let mut bench = bench();
    bench.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx").wait(10 * SECOND + WHEEL_SLOT);
    check(&bench, &[404], Fate::Lingers, CloseReason::ContentTimeout);
    bench.expire();
    check(&bench, &[404], Fate::Closed, CloseReason::ContentTimeout);
    bench.restart();
}

#[test]
fn lingering_ends_by_time_whatever_drips() {
    let mut bench = bench();
    bench.send("broken\r\n\r\n");
    for _ in 0..19 {
        assert_eq!(bench.fate(), Fate::Lingers);
        bench.wait(SECOND / 10).send("x");
    }
    bench.wait(SECOND / 10);
    check(&bench, &[400], Fate::Closed, CloseReason::BadRequest);
    bench.restart();
}

#[test]
fn lingering_ends_when_the_client_closes() {
    let mut bench = bench();
    bench.send("broken\r\n\r\n").send("more").fin();
    check(&bench, &[400], Fate::Closed, CloseReason::BadRequest);
    bench.restart();
}

#[test]
fn an_error_after_a_fin_needs_no_lingering() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send("broken\r\n\r\n").fin();
    assert_eq!(bench.fate(), Fate::Open, "the reply is still owed");
    bench.read(usize::MAX);
    check(&bench, &[400], Fate::Closed, CloseReason::BadRequest);
    bench.restart();
}

#[test]
fn a_slow_reader_is_not_idle() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..9 {
        bench.wait(20 * SECOND).read(10_000);
        assert_eq!(bench.fate(), Fate::Open);
    }
    bench.read(usize::MAX);
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.restart();
}

#[test]
fn timeouts_of_centuries_do_not_overflow() {
    let mut bench = Bench::new(Config {
        idle_timeout: Duration::MAX,
        head_timeout: Duration::MAX,
        linger_timeout: Duration::MAX,
        content_timeout: Duration::MAX,
        send_timeout: Duration::MAX,
        keep_alive_timeout: Some(Duration::MAX),
        ..Config::default()
    });
    for input in [
        "G",
        "ET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        "abc",
        "x\r\n\r\n",
    ] {
        bench.send(input);
        assert!(bench.deadline() > bench.now() + 86_400 * SECOND);
    }
    assert_eq!((bench.statuses(), bench.fate()), (vec![200, 200, 400], Fate::Lingers));
}

#[test]
fn a_drain_closes_idle_connections_and_finishes_the_others() {
    let mut bench = bench();
    bench.drain();
    check(&bench, &[], Fate::Lingers, CloseReason::Drained);
    assert_eq!(bench.deadline(), bench.now() + DRAIN_LINGER);
    bench.expire();
    assert_eq!(bench.fate(), Fate::Closed);
    bench.restart();

    bench.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh");
    bench.drain();
    assert_eq!(bench.fate(), Fate::Open);
    bench.send("i");
    assert_eq!((bench.statuses(), bench.reason()), (vec![200], Some(CloseReason::Drained)));
    assert!(bench.only_reply().closes() && bench.fate() != Fate::Open);
    bench.restart();

    bench.send("GET / HT");
    bench.drain();
    assert_eq!(bench.fate(), Fate::Open, "a head has begun");
    bench.send("TP/1.1\r\nHost: a\r\n\r\n");
    assert!(bench.only_reply().closes());
    bench.restart();
}

#[test]
fn a_drain_dropped_the_request_of_a_connection_that_was_held() {
    let mut bench = bench();
    bench.set_window(0);
    bench.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").send(GET);
    assert!(bench.is_held() && bench.seen().len() == 1, "the second waits in the socket");
    bench.drain();
    assert_eq!((bench.fate(), bench.reason()), (Fate::Open, None));
    bench.read(usize::MAX);
    check(&bench, &[200, 200], Fate::Lingers, CloseReason::Drained);
    assert!(!bench.replies()[0].closes() || !bench.replies()[1].closes(), "only one reply is the last");
    bench.restart();
}

#[test]
fn half_an_empty_line_held_a_drain_to_its_cut() {
    let mut bench = bench();
    bench.send("\r");
    bench.drain();
    check(&bench, &[], Fate::Lingers, CloseReason::Drained);
    bench.restart();
}

/// All requests come in one read, so that the server knows for each that another one follows. They are of different
/// kinds, because each kind takes another path to its reply.
#[test]
fn a_drain_answered_only_the_first_of_a_pipeline() {
    let kinds = [
        GET,
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    ];
    for request in kinds {
        let mut bench = bench();
        bench.set_draining();
        bench.send(request.repeat(20));
        assert_eq!((bench.statuses(), bench.reason()), (vec![200; 20], Some(CloseReason::Drained)), "{request:?}");
        let closing: Vec<bool> = bench.replies().iter().map(|reply| reply.closes()).collect();
        assert!(closing[19] && !closing[..19].contains(&true), "{request:?}: only the last one says so: {closing:?}");
        bench.restart();
    }
}

#[test]
fn time_in_which_a_handler_blocks_the_loop_does_not_count() {
    let mut bench = Bench::new(Config { keep_alive_timeout: Some(SECOND), ..Config::default() });
    let later = |bench: &mut Bench| {
        let before = bench.deadline();
        let after = bench.block(5 * SECOND).deadline();
        assert_eq!(after, before + 5 * SECOND);
    };
    later(&mut bench);
    for piece in
        ["G", "ET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"]
    {
        bench.restart();
        bench.send(piece);
        later(&mut bench);
    }
    bench.restart();
    bench.set_window(0);
    bench.send(GET);
    later(&mut bench);
    bench.wait(SECOND);
    let deadline = bench.deadline();
    bench.block(5 * SECOND);
    assert_eq!(bench.deadline(), deadline, "it had no turn in the tick that was too long");
    bench.restart();
}

#[test]
fn a_cut_counts_the_connections_that_lose_something() {
    let mut bench = bench();
    bench.drain();
    assert_eq!((bench.fate(), bench.cut()), (Fate::Lingers, 0), "it has only to notice that it is over");
    bench.restart();
    assert_eq!(bench.cut(), 1, "it was told nothing");
    bench.restart();
    bench.set_window(0);
    bench.send("broken\r\n\r\n");
    assert_eq!(bench.cut(), 1, "its reply had not left");
    bench.restart();
}

#[test]
fn an_idle_connection_owns_nothing() {
    let mut bench = bench();
    bench.check_pools();
    bench.send(GET);
    bench.check_pools();
    bench.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx").send("yz");
    bench.check_pools();
    bench.send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r").send("\nxyz\r\n0\r\n\r\n");
    bench.check_pools();
    bench.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nx").send("yz\r\n");
    bench.check_pools();
    assert_eq!(bench.statuses(), [200, 200, 200, 404]);
    bench.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n").send("broken\r\n\r\n").send("more");
    bench.check_pools();
    assert_eq!(bench.fate(), Fate::Lingers);
}

#[test]
fn buffers_come_back_from_wherever_a_connection_is_cut() {
    let whole = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n\
        GET /large HTTP/1.1\r\nHost: a\r\n\r\nPOST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\
            xyzbroken\r\n\r\nmore";
    let mut bench = bench();
    for window in [0, 10, usize::MAX] {
        for at in 0..whole.len() {
            bench.set_window(window);
            bench.send(&whole[..at]).restart();
            bench.set_window(window);
            bench.send(&whole[..at]).fin().restart();
            bench.set_window(window);
            bench.send(&whole[..at]).expire().restart();
        }
    }
    assert!(bench.now() > Moment::ZERO);
}
