//! Which connections stay open after a reply.

use monoloop::server::CloseReason;

use crate::start;
use crate::support::{Event, TestServer, get};

#[test]
fn a_client_that_asks_to_close_gets_eof_after_its_reply() {
    let server = start();
    let cases = [
        ("GET /hello/you HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", "the field"),
        ("GET /hello/you HTTP/1.0\r\n\r\n", "the version"),
        ("GET /hello/you HTTP/1.0\r\nConnection: close\r\n\r\n", "both"),
    ];
    for (request, name) in cases {
        let (mut client, id) = server.connect_known();
        client.send(request);
        let reply = client.reply();
        assert_eq!((reply.status, reply.text(), reply.closes()), (200, "hello you", true), "{name}");
        client.expect_eof();
        assert_eq!(server.log.wait_closed(id), CloseReason::NotPersistent, "{name}");
    }
}

#[test]
fn http_1_0_with_keep_alive_is_kept() {
    let server = start();
    let mut client = server.connect();
    for _ in 0..3 {
        client.send("GET /hello/you HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("connection")), (200, Some("keep-alive")));
    }
    client.send("GET /hello/you HTTP/1.0\r\n\r\n");
    assert!(client.reply().closes());
    client.expect_eof();
}

#[test]
fn requests_after_the_last_one_are_not_answered() {
    let server = start();
    let (mut client, id) = server.connect_known();
    let last = "GET /hello/last HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";
    client.send([get("/hello/first"), last.into(), get("/hello/never")].concat());
    assert_eq!(client.reply().text(), "hello first");
    assert_eq!(client.reply().text(), "hello last");
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::NotPersistent);
    assert_eq!(server.log.count(|event| matches!(event, Event::Request(..))), 2);
}

#[test]
fn a_handler_can_close() {
    let server = TestServer::start(|app, _| {
        app.get("/bye", |_, _, res| res.header("Connection", "close").text("bye"));
    });
    let (mut client, id) = server.connect_known();
    assert!(client.ask("/bye").closes());
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::HandlerClosed);
}
