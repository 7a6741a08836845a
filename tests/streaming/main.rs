//! The streams of the demo, with the clients that people use. Content comes and goes in pieces, answers come later, and
//! clients stop, break off or vanish in the middle. Nothing here sleeps, every wait has an end, and no child outlives
//! its test.
#![cfg(feature = "cli")]

#[path = "../support/mod.rs"]
mod support;

mod curl;
#[cfg(target_os = "linux")]
mod memory;
mod node;
mod plain;
mod python;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Signal, kill_process};
use support::Client;
use support::process::{End, Process};

/// curl's own time limit. It is a little shorter than ours, since curl says more about what it waited for.
const CURL: [&str; 3] = ["-sS", "-m", "25"];

const MIB: usize = 1 << 20;

/// What curl prints last: the status, and the type of the content.
const STATUS: [&str; 2] = ["-w", "\n%{http_code} %{content_type}\n"];

/// The part that all scripts share: `connect`, and a way to stop reading for a while.
const PYTHON: &str = r#"
import http.client, itertools, json, random, socket, sys, threading, zlib
HOST, PORT, MIB = sys.argv[1], int(sys.argv[2]), 1 << 20

def connect():
    return http.client.HTTPConnection(HOST, PORT, timeout=10)

def serve_neighbour(count):
    "Meanwhile the loop of the server turns at least as often."
    neighbour = connect()
    for _ in range(count):
        neighbour.request('GET', '/plaintext')
        assert neighbour.getresponse().read() == b'Hello, World!'
    neighbour.close()
"#;

/// The number of bytes by which the memory of the server may grow, whatever streams through it.
#[cfg(target_os = "linux")]
const GROWTH: usize = 8 * MIB;

// ---- requests and replies -------------------------------------------------------------------------------------------

fn post(target: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}

/// The reply of `/upload`.
fn uploaded(content: &[u8]) -> String {
    format!(r#"{{"bytes":{},"crc32":"{:08x}"}}"#, content.len(), crc32(content))
}

/// CRC-32/IEEE, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |sum: u32, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 })
    })
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

// ---- processes ------------------------------------------------------------------------------------------------------

/// Whether the tool is installed. A run of CI must have all tools.
fn has(tool: &str) -> bool {
    let known = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if known.is_err() {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{tool} is not installed");
        eprintln!("skipped: {tool} is not installed");
    }
    known.is_ok()
}

fn curl(options: &[&str]) -> Command {
    let mut curl = Command::new("curl");
    curl.args(CURL).args(options);
    curl
}

/// A file for a client. It is removed at the end of the test.
struct TempFile(PathBuf);

impl TempFile {
    #[track_caller]
    fn new(content: &[u8]) -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};

        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let file = Self(std::env::temp_dir().join(format!("monoloop-streaming-{}-{number}", std::process::id())));
        std::fs::write(&file.0, content).expect("there is room for a file");
        file
    }

    fn path(&self) -> &Path {
        &self.0
    }

    #[track_caller]
    fn open(&self) -> File {
        File::open(&self.0).expect("it was written")
    }

    /// The argument with which curl takes the file as content.
    fn argument(&self) -> String {
        format!("@{}", self.0.display())
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// `monoloop demo`, on a free port, without the environment variables of the tests.
struct Demo {
    process: Process,
    address: SocketAddr,
}

impl Demo {
    #[track_caller]
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.args(["demo", "--port", "0"]).env_clear();
        let mut process = Process::start(command);
        loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                return Self { process, address: address.parse().expect("an address") };
            }
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    #[track_caller]
    fn connect(&self) -> Client {
        Client::tcp(self.address)
    }

    /// Checks that the server still serves: a new client gets a reply.
    #[track_caller]
    fn assert_serves(&self) {
        assert_eq!(self.connect().ask("/plaintext").text(), "Hello, World!");
    }

    /// Runs a module of Node, which finds the server in `base`.
    #[track_caller]
    fn node(&self, script: &str, args: &[&Path]) -> End {
        let mut node = Command::new("node");
        let script = format!("const base = process.argv[1];\n{script}\nprocess.exit(0);");
        node.args(["--input-type=module", "-e", &script, &self.url("")]).args(args);
        Process::start(node).end()
    }

    /// Runs a script of Python after what [`PYTHON`] defines.
    #[track_caller]
    fn python(&self, script: &str, args: &[&Path]) -> End {
        let mut python = Command::new("python3");
        let (ip, port) = (self.address.ip().to_string(), self.address.port().to_string());
        python.args(["-c", &format!("{PYTHON}{script}"), &ip, &port]).args(args);
        Process::start(python).end()
    }

    /// A field of `/proc/PID/status`, in bytes.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn memory(&self, name: &str) -> usize {
        let path = format!("/proc/{}/status", self.process.pid().as_raw_nonzero());
        let status = std::fs::read_to_string(path).expect("Linux has it");
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is told");
        1024 * value.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().expect("a number")
    }

    /// Checks that `streams` cost little memory at the highest point, compared to before.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn grows_little(&self, streams: impl FnOnce()) {
        let before = self.memory("VmRSS");
        streams();
        let peak = self.memory("VmHWM");
        assert!(peak <= before + GROWTH, "{before} bytes before, and {peak} at the highest");
    }

    #[cfg(target_os = "linux")]
    #[track_caller]
    fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.process.pid().as_raw_nonzero());
        std::fs::read_dir(folder).expect("Linux has it").count()
    }

    /// Ends it by SIGTERM: it is still alive, drains, and has printed no error.
    #[track_caller]
    fn end(mut self) {
        kill_process(self.process.pid(), Signal::TERM).expect("it is alive");
        let end = self.process.end();
        assert_eq!((end.code, end.errors.as_str()), (Some(0), ""), "{}", end.text());
    }
}
