//! Restarts that no client notices: of servers behind real proxies, one after the other, and of a server whose port is
//! handed over to the next one. Clients ask all the while, and every request must be answered with a 200.
//!
//! `cargo test` restarts a few times. `MONOLOOP_ROUNDS=100 MONOLOOP_REQUESTS=1000000 cargo test --release --test
//! proxies -- --nocapture --test-threads 1` is the long form; each test prints its figures.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "../support/mod.rs"]
mod support;

mod hand_over;
mod load;
mod proxy;
mod rolling;
mod servers;

use std::env;
use std::time::Duration;

/// The longest time that a restart, or the start of a proxy, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// The number in an environment variable, if it is set.
#[track_caller]
fn number(name: &str) -> Option<usize> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// How often each server is restarted.
fn rounds(default: usize) -> usize {
    number("MONOLOOP_ROUNDS").unwrap_or(default)
}

/// How many requests the clients send at least. They go on for as long as servers are restarted.
fn least_requests() -> usize {
    number("MONOLOOP_REQUESTS").unwrap_or(2_000)
}
