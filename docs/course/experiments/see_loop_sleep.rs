//! Does the loop sleep while its clients are silent? Two clients connect to the smallest loop, and nothing happens.
//! Then the server is stopped and goes on, as by Ctrl-Z and `fg` in a shell.
//!
//!     cargo run -q --bin see_loop_sleep
//!
//! The kernel counts how often a thread has gone to sleep by itself. This needs Linux.

use std::fs;
use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use course::Server;

fn main() {
    let server = Server::start("03_echo", 2);
    let (mut first, second) = (server.connect(), server.connect());
    for round in 1..=3 {
        first.write_all(b"x").expect("the kernel takes a byte");
        first.read_exact(&mut [0]).expect("the server sends it back");
        println!("round {round}: the byte came back");
    }
    server.wait_for_state('S');
    let before = sleeps(&server);
    thread::sleep(Duration::from_millis(500));
    println!("in half a second of silence the loop woke up {} times", sleeps(&server) - before);
    server.signal("-STOP");
    server.wait_for_state('T');
    first.write_all(b"x").expect("the kernel takes a byte");
    println!("the server is stopped, and the kernel took a byte for it");
    server.signal("-CONT");
    first.read_exact(&mut [0]).expect("the server sends it back");
    println!("the server goes on: the byte came back");
    drop((first, second));
    server.finish();
}

fn sleeps(server: &Server) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("this is Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|line| line.trim().parse().ok()).expect("proc(5) promises this line")
}
