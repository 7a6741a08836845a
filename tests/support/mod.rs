//! The common part of the tests over real sockets: a server in a thread, a log of its observer's events, and a plain
//! client. Every wait has the limit [`LIMIT`]; nothing here sleeps.

#![allow(dead_code, reason = "each test file uses its own part of it")]

#[cfg(all(feature = "cli", target_os = "linux"))]
pub(crate) mod browser;
mod client;
#[cfg(target_os = "linux")]
mod kernel;
mod log;
#[cfg(feature = "cli")]
pub(crate) mod process;
#[cfg(all(feature = "cli", target_os = "linux"))]
pub(crate) mod proxy;
#[cfg(all(feature = "cli", target_os = "linux"))]
pub(crate) mod serve;

use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use monoloop::http::Moment;
use monoloop::server::{self, Clock, Observer};
use monoloop::{Config, Endpoint, Handle, Router, Server};

#[cfg(target_os = "linux")]
#[allow(unused_imports, reason = "each test file uses its own part of it")]
pub(crate) use client::wait_all_delivered;
#[allow(unused_imports, reason = "each test file uses its own part of it")]
pub(crate) use client::{Client, Reply};
#[cfg(target_os = "linux")]
#[allow(unused_imports, reason = "each test file uses its own part of it")]
pub(crate) use kernel::{Entry, proc_net_tcp};
use log::Boxed;
#[allow(unused_imports, reason = "each test file uses its own part of it")]
pub(crate) use log::{Event, Log, Recorder};

/// The longest wait.
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

    /// As [`start`](Self::start), with the server that `bind` returns. An observer or a hook can be set there,
    /// too. That observer is told of each event before the log is.
    #[track_caller]
    pub(crate) fn start_on(
        bind: impl FnOnce() -> server::Result<Server> + Send + 'static,
        setup: impl FnOnce(&mut Router<()>, &mut Config) + Send + 'static,
    ) -> Self {
        Self::start_watched(bind, setup, |recorder| Box::new(recorder))
    }

    /// As [`start_on`](Self::start_on); `wrap` may put an observer around the log's.
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

    /// Connects, and returns the number that the server gives the connection. Tests that connect in parallel cannot use
    /// it.
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

/// The default settings, without signals, and without the grace of a drain: only the tests of the grace wait for it. A
/// slow machine may stop a test in the middle, so its clients and its handlers have more time than any test takes.
pub(crate) fn test_config() -> Config {
    const PATIENCE: Duration = Duration::from_secs(3600);
    let config = Config::new().signals(false).drain_grace(Duration::ZERO);
    config.idle_timeout(PATIENCE).head_timeout(PATIENCE).reply_timeout(PATIENCE)
}

/// A handler's side of a gate: [`pass`](Door::pass) stops the loop until the test opens it.
pub(crate) struct Door {
    entered: Sender<()>,
    release: Receiver<()>,
}

/// The test's side of a gate.
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
    /// Waits until the handler is at the gate.
    #[track_caller]
    pub(crate) fn wait(&self) {
        self.entered.recv_timeout(LIMIT).expect("the handler comes to the gate");
    }

    pub(crate) fn open(&self) {
        let _ = self.release.send(());
    }
}

/// A path for a unix socket that no other test uses. The file is removed at the end.
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

/// Runs a test in a process of its own: this program is started again for the test of that name alone.
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
    /// Leaves this many descriptors.
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

/// A GET of HTTP/1.1 that keeps the connection.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Bytes that differ at each offset, so that a test notices lost, doubled or moved pieces.
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

/// As `assert_eq!`, for contents that are too long to be printed.
#[track_caller]
pub(crate) fn assert_same(found: &[u8], expected: &[u8], what: impl Debug) {
    assert!(found == expected, "{what:?}: {} bytes and {} bytes differ", found.len(), expected.len());
}
