//! What a storm of connections leaves behind, and TCP_NODELAY.

use std::io::Write;
use std::time::Instant;

use crate::support::{LIMIT, get, test_config};
use crate::{Counts, Pair, connect, routes};

/// How many bytes the pools may keep, as `src/limits.rs` says.
const POOL_BYTES: u64 = 1 << 20;

/// Opens connections, uses them in each way that a client can, and closes them. Returns when the server has seen all of
/// them end.
#[track_caller]
fn storm(pair: &mut Pair, counts: &Counts) {
    let before = counts.opened.get();
    let expected = before + 300;
    let requests = [
        &b""[..],
        b"GET /plaintext HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /plaintext HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /none HTTP/1.1\r\nHost: test\r\n\r\nGET /pl",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nthe beginning",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"no request\r\n\r\n",
        b"POST /none HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf",
        b"GET /panic HTTP/1.1\r\nHost: test\r\n\r\n",
    ];
    for group in 0..30 {
        let mut clients: Vec<_> = requests.iter().map(|_| connect(pair.address)).collect();
        for (client, request) in clients.iter_mut().zip(requests) {
            client.write_all(request).expect("the kernel takes it");
        }
        // The client leaves some before the server has seen them, some in the middle, and some afterwards.
        for _ in 0..group % 4 {
            pair.turn();
        }
    }
    let limit = Instant::now() + LIMIT;
    while counts.opened.get() < expected || counts.closed() < expected - 1 {
        pair.turn();
        let (opened, closed) = (counts.opened.get(), counts.closed());
        assert!(Instant::now() < limit, "of {expected} connections, {opened} were opened and {closed} closed");
    }
}

#[test]
fn every_opened_connection_is_closed_and_nothing_is_left() {
    let counts = Counts::default();
    let observer = counts.clone();
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        let large: std::sync::Arc<[u8]> = vec![7; 1 << 20].into();
        app.get("/large", move |_, _, res| res.send(large.clone()));
        app.get("/panic", |_, _, _| panic!("this test panics on purpose"));
        server.observer(observer)
    });
    // The first connection belongs to the pair, and stays open.
    pair.first_reply(get("/plaintext").as_bytes());
    for _ in 0..3 {
        storm(&mut pair, &counts);
    }
    let measured = allocation_counter::measure(|| {
        for _ in 0..3 {
            storm(&mut pair, &counts);
        }
    });
    assert_eq!(counts.opened.get(), counts.closed() + 1);
    assert_eq!(counts.open_now.get(), 1);
    // The pool may hold other buffers than before, but no more than its limit.
    assert!(measured.bytes_current.unsigned_abs() <= POOL_BYTES, "{measured:?}");
    pair.first_reply(get("/plaintext").as_bytes());
}

// ---- TCP_NODELAY ----------------------------------------------------------------------------------------------------

/// The accepted socket is found by its addresses, and the test asks a duplicate of it.
#[cfg(target_os = "linux")]
#[test]
fn accepted_sockets_have_tcp_nodelay() {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    for nodelay in [true, false] {
        let config = test_config().nodelay(nodelay);
        let mut pair = Pair::new(move |app, server| {
            routes(app);
            server.config(config)
        });
        pair.first_reply(get("/plaintext").as_bytes());
        let remote = pair.client.local_addr().expect("it is connected");
        let entries = crate::support::proc_net_tcp().into_iter();
        let accepted = entries.filter(|entry| entry.local == pair.address && entry.remote == remote);
        let inode = accepted.map(|entry| entry.inode).next().expect("the kernel knows it");
        let name = format!("socket:[{inode}]");
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux has it");
        let descriptor = descriptors
            .filter_map(|entry| entry.ok())
            .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == &*name))
            .and_then(|entry| entry.file_name().to_str()?.parse().ok())
            .expect("it is a descriptor of this process");
        let process = pidfd_open(getpid(), PidfdFlags::empty()).expect("one may look at oneself");
        let Ok(duplicate) = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()) else {
            return eprintln!("skipped: this machine does not let a process duplicate its own descriptor");
        };
        assert_eq!(rustix::net::sockopt::tcp_nodelay(&duplicate).expect("it is a TCP socket"), nodelay);
    }
}
