//! Secrets of any form are masked, and what is masked replays with the same result.

use monoloop::recording::Recording;
use monoloop::{Config, Router};

use super::round_trips::rest;
use super::support::Client;
use super::{assert_has, round_trip};

fn app(app: &mut Router<()>, _: &mut Config) {
    app.get("/", |_, req, res| {
        let known = req.header("cookie").is_some();
        res.header("Set-Cookie", "hidden").text(if known { "known" } else { "unknown" })
    });
    app.post("/back", |_, req, res| res.text(String::from_utf8_lossy(req.body()).into_owned()));
    #[cfg(feature = "websocket")]
    app.websocket("/socket", |(), _, offer| Ok((offer, super::round_trips::Echo)));
}

/// Sends each text on a connection of its own. What is sent has the word `hidden` only where it is a secret.
#[track_caller]
fn meet(texts: &[&str]) {
    let recording = round_trip(app, |server| {
        for text in texts {
            let mut client = server.connect();
            client.send(text);
            client.half_close();
            rest(&mut client);
        }
    });
    assert!(!recording.contains("hidden"), "{recording}");
    assert!(Recording::read(recording.as_bytes()).expect("it is one").is_masked());
}

#[test]
fn secrets_with_odd_white_space_and_control_characters() {
    meet(&[
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: hidden \t \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCOOKIE:hidden\r\ncookie:\thidden \r\nCookie:  \r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: a\x01hidden\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: a\0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie: a\x7f\r\n\r\n",
        "GET / HTTP/1.1\r\n Cookie: hidden\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n Cookie: hidden\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rCookie: hidden\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCookie : hidden\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: hidden\r\n hidden\r\n\r\n",
    ]);
}

#[test]
fn content_that_looks_like_a_secret_and_the_head_after_it() {
    meet(&[
        "POST /back HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nCookie: aGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /back HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nCookie: aGET / HTTP/1.1\r\nHost: a\r\n\
         Cookie: hidden\r\n\r\n",
        "POST /back HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n9\r\nCookie: a\r\n0\r\n\
         Authorization: hidden\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nCookie: hidden\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nContent-Length: 9\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\
         Cookie: hidden\r\n\r\n",
    ]);
}

/// The keys of its frames are zero, so its messages are on the wire as they are.
#[cfg(feature = "websocket")]
#[test]
fn messages_of_a_websocket_that_look_like_secrets() {
    const FRAMES: &[u8] = b"\x81\x8b\0\0\0\0a\nCookie: b\x81\x82\0\0\0\0hi\x88\x82\0\0\0\0\x03\xe8";
    let recording = round_trip(app, |server| {
        let mut client: Client = server.connect();
        let head = concat!(
            "GET /socket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: hidden\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        );
        client.send(head);
        client.try_head().expect("a head comes");
        client.send(FRAMES);
        rest(&mut client);
        let mut client = server.connect();
        client.send([head.as_bytes(), FRAMES].concat());
        rest(&mut client);
    });
    assert!(!recording.contains("hidden"), "{recording}");
    assert_has(&recording, "goodbye", "1000");
}
