//! Several loops on one address: all of them serve, they share nothing, and they begin and end together.

#[path = "../support/mod.rs"]
mod support;

mod ending;
mod listening;
mod panics;
mod serving;
mod starting;

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use monoloop::server::{self, Running, RunningWorkers, WorkersHandle};
use monoloop::{Config, Endpoint, Router, Server, Workers};
use support::{Client, Door, Gate, LIMIT, gate, test_config};

/// The state of a worker. It cannot be sent to another thread, and need not be.
struct State {
    worker: usize,
    calls: Rc<Cell<usize>>,
}

/// Says which worker it is and how often this one was asked.
fn app(worker: usize) -> Router<State> {
    let mut app = Router::new(State { worker, calls: Rc::new(Cell::new(0)) });
    app.get("/worker", |state, _, res| res.text(state.worker.to_string()));
    app.get("/thread", |_, _, res| res.text(thread::current().name().unwrap_or_default().to_owned()));
    app.get("/count", |state, _, res| {
        let calls = Rc::clone(&state.calls);
        calls.set(calls.get() + 1);
        res.text(format!("{} {}", state.worker, calls.get()))
    });
    app.post("/echo", |_, req, res| res.send(req.body()));
    app
}

type SetUp = server::Result<Running<State>>;

/// Workers that run in threads. Dropping it drains them.
struct TestWorkers {
    address: SocketAddr,
    handle: WorkersHandle,
    ended: Receiver<server::Result<()>>,
    joined: bool,
}

impl TestWorkers {
    #[track_caller]
    fn start(count: usize) -> Self {
        Self::start_with(count, test_config(), |worker, server| server.start(app(worker)))
    }

    #[track_caller]
    fn start_with(
        count: usize,
        config: Config,
        set_up: impl Fn(usize, Server) -> SetUp + Send + Sync + 'static,
    ) -> Self {
        let workers = Workers::bind("127.0.0.1:0", count).expect("a port is free").config(config);
        Self::run(workers.start(set_up).expect("they start"))
    }

    #[track_caller]
    fn run(running: RunningWorkers) -> Self {
        let address = match running.local_addr().expect("they listen") {
            Endpoint::Tcp(address) => address,
            Endpoint::Unix => SocketAddr::from(([0; 4], 0)),
        };
        let handle = running.handle();
        let (end, ended) = channel();
        thread::spawn(move || end.send(running.run()));
        Self { address, handle, ended, joined: false }
    }

    #[track_caller]
    fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    /// A client of this worker. Chance decides which worker takes a connection, so this tries several. The probability
    /// that 200 of them miss one of two workers is 2^-200.
    #[track_caller]
    fn connect_to(&self, worker: usize) -> Client {
        let mut clients = (0..200).map(|_| self.connect());
        clients.find_map(|mut client| (client.ask("/worker").text() == worker.to_string()).then_some(client)).unwrap()
    }

    /// Waits for the end of workers that were told to stop.
    #[track_caller]
    fn join(mut self) -> server::Result<()> {
        self.joined = true;
        self.ended.recv_timeout(LIMIT).expect("they end")
    }
}

impl Drop for TestWorkers {
    fn drop(&mut self) {
        if !self.joined && !thread::panicking() {
            self.handle.shutdown();
            self.ended.recv_timeout(LIMIT).expect("they end").expect("they drain");
        }
    }
}

#[track_caller]
fn assert_nobody_listens(address: SocketAddr) {
    assert_eq!(TcpStream::connect(address).expect_err("nobody listens").kind(), ErrorKind::ConnectionRefused);
}

/// As `Client::wait_delivered`, with one look at all clients.
#[cfg(target_os = "linux")]
#[track_caller]
fn wait_all_delivered(clients: &[Client]) {
    let end = Instant::now() + LIMIT;
    let is_delivered = |entries: &[support::Entry], client: &Client| {
        let found = entries.iter().find(|entry| entry.local == client.local());
        found.is_some_and(|entry| entry.unacknowledged == 0)
    };
    loop {
        let entries = support::proc_net_tcp();
        if clients.iter().all(|client| is_delivered(&entries, client)) {
            return;
        }
        assert!(Instant::now() < end, "what was sent does not arrive");
        thread::yield_now();
    }
}

/// A gate for each worker, and the other side for its handler.
fn gates(count: usize) -> (Vec<Gate>, Mutex<Vec<Option<Door>>>) {
    let (gates, doors): (Vec<_>, Vec<_>) = (0..count).map(|_| gate()).map(|(gate, door)| (gate, Some(door))).unzip();
    (gates, Mutex::new(doors))
}

/// The application with the worker's gate at `/gate`.
fn app_with_gate(worker: usize, doors: &Mutex<Vec<Option<Door>>>) -> Router<State> {
    let door = doors.lock().unwrap()[worker].take().expect("each worker is set up once");
    let mut app = app(worker);
    app.get("/gate", move |_, _, res| {
        door.pass();
        res.text("open")
    });
    app
}
