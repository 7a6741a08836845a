//! What the tests over real sockets share: a server in a thread of its own, a log of what its observer saw, and a plain
//! client. Every wait has the limit [`LIMIT`]; nothing here sleeps.

#![allow(dead_code, reason = "each test file uses its own part of it")]

#[cfg(feature = "cli")]
pub(crate) mod process;
#[cfg(all(feature = "cli", target_os = "linux"))]
pub(crate) mod serve;

use std::fmt::Debug;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use monoloop::http::Moment;
use monoloop::server::{self, Clock, CloseReason, ConnectionId, DrainCause, FinishedReply, Observer, Tick, Timeout};
use monoloop::{Config, Endpoint, Error, Handle, Request, Router, Server};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};

/// The longest that any wait may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A clock that the test turns.
#[derive(Clone, Default)]
pub(crate) struct Hand(Arc<AtomicU64>);

impl Hand {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_nanos() as u64, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&mut self) -> Moment {
        Moment::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

// ---- the server -----------------------------------------------------------------------------------------------------

/// A server that runs in a thread of its own. Dropping it drains it and joins the thread.
pub(crate) struct TestServer {
    address: Endpoint,
    handle: Handle<()>,
    thread: Option<JoinHandle<server::Result<()>>>,
    pub(crate) log: Log,
}

impl TestServer {
    /// Serves on a free port of 127.0.0.1. `setup` runs in the server's thread.
    #[track_caller]
    pub(crate) fn start(setup: impl FnOnce(&mut Router<()>, &mut Config) + Send + 'static) -> Self {
        Self::start_on(|| Server::bind("127.0.0.1:0"), setup)
    }

    /// As [`start`](Self::start), on what `bind` gives. An observer or a hook can be set there too, but the observer is
    /// replaced by the one that writes the log.
    #[track_caller]
    pub(crate) fn start_on(
        bind: impl FnOnce() -> server::Result<Server> + Send + 'static,
        setup: impl FnOnce(&mut Router<()>, &mut Config) + Send + 'static,
    ) -> Self {
        Self::start_watched(bind, setup, |recorder| Box::new(recorder))
    }

    /// As [`start_on`](Self::start_on); `wrap` may put an observer around the one that writes the log.
    #[track_caller]
    pub(crate) fn start_watched(
        bind: impl FnOnce() -> server::Result<Server> + Send + 'static,
        setup: impl FnOnce(&mut Router<()>, &mut Config) + Send + 'static,
        wrap: impl FnOnce(Recorder) -> Box<dyn Observer> + Send + 'static,
    ) -> Self {
        let (started, starting) = channel();
        let log = Log::default();
        let recorder = log.recorder();
        let thread = thread::spawn(move || {
            let mut app = Router::new(());
            let mut config = test_config();
            setup(&mut app, &mut config);
            let server = bind()?.config(config).observer(Boxed(wrap(recorder)));
            let address = server.local_addr();
            let running = server.start(app)?;
            started.send((address, running.handle())).expect("the test waits for it");
            running.run()
        });
        let (address, handle) = starting.recv_timeout(LIMIT).expect("the server starts");
        Self { address, handle, thread: Some(thread), log }
    }

    /// The TCP address that it listens on first.
    #[track_caller]
    pub(crate) fn address(&self) -> SocketAddr {
        match self.address {
            Endpoint::Tcp(address) => address,
            Endpoint::Unix => panic!("it listens on a unix socket"),
        }
    }

