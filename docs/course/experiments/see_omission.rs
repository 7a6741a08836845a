//! One server, one stall of half a second, two ways to measure.
//!
//!     cargo run -q --bin see_omission
//!
//! A client is to send a request each five milliseconds, two hundred in all. It waits for each reply before it sends
//! the next request, as most benchmarks do. So while the server is stalled it sends nothing, and what it would have
//! waited for is missing from its figures.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use course::{Server, read_reply};

const PERIOD: Duration = Duration::from_millis(5);
const COUNT: u32 = 200;
const STALL: u32 = 100;
/// A wait from here on is one that a user notices.
const LONG: Duration = Duration::from_millis(100);

fn main() {
    let server = Server::start("10_measured", 1);
    let mut client = server.connect();
    let (mut since_sent, mut since_due) = (Vec::new(), Vec::new());
    let start = Instant::now();
    for i in 0..COUNT {
        let due = start + PERIOD * i;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        let target = if i == STALL { "/block/500" } else { "/" };
        client.write_all(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).expect("the kernel takes it");
        read_reply(&mut client).expect("the server answers");
        since_sent.push(sent.elapsed());
        since_due.push(due.elapsed());
    }
    drop(client);
    server.finish();
    for (name, mut times) in [("from when it was sent", since_sent), ("from when it was due ", since_due)] {
        times.sort();
        let long = times.iter().filter(|time| **time >= LONG).count();
        println!("{name}: {} of {COUNT} requests took long", if long == 1 { "1".to_owned() } else { more_than(long) });
        println!("  the median: {}; the 99th percentile: {}", word(times[99]), word(times[197]));
    }
}

/// A count that differs from run to run, in steps of fifty.
fn more_than(count: usize) -> String {
    format!("more than {}", (count - 1) / 50 * 50)
}

fn word(time: Duration) -> &'static str {
    if time >= LONG { "long" } else { "short" }
}
