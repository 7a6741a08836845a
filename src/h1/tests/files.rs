//! Replies that are files: what handlers, renderers and disks can do with them. What clients ask of files is tested
//! beside `exchange::representation` and in `files`. The simulation sends them in small pieces.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::config::Config;
use crate::exchange::{CloseReason, ConnectionId, Observer, Timeout};
use crate::limits::{FILE_TURN, FILE_TURN_AMONG_OTHERS};
use crate::testing::{Connected, VirtualLoop};
use crate::{Error, Router, Sent, TestClient};

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// A file for a test, which is removed at its end.
struct Temporary(PathBuf);

impl Temporary {
    #[track_caller]
    fn new(length: usize) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monoloop-replies-{}-{number}.bin", std::process::id()));
        let mut file = File::create_new(&path).expect("a temporary file can be made");
        file.write_all(&content(length)).expect("a temporary file can be written");
        Self(path)
    }

    #[track_caller]
    fn shrink(&self, length: u64) {
        let file = File::options().write(true).open(&self.0).expect("it is there");
        file.set_len(length).expect("it can be made shorter");
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|i| b'a' + (i * 31 / 7 % 26) as u8).collect()
}

/// An application with a file at `/`, and other routes.
fn app(file: &Temporary) -> Router<Option<Sent>> {
    let mut app = Router::new(None);
    let path = || file.0.clone();
    let (plain, failing, panicking, kept, swapped, wrong) = (path(), path(), path(), path(), path(), path());
    app.get("/", move |_, _, res| res.file(&plain));
    app.get("/text", |_, _, res| res.text("hello"));
    app.get("/fails", move |_, _, res| {
        let _ = res.header("X-Lost", "by the roll-back").file(&failing)?;
        Err(Error::new(409, "As asked"))
    });
    app.get("/panics", move |_, _, res| {
        let _ = res.file(&panicking)?;
        std::panic::resume_unwind(Box::new("as asked"))
    });
    app.get("/keeps", move |stash: &mut Option<Sent>, _, res| {
        *stash = Some(res.file(&kept)?);
        Err(Error::new(503, "The reply was kept"))
    });
    app.get("/swaps", move |stash: &mut Option<Sent>, _, res| {
        let own = res.file(&swapped)?;
        stash.replace(own).ok_or_else(|| Error::internal("nothing was kept"))
    });
    app.get("/returns", |stash: &mut Option<Sent>, _, _| {
        stash.take().ok_or_else(|| Error::internal("nothing was kept"))
    });
    app.get("/wrong-length", move |_, _, res| res.header("Content-Length", "1").file(&wrong));
    app.get("/wrong-header", |_, _, res| res.header("X-Broken", "a\r\nb").file("Cargo.toml"));
    app.get("/missing", |_, _, res| res.file("nowhere/nothing"));
    app.get("/folder", |_, _, res| res.file("src"));
    app
}

// ---- handlers and renderers -------------------------------------------------------------------------------------

#[test]
fn nothing_of_a_file_is_sent_if_an_error_or_a_panic_follows() {
    for length in [1, 100_000] {
        let file = Temporary::new(length);
        let mut client = TestClient::new(app(&file));
        let reply = client.get("/fails").send();
        assert_eq!((reply.status(), reply.text()), (409, "{\"error\":\"As asked\"}"));
        assert_eq!((reply.header("X-Lost"), reply.header("ETag")), (None, None));
        assert_eq!(client.get("/").send().body(), content(length), "the connection goes on");
        let reply = client.get("/panics").send();
        assert_eq!((reply.status(), reply.header("Connection")), (500, Some("close")));
        assert_eq!(client.reconnect().get("/").send().body(), content(length));
    }
}

#[test]
fn mistakes_with_the_head_and_files_that_are_not_there_are_errors() {
    let file = Temporary::new(100_000);
    let mut client = TestClient::new(app(&file));
    for (target, status) in [("/wrong-length", 500), ("/wrong-header", 500), ("/missing", 404), ("/folder", 404)] {
        let reply = client.get(target).send();
        assert_eq!((reply.status(), reply.header("ETag")), (status, None), "{target}");
        assert_eq!(client.get("/text").send().text(), "hello", "{target}");
    }
}

