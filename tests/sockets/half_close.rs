//! Clients that close their side of the connection and still read.

use monoloop::Server;
use monoloop::server::CloseReason;

use crate::support::{Client, SocketPath, TestServer, assert_same, gate, get, pattern};
use crate::{EIGHT, basics, post, start, start_with_large};

#[test]
fn a_client_that_closes_its_side_gets_its_whole_answer() {
    let server = start_with_large();
    let expected = pattern(EIGHT);
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.half_close();
    assert_same(&client.reply().content, &expected, "eight mebibytes");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn a_large_answer_that_is_being_sent_survives_a_half_close() {
    let server = start_with_large();
    let expected = pattern(EIGHT);
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.wait_readable();
    client.half_close();
    assert_same(&client.reply().content, &expected, "eight mebibytes");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn requests_that_were_pipelined_before_a_half_close_are_all_answered() {
    let server = start_with_large();
    let expected = pattern(EIGHT);
    let (mut client, id) = server.connect_known();
    client.send([get("/hello/one"), get("/eight"), get("/hello/three")].concat());
    client.half_close();
    assert_eq!(client.reply().text(), "hello one");
    assert_same(&client.reply().content, &expected, "eight mebibytes");
    assert_eq!(client.reply().text(), "hello three");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosed);
}

#[test]
fn a_half_close_on_a_unix_socket_is_answered_too() {
    let path = SocketPath::new();
    let bound = path.path().to_owned();
    let _server = TestServer::start_on(move || Server::bind_unix(bound), |app, _| basics(app));
    let mut client = Client::unix(path.path());
    client.send([get("/hello/one").into_bytes(), post("/echo", &pattern(100_000))].concat());
    client.half_close();
    assert_eq!(client.reply().text(), "hello one");
    assert_same(&client.reply().content, &pattern(100_000), "the content");
    client.expect_eof();
}

/// Data and FIN share an edge, and no other edge comes. A server that stops at the short read never sees the FIN.
#[cfg(target_os = "linux")]
#[test]
fn data_and_fin_in_one_segment_are_both_seen() {
    let (gate, door) = gate();
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let cases: [(&str, Vec<u8>, &[&str]); 4] = [
        ("a request", get("/hello/you").into(), &["hello you"]),
        ("two requests", [get("/hello/one"), get("/hello/two")].concat().into(), &["hello one", "hello two"]),
        ("a request with content", post("/echo", b"content"), &["content"]),
        ("nothing", Vec::new(), &[]),
    ];
    for (name, bytes, expected) in cases {
        // The loop finds them while it sleeps, after a handler blocked it, and before it has accepted the connection.
        for when in ["at once", "together", "before accept"] {
            let mut blocker = server.connect();
            if when == "before accept" {
                blocker.get("/gate");
                gate.wait();
            }
            let mut client = match when {
                "before accept" => server.connect(),
                _ => server.connect_known().0,
            };
            if when == "together" {
                blocker.get("/gate");
                gate.wait();
            }
            client.cork();
            client.send(&bytes);
            client.half_close();
            if when != "at once" {
                client.wait_delivered();
                gate.open();
                assert_eq!(blocker.reply().text(), "open");
            }
            for expected in expected {
                assert_eq!(client.reply().text(), *expected, "{name}, {when}");
            }
            client.expect_eof();
        }
    }
}

#[test]
fn a_request_that_ends_too_early_gets_a_400() {
    let server = start();
    let cases = [
        ("half a head", "GET /hello/you HTTP/1.1\r\nHost: te"),
        ("half of the content", "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf"),
        ("half a chunk", "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf"),
    ];
    for (name, bytes) in cases {
        let (mut client, id) = server.connect_known();
        client.send(bytes);
        client.half_close();
        assert_eq!(client.reply().status, 400, "{name}");
        client.expect_eof();
        assert_eq!(server.log.wait_closed(id), CloseReason::ClientClosedEarly, "{name}");
    }
}
