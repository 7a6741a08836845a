//! Another protocol takes over the connection.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use monoloop::exchange::{Abort, Output, Protocol, Responder, Waker};
use monoloop::server::CloseReason;
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
