//! Deadlines that passed unjustly.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::rc::Rc;
use std::time::{Duration, Instant};

use monoloop::http::Moment;
use monoloop::server::{Clock, Running};
use monoloop::{Router, Server};

use crate::basics;
use crate::support::{Client, LIMIT, Reply, test_config};

/// A clock that can act as if the process were stopped after the poll of a tick. When the loop reads the time, 40 s
/// have passed, and a client has sent a request meanwhile.
#[derive(Clone)]
struct Stopping(Rc<RefCell<(Duration, Option<Client>)>>);

impl Clock for Stopping {
    fn now(&mut self) -> Moment {
        let (now, client) = &mut *self.0.borrow_mut();
        if let Some(mut client) = client.take() {
            *now += Duration::from_secs(40);
            client.get("/hello/late");
            client.wait_delivered();
        }
        Moment::ZERO + *now
    }
}

/// Turns the server until the client has its reply. The client never blocks.
#[track_caller]
fn reply(running: &mut Running<()>, client: &mut Client) -> Reply {
    let limit = Instant::now() + LIMIT;
    loop {
        match client.try_reply() {
            Ok(reply) => return reply,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
        assert!(Instant::now() < limit, "no reply");
        assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
    }
}

/// The poll had ended before the request came, and the clock said that the idle timeout had passed.
#[test]
fn a_request_that_came_while_the_process_was_stopped_was_too_late() {
    let mut app = Router::new(());
    basics(&mut app);
    let clock = Stopping(Rc::new(RefCell::new((Duration::from_secs(1), None))));
    let server = Server::bind("127.0.0.1:0").expect("a port is free").config(test_config()).clock(clock.clone());
    let mut running = server.start(app).expect("a poll");
    let mut client = Client::tcp(running.local_addr().expect("it listens").to_string().parse().expect("an address"));
    client.socket().set_nonblocking(true).expect("it can be made so");
    client.get("/hello/early");
    assert_eq!(reply(&mut running, &mut client).text(), "hello early");

    clock.0.borrow_mut().1 = Some(client.share());
    assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
    assert!(clock.0.borrow().1.is_none(), "the clock was read");
    assert_eq!(reply(&mut running, &mut client).text(), "hello late");
}
