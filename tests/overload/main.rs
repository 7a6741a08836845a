//! More clients than the server can take: no descriptor is free, all connections are in use, or the kernel's queue is
//! full. Nothing is lost in these cases: the loop sleeps, and goes on when there is room. Some errors of accept(2)
//! cannot be caused by a client; `src/server/accept.rs` tests them.
//!
//! Or clients, threads and timers bring more work at once than a polite client should wait for: `polite.rs`.
//!
//! The tests turn most servers here by hand, with a clock that moves only when the test moves it. So they know in which
//! tick something happens, and whether time was the cause or something else.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod backlog;
mod descriptors;
#[cfg(feature = "cli")]
mod memory;
mod polite;

use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use monoloop::server::Running;
use monoloop::{Config, Endpoint, Router, Server};
use rustix::io::Errno;
use support::{Client, Event, Hand, LIMIT, Log, SocketPath, test_config};

const OUT_OF_DESCRIPTORS: Event = Event::Trouble(Some(Errno::MFILE.raw_os_error()));

/// The most CPU time that the loop may spend on others between a polite request and its answer, beside one call that
/// has begun.
const BAR: Duration = Duration::from_millis(25);

/// "Accepting resumes within a second of a slot being freed."
const A_SECOND: Duration = Duration::from_secs(1);

/// How long accepting pauses when no descriptor is free, as `src/limits.rs` says.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

fn basics(app: &mut Router<()>) {
    app.get("/hello/:name", |_, req, res| res.text(format!("hello {}", req.param_str("name").unwrap_or_default())));
}

// ---- a server that is turned by hand --------------------------------------------------------------------------------

struct ByHand {
    running: Running<()>,
    log: Log,
    hand: Hand,
    address: SocketAddr,
    path: SocketPath,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Unix,
}

impl ByHand {
    /// Listens on a free port and on a unix socket.
    #[track_caller]
    fn start(setup: impl FnOnce(&mut Router<()>, &mut Config)) -> Self {
        let (mut app, mut config) = (Router::new(()), test_config());
        basics(&mut app);
        config.raise_descriptor_limit = false;
        setup(&mut app, &mut config);
        let (log, hand, path) = (Log::default(), Hand::default(), SocketPath::new());
        let server = Server::bind("127.0.0.1:0").expect("a port is free");
        let Endpoint::Tcp(address) = server.local_addr() else { panic!("it listens on TCP first") };
        let server = server.also_bind_unix(path.path()).expect("the path is free").config(config);
        let running = server.observer(log.recorder()).clock(hand.clone()).start(app).expect("a poll");
        Self { running, log, hand, address, path }
    }

    /// Connects; nothing is accepted before the next turn.
    #[track_caller]
    fn connect(&self, kind: Kind) -> Client {
        match kind {
            Kind::Tcp => Client::tcp(self.address),
            Kind::Unix => Client::unix(self.path.path()),
        }
    }

    /// Clients that have sent a request. They are named after their places in the queue.
    #[track_caller]
    fn queue(&self, kind: Kind, count: usize) -> Vec<Client> {
        let connect = |i| {
            let mut client = self.connect(kind);
            client.get(&format!("/hello/{i}"));
            client
        };
        (0..count).map(connect).collect()
    }

    #[track_caller]
    fn turn(&mut self) {
        assert!(self.running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
    }

    /// Turns the server until `done`; it sleeps in the poll between events.
    #[track_caller]
    fn turn_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + LIMIT;
        while !done(self) {
            assert!(Instant::now() < end, "it did not happen: {what}; {:#?}", self.log.events());
            let more = self.running.turn(Some(Duration::from_millis(5))).expect("the poll works");
            assert!(more, "the server goes on");
        }
    }

    /// Turns the server until the reply comes.
    #[track_caller]
    fn reply(&mut self, client: &mut Client, expected: &str) {
        self.turn_until(expected, |_| client.is_readable());
        assert_eq!(client.reply().text(), expected);
    }

    #[track_caller]
    fn ask(&mut self, client: &mut Client) {
        client.get("/hello/you");
        self.reply(client, "hello you");
    }

    /// Turns the server until all connections that it ever had are closed.
    #[track_caller]
    fn close_all(&mut self) {
        self.turn_until("all are closed", |server| server.opened() == server.closed());
    }

    fn opened(&self) -> usize {
        self.log.count(|event| matches!(event, Event::Opened(..)))
    }

    fn closed(&self) -> usize {
        self.log.count(|event| matches!(event, Event::Closed(..)))
    }

    fn troubles(&self) -> usize {
        self.log.count(|event| *event == OUT_OF_DESCRIPTORS)
    }
}

/// The number of descriptors that this process has.
#[track_caller]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

/// A descriptor that is only there to be closed.
#[track_caller]
fn any_file() -> File {
    File::open("/dev/null").expect("a descriptor is free")
}
