//! Tests of the test client itself. Other tests use it to test the rest: see `src/router/tests.rs` and `src/h1/tests`.

mod cookies;
mod threads;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::exchange::{
    BodySender, BodySink, CloseReason, Duplex, Endpoint, Intake, Response, Sent, Trailers, from_iter,
};
use crate::http::Method;
use crate::limits::WHEEL_SLOT;
use crate::sse::{self, EventSender};
use crate::{Config, Router, TestClient};

fn client() -> TestClient<Router<u32>> {
    let mut app = Router::new(0);
    app.get("/", |count, _, res| {
        *count += 1;
        res.text(count.to_string())
    });
    app.get("/peer", |_, req, res| res.text(req.peer().to_string()));
    app.get("/big", |_, _, res| res.send(vec![b'x'; 1_000_000]));
    app.post("/echo", |_, req, res| res.header("X-Trailer", req.trailer("x-t").unwrap_or("none")).send(req.body()));
    TestClient::new(app)
}

#[test]
fn a_request_and_its_reply_can_be_values() {
    let mut client = client();
    assert_eq!(client.get("/").header("Host", "other").send().text(), "1");
    let head = client.head("/").send();
    assert_eq!((head.status(), head.header("content-length"), head.body()), (200, Some("1"), &b""[..]));
    let echo = client.post("/echo").body("hello").trailer("X-T", "told").send();
    assert_eq!((echo.text(), echo.header("x-trailer")), ("hello", Some("told")));
    assert_eq!(client.post("/echo").trailer("X-T", "alone").send().header("X-Trailer"), Some("alone"));
    assert_eq!(client.post("/echo").header("Content-Length", "3").body("abc").send().text(), "abc");
    assert_eq!(client.request(Method::Trace, "/").send().status(), 405);
    assert_eq!(client.get("/big").send().body().len(), 1_000_000);
    assert_eq!(*client.app().state(), 2);
}

#[test]
fn a_connection_that_has_ended_is_replaced() {
    let mut client = client();
    assert_eq!(client.get("/").header("Connection", "close").send().text(), "1");
    assert_eq!(client.ended(), Some(CloseReason::NotPersistent));
    assert_eq!(client.get("/").send().text(), "2");
    client.write("broken\r\n\r\n");
    assert!(client.is_half_closed() && client.ended().is_none(), "it lingers");
    assert_eq!(client.get("/").send().text(), "3");
}

#[test]
fn each_connection_has_a_port_of_its_own_or_the_given_peer() {
    let mut client = client();
    assert_eq!(client.get("/peer").send().text(), "127.0.0.1:49152");
    assert_eq!(client.reconnect().get("/peer").send().text(), "127.0.0.1:49153");
    let address: SocketAddr = "192.0.2.1:7".parse().unwrap();
    assert_eq!(client.connect_from(address).get("/peer").send().text(), "192.0.2.1:7");
    assert_eq!(client.connect_from(Endpoint::Unix).get("/peer").send().text(), "unix");
}

#[test]
fn a_missing_reply_panics_with_the_bytes_that_came() {
    let mut client = client();
    client.set_window(12);
    let panic = catch_unwind(AssertUnwindSafe(|| client.get("/").send())).unwrap_err();
    let text = panic.downcast_ref::<String>().unwrap();
    assert!(text.starts_with("no whole reply to GET /: \"HTTP/1.1 200\" came"), "{text}");
}

#[cfg(feature = "websocket")]
#[test]
fn a_missing_message_panics_and_says_whether_the_connection_has_ended() {
    use crate::websocket::{Message, Socket, WebSocket};

    struct Echo;
    impl<S> WebSocket<S> for Echo {
        fn message(&mut self, _: &mut S, message: Message<'_>, ws: &mut Socket<'_>) -> crate::Result<()> {
            ws.send(message)
        }
    }

    let mut app = Router::new(());
    app.websocket("/echo", |_, _, offer| Ok((offer, Echo)));
    let mut client = TestClient::new(app);
    let mut socket = client.websocket("/echo").open();
    let panics = |socket: &mut crate::testing::TestSocket| {
        let panic = catch_unwind(AssertUnwindSafe(|| socket.text())).unwrap_err();
        panic.downcast::<String>().map_or_else(|panic| (*panic.downcast::<&str>().unwrap()).to_owned(), |text| *text)
    };
    assert_eq!(panics(&mut socket), "no message is there");
    socket.send(&mut client, b"\x01");
    assert_eq!(panics(&mut socket), "the next message is no text: Binary([1])");
    socket.cut(&mut client);
    assert_eq!(
        panics(&mut socket),
        "no message is there, and the connection has ended: the client reset it, or the socket failed"
    );
}

