//! What a request costs in system calls, counted by strace. The difference between a short run and a long one is the
//! cost of the requests between them, so start and end do not count.
//!
//!     cargo run -q --bin see_calls -- PROGRAM [DEPTH]
//!
//! DEPTH requests are sent at a time. The next ones are sent when the server sleeps. Otherwise the count would depend
//! on which of the two is faster.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use course::{PATIENCE, Server, build, read_reply};

/// The calls that concern sockets and sleep.
const CALLS: [&str; 5] = ["epoll_wait", "recvfrom", "sendto", "write", "writev"];
const ROUNDS: [u64; 2] = [20, 120];

fn main() {
    let program = env::args().nth(1).unwrap_or("10_measured".into());
    let depth: u64 = env::args().nth(2).map_or(1, |depth| depth.parse().expect("DEPTH is a number"));
    let [short, long] = ROUNDS.map(|rounds| count(&build(&program), rounds, depth as usize));
    println!("{program}, {depth} at a time: calls for each request");
    for call in CALLS {
        let difference = long.get(call).unwrap_or(&0) - short.get(call).unwrap_or(&0);
        if difference > 0 {
            // A poll or two are for timers, if the machine is slow. They are rounded away.
            let cost = difference as f64 / ((ROUNDS[1] - ROUNDS[0]) * depth) as f64;
            println!("{call:>12} {cost:.digits$}", digits = if cost > 0.5 { 1 } else { 2 });
        }
    }
}

/// Serves so many rounds of requests under strace, and returns how often each system call was made.
fn count(program: &Path, rounds: u64, depth: usize) -> BTreeMap<String, u64> {
    let table = env::temp_dir().join(format!("see_calls-{}", process::id()));
    let mut command = Command::new("strace");
    command.args(["-f", "-c", "-o"]).arg(&table).arg(program).args(["127.0.0.1:0", "1"]);
    let server = Server::spawn(command);
    let mut client = server.connect();
    let requests = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(depth);
    for _ in 0..rounds {
        wait_until_asleep(&server);
        client.write_all(requests.as_bytes()).expect("the kernel takes it");
        (0..depth).for_each(|_| drop(read_reply(&mut client).expect("the server answers")));
    }
    wait_until_asleep(&server);
    drop(client);
    server.finish();
    let text = fs::read_to_string(&table).expect("strace has written it");
    fs::remove_file(&table).expect("it is ours");
    // A line is `% time, seconds, usecs/call, calls, errors (perhaps), syscall`.
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines.filter_map(|words| Some((words.last()?.to_string(), words.get(3)?.parse().ok()?))).collect()
}

/// Waits until the thread of the loop sleeps. It makes no other call that can sleep.
fn wait_until_asleep(server: &Server) {
    let strace = server.pid();
    let children = fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).expect("Linux has it");
    let child = children.split_whitespace().next().expect("strace has a child");
    let end = Instant::now() + PATIENCE;
    loop {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).expect("it runs");
        // After the name, which is in parentheses.
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
        assert!(Instant::now() < end, "the server does not come to rest");
        thread::sleep(Duration::from_micros(100));
    }
}
