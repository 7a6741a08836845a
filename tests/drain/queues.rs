//! Requests and connections that are still in the queues of the kernel when a drain begins.

use monoloop::Server;
use monoloop::server::{CloseReason, DrainCause};

use crate::support::{Client, Event, Gate, TestServer, gate, get};
use crate::{assert_ended, basics, start_with_gate};

/// A handler blocks the loop while the requests and the shutdown come.
#[cfg(target_os = "linux")]
#[test]
fn a_request_that_is_already_in_an_idle_socket_is_served() {
    let (server, gate) = start_with_gate(None);
    let mut idle: Vec<_> = (0..5).map(|_| server.connect_known().0).collect();
    idle.iter_mut().for_each(|client| assert_eq!(client.ask("/hello/you").status, 200));
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    for (i, client) in idle.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        client.wait_delivered();
    }
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    blocker.expect_eof();
    for (i, client) in idle.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
        client.expect_eof();
    }
    drop((idle, blocker));
    assert_ended(server);
}

/// The pipeline has more requests than fit into a turn, so the drain begins in the middle of it.
#[cfg(target_os = "linux")]
#[test]
fn a_long_pipeline_ends_with_a_reply_that_says_close() {
    let (server, gate) = start_with_gate(None);
    let (mut client, id) = server.connect_known();
    client.ask("/hello/you");
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    client.send((0..500).map(|i| get(&format!("/hello/{i}"))).collect::<String>());
    client.wait_delivered();
    server.handle().shutdown();
    gate.open();
    for i in 0..500 {
        let reply = client.reply();
        assert_eq!(reply.text(), format!("hello {i}"));
        if reply.closes() {
            client.expect_eof();
            break;
        }
        assert!(i < 499, "the last one says that it is the last");
    }
    drop((client, blocker));
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    assert_ended(server);
}

#[cfg(target_os = "linux")]
#[test]
fn connections_that_the_kernel_has_queued_are_served() {
    for max_connections in [None, Some(1)] {
        served_from_the_queue(start_with_gate(max_connections), max_connections);
    }
}

/// The sum of two of these queues does not fit in 32 bits.
#[cfg(target_os = "linux")]
#[test]
fn connections_in_the_longest_queues_are_served() {
    let (gate, door) = gate();
    let bind = || Server::bind("127.0.0.1:0")?.also_bind("127.0.0.1:0");
    let server = TestServer::start_on(bind, move |app, config| {
        basics(app);
        config.backlog = i32::MAX;
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    served_from_the_queue((server, gate), None);
}

#[cfg(target_os = "linux")]
#[track_caller]
fn served_from_the_queue((server, gate): (TestServer, Gate), max_connections: Option<usize>) {
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    let mut queued: Vec<_> = (0..5).map(|_| server.connect()).collect();
    let (asking, silent) = queued.split_at_mut(3);
    for (i, client) in asking.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        client.wait_delivered();
    }
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    for (i, client) in asking.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"), "max_connections {max_connections:?}");
        client.expect_eof();
    }
    silent.iter_mut().for_each(Client::expect_eof);
    drop((queued, blocker));
    assert_ended(server);
}

/// A handler blocks the tick that begins the drain, so no event announces what comes meanwhile.
#[cfg(target_os = "linux")]
#[test]
fn requests_that_come_within_the_last_tick_are_served() {
    let (server, gate) = start_with_gate(None);
    let (mut first, _) = server.connect_known();
    let (mut second, _) = server.connect_known();
    let (mut idle, _) = server.connect_known();
    first.get("/gate");
    gate.wait();
    second.get("/gate");
    second.wait_delivered();
    server.handle().shutdown();
    gate.open();
    gate.wait();
    // The loop has seen the shutdown and waits at the gate again.
    server.log.wait_event(&Event::Draining(DrainCause::Handle));
    let mut newcomer = server.connect();
    for client in [&mut idle, &mut newcomer] {
        client.get("/hello/late");
        client.wait_delivered();
    }
    gate.open();
    for client in [&mut idle, &mut newcomer] {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), ("hello late", true));
        client.expect_eof();
    }
    for client in [&mut first, &mut second] {
        assert_eq!(client.reply().text(), "open");
        client.expect_eof();
    }
    drop((first, second, idle, newcomer));
    assert_ended(server);
}
