//! What is recorded and what is not: secrets, peers, sizes, and a writer that fails.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use monoloop::recording::{Ending, Recorder, Recording, Unusable};
use monoloop::{Config, Endpoint, Router, Server};

use super::support::{Client, TestServer};
use super::{again, recorded};

fn app(app: &mut Router<()>, _: &mut Config) {
    app.get("/", |_, _, res| res.header("Set-Cookie", "token=hidden").text("Hello"));
}

const WITH_SECRETS: &str =
    "GET / HTTP/1.1\r\nHost: test\r\nCookie: token=hidden\r\nAuthorization: Basic aGlkZGVu\r\n\r\n";

#[test]
fn secrets_are_masked_wherever_reads_split_them() {
    let (server, memory) = recorded(app, |recorder| recorder);
    let mut client = server.connect();
    for end in [30, 50, 80] {
        client.send(&WITH_SECRETS[..end]);
        client.wait_delivered();
        client.send(&WITH_SECRETS[end..]);
        assert_eq!(client.reply().header("set-cookie"), Some("token=hidden"));
    }
    drop((client, server));
    let text = memory.text();
    assert!(!text.contains("hidden") && !text.contains("aGlk"), "{text}");
    assert!(text.contains("Set-Cookie: ************\\r\\n"), "{text}");
    assert!(Recording::read(text.as_bytes()).expect("it is one").is_masked());
    again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
}

#[test]
fn secrets_are_recorded_if_that_is_asked_for() {
    let (server, memory) = recorded(app, |recorder| recorder.secrets(true));
    let mut client = server.connect();
    client.send(WITH_SECRETS);
    client.reply();
    drop((client, server));
    assert_eq!(memory.text().matches("token=hidden").count(), 2);
    assert!(!Recording::read(&memory.bytes()[..]).expect("it is one").is_masked());
    again(&memory.bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
}

#[test]
fn only_the_wanted_peers_are_recorded() {
    let wanted = Arc::new(AtomicUsize::new(0));
    let filter = Arc::clone(&wanted);
    let only = move |_: &Endpoint| filter.fetch_add(1, Ordering::Relaxed) == 1;
    let (server, memory) = recorded(app, |recorder| recorder.only(only));
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    clients.iter_mut().for_each(|client| assert_eq!(client.ask("/").status, 200));
    clients.rotate_left(1);
    let local = clients[0].local().to_string();
    drop(clients);
    drop(server);
    let text = memory.text();
    assert_eq!((text.matches("\"event\":\"open\"").count(), text.matches(&local).count()), (1, 1), "{text}");
    assert_eq!(text.matches("\"event\":\"request\"").count(), 1);
    assert!(!Recording::read(text.as_bytes()).expect("it is one").has_all_connections());
    again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
}

/// A buffer that has grown for one connection is lent to the next. A replay has only the second one.
#[test]
fn a_connection_replays_without_the_one_that_used_its_buffers_before() {
    let peers = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&peers);
    let only_the_second = move |_: &Endpoint| count.fetch_add(1, Ordering::Relaxed) == 1;
    let (server, memory) = recorded(app, |recorder| recorder.only(only_the_second));
    let long = |bytes: usize| {
        let head = "GET / HTTP/1.1\r\nHost: test\r\nX-Long: \r\n\r\n";
        head.replace("X-Long: ", &format!("X-Long: {}", "x".repeat(bytes - head.len())))
    };
    let mut client = server.connect();
    client.send(long(12_000));
    assert_eq!(client.reply().status, 200);
    drop(client);
    let mut client = server.connect();
    // Before, the first of these did not fit into the room of the replay. The second one filled it, as it never did.
    for bytes in [10_000, 4096] {
        client.send(long(bytes));
        assert_eq!(client.reply().status, 200);
    }
    drop((client, server));
    let text = memory.text();
    assert!(text.contains("\"event\":\"read\",\"room\":16384,"), "{text}");
    again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
    // No room is so large that a replay would run out of memory.
    let text = text.replace("\"room\":16384", "\"room\":18446744073709551615");
    again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
    let text = text.replace("\"room\":18446744073709551615", "\"room\":0");
    again(text.as_bytes(), app).expect_err("nothing was read into no room");
}

#[test]
fn a_recording_that_is_full_ends_and_the_server_goes_on() {
    const MAX: u64 = 6000;
    let (server, memory) = recorded(app, |recorder| recorder.max_bytes(MAX));
    let mut client = server.connect();
    (0..50).for_each(|_| assert_eq!(client.ask("/").status, 200));
    drop((client, server));
    let text = memory.text();
    assert!(text.len() as u64 <= MAX && text.len() as u64 > MAX - 1000, "{}", text.len());
    assert!(text.ends_with("{\"event\":\"full\"}\n"), "{text}");
    let outcome = again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(outcome.all && outcome.steps > 5);
    assert_eq!(Recording::read(text.as_bytes()).expect("it is one").ending(), Ending::Full);
}

