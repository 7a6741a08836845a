//! What all programs of the comparison share: where they listen, and what they answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

/// Content of `GET /plaintext`.
pub const PLAINTEXT: &str = "Hello, World!";

/// Largest content of `POST /echo`, in bytes.
pub const MAX_CONTENT: usize = 1 << 20;

/// Content of `GET /big`: a mebibyte of the letter x.
pub static BIG: [u8; 1 << 20] = [b'x'; 1 << 20];

/// Seconds that a connection may be silent. run.py holds thousands of idle connections for a while.
pub const IDLE_SECONDS: u16 = 3600;

/// The port that the program got as its first argument, on 127.0.0.1.
///
/// # Panics
/// When there is no argument, or it is no port.
pub fn address() -> SocketAddr {
    let port = std::env::args().nth(1).and_then(|port| port.parse().ok()).expect("usage: PROGRAM PORT MODE");
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Numbers N of the table of routes: each has `/api/v1/resourceN/:id` and `/api/v1/resourceN/:id/detail`.
///
/// Empty unless the mode is `routes`. Some routers try one route after the other, or copy their table for each
/// connection. That should count only where routes are compared.
pub fn resources() -> Range<usize> {
    if mode_is("routes") { 0..250 } else { 0..0 }
}

/// Whether clients will pipeline, for the servers that have a setting for it.
pub fn is_pipelined() -> bool {
    mode_is("pipelined")
}

/// The mode is the second argument: `plain`, `pipelined` or `routes`.
fn mode_is(mode: &str) -> bool {
    std::env::args().nth(2).as_deref() == Some(mode)
}
