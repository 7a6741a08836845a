//! What a request costs: allocations, readings of the clock, and what is left behind. The server and its client share a
//! thread here, and the test turns the server by hand, so every number is exact.
//!
//! Naming the crate `allocation_counter` puts its counting allocator into this test program.

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod clock;
mod leftovers;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use monoloop::http::Moment;
use monoloop::server::{Clock, CloseReason, ConnectionId, Observer, Running, Tick};
use monoloop::{Config, Endpoint, Router, Server};
use support::{LIMIT, test_config};

/// Turns of the loop that may bring nothing while the kernel carries bytes from one socket to the other.
const PATIENCE: usize = 1_000_000;

// ---- a server and its client in one thread --------------------------------------------------------------------------

struct Pair {
    running: Running<()>,
    address: SocketAddr,
    client: TcpStream,
    /// Turns of the loop so far.
    turns: u64,
}

impl Pair {
    #[track_caller]
    fn new(setup: impl FnOnce(&mut Router<()>, Server) -> Server) -> Self {
        let mut app = Router::new(());
        let server = setup(&mut app, Server::bind("127.0.0.1:0").expect("a port is free").config(test_config()));
        let running = server.start(app).expect("a poll");
        let address = running.local_addr().expect("it listens").to_string().parse().expect("an address");
        let client = connect(address);
        Self { running, address, client, turns: 0 }
    }

    #[track_caller]
    fn turn(&mut self) {
        self.turns += 1;
        assert!(self.running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
    }

    /// Sends `request` and reads one reply, to learn its length.
    #[track_caller]
    fn first_reply(&mut self, request: &[u8]) -> Vec<u8> {
        self.client.write_all(request).expect("the kernel takes it");
        let mut reply = Vec::new();
        let mut room = [0; 4096];
        for _ in 0..PATIENCE {
            self.turn();
            match self.client.read(&mut room) {
                Ok(count) => reply.extend_from_slice(&room[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            if let Some(end) = whole(&reply, request.starts_with(b"HEAD ")) {
                assert_eq!(end, reply.len(), "no bytes follow the reply");
                return reply;
            }
        }
        panic!("no reply");
    }

    /// Sends `bytes` and takes `expected` bytes of replies. Allocates nothing itself.
    #[track_caller]
    fn exchange(&mut self, bytes: &[u8], expected: usize) {
        self.client.write_all(bytes).expect("the kernel takes it");
        let (mut room, mut got) = ([0; 16 * 1024], 0);
        for _ in 0..PATIENCE {
            self.turn();
            match self.client.read(&mut room) {
                Ok(count) => {
                    assert!(count > 0, "the connection is kept");
                    got += count;
                }
                Err(error) => assert!(error.kind() == ErrorKind::WouldBlock),
            }
            if got >= expected {
                assert!(got == expected, "each reply is as long as the first");
                return;
            }
        }
        panic!("the replies do not come");
    }
}

#[track_caller]
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the server can be reached");
    stream.set_nodelay(true).expect("TCP_NODELAY can be set");
    stream.set_nonblocking(true).expect("it can be made so");
    stream
}

/// Where the first reply ends, if it is whole.
fn whole(reply: &[u8], is_to_head: bool) -> Option<usize> {
    let head = reply.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    if is_to_head {
        return Some(head);
    }
    let text = std::str::from_utf8(&reply[..head]).expect("a head is text");
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().expect("a length is a number"));
    (reply.len() >= head + length).then_some(head + length)
}

fn routes(app: &mut Router<()>) {
    app.get("/plaintext", |_, _, res| res.text("Hello, World!"));
    app.get("/numbers/:number", |_, req, res| {
        let number: u32 = req.param("number")?;
        assert!(number == 42);
        res.text("a number")
    });
    app.get("/names/:name/of/*rest", |_, req, res| {
        assert!(req.param_str("rest").is_some_and(|rest| rest == "the/great"));
        res.text(req.param_str("name").unwrap_or_default())
    });
    app.get("/field", |_, _, res| res.header("X-Field", "a value").text("with a field"));
    app.get("/fields", |_, _, res| {
        res.status(200).append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2").text("with fields")
    });
    app.get("/pieces", |_, _, res| {
        let mut body = res.start()?;
        for _ in 0..10 {
            body.write("a piece of the content, ")?;
        }
        body.end()
    });
    app.post("/asked", |_, req, res| {
        assert!(req.cookie("session").is_some_and(|value| value == "31d4") && req.cookies().count() == 3);
        assert!(req.content_type().is_some_and(|value| value == "text/plain"));
        res.text(req.accepts(&["text/html", "application/json"]).unwrap_or(req.text()?))
    });
    app.post("/echo", |_, req, res| res.send(req.body()));
    for i in 0..500 {
        app.get(&format!("/resource{i}/:id"), |_, _, res| res.text("one of many"));
    }
}

fn patient() -> Config {
    test_config().idle_timeout(Duration::from_secs(1_000_000))
}

// ---- the clock ------------------------------------------------------------------------------------------------------

/// A clock that advances by `step` at each reading, and counts the readings.
#[derive(Clone, Default)]
struct Steps {
    step: Duration,
    readings: Rc<Cell<u64>>,
    wall_readings: Rc<Cell<u64>>,
    now: Rc<Cell<Duration>>,
}

/// The time of day at the start of the simulated clock; not a whole second.
const START: Duration = Duration::from_millis(1_700_000_000_250);

impl Clock for Steps {
    fn now(&mut self) -> Moment {
        self.readings.set(self.readings.get() + 1);
        self.now.set(self.now.get() + self.step);
        Moment::from_nanos(self.now.get().as_nanos() as u64)
    }

    fn wall_clock(&mut self) -> SystemTime {
        self.wall_readings.set(self.wall_readings.get() + 1);
        UNIX_EPOCH + START + self.now.get()
    }
}

/// An observer that counts.
#[derive(Clone, Default)]
struct Counts {
    ticks: Rc<Cell<u64>>,
    opened: Rc<Cell<u64>>,
    closed: Rc<RefCell<Vec<(CloseReason, u64)>>>,
    open_now: Rc<Cell<usize>>,
}

impl Counts {
    fn closed(&self) -> u64 {
        self.closed.borrow().iter().map(|(_, count)| count).sum()
    }
}

impl Observer for Counts {
    fn connection_opened(&mut self, _: ConnectionId, _: &Endpoint) {
        self.opened.set(self.opened.get() + 1);
    }

    fn connection_closed(&mut self, _: ConnectionId, reason: CloseReason) {
        let mut closed = self.closed.borrow_mut();
        match closed.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => closed.push((reason, 1)),
        }
    }

    fn ticked(&mut self, tick: &Tick) {
        self.ticks.set(self.ticks.get() + 1);
        self.open_now.set(tick.connections);
    }
}
