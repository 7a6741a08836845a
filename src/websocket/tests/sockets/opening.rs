//! From a request to a socket: what the server answers, and what becomes of the connection.

use std::ops::ControlFlow;

use super::probe::{Client, Probe, World, app_with, calls, client, client_with, closed, open};
use crate::exchange::CloseReason;
use crate::testing::TestReply;
use crate::websocket::{Message, Offer, Origins, Socket, WebSocket};
use crate::{Error, Result, TestClient};

/// The lines of a handshake after the request line. The key is the example of RFC 6455 §1.3.
const LINES: &str = "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The reply to a handshake on the client's own connection, with some text in its place.
#[track_caller]
fn asked(client: &mut Client, text: &str, instead: &str) -> TestReply {
    let head = format!("GET /ws HTTP/1.1\r\n{LINES}\r\n");
    assert!(head.contains(text), "{text}");
    client.write(head.replace(text, instead));
    client.read_reply().unwrap_or_else(|| panic!("no reply to {instead:?}"))
}

/// Checks that HTTP goes on.
#[track_caller]
fn goes_on(client: &mut Client) {
    assert_eq!(client.ended(), None);
    client.write("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_reply().map(|reply| reply.status()), Some(404));
}

#[test]
fn a_handshake_is_answered_with_101_and_the_socket_opens() {
    let mut client = client();
    let reply = asked(&mut client, "", "");
    assert_eq!((reply.status(), reply.reason()), (101, "Switching Protocols"));
    assert_eq!(reply.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let upgrade = (reply.header("Upgrade"), reply.header("Connection"));
    assert!(upgrade.0.is_some_and(|name| name.eq_ignore_ascii_case("websocket")), "{reply:?}");
    assert!(upgrade.1.is_some_and(|name| name.eq_ignore_ascii_case("upgrade")), "{reply:?}");
    assert_eq!(reply.header("Sec-WebSocket-Protocol"), None);
    assert_eq!(reply.header("Sec-WebSocket-Extensions"), None);
    assert_eq!((reply.header("Content-Length"), reply.header("Transfer-Encoding")), (None, None));
    assert_eq!(calls(&mut client), ["open"]);
}

#[test]
fn names_and_tokens_are_compared_as_their_fields_say() {
    for (text, instead) in [
        ("Connection: Upgrade", "connection: keep-alive, upgrade"),
        ("Upgrade: websocket", "UPGRADE: WebSocket"),
        ("Upgrade: websocket", "Upgrade: h2c, websocket"),
        ("Sec-WebSocket-Version", "sec-websocket-version"),
    ] {
        let mut client = client();
        assert_eq!(asked(&mut client, text, instead).status(), 101, "{instead}");
    }
}

#[test]
fn a_malformed_handshake_is_refused_and_http_goes_on() {
    let mut client = client();
    for (text, instead, status) in [
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZSBhbmQ=", 400),
        ("Host", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nHost", 400),
        ("Host", "Sec-WebSocket-Protocol: a b\r\nHost", 400),
        ("Host", "Sec-WebSocket-Protocol: a, a\r\nHost", 400),
        ("Sec-WebSocket-Version: 13\r\n", "", 426),
        ("Version: 13", "Version: 8", 426),
        ("Version: 13", "Version: 14", 426),
        ("Version: 13", "Version: 13, 8", 426),
        ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13", 426),
        ("Upgrade: websocket\r\n", "", 426),
        ("Upgrade: websocket", "Upgrade: websockets", 426),
        ("Connection: Upgrade\r\n", "", 426),
        ("HTTP/1.1", "HTTP/1.0\r\nConnection: keep-alive", 426),
        ("GET", "POST", 405),
        ("GET /ws", "GET /ws/", 404),
    ] {
        let reply = asked(&mut client, text, instead);
        assert_eq!(reply.status(), status, "{instead:?}");
        if status == 426 {
            assert_eq!(reply.header("Sec-WebSocket-Version"), Some("13"), "{instead:?}");
            assert_eq!(reply.header("Upgrade"), Some("websocket"), "{instead:?}");
        }
        goes_on(&mut client);
    }
    client.write(format!("HEAD /ws HTTP/1.1\r\n{LINES}\r\n"));
    assert!(client.read().starts_with(b"HTTP/1.1 426 "));
    assert_eq!(calls(&mut client), [""; 0]);
}

#[test]
fn a_request_with_content_does_not_switch() {
    let mut client = client();
    let reply = asked(&mut client, "Host", "Content-Length: 2\r\nHost");
    assert_ne!(reply.status(), 101);
    assert_eq!(calls(&mut client), [""; 0]);
}

// ---- the offer ------------------------------------------------------------------------------------------------------

/// A client of an application that likes the subprotocols `v2` and `v1`, in this order, and sets fields.
fn choosing() -> Client {
    let mut app = app_with(|route| route);
    app.websocket("/choose", |world, req, offer: Offer<'_>| {
        world.calls.push(offer.protocols().collect::<Vec<_>>().join("|"));
        let offer = offer.protocol("v2").protocol("v1").header("Set-Cookie", "a=b").header("X-Chosen", "yes");
        match (offer.chosen(), req.query("strict")) {
            (None, Some(_)) => Err(Error::bad_request("no version that is known")),
            _ => Ok((offer, Probe::new(req))),
        }
    });
    TestClient::new(app)
}

#[test]
fn a_subprotocol_is_chosen_from_those_that_the_client_names() {
    for (named, chosen) in [
        (&["v1", "v2"][..], Some("v2")),
        (&["v1, v2"], Some("v2")),
        (&["v0,,v1 ,\tv3"], Some("v1")),
        (&["v0", "v1", "v3"], Some("v1")),
        (&["V1"], None),
        (&["v3"], None),
        (&[], None),
    ] {
        let mut client = choosing();
        let mut handshake = client.websocket("/choose");
        for name in named {
            handshake = handshake.protocol(name);
        }
        let mut socket = handshake.open();
        assert_eq!(socket.header("Sec-WebSocket-Protocol"), chosen, "{named:?}");
        assert_eq!((socket.header("Set-Cookie"), socket.header("X-Chosen")), (Some("a=b"), Some("yes")));
        socket.send(&mut client, "echo works");
        assert_eq!(socket.text(), "works");
        let heard: Vec<&str> = named.iter().flat_map(|list| list.split(',')).map(str::trim).collect();
        let heard: Vec<&str> = heard.into_iter().filter(|name| !name.is_empty()).collect();
        assert_eq!(calls(&mut client)[0], heard.join("|"));
    }
}

#[test]
fn a_factory_that_fails_or_panics_refuses_in_http_which_goes_on() {
    let mut app = app_with(|route| route);
    app.websocket("/refuses", |_, _, _| Err::<(Offer<'_>, Probe), _>(Error::new(401, "Who are you?")));
    app.websocket("/panics", |_, _, _| -> crate::Result<(Offer<'_>, Probe)> { panic!("as the test wants") });
    let mut client = TestClient::new(app);
    for (path, status) in [("/refuses", 401), ("/panics", 500)] {
        client.write(format!("GET {path} HTTP/1.1\r\n{LINES}\r\n"));
        let reply = client.read_reply().unwrap();
        assert_eq!((reply.status(), reply.header("Sec-WebSocket-Accept")), (status, None));
        if status < 500 {
            goes_on(&mut client);
        }
        let refused = client.websocket(path).try_open().unwrap_err();
        assert_eq!(refused.status(), status);
    }
    let refused = choosing().websocket("/choose?strict").protocol("v9").try_open().unwrap_err();
    assert_eq!(refused.status(), 400);
}

/// The handler was made, so it learns of the end; a client has not seen the socket.
#[test]
fn an_offer_that_cannot_be_answered_is_a_500() {
    let mut app = app_with(|route| route);
    app.websocket("/broken", |_, req, offer: Offer<'_>| Ok((offer.header("no name", "x"), Probe::new(req))));
    let mut client = TestClient::new(app);
    let refused = client.websocket("/broken").try_open().unwrap_err();
    assert_eq!(refused.status(), 500);
}

// ---- origins --------------------------------------------------------------------------------------------------------

#[test]
fn a_page_of_another_origin_is_refused_and_told_why() {
    let mut client = client();
    for (origin, status) in [
        ("http://localhost", 101),
        ("https://localhost", 101),
        ("http://localhost:80", 101),
        ("HTTP://LOCALHOST", 101),
        ("http://localhost:8080", 403),
        ("http://localhost.evil.example", 403),
        ("http://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://localhost", 403),
    ] {
        let opened = client.websocket("/ws").header("Origin", origin).try_open();
        match opened {
            Ok(_) => assert_eq!(status, 101, "{origin}"),
            Err(reply) => {
                assert_eq!(reply.status(), status, "{origin}");
                assert!(reply.text().contains("may not open a WebSocket"), "{}", reply.text());
            }
        }
    }
    let reply = asked(&mut client, "Host", "Origin: http://evil.example\r\nHost");
    assert_eq!(reply.status(), 403);
    assert!(reply.text().contains("Origins::list"), "{}", reply.text());
    goes_on(&mut client);
    let reply = asked(&mut client, "Host", "Origin: http://localhost\r\nOrigin: http://localhost\r\nHost");
    assert_eq!(reply.status(), 403, "two of them");
}

#[test]
fn origins_can_be_listed_or_all_allowed() {
    let mut client = client_with(|route| route.origins(Origins::list(["https://a.example", "http://b.example:81"])));
    for (origin, is_allowed) in [
        (Some("https://a.example"), true),
        (Some("https://a.example:443"), true),
        (Some("http://b.example:81"), true),
        (None, true),
        (Some("http://a.example"), false),
        (Some("http://b.example"), false),
        (Some("http://localhost"), false),
    ] {
        let handshake = client.websocket("/ws");
        let handshake = origin.into_iter().fold(handshake, |handshake, origin| handshake.header("Origin", origin));
        assert_eq!(handshake.try_open().is_ok(), is_allowed, "{origin:?}");
    }
    let mut client = client_with(|route| route.origins(Origins::Any));
    for origin in ["null", "http://evil.example"] {
        assert!(client.websocket("/ws").header("Origin", origin).try_open().is_ok(), "{origin}");
    }
}

// ---- beside HTTP ----------------------------------------------------------------------------------------------------

#[test]
fn a_path_can_have_a_socket_and_a_page() {
    let mut app = app_with(|route| route);
    app.get("/ws", |_, _, res| res.text("the page"));
    app.post("/ws", |_, _, res| res.text("posted"));
    let listed: Vec<String> = app.routes().map(|route| route.to_string()).collect();
    assert_eq!(listed, ["GET    /ws (upgrade)", "GET    /ws", "POST   /ws"]);
    let mut client = TestClient::new(app);
    assert_eq!(client.get("/ws").send().text(), "the page");
    assert_eq!((client.head("/ws").send().status(), client.post("/ws").send().text()), (200, "posted"));
    assert_eq!(client.options("/ws").send().header("Allow"), Some("GET, HEAD, POST, OPTIONS"));
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "echo socket");
    assert_eq!(socket.text(), "socket");
    // A handshake of another version is not for the page.
    assert_eq!(asked(&mut client, "13", "12").status(), 426);
}

#[test]
fn a_path_with_a_socket_alone_says_so() {
    let mut client = client();
    let reply = client.get("/ws").send();
    assert_eq!((reply.status(), reply.header("Sec-WebSocket-Version")), (426, Some("13")));
    assert!(reply.text().contains("A proxy must pass Upgrade and Connection on"), "{reply:?}");
    assert_eq!((client.head("/ws").send().status(), client.post("/ws").send().status()), (426, 405));
    assert_eq!(client.options("/ws").send().header("Allow"), Some("GET, OPTIONS"));
}

#[test]
fn middleware_and_parameters_and_mounts_work_as_for_other_routes() {
    use crate::Router;
    use crate::router::Routes;

    let mut part = Routes::new();
    part.with(|world: &mut super::probe::World, req, res| match req.header("X-Refuse") {
        Some(_) => ControlFlow::Break(res.status(402).text("refused")),
        None => {
            world.calls.push(format!("room {}", req.param_str("room").unwrap_or_default()));
            ControlFlow::Continue(res.header("X-Middleware", "set"))
        }
    });
    part.websocket("/:room/ws", |world, req, offer: Offer<'_>| {
        world.calls.push(format!("for {}", req.param_str("room").unwrap_or_default()));
        Ok((offer, Probe::new(req)))
    })
    .max_message(10);
    let mut app: Router<_> = app_with(|route| route);
    app.mount("/rooms", part);
    let mut client = TestClient::new(app);
    let mut socket = client.websocket("/rooms/blue/ws").open();
    assert_eq!(socket.header("X-Middleware"), Some("set"));
    assert_eq!(calls(&mut client), ["room blue", "for blue", "open"]);
    socket.send(&mut client, "longer than 10");
    assert_eq!(socket.next(), Some(closed(1009, "a message is too long")));
    let refused = client.websocket("/rooms/blue/ws").header("X-Refuse", "1").try_open().unwrap_err();
    assert_eq!((refused.status(), refused.text()), (402, "refused"));
}

#[test]
#[should_panic(expected = "already")]
fn a_path_has_one_socket() {
    let mut app = app_with(|route| route);
    app.websocket("/ws", |_, req, offer: Offer<'_>| Ok((offer, Probe::new(req))));
}

// ---- the connection -------------------------------------------------------------------------------------------------

/// A frame with a key of zeros.
fn frame(text: &str) -> Vec<u8> {
    [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0][..], text.as_bytes()].concat()
}

#[test]
fn frames_that_come_with_the_handshake_are_read_after_the_open() {
    let mut client = client();
    let head = format!("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\nGET /ws?open=echo+hi HTTP/1.1\r\n{LINES}\r\n");
    client.write([head.as_bytes(), &frame("echo one"), &frame("echo two"), &frame("echo three")[..5]].concat());
    assert_eq!(client.read_reply().unwrap().status(), 404);
    let bytes = client.read();
    assert!(bytes.starts_with(b"HTTP/1.1 101 ") && bytes.ends_with(b"\x81\x02hi\x81\x03one\x81\x03two"));
    client.write(&frame("echo three")[5..]);
    assert_eq!(client.read(), b"\x81\x05three");
    assert_eq!(calls(&mut client), ["open", "message echo one", "message echo two", "message echo three"]);
}

#[test]
fn a_client_that_leaves_with_the_handshake_gets_what_it_asked_for() {
    let mut client = client();
    client.write(format!("GET /ws HTTP/1.1\r\n{LINES}\r\n"));
    client.half_close();
    assert_eq!(client.ended(), Some(CloseReason::ProtocolEnded));
    assert_eq!(calls(&mut client), ["open", "close 1006 \"\" unclean ProtocolEnded"]);
}

/// A socket learns of its end also if it was never open: the replies before it are not taken yet.
#[test]
fn a_client_that_is_gone_before_the_open() {
    let mut app = app_with(|route| route);
    app.get("/large", |_, _, res| res.send(vec![b'x'; 40_000]));
    let mut client = TestClient::new(app);
    client.set_window(0);
    let get = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write([get, &format!("GET /ws HTTP/1.1\r\nX-Long: {}\r\n{LINES}\r\n", "x".repeat(8_000))].concat());
    client.reset();
    assert_eq!(client.ended(), Some(CloseReason::SocketError));
    let calls = calls(&mut client);
    assert_eq!(calls.last().map(String::as_str), Some("close 1006 \"\" unclean SocketError"), "{calls:?}");
}

#[test]
fn a_socket_opens_also_behind_large_replies_that_the_client_takes_late() {
    let mut app = app_with(|route| route);
    app.get("/large", |_, _, res| res.send(vec![b'x'; 200_000]));
    let mut client = TestClient::new(app);
    client.set_window(0);
    let get = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write([get.as_bytes(), format!("GET /ws HTTP/1.1\r\n{LINES}\r\n").as_bytes(), &frame("echo x")].concat());
    assert_eq!(calls(&mut client), [""; 0]);
    client.set_window(usize::MAX);
    assert_eq!(client.read_reply().unwrap().body().len(), 200_000);
    assert!(client.read().ends_with(b"\x81\x01x"));
    assert_eq!(calls(&mut client), ["open", "message echo x"]);
}

#[test]
fn a_handshake_that_waits_when_the_drain_begins_is_answered_and_closed_with_1001() {
    let mut app = app_with(|route| route);
    app.get("/large", |_, _, res| res.send(vec![b'x'; 200_000]));
    let mut client = TestClient::new(app);
    client.set_window(0);
    let get = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write([get, &format!("GET /ws?open=echo+hi HTTP/1.1\r\n{LINES}\r\n")].concat());
    client.drain().set_window(usize::MAX);
    assert_eq!(client.read_reply().unwrap().body().len(), 200_000);
    let bytes = client.read();
    assert!(bytes.starts_with(b"HTTP/1.1 101 "), "{}", bytes.escape_ascii());
    assert!(bytes.ends_with(b"\x81\x02hi\x88\x18\x03\xe9the server is stopping"), "{}", bytes.escape_ascii());
    client.write(b"\x88\x82\0\0\0\0\x03\xe9").half_close();
    assert_eq!(client.ended(), Some(CloseReason::ProtocolEnded));
    assert_eq!(calls(&mut client), ["open", "close 1001 \"the server is stopping\" clean ProtocolEnded"]);
}

/// Each method of the trait has to go through the box.
#[test]
fn one_route_can_serve_several_kinds_of_handlers() {
    struct Shout;
    impl WebSocket<World> for Shout {
        fn message(&mut self, _: &mut World, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
            ws.send(&message.as_text().unwrap_or_default().to_uppercase())
        }
    }

    let mut app = app_with(|route| route);
    app.websocket("/either", |_, req, offer: Offer<'_>| {
        let handler: Box<dyn WebSocket<World>> = match req.query("name") {
            Some(_) => Box::new(Probe::new(req)),
            None => Box::new(Shout),
        };
        Ok((offer, handler))
    });
    let mut client = TestClient::new(app);
    let mut shout = client.websocket("/either").open();
    shout.send(&mut client, "hello");
    assert_eq!(shout.text(), "HELLO");

    let mut probe = client.websocket("/either?name=a").open();
    probe.set_window(&mut client, 0);
    probe.send(&mut client, "fill");
    probe.set_window(&mut client, usize::MAX);
    probe.pong(&mut client, b"x");
    probe.close(&mut client, 1000, "");
    probe.half_close(&mut client);
    let wanted = ["open", "message fill", "writable", "pong x", "close 1000 \"\" clean ProtocolEnded"];
    assert_eq!(calls(&mut client), wanted.map(|call| format!("a {call}")));
}

#[test]
fn a_handler_whose_101_cannot_be_made_is_closed() {
    let mut app = app_with(|route| route);
    app.websocket("/bad", |_, req, offer: Offer<'_>| Ok((offer.header("no name", "x"), Probe::new(req))));
    let mut client = TestClient::new(app);
    let reply = client.websocket("/bad").try_open().unwrap_err();
    assert_eq!(reply.status(), 500);
    assert_eq!(calls(&mut client), ["close 1006 \"\" unclean ProtocolFailed"]);
}
