//! More connections than the limit, and many at the same time.

use monoloop::server::CloseReason;

use crate::support::{Event, TestServer};
use crate::{basics, start};

#[test]
fn a_connection_over_the_limit_waits_until_another_closes() {
    let server = TestServer::start(|app, config| {
        basics(app);
        config.max_connections = Some(2);
    });
    let (mut first, first_id) = server.connect_known();
    let (mut second, _) = server.connect_known();
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect()).collect();
    for (i, client) in waiting.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
        #[cfg(target_os = "linux")]
        client.wait_delivered();
    }
    for _ in 0..10 {
        assert_eq!(first.ask("/hello/first").text(), "hello first");
        assert_eq!(second.ask("/hello/second").text(), "hello second");
    }
    assert_eq!(server.log.count(|event| matches!(event, Event::Opened(..))), 2);
    drop(first);
    server.log.wait_closed(first_id);
    for (i, mut client) in waiting.into_iter().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    assert_eq!(second.ask("/hello/second").text(), "hello second");
    let mut open = 0_usize;
    for event in server.log.events() {
        match event {
            Event::Opened(..) => open += 1,
            Event::Closed(..) => open -= 1,
            _ => {}
        }
        assert!(open <= 2, "never more than two at a time");
    }
}

#[test]
fn many_connections_at_once_are_all_served() {
    let server = start();
    let mut clients: Vec<_> = (0..300).map(|_| server.connect()).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.get(&format!("/hello/{i}"));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    drop(clients);
    server.log.wait_until("all are closed", |events| {
        let closed = |event: &&Event| matches!(event, Event::Closed(_, CloseReason::ClientClosed));
        (events.iter().filter(closed).count() == 300).then_some(())
    });
}
