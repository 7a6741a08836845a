//! How workers start, and what happens if one of them cannot.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use monoloop::server::{Error, Running, RunningWorkers};
use monoloop::{Endpoint, Router, Server, Workers};

use crate::support::{Client, LIMIT, SocketPath, gate, test_config};
use crate::{State, TestWorkers, app, assert_nobody_listens};

#[test]
fn a_worker_that_cannot_be_set_up_stops_them_all() {
    let path = SocketPath::new();
    let workers = Workers::bind("127.0.0.1:0", 3).and_then(|workers| workers.also_bind_unix(path.path()));
    let workers = workers.expect("a port is free").config(test_config());
    let Endpoint::Tcp(address) = workers.local_addr() else { unreachable!("it is TCP") };
    let failed = workers.run(|worker, server| match worker {
        1 => Err(String::from("no database")),
        _ => server.start(app(worker)).map_err(|error| error.to_string()),
    });
    let error = failed.expect_err("one has failed");
    assert_eq!(error.to_string(), "worker 1: no database");
    assert!(matches!(error, Error::Worker { worker: 1, .. }));
    assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("no database"));
    assert_nobody_listens(address);
    assert!(!path.path().exists(), "the socket file is removed");
}

#[test]
fn a_set_up_that_panics_stops_them_all() {
    let workers = Workers::bind("127.0.0.1:0", 3).expect("a port is free").config(test_config());
    let Endpoint::Tcp(address) = workers.local_addr() else { unreachable!("it is TCP") };
    let failed = workers.run(|worker, server| {
        assert_ne!(worker, 1, "out of luck");
        server.start(app(worker))
    });
    let text = failed.expect_err("one has panicked").to_string();
    assert!(text.starts_with("worker 1: its set-up panicked: ") && text.contains("out of luck"), "{text}");
    assert_nobody_listens(address);
}

#[test]
fn the_first_of_several_failed_workers_is_named() {
    let workers = Workers::bind("127.0.0.1:0", 3).expect("a port is free").config(test_config());
    let failed = workers.run(|worker, _| Err::<Running<State>, _>(format!("number {worker}")));
    assert_eq!(failed.expect_err("all have failed").to_string(), "worker 0: number 0");
}

/// No connection is served before all workers can serve. A set-up that runs its own server would serve alone, or miss
/// the order to stop.
#[test]
fn a_set_up_that_runs_its_server_or_brings_another_is_refused() {
    type SetUp = fn(usize, Server) -> monoloop::server::Result<Running<()>>;
    let runs: SetUp = |_, server| {
        server.run(Router::new(()))?;
        Server::bind("127.0.0.1:0")?.config(test_config()).start(Router::new(()))
    };
    let runs_later: SetUp = |_, server| {
        server.start(Router::new(()))?.run()?;
        Server::bind("127.0.0.1:0")?.config(test_config()).start(Router::new(()))
    };
    let another: SetUp = |_, _| Server::bind("127.0.0.1:0")?.config(test_config()).start(Router::new(()));
    for (set_up, expected) in [(runs, "`Workers` runs"), (runs_later, "`Workers` runs"), (another, "than its own")] {
        let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
        let error = workers.run(set_up).expect_err("nobody serves");
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error} {source}").contains(expected), "{error}: {source}");
    }
}

#[test]
fn no_worker_serves_before_all_are_set_up() {
    let (gate, door) = gate();
    let door = Mutex::new(door);
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
    let Endpoint::Tcp(address) = workers.local_addr() else { unreachable!("it is TCP") };
    let (told, tell) = channel();
    thread::spawn(move || {
        let running = workers.start(move |worker, server| {
            if worker == 1 {
                door.lock().unwrap().pass();
            }
            server.start(app(worker))
        });
        told.send(running.expect("they start")).expect("the test waits for it");
    });
    gate.wait();
    // The probability that none of 64 connections reaches worker 0 is 2^-64.
    let mut clients: Vec<_> = (0..64).map(|_| Client::tcp(address)).collect();
    clients.iter_mut().for_each(|client| client.get("/worker"));
    gate.open();
    let running = tell.recv_timeout(LIMIT).expect("they start");
    assert!(!clients.iter().any(Client::is_readable), "they are set up, and nobody lets them run");
    let _workers = TestWorkers::run(running);
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
}

#[test]
fn workers_that_are_dropped_are_gone() {
    let make = || Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
    let listening = |running: &RunningWorkers| match running.local_addr() {
        Some(Endpoint::Tcp(address)) => address,
        other => panic!("{other:?}"),
    };
    let running = make().start(|worker, server| server.start(app(worker))).expect("they start");
    let address = listening(&running);
    drop(running);
    assert_nobody_listens(address);

    let mut running = make().start(|worker, server| server.start(app(worker))).expect("they start");
    let address = listening(&running);
    assert!(running.turn(Some(Duration::ZERO)).expect("they serve"));
    let mut client = Client::tcp(address);
    assert_eq!(client.ask("/worker").status, 200);
    drop(running);
    client.expect_end();
    assert_nobody_listens(address);
}
