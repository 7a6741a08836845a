//! The example `tour` under strace, and how a client waits until it has done its work.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;
use rustix::net::{AddressFamily, SocketType, connect, socket};
use rustix::process::{Pid, Signal, kill_process};

use crate::built::folder_of_examples;
use crate::calls::{Entry, parse};

/// The longest wait.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a client looks whether the server has come so far.
const LOOK: Duration = Duration::from_millis(5);

/// The calls that strace shows. A question mark lets strace ignore what a machine does not have.
const CALLS: &str = "trace=socket,socketpair,bind,listen,setsockopt,?epoll_create1,epoll_ctl,?epoll_wait,epoll_pwait,\
    eventfd2,accept4,recvfrom,sendto,sendmsg,write,writev,shutdown,close";

/// A server for one scene. It is killed at the end, also if the test fails.
pub(crate) struct Server {
    strace: Child,
    /// The server itself.
    pid: Pid,
    address: SocketAddr,
    input: Option<ChildStdin>,
    trace: PathBuf,
    /// How many events had happened when the last wait ended.
    seen: usize,
}

impl Server {
    #[track_caller]
    pub(crate) fn start(name: &str) -> Self {
        let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("tour.{name}.{}", std::process::id()));
        let mut strace = Command::new("strace")
            .args(["-f", "-q", "-s", "4096", "-e", CALLS, "-o"])
            .arg(&trace)
            .arg(folder_of_examples().join("tour"))
            .args(["127.0.0.1:0", "still"])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("strace starts");
        let mut line = String::new();
        BufReader::new(strace.stdout.take().expect("it is piped")).read_line(&mut line).expect("it is text");
        let address = line.trim_end().strip_prefix("listening on http://").and_then(|address| address.parse().ok());
        let children = format!("/proc/{0}/task/{0}/children", strace.id());
        let children = fs::read_to_string(children).expect("Linux has it");
        let pid = children.split_whitespace().next().and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        let mut server = Self {
            input: strace.stdin.take(),
            strace,
            pid: pid.expect("strace has a child"),
            address: address.expect("the server listens"),
            trace,
            seen: 0,
        };
        server.wait_for("it sleeps until something happens", |_| true);
        server
    }

    /// What has happened so far.
    pub(crate) fn events(&self) -> Vec<Entry> {
        let text = fs::read(&self.trace).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        // The last line may not be whole yet.
        parse(&text[..text.rfind('\n').map_or(0, |end| end + 1)])
    }

    /// Waits until the server has made this call, whatever else it did, and sleeps until its next deadline.
    #[track_caller]
    pub(crate) fn rest_after(&mut self, call: &str) {
        self.wait_for(call, |new| {
            let at = new.iter().position(|event| event.is_call(call));
            // After a tick with work the loop sleeps for one slot of the wheel, and only then until its next deadline.
            at.is_some_and(|at| new[at..].iter().any(Entry::is_nap))
        });
    }

    #[track_caller]
    fn wait_for(&mut self, what: &str, has_come: impl Fn(&[Entry]) -> bool) {
        let until = Instant::now() + LIMIT;
        loop {
            let sleeps = self.sleeps();
            let events = self.events();
            if sleeps && has_come(&events[self.seen.min(events.len())..]) {
                self.seen = events.len();
                return;
            }
            assert!(Instant::now() < until, "waited in vain for: {what}\n{events:#?}");
            thread::sleep(LOOK);
        }
    }

    /// Whether the loop sleeps in its poll. Nothing else in this server lets its thread sleep.
    fn sleeps(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{0}/task/{0}/stat", self.pid.as_raw_nonzero()));
        stat.is_ok_and(|stat| stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')))
    }

    /// A client, accepted and at rest.
    #[track_caller]
    pub(crate) fn client(&mut self) -> TcpStream {
        let client = TcpStream::connect_timeout(&self.address, LIMIT).expect("the server can be reached");
        self.accept(client)
    }

    /// A client whose kernel keeps only this many bytes that it has not read.
    #[track_caller]
    pub(crate) fn client_with_room(&mut self, bytes: usize) -> TcpStream {
        let client = socket(AddressFamily::INET, SocketType::STREAM, None).expect("there is a descriptor");
        set_socket_recv_buffer_size(&client, bytes).expect("it can be set");
        connect(&client, &self.address).expect("the server can be reached");
        self.accept(client.into())
    }

    #[track_caller]
    fn accept(&mut self, client: TcpStream) -> TcpStream {
        client.set_nodelay(true).expect("TCP_NODELAY can be set");
        client.set_read_timeout(Some(LIMIT)).expect("a timeout can be set");
        self.rest_after("accept4");
        client
    }

    /// Presses Enter in the terminal of the server.
    #[track_caller]
    pub(crate) fn press_enter(&mut self) {
        self.input.as_mut().expect("it is open").write_all(b"\n").expect("the server reads it");
    }

    #[track_caller]
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it is alive");
    }

    /// Waits until the server has ended by itself, and returns all that it did.
    #[track_caller]
    pub(crate) fn end(mut self) -> Vec<Entry> {
        let until = Instant::now() + LIMIT;
        while self.strace.try_wait().expect("it is ours").is_none() {
            assert!(Instant::now() < until, "the server does not end\n{:#?}", self.events());
            thread::sleep(LOOK);
        }
        self.events()
    }

    /// How many events had happened when the last wait ended.
    pub(crate) const fn seen(&self) -> usize {
        self.seen
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without strace the server would run on. Without the server, strace ends.
        if let Ok(None) = self.strace.try_wait() {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = self.strace.wait();
        }
        let _ = fs::remove_file(&self.trace);
    }
}
