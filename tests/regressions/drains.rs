//! Drains that left something unanswered.

use monoloop::server::CloseReason;
use monoloop::{Endpoint, Server};

use crate::basics;
use crate::support::{Client, Event, TestServer};
#[cfg(target_os = "linux")]
use crate::support::{FewDescriptors, gate, get};

/// The handler of the first request runs when the drain begins. The others wait in the buffer and in the socket.
#[cfg(target_os = "linux")]
#[test]
fn a_drain_left_most_of_a_pipeline_unanswered() {
    const BEHIND: usize = 300;
    let (gate, door) = gate();
    let server = TestServer::start(move |app, _| {
        basics(app);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut client, id) = server.connect_known();
    client.send(get("/gate") + &(0..BEHIND).map(|i| get(&format!("/hello/{i}"))).collect::<String>());
    gate.wait();
    client.wait_delivered();
    server.handle().shutdown();
    gate.open();
    assert_eq!(client.reply().text(), "open");
    for i in 0..BEHIND {
        let reply = client.reply();
        assert_eq!((reply.text(), reply.closes()), (&*format!("hello {i}"), i + 1 == BEHIND));
    }
    client.expect_eof();
    drop(client);
    assert_eq!(server.log.wait_closed(id), CloseReason::Drained);
    server.join().expect("it drains");
}

/// Linux queues one connection more than the backlog says, and each listener has a queue. All connections are in use,
/// so the loop does not empty the queues before the drain does.
#[cfg(target_os = "linux")]
#[test]
fn a_drain_took_too_few_from_short_queues() {
    let (gate, door) = gate();
    let bind = || Server::bind("127.0.0.1:0")?.also_bind("127.0.0.1:0");
    let server = TestServer::start_on(bind, move |app, config| {
        basics(app);
        config.backlog = 1;
        config.max_connections = Some(1);
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let listening = server.log.wait_until("both listen", |events| {
        let addresses = events.iter().filter_map(|event| match event {
            Event::Listening(Endpoint::Tcp(address)) => Some(*address),
            _ => None,
        });
        Some(addresses.collect::<Vec<_>>()).filter(|addresses| addresses.len() == 2)
    });
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    let mut queued: Vec<_> = listening.iter().flat_map(|&address| [address; 2]).map(Client::tcp).collect();
    for client in &mut queued {
        client.get("/hello/queued");
        client.wait_delivered();
    }
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    drop(blocker);
    for mut client in queued {
        assert_eq!(client.reply().text(), "hello queued");
        client.expect_eof();
    }
    server.join().expect("it drains");
}

#[cfg(target_os = "linux")]
#[test]
fn a_drain_without_free_descriptors_gave_up_the_queue() {
    let name = "drains::a_drain_without_free_descriptors_gave_up_the_queue";
    crate::support::in_a_process_of_its_own(name, drain_without_free_descriptors);
}

#[cfg(target_os = "linux")]
fn drain_without_free_descriptors() {
    /// The number of queued clients that find a descriptor at first.
    const FREE: u64 = 2;
    let (gate, door) = gate();
    let server = TestServer::start(move |app, config| {
        basics(app);
        config.raise_descriptor_limit = false;
        app.get("/gate", move |_, _, res| {
            door.pass();
            res.text("open")
        });
    });
    let (mut blocker, _) = server.connect_known();
    blocker.get("/gate");
    gate.wait();
    let mut queued: Vec<_> = (0..8).map(|_| server.connect()).collect();
    for (i, client) in queued.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        client.wait_delivered();
    }
    let _few = FewDescriptors::leave(FREE);
    server.handle().shutdown();
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    server.log.wait_for("descriptors run out", |event| matches!(event, Event::Trouble(_)).then_some(()));
    // Each client that has its reply leaves, and its descriptors go to the others.
    drop(blocker);
    for (i, mut client) in queued.into_iter().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
        client.expect_eof();
    }
    server.join().expect("the drain ends before its timeout");
}
