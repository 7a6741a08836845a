//! The real binary: what it prints, what it answers, and how it ends. Nothing here sleeps, every wait has an end, and
//! no child outlives its test.
#![cfg(feature = "cli")]

mod clients;
mod ending;
mod logging;
mod routes;
mod starting;
mod stopped;
mod workers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The longest wait.
const LIMIT: Duration = Duration::from_secs(10);

const ALICE: &str = r#"{"id":1,"name":"Alice","email":"alice@example.com"}"#;
const BOB: &str = r#"{"id":2,"name":"Bob","email":"bob@example.com"}"#;
const CHARLIE: &str = r#"{"id":3,"name":"Charlie","email":"charlie@example.com"}"#;
/// The reply to the content of `begin_content_that_lacks_a_byte` when it has come whole.
const ALMOST: &str = r#"{"bytes":7,"crc32":"9cf17902"}"#;

// ---- processes --------------------------------------------------------------------------------------------------

/// The command, without the environment variables of the tests.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
    command.args(args).env_clear();
    command
}

/// A child with its output, line by line. It is killed at the end of the test, also if the test fails.
struct Process {
    child: Child,
    output: Receiver<String>,
    errors: Receiver<String>,
}

/// How a process ended, and the rest of its output.
#[derive(Debug, PartialEq)]
struct End {
    code: Option<i32>,
    output: String,
    errors: String,
}

impl End {
    #[track_caller]
    fn is_usage_error(&self, expected: &str) {
        assert_eq!((self.code, self.output.as_str()), (Some(2), ""), "{self:?}");
        let lines: Vec<&str> = self.errors.lines().collect();
        let [problem, hint] = lines[..] else { panic!("{self:?}") };
        assert!(problem.starts_with(&format!("monoloop: {expected}")), "{problem}");
        assert_eq!(hint, "Try 'monoloop --help'.");
    }
}

impl Process {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let output = lines_of(child.stdout.take().expect("it is piped"));
        let errors = lines_of(child.stderr.take().expect("it is piped"));
        Self { child, output, errors }
    }

    /// The next line of its standard output.
    #[track_caller]
    fn line(&mut self) -> String {
        match self.output.recv_timeout(LIMIT) {
            Ok(line) => line,
            Err(error) => panic!("no line of output: {error}; {:?}", self.errors.try_iter().collect::<Vec<_>>()),
        }
    }

    #[track_caller]
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it is alive");
    }

    /// Waits until the process ends.
    #[track_caller]
    fn end(&mut self) -> End {
        let until = Instant::now() + LIMIT;
        let (output, errors) = (rest_of(&self.output, until), rest_of(&self.errors, until));
        // Both ends of its pipes are closed, so the process has ended or is about to.
        let status: ExitStatus = self.child.wait().expect("it is ours");
        End { code: status.code(), output, errors }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(stream).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    lines
}

/// All lines until the stream ends.
#[track_caller]
fn rest_of(lines: &Receiver<String>, until: Instant) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => text = text + &line + "\n",
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end; so far: {text}"),
        }
    }
}

/// `monoloop demo`, on a free port.
struct Demo {
    process: Process,
    address: SocketAddr,
    /// The lines that it printed before the address.
    banner: Vec<String>,
}

impl Demo {
    #[track_caller]
    fn start(args: &[&str]) -> Self {
        Self::from(command(&[&["demo", "--port=0"], args].concat()))
    }

    #[track_caller]
    fn from(command: Command) -> Self {
        let mut process = Process::start(command);
        let mut banner = Vec::new();
        loop {
            let line = process.line();
            match line.strip_prefix("listening on http://") {
                Some(address) => return Self { process, address: address.parse().expect("an address"), banner },
                None => banner.push(line),
            }
        }
    }

    #[track_caller]
    fn connect(&self) -> Client {
        Client::connect(self.address)
    }
}

// ---- a client ---------------------------------------------------------------------------------------------------

struct Client {
    stream: BufReader<TcpStream>,
}

struct Reply {
    status: u16,
    head: String,
    content: String,
}

impl Client {
    #[track_caller]
    fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the server accepts");
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        Self { stream: BufReader::new(stream) }
    }

    #[track_caller]
    fn send(&mut self, text: &str) {
        self.stream.get_mut().write_all(text.as_bytes()).expect("the server reads");
    }

    /// Sends a request (`GET /`) with field lines and content, and reads the reply.
    #[track_caller]
    fn ask(&mut self, request: &str, fields: &str, content: &str) -> Reply {
        let length = content.len();
        self.send(&format!(
            "{request} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n{content}"
        ));
        self.reply(!request.starts_with("HEAD "))
    }

    /// Begins a request that the server has received when this returns, and that it cannot answer yet. If the
    /// test then sends "!", the content is whole, and the reply is [`ALMOST`].
    #[track_caller]
    fn begin_content_that_lacks_a_byte(&mut self) {
        self.send("POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(self.reply(false).status, 100);
        self.send("almost");
    }

    #[track_caller]
    fn reply(&mut self, has_content: bool) -> Reply {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).expect("a reply in time"), 0, "closed after {head:?}");
        }
        let status = head.get(9..12).and_then(|status| status.parse().ok()).expect("a status line");
        let mut reply = Reply { status, head, content: String::new() };
        let length: usize = reply.field("content-length").map_or(0, |length| length.parse().expect("a length"));
        let mut content = vec![0; if has_content { length } else { 0 }];
        self.stream.read_exact(&mut content).expect("the whole content in time");
        reply.content = String::from_utf8(content).expect("content is UTF-8");
        reply
    }

    /// Checks that nothing comes for this time.
    #[track_caller]
    fn expect_silence(&mut self, time: Duration) {
        self.stream.get_ref().set_read_timeout(Some(time)).unwrap();
        let read = self.stream.read(&mut [0; 64]);
        assert_eq!(read.expect_err("nothing comes").kind(), std::io::ErrorKind::WouldBlock);
        self.stream.get_ref().set_read_timeout(Some(LIMIT)).unwrap();
    }

    /// Waits until the server closes the connection; false if it sends something instead.
    #[track_caller]
    fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0; 64]) {
            Ok(count) => count == 0,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
            Err(error) => panic!("still open: {error}"),
        }
    }
}

impl Reply {
    /// The value of the first field line of this name.
    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}
