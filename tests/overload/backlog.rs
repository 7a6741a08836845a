//! All connections are in use, or the queue of the kernel is full.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use monoloop::Endpoint;

use crate::support::{Client, Event, LIMIT, proc_net_tcp};
use crate::{ACCEPT_PAUSE, ByHand, Kind};

/// How many connections are accepted in a tick, as `src/limits.rs` says.
const ACCEPT_BUDGET: usize = 256;

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
/// Linux queues one connection more than the backlog says.
const QUEUE: usize = BACKLOG as usize + 1;

/// A client that has begun to connect and does not wait for it.
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

/// Takes out the clients that are connected by now, and lets each send a request.
#[track_caller]
fn ask_on_connected(clients: &mut Vec<TcpStream>) -> Vec<Client> {
    let connected = clients.extract_if(.., |client| is_connected(client));
    let mut asked: Vec<_> = connected.map(to_client).collect();
    asked.iter_mut().for_each(|client| client.get("/hello/you"));
    asked
}

impl ByHand {
    /// The number of connections in the kernel's queue of the TCP listener.
    #[track_caller]
    fn queued(&self) -> usize {
        let listener = proc_net_tcp().into_iter().find(|entry| entry.listens && entry.local == self.address);
        listener.expect("it listens").unread as usize
    }

    /// Lets this many clients connect, more than the queue holds, and does not turn the server until the queue is full.
    /// If the queue is full, Linux drops the SYN of a new client, which sends it again after a second.
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

/// This takes a second, after which Linux sends a SYN again.
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
fn a_full_backlog_recovers_when_all_connections_were_in_use() {
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

    // Each client leaves when it has its reply.
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
        // Some clients close their connection, some reset it, and some are not even connected.
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

/// On a unix socket, a client waits in `connect` if the queue is full, or gets an error if it does not want to wait.
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

/// The queue is longer than one tick takes. The rest must not wait for an event, since none comes.
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
