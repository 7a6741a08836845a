//! The trace log as docs/TRACE.md shows it: each scene of the document is played, and its log is compared whole.
//!
//! The scenes over sockets run in this thread alone, with a clock that the test turns. So each line is the same in each
//! run, but for the addresses. The document is written by `MONOLOOP_TRACE=write cargo test --test trace_log`.

#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

use log::{LevelFilter, Metadata, Record};
use monoloop::exchange::{BodySink, BodySource, Chunk, Intake, Progress, Trailers};
use monoloop::server::Running;
use monoloop::{Config, Endpoint, Method, Response, Router, Sent, Server, TestClient};
use rustix::net::sockopt::set_socket_linger;
use support::{Hand, LIMIT, proc_net_tcp};

/// The lines since the scene began.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("monoloop")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            LINES.lock().unwrap().push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// A scene: its chapter in the document, and what happens in it.
const SCENES: [(&str, fn()); 6] = [
    ("One GET", one_get),
    ("A message that breaks a rule", a_message_that_breaks_a_rule),
    ("A head that does not end", a_head_that_does_not_end),
    ("Content that comes later", content_that_comes_later),
    ("A slow reader", a_slow_reader),
    ("A client that is idle", a_client_that_is_idle),
];

/// The loggers of a process are one, so one test at a time plays its scenes.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    static LOGGER: Once = Once::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    LOGGER.call_once(|| {
        log::set_logger(&Lines).expect("there is no other logger in this process");
        log::set_max_level(LevelFilter::Trace);
    });
    LINES.lock().unwrap().clear();
    alone
}

#[test]
fn the_document_shows_the_log_of_each_scene() {
    let _alone = alone();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/TRACE.md");
    let document = fs::read_to_string(&path).expect("the document is there");
    let mut written = document.clone();
    for (title, play) in SCENES {
        LINES.lock().unwrap().clear();
        play();
        let log = LINES.lock().unwrap().join("\n");
        assert!(!log.contains("s3cret"), "the log shows what a client has sent:\n{log}");
        written = with_log(&written, title, &log);
    }
    if std::env::var("MONOLOOP_TRACE").as_deref() == Ok("write") {
        return fs::write(&path, &written).expect("the document can be written");
    }
    let first = document.lines().zip(written.lines()).find(|(shown, logged)| shown != logged);
    assert!(
        document == written,
        "docs/TRACE.md is stale; `MONOLOOP_TRACE=write cargo test --test trace_log` writes it. The first line that \
         differs, as it shows it and as it is logged: {first:#?}"
    );
}

/// The document with this log in the chapter of this title.
#[track_caller]
fn with_log(document: &str, title: &str, log: &str) -> String {
    let heading = format!("\n## {title}\n");
    let (before, chapter) = document.split_once(&heading).unwrap_or_else(|| panic!("no chapter `{title}`"));
    let (text, rest) = chapter.split_once("```text\n").unwrap_or_else(|| panic!("`{title}` has no log"));
    let (_, after) = rest.split_once("```\n").unwrap_or_else(|| panic!("the log of `{title}` does not end"));
    format!("{before}{heading}{text}```text\n{log}\n```\n{after}")
}

// ---- lines that no scene shows --------------------------------------------------------------------------------------

/// Checks that one line of the log ends so.
#[track_caller]
fn assert_logged(end: &str) {
    let lines = LINES.lock().unwrap();
    assert_eq!(lines.iter().filter(|line| line.ends_with(end)).count(), 1, "{end:?} in\n{}", lines.join("\n"));
}

/// A sink that counts.
struct Counting(usize);

impl BodySink<()> for Counting {
    fn data(&mut self, (): &mut (), piece: &[u8], _: &mut Intake<'_>) -> monoloop::Result<()> {
        self.0 += piece.len();
        Ok(())
    }

    fn end(self: Box<Self>, (): &mut (), _: Trailers<'_>, response: Response<'_>) -> monoloop::Result<Sent> {
        response.text(self.0.to_string())
    }
}

