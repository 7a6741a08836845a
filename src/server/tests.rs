//! Tests of what a client can neither cause nor observe.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mio::net::UnixStream;

use super::event_loop::EventLoop;
use super::socket::Socket;
use super::{Clock, DrainCause, Server, Workers};
use crate::config::Config;
use crate::exchange::{ConnectionId, Endpoint, Observer};
use crate::http::Moment;
use crate::limits::{PART_TIME, TICK_TIME};
use crate::router::Router;

/// An observer that records what it is told about connections.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Observer for Told {
    fn connection_opened(&mut self, id: ConnectionId, _: &Endpoint) {
        self.0.lock().unwrap().push(format!("opened {id}"));
    }

    fn server_error(&mut self, error: &io::Error) {
        self.0.lock().unwrap().push(format!("{:?}", error.kind()));
    }
}

/// The kernel refuses to watch a socket when memory or `max_user_watches` is used up. A test cannot cause that without
/// harm to other programs. But the kernel refuses a plain file too, so here a file takes the place of the socket.
#[test]
fn a_connection_that_the_poll_refuses_is_closed_and_the_next_is_served() {
    let told = Told::default();
    let config = Config { signals: false, ..Config::default() };
    let server = Server::bind("127.0.0.1:0").unwrap().config(config).observer(told.clone());
    let mut event_loop = EventLoop::new(server.parts).unwrap();
    let program = std::env::current_exe().unwrap();
    for _ in 0..3 {
        let descriptor = OwnedFd::from(File::open(&program).unwrap());
        let socket = std::os::unix::net::UnixStream::from(descriptor);
        event_loop.begin_session(Socket::Unix(UnixStream::from_std(socket)), Endpoint::Unix);
        assert!(event_loop.sessions.is_empty());
        assert_eq!(event_loop.next_deadline(), None, "the server does not try it again");
    }
    let (socket, _client) = UnixStream::pair().unwrap();
    event_loop.begin_session(Socket::Unix(socket), Endpoint::Unix);
    assert_eq!(event_loop.sessions.len(), 1);
    let denied = format!("{:?}", ErrorKind::PermissionDenied);
    assert_eq!(*told.0.lock().unwrap(), [&denied, &denied, &denied, "opened 4"]);
}

/// A clock whose time changes only when the test adds some.
#[derive(Clone, Default)]
struct Still(Arc<AtomicU64>);

impl Still {
    fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for Still {
    fn now(&mut self) -> Moment {
        Moment::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[test]
fn large_buffers_are_freed_within_two_seconds_even_if_nothing_happens() {
    const SECOND: Duration = Duration::from_secs(1);
    let clock = Still::default();
    let config = Config { signals: false, ..Config::default() };
    let server = Server::bind("127.0.0.1:0").unwrap().config(config).clock(clock.clone());
    let mut app = Router::new(());
    app.post("/", |_, req, res| res.send(req.body()));
    let Endpoint::Tcp(address) = server.local_addr() else { unreachable!("it is bound to TCP") };
    let mut running = server.start(app).unwrap();
    let client = thread::spawn(move || {
        let content = vec![b'x'; 1 << 20];
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(30 * SECOND)).unwrap();
        let head =
            format!("POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", content.len());
        socket.write_all(head.as_bytes()).unwrap();
        socket.write_all(&content).unwrap();
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply).unwrap();
        assert!(reply.ends_with(&content));
    });
    while !client.is_finished() || !running.event_loop.sessions.is_empty() {
        running.turn(Some(Duration::from_millis(10))).unwrap();
    }
    client.join().unwrap();
    assert!(running.next_deadline().is_some_and(|due| due <= SECOND), "{:?}", running.next_deadline());
    for _ in 0..2 {
        clock.add(SECOND);
        running.turn(Some(Duration::ZERO)).unwrap();
    }
    // A deadline of the connection that has ended is dropped after one more poll.
    running.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(running.next_deadline(), None, "no large buffer is left to free");
}

#[test]
fn posted_tasks_and_timers_run_for_a_part_of_a_tick() {
    const WORK: Duration = Duration::from_millis(3);
    const CALLS: u32 = 40;
    let clock = Still::default();
    let config = Config { signals: false, ..Config::default() };
    let server = Server::bind("127.0.0.1:0").unwrap().config(config).clock(clock.clone());
    let mut running = server.start(Router::new(0)).unwrap();
    let handle = running.handle();
    for _ in 0..CALLS {
        let (task, timer) = (clock.clone(), clock.clone());
        handle.post(move |calls| (*calls, ()) = (*calls + 1, task.add(WORK)));
        let _ = handle.once(Duration::ZERO, move |calls| (*calls, ()) = (*calls + 1, timer.add(WORK)));
    }
    let mut ticks = 0;
    while *running.app().state() < 2 * CALLS {
        let before = clock.clone().now();
        running.turn(Some(Duration::ZERO)).unwrap();
        let time = clock.clone().now().since(before);
        assert!(time < TICK_TIME + PART_TIME + 2 * WORK, "a tick took {time:?}");
        ticks += 1;
        assert!(ticks < 1_000, "{} calls", running.app().state());
    }
    assert!(ticks >= 2 * CALLS / 6, "{ticks} ticks");
}

#[test]
fn a_server_that_runs_until_it_drains_can_be_run_to_its_end() {
    for (delay, goes_on) in [(Duration::from_millis(1), true), (Duration::ZERO, false)] {
        let config = Config { signals: false, drain_delay: delay, ..Config::default() };
        let server = Server::bind("127.0.0.1:0").unwrap().config(config);
        let mut running = server.start(Router::new(())).unwrap();
        let handle = running.handle();
        thread::scope(|scope| {
            scope.spawn(move || handle.shutdown());
            assert_eq!(running.run_until_drain().unwrap(), goes_on, "after a delay of {delay:?}");
        });
        assert_eq!(running.draining(), Some(DrainCause::Handle));
        if goes_on {
            assert!(running.run_until_drain().unwrap(), "the server already drains");
            running.run().unwrap();
        }
    }
}

#[test]
fn workers_that_run_until_they_drain_can_be_run_to_their_end() {
    let config = Config { signals: false, drain_delay: Duration::from_millis(1), ..Config::default() };
    let workers = Workers::bind("127.0.0.1:0", 2).unwrap().config(config);
    let mut running = workers.start(|_, server| server.start(Router::new(()))).unwrap();
    let handle = running.handle();
    thread::scope(|scope| {
        scope.spawn(move || handle.shutdown());
        assert!(running.run_until_drain().unwrap());
    });
    assert_eq!(running.draining(), Some(DrainCause::Handle));
    running.run().unwrap();
}
