//! The memory budget: what is refused, what is answered all the same, and who ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::bench::{Bench, Fate};
use crate::buffer::Content;
use crate::exchange::{BodySource, Chunk, CloseReason, Progress};
use crate::limits::{HIGH_WATER, POOL_MAX_BUFFER};
use crate::server::{ConnectionId, FinishedReply, Observer};
use crate::testing::{Connected, VirtualLoop};
use crate::{Config, Request, Router, TestClient};

const MIB: usize = 1 << 20;

fn config(max_memory: usize) -> Config {
    Config { max_memory: Some(max_memory), max_content: 16 << 20, ..Config::default() }
}

/// A router with replies of each kind, of `?n` bytes.
fn app() -> Router<()> {
    let count = |req: &Request<'_>| req.query("n").and_then(|n| n.parse::<usize>().ok()).unwrap_or(5);
    let mut app = Router::new(());
    app.get("/owned", move |_, req, res| res.send(vec![b'o'; count(req)]));
    app.get("/borrowed", move |_, req, res| res.send(vec![b'b'; count(req)].as_slice()));
    app.get("/written", move |_, req, res| {
        let mut body = res.start()?;
        body.write(vec![b'w'; count(req)])?;
        body.end()
    });
    app.get("/formatted", move |_, req, res| {
        use std::io::Write;
        let mut body = res.start()?;
        body.write_all(&vec![b'f'; count(req)])?;
        body.end()
    });
    app.get("/static", |_, _, res| res.send(Content::Static(&STATIC)));
    app.get("/shared", |_, _, res| res.send(std::sync::Arc::<[u8]>::from(&STATIC[..])));
    app.post("/", |_, req, res| res.text(req.body().len().to_string()));
    app
}

static STATIC: [u8; 4 * MIB] = [b's'; 4 * MIB];

/// A loop with a memory limit and its application.
struct Loop {
    virtual_loop: VirtualLoop,
    app: Router<()>,
}

impl Loop {
    fn new(max_memory: usize) -> Self {
        Self { virtual_loop: VirtualLoop::new(config(max_memory)), app: app() }
    }

    /// A new client, whose kernel takes `window` bytes of replies.
    fn client(&mut self, window: usize) -> Connected {
        let client = self.virtual_loop.connect();
        client.link.wire_mut().window = window;
        client
    }

    /// Sends, and returns what has come.
    fn send(&mut self, client: &Connected, bytes: impl AsRef<[u8]>) -> String {
        self.virtual_loop.act(client, &mut self.app, |wire| wire.inbound.extend(bytes.as_ref()));
        String::from_utf8_lossy(&std::mem::take(&mut client.link.wire_mut().outbound)).into_owned()
    }

