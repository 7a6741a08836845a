//! How several workers serve.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use monoloop::Endpoint;
use monoloop::server::{self, DrainCause};

use crate::support::{Event, Gate, LIMIT, Log, assert_same, pattern, test_config};
use crate::{TestWorkers, app, app_with_gate, gates};

/// Linux chooses by a hash of the addresses, so 1,024 connections are like 1,024 throws of a coin. By Hoeffding's
/// inequality, the probability that one side gets less than 35 % is at most 2 exp(-2 · 1024 · 0.15²) < 1e-19.
#[cfg(target_os = "linux")]
#[test]
fn two_workers_get_about_the_same_number_of_connections() {
    const COUNT: usize = 1024;
    let workers = TestWorkers::start(2);
    let mut shares = [0; 2];
    for _ in 0..COUNT {
        let mut client = workers.connect();
        shares[client.ask("/worker").text().parse::<usize>().unwrap()] += 1;
        // Closed connections should not keep so many ports.
        client.reset();
    }
    assert!(shares.iter().all(|share| share * 100 >= COUNT * 35), "{shares:?}");
}

#[test]
fn states_are_separate_and_stay_with_their_connections() {
    let workers = TestWorkers::start(2);
    let mut clients = [workers.connect_to(0), workers.connect_to(1)];
    for round in 1..=3 {
        for (worker, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.ask("/count").text(), format!("{worker} {round}"));
            assert_eq!(client.ask("/thread").text(), format!("worker-{worker}"));
        }
    }
    // A new connection finds the state of the worker that takes it.
    assert_eq!(workers.connect_to(1).ask("/count").text(), "1 4");
    assert_eq!(clients[0].ask("/count").text(), "0 4");
}

#[test]
fn a_worker_that_is_busy_does_not_hold_up_the_others() {
    let (gates, doors) = gates(2);
    let workers =
        TestWorkers::start_with(2, test_config(), move |worker, server| server.start(app_with_gate(worker, &doors)));
    let (mut busy, mut free) = (workers.connect_to(0), workers.connect_to(1));
    busy.get("/gate");
    gates[0].wait();
    let content = pattern(300_000);
    free.send("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 300000\r\n\r\n");
    free.send(&content);
    assert_same(&free.reply().content, &content, "the content");
    assert!(!busy.is_readable());
    gates[0].open();
    assert_eq!(busy.reply().text(), "open");
}

#[test]
fn each_worker_has_an_observer_and_a_hook_of_its_own() {
    let logs = [Log::default(), Log::default()];
    let hooks = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let (shared, asked) = (Mutex::new(logs.clone()), Arc::clone(&hooks));
    let workers = TestWorkers::start_with(2, test_config(), move |worker, server| {
        let (observer, asked) = (shared.lock().unwrap()[worker].recorder(), Arc::clone(&asked));
        let hook = move |_: &Endpoint| {
            asked[worker].fetch_add(1, Ordering::Relaxed);
            server::Decision::Accept
        };
        server.observer(observer).on_connection(hook).start(app(worker))
    });
    let address = Endpoint::Tcp(workers.address);
    let clients = [workers.connect_to(0), workers.connect_to(1)];
    workers.handle.shutdown();
    drop(clients);
    workers.join().expect("they drain");
    for (log, asked) in logs.iter().zip(&*hooks) {
        let events = log.events();
        assert_eq!(events.first(), Some(&Event::Listening(address)));
        assert_eq!(events.last(), Some(&Event::ServerClosed));
        assert_eq!(log.count(|event| *event == Event::Draining(DrainCause::Handle)), 1);
        let opened = log.count(|event| matches!(event, Event::Opened(..)));
        assert!(opened >= 1 && opened == asked.load(Ordering::Relaxed), "{events:?}");
    }
}

/// The process has one set of descriptors. The other workers may use up all of them. A worker then has no connection
/// whose end would wake it up.
#[cfg(target_os = "linux")]
#[test]
fn workers_share_the_descriptors_and_serve_every_client_in_the_end() {
    crate::support::in_a_process_of_its_own(
        "serving::workers_share_the_descriptors_and_serve_every_client_in_the_end",
        || {
            let (gates, doors) = gates(2);
            let config = test_config().raise_descriptor_limit(false);
            let workers =
                TestWorkers::start_with(2, config, move |worker, server| server.start(app_with_gate(worker, &doors)));
            let mut blockers = [workers.connect_to(0), workers.connect_to(1)];
            for (blocker, gate) in blockers.iter_mut().zip(&gates) {
                blocker.get("/gate");
                gate.wait();
            }
            let mut waiting: Vec<_> = (0..40).map(|_| workers.connect()).collect();
            waiting.iter_mut().for_each(|client| client.get("/worker"));
            let _few = crate::support::FewDescriptors::leave(8);
            gates.iter().for_each(Gate::open);
            blockers.iter_mut().for_each(|blocker| assert_eq!(blocker.reply().text(), "open"));
            let limit = Instant::now() + LIMIT;
            while !waiting.is_empty() {
                assert!(Instant::now() < limit, "{} are not served", waiting.len());
                // A client that has its reply leaves, and makes room for two: its own descriptor and that of the
                // server.
                waiting.retain_mut(|client| !client.is_readable() || client.reply().status != 200);
                thread::yield_now();
            }
        },
    );
}
