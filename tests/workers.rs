//! Several loops on one address: that all serve, that they share nothing, and that they begin and end together.

mod support;

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use monoloop::http::Moment;
use monoloop::server::{self, Clock, DrainCause, Error, Running, RunningWorkers, SystemClock, WorkersHandle};
use monoloop::{Config, Endpoint, Handle, Router, Server, Workers};
use rustix::process::{Resource, Rlimit, Signal, setrlimit};
use support::{Client, Door, Event, Gate, LIMIT, Log, SocketPath, assert_same, gate, pattern, test_config};

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

/// Workers that run in threads of their own. Dropping it drains them.
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

    /// A client of this worker. Which one takes a connection is left to chance, so several are tried: that 200 miss one
    /// of two has a probability of 2^-200.
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

/// As `Client::wait_delivered`, with one look at all of them.
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

/// A gate for each worker, and what its handler needs of it.
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

// ---- serving --------------------------------------------------------------------------------------------------------

/// Linux chooses by a hash of the addresses, so 1,024 connections are 1,024 throws of a coin. By Hoeffding, that one
/// side gets less than 35 % has a probability of 2 exp(-2 · 1024 · 0.15²) < 1e-19.
#[cfg(target_os = "linux")]
#[test]
fn two_workers_get_about_the_same_number_of_connections() {
    const COUNT: usize = 1024;
    let workers = TestWorkers::start(2);
    let mut shares = [0; 2];
    for _ in 0..COUNT {
        let mut client = workers.connect();
        shares[client.ask("/worker").text().parse::<usize>().unwrap()] += 1;
        // So many ports shall not be kept by connections that are over.
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
    // A new connection finds the state of whoever takes it.
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

/// The descriptors are those of the process. A worker may find them all used up by the others, and then has no connection
/// of its own whose end would wake it up.
#[cfg(target_os = "linux")]
#[test]
fn workers_share_the_descriptors_and_serve_everybody_in_the_end() {
    support::in_a_process_of_its_own("workers_share_the_descriptors_and_serve_everybody_in_the_end", || {
        let (gates, doors) = gates(2);
        let mut config = test_config();
        config.raise_descriptor_limit = false;
        let workers =
            TestWorkers::start_with(2, config, move |worker, server| server.start(app_with_gate(worker, &doors)));
        let mut blockers = [workers.connect_to(0), workers.connect_to(1)];
        for (blocker, gate) in blockers.iter_mut().zip(&gates) {
            blocker.get("/gate");
            gate.wait();
        }
        let mut waiting: Vec<_> = (0..40).map(|_| workers.connect()).collect();
        waiting.iter_mut().for_each(|client| client.get("/worker"));
        let _few = support::FewDescriptors::leave(8);
        gates.iter().for_each(Gate::open);
        blockers.iter_mut().for_each(|blocker| assert_eq!(blocker.reply().text(), "open"));
        let limit = Instant::now() + LIMIT;
        while !waiting.is_empty() {
            assert!(Instant::now() < limit, "{} are not served", waiting.len());
            // Who has a reply goes, and makes room for two: his own descriptor and that of the server.
            waiting.retain_mut(|client| !client.is_readable() || client.reply().status != 200);
            thread::yield_now();
        }
    });
}

// ---- listening ------------------------------------------------------------------------------------------------------

#[test]
fn an_address_that_workers_have_is_in_use_for_all_others() {
    let workers = TestWorkers::start(2);
    let address = workers.address;
    let in_use = format!("{address} is already in use");
    assert_eq!(Server::bind(address).expect_err("one server").to_string(), in_use);
    for count in [1, 2] {
        assert_eq!(Workers::bind(address, count).expect_err("more workers").to_string(), in_use);
    }
    assert_eq!(TcpListener::bind(address).expect_err("anybody else").kind(), ErrorKind::AddrInUse);
    assert_eq!(workers.connect().ask("/worker").status, 200);

    // And free again after them, although connections have ended at this side.
    let mut client = workers.connect();
    workers.handle.shutdown();
    client.expect_eof();
    drop(client);
    workers.join().expect("they drain");
    drop(Workers::bind(address, 2).expect("it is free"));
    drop(Server::bind(address).expect("it is free"));
}

/// Who is alone shares with nobody, not even with one who offers it.
#[cfg(target_os = "linux")]
#[test]
fn a_single_server_does_not_share_its_port() {
    use rustix::net::{AddressFamily, SocketType, bind, socket, sockopt};

    let join = |address: Endpoint| {
        let Endpoint::Tcp(address) = address else { unreachable!("it is TCP") };
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        bind(&socket, &address)
    };
    let server = Server::bind("127.0.0.1:0").expect("a port is free");
    assert_eq!(join(server.local_addr()), Err(rustix::io::Errno::ADDRINUSE));
    let Endpoint::Tcp(address) = server.local_addr() else { unreachable!("it is TCP") };
    let taken = Workers::bind(address, 2).expect_err("it is taken");
    assert_eq!(taken.to_string(), format!("{address} is already in use"));
    let workers = Workers::bind("127.0.0.1:0", 1).expect("a port is free");
    assert_eq!(join(workers.local_addr()), Err(rustix::io::Errno::ADDRINUSE));
    // The test can tell the difference; and this is what the documentation warns of.
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free");
    assert_eq!(join(workers.local_addr()), Ok(()));
}

#[test]
fn a_unix_socket_is_shared_and_its_file_goes_with_the_last() {
    let path = SocketPath::new();
    let (gates, doors) = gates(2);
    let workers = Workers::bind_unix(path.path(), 2).expect("the path is free").config(test_config());
    assert_eq!(workers.local_addr(), Endpoint::Unix);
    let error = Workers::bind_unix(path.path(), 2).expect_err("someone listens there");
    assert!(error.to_string().ends_with("is already in use"), "{error}");
    let running = workers.start(move |worker, server| server.start(app_with_gate(worker, &doors)));
    let workers = TestWorkers::run(running.expect("they start"));

    // Whoever is busy cannot take the next one, so the other one must.
    let mut first = Client::unix(path.path());
    let busy: usize = first.ask("/worker").text().parse().unwrap();
    first.get("/gate");
    gates[busy].wait();
    let mut second = Client::unix(path.path());
    assert_eq!(second.ask("/worker").text(), (1 - busy).to_string());

    workers.handle.shutdown();
    second.expect_eof();
    // Its worker has closed its copy. The busy one still takes what is in the queue.
    let mut third = Client::unix(path.path());
    third.get("/worker");
    gates[busy].open();
    assert_eq!(first.reply().text(), "open");
    assert_eq!(third.reply().text(), busy.to_string());
    first.expect_eof();
    third.expect_eof();
    drop((first, second, third));
    workers.join().expect("they drain");
    assert!(!path.path().exists(), "the socket file is removed at the end");
}

#[test]
fn a_passed_listener_and_several_addresses_are_served() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let passed = listener.local_addr().expect("it is bound");
    let path = SocketPath::new();
    let workers = Workers::from_listener(listener, 2).and_then(|workers| workers.also_bind("127.0.0.1:0"));
    let workers = workers.and_then(|workers| workers.also_bind_unix(path.path())).expect("they can be had");
    let workers = workers.config(test_config());
    let all: Vec<_> = workers.local_addrs().collect();
    assert_eq!((all.len(), all[0], all[2]), (3, Endpoint::Tcp(passed), Endpoint::Unix));
    let Endpoint::Tcp(second) = all[1] else { panic!("{all:?}") };
    let workers = TestWorkers::run(workers.start(|worker, server| server.start(app(worker))).expect("they start"));
    for mut client in [Client::tcp(passed), Client::tcp(second), Client::unix(path.path())] {
        assert_eq!(client.ask("/worker").status, 200);
    }
    workers.handle.shutdown();
    workers.join().expect("they drain");
    assert_nobody_listens(passed);
    assert_nobody_listens(second);
}

#[test]
fn some_numbers_of_workers_are_impossible() {
    for count in [0, 1025, usize::MAX] {
        let error = Workers::bind("127.0.0.1:0", count).expect_err("it is impossible");
        let expected = format!("cannot listen on the address with {count} workers: 1 to 1024 are possible");
        assert_eq!(error.to_string(), expected);
    }
}

// ---- starting -------------------------------------------------------------------------------------------------------

#[test]
fn a_worker_that_cannot_be_set_up_stops_them_all() {
    let path = SocketPath::new();
    let workers = Workers::bind("127.0.0.1:0", 3).and_then(|workers| workers.also_bind_unix(path.path()));
    let workers = workers.expect("a port is free").config(test_config());
    let Endpoint::Tcp(address) = workers.local_addr() else { unreachable!("it is TCP") };
    let failed = workers.run(|worker, server| match worker {
        1 => Err(String::from("no database")),
        _ => server.start(app(worker)).map_err(|error| error.to_string()),
    });
    let error = failed.expect_err("one has failed");
    assert_eq!(error.to_string(), "worker 1: no database");
    assert!(matches!(error, Error::Worker { worker: 1, .. }));
    assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("no database"));
    assert_nobody_listens(address);
    assert!(!path.path().exists(), "the socket file is removed");
}