/// A disk that is full after so many bytes.
struct Disk(usize);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.min(bytes.len()) {
            0 => Err(io::Error::from(io::ErrorKind::StorageFull)),
            count => {
                self.0 -= count;
                Ok(count)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_disk_that_is_full_ends_the_recording_and_nothing_else() {
    let bind = || Ok(Server::bind("127.0.0.1:0")?.record(Recorder::new(Disk(3000))));
    let server = TestServer::start_on(bind, app);
    for _ in 0..10 {
        let mut client = server.connect();
        (0..10).for_each(|_| assert_eq!(client.ask("/").status, 200));
    }
}

/// A writer that panics after so many bytes.
struct Bomb(usize);

impl Write for Bomb {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).expect("as the test wants it");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_panic_of_what_records_ends_the_recording_and_nothing_else() {
    for bytes in [3000, 9000, 20_000] {
        let bind = move || Ok(Server::bind("127.0.0.1:0")?.record(Recorder::new(Bomb(bytes))));
        let server = TestServer::start_on(bind, app);
        for _ in 0..10 {
            let mut client = server.connect();
            (0..10).for_each(|_| assert_eq!(client.ask("/").status, 200));
        }
    }
    let (server, memory) = recorded(app, |recorder| recorder.only(|_| panic!("as the test wants it")));
    assert_eq!(server.connect().ask("/").status, 200);
    drop(server);
    assert!(!memory.text().contains("\"event\":\"open\""), "{}", memory.text());
}

#[test]
fn a_server_whose_recording_cannot_begin_does_not_start() {
    let server = Server::bind("127.0.0.1:0").expect("a port is free").record(Recorder::new(Disk(10)));
    let error = server.start(Router::new(())).map(drop).expect_err("the disk is full").to_string();
    assert!(error.starts_with("cannot begin the recording: "), "{error}");
}

/// A writer that breaks the contract of [`Write`].
struct Liar;

impl Write for Liar {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len() + 1)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_takes_more_than_there_is_is_named_as_the_reason() {
    let server = Server::bind("127.0.0.1:0").expect("a port is free").record(Recorder::new(Liar));
    let error = server.start(Router::new(())).map(drop).expect_err("it is no writer").to_string();
    assert_eq!(error, "cannot begin the recording: its writer has taken more than there was");
}

#[test]
fn what_is_no_recording_is_refused() {
    let (server, memory) = recorded(app, |recorder| recorder);
    server.connect().ask("/");
    drop(server);
    let text = memory.text();
    let problem = |text: &str| match Recording::read(text.as_bytes()) {
        Err(Unusable::Line { number, problem, .. }) => (number, problem),
        other => panic!("{other:?}"),
    };
    let begins = |text: &str, line: usize, begin: &str| {
        let (number, problem) = problem(text);
        assert!(number == line && problem.starts_with(begin), "line {number}: {problem}");
    };
    begins("", 1, "this is no recording");
    begins("GET / HTTP/1.1\n", 1, "expected value");
    begins("{\"event\":\"clock\",\"at\":1}\n", 1, "this is no recording");
    begins(&text.replacen("\"format\":1", "\"format\":2", 1), 1, "the format is 2, and this version reads only 1");
    begins(&text.replacen("\"nodelay\":true", "\"nodelay\":3", 1), 1, "the setting `nodelay` has no such value");
    let older = text.replacen("\"nodelay\":true,", "", 1);
    assert!(older != text && Recording::read(older.as_bytes()).is_ok(), "it may be older than a setting");
    begins(&text.replacen("\"slot\":0", "\"slot\":\"x\"", 1), 1 + line_of(&text, "\"slot\":0"), "`slot` of `open`");
    let read = 1 + line_of(&text, "\"event\":\"read\"");
    begins(&text.replacen("\"event\":\"read\"", "\"event\":\"rode\"", 1), read, "the event `rode` is unknown");
    begins(&text.replacen("\"event\":\"read\",", "\"event\":\"read\",,", 1), read, "key must be a string");
}

/// A server that is killed, or a copy that is cut short, leaves the beginning of a recording.
#[test]
fn each_beginning_of_a_recording_replays_or_is_refused() {
    let (server, memory) = recorded(app, |recorder| recorder);
    server.connect().ask("/");
    drop(server);
    let bytes = memory.bytes();
    let first = bytes.iter().position(|&byte| byte == b'\n').expect("there are lines");
    for cut in 0..bytes.len() {
        match Recording::read(&bytes[..cut]) {
            Ok(recording) => {
                // Only the end of the last line is missing.
                let ending = if cut + 1 == bytes.len() { Ending::Whole } else { Ending::Broken };
                assert!(cut >= first && recording.ending() == ending, "cut at {cut}: {recording:?}");
                let outcome = again(&bytes[..cut], app);
                assert!(outcome.is_ok_and(|outcome| outcome.all), "cut at {cut}");
            }
            Err(Unusable::Line { number: 1, problem, .. }) => {
                assert!(cut < first && !problem.is_empty(), "cut at {cut}")
            }
            Err(other) => panic!("cut at {cut}: {other}"),
        }
    }
}

fn line_of(text: &str, words: &str) -> usize {
    text.lines().position(|line| line.contains(words)).expect("there is such a line")
}
