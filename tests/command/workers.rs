//! The command with several workers.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use rustix::process::Signal;

use crate::{ALMOST, Client, Demo, End, LIMIT, Process, command};

const WORKERS: &str = "workers, each with its own state: one connection may not see what another connection changes.";

#[cfg(target_os = "linux")]
#[test]
fn each_worker_is_a_thread_and_one_needs_none() {
    let threads = |demo: &Demo| {
        let folder = format!("/proc/{}/task", demo.process.child.id());
        let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path().join("comm"));
        let mut names: Vec<_> = names.map(|name| std::fs::read_to_string(name).unwrap().trim().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(threads(&Demo::start(&["--workers=3"])), ["monoloop", "worker-0", "worker-1", "worker-2"]);
    assert_eq!(threads(&Demo::start(&["--workers=1"])), ["monoloop"]);
    assert_eq!(threads(&Demo::start(&[])), ["monoloop"]);
    let cores = thread::available_parallelism().unwrap().get();
    let auto = threads(&Demo::start(&["--workers=auto"])).len();
    assert_eq!(auto, if cores == 1 { 1 } else { 1 + cores });
}

/// The probability that 200 connections do not reach both workers is 2^-199.
#[test]
fn each_worker_has_users_of_its_own_and_the_command_says_so() {
    let demo = Demo::start(&["--workers", "2"]);
    assert_eq!(demo.banner[0], format!("2 {WORKERS}"));
    assert_eq!(demo.banner.iter().filter(|line| *line == "Available routes:").count(), 1, "{:?}", demo.banner);
    let mut creator = demo.connect();
    assert_eq!(creator.ask("POST /users", "", r#"{"name":"Dora"}"#).status, 201);
    assert_eq!(creator.ask("GET /users/4", "", "").status, 200, "a connection stays with its worker");
    let mut clients = (0..200).map(|_| demo.connect());
    for expected in [404, 200] {
        assert!(clients.any(|mut client| client.ask("GET /users/4", "", "").status == expected), "{expected}");
    }
}

#[test]
fn a_port_that_workers_have_is_in_use() {
    let demo = Demo::start(&["--workers=2"]);
    let port = demo.address.port();
    for workers in ["1", "2"] {
        let end = Process::start(command(&["demo", "--port", &port.to_string(), "--workers", workers])).end();
        let errors = format!("Port {port} is already in use\n");
        assert_eq!(end, End { code: Some(1), output: String::new(), errors });
    }
    assert_eq!(demo.connect().ask("GET /", "", "").status, 200);
}

/// The probability that one of three workers gets none of 128 idle connections is 3 (2/3)^128 < 1e-21. So when all of
/// those are closed, every worker drains.
#[test]
fn a_signal_drains_all_workers() {
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::INT, "SIGINT")] {
        let mut demo = Demo::start(&["--workers=3"]);
        let mut idle: Vec<Client> = (0..128).map(|_| demo.connect()).collect();
        idle.iter_mut().for_each(|client| assert_eq!(client.ask("GET /", "", "").status, 200));
        let mut busy: Vec<Client> = (0..16).map(|_| demo.connect()).collect();
        busy.iter_mut().for_each(Client::begin_content_that_lacks_a_byte);
        demo.process.signal(signal);
        assert_eq!(demo.process.line(), format!("{name} received. Shutting down gracefully..."));
        assert!(idle.iter_mut().all(Client::is_closed), "an idle connection is closed after the grace");
        for client in &mut busy {
            client.send("!");
            let reply = client.reply(true);
            assert_eq!((reply.status, reply.content.as_str()), (200, ALMOST));
            assert_eq!(reply.field("connection"), Some("close"));
        }
        drop((idle, busy));
        let output = "All connections closed. Goodbye.\n".to_owned();
        assert_eq!(demo.process.end(), End { code: Some(0), output, errors: String::new() });
    }
}

#[test]
fn a_second_signal_cuts_all_workers() {
    let mut demo = Demo::start(&["--workers=3", "--drain-timeout=1h"]);
    let mut busy: Vec<Client> = (0..16).map(|_| demo.connect()).collect();
    busy.iter_mut().for_each(Client::begin_content_that_lacks_a_byte);
    demo.process.signal(Signal::TERM);
    assert!(demo.process.line().ends_with("received. Shutting down gracefully..."));
    demo.process.signal(Signal::INT);
    let errors = "Forced shutdown by a second signal\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(1), output: String::new(), errors });
    assert!(busy.iter_mut().all(Client::is_closed));
}

#[test]
fn the_drain_of_all_workers_has_an_end() {
    let mut demo = Demo::start(&["--workers=2", "--drain-timeout=200ms"]);
    let mut busy: Vec<Client> = (0..8).map(|_| demo.connect()).collect();
    busy.iter_mut().for_each(Client::begin_content_that_lacks_a_byte);
    demo.process.signal(Signal::TERM);
    let output = "SIGTERM received. Shutting down gracefully...\n".to_owned();
    let errors = "Forced shutdown after timeout\n".to_owned();
    assert_eq!(demo.process.end(), End { code: Some(1), output, errors });
    assert!(busy.iter_mut().all(Client::is_closed));
}

#[test]
fn workers_share_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("monoloop-workers-{}.sock", std::process::id()));
    let path = path.to_str().expect("the path is UTF-8");
    let mut demo = Demo::start(&["--workers=2", "--unix", path]);
    assert_eq!(demo.process.line(), format!("listening on unix:{path}"));
    for _ in 0..16 {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.write_all(b"GET /plaintext HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("Hello, World!"), "{reply}");
    }
    demo.process.signal(Signal::TERM);
    assert_eq!(demo.process.end().code, Some(0));
    assert!(!std::fs::exists(path).unwrap(), "the socket file is removed");
}

#[test]
fn a_line_of_the_log_names_its_worker() {
    let mut demo = Demo::start(&["--workers=2", "--log=monoloop=info"]);
    demo.process.signal(Signal::TERM);
    let errors = demo.process.end().errors;
    for thread in ["worker-0", "worker-1", "main"] {
        assert!(errors.contains(&format!("Z INFO  {thread} monoloop::server::")), "{thread} in {errors}");
    }
}