    pub(crate) fn handle(&self) -> Handle<()> {
        self.handle.clone()
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Client {
        Client::tcp(self.address())
    }

    /// Connects and gives the number that the server has for the connection. Not for tests that connect in parallel.
    #[track_caller]
    pub(crate) fn connect_known(&self) -> (Client, u64) {
        let client = self.connect();
        let local = Endpoint::from(client.local());
        let id = self.log.wait_for("the connection is opened", |event| match event {
            Event::Opened(id, peer) if *peer == local => Some(*id),
            _ => None,
        });
        (client, id)
    }

    /// Waits for the end of a server that was told to stop.
    #[track_caller]
    pub(crate) fn join(mut self) -> server::Result<()> {
        self.log.wait_for("the server closes", |event| matches!(event, Event::ServerClosed).then_some(()));
        self.thread.take().expect("it is joined once").join().expect("the server does not panic")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.handle.shutdown();
        let ended = thread.join();
        if !thread::panicking() {
            ended.expect("the server does not panic").expect("the server drains");
        }
    }
}

/// No signals, and otherwise the defaults.
pub(crate) fn test_config() -> Config {
    let mut config = Config::default();
    config.signals = false;
    config
}

/// A handler's side of a gate: [`pass`](Door::pass) stops the loop until the test opens it.
pub(crate) struct Door {
    entered: Sender<()>,
    release: Receiver<()>,
}

/// The test's side.
pub(crate) struct Gate {
    entered: Receiver<()>,
    release: Sender<()>,
}

pub(crate) fn gate() -> (Gate, Door) {
    let (enter, entered) = channel();
    let (release, released) = channel();
    (Gate { entered, release }, Door { entered: enter, release: released })
}

impl Door {
    pub(crate) fn pass(&self) {
        let _ = self.entered.send(());
        let _ = self.release.recv_timeout(LIMIT);
    }
}

impl Gate {
    /// Waits until the loop stands at the gate.
    #[track_caller]
    pub(crate) fn wait(&self) {
        self.entered.recv_timeout(LIMIT).expect("the handler comes to the gate");
    }

    pub(crate) fn open(&self) {
        let _ = self.release.send(());
    }
}

/// A path for a unix socket that no other test has; removed at the end.
pub(crate) struct SocketPath(PathBuf);

impl SocketPath {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("monoloop-test-{}-{number}.sock", std::process::id())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

// ---- limits of the whole process ------------------------------------------------------------------------------------

/// Runs a test in a process of its own: this program, called again for the test of that name alone.
#[track_caller]
pub(crate) fn in_a_process_of_its_own(name: &str, test: impl FnOnce()) {
    const CHILD: &str = "MONOLOOP_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return test();
    }
    let program = std::env::current_exe().expect("it runs");
    let output = std::process::Command::new(program).args(["--exact", name]).env(CHILD, "1").output();
    let output = output.expect("it runs again");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// The limit of open descriptors, lowered until this is dropped. For tests in a process of their own.
#[cfg(target_os = "linux")]
pub(crate) struct FewDescriptors(rustix::process::Rlimit);

#[cfg(target_os = "linux")]
impl FewDescriptors {
    /// Leaves so many to be opened.
    #[track_caller]
    pub(crate) fn leave(count: u64) -> Self {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        use std::os::fd::AsRawFd;

        let limits = getrlimit(Resource::Nofile);
        let first_free = std::fs::File::open("/dev/null").expect("one is still free").as_raw_fd() as u64;
        let lowered = Rlimit { current: Some(first_free + count), ..limits };
        setrlimit(Resource::Nofile, lowered).expect("it may be lowered");
        Self(limits)
    }
}

#[cfg(target_os = "linux")]
impl Drop for FewDescriptors {
    fn drop(&mut self) {
        let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, self.0);
    }
}

// ---- what the observer saw ------------------------------------------------------------------------------------------

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    Listening(Endpoint),
    Opened(u64, Endpoint),
    Request(u64, String),
    Finished {
        id: u64,
        status: u16,
        content: u64,
    },
    Failed(u64, u16),
    Upgraded(u64),
    TimedOut(u64, Timeout),
    Backpressure(u64, bool),
    Closed(u64, CloseReason),
    /// With the number of the system's error.
    Trouble(Option<i32>),
    Draining(DrainCause),
    ServerClosed,
}

/// Everything that the observer of a server was told, in order; ticks are only counted.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    changed: Condvar,
    ticks: AtomicUsize,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn add(&self, event: Event) {
        self.lock().push(event);
        self.0.changed.notify_all();
    }