#[test]
fn a_set_up_that_panics_stops_them_all() {
    let workers = Workers::bind("127.0.0.1:0", 3).expect("a port is free").config(test_config());
    let Endpoint::Tcp(address) = workers.local_addr() else { unreachable!("it is TCP") };
    let failed = workers.run(|worker, server| {
        assert_ne!(worker, 1, "out of luck");
        server.start(app(worker))
    });
    let text = failed.expect_err("one has panicked").to_string();
    assert!(text.starts_with("worker 1: its set-up panicked: ") && text.contains("out of luck"), "{text}");
    assert_nobody_listens(address);
}

#[test]
fn of_several_that_fail_the_first_is_named() {
    let workers = Workers::bind("127.0.0.1:0", 3).expect("a port is free").config(test_config());
    let failed = workers.run(|worker, _| Err::<Running<State>, _>(format!("number {worker}")));
    assert_eq!(failed.expect_err("all have failed").to_string(), "worker 0: number 0");
}

/// Nobody is served before all can serve: until then a connection waits in the queue of its worker.
/// Such a worker would serve alone, or hear of no order to stop.
#[test]
fn a_set_up_that_runs_its_server_or_brings_another_is_refused() {
    type SetUp = fn(usize, Server) -> monoloop::server::Result<Running<()>>;
    let runs: SetUp = |_, server| {
        server.run(Router::new(()))?;
        Server::bind("127.0.0.1:0")?.config(test_config()).start(Router::new(()))
    };
    let runs_later: SetUp = |_, server| {
        server.start(Router::new(()))?.run()?;
        Server::bind("127.0.0.1:0")?.config(test_config()).start(Router::new(()))
    };
    let another: SetUp = |_, _| Server::bind("127.0.0.1:0")?.config(test_config()).start(Router::new(()));
    for (set_up, expected) in [(runs, "`Workers` runs"), (runs_later, "`Workers` runs"), (another, "than its own")] {
        let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
        let error = workers.run(set_up).expect_err("nobody serves");
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error} {source}").contains(expected), "{error}: {source}");
    }
}

