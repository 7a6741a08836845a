//! More clients than the server can take: no descriptor is free, the house is full, or the kernel's queue is. Nothing is
//! lost then, the loop sleeps, and it goes on when there is room. Errors of accept(2) that no client can bring about are
//! tested in `src/server/accept.rs`.
//!
//! Most servers here are turned by hand and have a clock that stands still unless the test turns it: so it is known in
//! which tick something happens, and whether it was for the time or for something else.

#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use monoloop::limits::{ACCEPT_BUDGET, ACCEPT_PAUSE};
use monoloop::server::Running;
use monoloop::{Config, Endpoint, Router, Server};
use rustix::io::Errno;
use support::{
    Client, Event, FewDescriptors, Hand, LIMIT, Log, SocketPath, TestServer, gate, in_a_process_of_its_own,
    proc_net_tcp, test_config,
};

const OUT_OF_DESCRIPTORS: Event = Event::Trouble(Some(Errno::MFILE.raw_os_error()));

/// "Accepting resumes within a second of a slot being freed."
const A_SECOND: Duration = Duration::from_secs(1);

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

    /// Clients that have sent a request. They are named after their place in the queue.
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

    /// Turns the server until `done`, sleeping in the poll between what happens.
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

    /// Turns the server until all connections are closed that it ever had.
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

/// How many descriptors this process has.
#[track_caller]
fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

/// A descriptor that is good for nothing but to be closed.
#[track_caller]
fn any_file() -> File {
    File::open("/dev/null").expect("a descriptor is free")
}

// ---- no descriptor is free ------------------------------------------------------------------------------------------

#[test]
fn without_a_free_descriptor_accepting_pauses_and_goes_on() {
    in_a_process_of_its_own("without_a_free_descriptor_accepting_pauses_and_goes_on", || {
        run_out_of_descriptors(Kind::Tcp);
        run_out_of_descriptors(Kind::Unix);
    });
}

fn run_out_of_descriptors(kind: Kind) {
    let mut server = ByHand::start(|_, _| {});
    let before = descriptors();
    let mut first = server.connect(kind);
    server.ask(&mut first);
    let waiting = server.queue(kind, 3);
    let few = FewDescriptors::leave(0);
    server.turn_until("descriptors run out", |server| server.troubles() > 0);
    for _ in 0..100 {
        server.turn();
        assert_eq!(server.running.next_deadline(), Some(ACCEPT_PAUSE), "it does not spin");
    }
    assert_eq!(server.troubles(), 1, "nothing is tried again too early");
    server.ask(&mut first);

    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!(server.troubles(), 2, "it is tried again after the pause");

    // Whoever leaves makes room, at once and without a pause: one descriptor at the client's end, one at the server's.
    drop(first);
    server.turn_until("the slot is freed", |server| server.closed() == 1);
    assert_eq!(server.opened(), 1);
    assert_eq!(server.running.next_deadline(), Some(Duration::ZERO), "it goes on at once");
    server.turn();
    assert_eq!((server.opened(), server.troubles()), (3, 3), "for the third there is no descriptor");

    // With a higher limit that one is served too: the listener was not lost.
    drop(few);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!((server.opened(), server.troubles()), (4, 3));
    for (i, mut client) in waiting.into_iter().enumerate() {
        server.reply(&mut client, &format!("hello {i}"));
    }
    server.close_all();
    assert_eq!(descriptors(), before, "none is lost");
}

#[test]
fn a_descriptor_that_someone_else_gives_back_is_found_by_the_timer() {
    in_a_process_of_its_own("a_descriptor_that_someone_else_gives_back_is_found_by_the_timer", || {
        find_descriptors(Kind::Tcp);
        find_descriptors(Kind::Unix);
    });
}

