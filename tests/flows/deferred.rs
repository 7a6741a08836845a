//! Replies that another thread gives later.

use std::io::{Read, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use monoloop::Server;
use monoloop::exchange::Responder;
use monoloop::server::CloseReason;

use crate::support::{Client, LIMIT, SocketPath, TestServer, gate, get};
use crate::{defer, next, start};

#[test]
fn a_thread_answers_while_the_loop_sleeps() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let (mut one, mut two) = (server.connect(), server.connect());
    one.get("/later/one");
    let first = next(&responders);
    two.get("/later/two");
    let second = next(&responders);
    assert_eq!(server.connect().ask("/now").text(), "now", "nobody else waits");
    second.text("second");
    assert_eq!(two.reply().text(), "second");
    thread::spawn(move || first.text("first"));
    assert_eq!(one.reply().text(), "first");
    assert_eq!(one.ask("/now").text(), "now", "the connection goes on");
}

#[test]
fn many_threads_answer_many_clients() {
    const CLIENTS: usize = 200;
    let (server, responders) = start(|app, _, hand_out: Sender<(String, Responder)>| {
        app.get("/later/:name", move |_, req, res| {
            let name = req.param_str("name").unwrap_or_default().into_owned();
            let (sent, responder) = res.defer();
            hand_out.send((name, responder)).expect("the test waits for it");
            Ok(sent)
        });
    });
    let mut clients: Vec<Client> = (0..CLIENTS).map(|_| server.connect()).collect();
    for round in 0..3 {
        for (i, client) in clients.iter_mut().enumerate() {
            client.get(&format!("/later/{round}-{i}"));
        }
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let mine: Vec<_> = (0..CLIENTS / 4).map(|_| next(&responders)).collect();
                thread::spawn(move || mine.into_iter().for_each(|(name, responder)| responder.text(name)))
            })
            .collect();
        for (i, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.reply().text(), format!("{round}-{i}"));
        }
        threads.into_iter().for_each(|thread| thread.join().expect("it only answers"));
    }
}

#[test]
fn a_reset_cancels_and_a_half_close_does_not() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut leaving = server.connect();
    leaving.get("/later/gone");
    let responder = next(&responders);
    let (tell, told) = channel();
    responder.on_cancel(move || tell.send(()).expect("the test waits for it"));
    assert!(!responder.is_cancelled());
    leaving.reset();
    next(&told);
    assert!(responder.is_cancelled());
    responder.text("nobody hears it");

    let mut waiting = server.connect();
    waiting.get("/later/half");
    let responder = next(&responders);
    waiting.half_close();
    let since = Instant::now();
    while !responder.is_half_closed() {
        assert!(since.elapsed() < LIMIT, "the loop hears of the FIN");
        thread::yield_now();
    }
    assert!(!responder.is_cancelled());
    responder.text("here it is");
    assert_eq!(waiting.reply().text(), "here it is");
    waiting.expect_end();
}

#[test]
fn a_unix_client_that_hangs_up_cancels() {
    let path = SocketPath::new();
    let bind = path.path().to_owned();
    let (hand_out, responders) = channel();
    let _server = TestServer::start_on(|| Server::bind_unix(bind), move |app, _| defer(app, hand_out));
    let mut client = Client::unix(path.path());
    client.get("/later/gone");
    let responder: Responder = next(&responders);
    let (tell, told) = channel();
    responder.on_cancel(move || tell.send(()).expect("the test waits for it"));
    drop(client);
    next(&told);
}

#[test]
fn a_late_answer_does_not_reach_the_next_connection_in_the_slot() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let (mut gone, id) = server.connect_known();
    gone.get("/later/gone");
    let late = next(&responders);
    gone.reset();
    server.log.wait_closed(id);
    // The slab gives out the slot that became free last.
    let mut heir = server.connect();
    heir.get("/later/heir");
    let own = next(&responders);
    late.text("not yours");
    own.text("yours");
    assert_eq!(heir.reply().text(), "yours");
}

#[test]
fn early_hints_come_before_the_reply() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut client = server.connect();
    client.get("/later/hints");
    let responder = next(&responders);
    responder.early_hints([("Link", "</a.css>; rel=preload")]).expect("nothing is wrong with it");
    let (status, head) = client.try_head().expect("an interim reply in time");
    assert_eq!(status, 103, "{head}");
    assert!(head.contains("Link: </a.css>; rel=preload\r\n"), "{head}");
    responder.text("and here it is");
    assert_eq!(client.reply().text(), "and here it is");
}

#[test]
fn a_deferred_reply_is_given_in_a_drain_and_says_close() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let (mut client, mut idle) = (server.connect(), server.connect());
    assert_eq!(idle.ask("/now").text(), "now");
    client.get("/later/drain");
    let responder = next(&responders);
    server.handle().shutdown();
    // The drain has begun for all connections.
    idle.expect_eof();
    drop(idle);
    responder.text("before the end");
    let reply = client.reply();
    assert_eq!((reply.text(), reply.closes()), ("before the end", true));
    client.expect_end();
    server.join().expect("the drain ends well");
}

/// The client has pipelined requests after one that waits; they are answered after it.
#[test]
fn pipelined_requests_wait_for_a_deferred_reply() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut client = server.connect();
    client.send([get("/later/one"), get("/now"), get("/later/two"), get("/now")].concat());
    next(&responders).text("one");
    assert_eq!((client.reply().text().to_owned(), client.reply().text().to_owned()), ("one".into(), "now".into()));
    next(&responders).text("two");
    assert_eq!((client.reply().text().to_owned(), client.reply().text().to_owned()), ("two".into(), "now".into()));
}

/// The request and the reset had both come before the loop looked at the connection. One event reports both, and no
/// other event comes.
#[test]
fn a_reset_that_came_with_the_request_was_not_noticed() {
    let (gate, door) = gate();
    let (server, responders) = start(move |app, _, hand_out| {
        defer(app, hand_out);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut leaving, id) = server.connect_known();
    let mut other = server.connect();
    other.get("/gate");
    gate.wait();
    leaving.get("/later/gone");
    leaving.reset();
    gate.open();
    assert_eq!(other.reply().text(), "open");
    assert_eq!(server.log.wait_closed(id), CloseReason::SocketError);
    assert!(responders.try_iter().all(|responder| responder.is_cancelled()));
}

/// Uses a raw TCP socket, for a client that sends a request and a FIN in one go.
#[test]
fn a_request_with_its_fin_gets_its_deferred_reply() {
    let (server, responders) = start(|app, _, hand_out| defer(app, hand_out));
    let mut stream = std::net::TcpStream::connect(server.address()).expect("it connects");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream.write_all(get("/later/fin").as_bytes()).expect("it is sent");
    stream.shutdown(std::net::Shutdown::Write).expect("a FIN");
    next(&responders).text("all the same");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("the whole reply");
    assert!(reply.ends_with("all the same"), "{reply}");
}