#[test]
fn a_proof_does_not_count_for_another_request() {
    let file = Temporary::new(100_000);
    let mut client = TestClient::new(app(&file));
    assert_eq!(client.get("/keeps").send().status(), 503);
    assert_eq!(client.get("/returns").send().status(), 500, "this one has not finished its reply");
    assert_eq!(client.get("/keeps").send().status(), 503);
    // This handler has made a reply, and returns an older proof: it does not matter which proof it returns.
    assert_eq!(client.get("/swaps").send().body(), content(100_000));
    assert_eq!(client.get("/returns").send().status(), 500);
    assert_eq!(client.get("/text").send().text(), "hello");
}

#[test]
fn an_error_can_be_rendered_by_a_file_whatever_the_request_asks_for() {
    let file = Temporary::new(100_000);
    let mut app = app(&file);
    let path = file.0.clone();
    app.on_error(move |_, _, _, res| res.header("X-Rendered", "yes").file(&path));
    let mut client = TestClient::new(app);
    for (name, value) in [("Accept", "*/*"), ("Range", "bytes=0-4"), ("If-None-Match", "*"), ("If-Match", "\"none\"")] {
        let reply = client.get("/nowhere").header(name, value).send();
        assert_eq!((reply.status(), reply.header("X-Rendered")), (404, Some("yes")), "{name}: {value}");
        assert_eq!(reply.body(), content(100_000), "{name}: {value}");
    }
    let reply = client.head("/nowhere").send();
    assert_eq!((reply.status(), reply.header("Content-Length"), reply.body()), (404, Some("100000"), &b""[..]));
    assert_eq!(client.get("/fails").send().body(), content(100_000), "one file in place of another");
}

#[test]
fn a_renderer_whose_file_cannot_be_sent_does_no_harm() {
    let file = Temporary::new(100_000);
    let mut app = app(&file);
    app.on_error(|_, _, _, res| res.file("nowhere/nothing"));
    let mut client = TestClient::new(app);
    assert_eq!(client.get("/fails").send().status(), 500);
    client.app_mut().on_error(|_, _, _, res| res.header("Content-Length", "1").file("Cargo.toml"));
    assert_eq!(client.get("/fails").send().status(), 500);
    client.app_mut().on_error(|_, _, _, res| {
        let _ = res.file("Cargo.toml")?;
        std::panic::resume_unwind(Box::new("as asked"))
    });
    let reply = client.get("/fails").send();
    assert_eq!((reply.status(), reply.text()), (500, "{\"error\":\"Internal server error\"}"));
    assert_eq!(client.get("/text").send().text(), "hello");
}

#[test]
fn requests_after_a_file_are_answered_after_it() {
    let file = Temporary::new(1_000_000);
    let mut client = TestClient::new(app(&file));
    client.write(GET.repeat(2)).write("GET /text HTTP/1.0\r\n\r\n");
    for _ in 0..2 {
        let reply = client.read_reply().expect("a reply");
        assert!(reply.body() == content(1_000_000));
    }
    assert_eq!(client.read_reply().map(|reply| reply.text().to_owned()).as_deref(), Some("hello"));
    assert_eq!(client.ended(), Some(CloseReason::NotPersistent));
    client.reconnect().write("GET / HTTP/1.0\r\n\r\n");
    assert!(client.read().ends_with(&content(1_000_000)[1_000..]));
    client.half_close();
    assert_eq!(client.ended(), Some(CloseReason::NotPersistent));
}

// ---- turns ------------------------------------------------------------------------------------------------------

/// A loop with two clients that ask for a file of this length.
fn two(length: usize) -> (VirtualLoop, Router<Option<Sent>>, [Connected; 2], Temporary) {
    let file = Temporary::new(length);
    let app = app(&file);
    let mut virtual_loop = VirtualLoop::new(Config::default());
    let both = [virtual_loop.connect(), virtual_loop.connect()];
    (virtual_loop, app, both, file)
}

/// The bytes that a client was sent, without the head.
fn taken(client: &Connected) -> usize {
    let wire = client.link.wire();
    let head = wire.outbound.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| at + 4);
    wire.outbound.len() - head
}

