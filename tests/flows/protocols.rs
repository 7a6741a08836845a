//! Another protocol takes over the connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use monoloop::exchange::{Abort, LocalWaker, Output, Protocol, Responder, Resumer, Waker};
use monoloop::server::{CloseReason, Observer, Tick};
use monoloop::{Method, Router, Server};

use crate::support::{Client, Event, TestServer, assert_same, pattern, test_config};
use crate::{Halting, MIB, defer, next};

/// An echo, which also gives the test a waker.
struct Parrot {
    wakers: Sender<Waker>,
    closed: Sender<CloseReason>,
    called: usize,
}

impl Protocol<()> for Parrot {
    fn on_data(&mut self, _: &mut (), bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        out.write(&*bytes);
        Ok(bytes.len())
    }

    fn on_writable(&mut self, _: &mut (), out: &mut Output<'_>) -> io::Result<()> {
        if self.called == 0 {
            let _ = self.wakers.send(out.waker());
        } else if self.called == 1 {
            // Later calls report that the client has taken what it was owed.
            out.write(b"woken");
        }
        self.called += 1;
        Ok(())
    }

    fn on_drain(&mut self, _: &mut (), out: &mut Output<'_>) -> io::Result<()> {
        out.write(b"bye");
        out.close();
        Ok(())
    }

    fn on_close(self: Box<Self>, _: &mut (), why: CloseReason) {
        let _ = self.closed.send(why);
    }
}

const UPGRADE: &str =
    "GET /parrot HTTP/1.1\r\nHost: test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: parrot\r\n\r\n";

fn parrot(app: &mut Router<()>) -> (Receiver<Waker>, Receiver<CloseReason>) {
    let ((wakers, woken), (closed, ends)) = (channel(), channel());
    app.upgrade("/parrot", "parrot", move |_, _, res| {
        Ok((res, Parrot { wakers: wakers.clone(), closed: closed.clone(), called: 0 }))
    });
    (woken, ends)
}

fn start_parrot() -> (TestServer, Receiver<Waker>, Receiver<CloseReason>) {
    let (hand_out, handed_out) = channel();
    let server = TestServer::start(move |app, _| hand_out.send(parrot(app)).expect("the test waits for it"));
    let (wakers, ends) = next(&handed_out);
    (server, wakers, ends)
}

#[track_caller]
fn expect_bytes(client: &mut Client, expected: &[u8]) {
    let mut found = Vec::new();
    client.read_content(expected.len(), MIB, |_, bytes| found.extend_from_slice(bytes));
    assert_same(&found, expected, "what the protocol says");
}

#[test]
fn another_protocol_takes_over() {
    let (server, wakers, ends) = start_parrot();
    let (mut client, id) = server.connect_known();
    client.send([UPGRADE.as_bytes(), b"sent with the head"].concat());
    let (status, head) = client.try_head().expect("a head in time");
    assert_eq!(status, 101, "{head}");
    assert!(head.contains("Connection: upgrade\r\n") && head.contains("Upgrade: parrot\r\n"), "{head}");
    assert!(!head.contains("Content-Length") && !head.contains("Transfer-Encoding"), "{head}");
    expect_bytes(&mut client, b"sent with the head");
    server.log.wait_event(&Event::Upgraded(id));
    let waker = next(&wakers);
    thread::spawn(move || waker.wake());
    expect_bytes(&mut client, b"woken");

    // This is much more than anything on the way can hold, and the client reads nothing until all is written.
    let sent = pattern(32 * MIB);
    let (mut writer, copy) = (client.share(), sent.clone());
    let writing = thread::spawn(move || writer.send(copy));
    expect_bytes(&mut client, &sent);
    writing.join().expect("all was written");
    client.half_close();
    client.expect_end();
    assert_eq!(next(&ends), CloseReason::ProtocolEnded);
}

#[test]
fn another_protocol_is_told_of_a_reset_and_of_the_drain() {
    let (server, _wakers, ends) = start_parrot();
    let mut one = server.connect();
    one.send(UPGRADE);
    assert_eq!(one.try_head().expect("a head in time").0, 101);
    one.reset();
    assert_eq!(next(&ends), CloseReason::SocketError);
    let mut two = server.connect();
    two.send(UPGRADE);
    assert_eq!(two.try_head().expect("a head in time").0, 101);
    server.handle().shutdown();
    expect_bytes(&mut two, b"bye");
    two.expect_end();
    assert_eq!(next(&ends), CloseReason::ProtocolEnded);
    server.join().expect("the drain ends well");
    assert!(ends.try_recv().is_err(), "each is told once");
}

