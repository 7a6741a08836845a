//! What a request costs in system calls. The command runs under strace, which counts them. The difference between a
//! short run and a long one is the cost of the rounds between them, so start and end do not count.
#![cfg(all(feature = "cli", target_os = "linux"))]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The longest wait.
const LIMIT: Duration = Duration::from_secs(30);

/// The number of clients that send at the same time.
const CLIENTS: usize = 64;

/// The number of rounds in a short run, and in a long one.
const ROUNDS: [usize; 2] = [2, 12];

const KEEP_ALIVE: &str = "GET /plaintext HTTP/1.1\r\nHost: test\r\n\r\n";
/// A request, and how its reply ends.
const HELLO: (&str, &[u8]) = (KEEP_ALIVE, b"Hello, World!");
const FILE: (&str, &[u8]) = ("GET /file.bin HTTP/1.1\r\nHost: test\r\n\r\n", b"the end");

const DEMO: &[&str] = &["demo"];

const CLOSE: &str = "GET /plaintext HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n";

// ---- the limits -----------------------------------------------------------------------------------------------------

/// The most polls that the clients' turns may cost on average. How many there are depends on the speed of the machine:
/// a tick of the loop ends after 5 ms, also if it has not come to all clients, and the others wait for the next poll.
/// There were 0.03 on an idle machine, and 0.16 on a busy one. A loop that polls for each turn of a client has 1.
const POLLS: f64 = 0.5;

/// One read and one write.
#[test]
fn a_request_on_a_kept_connection_costs_two_calls() {
    hold(DEMO, "a request on a kept connection", 2.1, 1, |server, rounds| kept(server, rounds, 1, HELLO));
}

/// One read and one write for all of the requests.
#[test]
fn requests_that_are_pipelined_share_their_calls() {
    hold(DEMO, "a request of 16 that are pipelined", 0.15, 16, |server, rounds| kept(server, rounds, 16, HELLO));
}

/// Accept, register, read, write, shutdown, close, and a share of the accept that finds nothing. The shutdown lets data
/// and FIN leave in one segment, which saves more than the call costs.
#[test]
fn a_connection_for_each_request_costs_few_calls() {
    hold(DEMO, "a connection with one request", 6.1, 1, |server, rounds| {
        for _ in 0..rounds {
            // The kernel takes the connections into the backlog.
            let mut clients = server.held(|| {
                let mut clients = server.connect_all();
                clients.iter_mut().for_each(|client| send(client, CLOSE));
                clients
            });
            for client in &mut clients {
                let mut reply = String::new();
                client.read_to_string(&mut reply).expect("the server answers and closes");
                assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("Hello, World!"), "{reply}");
            }
            server.held(|| drop(clients));
        }
    });
}

/// The same as any other request: a file that is requested often is in memory.
#[test]
fn a_small_file_costs_two_calls() {
    let site = Site::new("small", 1000);
    hold(&site.command(), "a small file", 2.1, 1, |server, rounds| kept(server, rounds, 1, FILE));
}

/// One read, a check whether the file has changed, the head, and the content from the page cache.
#[test]
fn a_file_of_100_kib_costs_four_calls() {
    let site = Site::new("middling", 100 << 10);
    hold(&site.command(), "a file of 100 KiB", 4.1, 1, |server, rounds| kept(server, rounds, 1, FILE));
}

/// The same clients send this many requests at a time, in each round.
fn kept(server: &Server, rounds: usize, depth: usize, (request, end): (&str, &[u8])) {
    let mut clients = server.held(|| server.connect_all());
    let length = reply_length(&mut clients[0], request, end);
    let batch = request.repeat(depth);
    let mut replies = vec![0; depth * length];
    for _ in 0..rounds {
        server.held(|| clients.iter_mut().for_each(|client| send(client, &batch)));
        for client in &mut clients {
            client.read_exact(&mut replies).expect("the server answers");
            assert!(replies.starts_with(b"HTTP/1.1 200 OK\r\n") && replies.ends_with(end));
        }
    }
    server.held(|| drop(clients));
}

#[track_caller]
fn send(client: &mut TcpStream, requests: &str) {
    client.write_all(requests.as_bytes()).expect("the kernel takes it");
}

/// Asks once, to learn the length of the reply.
fn reply_length(client: &mut TcpStream, request: &str, end: &[u8]) -> usize {
    send(client, request);
    let mut reply = Vec::new();
    while !reply.ends_with(end) {
        let mut room = [0; 1024];
        let count = client.read(&mut room).expect("the server answers");
        assert!(count > 0, "EOF");
        reply.extend_from_slice(&room[..count]);
    }
    reply.len()
}

