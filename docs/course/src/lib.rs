//! What the experiments of the course share: a step as a child process, and its clients. The steps themselves do not
//! use it; each of them reads alone.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use rustix::net::{self, AddressFamily, SocketType, sockopt};

/// An experiment that waits longer than this for anything fails.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A step of the course that runs as a server. Dropping it kills it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    lines: Receiver<String>,
    stdin: Option<ChildStdin>,
}

impl Server {
    /// Builds the step and starts it with port 0. It is to end by itself when `clients` connections have ended.
    ///
    /// # Panics
    ///
    /// If the step does not build, or does not listen within [`PATIENCE`].
    #[track_caller]
    pub fn start(step: &str, clients: usize) -> Self {
        let mut command = Command::new(build(step));
        command.args(["127.0.0.1:0", &clients.to_string()]);
        Self::spawn(command)
    }

    /// Starts a program that prints `listening on ADDRESS` in its first line.
    #[track_caller]
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdin = child.stdin.take();
        let lines = forward(BufReader::new(child.stdout.take().expect("it is piped")).lines());
        let address = lines.recv_timeout(PATIENCE).ok().and_then(|line| {
            let address = line.strip_prefix("listening on ")?;
            address.trim_start_matches("http://").parse().ok()
        });
        let Some(address) = address else {
            let _ = child.kill();
            panic!("{command:?} did not say `listening on ADDRESS`");
        };
        Self { child, address, lines, stdin }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until its process is in this state: `S` is asleep, `T` is stopped (proc(5)). This needs Linux.
    ///
    /// # Panics
    ///
    /// If that does not happen within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_state(&self, wanted: char) {
        let path = format!("/proc/{}/stat", self.pid());
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            // The state comes after the name, which is in parentheses.
            if fs::read_to_string(&path).expect("this is Linux").contains(&format!(") {wanted} ")) {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the server does not come into the state {wanted}");
    }

    /// Sends a signal to its process, as kill(1) does. The name is like `-STOP`.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.pid().to_string()]).status().expect("kill is installed");
        assert!(status.success(), "there is no server any more");
    }

    /// Connects a client. Its reads and writes fail when they have waited for [`PATIENCE`].
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        let client = TcpStream::connect_timeout(&self.address, PATIENCE).expect("the server listens");
        client.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
        client.set_write_timeout(Some(PATIENCE)).expect("the time is not zero");
        client
    }

    /// Connects a client whose kernel keeps no more than some ten thousand bytes that the client has not read.
    #[track_caller]
    pub fn connect_with_small_buffer(&self) -> TcpStream {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("there are descriptors");
        // It has to be set before the connection exists: the window is agreed on then.
        sockopt::set_socket_recv_buffer_size(&socket, 4096).expect("it is a socket");
        net::connect(&socket, &self.address).expect("the server listens");
        let client = TcpStream::from(socket);
        client.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
        client.set_write_timeout(Some(PATIENCE)).expect("the time is not zero");
        client
    }

    /// Waits for the next line that the server prints.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the server prints a line")
    }

    /// Writes a line to the server's standard input.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its standard input is open");
        writeln!(stdin, "{line}").expect("the server reads its standard input");
    }

    /// Closes the server's standard input. For a step from 09 on, that is the order to drain.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Waits for the end of the server, and returns the lines that [`line`](Self::line) has not taken.
    ///
    /// # Panics
    ///
    /// If it prints nothing for [`PATIENCE`] and does not end, or if it fails.
    #[track_caller]
    pub fn finish(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!("the server does not end; it has printed {lines:?}"),
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        assert!(status.success(), "the server failed: {status}");
        lines
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already, unless the experiment failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a reply of a server of the course, and returns its content. The head must have a `Content-Length`.
///
/// # Errors
///
/// If the connection ends before the reply does, or the socket fails.
pub fn read_reply(client: &mut impl Read) -> io::Result<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).and_then(|text| text.parse().ok());
    let mut content = vec![0; length.expect("the head has a Content-Length")];
    client.read_exact(&mut content)?;
    Ok(Reply { head, content })
}

/// A reply.
#[derive(Debug)]
pub struct Reply {
    pub head: String,
    pub content: Vec<u8>,
}

impl Reply {
    /// The status code.
    pub fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The content as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).trim_end().to_owned()
    }
}

/// Reads lines in a thread, so that waiting for one can have a time limit.
fn forward(lines: Lines<BufReader<ChildStdout>>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

/// Builds a program of this package, so that an experiment sees what you changed in a step. Returns its path.
///
/// # Panics
///
/// If it does not build.
#[track_caller]
pub fn build(name: &str) -> PathBuf {
    let folder = programs();
    // Cargo sets this variable for what it runs. Without it, the programs are taken as they are.
    if let Some(cargo) = env::var_os("CARGO") {
        let target = folder.parent().expect("the programs are in a folder of the target directory");
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--locked", "--bin", name, "--target-dir"]).arg(target);
        command.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        if folder.ends_with("release") {
            command.arg("--release");
        }
        let status = command.status().expect("cargo runs");
        assert!(status.success(), "{name} does not build");
    }
    folder.join(name)
}

/// The folder of the built programs. A test is in a folder below it.
fn programs() -> PathBuf {
    let this = env::current_exe().expect("the path of a running program is known");
    let folder = this.parent().expect("a program is in a folder");
    match folder.ends_with("deps") {
        true => folder.parent().expect("`deps` is in a folder").to_owned(),
        false => folder.to_owned(),
    }
}
