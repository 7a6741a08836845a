//! How workers drain and end.

use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use monoloop::server::{DrainCause, Error};
use monoloop::{Endpoint, Handle, Router, Workers};

use crate::support::{Client, Gate, LIMIT, assert_same, pattern, test_config};
use crate::{State, TestWorkers, app, app_with_gate, assert_nobody_listens, gates, wait_all_delivered};

#[test]
fn a_drain_finishes_what_is_in_flight_with_every_worker() {
    let workers = TestWorkers::start(2);
    let content = pattern(100_000);
    // Each worker has at least one connection; the others are distributed by chance.
    let mut asking = vec![workers.connect_to(0), workers.connect_to(1)];
    asking.extend((0..14).map(|_| workers.connect()));
    for client in &mut asking {
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 100000\r\n\r\n");
        assert_eq!(client.try_head().expect("a reply").0, 100);
        client.send(&content[..50_000]);
    }
    let mut idle = [workers.connect_to(0), workers.connect_to(1)];
    assert!(!workers.handle.is_draining());
    workers.handle.shutdown();
    workers.handle.clone().shutdown();
    idle.iter_mut().for_each(Client::expect_eof);
    assert!(workers.handle.is_draining());
    assert_nobody_listens(workers.address);
    for client in &mut asking {
        client.send(&content[50_000..]);
        let reply = client.reply();
        assert_eq!((reply.status, reply.closes()), (200, true));
        assert_same(&reply.content, &content, "the content");
        client.expect_eof();
    }
    drop((asking, idle));
    workers.join().expect("they drain");
}

/// No worker waits for the rest of its grace when its last connection has ended.
#[test]
fn a_client_of_any_worker_may_ask_once_more_in_the_grace() {
    let config = test_config().drain_grace(Duration::from_secs(3600)).drain_timeout(Duration::from_secs(3600));
    let workers = TestWorkers::start_with(2, config, |worker, server| server.start(app(worker)));
    let mut clients = vec![workers.connect_to(0), workers.connect_to(1)];
    // Those that have not asked yet are distributed by chance.
    clients.extend((0..14).map(|_| workers.connect()));
    workers.handle.shutdown();
    let limit = Instant::now() + LIMIT;
    while TcpStream::connect(workers.address).is_ok() {
        assert!(Instant::now() < limit, "they still listen");
        thread::yield_now();
    }
    for client in &mut clients {
        let reply = client.ask("/worker");
        assert_eq!((reply.status, reply.closes()), (200, true));
        client.expect_eof();
    }
    drop(clients);
    workers.join().expect("they drain");
}

/// Each socket has a queue, and closing the socket would drop the connections in it.
#[cfg(target_os = "linux")]
#[test]
fn connections_that_the_kernel_has_queued_for_any_worker_are_served() {
    let (gates, doors) = gates(2);
    let workers =
        TestWorkers::start_with(2, test_config(), move |worker, server| server.start(app_with_gate(worker, &doors)));
    let mut blockers = [workers.connect_to(0), workers.connect_to(1)];
    for (blocker, gate) in blockers.iter_mut().zip(&gates) {
        blocker.get("/gate");
        gate.wait();
    }
    // The probability that all connections go to one worker is 2^-63.
    let mut queued: Vec<_> = (0..64).map(|_| workers.connect()).collect();
    queued.iter_mut().for_each(|client| client.get("/worker"));
    wait_all_delivered(&queued);
    workers.handle.shutdown();
    let limit = Instant::now() + LIMIT;
    while !workers.handle.is_draining() {
        assert!(Instant::now() < limit, "the supervisor hears of it");
        thread::yield_now();
    }
    gates.iter().for_each(Gate::open);
    let mut shares = [0; 2];
    for client in &mut queued {
        let reply = client.reply();
        shares[reply.text().parse::<usize>().unwrap()] += 1;
        client.expect_eof();
    }
    assert!(shares[0] > 0 && shares[1] > 0, "{shares:?}");
    for blocker in &mut blockers {
        assert_eq!(blocker.reply().text(), "open");
        blocker.expect_eof();
    }
    drop((blockers, queued));
    workers.join().expect("they drain");
}

/// The same holds for a handle that a handler has.
#[test]
fn the_handle_of_a_worker_stops_all_workers() {
    let handles: Arc<Mutex<Vec<Handle<State>>>> = Arc::default();
    let made = Arc::clone(&handles);
    let workers = TestWorkers::start_with(2, test_config(), move |worker, server| {
        let running = server.start(app(worker))?;
        made.lock().unwrap().push(running.handle());
        Ok(running)
    });
    let mut idle = [workers.connect_to(0), workers.connect_to(1)];
    let handles = handles.lock().unwrap().split_off(0);
    assert!(!handles.iter().any(Handle::is_draining));
    handles[0].shutdown();
    idle.iter_mut().for_each(Client::expect_eof);
    assert!(handles.iter().all(Handle::is_draining) && workers.handle.is_draining());
    drop(idle);
    workers.join().expect("they drain");
    handles[1].shutdown();
}

#[test]
fn a_shutdown_before_the_start_serves_the_clients_that_came_before() {
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
    let mut running = workers.start(|worker, server| server.start(app(worker))).expect("they start");
    let Some(Endpoint::Tcp(address)) = running.local_addr() else { panic!("it is TCP") };
    let mut clients: Vec<_> = (0..16).map(|_| Client::tcp(address)).collect();
    clients.iter_mut().for_each(|client| client.get("/worker"));
    #[cfg(target_os = "linux")]
    wait_all_delivered(&clients);
    running.handle().shutdown();
    let limit = Instant::now() + LIMIT;
    while running.draining().is_none() {
        assert!(running.turn(Some(LIMIT)).expect("they drain") && Instant::now() < limit);
    }
    assert_eq!((running.draining(), running.local_addr()), (Some(DrainCause::Handle), None));
    for client in &mut clients {
        assert!(client.reply().closes());
        client.expect_eof();
    }
    drop(clients);
    running.run().expect("they drain");
}

#[test]
fn a_drain_that_takes_too_long_counts_the_connections_of_all() {
    let config = test_config().drain_timeout(Duration::from_millis(300));
    let workers = TestWorkers::start_with(2, config, |worker, server| server.start(app(worker)));
    let mut clients = [workers.connect_to(0), workers.connect_to(1), workers.connect_to(1)];
    for client in &mut clients {
        client.send("POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
        assert_eq!(client.try_head().expect("a reply").0, 100);
        client.send("half");
    }
    workers.handle.shutdown();
    match workers.join() {
        Err(Error::Forced { connections: 3, signalled: false }) => {}
        other => panic!("three were cut: {other:?}"),
    }
    clients.iter_mut().for_each(Client::expect_end);
}

/// A state that panics when it is dropped must not stop the work of the others.
#[test]
fn a_state_that_cannot_be_dropped_is_only_logged() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("a state that cannot be dropped");
        }
    }
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
    let running = workers.start(|_, server| server.start(Router::new(Grenade))).expect("they start");
    running.handle().shutdown();
    running.run().expect("they drain");
}
