//! The streams of the demo, with the plain client of these tests.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Client, LIMIT, assert_same, get, pattern};
use crate::{Demo, MIB, post, uploaded};

#[test]
fn the_sum_of_an_upload_is_the_usual_crc_32() {
    let demo = Demo::start();
    let mut client = demo.connect();
    // The check value of CRC-32/IEEE, and a sum that begins with zeros.
    for (content, expected) in [
        (&b"123456789"[..], r#"{"bytes":9,"crc32":"cbf43926"}"#),
        (b"", r#"{"bytes":0,"crc32":"00000000"}"#),
        (b"\xff\xff\xff\xff", r#"{"bytes":4,"crc32":"ffffffff"}"#),
    ] {
        assert_eq!(uploaded(content), expected, "of {content:?}");
        client.send(post("/upload", content));
        let reply = client.reply();
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
        assert_eq!(reply.text(), expected, "of {content:?}");
    }
    demo.end();
}

#[test]
fn streams_and_late_answers_keep_the_order_of_their_requests() {
    let demo = Demo::start();
    let mut client = demo.connect();
    let content = pattern(300_000);
    let requests = [
        get("/slow?ms=300").into(),
        post("/echo", &content),
        get("/slow?ms=1").into(),
        get("/plaintext").into(),
        post("/upload", &content),
        get("/big?mib=1").into(),
        get("/slow?ms=30").into(),
        post("/echo", b""),
        get("/plaintext").into(),
    ];
    let mut writer = client.share();
    let writing = thread::spawn(move || writer.send(requests.concat()));
    assert_eq!(client.reply().text(), r#"{"slept_ms":300}"#);
    assert_same(&client.reply().content, &content, "the echo");
    assert_eq!(client.reply().text(), r#"{"slept_ms":1}"#);
    assert_eq!(client.reply().text(), "Hello, World!");
    assert_eq!(client.reply().text(), uploaded(&content));
    assert_eq!(client.reply().content.len(), MIB);
    assert_eq!(client.reply().text(), r#"{"slept_ms":30}"#);
    assert_eq!(client.reply().text(), "");
    assert_eq!(client.reply().text(), "Hello, World!");
    writing.join().expect("the server takes everything");
    demo.end();
}

#[test]
fn a_late_answer_delays_no_other_client() {
    let demo = Demo::start();
    let (mut longest, mut long, mut short) = (demo.connect(), demo.connect(), demo.connect());
    longest.get("/slow?ms=30000");
    long.get("/slow?ms=9000");
    let start = Instant::now();
    short.get("/slow?ms=500");
    demo.assert_serves();
    assert_eq!(short.reply().text(), r#"{"slept_ms":500}"#);
    // The answer may be late by any time, and early by no more than a step of the clock.
    assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());
    assert_eq!(short.ask("/slow?ms=0").text(), r#"{"slept_ms":0}"#);
    demo.assert_serves();
    assert!(!longest.is_readable() && !long.is_readable(), "those who asked first have their time");
    longest.reset();
    long.reset();
    demo.assert_serves();
}

#[test]
fn an_invalid_time_is_a_400() {
    let demo = Demo::start();
    let mut client = demo.connect();
    for ms in ["30001", "99999999999999999999999", "-1", "1.5", "soon", "", "0x10"] {
        let reply = client.ask(&format!("/slow?ms={ms}"));
        assert_eq!(reply.status, 400, "{ms}: {:?}", reply.text());
    }
    assert_eq!(client.ask("/slow?ms=5").text(), r#"{"slept_ms":5}"#);
    demo.end();
}

/// The next connections have the slots of those that have gone.
#[test]
fn a_late_answer_for_a_client_that_left_reaches_nobody() {
    let demo = Demo::start();
    let mut gone: Vec<_> = (0..20).map(|_| demo.connect()).collect();
    gone.iter_mut().for_each(|client| client.get("/slow?ms=300"));
    demo.assert_serves();
    gone.into_iter().for_each(Client::reset);
    demo.assert_serves();
    let mut clients: Vec<_> = (0..20).map(|_| demo.connect()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.get(&format!("/slow?ms={}", 700 + i));
    }
    for (i, mut client) in clients.into_iter().enumerate() {
        assert_eq!(client.reply().text(), format!(r#"{{"slept_ms":{}}}"#, 700 + i));
        assert_eq!(client.ask("/plaintext").text(), "Hello, World!");
    }
    demo.end();
}

/// A client must see that the echo was cut: there is no last chunk.
#[test]
fn the_echo_of_broken_content_has_no_end() {
    let demo = Demo::start();
    for (name, rest) in [("no chunk", Some("zz\r\n")), ("EOF", None)] {
        let mut client = demo.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
        assert_eq!(client.try_head().expect("a head").0, 200, "{name}");
        let mut echoed = Vec::new();
        while !echoed.ends_with(b"first\r\n") {
            client.read_content(1, 1, |_, byte| echoed.extend_from_slice(byte));
        }
        match rest {
            Some(rest) => client.send(rest),
            None => client.half_close(),
        }
        client.expect_end();
        demo.assert_serves();
    }
    demo.end();
}

/// How a client goes away.
#[derive(Clone, Copy, Debug)]
enum Going {
    Reset,
    /// This sends a reset if something is left unread, and otherwise a FIN.
    Drop,
    HalfCloseAndDrop,
}

#[test]
fn clients_that_vanish_in_the_middle_leave_nothing_behind() {
    let demo = Demo::start();
    let mut neighbour = demo.connect();
    assert_eq!(neighbour.ask("/plaintext").text(), "Hello, World!");
    #[cfg(target_os = "linux")]
    let before = demo.descriptors();

    let piece = pattern(50_000);
    let chunk = [b"c350\r\n", &piece[..], b"\r\n"].concat();
    let chunked = |target| format!("POST {target} HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n");
    let known = |target| format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: 100000000\r\n\r\n");
    let kinds = [
        ("an upload", [known("/upload").as_bytes(), &piece].concat()),
        ("an upload in chunks", [chunked("/upload").as_bytes(), &chunk, &chunk[..1000]].concat()),
        ("an echo", [known("/echo").as_bytes(), &piece].concat()),
        ("an echo in chunks", [chunked("/echo").as_bytes(), &chunk, &chunk[..1000]].concat()),
        ("an echo that nobody reads", known("/echo").into_bytes()),
        ("a download", get("/big?mib=64").into_bytes()),
        ("a download that nobody reads", get("/big?mib=64").into_bytes()),
        ("a late answer", get("/slow?ms=3000").into_bytes()),
        ("events", get("/events").into_bytes()),
        ("what is pipelined", [get("/slow?ms=300"), get("/big"), get("/events")].concat().into()),
    ];
    for round in 0..2 {
        let mut victims = Vec::new();
        for (name, request) in &kinds {
            for going in [Going::Reset, Going::Drop, Going::HalfCloseAndDrop] {
                let mut client = demo.connect();
                client.send(request);
                if *name == "an echo that nobody reads" {
                    fill(&mut client);
                }
                victims.push((*name, going, client));
            }
        }
        for (name, going, mut client) in victims {
            match name {
                "an upload" | "an upload in chunks" | "a late answer" | "what is pipelined" => {}
                "a download" => {
                    client.try_head().expect("a head");
                    client.read_content(100_000, 10_000, |_, _| {});
                }
                _ => client.wait_readable(),
            }
            match going {
                Going::Reset => client.reset(),
                Going::Drop => drop(client),
                Going::HalfCloseAndDrop => {
                    client.half_close();
                    assert_eq!(neighbour.ask("/plaintext").text(), "Hello, World!", "{name}, {going:?}");
                }
            }
            assert_eq!(neighbour.ask("/plaintext").text(), "Hello, World!", "{name}, {going:?}, round {round}");
            demo.assert_serves();
        }
    }

    #[cfg(target_os = "linux")]
    {
        let end = Instant::now() + LIMIT;
        while demo.descriptors() > before {
            assert!(Instant::now() < end, "{} descriptors, and {before} before", demo.descriptors());
            assert_eq!(neighbour.ask("/slow?ms=10").status, 200);
        }
    }
    drop(neighbour);
    demo.end();
}

/// Writes until the server takes no more.
#[track_caller]
fn fill(client: &mut Client) {
    client.socket().set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout can be set");
    let mut sent = 0;
    loop {
        match client.write_some(&[b'x'; 0x1_0000]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("the server is to wait, not to close: {error}"),
        }
        assert!(sent < 90_000_000, "the server takes everything though nobody reads it");
    }
}
