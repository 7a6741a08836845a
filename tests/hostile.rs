//! Six hundred clients that do as little as they can, and one that wants to be served.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use monoloop::Server;
use monoloop::server::{CloseReason, Timeout};
use rustix::net::sockopt;
use support::{Client, Event, LIMIT, TestServer};

/// The number of clients of each kind.
const CROWD: usize = 200;

/// The time between two bytes of a dripping client: 50 bytes per second.
const DRIP: Duration = Duration::from_millis(20);

/// The time between two reads of a slow reader, of one byte each.
const SIP: Duration = Duration::from_secs(1);

/// The bytes that a slow reader asks for. This is more than the buffers of both kernels hold.
const LARGE: usize = 4 << 20;

/// The bytes by which the memory of this process, clients included, may grow. Each connection may have a receive buffer
/// of 4 KiB, or a head and a content buffer of 16 KiB. The allocator adds some.
const MOST_MEMORY: usize = 3 * CROWD * (16 + 4 + 4) * 1024;

fn start() -> TestServer {
    let bind = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Accepted sockets inherit this, so a reply soon waits for its reader.
        sockopt::set_socket_send_buffer_size(&listener, 16 * 1024).unwrap();
        Server::from_listener(listener)
    };
    TestServer::start_on(bind, |app, config| {
        let large: Arc<[u8]> = vec![b'x'; LARGE].into();
        app.get("/hello", |_, _, res| res.text("hello"));
        app.post("/echo", |_, req, res| res.send(req.body()));
        app.get("/large", move |_, _, res| res.send(Arc::clone(&large)));
        config.head_timeout = Duration::from_secs(1);
        config.content_timeout = Duration::from_secs(1);
        config.send_timeout = Duration::from_secs(2);
    })
}

/// What a hostile client sends first, what it then sends, and how the server ends the connection.
struct Kind {
    begin: &'static str,
    drip: &'static [u8],
    reason: CloseReason,
    timeout: Timeout,
}

const KINDS: [Kind; 3] = [
    Kind {
        begin: "GET /hello HTTP/1.1\r\nHost: test\r\nX: ",
        drip: b"y",
        reason: CloseReason::HeadTimeout,
        timeout: Timeout::Head,
    },
    Kind {
        begin: "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n",
        drip: b"z",
        reason: CloseReason::ContentTimeout,
        timeout: Timeout::Content,
    },
    Kind {
        begin: "GET /large HTTP/1.1\r\nHost: test\r\n\r\n",
        drip: b"",
        reason: CloseReason::SendTimeout,
        timeout: Timeout::Send,
    },
];

/// All clients of one kind. They go on for as long as the server lets them.
fn torment(server: &TestServer, kind: &'static Kind) -> thread::JoinHandle<()> {
    let mut clients: Vec<Client> = (0..CROWD)
        .map(|_| {
            let mut client = server.connect();
            client.set_receive_buffer(4096);
            client.send(kind.begin);
            client.socket().set_nonblocking(true).unwrap();
            client
        })
        .collect();
    let log = server.log.clone();
    thread::spawn(move || {
        let ended = || log.count(|event| matches!(event, Event::Closed(_, reason) if *reason == kind.reason));
        let pause = if kind.drip.is_empty() { SIP } else { DRIP };
        let end = Instant::now() + LIMIT;
        while ended() < CROWD && Instant::now() < end {
            for client in &mut clients {
                // A client whose connection has ended gets an error, and goes on trying.
                let _ = client.socket().write(kind.drip);
                if kind.drip.is_empty() {
                    let _ = client.socket().read(&mut [0]);
                }
            }
            thread::sleep(pause.min(Duration::from_millis(200)));
        }
    })
}

/// Sends polite requests for as long as `while_` holds, and returns how long each answer took.
fn ask(client: &mut Client, mut while_: impl FnMut(usize) -> bool) -> Vec<Duration> {
    let mut took = Vec::new();
    while while_(took.len()) {
        let begin = Instant::now();
        match took.len() % 2 {
            0 => assert_eq!(client.ask("/hello").text(), "hello"),
            _ => {
                client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nhalf");
                assert_eq!(client.reply().text(), "half");
            }
        }
        took.push(begin.elapsed());
        // One request a millisecond is enough.
        thread::sleep(Duration::from_millis(1));
    }
    took.sort_unstable();
    took
}

fn show(name: &str, took: &[Duration]) {
    let at = |part: usize| took[(took.len() - 1) * part / 1000];
    println!(
        "{name}: {} answers, half within {:?}, 99 % within {:?}, all within {:?}",
        took.len(),
        at(500),
        at(990),
        at(1000)
    );
}

/// Resident bytes of this process.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Prints what it measures: `cargo test --release --test hostile -- --nocapture`.
#[test]
fn a_polite_client_is_answered_while_six_hundred_drip_and_each_of_them_is_ended() {
    let server = start();
    let mut polite = server.connect();
    show("alone", &ask(&mut polite, |count| count < 200));

    let before = resident();
    let torments: Vec<_> = KINDS.iter().map(|kind| torment(&server, kind)).collect();
    let mut most = 0;
    let took = ask(&mut polite, |_| {
        most = most.max(resident().saturating_sub(before));
        torments.iter().any(|torment| !torment.is_finished())
    });
    show("among 600", &took);
    println!("memory grew by {most} bytes, {} for each of them, on both sides", most / (3 * CROWD));
    torments.into_iter().for_each(|torment| torment.join().unwrap());

    for kind in &KINDS {
        let closed = server.log.count(|event| matches!(event, Event::Closed(_, reason) if *reason == kind.reason));
        let told = server.log.count(|event| matches!(event, Event::TimedOut(_, timeout) if *timeout == kind.timeout));
        assert_eq!((closed, told), (CROWD, CROWD), "{:?}", kind.reason);
    }
    let refused = server.log.count(|event| matches!(event, Event::Failed(_, 408)));
    assert_eq!(refused, 2 * CROWD, "heads and content that come too slowly get a 408");
    assert!(took.len() > 100, "the polite client was answered {} times", took.len());
    assert!(most < MOST_MEMORY, "{most} bytes of memory");
    assert_eq!(polite.ask("/hello").text(), "hello", "on the same connection as at first");
}

/// The other side of the limit: the client is slow, but not too slow.
#[test]
fn a_client_that_is_slow_but_keeps_to_the_rates_is_served() {
    let server = start();
    let mut client = server.connect();
    // 1.5 s in all, with a grace of 1 s: 100 bytes every 50 ms are four times the minimum.
    client.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3000\r\n\r\n");
    for _ in 0..30 {
        client.send([b'x'; 100]);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.reply().content.len(), 3000);
    client.get("/large");
    let mut taken = 0;
    let begin = Instant::now();
    while taken < LARGE {
        match client.socket().read(&mut [0; 5000]) {
            Ok(count @ 1..) => taken += count,
            other => panic!("after {taken} bytes: {other:?}"),
        }
        // The client takes some 100 KB/s for longer than the grace, and then the rest.
        if begin.elapsed() < Duration::from_secs(3) {
            thread::sleep(Duration::from_millis(50));
        }
    }
}