/// Checks that a round of `depth` requests from each client costs no more than `limit` calls for each request, beside
/// its share of the polls.
#[track_caller]
fn hold(command: &[&str], what: &str, limit: f64, depth: usize, drive: impl Fn(&Server, usize)) {
    if !strace_works() {
        return;
    }
    let [short, long] = ROUNDS.map(|rounds| {
        let server = Server::start(command);
        drive(&server, rounds);
        server.end()
    });
    let times = ((ROUNDS[1] - ROUNDS[0]) * CLIENTS * depth) as f64;
    let (mut total, mut polls) = (0.0, 0.0);
    let mut calls = String::new();
    // In debug builds, the standard library uses this call to check that a descriptor is open before it closes it.
    let debug_only = |call: &str| cfg!(debug_assertions) && call == "fcntl";
    for (call, count) in long.iter().filter(|(call, _)| !debug_only(call)) {
        let each = (*count as f64 - short.get(call).copied().unwrap_or(0) as f64) / times;
        let is_poll = call.starts_with("epoll_") && call.contains("wait");
        *if is_poll { &mut polls } else { &mut total } += each;
        if each != 0.0 {
            write!(calls, "\n  {call:<16}{each:>8.4}").expect("a string takes it");
        }
    }
    println!("{what}: {total:.4} system calls and {polls:.4} polls{calls}");
    assert!(total > 0.0, "strace has counted nothing");
    assert!(total <= limit, "{what} costs {total:.4} system calls beside the polls, more than {limit}:{calls}");
    let limit = POLLS / depth as f64;
    assert!(polls <= limit, "{what} costs {polls:.4} polls, more than {limit}:{calls}");
}

/// Whether strace is installed and may trace here. A run of CI must have it.
fn strace_works() -> bool {
    let works = Command::new("strace").args(["-c", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    if works.is_ok_and(|status| status.success()) {
        return true;
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "strace is not installed, or may not trace");
    eprintln!("skipped: strace is not installed, or may not trace");
    false
}

// ---- the server -----------------------------------------------------------------------------------------------------

/// A directory with a file. It is removed at the end.
struct Site(PathBuf);

impl Site {
    #[track_caller]
    fn new(name: &str, length: usize) -> Self {
        let site = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("site.{name}.{}", std::process::id())));
        std::fs::create_dir_all(&site.0).expect("a folder can be made");
        let content = [vec![b'x'; length - FILE.1.len()], FILE.1.to_vec()].concat();
        let file = std::fs::File::create(site.0.join("file.bin")).expect("a file can be made");
        (&file).write_all(&content).expect("there is room");
        site
    }

    fn command(&self) -> [&str; 2] {
        ["serve", self.0.to_str().expect("the path is text")]
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A command of `monoloop` under strace. It is killed at the end of the test, also if the test fails.
struct Server {
    strace: Child,
    /// The server itself.
    pid: Pid,
    address: SocketAddr,
    /// The pipe stays open, since the server prints its end too.
    _output: BufReader<ChildStdout>,
    counts: PathBuf,
}

impl Server {
    #[track_caller]
    fn start(command: &[&str]) -> Self {
        let name = format!("syscalls.{}.{:?}", std::process::id(), std::thread::current().id());
        let counts = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut strace = Command::new("strace")
            .args(["-f", "-c", "-o"])
            .arg(&counts)
            .arg(env!("CARGO_BIN_EXE_monoloop"))
            .args(command)
            .args(["--port=0", "--host=127.0.0.1"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("strace starts");
        let mut output = BufReader::new(strace.stdout.take().expect("it is piped"));
        let line = output.by_ref().lines().map_while(Result::ok).find(|line| line.starts_with("listening on "));
        let address = line.as_deref().and_then(|line| line.strip_prefix("listening on http://"));
        let address = address.and_then(|address| address.parse().ok()).expect("the server listens");
        let children = format!("/proc/{0}/task/{0}/children", strace.id());
        let children = std::fs::read_to_string(children).expect("Linux has it");
        let pid = children.split_whitespace().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        Self { strace, pid: pid.expect("strace has a child"), address, _output: output, counts }
    }

    #[track_caller]
    fn connect_all(&self) -> Vec<TcpStream> {
        let connect = |_| {
            let client = TcpStream::connect_timeout(&self.address, LIMIT).expect("the server can be reached");
            client.set_nodelay(true).expect("TCP_NODELAY can be set");
            client.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
            client
        };
        (0..CLIENTS).map(connect).collect()
    }

    /// Does something while the server is stopped, so that all of it has come at the server's next poll. Otherwise the
    /// number of polls would depend on timing.
    #[track_caller]
    fn held<R>(&self, action: impl FnOnce() -> R) -> R {
        kill_process(self.pid, Signal::STOP).expect("it is alive");
        let result = action();
        kill_process(self.pid, Signal::CONT).expect("it is alive");
        result
    }

    /// Stops the server, and returns the calls that it has made.
    #[track_caller]
    fn end(mut self) -> BTreeMap<String, u64> {
        kill_process(self.pid, Signal::TERM).expect("it is alive");
        let status = self.strace.wait().expect("it is ours");
        assert!(status.success(), "{status}");
        let table = std::fs::read_to_string(&self.counts).expect("strace writes its table");
        table.lines().filter_map(calls).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without strace the server would run on. Without the server, strace ends.
        if let Ok(None) = self.strace.try_wait() {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.strace.wait();
        }
        let _ = std::fs::remove_file(&self.counts);
    }
}

/// A row of strace's table: share, seconds, microseconds per call, calls, errors if there were any, name.
fn calls(row: &str) -> Option<(String, u64)> {
    let words: Vec<_> = row.split_whitespace().collect();
    let (name, count) = (words.last()?, words.get(3)?.parse().ok()?);
    (words.len() >= 5 && *name != "total").then(|| ((*name).to_owned(), count))
}