#[test]
fn a_turn_alone_ends_after_so_many_bytes_of_a_file_and_another_follows_at_once() {
    const LENGTH: usize = 2 * FILE_TURN + 5;
    let (mut virtual_loop, mut app, [one, _], _file) = two(LENGTH);
    virtual_loop.deliver(&one, |wire| wire.inbound.extend(GET.bytes()));
    for turn in 1..=2 {
        virtual_loop.sessions_mut().pump_runnable(&mut app);
        assert_eq!((taken(&one), virtual_loop.sessions().runnable()), (turn * FILE_TURN, 1), "turn {turn}");
    }
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    assert_eq!((taken(&one), virtual_loop.sessions().runnable()), (LENGTH, 0));
    assert!(one.link.wire().outbound.ends_with(&content(LENGTH)));
}

#[test]
fn among_others_a_turn_is_shorter_and_the_neighbour_has_its_own() {
    const LENGTH: usize = FILE_TURN;
    let (mut virtual_loop, mut app, [one, other], _file) = two(LENGTH);
    virtual_loop.deliver(&one, |wire| wire.inbound.extend(GET.bytes()));
    virtual_loop.deliver(&other, |wire| wire.inbound.extend("GET /text HTTP/1.1\r\nHost: a\r\n\r\n".bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    assert_eq!((taken(&one), taken(&other)), (FILE_TURN_AMONG_OTHERS, 5));
    // It has no neighbour any more.
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    assert_eq!((taken(&one), virtual_loop.sessions().runnable()), (LENGTH, 0));
}

/// A disk read may block the loop, and all clients with it.
#[test]
fn a_turn_is_shorter_where_a_file_comes_from_the_disk() {
    const LENGTH: usize = FILE_TURN;
    let (mut virtual_loop, mut app, [one, _], _file) = two(LENGTH);
    virtual_loop.deliver(&one, |wire| {
        wire.is_cold = true;
        wire.inbound.extend(GET.bytes());
    });
    for turn in 1..=3 {
        virtual_loop.sessions_mut().pump_runnable(&mut app);
        assert_eq!((taken(&one), virtual_loop.sessions().runnable()), (turn * FILE_TURN_AMONG_OTHERS, 1));
    }
    one.link.wire_mut().is_cold = false;
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    assert_eq!((taken(&one), virtual_loop.sessions().runnable()), (LENGTH, 0));
}

/// What is sent next also has to be fetched from the disk, once for each stretch.
#[test]
fn among_others_a_file_is_fetched_ahead_in_larger_pieces_than_it_is_sent() {
    const LENGTH: usize = 2 * FILE_TURN;
    let (mut virtual_loop, mut app, [one, other], _file) = two(LENGTH);
    virtual_loop.deliver(&one, |wire| {
        wire.is_cold = true;
        wire.inbound.extend(GET.bytes());
    });
    for turn in 1..=16 {
        virtual_loop.deliver(&other, |wire| wire.inbound.extend("GET /text HTTP/1.1\r\nHost: a\r\n\r\n".bytes()));
        virtual_loop.sessions_mut().pump_runnable(&mut app);
        assert_eq!(taken(&one), turn * FILE_TURN_AMONG_OTHERS);
    }
    assert_eq!(*one.link.wire().fetched.borrow(), [FILE_TURN, FILE_TURN]);
}

/// No other client waits in that case.
#[test]
fn downloads_among_themselves_have_longer_turns() {
    const LENGTH: usize = 4 * FILE_TURN;
    let (mut virtual_loop, mut app, [one, other], _file) = two(LENGTH);
    for client in [&one, &other] {
        virtual_loop.deliver(client, |wire| wire.inbound.extend(GET.bytes()));
    }
    let mut expected = FILE_TURN_AMONG_OTHERS;
    for _ in 0..3 {
        virtual_loop.sessions_mut().pump_runnable(&mut app);
        assert_eq!((taken(&one), taken(&other)), (expected, expected));
        expected += FILE_TURN;
    }
    // A third client appears: from here on its request waits for the shorter turns.
    let third = virtual_loop.connect();
    virtual_loop.deliver(&third, |wire| wire.inbound.extend("GET /text HTTP/1.1\r\nHost: a\r\n\r\n".bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    let expected = expected - FILE_TURN + FILE_TURN_AMONG_OTHERS;
    assert_eq!((taken(&one), taken(&other), taken(&third)), (expected, expected, 5));
}

#[test]
fn several_files_share_a_turn() {
    let (mut virtual_loop, mut app, [one, _], _file) = two(FILE_TURN / 4);
    virtual_loop.deliver(&one, |wire| wire.inbound.extend(GET.repeat(6).bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    let sent = one.link.wire().outbound.len();
    assert!((FILE_TURN..FILE_TURN + 6 * 500).contains(&sent), "{sent} bytes in a turn");
    virtual_loop.turn(&mut app);
    assert!(one.link.wire().outbound.len() > 6 * FILE_TURN / 4);
}

// ---- files that shrink ------------------------------------------------------------------------------------------

/// The timeouts that an observer was told of.
#[derive(Clone, Default)]
struct Timeouts(Rc<RefCell<Vec<Timeout>>>);

impl Observer for Timeouts {
    fn timed_out(&mut self, _: ConnectionId, timeout: Timeout) {
        self.0.borrow_mut().push(timeout);
    }
}

/// A client that has received some of a file when the rest of it is truncated.
fn shrinking(left: u64) -> (TestClient<Router<Option<Sent>>>, Timeouts) {
    let file = Temporary::new(300_000);
    let timeouts = Timeouts::default();
    let mut client = TestClient::new(app(&file)).observer(timeouts.clone());
    client.set_window(100_000).write(GET);
    file.shrink(left);
    (client, timeouts)
}

#[test]
fn a_file_that_shrinks_is_sent_to_its_new_end_and_nothing_follows() {
    for left in [0, 50_000, 150_000, 299_999] {
        let (mut client, timeouts) = shrinking(left);
        client.set_window(usize::MAX).write("GET /text HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.ended(), Some(CloseReason::FileShrank), "{left} are left");
        let sent = client.read();
        let head = sent.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let came = &sent[head..];
        assert!(content(300_000).starts_with(came), "{left} are left");
        assert_eq!(came.len(), (100_000 - head).max(left as usize), "{left} are left");
        assert_eq!(*timeouts.0.borrow(), []);
    }
}

#[test]
fn a_file_that_has_shrunk_is_noticed_at_the_deadline_too() {
    let (mut client, _) = shrinking(10);
    client.advance(Duration::from_secs(600));
    assert_eq!(client.ended(), Some(CloseReason::FileShrank));
}
#[test]
fn the_head_timeout_begins_when_backpressure_ends() {
    let config = Config { min_send_rate: 0, ..Config::default() };
    let mut app = Router::new(());
    app.get("/", |_, _, res| res.send(vec![b'x'; 200_000]));
    let mut client = TestClient::with_config(app, config);
    // The beginning of the next head comes with the first request. The rest cannot be sent while the connection is
    // held.
    client.set_window(1_000).write(format!("{GET}GET / HT"));
    let mut times = String::new();
    for round in 0..20 {
        client.advance(Duration::from_secs(1));
        client.set_window(10_000);
        times += &format!("{round}: {:?} after {}\n", client.ended(), client.read().len());
    }
    assert_eq!(client.ended(), None, "{times}");
}

#[test]
fn deferred_replies_by_files_share_their_tick() {
    let file = Temporary::new(2 * FILE_TURN);
    let mut app: Router<Vec<crate::exchange::Responder>> = Router::new(Vec::new());
    app.get("/", |kept: &mut Vec<_>, _, res| {
        let (sent, responder) = res.defer();
        kept.push(responder);
        Ok(sent)
    });
    let mut virtual_loop = VirtualLoop::new(Config::default());
    let all: Vec<Connected> = (0..20).map(|_| virtual_loop.connect()).collect();
    all.iter().for_each(|one| virtual_loop.deliver(one, |wire| wire.inbound.extend(GET.bytes())));
    virtual_loop.turn(&mut app);
    for responder in std::mem::take(app.state_mut()) {
        let path = file.0.clone();
        responder.respond(move |res| res.file(path));
    }
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    virtual_loop.sessions_mut().deliver(&mut app);
    let sent: Vec<usize> = all.iter().map(taken).collect();
    assert!(sent.iter().all(|sent| *sent <= FILE_TURN_AMONG_OTHERS), "{sent:?}");
}
