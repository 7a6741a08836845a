//! What does a client cost that does nothing? Two hundred of them connect, say one byte, and then are silent.
//!
//!     cargo run -q --bin see_cost_of_waiting -- STEP
//!
//! The figures come from /proc, so this needs Linux.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use course::Server;

const CLIENTS: usize = 200;

fn main() {
    let step = std::env::args().nth(1).unwrap_or("01_threads".into());
    let server = Server::start(&step, CLIENTS);
    let before = Status::of(server.pid());
    let clients: Vec<TcpStream> = (0..CLIENTS).map(|_| silent(&server)).collect();
    let after = Status::of(server.pid());
    println!("{CLIENTS} clients wait; threads of the server: {}", after.threads);
    println!(
        "address space: {} KiB for each client",
        after.address_space.saturating_sub(before.address_space) / CLIENTS
    );
    println!("memory in use: {} KiB for each client", after.resident.saturating_sub(before.resident) / CLIENTS);
    drop(clients);
    server.finish();
}

/// Connects a client and waits until the server has answered it once: then the server has accepted it.
fn silent(server: &Server) -> TcpStream {
    let mut client = server.connect();
    client.write_all(b"x").expect("the kernel takes a byte");
    client.read_exact(&mut [0]).expect("the server sends it back");
    client
}

/// What the kernel says of a process; sizes in KiB.
struct Status {
    threads: usize,
    address_space: usize,
    resident: usize,
}

impl Status {
    fn of(pid: u32) -> Self {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("this is Linux");
        let number = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).expect("proc(5) promises these lines")
        };
        Self { threads: number("Threads:"), address_space: number("VmSize:"), resident: number("VmRSS:") }
    }
}
