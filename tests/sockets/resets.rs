//! Resets, and errors that must reach a client that is still sending.

use std::io::ErrorKind;
use std::time::Duration;

use monoloop::server::CloseReason;

use crate::support::{Client, TestServer};
use crate::{assert_serves, basics, start, start_with_large};

#[test]
fn a_reset_in_any_state_ends_one_connection_only() {
    let server = start_with_large();
    let chunked = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe";
    let cases: [(&str, &[u8]); 5] = [
        ("before the first byte", b""),
        ("within a head", b"GET /hello/you HTTP/1.1\r\nHos"),
        ("within content", b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf"),
        ("within a chunk", chunked.as_bytes()),
        ("within content that is discarded", b"POST /none HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf"),
    ];
    let allowed = [CloseReason::SocketError, CloseReason::ClientClosed, CloseReason::ClientClosedEarly];
    for (name, bytes) in cases {
        let (mut client, id) = server.connect_known();
        client.send(bytes);
        client.reset();
        let reason = server.log.wait_closed(id);
        assert!(allowed.contains(&reason), "{name}: {reason:?}");
        assert_serves(&server);
    }

    let (mut client, id) = server.connect_known();
    client.ask("/hello/you");
    client.reset();
    let reason = server.log.wait_closed(id);
    assert!(allowed.contains(&reason), "idle: {reason:?}");
    assert_serves(&server);

    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.wait_readable();
    client.reset();
    assert_eq!(server.log.wait_closed(id), CloseReason::SocketError, "while megabytes are owed");
    assert_serves(&server);

    let (mut client, id) = server.connect_known();
    client.send("no request\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_eof();
    client.reset();
    let reason = server.log.wait_closed(id);
    assert!([CloseReason::SocketError, CloseReason::BadRequest].contains(&reason), "while it lingers: {reason:?}");
    assert_serves(&server);
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_its_reply_ends_one_connection_only() {
    let server = start_with_large();
    let (mut client, id) = server.connect_known();
    client.get("/eight");
    client.read_content(1000, 1000, |_, _| {});
    // Closing over unread data sends a reset.
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::SocketError);
    assert_serves(&server);
}

// ---- errors that must arrive ----------------------------------------------------------------------------------------

/// Writes everything, whether or not the server still takes it, and only then reads.
#[track_caller]
fn deaf_while_sending(client: &mut Client, pieces: impl Iterator<Item = Vec<u8>>) -> crate::support::Reply {
    for piece in pieces {
        if let Err(error) = client.try_send(&piece) {
            let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
            assert!(gone.contains(&error.kind()), "the server must not stall the client: {error}");
            break;
        }
    }
    client.reply()
}

#[test]
fn a_413_reaches_a_client_that_is_still_sending() {
    let server = start();
    for length in ["Content-Length: 10485760", "Transfer-Encoding: chunked"] {
        let (mut client, id) = server.connect_known();
        let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\n{length}\r\n\r\n");
        let piece = match length.starts_with("Transfer") {
            true => [&b"10000\r\n"[..], &[b'x'; 0x1_0000], b"\r\n"].concat(),
            false => vec![b'x'; 0x1_0000],
        };
        let pieces = std::iter::once(head.into_bytes()).chain(std::iter::repeat_n(piece, 160));
        let reply = deaf_while_sending(&mut client, pieces);
        assert_eq!((reply.status, reply.closes()), (413, true), "{length}");
        client.expect_end();
        drop(client);
        let reason = server.log.wait_closed(id);
        assert!([CloseReason::BadRequest, CloseReason::SocketError].contains(&reason), "{length}: {reason:?}");
        assert_serves(&server);
    }
}

#[test]
fn a_400_reaches_a_client_whose_stream_is_broken_in_the_middle() {
    let server = start();
    let (mut client, id) = server.connect_known();
    let head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
    let good = std::iter::once(head).chain(std::iter::repeat_n(chunk, 10));
    let pieces = good.chain(std::iter::once(b"zz\r\n".to_vec())).chain(std::iter::repeat_n(vec![b'y'; 0x1_0000], 100));
    let reply = deaf_while_sending(&mut client, pieces);
    assert_eq!((reply.status, reply.closes()), (400, true));
    client.expect_end();
    drop(client);
    let reason = server.log.wait_closed(id);
    assert!([CloseReason::BadRequest, CloseReason::SocketError].contains(&reason), "{reason:?}");
    assert_serves(&server);
}

/// If the rest of a refused request fits into what the server discards, the connection ends without a reset.
#[test]
fn a_client_that_ends_within_the_lingering_gets_a_clean_end() {
    let server = start();
    let (mut client, id) = server.connect_known();
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999\r\n\r\n");
    client.send([b'x'; 30_000]);
    assert_eq!(client.reply().status, 413);
    client.send([b'x'; 30_000]);
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::BadRequest);
}

/// The server discards a bounded number of bytes, and waits for a bounded time. A client that still sends after that is
/// not read any more, and then reset.
#[test]
fn a_client_that_never_stops_after_its_error_is_cut_off() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.linger_timeout = Duration::from_secs(1);
    });
    let (mut client, id) = server.connect_known();
    client.send("no request\r\n\r\n");
    assert_eq!(client.reply().status, 400);
    client.expect_eof();
    let mut sent = 0;
    while client.try_send(&[b'x'; 0x1_0000]).is_ok() {
        sent += 0x1_0000;
        assert!(sent < 64 << 20, "the server reads for ever");
    }
    assert_eq!(server.log.wait_closed(id), CloseReason::BadRequest);
}