fn find_descriptors(kind: Kind) {
    let (ours, theirs) = (any_file(), Mutex::new(Some(any_file())));
    let mut server = ByHand::start(|app, _| {
        app.get("/release", move |_, _, res| {
            drop(theirs.lock().expect("no one panics").take());
            res.text("released")
        });
    });
    let mut first = server.connect(kind);
    server.ask(&mut first);
    let mut waiting = server.queue(kind, 2);
    let _few = FewDescriptors::leave(0);
    server.turn_until("descriptors run out", |server| server.troubles() > 0);

    // By another thread. The loop cannot know of it before it tries.
    thread::spawn(|| drop(ours)).join().expect("it is closed");
    for _ in 0..20 {
        server.turn();
    }
    assert_eq!(server.opened(), 1);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!((server.opened(), server.troubles()), (2, 2));
    server.reply(&mut waiting[0], "hello 0");

    // By a handler.
    first.get("/release");
    server.reply(&mut first, "released");
    assert_eq!(server.opened(), 2);
    server.hand.advance(ACCEPT_PAUSE);
    server.turn();
    assert_eq!(server.opened(), 3);
    server.reply(&mut waiting[1], "hello 1");
}

#[test]
fn without_a_free_descriptor_no_listener_is_lost() {
    in_a_process_of_its_own("without_a_free_descriptor_no_listener_is_lost", || {
        let mut server = ByHand::start(|_, _| {});
        let waiting = [Kind::Tcp, Kind::Unix].map(|kind| server.queue(kind, 3));
        let few = FewDescriptors::leave(0);
        for pauses in 1..=3 {
            for _ in 0..20 {
                server.turn();
                assert_eq!(server.running.next_deadline(), Some(ACCEPT_PAUSE), "it does not spin");
            }
            assert_eq!(server.troubles(), 2 * pauses, "each is tried once and then pauses");
            server.hand.advance(ACCEPT_PAUSE);
        }
        drop(few);
        server.turn();
        assert_eq!(server.opened(), 6);
        for clients in waiting {
            for (i, mut client) in clients.into_iter().enumerate() {
                server.reply(&mut client, &format!("hello {i}"));
            }
        }
    });
}

// ---- the same in real time ------------------------------------------------------------------------------------------

#[test]
fn while_clients_wait_for_a_descriptor_the_loop_sleeps() {
    in_a_process_of_its_own("while_clients_wait_for_a_descriptor_the_loop_sleeps", || sleep_without(Kind::Tcp));
}

#[test]
fn while_clients_of_a_unix_socket_wait_for_a_descriptor_the_loop_sleeps() {
    let name = "while_clients_of_a_unix_socket_wait_for_a_descriptor_the_loop_sleeps";
    in_a_process_of_its_own(name, || sleep_without(Kind::Unix));
}

