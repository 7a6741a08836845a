//! A server in the loop of another program.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use monoloop::server::Running;
use monoloop::{Router, Server};

use crate::basics;
use crate::support::{Client, Hand, LIMIT, test_config};

fn embedded(clock: Hand) -> (Running<()>, Client) {
    let mut app = Router::new(());
    basics(&mut app);
    let config = test_config().idle_timeout(Duration::from_secs(30));
    let server = Server::bind("127.0.0.1:0").expect("a port is free").config(config).clock(clock);
    let running = server.start(app).expect("a poll");
    let address = running.local_addr().expect("it listens").to_string().parse().expect("an address");
    let client = Client::tcp(address);
    client.socket().set_nonblocking(true).expect("it can be made so");
    (running, client)
}

/// Turns the server without ever sleeping in it, until `done` says so.
#[track_caller]
fn turn_until<T>(running: &mut Running<()>, mut done: impl FnMut(&mut Running<()>) -> Option<T>) -> T {
    let limit = Instant::now() + LIMIT;
    loop {
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
        if let Some(found) = done(running) {
            return found;
        }
        assert!(Instant::now() < limit, "it does not happen");
    }
}

#[test]
fn a_server_can_be_turned_by_hand() {
    let hand = Hand::default();
    hand.advance(Duration::from_secs(1));
    let (mut running, mut client) = embedded(hand.clone());
    assert_eq!(running.next_deadline(), None, "without connections there is no hurry");
    turn_until(&mut running, |running| running.next_deadline());
    assert_eq!(running.next_deadline(), Some(Duration::from_secs(30)), "the idle timeout");

    for _ in 0..3 {
        client.get("/hello/you");
        let reply = turn_until(&mut running, |_| match client.try_reply() {
            Ok(reply) => Some(reply),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        });
        assert_eq!(reply.text(), "hello you");
    }
    hand.advance(Duration::from_secs(10));
    assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
    assert_eq!(running.next_deadline(), Some(Duration::from_secs(20)));

    running.handle().shutdown();
    turn_until(&mut running, |running| running.local_addr().is_none().then_some(()));
    assert_eq!(running.next_deadline(), Some(Duration::from_secs(1)), "the linger of the drain");
    drop(client);
    let limit = Instant::now() + LIMIT;
    while running.turn(Some(Duration::ZERO)).expect("it drains well") {
        assert!(Instant::now() < limit, "it does not end");
    }
}

#[test]
fn a_server_can_be_polled_in_another_loop() {
    let (mut running, mut client) = embedded(Hand::default());
    let mut poll = mio::Poll::new().expect("a poll");
    let descriptor = running.as_fd().as_raw_fd();
    let mut source = mio::unix::SourceFd(&descriptor);
    poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).expect("a poll can be polled");
    let mut events = mio::Events::with_capacity(4);
    client.get("/hello/you");
    let reply = loop {
        poll.poll(&mut events, Some(LIMIT)).expect("the poll works");
        assert!(!events.is_empty(), "the descriptor becomes readable");
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
        while running.next_deadline() == Some(Duration::ZERO) {
            assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
        }
        match client.try_reply() {
            Ok(reply) => break reply,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(reply.text(), "hello you");
}
