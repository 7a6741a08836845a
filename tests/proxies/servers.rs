//! The servers that are restarted: the command, and this program itself, which can take a socket that others have made.

use std::env;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use monoloop::{Config, Router};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Signal, kill_process};

use crate::support::process::{End, Process};
use crate::support::{Client, LIMIT};

/// The variable by which this program knows that it shall be a server. Its value is an address to share, or nothing for
/// a socket that is passed.
const ROLE: &str = "MONOLOOP_TEST_SERVER";

/// The test by which this program becomes a server.
const SERVER: &str = "servers::a_server_on_a_passed_socket_answers_and_ends";

/// A process that serves.
pub(crate) struct Server(Process);

impl Server {
    /// Starts `monoloop demo`.
    #[track_caller]
    pub(crate) fn command(host: &str, port: u16) -> (Self, SocketAddr) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.env_clear().args(["demo", "--host", host, "--port", &port.to_string()]);
        let mut process = Process::start(command);
        let address = loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                break address.parse().expect("an address");
            }
        };
        (Self(process), address)
    }

    /// Starts a server on a listening socket. The socket becomes the standard input of the server: a descriptor that a
    /// child inherits, and that safe code can take.
    #[track_caller]
    pub(crate) fn on(listener: &TcpListener) -> Self {
        Self::start("", OwnedFd::from(listener.try_clone().expect("a descriptor is free")))
    }

    /// Starts a server on a socket of its own, which shares its port with those of other processes.
    #[track_caller]
    pub(crate) fn sharing(address: SocketAddr) -> Self {
        Self::start(&address.to_string(), Stdio::null())
    }

    #[track_caller]
    fn start(role: &str, input: impl Into<Stdio>) -> Self {
        let mut command = Command::new(env::current_exe().expect("it runs"));
        command.args(["--exact", SERVER, "--nocapture"]).env(ROLE, role);
        let mut server = Process::start_with(command, input);
        while server.line() != "the server is ready" {}
        Self(server)
    }

    /// Tells it to stop, as an operator would, and waits for its end.
    #[track_caller]
    pub(crate) fn stop(mut self) -> End {
        kill_process(self.0.pid(), Signal::TERM).expect("it is alive");
        let end = self.0.end();
        end.success();
        end
    }
}

#[test]
fn a_server_on_a_passed_socket_answers_and_ends() {
    if let Ok(role) = env::var(ROLE) {
        return serve(match role.as_str() {
            "" => std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor is free").into(),
            address => listening(address.parse().expect("an address")),
        });
    }
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let server = Server::on(&listener);
    let mut client = Client::tcp(listener.local_addr().expect("it listens"));
    assert_eq!(client.ask("/plaintext").text(), "Hello, World!");
    drop(client);
    server.stop();
}

/// Serves until SIGTERM.
#[track_caller]
fn serve(listener: TcpListener) {
    let mut app = Router::new(());
    app.get("/plaintext", |_, _, res| res.text("Hello, World!"));
    app.post("/upload", |_, req, res| res.send(req.body()));
    // A client that the machine does not run for a while still gets its answer. The server ends earlier if it can.
    let config = Config::new().drain_grace(LIMIT - Duration::from_secs(2));
    let server = monoloop::Server::from_listener(listener).expect("it listens").config(config);
    let running = server.start(app).expect("a poll");
    println!("\nthe server is ready");
    running.run().expect("the drain ends well");
}

/// A socket that shares its port with other processes, and does not listen yet.
#[track_caller]
pub(crate) fn bound(address: SocketAddr) -> OwnedFd {
    let made = net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None);
    let socket = made.expect("a descriptor is free");
    sockopt::set_socket_reuseport(&socket, true).expect("Linux has it");
    net::bind(&socket, &address).expect("the others share it");
    socket
}

#[track_caller]
fn listening(address: SocketAddr) -> TcpListener {
    let socket = bound(address);
    net::listen(&socket, 4096).expect("it is bound");
    socket.into()
}