#[test]
fn a_loop_that_is_dropped_ends_its_sinks_and_protocols() {
    let (hand_out, handed_out) = channel();
    let (started, starting) = channel();
    let (stop, stopped) = channel::<()>();
    let thread = thread::spawn(move || {
        let mut app = Router::new(());
        let (_wakers, ends) = parrot(&mut app);
        let (aborted, aborts) = channel();
        let (resumers, _resumed) = channel();
        app.sink(Method::Post, "/halting", move |_, _| {
            Ok(Halting { bytes: 0, resumers: resumers.clone(), aborted: aborted.clone() })
        });
        defer(&mut app, hand_out);
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config());
        let mut running = server.start(app).expect("a poll");
        started.send(running.local_addr()).expect("the test waits for it");
        while stopped.try_recv().is_err() {
            running.turn(Some(Duration::from_millis(1))).expect("the poll works");
        }
        drop(running);
        (ends.try_iter().collect::<Vec<_>>(), aborts.try_iter().collect::<Vec<_>>())
    });
    let Some(monoloop::Endpoint::Tcp(address)) = next(&starting) else { panic!("it listens on TCP") };
    let (mut one, mut two, mut three) = (Client::tcp(address), Client::tcp(address), Client::tcp(address));
    one.send(UPGRADE);
    assert_eq!(one.try_head().expect("a head in time").0, 101);
    two.send("POST /halting HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(two.try_head().expect("a head in time").0, 100);
    three.get("/later/never");
    let responder: Responder = next(&handed_out);
    stop.send(()).expect("the loop looks for it");
    let (ends, aborts) = thread.join().expect("the loop ends");
    assert_eq!((ends, aborts), (vec![CloseReason::Cut], vec![Abort::Cut]));
    assert!(responder.is_cancelled());
    responder.text("nobody hears it");
}

/// Says `bye` to `bye`, and listens for the answer for so long. Pauses input at `pause`, and sends back all else.
struct Polite {
    time: Duration,
    resumers: Sender<Resumer>,
    told: Sender<String>,
}

impl Protocol<()> for Polite {
    fn on_data(&mut self, _: &mut (), bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        match &*bytes {
            b"bye" => out.close_when(self.time),
            b"pause" => _ = self.resumers.send(out.pause()),
            _ => {}
        }
        out.write(&*bytes);
        Ok(bytes.len())
    }

    fn on_end(&mut self, _: &mut (), _: &mut Output<'_>) -> io::Result<()> {
        let _ = self.told.send("end".to_owned());
        Ok(())
    }

    fn on_close(self: Box<Self>, _: &mut (), why: CloseReason) {
        let _ = self.told.send(format!("{why:?}"));
    }
}

const POLITE: &str = "GET /polite HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: polite\r\n\r\n";

/// A client that has changed to [`Polite`], what the protocol is told, and its resumers.
fn polite(time: Duration) -> (TestServer, Client, Receiver<String>, Receiver<Resumer>) {
    let ((told, tells), (resumers, resumed)) = (channel(), channel());
    let server = TestServer::start(move |app, _| {
        app.upgrade("/polite", "polite", move |_, _, res| {
            Ok((res, Polite { time, resumers: resumers.clone(), told: told.clone() }))
        });
    });
    let mut client = server.connect();
    client.send(POLITE);
    assert_eq!(client.try_head().expect("a head in time").0, 101);
    (server, client, tells, resumed)
}

#[test]
fn a_goodbye_listens_until_the_client_closes_its_side() {
    let (_server, mut client, tells, _) = polite(Duration::from_secs(3600));
    client.send("bye");
    expect_bytes(&mut client, b"bye");
    client.send("one more");
    expect_bytes(&mut client, b"one more");
    client.half_close();
    client.expect_end();
    assert_eq!([next(&tells), next(&tells)], ["end", "ProtocolEnded"]);
}