    /// Everything so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// An observer that writes into this log.
    pub(crate) fn recorder(&self) -> Recorder {
        Recorder(self.clone())
    }

    pub(crate) fn ticks(&self) -> usize {
        self.0.ticks.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, matches: impl Fn(&Event) -> bool) -> usize {
        self.lock().iter().filter(|event| matches(event)).count()
    }

    /// Waits for the first event that `pick` takes, also one that is there already.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, what: &str, pick: impl Fn(&Event) -> Option<T>) -> T {
        self.wait_until(what, |events| events.iter().find_map(&pick))
    }

    /// Waits until `pick` finds something in all that was seen.
    #[track_caller]
    pub(crate) fn wait_until<T>(&self, what: &str, pick: impl Fn(&[Event]) -> Option<T>) -> T {
        let end = Instant::now() + LIMIT;
        let mut events = self.lock();
        loop {
            if let Some(found) = pick(&events) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let last: Vec<_> = events.iter().rev().take(20).rev().cloned().collect();
                drop(events);
                panic!("it did not happen: {what}; of all events these are the last: {last:#?}");
            }
            let woken = self.0.changed.wait_timeout(events, left);
            events = woken.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    #[track_caller]
    pub(crate) fn wait_closed(&self, id: u64) -> CloseReason {
        self.wait_for(&format!("connection {id} is closed"), |event| match event {
            Event::Closed(closed, reason) if *closed == id => Some(*reason),
            _ => None,
        })
    }

    #[track_caller]
    pub(crate) fn wait_event(&self, expected: &Event) {
        self.wait_for(&format!("{expected:?}"), |event| (event == expected).then_some(()));
    }
}

/// The observer that writes the log.
pub(crate) struct Recorder(Log);

impl Observer for Recorder {
    fn listening(&mut self, local: &Endpoint) {
        self.0.add(Event::Listening(*local));
    }

    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.0.add(Event::Opened(id.get(), *peer));
    }

    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        self.0.add(Event::Request(id.get(), request.target().to_owned()));
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply) {
        self.0.add(Event::Finished { id: id.get(), status: reply.status, content: reply.content });
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.add(Event::Failed(id.get(), error.status()));
    }

    fn upgraded(&mut self, id: ConnectionId) {
        self.0.add(Event::Upgraded(id.get()));
    }

    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {
        self.0.add(Event::TimedOut(id.get(), timeout));
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.0.add(Event::Backpressure(id.get(), on));
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        self.0.add(Event::Closed(id.get(), reason));
    }

    fn server_error(&mut self, error: &io::Error) {
        self.0.add(Event::Trouble(error.raw_os_error()));
    }

    fn ticked(&mut self, _: &Tick) {
        self.0.0.ticks.fetch_add(1, Ordering::Relaxed);
    }

    fn draining(&mut self, cause: DrainCause) {
        self.0.add(Event::Draining(cause));
    }

    fn server_closed(&mut self) {
        self.0.add(Event::ServerClosed);
    }
}

/// `Server::observer` takes an observer by value; this is one in a box.
struct Boxed(Box<dyn Observer>);

impl Observer for Boxed {
    fn listening(&mut self, local: &Endpoint) {
        self.0.listening(local);
    }

    fn connection_opened(&mut self, id: ConnectionId, peer: &Endpoint) {
        self.0.connection_opened(id, peer);
    }

    fn request(&mut self, id: ConnectionId, request: &Request<'_>) {
        self.0.request(id, request);
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply) {
        self.0.reply_finished(id, reply);
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.request_failed(id, error);
    }

    fn upgraded(&mut self, id: ConnectionId) {
        self.0.upgraded(id);
    }

