//! Clients that make the server hold memory: what it takes at most, what it takes afterwards, and that a client with
//! small requests notices nothing. The figures are those of the kernel for the process.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Signal, kill_process};

use crate::support::process::Process;
use crate::support::serve::memory;
use crate::support::{Client, LIMIT, SocketPath};

const MIB: u64 = 1 << 20;

/// The longest time in which the server gives memory back: it ends stalled clients after two seconds, and looks for
/// them once a second. Large buffers that nobody uses go in the second after that.
const PATIENCE: Duration = Duration::from_secs(10);

/// The example API in a process that may use 64 MiB of addresses, so its connections may hold 16 MiB.
struct Narrow {
    process: Process,
    address: SocketAddr,
    path: SocketPath,
    polite: Client,
}

impl Narrow {
    #[track_caller]
    fn start() -> Self {
        let path = SocketPath::new();
        let mut command = Command::new("sh");
        command.env_clear().args(["-c", "ulimit -v 65536 && exec \"$@\"", "sh", env!("CARGO_BIN_EXE_monoloop")]);
        command.args(["demo", "--port=0", "--access-log=combined", "--unix"]).arg(path.path());
        let mut process = Process::start(command);
        let address = loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                break address.parse().expect("an address");
            }
        };
        process.line();
        Self { process, address, path, polite: Client::tcp(address) }
    }

    /// Small requests are answered, and at once.
    #[track_caller]
    fn is_polite(&mut self) {
        let reply = self.polite.ask("/plaintext");
        assert_eq!((reply.status, reply.text()), (200, "Hello, World!"));
    }

    #[track_caller]
    fn memory(&self, name: &str) -> u64 {
        memory(self.process.pid(), name)
    }

    /// Makes the list of all users some 4 MiB long.
    #[track_caller]
    fn fill(&mut self) {
        let user = format!("{{\"name\":\"{}\",\"email\":\"me@example.com\"}}", "n".repeat(400));
        let length = user.len();
        let head = "POST /users HTTP/1.1\r\nHost: a\r\nContent-Type: application/json";
        let request = format!("{head}\r\nContent-Length: {length}\r\n\r\n{user}").repeat(50);
        for _ in 0..180 {
            self.polite.send(&request);
            (0..50).for_each(|_| assert_eq!(self.polite.reply().status, 201));
        }
    }

    /// Runs an attack that holds its clients, and then ends them. The memory stays within the budget and 8 MiB, and
    /// comes back to what it was and 4 MiB.
    #[track_caller]
    fn survives(&mut self, what: &str, attack: impl FnOnce(&mut Self) -> Vec<Client>) {
        let before = self.memory("VmRSS");
        let clients = attack(self);
        self.is_polite();
        let most = self.memory("VmHWM");
        assert!(most <= before + 24 * MIB, "{what}: the process took {most} bytes, and {before} before");
        drop(clients);
        let until = Instant::now() + PATIENCE;
        loop {
            self.is_polite();
            let now = self.memory("VmRSS");
            if now <= before + 4 * MIB {
                return;
            }
            assert!(Instant::now() < until, "{what}: {now} bytes are still taken, and {before} were before");
            std::thread::yield_now();
        }
    }
}

/// Writes to all clients in turn, without waiting for any, until each has sent `rest` or has got a reply.
#[track_caller]
fn send_all(server: &mut Narrow, clients: &mut [Client], rest: &[u8]) {
    let mut sent = vec![0; clients.len()];
    let until = Instant::now() + LIMIT;
    clients.iter().for_each(Client::set_nonblocking);
    loop {
        let mut open = 0;
        for (client, sent) in clients.iter_mut().zip(&mut sent) {
            if *sent < rest.len() && !client.is_readable() {
                open += 1;
                *sent += client.write_some(&rest[*sent..]).unwrap_or(0);
            }
        }
        if open == 0 {
            return;
        }
        server.is_polite();
        assert!(Instant::now() < until, "{open} clients can neither send nor read");
    }
}

fn replies_that_nobody_reads(server: &mut Narrow) -> Vec<Client> {
    let ask = |server: &mut Narrow| {
        let mut client = Client::tcp(server.address);
        client.set_receive_buffer(4096);
        client.get("/users");
        server.is_polite();
        client
    };
    (0..40).map(|_| ask(server)).collect()
}

fn contents_that_lack_a_byte(server: &mut Narrow, framing: &str, content: &[u8]) -> Vec<Client> {
    let begin = |_| {
        let mut client = Client::tcp(server.address);
        client.send(format!("POST /users HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        client
    };
    let mut clients: Vec<_> = (0..40).map(begin).collect();
    send_all(server, &mut clients, content);
    // The rest may wait in the queues of the kernel.
    let until = Instant::now() + LIMIT;
    loop {
        let refused = clients.iter().filter(|client| client.is_readable()).count();
        if refused >= 20 {
            return clients;
        }
        server.is_polite();
        assert!(Instant::now() < until, "only {refused} of 40 were refused");
    }
}

/// A unix socket holds less than a TCP socket, so its queue is soon full.
fn heads_behind_a_full_socket(server: &mut Narrow) -> Vec<Client> {
    let mut client = Client::unix(server.path.path());
    client.set_nonblocking();
    let head = format!("HEAD / HTTP/1.1\r\nHost: a\r\nReferer: {}\r\n\r\n", "r".repeat(15_000));
    let (mut at, mut idle) = (0, 0);
    // It takes no more when it has taken nothing for so many requests of another client.
    while idle < 50 {
        let count = client.write_some(&head.as_bytes()[at..]).unwrap_or(0);
        at = (at + count) % head.len();
        idle = if count == 0 { idle + 1 } else { 0 };
        if count == 0 {
            server.is_polite();
        }
    }
    vec![client]
}

#[test]
fn a_narrow_process_survives_clients_that_make_it_hold_memory() {
    let mut server = Narrow::start();
    server.fill();
    let list = server.polite.ask("/users").content.len() as u64;
    assert!(list > 3 * MIB, "{list} bytes");
    server.survives("replies", replies_that_nobody_reads);
    server.survives("known lengths", |server| {
        contents_that_lack_a_byte(server, "Content-Length: 1000000", &vec![b'x'; 999_999])
    });
    server.survives("chunks", |server| {
        let chunk = format!("1000\r\n{}\r\n", "y".repeat(0x1000));
        contents_that_lack_a_byte(server, "Transfer-Encoding: chunked", chunk.repeat(240).as_bytes())
    });
    let before = server.memory("VmRSS");
    server.survives("heads", heads_behind_a_full_socket);
    let after = server.memory("VmRSS");
    assert!(after <= before + 2 * MIB, "{after} bytes, and {before} before");
    let reply = server.polite.ask("/users");
    assert_eq!((reply.status, reply.content.len() as u64), (200, list));
    kill_process(server.process.pid(), Signal::TERM).expect("it is alive");
    let end = server.process.end();
    assert_eq!(end.code, Some(0), "{}", end.errors);
    let lines = end.errors.lines().filter(|line| line.contains("memory is short")).count();
    assert!(lines > 0 && end.errors.lines().count() == lines, "{}", end.errors);
}
