//! Recordings whose file is slow or hangs. The loop never waits for it.

use std::io::{self, Write};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use monoloop::recording::{Ending, Recorder, Recording};
use monoloop::{Config, Endpoint, Router, Server};

use super::support::{Client, LIMIT, TestServer};
use super::{Memory, again, assert_has};

fn app(app: &mut Router<()>, _: &mut Config) {
    app.get("/", |_, _, res| res.text("Hello"));
    app.post("/", |_, req, res| res.text(req.body().len().to_string()));
}

/// A disk that is busy as long as the test holds the lock.
struct Disk {
    busy: Arc<Mutex<()>>,
    /// Writes that are done before it is busy.
    before: usize,
    memory: Memory,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.before.checked_sub(1) {
            Some(before) => self.before = before,
            None => drop(self.busy.lock().expect("no test panics with it")),
        }
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends zeroes, each of which takes six characters of a recording: in all, more than may wait.
#[track_caller]
pub(super) fn send_too_much(client: &mut Client, target: &str) {
    for _ in 0..40 {
        client.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 65536\r\n\r\n"));
        client.send([0; 65536]);
        assert_eq!(client.reply().status, 200);
    }
}

#[test]
fn a_file_that_takes_the_recording_too_slowly_ends_it_and_nothing_else() {
    let (busy, memory) = (Arc::<Mutex<()>>::default(), Memory::default());
    let is_busy = busy.lock().expect("it is new");
    let disk = Disk { busy: Arc::clone(&busy), before: 1, memory: memory.clone() };
    let server = TestServer::start_on(|| Ok(Server::bind("127.0.0.1:0")?.record(Recorder::new(disk))), app);
    let mut other = server.connect();
    assert_eq!(other.ask("/").text(), "Hello");
    send_too_much(&mut server.connect(), "/");
    assert_eq!(other.ask("/").text(), "Hello");
    assert_eq!(memory.text().lines().count(), 1, "the disk is busy");
    drop(is_busy);
    drop((other, server));

    let text = memory.text();
    assert!(text.ends_with("{\"event\":\"full\",\"why\":\"slow\"}\n"), "{}", &text[text.len() - 200..]);
    // What was handed over waited in memory, but for the piece that the thread was writing.
    assert!((2 << 20..6 << 20).contains(&text.len()), "{}", text.len());
    let outcome = again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(outcome.all && outcome.steps > 10, "{outcome:?}");
    assert_eq!(Recording::read(text.as_bytes()).expect("it is one").ending(), Ending::Slow);
}

#[test]
fn a_server_whose_first_line_is_not_written_in_time_does_not_start() {
    let (busy, memory) = (Arc::<Mutex<()>>::default(), Memory::default());
    let is_busy = busy.lock().expect("it is new");
    let disk = Disk { busy: Arc::clone(&busy), before: 0, memory: memory.clone() };
    let (tell, told) = channel();
    thread::spawn(move || {
        let server = Server::bind("127.0.0.1:0").expect("a port is free").record(Recorder::new(disk));
        let _ = tell.send(server.start(Router::new(())).map(drop).map_err(|error| error.to_string()));
    });
    let error = told.recv_timeout(LIMIT).expect("it gives up").expect_err("the disk is busy");
    assert_eq!(error, "cannot begin the recording: nobody takes its first line");
    drop(is_busy);
}

/// Somebody turns a server by hand, and panics between two turns.
#[test]
fn a_panic_around_a_server_leaves_what_was_recorded_before_it() {
    let memory = Memory::default();
    let out = memory.clone();
    let panicking = thread::spawn(move || {
        let mut router = Router::new(());
        app(&mut router, &mut Config::new());
        let server = Server::bind("127.0.0.1:0").expect("a port is free").record(Recorder::new(out));
        let mut running = server.start(router).expect("it starts");
        let Some(Endpoint::Tcp(address)) = running.local_addr() else { panic!("it listens") };
        let client = thread::spawn(move || {
            let mut client = Client::tcp(address);
            assert_eq!(client.ask("/").text(), "Hello");
            client
        });
        while !client.is_finished() {
            running.turn(Some(Duration::from_millis(1))).expect("it turns");
        }
        let _stays = client.join().expect("it was answered");
        panic!("this test panics on purpose");
    });
    panicking.join().expect_err("it panics");
    let text = memory.text();
    assert_has(&text, "turned", "exhausted");
    assert_eq!(Recording::read(text.as_bytes()).expect("it is one").ending(), Ending::Broken);
    let outcome = again(text.as_bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
    assert!(outcome.all && outcome.steps > 1, "{outcome:?}");
}