#[test]
fn each_100_has_its_line() {
    let _alone = alone();
    for path in ["/length", "/sink"] {
        let mut app = app();
        app.sink(Method::Post, "/sink", |(), _| Ok(Counting(0)));
        let mut client = TestClient::new(app);
        LINES.lock().unwrap().clear();
        let head = "HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
        client.write(format!("POST {path} {head}"));
        assert!(client.read().starts_with(b"HTTP/1.1 100 "), "{path}");
        assert_logged("100 Continue is queued, since the client waits for it");
    }
}

#[test]
fn one_byte_is_in_the_singular() {
    let _alone = alone();
    let mut client = TestClient::new(app());
    client.write("G");
    assert_logged("read 1 byte; the kernel has no more");
    assert_logged("1 byte of a head has come, without its end");
}

/// A source whose content has no end.
struct Endless;

impl BodySource for Endless {
    fn fill(&mut self, chunk: &mut Chunk<'_>) -> std::io::Result<Progress> {
        chunk.write_all(&[b'x'; 1000])?;
        Ok(Progress::More)
    }
}

#[test]
fn a_client_that_leaves_while_it_is_owed_something_has_not_waited_for_the_application() {
    let _alone = alone();
    let mut app = app();
    app.get("/endless", |_, _, response| response.stream(Endless));
    let mut client = TestClient::new(app);
    client.set_window(30_000);
    client.write("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.reset();
    assert_logged("the client has hung up in the middle of an exchange");
    assert_logged("reaped from slot 0: the client reset it, or the socket failed");
}

/// The error of a read says which side has ended the connection.
#[test]
fn a_reset_is_the_clients() {
    let _alone = alone();
    let mut stage = Stage::new();
    let client = stage.connect();
    set_socket_linger(&client, Some(Duration::ZERO)).expect("it is a socket");
    drop(client);
    stage.turn_until("reaped");
    assert_logged("conn 1: the client has reset it");
}

// ---- scenes over sockets --------------------------------------------------------------------------------------------

fn one_get() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    let bytes = b"GET /plaintext?token=s3cret HTTP/1.1\r\nHost: localhost\r\nCookie: s3cret\r\n\r\n";
    stage.send(&mut client, bytes);
    stage.turn_until("the turn ends");
    stage.read_reply(&client, "200");
    drop(client);
    stage.turn_until("reaped");
}

fn a_message_that_breaks_a_rule() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    stage.send(&mut client, b"GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n");
    stage.turn_until("the turn ends");
    stage.read_reply(&client, "400");
    drop(client);
    stage.turn_until("reaped");
}

fn a_head_that_does_not_end() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    stage.send(&mut client, b"GET / HTTP/1.1\r\nHost: lo");
    stage.turn_until("the turn ends");
    stage.hand.advance(Duration::from_millis(10_250));
    stage.turn_until("HalfClosed");
    stage.read_reply(&client, "408");
    drop(client);
    stage.turn_until("reaped");
}

fn content_that_comes_later() {
    let mut stage = Stage::new();
    let mut client = stage.connect();
    stage.send(&mut client, b"POST /length HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\ns3c");
    stage.turn_until("the turn ends");
    stage.hand.advance(Duration::from_millis(500));
    stage.send(&mut client, b"ret4567");
    stage.turn_until("the turn ends");
    stage.read_reply(&client, "200");
    client.shutdown(Shutdown::Write).expect("the client can close its side");
    stage.turn_until("reaped");
}

fn app() -> Router<()> {
    let mut app = Router::new(());
    app.get("/plaintext", |_, _, response| response.text("Hello, World!"));
    app.post("/length", |_, request, response| response.text(request.body().len().to_string()));
    app
}

/// A server in this thread, and its clock.
struct Stage {
    running: Running<()>,
    hand: Hand,
    server: SocketAddr,
    clients: Vec<SocketAddr>,
}