/// This lets a second pass, since it measures what the loop does while nothing happens.
fn sleep_without(kind: Kind) {
    /// How many find a descriptor at first.
    const FREE: usize = 3;
    const CLIENTS: usize = 12;
    const PERIOD: Duration = Duration::from_secs(1);
    let before = descriptors();
    let path = SocketPath::new();
    let (gate, door) = gate();
    let server = {
        let path = path.path().to_owned();
        let bind = move || match kind {
            Kind::Tcp => Server::bind("127.0.0.1:0"),
            Kind::Unix => Server::bind_unix(path),
        };
        TestServer::start_on(bind, move |app, config| {
            basics(app);
            config.raise_descriptor_limit = false;
            app.get("/gate", move |_, _, res| {
                door.pass();
                res.text("open")
            });
        })
    };
    let connect = || match kind {
        Kind::Tcp => server.connect(),
        Kind::Unix => Client::unix(path.path()),
    };
    let mut blocker = connect();
    blocker.get("/gate");
    gate.wait();
    let mut clients = Vec::new();
    for i in 0..CLIENTS {
        let mut client = connect();
        client.get(&format!("/hello/{i}"));
        clients.push(client);
    }
    let processor_time = ProcessorTime::new();
    let held = any_file();
    let few = FewDescriptors::leave(FREE as u64);
    gate.open();
    assert_eq!(blocker.reply().text(), "open");
    let mut clients = clients.into_iter().enumerate();
    let mut served = Vec::new();
    for (i, mut client) in clients.by_ref().take(FREE) {
        assert_eq!(client.reply().text(), format!("hello {i}"));
        served.push(client);
    }

    // The others wait in the backlog. One tick at the end of each pause, and a handful for what was on its way.
    let troubles = || server.log.count(|event| *event == OUT_OF_DESCRIPTORS);
    server.log.wait_event(&OUT_OF_DESCRIPTORS);
    let before_it = (troubles(), server.log.ticks(), processor_time.used());
    let start = Instant::now();
    thread::sleep(PERIOD);
    let (troubles, ticks) = (troubles() - before_it.0, server.log.ticks() - before_it.1);
    let (used, elapsed) = (processor_time.used() - before_it.2, start.elapsed());
    let pauses = (elapsed.as_millis() / ACCEPT_PAUSE.as_millis()) as usize + 1;
    assert!(troubles <= pauses, "tried {troubles} times in {elapsed:?}");
    assert!(ticks <= pauses + 4, "{ticks} ticks in {elapsed:?}");
    assert!(used * 5 <= elapsed, "{used:?} of {elapsed:?} on the processor");
    let opened = |event: &Event| matches!(event, Event::Opened(..));
    assert_eq!(server.log.count(opened), 1 + FREE, "no one else is taken meanwhile");

    // One more descriptor, by another thread; and one more slot, by a client that leaves.
    let (i, mut client) = clients.next().expect("some wait");
    let freed = Instant::now();
    thread::spawn(|| drop(held)).join().expect("it is closed");
    assert_eq!(client.reply().text(), format!("hello {i}"));
    let taken = freed.elapsed();
    assert!(taken < A_SECOND, "it took {taken:?}");
    served.push(client);
    let (i, mut client) = clients.next().expect("some wait");
    let freed = Instant::now();
    drop(blocker);
    assert_eq!(client.reply().text(), format!("hello {i}"));
    let taken = freed.elapsed();
    assert!(taken < A_SECOND, "it took {taken:?}");
    served.push(client);

    // Now each that has its reply goes and leaves its descriptors to the others.
    drop(served);
    for (i, mut client) in clients {
        assert_eq!(client.reply().text(), format!("hello {i}"));
    }
    assert_eq!(server.log.count(opened), 1 + CLIENTS);
    drop(few);
    server.handle().shutdown();
    server.join().expect("it drains");
    drop(processor_time);
    assert_eq!(descriptors(), before, "none is lost");
}

/// The processor time of this process. The file is open before descriptors run out.
struct ProcessorTime(File);

impl ProcessorTime {
    #[track_caller]
    fn new() -> Self {
        Self(File::open("/proc/self/stat").expect("Linux has it"))
    }

    /// In steps of 10 ms.
    #[track_caller]
    fn used(&self) -> Duration {
        let mut room = [0; 1024];
        let count = self.0.read_at(&mut room, 0).expect("it can be read again");
        let text = String::from_utf8_lossy(&room[..count]);
        // The name of the program stands in parentheses; utime and stime are the 12th and 13th field behind it.
        let (_, fields) = text.rsplit_once(") ").expect("the fields are those of proc(5)");
        let times = fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * times.sum::<u64>())
    }
}

// ---- the house is full ----------------------------------------------------------------------------------------------

