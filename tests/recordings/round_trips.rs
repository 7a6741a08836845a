//! What a live server records of each kind of client replays with the same result.

use std::io;
use std::time::Duration;

use monoloop::exchange::{BodySink, BodySource, Chunk, Intake, Progress, Trailers};
use monoloop::sse::{self, Event};
use monoloop::{Config, Error, Method, Response, Result, Router, Sent};

use super::support::{Client, TestServer, pattern};
use super::{assert_has, round_trip};

const MIB: usize = 1 << 20;

/// An application with a route of each kind.
fn app(app: &mut Router<()>, config: &mut Config) {
    *config = config.clone().head_timeout(Duration::from_millis(300)).linger_timeout(Duration::from_millis(300));
    app.get("/text", |_, _, res| res.text("Hello"));
    app.get("/fail", |_, _, _| Err(Error::internal("as asked")));
    app.post("/length", |_, req, res| res.text(req.body().len().to_string()));
    app.sink(Method::Post, "/sink", |_, _| Ok(Count(0)));
    app.get("/stream", |_, _, res| res.stream(Source(4 * MIB)));
    app.get("/later", |_, _, res| {
        let (sent, responder) = res.defer();
        std::thread::spawn(move || responder.text("later"));
        Ok(sent)
    });
    let handle = app.handle();
    app.get("/pushed", move |_, _, res| {
        let (sent, sender) = res.channel()?;
        let next = handle.clone();
        // Timers of the loop, and no thread: when a thread sends its pieces is not recorded.
        let _ = handle.once(Duration::from_millis(1), move |()| {
            let _ = sender.send("one ");
            let _ = next.once(Duration::from_millis(1), move |()| sender.finish());
        });
        Ok(sent)
    });
    app.get("/events", |_, _, res| {
        let (sent, events) = sse::start(res)?;
        events.send(&Event::new("now"))?;
        events.finish();
        Ok(sent)
    });
    #[cfg(feature = "websocket")]
    app.websocket("/socket", |(), _, offer| Ok((offer, Echo)));
}

/// Counts the bytes of content.
struct Count(usize);

impl<S> BodySink<S> for Count {
    fn data(&mut self, _: &mut S, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.0 += piece.len();
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text(self.0.to_string())
    }
}

/// So many bytes.
struct Source(usize);

impl BodySource for Source {
    fn fill(&mut self, out: &mut Chunk<'_>) -> io::Result<Progress> {
        let count = self.0.min(out.wanted());
        out.push(pattern(count));
        self.0 -= count;
        Ok(if self.0 > 0 { Progress::More } else { Progress::Done })
    }
}

#[cfg(feature = "websocket")]
pub(super) struct Echo;

#[cfg(feature = "websocket")]
impl monoloop::websocket::WebSocket<()> for Echo {
    fn message(
        &mut self,
        (): &mut (),
        message: monoloop::websocket::Message<'_>,
        ws: &mut monoloop::websocket::Socket<'_>,
    ) -> Result<()> {
        ws.send(message)
    }
}

/// Reads until the server closes its side.
#[track_caller]
pub(super) fn rest(client: &mut Client) -> Vec<u8> {
    let (mut bytes, mut room) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        match client.read_some(&mut room).expect("the server goes on or ends") {
            0 => return bytes,
            count => bytes.extend_from_slice(&room[..count]),
        }
    }
}

#[cfg(feature = "websocket")]
#[track_caller]
fn exactly(client: &mut Client, count: usize) -> Vec<u8> {
    let (mut bytes, mut room) = (Vec::new(), [0]);
    while bytes.len() < count {
        assert_eq!(client.read_some(&mut room).expect("a byte comes"), 1);
        bytes.push(room[0]);
    }
    bytes
}

fn last(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
}

#[test]
fn requests_one_after_the_other_and_one_that_fails() {
    let recording = round_trip(app, |server| {
        let (mut client, id) = server.connect_known();
        for target in ["/text", "/fail", "/nothing", "/text?a=b"] {
            client.ask(target);
        }
        drop(client);
        server.log.wait_closed(id);
    });
    assert_has(&recording, "request", "\"target\":\"/text?a=b\"");
    assert_has(&recording, "failed", "500");
    assert_has(&recording, "end", "ClientClosed");
}

#[test]
fn a_pipeline() {
    let recording = round_trip(app, |server| {
        let mut client = server.connect();
        client.send([super::support::get("/text").repeat(100), last("/text")].concat());
        rest(&mut client);
    });
    assert_eq!(recording.matches("\"event\":\"request\"").count(), 101);
}