#[test]
fn a_server_that_drains_accepts_no_connections() {
    let mut client = client();
    client.drain();
    assert!(client.is_half_closed());
    assert!(catch_unwind(AssertUnwindSafe(|| client.get("/").send())).is_err());
}

/// The timer wheel counts its turns in 32 bits. After 34 years it found no deadline any more, and `advance` hung.
#[test]
fn advance_returns_at_the_end_of_virtual_time() {
    let mut client = client();
    client.advance(Duration::MAX);
    assert_eq!(client.ended(), Some(CloseReason::IdleTimeout));
    assert_eq!(client.get("/").send().text(), "1");
    client.advance(Duration::from_secs(1)).advance(Duration::MAX);
    assert_eq!(client.get("/").send().text(), "2");
    let config = Config { idle_timeout: Duration::MAX, ..Config::default() };
    let mut patient = TestClient::with_config(Router::new(()), config);
    for _ in 0..3 {
        patient.advance(Duration::from_secs(86_400 * 365));
        assert_eq!(patient.get("/").send().status(), 404);
    }
}

#[test]
fn a_stream_that_is_cut_gives_its_output_back_once() {
    let mut app = Router::new(None);
    app.get("/", |kept, _, res| {
        let (sent, sender) = res.channel()?;
        *kept = Some(sender);
        Ok(sent)
    });
    let mut client = TestClient::new(app);
    client.get("/").open();
    client.reset();
    assert_eq!(client.ended(), Some(CloseReason::SocketError));
    assert!(client.app().state().as_ref().is_some_and(BodySender::is_closed));
}

#[test]
fn a_chunked_reply_is_read_as_a_whole_and_an_open_one_up_to_its_head() {
    let mut app = Router::new(None);
    app.get("/whole", |_, _, res| res.stream(from_iter(["one ", "two"])));
    app.get("/open", |kept, _, res| {
        let (sent, sender) = res.channel()?;
        assert!(sender.send("begun").is_ok());
        *kept = Some(sender);
        Ok(sent)
    });
    let mut client = TestClient::new(app);
    assert_eq!(client.get("/whole").send().text(), "one two");
    assert_eq!(client.head("/whole").send().header("Transfer-Encoding"), Some("chunked"));
    assert!(client.get("/open").open().body().is_empty());
    assert_eq!(client.read(), b"5\r\nbegun\r\n");
    client.app_mut().state_mut().take().unwrap().finish();
    assert_eq!(client.read(), b"0\r\n\r\n");
    assert_eq!(client.get("/whole").send().status(), 200, "the connection goes on");
}