    fn timed_out(&mut self, id: ConnectionId, timeout: Timeout) {
        self.0.timed_out(id, timeout);
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.0.backpressure(id, on);
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        self.0.connection_closed(id, reason);
    }

    fn server_error(&mut self, error: &io::Error) {
        self.0.server_error(error);
    }

    fn ticked(&mut self, tick: &Tick) {
        self.0.ticked(tick);
    }

    fn draining(&mut self, cause: DrainCause) {
        self.0.draining(cause);
    }

    fn server_closed(&mut self) {
        self.0.server_closed();
    }
}

// ---- the client -----------------------------------------------------------------------------------------------------

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A client that says what the test wants and nothing else.
#[derive(Debug)]
pub(crate) struct Client {
    stream: Stream,
    /// What came and was not looked at yet.
    received: Vec<u8>,
    consumed: usize,
}

/// One reply, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("the content is text")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    /// Whether the server says that this is the last reply.
    pub(crate) fn closes(&self) -> bool {
        self.header("connection") == Some("close")
    }
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let lines = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

impl Client {
    #[track_caller]
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        Self::connected(TcpStream::connect_timeout(&address, LIMIT).expect("the server can be reached"))
    }

    /// On a socket that the test has connected.
    #[track_caller]
    pub(crate) fn connected(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        stream.set_write_timeout(Some(LIMIT)).expect("a timeout can be set");
        Self::new(Stream::Tcp(stream))
    }

    #[track_caller]
    pub(crate) fn unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("the server can be reached");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        stream.set_write_timeout(Some(LIMIT)).expect("a timeout can be set");
        Self::new(Stream::Unix(stream))
    }

    fn new(stream: Stream) -> Self {
        Self { stream, received: Vec::new(), consumed: 0 }
    }

    /// The TCP socket, for what the methods here do not do.
    #[track_caller]
    pub(crate) fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Tcp(stream) => stream,
            Stream::Unix(_) => panic!("it is a unix socket"),
        }
    }

    #[track_caller]
    pub(crate) fn local(&self) -> SocketAddr {
        self.socket().local_addr().expect("it is connected")
    }

    /// A second client of the same socket, so that one thread can write while another reads.
    #[track_caller]
    pub(crate) fn share(&self) -> Self {
        Self::new(match &self.stream {
            Stream::Tcp(stream) => Stream::Tcp(stream.try_clone().expect("a descriptor is free")),
            Stream::Unix(stream) => Stream::Unix(stream.try_clone().expect("a descriptor is free")),
        })
    }

    /// Makes the kernel's buffer for what was received as small as it goes, so that the server writes in small pieces.
    #[track_caller]
    pub(crate) fn set_receive_buffer(&self, bytes: usize) {
        sockopt::set_socket_recv_buffer_size(self.socket(), bytes).expect("SO_RCVBUF can be set");
    }

    #[track_caller]
    pub(crate) fn set_send_buffer(&self, bytes: usize) {
        sockopt::set_socket_send_buffer_size(self.socket(), bytes).expect("SO_SNDBUF can be set");
    }

    // ---- sending ----------------------------------------------------------------------------------------------------

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes.as_ref()).expect("the server takes what is sent");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < bytes.len() {
            sent += self.write_some(&bytes[sent..])?;
        }
        Ok(())
    }

    /// One write.
    pub(crate) fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.write(bytes),
                Stream::Unix(stream) => stream.write(bytes),
            };
            match result {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) {
        self.send(get(target));
    }

    /// Sends a GET and reads the reply.
    #[track_caller]
    pub(crate) fn ask(&mut self, target: &str) -> Reply {
        self.get(target);
        self.reply()
    }

    /// Closes our side of the socket.
    #[track_caller]
    pub(crate) fn half_close(&self) {
        match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write).expect("it is connected"),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write).expect("it is connected"),
        }
    }

    /// Holds data back, so that it leaves in one segment with what comes next, or with FIN.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn cork(&self) {
        sockopt::set_tcp_cork(self.socket(), true).expect("TCP_CORK can be set");
    }

    /// Closes with a reset.
    #[track_caller]
    pub(crate) fn reset(self) {
        sockopt::set_socket_linger(self.socket(), Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    /// Waits until the server's kernel has everything that was sent, though the server may not have read it.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub(crate) fn wait_delivered(&self) {
        let end = Instant::now() + LIMIT;
        let (local, peer) = (self.local(), self.socket().peer_addr().expect("it is connected"));
        loop {
            let entry = proc_net_tcp().into_iter().find(|entry| entry.local == local && entry.remote == peer);
            match entry {
                Some(Entry { unacknowledged: 0, .. }) => return,
                _ if Instant::now() >= end => panic!("what was sent does not arrive: {entry:?}"),
                _ => thread::yield_now(),
            }
        }
    }

    // ---- receiving --------------------------------------------------------------------------------------------------

    /// One read, of at most `room.len()` bytes; 0 at EOF.
    pub(crate) fn read_some(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            let result = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(room),
                Stream::Unix(stream) => stream.read(room),
            };
            match result {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Whether something has come and waits in the socket, be it EOF or an error.
    pub(crate) fn is_readable(&self) -> bool {
        let mut room = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let result = match &self.stream {
            Stream::Tcp(stream) => recv(stream, &mut room, flags),
            Stream::Unix(stream) => recv(stream, &mut room, flags),
        };
        !matches!(result, Err(Errno::AGAIN))
    }

    /// Waits until something has come, and leaves it in the socket.
    #[track_caller]
    pub(crate) fn wait_readable(&self) {
        let count = loop {
            match self.socket().peek(&mut [0]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result.expect("the server answers"),
            }
        };
        assert_eq!(count, 1, "something in place of EOF");
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.consumed >= self.received.len() / 2 {
            self.received.drain(..self.consumed);
            self.consumed = 0;
        }
        let mut room = [0; 64 * 1024];
        let count = self.read_some(&mut room)?;
        self.received.extend_from_slice(&room[..count]);
        Ok(count)
    }

    fn rest(&self) -> &[u8] {
        &self.received[self.consumed..]
    }

    /// Bytes that came with what was looked at.
    pub(crate) fn unlooked(&self) -> usize {
        self.rest().len()
    }

    /// Reads a head; what stands behind it is left.
    pub(crate) fn try_head(&mut self) -> io::Result<(u16, String)> {
        let head = self.look_at_head()?;
        self.consumed += head.len();
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status line: {head:?}")))?;
        Ok((status, head))
    }

    fn look_at_head(&mut self) -> io::Result<String> {
        let mut searched = 0;
        loop {
            let found = self.rest()[searched..].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(at) = found {
                return String::from_utf8(self.rest()[..searched + at + 4].to_vec()).map_err(io::Error::other);
            }
            searched = self.rest().len().saturating_sub(3);
            self.fill_more()?;
        }
    }

    fn fill_more(&mut self) -> io::Result<()> {
        if self.fill()? > 0 {
            return Ok(());
        }
        let start = &self.rest()[..self.rest().len().min(500)];
        Err(io::Error::new(ErrorKind::UnexpectedEof, format!("EOF after {:?}", String::from_utf8_lossy(start))))
    }

    /// Reads a reply with a `Content-Length`; nothing is lost if it is not yet whole.
    pub(crate) fn try_reply(&mut self) -> io::Result<Reply> {
        let head = self.look_at_head()?;
        let length = match field(&head, "content-length") {
            Some(length) => length.parse().map_err(io::Error::other)?,
            None => 0,
        };
        while self.rest().len() < head.len() + length {
            self.fill_more()?;
        }
        let (status, head) = self.try_head()?;
        let content = self.rest()[..length].to_vec();
        self.consumed += length;
        Ok(Reply { status, head, content })
    }

    #[track_caller]
    pub(crate) fn reply(&mut self) -> Reply {
        match self.try_reply() {
            Ok(reply) => reply,
            Err(error) => panic!("no reply: {error}"),
        }
    }

    /// Reads content of `length` bytes in reads of at most `step`, giving each piece and its offset to `look`.
    #[track_caller]
    pub(crate) fn read_content(&mut self, length: usize, step: usize, mut look: impl FnMut(usize, &[u8])) {
        let mut at = 0;
        let mut room = vec![0; step];
        while at < length {
            if self.rest().is_empty() {
                let most = step.min(length - at);
                let count = self.read_some(&mut room[..most]).expect("the content arrives");
                assert!(count > 0, "EOF at {at} of {length}");
                look(at, &room[..count]);
                at += count;
            } else {
                let most = self.rest().len().min(length - at);
                look(at, &self.rest()[..most]);
                self.consumed += most;
                at += most;
            }
        }
    }

    /// The server closed its side, and nothing came before that.
    #[track_caller]
    pub(crate) fn expect_eof(&mut self) {
        assert_eq!(String::from_utf8_lossy(self.rest()), "", "nothing is left over");
        match self.fill() {
            Ok(0) => {}
            Ok(_) => panic!("bytes in place of EOF: {:?}", String::from_utf8_lossy(self.rest())),
            Err(error) => panic!("no EOF: {error}"),
        }
    }

    /// The server is done with this connection: by EOF, or by a reset.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(String::from_utf8_lossy(self.rest()), "", "nothing is left over");
        match self.fill() {
            Ok(0) => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            Ok(_) => panic!("bytes in place of the end: {:?}", String::from_utf8_lossy(self.rest())),
            Err(error) => panic!("no end: {error}"),
        }
    }
}

