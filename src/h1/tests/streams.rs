//! Replies whose content is produced while it is sent, and the interim replies before them.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::app::Witness;
use super::bench::{Bench, Fate};
use super::live::{bench, from_fn};
use super::reader::{read_head, read_to_end};
use super::table::After::{Closes, Open};
use super::table::{Row, run_live};
use crate::config::Config;
use crate::exchange::{BodySource, Chunk, CloseReason, Progress, SendError, ServiceFn, service_fn};
use crate::limits::{CHANNEL_BYTES, HIGH_WATER};
use crate::{Request, Response, Result, Sent};

const SECOND: Duration = Duration::from_secs(1);

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_stream_comes_whole_with_and_without_a_length() {
    let table: &[Row<'_>] = &[
        ("pieces", b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n", &["200 one two three"], Open),
        ("a known length", b"GET /stream/known HTTP/1.1\r\nHost: a\r\n\r\n", &["200 hello world"], Open),
        ("a length that the handler claims", b"GET /stream/claimed HTTP/1.1\r\nHost: a\r\n\r\n", &["200 hello"], Open),
        ("a length that both claim", b"GET /stream/agreed HTTP/1.1\r\nHost: a\r\n\r\n", &["200 hi"], Open),
        ("two lengths", b"GET /stream/contradicted HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open),
        ("nothing", b"GET /stream/nothing HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("nothing, announced", b"GET /stream/nothing/known HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("a reader", b"GET /stream/reader HTTP/1.1\r\nHost: a\r\n\r\n", &["200 a reader's"], Open),
        ("a reader that has more", b"GET /stream/reader/known HTTP/1.1\r\nHost: a\r\n\r\n", &["200 hello"], Open),
        ("a handler that closes", b"GET /stream/close HTTP/1.1\r\nHost: a\r\n\r\n", &["200 bye"], Closes),
        ("a client that closes", b"GET /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["200"], Closes),
        (
            "of buffered content",
            b"POST /stream/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        ("204", b"GET /stream/204 HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("205", b"GET /stream/205 HTTP/1.1\r\nHost: a\r\n\r\n", &["205 "], Open),
        ("304", b"GET /stream/304 HTTP/1.1\r\nHost: a\r\n\r\n", &["304 "], Open),
        ("HEAD, from GET", b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("HEAD, from GET, known", b"HEAD /stream/known HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("a HEAD with a route for HEAD", b"HEAD /stream/head HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        (
            "1.0, with a length",
            b"GET /stream/known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            &["200 hello world"],
            Open,
        ),
        ("1.0, with a length, once", b"GET /stream/known HTTP/1.0\r\n\r\n", &["200 hello world"], Closes),
        (
            "two in a pipeline",
            b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\nGET /stream/known HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 one two three", "200 hello world"],
            Open,
        ),
        ("hints", b"GET /hints HTTP/1.1\r\nHost: a\r\n\r\n", &["200 hinted"], Open),
        ("hints and then an error", b"GET /hints/fail HTTP/1.1\r\nHost: a\r\n\r\n", &["409"], Open),
        ("a line break in a hint", b"GET /hints/inject HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open),
        ("a length in a hint", b"GET /hints/length HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open),
    ];
    run_live(table);
}

/// RFC 9110 §15.3.6, §8.6: a 205 has no content. A client that believes a length in it would swallow the next reply.
#[test]
fn a_205_never_announces_content() {
    let table: &[Row<'_>] = &[("205, claimed", b"GET /stream/205/claimed HTTP/1.1\r\nHost: a\r\n\r\n", &["500"], Open)];
    run_live(table);
}

#[test]
fn the_head_says_how_the_content_is_framed() {
    let mut bench = bench();
    for (path, length, coding, content_type) in [
        ("/stream", None, Some("chunked"), Some("application/octet-stream")),
        ("/stream/known", Some("11"), None, Some("application/octet-stream")),
        ("/stream/claimed", Some("5"), None, Some("application/octet-stream")),
        ("/stream/typed", None, Some("chunked"), Some("text/x")),
        ("/stream/204", None, None, None),
        ("/stream/304", None, None, None),
        ("/stream/205", Some("0"), None, None),
    ] {
        bench.send(get(path));
        let reply = bench.only_reply();
        let fields = ["Content-Length", "Transfer-Encoding", "Content-Type"].map(|name| reply.field(name));
        assert_eq!(fields, [length, coding, content_type], "{path}");
        assert_eq!(reply.field("X-Kept"), Some("by middleware"), "{path}");
        bench.restart();
        // RFC 9110 §9.3.2: a reply to HEAD has the same fields as one to GET.
        bench.send(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let head = bench.only_reply();
        assert_eq!((head.fields, head.content.len()), (reply.fields, 0), "{path}");
        bench.restart();
    }
}

#[test]
fn pieces_become_chunks_and_none_of_them_is_empty() {
    let mut bench = bench();
    bench.send(get("/stream/large"));
    let reply = bench.only_reply();
    assert_eq!(reply.chunks, Some(vec![70_000, 20_000, 1, 16_384, 1]));
    let lens = [(b'a', 70_000), (b'b', 20_000), (b'c', 1), (b'd', 16_384), (b'e', 1)];
    let expected: Vec<u8> = lens.iter().flat_map(|&(byte, len)| vec![byte; len]).collect();
    assert!(reply.content == expected);
    bench.restart();
}

#[test]
fn a_client_of_1_0_gets_no_chunks_and_no_hints() {
    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut bench = bench();
        bench.send(format!("GET /stream HTTP/1.0\r\n{connection}TE: trailers\r\n\r\n"));
        let reply = read_to_end(&bench.sent);
        assert_eq!((reply.status, &*reply.text()), (200, "one two three"));
        assert_eq!((bench.fate(), bench.was_reset()), (Fate::Closed, false));
        bench.restart();
        bench.send(format!("GET /hints HTTP/1.0\r\n{connection}\r\n"));
        assert!(bench.only_reply().hints.is_empty());
        bench.restart();
    }
}

#[test]
fn trailers_go_only_to_clients_that_ask_for_them() {
    for (te, comes) in [
        ("", false),
        ("TE: trailers\r\n", true),
        ("TE: gzip;q=0.5, Trailers\r\n", true),
        ("TE: gzip\r\n", false),
        ("TE: trailersx\r\n", false),
        ("TE: \r\n", false),
    ] {
        let mut bench = bench();
        bench.send(format!("GET /stream/trailers HTTP/1.1\r\nHost: a\r\nConnection: TE\r\n{te}\r\n"));
        let reply = bench.only_reply();
        let trailers = if comes { vec![("X-Checksum".to_owned(), "4711".to_owned())] } else { Vec::new() };
        assert_eq!((&*reply.text(), reply.trailers), ("content", trailers), "{te:?}");
        bench.restart();
    }
}

#[test]
fn hints_come_before_the_reply_and_survive_its_error() {
    let mut bench = bench();
    bench.send(get("/hints")).send(get("/hints/fail"));
    let replies = bench.replies();
    let link = |value: &str| vec![("Link".to_owned(), value.to_owned())];
    assert_eq!(replies[0].hints, [link("</a.css>; rel=preload"), link("</b.css>")]);
    assert_eq!(replies[1].hints, [link("</a.css>")]);
    assert_eq!((replies[1].status, replies[1].field("X-Lost")), (409, None));
    bench.restart();
}

#[test]
fn a_source_that_fails_aborts_the_connection_before_the_final_chunk() {
    for path in ["error", "less", "more", "claimed", "trailer", "dropped", "panic"] {
        for version in ["1.0", "1.1"] {
            let mut bench = bench();
            // The request that follows is never answered.
            bench.send(format!("GET /fault/{path} HTTP/{version}\r\nHost: a\r\n\r\n{}", get("/")));
            let mut sent = &bench.sent[..];
            let (status, _, fields) = read_head(&mut sent);
            assert_eq!(status, 200, "{path}");
            assert!(!sent.ends_with(b"0\r\n\r\n"), "{path}: {}", sent.escape_ascii());
            if let Some((_, length)) = fields.iter().find(|(name, _)| name == "Content-Length") {
                assert!(sent.len() < length.parse().unwrap(), "{path}");
            }
            assert_eq!(bench.fate(), Fate::Closed, "{path}");
            assert_eq!(bench.reason(), Some(CloseReason::StreamFailed), "{path}");
            assert!(bench.was_reset(), "{path}: what was sent may look like all of it");
            bench.restart();
        }
    }
}

/// A source that never ends, and counts its bytes.
struct Counter(Rc<Cell<usize>>);

impl BodySource for Counter {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        assert!(out.wanted() > 0, "it is asked though nothing is wanted");
        out.push(&[b'x'; 1000]);
        self.0.set(self.0.get() + 1000);
        Ok(Progress::More)
    }
}

impl<F: FnMut(&Request<'_>, Response<'_>) -> Result<Sent>> Witness for ServiceFn<F> {
    fn seen(&self) -> &[super::app::Seen] {
        &[]
    }

    fn forget(&mut self) {}
}

#[test]
fn a_source_is_asked_only_while_the_client_takes() {
    let given = Rc::new(Cell::new(0));
    let counted = Rc::clone(&given);
    let mut bench = Bench::of(
        service_fn(move |_: &Request<'_>, res: Response<'_>| res.stream(Counter(Rc::clone(&counted)))),
        live_config(),
    );
    bench.set_window(0).send(get("/"));
    assert!(given.get() <= HIGH_WATER + 1000 && bench.is_held(), "{} bytes", given.get());
    for _ in 0..50 {
        bench.read(10_000).wait(SECOND / 10);
        let ahead = given.get().saturating_sub(bench.sent.len());
        assert!(ahead <= HIGH_WATER + 1000, "{ahead} bytes ahead");
        assert!(bench.held_memory()[1] <= 4 * HIGH_WATER);
    }
    assert!(bench.sent.len() >= 500_000, "it stops at {}", bench.sent.len());
    let so_far = given.get();
    bench.reset();
    assert_eq!((bench.fate(), given.get()), (Fate::Closed, so_far));
    bench.restart();
}

fn live_config() -> Config {
    Config { max_response_buffer: 4000, ..Config::default() }
}

#[test]
fn a_client_that_takes_nothing_of_a_stream_is_cut() {
    let mut bench = bench();
    bench.set_window(1000).send(get("/stream/endless")).wait(59 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(4 * SECOND);
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::SendTimeout)));
    assert!(bench.was_reset());
    bench.restart();
}

/// RFC 9112 §8: if the end of the connection ends the content, it must not come early and look regular.
#[test]
fn a_stream_to_1_0_that_is_not_taken_to_its_end_is_reset() {
    let mut bench = bench();
    bench.send("GET /stream HTTP/1.0\r\n\r\n");
    let len = bench.sent.len();
    bench.restart();
    // The source has given everything, and the kernel takes all except the last bytes.
    bench.set_window(len - 5).send("GET /stream HTTP/1.0\r\n\r\n").wait(70 * SECOND);
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::SendTimeout)));
    assert!(bench.was_reset());
    bench.restart();
}

#[test]
fn a_half_closed_client_gets_all_of_a_stream() {
    let mut bench = bench();
    bench.set_window(10_000).send_last(get("/stream/large"));
    assert_eq!(bench.fate(), Fate::Open);
    bench.set_window(usize::MAX);
    assert_eq!(bench.only_reply().content.len(), 106_386);
    assert_eq!(
        (bench.fate(), bench.reason(), bench.was_reset()),
        (Fate::Closed, Some(CloseReason::ClientClosed), false)
    );
    bench.restart();
}

#[test]
fn a_pushed_stream_leaves_as_it_is_pushed_and_later_requests_wait() {
    let mut bench = bench();
    bench.send([get("/channel"), get("/")].concat());
    let sender = bench.router.state_mut().live.senders.pop().unwrap();
    let head = bench.sent.len();
    sender.send("one").unwrap();
    bench.turn();
    assert!(bench.sent[head..] == *b"3\r\none\r\n", "{}", bench.sent.escape_ascii());
    sender.send("two").unwrap();
    sender.finish();
    bench.turn();
    let replies = bench.replies();
    assert_eq!(replies.iter().map(|reply| reply.text()).collect::<Vec<_>>(), ["onetwo", "hello"]);
    bench.restart();
}

#[test]
fn a_sender_is_full_when_the_client_takes_nothing_and_is_told_of_room() {
    let mut bench = bench();
    bench.set_window(0).send(get("/channel"));
    let sender = bench.router.state_mut().live.senders.pop().unwrap();
    let mut pushed = 0_usize;
    while sender.send(vec![b'x'; 5000]).is_ok() {
        pushed += 5000;
        bench.turn();
        assert!(pushed <= HIGH_WATER + CHANNEL_BYTES + 10_000, "{pushed} bytes are taken from whom nobody reads");
    }
    let (room, hears) =
        (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), std::sync::atomic::Ordering::SeqCst);
    let heard = std::sync::Arc::clone(&room);
    sender.on_room(move || {
        heard.fetch_add(1, hears);
    });
    assert!(sender.is_full() && matches!(sender.send("x"), Err(SendError::Full(_))));
    bench.turn();
    assert_eq!(room.load(hears), 0);
    bench.set_window(usize::MAX);
    assert_eq!((room.load(hears), sender.is_full()), (1, false));
    sender.finish();
    bench.turn();
    assert_eq!(bench.only_reply().content.len(), pushed);
    bench.restart();
}

#[test]
fn a_sender_is_closed_when_no_client_takes_its_content() {
    for (request, reset) in [(get("/channel"), true), ("HEAD /channel HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), false)] {
        let mut bench = bench();
        bench.send(request);
        if reset {
            bench.reset();
        }
        let sender = bench.router.state_mut().live.senders.pop().unwrap();
        assert!(sender.is_closed() && matches!(sender.send("x"), Err(SendError::Closed)));
        drop(sender);
        bench.turn();
        assert_eq!(bench.fate() == Fate::Closed, reset, "a sender to a HEAD has nothing to abort");
        bench.restart();
    }
}

#[test]
fn a_silent_stream_is_idle_unless_it_has_a_heartbeat() {
    let mut bench = bench();
    bench.send(get("/channel")).wait(29 * SECOND);
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(2 * SECOND);
    assert_eq!((bench.fate(), bench.reason(), bench.was_reset()), (Fate::Closed, Some(CloseReason::IdleTimeout), true));
    bench.restart();
    bench.send(get("/channel"));
    let sender = bench.router.state_mut().live.senders.pop().unwrap();
    sender.set_heartbeat(10 * SECOND, "beat ");
    bench.turn().wait(65 * SECOND);
    sender.finish();
    bench.turn();
    assert_eq!(bench.only_reply().text(), "beat ".repeat(6));
    bench.restart();
}

/// At a heartbeat a source may send something, but need not.
#[test]
fn a_source_without_a_heartbeat_to_send_is_asked_again_after_the_same_time() {
    struct Mute(Rc<Cell<u32>>);
    impl BodySource for Mute {
        fn fill(&mut self, _: &mut Chunk<'_>) -> io::Result<Progress> {
            self.0.set(self.0.get() + 1);
            assert!(self.0.get() < 1000, "it is asked again and again");
            Ok(Progress::Pending)
        }
        fn heartbeat(&self) -> Option<Duration> {
            Some(10 * SECOND)
        }
    }
    let asked = Rc::new(Cell::new(0));
    let counted = Rc::clone(&asked);
    let mut bench = Bench::of(
        service_fn(move |_: &Request<'_>, res: Response<'_>| res.stream(Mute(Rc::clone(&counted)))),
        live_config(),
    );
    bench.send(get("/")).wait(29 * SECOND);
    assert!((2..=4).contains(&asked.get()), "it was asked {} times", asked.get());
    bench.wait(2 * SECOND);
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(CloseReason::IdleTimeout)), "it has said nothing");
    bench.restart();
}

/// Without a minimum rate a client may be as slow as the idle timeout allows. A heartbeat that cannot be sent changes
/// nothing.
#[test]
fn a_heartbeat_does_not_cut_a_client_that_is_slow() {
    let config = Config { min_send_rate: 0, ..live_config() };
    let source = |_: &Request<'_>, res: Response<'_>| {
        struct Once(bool);
        impl BodySource for Once {
            fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
                if !std::mem::replace(&mut self.0, true) {
                    out.push(&[b'x'; 1000]);
                }
                Ok(Progress::Pending)
            }
            fn heartbeat(&self) -> Option<Duration> {
                Some(5 * SECOND)
            }
        }
        res.stream(Once(false))
    };
    let mut bench = Bench::of(service_fn(source), config);
    bench.set_window(100).send(get("/")).wait(20 * SECOND);
    assert_eq!((bench.fate(), bench.reason()), (Fate::Open, None));
    bench.restart();
}

#[test]
fn a_stream_that_waits_keeps_no_memory_and_ends_at_the_drain_if_it_is_asked_to() {
    let mut bench = bench();
    bench.send(get("/channel"));
    let sender = bench.router.state_mut().live.senders.pop().unwrap();
    sender.send("one").unwrap();
    bench.turn();
    assert_eq!(bench.held_memory(), [0; 3]);
    sender.end_at_drain();
    bench.drain();
    assert_eq!(bench.only_reply().text(), "one");
    assert!(sender.is_closed());
    assert_ne!(bench.fate(), Fate::Open);
    bench.restart();
}

#[test]
fn a_stream_is_the_same_for_every_window() {
    let mut bench = bench();
    bench.send(get("/stream/large"));
    let whole = std::mem::take(&mut bench.sent);
    for window in [1, 7, 1000, 16_000, 65_537] {
        bench.restart();
        bench.set_window(0).send(get("/stream/large"));
        while bench.sent.len() < whole.len() {
            let before = bench.sent.len();
            bench.read(window * 50);
            assert!(bench.sent.len() > before, "it stops at {before}");
        }
        assert!(bench.sent == whole, "{window}");
    }
    bench.restart();
}

#[test]
fn a_source_may_be_pending_and_wakes_its_connection() {
    let waker = Rc::new(Cell::new(None));
    let kept = Rc::clone(&waker);
    let mut step = 0;
    let source = move |_: &Request<'_>, res: Response<'_>| {
        let kept = Rc::clone(&kept);
        res.stream(from_fn(move |out| {
            step += 1;
            kept.set(Some(out.waker()));
            out.push(format!("{step} "));
            Ok(if step < 3 { Progress::Pending } else { Progress::Done })
        }))
    };
    let mut bench = Bench::of(service_fn(source), live_config());
    bench.send(get("/"));
    for text in ["1 ", "1 2 "] {
        assert!(bench.sent.ends_with(format!("2\r\n{}\r\n", &text[text.len() - 2..]).as_bytes()));
        waker.take().unwrap().wake();
        bench.turn();
    }
    assert_eq!(bench.only_reply().text(), "1 2 3 ");
    // This wake-up comes after the end, and does nothing.
    waker.take().unwrap().wake();
    bench.turn();
    assert_eq!(bench.replies().len(), 1);
    bench.restart();
}

/// Every call into application code is guarded.
#[test]
fn a_source_whose_heartbeat_panics_does_not_stop_the_loop() {
    struct Faint;
    impl BodySource for Faint {
        fn fill(&mut self, _: &mut Chunk<'_>) -> io::Result<Progress> {
            Ok(Progress::Pending)
        }
        fn heartbeat(&self) -> Option<Duration> {
            panic!("as asked")
        }
    }
    let source = |_: &Request<'_>, res: Response<'_>| res.stream(Faint);
    let mut bench = Bench::of(service_fn(source), live_config());
    bench.send(get("/")).reset();
    bench.restart();
}
