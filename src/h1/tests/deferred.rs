//! Replies that another thread gives, and what the observer is told of all replies.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::bench::{Bench, Fate};
use super::live::{bench, bench_with};
use super::reader::read_all;
use super::table::After::{Closes, Open};
use super::table::{Row, run_live};
use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, FinishedReply, Observer, Responder, Timeout};
use crate::limits::HIGH_WATER;
use crate::middleware::Cors;
use crate::{Error, Request, Router, TestClient};

const SECOND: Duration = Duration::from_secs(1);

/// Gives a reply.
type Give = fn(Responder);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Takes the oldest responder that was not used yet.
#[track_caller]
fn responder(bench: &mut Bench) -> Responder {
    bench.router.state_mut().live.responders.pop_front().expect("a request was deferred")
}

#[test]
fn a_deferred_reply_may_be_given_at_once() {
    let table: &[Row<'_>] = &[
        ("an answer", b"GET /defer/at-once HTTP/1.1\r\nHost: a\r\n\r\n", &["200 at once"], Open),
        ("to HEAD", b"HEAD /defer/at-once HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("to 1.0", b"GET /defer/at-once HTTP/1.0\r\n\r\n", &["200 at once"], Closes),
        (
            "to 1.0 with keep-alive",
            b"GET /defer/at-once HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            &["200 at once"],
            Open,
        ),
        ("none", b"GET /defer/dropped HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open),
        ("an error of the handler", b"GET /defer/fails HTTP/1.1\r\nHost: a\r\n\r\n", &["409"], Open),
        (
            "two and another",
            b"GET /defer/at-once HTTP/1.1\r\nHost: a\r\n\r\nGET /defer/dropped HTTP/1.1\r\nHost: a\r\n\r\n\
            GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 at once", "500", "200 hello"],
            Open,
        ),
        (
            "a client that closes",
            b"GET /defer/at-once HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            &["200 at once"],
            Closes,
        ),
    ];
    run_live(table);
}

#[test]
fn a_reply_from_another_thread_has_the_fields_that_were_set_before() {
    let mut bench = bench();
    bench.send(get("/defer"));
    assert!(bench.sent.is_empty() && bench.fate() == Fate::Open);
    let responder = responder(&mut bench);
    assert!(!responder.is_cancelled() && !responder.is_half_closed());
    std::thread::spawn(move || responder.respond(|res| res.status(201).text("made"))).join().unwrap();
    bench.turn();
    let reply = bench.only_reply();
    assert_eq!((reply.status, &*reply.text()), (201, "made"));
    assert_eq!((reply.field("X-Kept"), reply.field("X-Handler")), (Some("by middleware"), Some("set before")));
    bench.restart();
}

#[test]
fn a_responder_can_give_any_kind_of_reply() {
    let answers: [(&str, Give, u16, &str); 7] = [
        ("text", |responder| responder.text("t"), 200, "t"),
        ("bytes", |responder| responder.send(b"b".to_vec()), 200, "b"),
        ("json", |responder| responder.json(&["j"]), 200, "[\"j\"]"),
        ("an error", |responder| responder.error(Error::not_found("No")), 404, "{\"error\":\"No\"}"),
        ("a returned error", |responder| responder.respond(|_| Err(Error::new(409, "No"))), 409, "{\"error\":\"No\"}"),
        (
            "a panic",
            |responder| responder.respond(|_| panic!("as asked")),
            500,
            "{\"error\":\"Internal server error\"}",
        ),
        ("none", drop, 500, "{\"error\":\"Internal server error\"}"),
    ];
    for (name, answer, status, text) in answers {
        let mut bench = bench();
        bench.send([get("/defer"), get("/")].concat());
        let responder = responder(&mut bench);
        answer(responder);
        bench.turn();
        let replies = bench.replies();
        assert_eq!((replies[0].status, &*replies[0].text()), (status, text), "{name}");
        assert_eq!(replies[0].field("X-Kept"), Some("by middleware"), "{name}");
        // As with a handler, only a panic ends the connection.
        assert_eq!((replies.len() == 1, replies[0].closes()), (name == "a panic", name == "a panic"), "{name}");
        bench.restart();
    }
}

#[test]
fn a_deferred_reply_can_be_deferred_again_or_streamed() {
    let mut bench = bench();
    bench.send([get("/defer"), get("/")].concat());
    let (tell, told) = std::sync::mpsc::channel();
    responder(&mut bench).respond(move |res| {
        let (sent, responder) = res.header("X-Second", "set").defer();
        tell.send(responder).unwrap();
        Ok(sent)
    });
    bench.turn();
    assert!(bench.sent.is_empty());
    let sender = told.recv().unwrap().channel(|res| res.status(202));
    sender.send("pushed").unwrap();
    bench.turn();
    assert!(bench.sent.ends_with(b"6\r\npushed\r\n"));
    sender.finish();
    bench.turn();
    let replies = bench.replies();
    assert_eq!((replies[0].status, &*replies[0].text(), replies[0].field("X-Second")), (202, "pushed", Some("set")));
    assert_eq!(replies[1].text(), "hello");
    bench.restart();
}

#[test]
fn later_requests_wait_and_keep_their_order() {
    let mut bench = bench();
    bench.send([get("/users/1"), get("/defer"), get("/users/2"), get("/defer"), get("/users/3")].concat());
    assert_eq!((bench.statuses().len(), bench.seen().len()), (1, 2), "the requests after it are not even parsed");
    // The server does not read further requests either.
    bench.send(vec![b'x'; 100_000]);
    assert_eq!(bench.unread(), 100_000);
    responder(&mut bench).text("first");
    bench.turn();
    assert_eq!(bench.seen().len(), 4);
    responder(&mut bench).text("second");
    bench.turn();
    let texts: Vec<String> = bench.replies().iter().take(5).map(|reply| reply.text()).collect();
    assert_eq!(texts, ["user 1", "first", "user 2", "second", "user 3"]);
    bench.restart();
}

#[test]
fn a_reply_that_does_not_come_in_time_is_a_503() {
    let mut bench = bench();
    bench.send([get("/defer"), get("/")].concat()).wait(59 * SECOND);
    assert!(bench.sent.is_empty() && bench.fate() == Fate::Open);
    let responder = responder(&mut bench);
    let called = call_counter(&responder);
    bench.wait(2 * SECOND);
    let reply = bench.only_reply();
    assert_eq!((reply.status, reply.closes(), reply.field("X-Kept")), (503, true, Some("by middleware")));
    assert_eq!((bench.reason(), responder.is_cancelled()), (Some(CloseReason::ReplyTimeout), true));
    assert_eq!(called.load(Ordering::SeqCst), 1);
    responder.text("too late");
    bench.turn();
    assert_eq!(bench.statuses(), [503]);
    bench.restart();
}

/// How often `on_cancel` is called.
fn call_counter(responder: &Responder) -> Arc<AtomicUsize> {
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    responder.on_cancel(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    called
}

#[test]
fn a_reset_cancels_and_a_half_close_does_not() {
    let mut bench = bench();
    bench.send(get("/defer"));
    let first = responder(&mut bench);
    let called = call_counter(&first);
    bench.reset();
    assert_eq!((bench.fate(), first.is_cancelled(), called.load(Ordering::SeqCst)), (Fate::Closed, true, 1));
    first.text("too late");
    bench.turn().restart();

    bench.send(get("/defer")).fin();
    let second = responder(&mut bench);
    let called = call_counter(&second);
    assert_eq!((bench.fate(), second.is_cancelled(), second.is_half_closed()), (Fate::Open, false, true));
    second.text("in time");
    bench.turn();
    assert_eq!((bench.only_reply().text(), bench.fate()), ("in time".to_owned(), Fate::Closed));
    assert_eq!(called.load(Ordering::SeqCst), 0, "an answer that was given is not cancelled");
    bench.restart();
}

#[test]
fn a_half_close_that_comes_with_the_request_is_noticed() {
    let mut bench = bench();
    bench.send_last(get("/defer"));
    let responder = responder(&mut bench);
    assert!(!responder.is_cancelled() && responder.is_half_closed());
    responder.text("in time");
    bench.turn();
    assert_eq!((bench.only_reply().text(), bench.fate()), ("in time".to_owned(), Fate::Closed));
    bench.restart();
}

#[test]
fn a_late_reply_reaches_no_other_client() {
    let mut bench = bench();
    // Another connection has taken the slot.
    bench.send(get("/defer"));
    let late = responder(&mut bench);
    bench.reset().restart();
    bench.send(get("/defer"));
    late.text("to another connection");
    bench.turn();
    assert!(bench.sent.is_empty());
    responder(&mut bench).text("mine");
    bench.turn();
    assert_eq!(bench.only_reply().text(), "mine");
    bench.restart();
    // The same connection has another exchange now.
    bench.send([get("/defer/fails"), get("/defer")].concat());
    let late = responder(&mut bench);
    assert!(late.is_cancelled());
    late.text("to another exchange");
    bench.turn();
    assert_eq!(bench.statuses(), [409]);
    responder(&mut bench).text("mine");
    bench.turn();
    assert_eq!(bench.replies()[1].text(), "mine");
    bench.restart();
}

#[test]
fn the_connection_ends_as_it_would_without_the_delay() {
    let close = "GET /defer HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let keeps = "GET /defer HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    for (request, closes, reason) in [
        (close, true, Some(CloseReason::NotPersistent)),
        ("GET /defer HTTP/1.0\r\n\r\n", true, Some(CloseReason::NotPersistent)),
        (keeps, false, None),
        (&get("/defer/close"), true, Some(CloseReason::HandlerClosed)),
    ] {
        let mut bench = bench();
        bench.send(request);
        responder(&mut bench).text("x");
        bench.turn();
        let reply = bench.only_reply();
        assert_eq!((reply.closes(), bench.reason()), (closes, reason), "{request}");
        assert_eq!(reply.field("Keep-Alive"), (request == keeps).then_some("timeout=30"));
        assert_eq!(bench.fate(), if closes { Fate::Closed } else { Fate::Open }, "{request}");
        bench.restart();
    }
    let mut bench = bench();
    bench.send(get("/defer")).drain();
    assert_eq!(bench.fate(), Fate::Open, "what is in flight is finished");
    responder(&mut bench).text("x");
    bench.turn();
    assert_eq!((bench.only_reply().closes(), bench.reason()), (true, Some(CloseReason::Drained)));
    bench.restart();
}

#[test]
fn a_connection_that_waits_does_not_idle_out_and_keeps_no_memory() {
    let mut bench = bench_with(Config { idle_timeout: SECOND, reply_timeout: 20 * SECOND, ..Config::default() });
    // The second connection gets a buffer that was used before.
    bench.send(get("/defer/at-once")).send(get("/defer")).wait(19 * SECOND);
    assert_eq!((bench.fate(), bench.held_memory()), (Fate::Open, [0; 3]));
    responder(&mut bench).send(vec![b'x'; 2 * HIGH_WATER]);
    bench.turn();
    assert_eq!(bench.replies()[1].content.len(), 2 * HIGH_WATER);
    bench.wait(2 * SECOND);
    assert_eq!(bench.reason(), Some(CloseReason::IdleTimeout));
    bench.restart();
}

#[test]
fn a_reply_to_unwanted_content_may_be_deferred_too() {
    for (fields, content, closes) in [
        ("Content-Length: 18", "GET / HTTP/1.1\r\n\r\n", false),
        ("Transfer-Encoding: chunked", "GET /users/7 HTTP/1.1\r\nHost: a\r\n\r\n", true),
    ] {
        for path in ["/sink", "/nowhere"] {
            let mut bench = bench();
            bench.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nX-Intercept: wait\r\n{fields}\r\n\r\n{content}"));
            assert!(bench.sent.is_empty());
            responder(&mut bench).text("waited");
            bench.turn().send(get("/users/8"));
            let replies = bench.replies();
            assert_eq!((&*replies[0].text(), replies[0].closes()), ("waited", closes), "{path}, {fields}");
            assert_eq!(replies.len(), if closes { 1 } else { 2 }, "{path}, {fields}");
            bench.restart();
        }
    }
}

/// Each request gets its reply.
#[test]
fn a_fin_within_unwanted_content_is_answered() {
    let mut bench = bench();
    bench.send("POST /nowhere HTTP/1.1\r\nHost: a\r\nX-Intercept: wait\r\nContent-Length: 9\r\n\r\nhalf").fin();
    if bench.fate() == Fate::Open {
        responder(&mut bench).text("waited");
        bench.turn();
    }
    assert_eq!(bench.statuses().len(), 1);
    bench.restart();
}

#[test]
fn a_channel_without_a_client_is_closed() {
    let mut bench = bench();
    bench.send(get("/defer"));
    let first = responder(&mut bench);
    bench.reset();
    let sender = first.channel(|res| res);
    bench.turn();
    assert!(sender.is_closed());
    bench.restart();
    bench.send("HEAD /defer HTTP/1.1\r\nHost: a\r\n\r\n");
    let sender = responder(&mut bench).channel(|res| res);
    bench.turn();
    assert!(sender.is_closed() && bench.statuses() == [200]);
    bench.restart();
}

/// RFC 9112 §8: a client that gets only the beginning of a reply must be able to notice that.
#[test]
fn a_stream_that_fin_cuts_short_does_not_look_whole() {
    let mut bench = bench();
    bench.send("POST /nowhere HTTP/1.0\r\nX-Intercept: channel\r\nContent-Length: 9\r\n\r\nhalf");
    bench.router.state().live.senders[0].send("half of it").unwrap();
    bench.turn().fin();
    assert!(bench.was_reset() || bench.fate() == Fate::Open, "{:?}", bench.reason());
    bench.restart();
}

#[test]
fn hints_leave_at_once_and_never_to_1_0() {
    let mut bench = bench();
    bench.send(get("/defer"));
    let first = responder(&mut bench);
    first.early_hints([("Link", "</a.css>")]).unwrap();
    bench.turn();
    assert_eq!(bench.sent, b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
    assert!(first.early_hints([("Link", "a\nb")]).is_err() && first.early_hints([("Content-Length", "1")]).is_err());
    first.early_hints([("Link", "</b.css>")]).unwrap();
    first.text("hinted");
    bench.turn();
    let reply = bench.only_reply();
    assert_eq!((reply.hints.len(), &*reply.text()), (2, "hinted"));
    bench.restart();
    bench.send("GET /defer HTTP/1.0\r\n\r\n");
    let old = responder(&mut bench);
    old.early_hints([("Link", "</a.css>")]).unwrap();
    bench.turn();
    assert!(bench.sent.is_empty());
    old.text("x");
    bench.turn();
    assert!(bench.only_reply().hints.is_empty());
    bench.restart();
}

#[test]
fn a_deferred_reply_has_the_fields_of_cors_too() {
    let mut app = Router::new(Vec::new());
    app.with(Cors::any().middleware());
    app.get("/", |waiting: &mut Vec<Responder>, _, res| {
        let (sent, responder) = res.defer();
        waiting.push(responder);
        Ok(sent)
    });
    for fails in [false, true] {
        let mut client = TestClient::new(&mut app);
        client.write("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n");
        let responder = client.app_mut().state_mut().pop().unwrap();
        if fails {
            drop(responder)
        } else {
            responder.text("x")
        }
        let reply = client.set_window(usize::MAX).read_reply().unwrap();
        assert_eq!(reply.header("Access-Control-Allow-Origin"), Some("*"), "{}", reply.status());
    }
}

// ---- the observer -----------------------------------------------------------------------------------------------

#[derive(Clone, Default)]
struct Ear(Rc<RefCell<Vec<String>>>);

impl Ear {
    fn note(&self, text: String) {
        self.0.borrow_mut().push(text);
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

impl Observer for Ear {
    fn request(&mut self, _: ConnectionId, request: &Request<'_>) {
        self.note(format!("{} {}", request.method(), request.path()));
    }

    fn reply_finished(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        self.note(format!("{} with {}", reply.status, reply.content));
    }

    fn upgraded(&mut self, _: ConnectionId) {
        self.note("upgraded".to_owned());
    }

    fn request_failed(&mut self, _: ConnectionId, error: &Error) {
        self.note(format!("failed: {}", error.status()));
    }

    fn timed_out(&mut self, _: ConnectionId, timeout: Timeout) {
        self.note(format!("{timeout:?}"));
    }
}

#[test]
fn the_observer_is_told_of_each_request_and_of_the_end_of_each_reply() {
    let post = |path: &str, content: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len())
    };
    let chunked =
        |content: &str| format!("POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{content}");
    let up = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n";
    let all: &[(String, &[&str])] = &[
        (get("/stream"), &["GET /stream", "200 with 13"]),
        (get("/stream/known"), &["GET /stream/known", "200 with 11"]),
        (get("/stream/large"), &["GET /stream/large", "200 with 106386"]),
        ("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), &["HEAD /stream", "200 with 0"]),
        (get("/stream/204"), &["GET /stream/204", "204 with 0"]),
        (get("/hints"), &["GET /hints", "200 with 6"]),
        (get("/fault/error"), &["GET /fault/error", "failed: 500"]),
        (get("/defer/at-once"), &["GET /defer/at-once", "200 with 7"]),
        (get("/defer/dropped"), &["GET /defer/dropped", "failed: 500", "500 with 33"]),
        (post("/sink", "hello"), &["POST /sink", "200 with 5"]),
        (post("/sink", "hel!o"), &["POST /sink", "failed: 409", "409 with 20"]),
        (chunked("zz"), &["POST /sink", "failed: 400", "400 with 34"]),
        (post("/sink/refuses", "hello"), &["POST /sink/refuses", "failed: 415", "415 with 20"]),
        (post("/sink/small", "123456789"), &["POST /sink/small", "failed: 413", "413 with 29"]),
        (post("/duplex", "hello"), &["POST /duplex", "200 with 5"]),
        (post("/duplex/early", "hello"), &["POST /duplex/early", "200 with 5"]),
        (format!("{up}\r\nhello\n"), &["GET /up", "upgraded", "101 with 0"]),
        (format!("{up}X-Refuse: yes\r\n\r\n"), &["GET /up", "failed: 403", "403 with 19"]),
    ];
    for (request, expected) in all {
        let ear = Ear::default();
        let mut bench = bench();
        bench.watch(ear.clone()).send(request);
        let mut heard = ear.heard();
        // The text of a protocol error does not matter here.
        heard.iter_mut().filter(|line| line.starts_with("400 with")).for_each(|line| *line = "400 with 34".to_owned());
        heard.iter_mut().filter(|line| line.starts_with("413 with")).for_each(|line| *line = "413 with 29".to_owned());
        assert_eq!(heard, *expected, "{request}");
        bench.restart();
        assert!(ear.heard().is_empty(), "{request}");
    }
}

#[test]
fn a_reply_is_finished_with_its_last_byte_and_not_before() {
    let expects = "POST /duplex/early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    for request in [get("/stream"), get("/stream/large"), get("/hints"), get("/defer/at-once"), expects.to_owned()] {
        let mut bench = bench();
        bench.send(&request);
        let len = bench.sent.len();
        bench.restart();
        let ear = Ear::default();
        bench.watch(ear.clone()).set_window(len - 1).send(&request);
        bench.turn();
        assert_eq!((bench.sent.len(), ear.heard().len()), (len - 1, 1), "{request}");
        bench.read(1);
        let heard = ear.heard();
        let content = read_all(&bench.sent, |_| false)[0].content.len();
        assert_eq!(heard, [format!("200 with {content}")], "{request}");
        bench.restart();
    }
}