/// A GET of HTTP/1.1 that keeps the connection.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Bytes that differ at each offset, so that a piece that is lost, doubled or moved is seen.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut number = 0_u64;
    while bytes.len() < length {
        bytes.extend_from_slice(&number.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
        number += 1;
    }
    bytes.truncate(length);
    bytes
}

/// As `assert_eq!`, for contents too long to be printed.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: impl Debug) {
    assert!(found == expected, "{what:?}: {} bytes and {} bytes differ", found.len(), expected.len());
}

// ---- what Linux tells of its sockets --------------------------------------------------------------------------------

/// A line of `/proc/net/tcp`.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    pub(crate) listens: bool,
    /// Bytes that were written and that the other kernel has not acknowledged.
    pub(crate) unacknowledged: u64,
    /// Bytes that were received and not read.
    pub(crate) unread: u64,
    pub(crate) inode: u64,
}

/// All IPv4 sockets of this machine.
#[cfg(target_os = "linux")]
#[track_caller]
pub(crate) fn proc_net_tcp() -> Vec<Entry> {
    let text = std::fs::read_to_string("/proc/net/tcp").expect("Linux has it");
    text.lines().skip(1).filter_map(parse_entry).collect()
}

#[cfg(target_os = "linux")]
fn parse_entry(line: &str) -> Option<Entry> {
    let words: Vec<_> = line.split_whitespace().collect();
    let address = |word: &str| {
        let (ip, port) = word.split_once(':')?;
        let ip = u32::from_str_radix(ip, 16).ok()?.to_ne_bytes();
        Some(SocketAddr::from((ip, u16::from_str_radix(port, 16).ok()?)))
    };
    let (unacknowledged, unread) = words.get(4)?.split_once(':')?;
    Some(Entry {
        local: address(words.get(1)?)?,
        remote: address(words.get(2)?)?,
        listens: *words.get(3)? == "0A",
        unacknowledged: u64::from_str_radix(unacknowledged, 16).ok()?,
        unread: u64::from_str_radix(unread, 16).ok()?,
        inode: words.get(9)?.parse().ok()?,
    })
}
