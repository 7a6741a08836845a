//! Another protocol on the connection, after a 101.

use std::time::Duration;

use super::bench::{Bench, Fate};
use super::live::Told::{Closed, Data, Drain, End, Writable};
use super::live::{How, NEXT, Told, bench, bench_with};
use super::reader::{Lines, read_all, read_head};
use super::table::After::{Closes, Open};
use super::table::{Row, run_live};
use crate::config::Config;
use crate::exchange::{Admission, CloseReason, Delegate, LiveKey, Nothing};
use crate::limits::HIGH_WATER;
use crate::{Request, Response, Result, Sent};

const SECOND: Duration = Duration::from_secs(1);

const UP: &str = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Splits off the 101 at the front: its field lines, and the bytes after it.
#[track_caller]
fn switched(sent: &[u8]) -> (Lines, &[u8]) {
    let mut rest = sent;
    let (status, reason, fields) = read_head(&mut rest);
    assert_eq!((status, &*reason), (101, "Switching Protocols"));
    (fields, rest)
}

#[track_caller]
fn told(bench: &Bench) -> &[Told] {
    &bench.router.state().live.told
}

#[test]
fn a_request_without_a_valid_offer_is_answered_as_usual() {
    let table: &[Row<'_>] = &[
        ("nothing", b"GET /up HTTP/1.1\r\nHost: a\r\n\r\n", &["426"], Open),
        ("nothing, by HEAD", b"HEAD /up HTTP/1.1\r\nHost: a\r\n\r\n", &["426 "], Open),
        ("nothing, by POST", b"POST /up HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("nothing, by OPTIONS", b"OPTIONS /up HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("no option", b"GET /up HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n", &["426"], Open),
        (
            "another option",
            b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrades\r\nUpgrade: echo\r\n\r\n",
            &["426"],
            Open,
        ),
        ("no Upgrade", b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", &["426"], Open),
        ("another one", b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", &["426"], Open),
        (
            "a longer name",
            b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echoes\r\n\r\n",
            &["426"],
            Open,
        ),
        ("1.0", b"GET /up HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", &["426"], Closes),
        (
            "1.0 with keep-alive",
            b"GET /up HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: echo\r\n\r\n",
            &["426"],
            Open,
        ),
        (
            "content",
            b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi",
            &["426"],
            Open,
        ),
        (
            "content by POST",
            b"POST /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi",
            &["405"],
            Open,
        ),
        ("a handler of its own", b"GET /up/both HTTP/1.1\r\nHost: a\r\n\r\n", &["200 plain"], Open),
        (
            "a handler of its own, and another offer",
            b"GET /up/both HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, tea/1\r\n\r\n",
            &["200 plain"],
            Open,
        ),
        (
            "a handler of its own, and content",
            b"GET /up/both HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 2\r\n\r\nhi",
            &["200 plain"],
            Open,
        ),
        (
            "a handler of its own, and 1.0",
            b"GET /up/both HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
            &["200 plain"],
            Closes,
        ),
        (
            "a refusal",
            b"GET /up HTTP/1.1\r\nHost: a\r\nX-Refuse: yes\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
            &["403"],
            Open,
        ),
        (
            "a middleware that answers",
            b"GET /up HTTP/1.1\r\nHost: a\r\nX-Intercept: stream\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
            &["200 intercepted"],
            Open,
        ),
    ];
    run_live(table);
}

/// A method that `Allow` does not name is not available (RFC 9110 §10.2.1): the route is one for GET.
#[test]
fn a_method_that_is_not_allowed_is_no_offer() {
    let table: &[Row<'_>] = &[
        ("DELETE", b"DELETE /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", &["405"], Open),
        (
            "POST without content",
            b"POST /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nContent-Length: 0\r\n\r\n",
            &["405"],
            Open,
        ),
    ];
    run_live(table);
}

/// RFC 9110 §7.8: "A server MUST NOT switch to a protocol that was not indicated by the client".
#[test]
fn a_handler_cannot_switch_by_itself() {
    let table: &[Row<'_>] = &[
        ("no offer", b"GET /misuse/switch HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open),
        ("1.0", b"GET /misuse/switch HTTP/1.0\r\n\r\n", &["500"], Closes),
    ];
    run_live(table);
}

#[test]
fn a_426_names_the_available_protocol() {
    let mut bench = bench();
    bench.send("GET /up HTTP/1.1\r\nHost: a\r\n\r\n");
    let reply = bench.only_reply();
    let fields = ["Upgrade", "Connection", "X-Kept"].map(|name| reply.field(name));
    assert_eq!(fields, [Some("echo"), Some("upgrade"), Some("by middleware")]);
    bench.restart();
    bench.send("GET /up HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let reply = bench.only_reply();
    let options: Vec<&str> =
        reply.fields.iter().filter(|(name, _)| name == "Connection").map(|(_, value)| &**value).collect();
    assert_eq!((options, reply.closes()), (vec!["upgrade", "close"], true));
    bench.restart();
}

#[test]
fn a_101_names_the_protocol_and_has_no_content() {
    let mut bench = bench();
    for (path, offer, chosen) in [
        ("/up", "echo", "echo"),
        ("/up", "ECHO", "echo"),
        ("/up", "tea/2, echo", "echo"),
        ("/up", "echo/1.1", "echo"),
        ("/up", "x\r\nUpgrade: echo", "echo"),
        ("/up/both", "echo", "echo"),
        ("/up/both", "echo,tea/2", "tea/2"),
        ("/up/both", "tea/1 , echo", "echo"),
        ("/up/length", "echo", "echo"),
    ] {
        bench.send(format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {offer}\r\n\r\n"
        ));
        let (fields, rest) = switched(&bench.sent);
        assert!(rest.is_empty(), "{offer}");
        let all = |name: &str| -> Vec<&str> {
            fields.iter().filter(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| &**value).collect()
        };
        assert_eq!((all("Upgrade"), all("Connection")), (vec![chosen], vec!["upgrade"]), "{path}: {offer}");
        assert_eq!((all("X-Kept"), all("X-Up")), (vec!["by middleware"], vec!["yes"]), "{path}: {offer}");
        assert_eq!((all("Date").len(), all("Server").len()), (1, 1));
        // RFC 9110 §8.6: a server must not send Content-Length in a response with a status code of 1xx.
        assert_eq!(
            all("Content-Length").len() + all("Transfer-Encoding").len() + all("Content-Type").len(),
            0,
            "{path}"
        );
        bench.restart();
    }
}

#[test]
fn the_bytes_after_the_head_belong_to_the_protocol() {
    let input = [NEXT, UP, "one\ntwo\nGET / HTTP/1.1\n\r\n"].concat();
    let mut bench = bench();
    for cut in 0..=input.len() {
        for fin in [false, true] {
            let (front, back) = input.split_at(cut);
            bench.send(front).send(back);
            if fin {
                bench.fin();
            }
            let at = bench.sent.windows(12).position(|window| window == b"HTTP/1.1 101").unwrap();
            assert_eq!(read_all(&bench.sent[..at], |_| false)[0].text(), "hello");
            let (_, rest) = switched(&bench.sent[at..]);
            assert_eq!(rest, b"one\ntwo\nGET / HTTP/1.1\n\r\n", "cut at {cut}");
            assert_eq!((bench.fate() == Fate::Closed, told(&bench)[0].clone()), (fin, Writable), "cut at {cut}");
            bench.restart();
        }
    }
    bench.send("").restart();
    for byte in input.as_bytes() {
        bench.send([*byte]);
    }
    assert!(bench.sent.ends_with(b"\r\n\r\none\ntwo\nGET / HTTP/1.1\n\r\n"));
    bench.restart();
}

#[test]
fn bytes_that_are_not_consumed_are_given_again_with_those_that_follow() {
    let mut bench = bench();
    bench.send(UP).send("on").send("e\ntw").turn().turn();
    let data = [&b"on"[..], b"one\ntw", b"tw"].map(|bytes| Data(bytes.to_vec()));
    let given: Vec<Told> = told(&bench).iter().filter(|told| matches!(told, Data(_))).cloned().collect();
    assert_eq!(given, data, "at once only while some of it is understood");
    bench.restart();
    let mut bench = bench_with(Config { max_head: 400, ..Config::default() });
    bench.send(UP).send([b'x'; 399]);
    assert_eq!(bench.fate(), Fate::Open);
    bench.send("x");
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::ProtocolFailed)));
    bench.restart();
}

#[test]
fn a_protocol_is_told_of_its_end_once_and_last() {
    let all: [(&str, How, CloseReason, bool); 8] = [
        ("by itself", |bench| _ = bench.send("close\nmore\n"), CloseReason::ProtocolEnded, false),
        ("an error", |bench| _ = bench.send("fail\n"), CloseReason::ProtocolFailed, false),
        ("a panic", |bench| _ = bench.send("panic\n"), CloseReason::ProtocolFailed, false),
        ("FIN", |bench| _ = bench.fin(), CloseReason::ProtocolEnded, true),
        ("a reset", |bench| _ = bench.reset(), CloseReason::SocketError, false),
        ("silence", |bench| _ = bench.wait(31 * SECOND), CloseReason::IdleTimeout, false),
        ("the cut", |bench| _ = bench.cut(), CloseReason::Cut, false),
        ("the drain", |bench| _ = bench.drain(), CloseReason::ProtocolEnded, false),
    ];
    for (name, how, reason, ends) in all {
        let mut bench = bench();
        bench.send(UP).send("hello\n");
        how(&mut bench);
        bench.turn();
        assert_eq!(told(&bench).last(), Some(&Closed(reason)), "{name}");
        assert_eq!(told(&bench).contains(&End), ends, "{name}");
        let (_, rest) = switched(&bench.sent);
        let drained: &[u8] = if name == "the drain" { b"hello\ndrained\n" } else { b"hello\n" };
        assert_eq!(rest, drained, "{name}: bytes after the end are not parsed");
        bench.wait(40 * SECOND);
        let closed = told(&bench).iter().filter(|told| matches!(told, Closed(_))).count();
        assert_eq!((closed, bench.fate()), (1, Fate::Closed), "{name}");
        bench.restart();
    }
}

#[test]
fn the_idle_timeout_holds_and_can_be_set() {
    let mut bench = bench();
    bench.send(UP);
    for _ in 0..3 {
        bench.wait(29 * SECOND).send("x\n");
        assert_eq!(bench.fate(), Fate::Open);
    }
    bench.send("patience\n").wait(89 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(2 * SECOND);
    assert_eq!(bench.reason(), Some(CloseReason::IdleTimeout));
    bench.restart();
}

#[test]
fn a_client_that_does_not_read_is_not_read() {
    let mut bench = bench_with(Config { max_response_buffer: 4000, ..Config::default() });
    bench.send(UP).set_window(0);
    let head = bench.sent.len();
    let lines = [&[b'x'; 999][..], b"\n"].concat();
    let all = lines.repeat(500);
    bench.send(&all);
    assert!(bench.is_held() && bench.unread() > 300_000, "{} bytes are left", bench.unread());
    let asked = told(&bench).iter().filter(|told| **told == Writable).count();
    let mut rounds = 0;
    while bench.sent.len() < head + all.len() {
        let before = bench.sent.len();
        bench.read(10_000);
        assert!(bench.sent.len() > before, "it stops at {before}");
        let memory: usize = bench.held_memory().iter().sum();
        assert!(memory < 4 * HIGH_WATER, "{memory} bytes of memory");
        bench.router.state_mut().live.told.retain(|told| *told == Writable);
        rounds += 1;
    }
    assert!(rounds > 40 && bench.sent[head..] == all);
    assert!(told(&bench).iter().filter(|told| **told == Writable).count() > asked, "it was never told of room");
    bench.restart();
}

#[test]
fn a_waker_calls_the_protocol_while_it_lives() {
    let mut bench = bench();
    bench.send([UP, "x\n"].concat());
    bench.router.state_mut().live.told.retain(|told| *told == Writable);
    assert_eq!(told(&bench), [Writable]);
    let waker = bench.router.state().live.wakers[0].clone();
    std::thread::spawn(move || waker.wake()).join().unwrap();
    bench.turn();
    assert_eq!(told(&bench), [Writable, Writable]);
    bench.router.state_mut().live.stays = true;
    bench.fin();
    bench.router.state().live.wakers[0].wake();
    bench.turn();
    assert_eq!(told(&bench)[2..], [End, Writable]);
    assert_eq!(bench.fate(), Fate::Open, "our side is open still");
    let late = bench.router.state().live.wakers[0].clone();
    bench.reset().restart();
    bench.send([UP, "x\n"].concat());
    let before = told(&bench).len();
    late.wake();
    bench.turn();
    assert_eq!(told(&bench).len(), before, "the slot is another's");
    bench.restart();
}

/// [`Protocol::on_writable`](crate::exchange::Protocol::on_writable) is called at the beginning. In some protocols the
/// server speaks first, and there the protocol gets its waker.
#[test]
fn a_protocol_is_told_of_room_at_the_beginning_although_the_client_says_nothing() {
    let mut bench = bench();
    bench.send(UP);
    assert_eq!(told(&bench), [Writable]);
    bench.restart();
    for byte in UP.as_bytes() {
        bench.send([*byte]);
    }
    assert_eq!(told(&bench), [Writable]);
    bench.restart();
}

#[test]
fn a_server_that_drains_still_switches_and_says_so_at_once() {
    let mut bench = bench();
    bench.set_draining();
    bench.send(UP);
    let (_, rest) = switched(&bench.sent);
    assert_eq!(rest, b"drained\n");
    assert_eq!(told(&bench)[..2], [Writable, Drain]);
    bench.restart();
}

#[test]
fn an_idle_protocol_keeps_no_buffer() {
    let mut bench = bench();
    bench.send(UP).send("hello\n");
    assert_eq!(bench.held_memory(), [0; 3]);
    bench.send("half");
    assert!(bench.held_memory()[0] > 0);
    bench.restart();
}

/// A service that names a protocol and does not switch to it.
#[derive(Default)]
struct Undecided(Vec<super::app::Seen>, usize, Nothing);

impl Delegate for Undecided {
    type Inner = Nothing;

    fn inner(&mut self) -> &mut Nothing {
        &mut self.2
    }

    fn admit(&mut self, _: &Request<'_>) -> Admission {
        Admission::Upgrade
    }

    fn call(&mut self, _: Request<'_>, response: Response<'_>) -> Result<Sent> {
        response.text("called")
    }

    fn upgrade(&mut self, _: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        Ok((response.text("not now")?, Some(LiveKey(7))))
    }

    fn protocol_closed(&mut self, _: LiveKey, _: CloseReason) {
        self.1 += 1;
    }
}

impl super::app::Witness for Undecided {
    fn seen(&self) -> &[super::app::Seen] {
        &self.0
    }

    fn forget(&mut self) {}
}

#[test]
fn a_service_may_name_a_protocol_and_answer_otherwise() {
    let mut bench = Bench::of(Undecided::default(), Config::default());
    // The head comes in two pieces, so the server has searched it once before.
    bench.send(&UP[..60]).send(&UP[60..]).send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let texts: Vec<String> = bench.replies().iter().map(|reply| reply.text()).collect();
    assert_eq!((texts, bench.router.1), (vec!["not now".to_owned(), "called".to_owned()], 1));
    bench.restart();
}
