//! Replies that a function after the handler changes in such a way that what was announced is not true any more.

use std::io::{self, Cursor};
use std::ops::ControlFlow;
use std::time::Duration;

use crate::exchange::{Outgoing, Output, Protocol, Responder, from_iter, from_reader};
use crate::router::Router;
use crate::{Config, TestClient};

type Change = fn(&mut Outgoing<'_>);

fn app(change: Change) -> Router<()> {
    let mut app = Router::new(());
    app.get("/none", |_, _, res| res.status(204).text("hello"));
    app.get("/unmodified", |_, _, res| res.status(304).text("hello"));
    app.get("/unmodified-with-length", |_, _, res| res.status(304).header("Content-Length", "5").text("hello"));
    app.get("/written", |_, _, res| {
        let mut body = res.status(205).start()?;
        body.write("hello")?;
        body.end()
    });
    app.get("/chunked", |_, _, res| res.stream(from_iter(["hello"])));
    app.get("/chunked-none", |_, _, res| res.status(204).stream(from_iter(["hello"])));
    app.get("/stream", |_, _, res| res.stream(from_reader(Cursor::new(b"hello")).with_length(5)));
    app.get("/stream-with-length", |_, _, res| res.header("Content-Length", "5").stream(from_iter(["hello"])));
    app.after(move |(), req, reply| {
        if req.path() != "/last" {
            change(reply);
        }
    });
    app.get("/last", |_, _, res| res.text("last"));
    app
}

/// Status, and the lines that say how long the content is, with the content. Then comes the next reply.
#[track_caller]
fn ask(change: Change, path: &str) -> String {
    let mut client = TestClient::new(app(change));
    client.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\nGET /last HTTP/1.1\r\nHost: a\r\n\r\n"));
    let bytes = String::from_utf8(client.read()).unwrap();
    let (head, rest) = bytes.split_once("\r\n\r\n").unwrap();
    let (content, next) = rest.split_once("HTTP/1.1 200 OK\r\n").unwrap_or_else(|| panic!("{path}: {bytes}"));
    assert!(next.ends_with("\r\n\r\nlast"), "{path}: {bytes}");
    assert_eq!((client.ended(), client.is_half_closed()), (None, false), "{path}");
    let announces = |line: &&str| line.starts_with("Content-Length:") || line.starts_with("Transfer-Encoding:");
    let announced: Vec<&str> = head.lines().filter(announces).collect();
    format!("{} {} {content}", &head[9..12], announced.join(" "))
}

fn set_unless_failed<const STATUS: u16>(reply: &mut Outgoing<'_>) {
    if reply.error().is_none() {
        reply.set_status(STATUS);
    }
}

/// The client would take the next reply for the content that was announced.
#[test]
fn content_that_was_left_out_is_not_announced_when_the_status_changes() {
    for path in ["/none", "/unmodified", "/written", "/chunked-none"] {
        for (status, change) in [(200, (|reply| reply.set_status(200)) as Change), (404, |reply| reply.set_status(404))]
        {
            assert_eq!(ask(change, path), format!("{status} Content-Length: 0 "), "{path}");
        }
    }
    // Here the handler has said that there is content.
    let failed = ask(set_unless_failed::<200>, "/unmodified-with-length");
    assert_eq!(failed, "500 Content-Length: 33 {\"error\":\"Internal server error\"}");
    // A 205 has none, and a stream does not begin.
    assert_eq!(ask(|reply| reply.set_status(205), "/stream"), "205 Content-Length: 0 ");
    assert_eq!(ask(|reply| reply.set_status(205), "/chunked"), "205 Content-Length: 0 ");
    let failed = ask(set_unless_failed::<205>, "/stream-with-length");
    assert_eq!(failed, "500 Content-Length: 33 {\"error\":\"Internal server error\"}");
}

#[test]
fn a_length_that_is_set_for_a_stream_must_be_true() {
    let failed = "500 Content-Length: 33 {\"error\":\"Internal server error\"}";
    let (true_length, other): (Change, Change) =
        (|reply| _ = reply.header("Content-Length", "5"), |reply| _ = reply.header("Content-Length", "3"));
    for path in ["/stream", "/stream-with-length"] {
        assert_eq!(ask(true_length, path), "200 Content-Length: 5 hello", "{path}");
        assert_eq!(ask(|reply| _ = reply.remove_header("Content-Length"), path), "200 Content-Length: 5 hello");
        assert_eq!(ask(other, path), failed, "{path}");
    }
    // Its content is sent in chunks, so nobody can say its length.
    assert_eq!(ask(true_length, "/chunked"), failed);
    assert_eq!(ask(other, "/chunked"), failed);
    // For a reply that has no content, it tells what a GET would bring.
    let mut client = TestClient::new(app(true_length));
    assert_eq!(client.head("/chunked").send().header("Content-Length"), Some("5"));
}

/// A client of HTTP/1.0 waits for that end.
#[test]
fn content_that_ends_with_the_connection_ends_it_whatever_is_set() {
    let changes: [Change; 2] =
        [|reply| _ = reply.remove_header("Connection"), |reply| _ = reply.header("Connection", "keep-alive")];
    for change in changes {
        let mut client = TestClient::new(app(change));
        client.write("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        let bytes = String::from_utf8(client.read()).unwrap();
        assert!(bytes.contains("\r\nConnection: close\r\n") && bytes.ends_with("\r\n\r\nhello"), "{bytes}");
        assert!(client.is_half_closed());
    }
}

#[test]
fn content_for_which_there_is_no_memory_is_a_503() {
    let mut app = Router::new(());
    app.get("/", |_, _, res| res.text("small"));
    app.get("/last", |_, _, res| res.text("last"));
    app.after(|(), req, reply| {
        if req.path() == "/" && reply.status() == 200 {
            reply.set_content(vec![b'x'; 16 << 20]);
        }
    });
    let mut client = TestClient::with_config(app, Config::new().max_memory(8 << 20));
    assert_eq!(client.get("/").send().status(), 503);
    assert_eq!(client.get("/last").send().text(), "last");
}

struct Ignores;

impl<S> Protocol<S> for Ignores {
    fn on_data(&mut self, _: &mut S, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        Ok(bytes.len())
    }
}

/// The offer of another protocol decides which route it is.
#[test]
fn a_refused_offer_of_another_protocol_is_seen_by_its_route_also_if_it_was_put_off() {
    let mut app = Router::new(None::<Responder>);
    app.upgrade("/up", "x", |_, _, res| Ok((res, Ignores)))
        .with(|responder, _, res| {
            let (sent, later) = res.defer();
            *responder = Some(later);
            ControlFlow::Break(Ok(sent))
        })
        .after(|_, _, reply| _ = reply.header("X-Route", "upgrade"));
    app.get("/up", |_, _, res| res.text("plain")).after(|_, _, reply| _ = reply.header("X-Route", "get"));
    let mut client = TestClient::new(app);
    client.write("GET /up HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    client.app_mut().state_mut().take().expect("it was put off").text("no");
    client.advance(Duration::ZERO);
    assert_eq!(client.read_reply().expect("a reply").header("X-Route"), Some("upgrade"));
    assert_eq!(client.get("/up").send().header("X-Route"), Some("get"));
}