impl Stage {
    fn new() -> Self {
        let hand = Hand::default();
        hand.advance(Duration::from_secs(1));
        let mut config = Config::default();
        config.signals = false;
        // The default depends on the machine, and the log shows that.
        config.max_memory = Some(64 << 20);
        let server = Server::bind("127.0.0.1:0").expect("a port").config(config).clock(hand.clone());
        let running = server.start(app()).expect("the server starts");
        let Some(Endpoint::Tcp(server)) = running.local_addr() else { panic!("it listens on TCP") };
        Self { running, hand, server, clients: Vec::new() }
    }

    /// A client that the server has not accepted yet.
    fn connect(&mut self) -> TcpStream {
        let client = TcpStream::connect(self.server).expect("the server listens");
        client.set_read_timeout(Some(LIMIT)).expect("a time limit");
        self.clients.push(client.local_addr().expect("an address"));
        client
    }

    /// Sends bytes, and waits until the kernel has all of them for the server: so one event tells of them.
    #[track_caller]
    fn send(&self, client: &mut TcpStream, bytes: &[u8]) {
        client.write_all(bytes).expect("the kernel takes it");
        let (from, end) = (client.local_addr().expect("an address"), Instant::now() + LIMIT);
        let has_come = || {
            let mut sockets = proc_net_tcp().into_iter();
            let theirs = sockets.find(|entry| entry.local == self.server && entry.remote == from);
            theirs.is_some_and(|entry| entry.unread == bytes.len() as u64)
        };
        while !has_come() {
            assert!(Instant::now() < end, "the bytes did not come in time");
            std::thread::yield_now();
        }
    }

    /// Runs ticks until one has logged a line with this text.
    #[track_caller]
    fn turn_until(&mut self, text: &str) {
        let (from, end) = (LINES.lock().unwrap().len(), Instant::now() + LIMIT);
        self.hand.advance(Duration::from_millis(20));
        while !LINES.lock().unwrap()[from..].iter().any(|line| line.contains(text)) {
            assert!(Instant::now() < end, "not logged in time: {text}; {:#?}", LINES.lock().unwrap());
            self.running.turn(Some(Duration::from_millis(100))).expect("the loop goes on");
        }
        self.hide_addresses();
    }

    #[track_caller]
    fn read_reply(&self, mut client: &TcpStream, status: &str) {
        let mut bytes = [0; 4096];
        let count = client.read(&mut bytes).expect("a reply");
        let text = String::from_utf8_lossy(&bytes[..count]);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
    }

    fn hide_addresses(&self) {
        for line in LINES.lock().unwrap().iter_mut() {
            *line = line.replace(&self.server.to_string(), "127.0.0.1:3000");
            for client in &self.clients {
                *line = line.replace(&client.to_string(), "127.0.0.1:50000");
            }
        }
    }
}

// ---- scenes in memory -----------------------------------------------------------------------------------------------

/// How much the kernel takes of a long reply depends on the machine, so this scene has no kernel.
fn a_slow_reader() {
    let mut app = app();
    app.get("/long", |_, _, response| response.text("x".repeat(100_000)));
    let mut client = TestClient::new(app);
    client.set_window(30_000);
    LINES.lock().unwrap().clear();
    client.write("GET /long HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2));
    client.advance(Duration::from_secs(3));
    client.set_window(60_000);
    client.advance(Duration::from_secs(3));
    client.set_window(1_000_000);
    assert_eq!(client.read_reply().map(|reply| reply.body().len()), Some(100_000));
    assert_eq!(client.read_reply().map(|reply| reply.body().len()), Some(100_000));
}

fn a_client_that_is_idle() {
    let mut client = TestClient::new(app());
    client.advance(Duration::from_secs(4));
    client.write("GET /plaintext HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(client.read_reply().is_some());
    client.advance(Duration::from_secs(80));
    assert!(client.ended().is_some());
}