#[test]
fn content_in_pieces() {
    round_trip(app, |server| {
        for target in ["/length", "/sink"] {
            let mut client = server.connect();
            client.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 200000\r\n\r\n"));
            for piece in pattern(200_000).chunks(30_000) {
                client.send(piece);
            }
            assert_eq!(client.reply().text(), "200000");
            client.send(format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"));
            for piece in ["3\r\nab", "c\r\n", "0\r\n\r\n"] {
                client.send(piece);
            }
            assert_eq!(client.reply().text(), "3");
        }
    });
}

#[test]
fn replies_that_come_later() {
    let recording = round_trip(app, |server| {
        let mut client = server.connect();
        assert_eq!(client.ask("/later").text(), "later");
        client.send(last("/pushed"));
        assert!(rest(&mut client).ends_with(b"0\r\n\r\n"));
        let mut client = server.connect();
        client.send(last("/events"));
        rest(&mut client);
    });
    assert_has(&recording, "turn", "\"why\":\"answer\"");
}

#[test]
fn a_slow_reader_and_a_reset_in_the_middle() {
    let recording = round_trip(app, |server| {
        let mut client = server.connect();
        client.set_receive_buffer(1 << 16);
        client.send(last("/stream"));
        assert!(rest(&mut client).len() > 4 * MIB);
        let mut client = server.connect();
        client.set_receive_buffer(4096);
        client.get("/stream");
        client.read_some(&mut [0; 100]).expect("the reply begins");
        client.reset();
    });
    assert_has(&recording, "held", "true");
    assert_has(&recording, "reply_cut", "\"status\":200");
    assert_has(&recording, "end", "SocketError");
}

#[test]
fn a_head_that_does_not_end_and_a_message_that_is_none() {
    let recording = round_trip(app, |server| {
        let mut client = server.connect();
        client.send("GET /text HTTP/1.1\r\nHost");
        assert_eq!(client.reply().status, 408);
        rest(&mut client);
        let mut client = server.connect();
        client.send("GET /text HTTP/9.9\r\n\r\nwhat is this?");
        assert_eq!(client.reply().status, 505);
        rest(&mut client);
    });
    assert_has(&recording, "timeout", "head timeout");
    assert_has(&recording, "turn", "\"why\":\"deadline\"");
    assert_has(&recording, "end", "BadRequest");
}

#[test]
fn a_drain_with_a_connection_that_is_idle() {
    let recording = round_trip(app, |server| {
        let mut client = server.connect();
        client.ask("/text");
        server.handle().shutdown();
        rest(&mut client);
    });
    assert_has(&recording, "draining", "closing");
    assert_has(&recording, "end", "Drained");
}

#[test]
fn many_connections_at_once() {
    round_trip(app, |server| {
        let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
        clients.iter_mut().for_each(|client| client.get("/later"));
        clients.iter_mut().for_each(|client| assert_eq!(client.reply().text(), "later"));
        drop(clients.drain(5..10));
        clients.iter_mut().for_each(|client| assert_eq!(client.ask("/text").status, 200));
    });
}

/// A client after the handshake, in which it has sent these fields, too.
#[cfg(feature = "websocket")]
#[track_caller]
fn open_websocket(server: &TestServer, fields: &str) -> Client {
    let mut client = server.connect();
    client.send(format!(
        "GET /socket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{fields}\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    ));
    client.try_head().expect("a head comes");
    client
}

#[cfg(feature = "websocket")]
#[test]
fn a_websocket() {
    let recording = round_trip(app, |server| {
        let mut client = open_websocket(server, "");
        client.send(b"\x81\x82\0\0\0\0hi");
        assert_eq!(exactly(&mut client, 4), b"\x81\x02hi");
        client.send(b"\x88\x82\0\0\0\0\x03\xe8");
        rest(&mut client);
    });
    assert_has(&recording, "message", "\"received\":true");
    assert_has(&recording, "goodbye", "1000");
}

/// Messages are compressed in both directions (RFC 7692), and what is in them looks like secrets.
#[cfg(feature = "websocket-deflate")]
#[test]
fn a_websocket_with_compression() {
    let recording = round_trip(app, |server| {
        let mut client = open_websocket(server, "Sec-WebSocket-Extensions: permessage-deflate\r\n");
        let long = "\nCookie: hidden".repeat(20);
        client.send([b"\x81\xfe\x01\x2c\0\0\0\0", long.as_bytes()].concat());
        let begin = exactly(&mut client, 2);
        assert!(begin[0] == 0xc1 && begin[1] < 126, "the echo is not compressed: {begin:?}");
        exactly(&mut client, begin[1].into());
        // The example of RFC 7692 §7.2.3.1. Its echo is too short to be compressed.
        client.send(b"\xc1\x87\0\0\0\0\xf2\x48\xcd\xc9\xc9\x07\0");
        assert_eq!(exactly(&mut client, 7), b"\x81\x05Hello");
        client.send(b"\x88\x82\0\0\0\0\x03\xe8");
        rest(&mut client);
    });
    assert_has(&recording, "message", "\"received\":true,\"text\":true,\"bytes\":300");
    assert_has(&recording, "goodbye", "1000");
}

/// The server listens on a unix socket, whose short reads prove nothing.
#[test]
fn a_unix_socket() {
    use super::support::SocketPath;
    use super::{Memory, again};
    use monoloop::Server;
    use monoloop::recording::Recorder;

    let (path, memory) = (SocketPath::new(), Memory::default());
    let (at, out) = (path.path().to_owned(), memory.clone());
    let server = TestServer::start_on(move || Ok(Server::bind_unix(at)?.record(Recorder::new(out))), app);
    let mut client = Client::unix(path.path());
    assert_eq!(client.ask("/text").text(), "Hello");
    drop(client);
    drop(server);
    assert_has(&memory.text(), "open", "\"peer\":\"unix\"");
    again(&memory.bytes(), app).unwrap_or_else(|mismatch| panic!("{mismatch}"));
}
