//! What a request costs in instructions, from the first byte to the last, without kernel and network. valgrind counts
//! them.
//!
//!     cargo run -q --bin see_instructions
//!
//! It can be counted without a network because the connection knows no socket.

#![allow(dead_code, reason = "not all of the step is used")]

#[path = "../steps/10_measured/app.rs"]
mod app;
#[path = "../steps/10_measured/connection.rs"]
mod connection;
#[path = "../steps/07_deadlines/deadlines.rs"]
mod deadlines;
#[path = "../steps/10_measured/head.rs"]
mod head;
#[path = "../steps/10_measured/output.rs"]
mod output;
#[path = "../steps/10_measured/phase.rs"]
mod phase;
#[path = "../steps/10_measured/pools.rs"]
mod pools;
#[path = "../steps/10_measured/receive.rs"]
mod receive;
#[path = "../steps/08_fairness/turns.rs"]
mod turns;

use std::env;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use app::App;
use connection::{Connection, Context};
use deadlines::Moment;
use pools::Pools;
use turns::Budget;

const PLAIN: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const BROWSER: &[u8] = b"GET / HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

fn main() {
    if let Some(rounds) = env::args().nth(1) {
        let request = if env::args().nth(2).as_deref() == Some("browser") { BROWSER } else { PLAIN };
        return serve(request, rounds.parse().expect("it is a number"));
    }
    for kind in ["plain", "browser"] {
        let counts = [(); 2].map(|()| (instructions(1100, kind) - instructions(100, kind)) / 1000);
        println!("{kind}: {} instructions for each request; counted once more: {}", counts[0], same(counts));
    }
    let times = [(); 2].map(|()| {
        let began = Instant::now();
        serve(PLAIN, 100_000);
        began.elapsed().as_nanos() as u64
    });
    println!("plain, in time: {} ns for each request; measured once more: {}", times[0] / 100_000, same(times));
}

fn same(figures: [u64; 2]) -> &'static str {
    if figures[0] == figures[1] { "the same" } else { "another figure" }
}

/// Serves so many requests, one after the other.
fn serve(request: &[u8], rounds: u32) {
    let (mut connection, mut pools) = (Connection::new(), Pools::default());
    let mut app = App { requests: 0, lines: mpsc::channel().1 };
    for _ in 0..rounds {
        connection.room(&mut pools)[..request.len()].copy_from_slice(request);
        connection.received(request.len(), Moment::ZERO);
        let budget = Budget::new(1, Duration::from_secs(1000));
        let (now, draining) = (Moment::ZERO, false);
        connection.advance(&mut Context { now, service: &mut app, pools: &mut pools, budget, draining });
        connection.sent(connection.output().len(), Moment::ZERO);
        connection.settle(&mut pools);
    }
    assert_eq!(app.requests, u64::from(rounds));
}

/// The instructions of a whole run of this program.
fn instructions(rounds: u32, kind: &str) -> u64 {
    let this = env::current_exe().expect("the path of a running program is known");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(this).args([&rounds.to_string(), kind]);
    let output = command.env_clear().env("PATH", env::var_os("PATH").unwrap_or_default()).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, count)| count.trim().parse().ok()).expect("valgrind says what it has counted")
}