#[test]
fn at_max_connections_the_loop_sleeps_and_the_listeners_take_turns() {
    const EACH: usize = 3;
    let mut server = ByHand::start(|_, config| config.max_connections = Some(1));
    let mut inside = server.connect(Kind::Tcp);
    server.ask(&mut inside);
    let [mut tcp, mut unix] = [Kind::Tcp, Kind::Unix].map(|kind| server.queue(kind, EACH).into_iter().enumerate());
    let mut kinds = Vec::new();
    for opened in 1..=2 * EACH {
        for _ in 0..20 {
            server.turn();
            assert!(server.running.next_deadline() > Some(ACCEPT_PAUSE), "it sleeps");
        }
        assert_eq!(server.opened(), opened);
        drop(inside);
        server.turn_until("there is room", |server| server.closed() == opened);
        assert_eq!(server.running.next_deadline(), Some(Duration::ZERO), "it goes on at once");
        server.turn();
        let events = server.log.events();
        let (kind, next) = match events.iter().rfind(|event| matches!(event, Event::Opened(..))) {
            Some(Event::Opened(_, Endpoint::Unix)) => (Kind::Unix, unix.next()),
            _ => (Kind::Tcp, tcp.next()),
        };
        kinds.push(kind);
        let (i, client) = next.expect("no one is taken twice");
        inside = client;
        server.reply(&mut inside, &format!("hello {i}"));
    }
    let turns = kinds.chunks(2).all(|pair| matches!(pair, [Kind::Tcp, Kind::Unix] | [Kind::Unix, Kind::Tcp]));
    assert!(turns, "{kinds:?}");
}

// ---- the kernel's queue is full -------------------------------------------------------------------------------------

const BACKLOG: i32 = 7;
/// Linux queues one more than the backlog says.
const QUEUE: usize = BACKLOG as usize + 1;

/// A client that has asked to be connected and does not wait for it.
#[track_caller]
fn connecting(address: SocketAddr) -> TcpStream {
    mio::net::TcpStream::connect(address).expect("a SYN can be sent").into()
}

fn is_connected(client: &TcpStream) -> bool {
    client.peer_addr().is_ok()
}

#[track_caller]
fn to_client(stream: TcpStream) -> Client {
    stream.set_nonblocking(false).expect("it can be made so");
    Client::connected(stream)
}

/// Takes out those that are connected by now, and lets each send a request.
#[track_caller]
fn ask_on_connected(clients: &mut Vec<TcpStream>) -> Vec<Client> {
    let connected = clients.extract_if(.., |client| is_connected(client));
    let mut asked: Vec<_> = connected.map(to_client).collect();
    asked.iter_mut().for_each(|client| client.get("/hello/you"));
    asked
}

impl ByHand {
    /// How many wait in the kernel's queue of the TCP listener.
    #[track_caller]
    fn queued(&self) -> usize {
        let listener = proc_net_tcp().into_iter().find(|entry| entry.listens && entry.local == self.address);
        listener.expect("it listens").unread as usize
    }

    /// Starts to connect so many clients, more than the queue holds; nothing is turned until it is full. Linux drops the
    /// SYN of whoever comes then, and the client sends it again after a second.
    #[track_caller]
    fn overfill(&self, count: usize) -> Vec<TcpStream> {
        let clients: Vec<_> = (0..count).map(|_| connecting(self.address)).collect();
        let end = Instant::now() + LIMIT;
        while self.queued() < QUEUE {
            assert!(Instant::now() < end, "only {} are queued", self.queued());
            thread::yield_now();
        }
        assert!(!clients.iter().all(is_connected), "the queue is full");
        clients
    }
}

/// This takes the second after which Linux sends a SYN again.
#[test]
fn a_full_backlog_recovers() {
    let mut server = ByHand::start(|_, config| config.backlog = BACKLOG);
    let mut clients = server.overfill(QUEUE + 6);
    let mut asked = Vec::new();
    server.turn_until("all are connected", |_| {
        asked.extend(ask_on_connected(&mut clients));
        clients.is_empty()
    });
    for mut client in asked {
        server.reply(&mut client, "hello you");
    }
    assert_eq!(server.opened(), QUEUE + 6);
    assert_eq!(server.queued(), 0);
}