#[test]
fn a_goodbye_ends_although_the_client_never_closes_its_side() {
    let (_server, mut client, tells, _) = polite(Duration::from_millis(300));
    client.send("bye");
    expect_bytes(&mut client, b"bye");
    client.expect_end();
    assert_eq!(next(&tells), "ProtocolEnded");
}

#[test]
fn a_pause_ends_when_another_thread_drops_its_resumer() {
    let (_server, mut client, tells, resumed) = polite(Duration::ZERO);
    client.send("pause");
    expect_bytes(&mut client, b"pause");
    let resumer = next(&resumed);
    client.send("kept back");
    client.half_close();
    thread::spawn(move || drop(resumer));
    expect_bytes(&mut client, b"kept back");
    assert_eq!(next(&tells), "end", "the end comes after the bytes before it");
}

#[test]
fn a_reset_ends_a_connection_whose_input_is_paused() {
    let (_server, mut client, tells, resumed) = polite(Duration::ZERO);
    client.send("pause");
    expect_bytes(&mut client, b"pause");
    let _kept = next(&resumed);
    client.reset();
    assert_eq!(next(&tells), "SocketError");
}

/// Leaves its waker in the state, and writes when it is woken.
struct Sleeper(bool);

impl Protocol<Vec<LocalWaker>> for Sleeper {
    fn on_data(&mut self, _: &mut Vec<LocalWaker>, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn on_writable(&mut self, wakers: &mut Vec<LocalWaker>, out: &mut Output<'_>) -> io::Result<()> {
        if std::mem::replace(&mut self.0, true) {
            out.write("woken");
        } else {
            wakers.push(out.local_waker());
        }
        Ok(())
    }
}

/// The number of events in the last tick.
#[derive(Clone, Default)]
struct Events(Arc<AtomicUsize>);

impl Observer for Events {
    fn ticked(&mut self, tick: &Tick) {
        self.0.store(tick.events, Ordering::Relaxed);
    }
}

/// The application drives the loop and wakes a protocol between two turns, or posts a task that does. The next turn has
/// no timeout, and must not sleep over it.
#[test]
fn a_wake_up_between_two_turns_ends_the_sleep_of_the_next() {
    let (turned, turns) = channel();
    let (started, starting) = channel();
    let (stop, stopped) = channel::<()>();
    let driver = thread::spawn(move || {
        let mut app = Router::new(Vec::new());
        app.upgrade("/sleeper", "sleeper", |_, _, res| Ok((res, Sleeper(false))));
        let events = Events::default();
        let server = Server::bind("127.0.0.1:0").expect("a free port").config(test_config()).observer(events.clone());
        let mut running = server.start(app).expect("a poll");
        started.send(running.local_addr()).expect("the test waits for it");
        while running.app_mut().state_mut().is_empty() {
            running.turn(Some(Duration::from_millis(10))).expect("the poll works");
        }
        // Until the loop has nothing to do.
        while running.next_deadline() == Some(Duration::ZERO) {
            running.turn(Some(Duration::ZERO)).expect("the poll works");
        }
        for posts in [false, true, false] {
            match posts {
                true => running.handle().post(|wakers: &mut Vec<LocalWaker>| wakers[0].wake()),
                false => running.app_mut().state_mut()[0].wake(),
            }
            running.turn(None).expect("the poll works");
            assert!(events.0.load(Ordering::Relaxed) > 0, "an event has ended the sleep, and not a deadline");
            if posts {
                // The task has woken the protocol after the letters of its tick.
                assert_eq!(running.next_deadline(), Some(Duration::ZERO));
                running.turn(None).expect("the poll works");
            }
            turned.send(()).expect("the test waits for it");
        }
        // The client is there until then.
        let _ = stopped.recv_timeout(crate::support::LIMIT);
    });
    let Some(monoloop::Endpoint::Tcp(address)) = next(&starting) else { panic!("it listens on TCP") };
    let mut client = Client::tcp(address);
    client.send(POLITE.replace("polite", "sleeper"));
    assert_eq!(client.try_head().expect("a head in time").0, 101);
    for _ in 0..3 {
        next(&turns);
        expect_bytes(&mut client, b"woken");
    }
    stop.send(()).expect("the driver waits for it");
    driver.join().expect("the loop ends");
}