#[test]
fn nobody_serves_before_all_are_set_up() {
    let (gate, door) = gate();
    let door = Mutex::new(door);
    let workers = Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
    let Endpoint::Tcp(address) = workers.local_addr() else { unreachable!("it is TCP") };
    let (told, tell) = channel();
    thread::spawn(move || {
        let running = workers.start(move |worker, server| {
            if worker == 1 {
                door.lock().unwrap().pass();
            }
            server.start(app(worker))
        });
        told.send(running.expect("they start")).expect("the test waits for it");
    });
    gate.wait();
    // One of 64 reaches worker 0, but for a probability of 2^-64.
    let mut clients: Vec<_> = (0..64).map(|_| Client::tcp(address)).collect();
    clients.iter_mut().for_each(|client| client.get("/worker"));
    gate.open();
    let running = tell.recv_timeout(LIMIT).expect("they start");
    assert!(!clients.iter().any(Client::is_readable), "they are set up, and nobody lets them run");
    let _workers = TestWorkers::run(running);
    clients.iter_mut().for_each(|client| assert_eq!(client.reply().status, 200));
}

#[test]
fn workers_that_are_dropped_are_gone() {
    let make = || Workers::bind("127.0.0.1:0", 2).expect("a port is free").config(test_config());
    let listening = |running: &RunningWorkers| match running.local_addr() {
        Some(Endpoint::Tcp(address)) => address,
        other => panic!("{other:?}"),
    };
    let running = make().start(|worker, server| server.start(app(worker))).expect("they start");
    let address = listening(&running);
    drop(running);
    assert_nobody_listens(address);

    let mut running = make().start(|worker, server| server.start(app(worker))).expect("they start");
    let address = listening(&running);
    assert!(running.turn(Some(Duration::ZERO)).expect("they serve"));
    let mut client = Client::tcp(address);
    assert_eq!(client.ask("/worker").status, 200);
    drop(running);
    client.expect_end();
    assert_nobody_listens(address);
}