/// The status codes that the client gets, and whether the server half-closes, if a middleware answers a sink route so.
fn answered_early(answer: fn(Response<'_>) -> crate::Result<Sent>, request: &str) -> (Vec<u16>, bool) {
    let mut app = Router::new(());
    app.with(move |_, _, res| ControlFlow::Break(answer(res)));
    app.sink(Method::Post, "/sink", |_, _| Ok(Nobody));
    let mut client = TestClient::new(app);
    client.write(request);
    let replies = std::iter::from_fn(|| client.read_reply()).map(|reply| reply.status()).collect();
    (replies, client.is_half_closed())
}

struct Nobody;

impl BodySink<()> for Nobody {
    fn data(&mut self, _: &mut (), _: &[u8], _: &mut Intake<'_>) -> crate::Result<()> {
        unreachable!("the middleware has answered")
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>, _: Response<'_>) -> crate::Result<Sent> {
        unreachable!("the middleware has answered")
    }
}

#[test]
fn content_that_no_sink_takes_closes_the_connection_unless_it_is_short() {
    let chunked = "POST /sink HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    assert_eq!(answered_early(|res| res.accept_content().text("no"), chunked), (vec![200], true));
    assert_eq!(answered_early(|res| res.text("no"), chunked), (vec![200], true));
    let short = "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbodyGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(answered_early(|res| res.text("no"), short), (vec![200, 200], false));
}

#[test]
fn a_middleware_that_puts_a_reply_off_without_a_sink_is_a_500() {
    for framing in ["Transfer-Encoding: chunked", "Content-Length: 4"] {
        let request = format!("POST /sink HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let (replies, _) = answered_early(|res| Ok(res.later()), &request);
        assert_eq!(replies, [500], "{framing}");
    }
}

/// A client of an application whose streams send only heartbeats, each after a silence of `heartbeat`.
fn silent(heartbeat: Duration) -> TestClient<Router<Vec<BodySender>>> {
    let mut app = Router::new(Vec::new());
    app.get("/", move |kept: &mut Vec<BodySender>, _, res| {
        let (sent, sender) = res.channel()?;
        sender.set_heartbeat(heartbeat, "beat");
        kept.push(sender);
        Ok(sent)
    });
    app.duplex(Method::Post, "/", move |_, _, res| {
        let (sent, sender) = res.channel()?;
        sender.set_heartbeat(heartbeat, "beat");
        Ok((sent, Holder(sender)))
    });
    TestClient::new(app)
}

struct Holder(BodySender);

impl<S> Duplex<S> for Holder {
    fn data(&mut self, _: &mut S, _: &[u8], _: &mut Intake<'_>) -> crate::Result<()> {
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>) -> crate::Result<()> {
        self.0.finish();
        Ok(())
    }
}

#[test]
fn a_heartbeat_just_below_the_idle_timeout_comes_in_time() {
    for millis in [29_000, 29_800, 29_990] {
        let mut client = silent(Duration::from_millis(millis));
        client.get("/").open();
        client.advance(Duration::from_secs(100));
        assert_eq!(client.ended(), None, "{millis} ms");
        assert_eq!(client.read(), b"4\r\nbeat\r\n".repeat(3), "{millis} ms");
    }
}

/// The idle timeout is that of the server, or one that the handler has set for its connection.
#[test]
fn a_heartbeat_that_is_later_than_the_idle_timeout_comes_at_half_of_it() {
    for (idle, beat) in [(30_000, 30_000), (30_000, 3_600_000), (4_000, 15_000), (300, 15_000)] {
        let idle = Duration::from_millis(idle);
        let mut app = Router::new(Vec::new());
        app.get("/", move |kept: &mut Vec<BodySender>, _, res| {
            let (sent, sender) = res.idle_timeout(idle).channel()?;
            sender.set_heartbeat(Duration::from_millis(beat), "beat");
            kept.push(sender);
            Ok(sent)
        });
        let mut client = TestClient::new(app);
        client.get("/").open();
        let whole = Duration::from_secs(100);
        client.advance(whole);
        assert_eq!(client.ended(), None, "{beat} ms beside {idle:?}");
        let count = (client.read().len() / b"4\r\nbeat\r\n".len()) as u128;
        // The wheel of the deadlines is late by up to a slot, each time.
        let (least, most) =
            (whole.as_millis() / (idle / 2 + WHEEL_SLOT).as_millis(), 2 * whole.as_millis() / idle.as_millis());
        assert!((least..=most).contains(&count), "{beat} ms beside {idle:?}: {count} beats");
    }
}

#[test]
fn a_stream_of_events_outlives_an_idle_timeout_that_is_shorter_than_its_heartbeat() {
    let mut app = Router::new(Vec::new());
    app.get("/", |kept: &mut Vec<EventSender>, _, res| {
        let (sent, sender) = sse::start(res)?;
        kept.push(sender);
        Ok(sent)
    });
    let config = Config { idle_timeout: Duration::from_secs(5), ..Config::default() };
    let mut client = TestClient::with_config(app, config);
    client.get("/").send();
    client.advance(Duration::from_secs(60));
    assert_eq!(client.ended(), None);
    assert!(client.read().starts_with(b"3\r\n:\n\n\r\n"));
}

#[test]
fn a_heartbeat_of_forever_is_none() {
    let mut client = silent(Duration::MAX);
    client.get("/").open();
    client.advance(Duration::from_secs(31));
    assert_eq!((client.read(), client.ended()), (Vec::new(), Some(CloseReason::IdleTimeout)));
}

#[test]
fn a_heartbeat_does_not_keep_a_stalled_upload_alive() {
    let mut client = silent(Duration::from_millis(300));
    client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n12");
    client.advance(Duration::from_secs(15));
    assert_eq!(client.ended(), Some(CloseReason::ContentTimeout));
}
