//! Timeouts, with the real clock.

use std::sync::Arc;
use std::thread;

use monoloop::server::{CloseReason, Timeout};

use crate::support::{Event, TestServer, get, pattern};
use crate::{EIGHT, SHORT, assert_serves, basics};

#[test]
fn an_idle_connection_is_closed_silently() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.idle_timeout = SHORT;
    });
    let (mut fresh, fresh_id) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    used.ask("/hello/you");
    for (client, id) in [(&mut fresh, fresh_id), (&mut used, used_id)] {
        client.expect_eof();
        assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
        server.log.wait_event(&Event::TimedOut(id, Timeout::Idle));
    }
    assert_serves(&server);
}

#[test]
fn the_keep_alive_timeout_counts_between_requests_only() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.keep_alive_timeout = Some(SHORT);
    });
    let (mut waiting, _) = server.connect_known();
    let (mut used, used_id) = server.connect_known();
    used.ask("/hello/you");
    used.expect_eof();
    assert_eq!(server.log.wait_closed(used_id), CloseReason::IdleTimeout);
    assert_eq!(waiting.ask("/hello/you").text(), "hello you", "one that has not asked yet has the idle timeout");
}

#[test]
fn a_handler_sets_the_idle_timeout_of_its_connection() {
    let server = TestServer::start(|app, _| {
        basics(app);
        app.get("/short", |_, _, res| res.idle_timeout(SHORT).text("short"));
    });
    let (mut client, id) = server.connect_known();
    assert_eq!(client.ask("/short").text(), "short");
    client.expect_eof();
    assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
}

#[test]
fn half_a_head_is_a_408() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.head_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("GET /hello/you HTTP/1.1\r\nHost: te");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::HeadTimeout);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Head));
    server.log.wait_event(&Event::Failed(id, 408));

    // The same holds after a request that was answered.
    let (mut client, id) = server.connect_known();
    client.send([&get("/hello/you"), "GET /hello"].concat());
    assert_eq!(client.reply().text(), "hello you");
    assert_eq!(client.reply().status, 408);
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::HeadTimeout);
}

#[test]
fn a_head_that_drips_is_a_408_too() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.head_timeout = SHORT;
        // The time must end it, however fast it drips.
        config.max_head = 1 << 30;
    });
    let (mut client, id) = server.connect_known();
    client.send("GET /hello/you HTTP/1.1\r\nHost: test\r\nX-Drip: ");
    let mut writer = client.share();
    // It drips until the server ends it; the wait for the reply below has the limit.
    let dripping = thread::spawn(move || while writer.try_send(b"x").is_ok() {});
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_end();
    drop(client);
    server.log.wait_closed(id);
    dripping.join().expect("it only writes");
}

#[test]
fn half_of_the_content_is_a_408() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.idle_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhalf");
    let reply = client.reply();
    assert_eq!((reply.status, reply.closes()), (408, true));
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::IdleTimeout);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Idle));
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let content: Arc<[u8]> = pattern(EIGHT).into();
    let server = TestServer::start(move |app, config| {
        basics(app);
        config.send_timeout = SHORT;
        app.get("/eight", move |_, _, res| res.send(Arc::clone(&content)));
    });
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    assert_eq!(server.log.wait_closed(id), CloseReason::SendTimeout);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Send));
    assert_serves(&server);
}

#[test]
fn lingering_ends() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.linger_timeout = SHORT;
    });
    let (mut client, id) = server.connect_known();
    client.send("no request\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_eof();
    // Our client does not close its side.
    assert_eq!(server.log.wait_closed(id), CloseReason::BadRequest);
    server.log.wait_event(&Event::TimedOut(id, Timeout::Linger));
    assert_serves(&server);
}