// ---- ending ---------------------------------------------------------------------------------------------------------

#[test]
fn a_drain_finishes_what_is_in_flight_with_every_worker() {
    let workers = TestWorkers::start(2);
    let content = pattern(100_000);
    // Each worker has at least one; the others fall as they may.
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

/// Each socket has a queue of its own, and closing it would drop what is in there.
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
    // All for one has a probability of 2^-63.
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

/// Also the one that a handler gives to itself.
#[test]
fn the_handle_of_a_worker_stands_for_all() {
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
fn a_shutdown_before_the_start_serves_who_came_before() {
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
    let mut config = test_config();
    config.drain_timeout = Duration::from_millis(300);
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

/// A state that panics when it is dropped must not abort what the others still have to do.
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

// ---- panics ---------------------------------------------------------------------------------------------------------

/// The system's clock, until it breaks. The loop reads the clock outside all handlers.
struct Fuse {
    clock: SystemClock,
    burnt: Arc<AtomicBool>,
}

impl Clock for Fuse {
    fn now(&mut self) -> Moment {
        assert!(!self.burnt.load(Ordering::SeqCst), "the clock is broken");
        self.clock.now()
    }
}

/// What the process does that is to be taken down: worker 0 is in a handler that does not return, the clock of worker 1
/// breaks. `run` is not called by the main thread, so no panic of it would end the process.
fn break_worker_1() {
    let (gates, doors) = gates(2);
    let workers = TestWorkers::start_with(2, test_config(), move |worker, server| {
        let burnt = Arc::new(AtomicBool::new(false));
        let clock = Fuse { clock: SystemClock::new(), burnt: Arc::clone(&burnt) };
        let mut app = app_with_gate(worker, &doors);
        app.get("/burn", move |_, _, res| {
            burnt.store(true, Ordering::SeqCst);
            res.empty()
        });
        server.clock(clock).start(app)
    });
    let (mut busy, mut broken) = (workers.connect_to(0), workers.connect_to(1));
    busy.get("/gate");
    gates[0].wait();
    broken.get("/burn");
    thread::park_timeout(LIMIT);
    println!("still alive");
}

#[test]
fn a_panic_outside_a_handler_takes_the_process_down() {
    const CHILD: &str = "MONOLOOP_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        // It would only be in the way.
        setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).expect("it may be lowered");
        return break_worker_1();
    }
    let mut child = Command::new(std::env::current_exe().expect("it runs"));
    child.args(["--exact", "a_panic_outside_a_handler_takes_the_process_down", "--nocapture"]).env(CHILD, "1");
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs again");
    let (mut output, mut errors) = (String::new(), String::new());
    child.stderr.take().expect("it is piped").read_to_string(&mut errors).expect("it is text");
    child.stdout.take().expect("it is piped").read_to_string(&mut output).expect("it is text");
    let status = child.wait().expect("it is ours");
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}: {errors}");
    assert!(!output.contains("still alive"), "at once: {output}");
    assert!(errors.contains("thread 'worker-1'"), "{errors}");
    let expected = "monoloop: worker 1 panicked: the clock is broken\n\
        monoloop: the process ends, because the other workers would serve only a part of the connections\n";
    assert!(errors.ends_with(expected), "{errors}");
}

#[test]
fn workers_and_their_handles_can_be_sent() {
    fn is_sent<T: Send>() {}
    fn is_shared<T: Send + Sync + Clone + 'static>() {}
    is_sent::<Workers>();
    is_sent::<RunningWorkers>();
    is_shared::<WorkersHandle>();
}