/// This takes a second or two, for the same reason.
#[test]
fn a_full_backlog_recovers_when_the_house_was_full() {
    let mut server = ByHand::start(|_, config| {
        config.backlog = BACKLOG;
        config.max_connections = Some(2);
    });
    let mut inside = [server.connect(Kind::Tcp), server.connect(Kind::Tcp)];
    inside.iter_mut().for_each(|client| server.ask(client));
    let mut clients = server.overfill(QUEUE + 3);
    for _ in 0..100 {
        server.ask(&mut inside[0]);
        assert!(server.running.next_deadline() > Some(ACCEPT_PAUSE), "it sleeps");
    }
    assert_eq!((server.opened(), server.queued()), (2, QUEUE));

    // Each that has its reply leaves.
    drop(inside);
    let mut asked: Vec<Client> = Vec::new();
    let mut answered = 0;
    server.turn_until("all are answered", |_| {
        asked.extend(ask_on_connected(&mut clients));
        asked.retain_mut(|client| {
            let readable = client.is_readable();
            if readable {
                assert_eq!(client.reply().text(), "hello you");
                answered += 1;
            }
            !readable
        });
        answered == QUEUE + 3
    });
    server.close_all();
    assert_eq!(server.opened(), 2 + QUEUE + 3);
}

#[test]
fn clients_that_gave_up_in_a_full_backlog_leave_it_to_others() {
    let mut server = ByHand::start(|_, config| config.backlog = BACKLOG);
    for round in 0..3 {
        let clients = server.overfill(3 * QUEUE);
        // Some end their connection, some reset it, and some are not even connected.
        for (i, client) in clients.into_iter().enumerate() {
            if i % 2 == round % 2 && is_connected(&client) {
                to_client(client).reset();
            }
        }
        server.turn_until("all are gone", |server| server.queued() == 0 && server.opened() == server.closed());
        assert!(server.opened() >= (round + 1) * QUEUE);
        assert_ne!(server.running.next_deadline(), Some(Duration::ZERO), "nothing is left to do");
        let mut client = server.connect(Kind::Tcp);
        server.ask(&mut client);
        drop(client);
        server.close_all();
    }
}

/// At a unix socket whoever comes too late waits in `connect`, or is told so if it does not want to wait.
#[test]
fn a_full_backlog_of_a_unix_socket_recovers() {
    let mut server = ByHand::start(|_, config| config.backlog = BACKLOG);
    let queued: Vec<_> = (0..QUEUE).map(|_| server.connect(Kind::Unix)).collect();
    let refused = mio::net::UnixStream::connect(server.path.path()).expect_err("the queue is full");
    assert_eq!(refused.kind(), ErrorKind::WouldBlock);
    let path = server.path.path().to_owned();
    let ask = |path: &Path| {
        let mut client = Client::unix(path);
        client.ask("/hello/late").text().to_owned()
    };
    let late: Vec<_> = (0..6)
        .map(|_| {
            let path = path.clone();
            thread::spawn(move || ask(&path))
        })
        .collect();
    server.turn_until("all are answered", |_| late.iter().all(|client| client.is_finished()));
    for client in late {
        assert_eq!(client.join().expect("it is answered"), "hello late");
    }
    for mut client in queued {
        server.ask(&mut client);
    }
    server.close_all();
    assert_eq!(server.opened(), QUEUE + 6);
}

/// More than one tick takes: what is left waits for no event, since none comes.
#[test]
fn a_queue_longer_than_the_budget_is_emptied_tick_by_tick() {
    let mut server = ByHand::start(|_, _| {});
    let count = ACCEPT_BUDGET + 10;
    let _clients: Vec<_> = (0..count).map(|_| UnixStream::connect(server.path.path()).expect("it listens")).collect();
    server.turn();
    assert_eq!(server.opened(), ACCEPT_BUDGET);
    assert_eq!(server.running.next_deadline(), Some(Duration::ZERO));
    server.turn();
    assert_eq!(server.opened(), count);
}
