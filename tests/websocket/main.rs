//! The WebSockets of the demo, with clients that people use, alone and through proxies.
//!
//! The clients are scripts beside this file. Each has the same cases: what comes back, pings, how a socket ends, and
//! the stop of the server.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod demo;
mod proxies;