    #[track_caller]
    fn get(&mut self, client: &Connected, target: &str, status: &str) -> String {
        let reply = self.send(client, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{target}: {:.300}", reply);
        reply
    }

    fn wait(&mut self, millis: u64) {
        self.virtual_loop.wait(&mut self.app, Duration::from_millis(millis));
    }

    fn charged(&self) -> usize {
        self.virtual_loop.sessions().pools().ledger.charged()
    }

    fn ended(client: &Connected) -> Option<CloseReason> {
        client.link.wire().closed
    }
}

// ---- replies --------------------------------------------------------------------------------------------------------

/// A reply that would not fit is a 503, whichever way it is made; what the application owns anyway is no matter.
#[test]
fn a_reply_that_does_not_fit_is_a_503_and_the_connection_goes_on() {
    let mut server = Loop::new(MIB);
    let client = server.client(usize::MAX);
    for route in ["owned", "borrowed", "written", "formatted"] {
        server.get(&client, &format!("/{route}?n=900000"), "200");
        let reply = server.get(&client, &format!("/{route}?n=920000"), "503");
        assert!(reply.contains("\r\nRetry-After: 1\r\n"), "{reply}");
        assert!(reply.ends_with("{\"error\":\"The server is short of memory\"}"), "{reply}");
        server.get(&client, &format!("/{route}"), "200");
    }
    for route in ["static", "shared"] {
        assert!(server.get(&client, &format!("/{route}"), "200").len() > 4 * MIB);
    }
    assert_eq!(server.charged(), 0);
}

#[test]
fn a_head_request_takes_no_memory_for_its_content() {
    let mut server = Loop::new(MIB);
    let client = server.client(usize::MAX);
    let reply = server.send(&client, "HEAD /owned?n=5000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.contains("Content-Length: 5000000\r\n"), "{reply}");
}

#[test]
fn the_configured_limit_of_a_writer_is_still_a_500() {
    let mut client = TestClient::with_config(app(), Config { max_response_buffer: 1000, ..config(MIB) });
    assert_eq!(client.get("/written?n=1001").send().status(), 500);
    assert_eq!(client.get("/written?n=1000").send().status(), 200);
}

/// Clients that take nothing make the server hold their replies, up to seven eighths of the limit. Small requests of
/// others are answered all the time. After two seconds without a byte the first clients are cut.
#[test]
fn replies_that_nobody_takes_are_held_up_to_the_limit_and_not_for_long() {
    let mut server = Loop::new(8 * MIB);
    let polite = server.client(usize::MAX);
    let clients: Vec<_> = (0..20).map(|_| server.client(0)).collect();
    for client in &clients {
        server.send(client, "GET /written?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
        server.get(&polite, "/owned?n=60000", "200");
        assert!(server.charged() <= 7 * MIB, "{} bytes are charged", server.charged());
    }
    let held = server.charged();
    assert!(held > 6 * MIB, "{held} bytes are charged");
    server.wait(1_500);
    assert_eq!((server.charged(), clients.iter().filter_map(Loop::ended).count()), (held, 0), "they have time");
    server.wait(3_000);
    let ended: Vec<_> = clients.iter().filter_map(Loop::ended).collect();
    assert!(!ended.is_empty() && ended.iter().all(|reason| *reason == CloseReason::OutOfMemory), "{ended:?}");
    assert!(server.charged() <= 4 * MIB, "{} bytes are charged", server.charged());
    server.get(&polite, "/owned?n=1000000", "200");
    // Those that are left have their usual time, since nothing is refused any more.
    server.wait(20_000);
    assert_eq!(clients.iter().filter_map(Loop::ended).count(), ended.len());
}

/// The client takes a little every second: it is not stalled, and keeps its reply.
#[test]
fn a_client_that_takes_its_reply_slowly_is_not_cut_for_memory() {
    let mut server = Loop::new(4 * MIB);
    let slow = server.client(0);
    server.send(&slow, "GET /written?n=3400000 HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..10 {
        let other = server.client(usize::MAX);
        server.get(&other, "/written?n=1000000", "503");
        server.virtual_loop.act(&slow, &mut server.app, |wire| wire.window += 5_000);
        server.wait(1_000);
    }
    assert_eq!(Loop::ended(&slow), None);
}

// ---- content --------------------------------------------------------------------------------------------------------

fn post(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn content_that_cannot_fit_is_refused_at_its_head() {
    let mut bench = Bench::new(config(MIB));
    bench.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {MIB}\r\n\r\nx"));
    let reply = bench.only_reply();
    assert_eq!((reply.status, reply.field("Retry-After")), (503, Some("1")));
    assert_eq!((bench.fate(), bench.reason()), (Fate::Lingers, Some(CloseReason::OutOfMemory)));
    bench.restart();
    bench.send(format!("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: {MIB}\r\n\r\n"));
    assert_eq!(bench.statuses(), [503], "no 100 asks for content that is refused");
}

/// Clients that announced little enough each, and then hold all of it open together.
#[test]
fn content_that_grows_beyond_the_limit_is_refused_in_its_middle() {
    for chunked in [false, true] {
        let mut server = Loop::new(8 * MIB);
        let polite = server.client(usize::MAX);
        let clients: Vec<_> = (0..30).map(|_| server.client(usize::MAX)).collect();
        let mut replies = Vec::new();
        for client in &clients {
            let head = match chunked {
                true => "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n".to_owned(),
                false => post(MIB),
            };
            replies.push(server.send(client, head));
        }
        for _ in 0..9 {
            for (client, reply) in clients.iter().zip(&mut replies) {
                if Loop::ended(client).is_none() {
                    reply.push_str(&server.send(client, vec![b'x'; 100_000]));
                }
                assert!(server.charged() <= 7 * MIB + 300_000, "{} bytes are charged", server.charged());
                server.get(&polite, "/owned?n=100", "200");
            }
        }
        let refused = replies.iter().filter(|reply| reply.starts_with("HTTP/1.1 503 ")).count();
        let waiting = replies.iter().filter(|reply| reply.is_empty()).count();
        assert!(refused >= 20 && waiting >= 4 && refused + waiting == 30, "{refused} refused, {waiting} wait");
        assert!(server.charged() > 4 * MIB, "{} bytes are charged", server.charged());
        server.wait(4_000);
        assert!(server.charged() <= 4 * MIB, "{} bytes are charged", server.charged());
    }
}

/// Heads that do not end take memory in small pieces, up to the whole limit; a whole small request needs none.
#[test]
fn heads_that_do_not_end_are_refused_beyond_the_limit_and_given_up_after_a_while() {
    let mut server = Loop::new(MIB);
    let polite = server.client(usize::MAX);
    let clients: Vec<_> = (0..400).map(|_| server.client(usize::MAX)).collect();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(3_000));
    let replies: Vec<_> = clients.iter().map(|client| server.send(client, &head)).collect();
    let refused = replies.iter().filter(|reply| reply.starts_with("HTTP/1.1 503 ")).count();
    assert!(refused > 100 && refused < 200, "{refused} are refused");
    assert!(server.charged() <= MIB, "{} bytes are charged", server.charged());
    server.get(&polite, "/owned?n=60000", "200");
    server.wait(4_000);
    assert!(server.charged() <= MIB / 2, "{} bytes are charged", server.charged());
    server.get(&polite, "/owned?n=60000", "200");
}

// ---- what an observer keeps -----------------------------------------------------------------------------------------

/// Counts the requests whose replies have not left.
#[derive(Clone, Default)]
struct Unanswered(std::rc::Rc<std::cell::Cell<usize>>);

impl Observer for Unanswered {
    fn request(&mut self, _: ConnectionId, _: &Request<'_>) {
        self.0.set(self.0.get() + 1);
    }

    fn reply_finished(&mut self, _: ConnectionId, _: &FinishedReply<'_>) {
        self.0.set(self.0.get() - 1);
    }
}

#[test]
fn the_heads_that_an_observer_may_keep_count_as_what_is_owed() {
    let (mut server, unanswered) = (Loop::new(64 * MIB), Unanswered::default());
    server.virtual_loop.watch(Box::new(unanswered.clone()));
    let client = server.client(0);
    let head = format!("HEAD /owned HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(15_000));
    server.send(&client, head.repeat(100));
    let kept = unanswered.0.get() * head.len();
    assert!((HIGH_WATER - head.len()..HIGH_WATER + head.len()).contains(&kept), "{kept} bytes of heads");
    assert!(server.charged() >= kept, "{} bytes are charged", server.charged());
    server.virtual_loop.act(&client, &mut server.app, |wire| wire.window = usize::MAX);
    assert_eq!((unanswered.0.get(), server.charged()), (0, 0));
    assert_eq!(client.link.wire().outbound.windows(15).filter(|bytes| *bytes == b"HTTP/1.1 200 OK").count(), 100);
}

#[test]
fn an_observer_learns_that_memory_is_short_once_a_second_and_no_longer_than_it_is() {
    #[derive(Clone, Default)]
    struct Short(std::rc::Rc<std::cell::RefCell<Vec<(usize, usize)>>>);
    impl Observer for Short {
        fn memory_short(&mut self, used: usize, limit: usize) {
            self.0.borrow_mut().push((used, limit));
        }
    }
    let (mut server, short) = (Loop::new(4 * MIB), Short::default());
    server.virtual_loop.watch(Box::new(short.clone()));
    let clients: Vec<_> = (0..8).map(|_| server.client(0)).collect();
    for client in &clients {
        server.send(client, "GET /written?n=1000000 HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    server.wait(1_100);
    let told = short.0.borrow().clone();
    assert!(matches!(told[..], [(used, limit)] if used > 2 * MIB && limit == 4 * MIB), "{told:?}");
    server.wait(10_000);
    let told = short.0.borrow().len();
    assert!((2..=4).contains(&told), "it was told {told} times");
    server.wait(10_000);
    assert_eq!(short.0.borrow().len(), told, "memory is no longer short");
}

/// Without a limit of its own a client in memory has none, so that tests do not depend on the machine.
#[test]
fn a_test_client_has_no_limit_unless_it_is_set() {
    let mut client = TestClient::new(app());
    assert_eq!(client.get("/owned?n=50000000").send().status(), 200);
    let mut client = TestClient::with_config(app(), config(POOL_MAX_BUFFER));
    assert_eq!(client.get("/owned?n=65537").send().status(), 503);
    assert_eq!(client.get("/owned?n=65536").send().status(), 200);
}

#[test]
fn after_a_refusal_large_replies_are_refused_before_they_are_made_until_memory_was_looked_for() {
    let mut bench = Loop::new(8 * MIB);
    let written = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&written);
    bench.app.get("/pieces", move |_, _, res| {
        let mut body = res.start()?;
        for _ in 0..64 {
            body.write([b'p'; POOL_MAX_BUFFER])?;
            counter.fetch_add(1, Ordering::Relaxed);
        }
        body.end()
    });
    let holder = bench.client(1000);
    bench.send(&holder, format!("GET /owned?n={} HTTP/1.1\r\nHost: a\r\n\r\n", 5 * MIB));
    let client = bench.client(usize::MAX);
    let pieces = |bench: &mut Loop| {
        bench.get(&client, "/pieces", "503");
        written.swap(0, Ordering::Relaxed)
    };
    assert!(pieces(&mut bench) > 10, "it could have fitted");
    assert_eq!([pieces(&mut bench), pieces(&mut bench)], [1, 1], "a small reply would fit");
    bench.get(&client, "/written?n=60000", "200");
    // The holder reads a little, so that it is not given up.
    bench.virtual_loop.act(&holder, &mut bench.app, |wire| wire.window += 1000);
    bench.wait(1_000);
    assert!(pieces(&mut bench) > 10, "memory was looked for");
}

#[test]
fn a_reply_that_fits_is_not_cut_for_the_spare_room_of_its_buffer() {
    // A vector that doubles has nearly twice the room in the end.
    fn grown(length: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        (0..length / 1000).for_each(|_| bytes.extend_from_slice(&[b'x'; 1000]));
        bytes
    }
    for target in ["/pieces", "/vector"] {
        let mut bench = Loop::new(8 * MIB);
        bench.app.get("/vector", |_, _, res| res.send(grown(4_500_000)));
        bench.app.get("/pieces", |_, _, res| {
            let mut body = res.start()?;
            for _ in 0..4_500 {
                body.write([b'x'; 1000])?;
            }
            body.end()
        });
        let client = bench.client(300_000);
        bench.get(&client, target, "200");
        assert_eq!(Loop::ended(&client), None, "{target}");
        assert!(bench.charged() < 5 * MIB, "{target}: {} bytes are charged", bench.charged());
    }
}

#[test]
fn many_that_owe_a_little_and_take_nothing_are_ended_too() {
    let mut bench = Loop::new(MIB);
    let lengths = std::iter::repeat_n(15_000, 200).chain([8_000, 4_000, 2_000, 1_000, 500, 100].repeat(10));
    let clients: Vec<_> = lengths
        .map(|length| {
            let client = bench.client(0);
            bench.send(&client, format!("GET /written?n={length} HTTP/1.1\r\nHost: a\r\n\r\n"));
            client
        })
        .collect();
    assert!(bench.charged() > MIB * 9 / 10);
    bench.wait(4_000);
    assert!(clients.iter().any(|client| Loop::ended(client) == Some(CloseReason::OutOfMemory)));
    let polite = bench.client(usize::MAX);
    bench.send(&polite, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    bench.send(&polite, vec![b'x'; 12_000]);
    assert!(bench.send(&polite, vec![b'x'; 8_000]).starts_with("HTTP/1.1 200 "), "it is answered");
}

/// A source that says that it holds all the memory there is.
struct Boastful;

impl BodySource for Boastful {
    fn fill(&mut self, _: &mut Chunk<'_>) -> std::io::Result<Progress> {
        Ok(Progress::Pending)
    }

    fn memory(&self) -> usize {
        usize::MAX
    }
}

#[test]
fn a_source_may_say_any_number_of_bytes() {
    let mut bench = Loop::new(MIB);
    bench.app.get("/source", |_, _, res| res.stream(Boastful));
    let client = bench.client(usize::MAX);
    bench.send(&client, "GET /source HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(Loop::ended(&client), Some(CloseReason::OutOfMemory));
    assert_eq!(bench.charged(), 0);
}
