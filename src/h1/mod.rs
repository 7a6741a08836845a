//! The protocol core, sans I/O: bytes and time go in, bytes and wishes come out. Nothing here knows a socket or asks
//! what time it is, so tests drive it byte by byte with a made-up clock.
//!
//! Reading order: `connection` (the two state machines), `state` (their joint table), `head` and what it calls,
//! `body`.

mod authority;
mod body;
mod connection;
mod error;
mod field_section;
mod framing;
mod head;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod request_line;
mod scan;
mod target;
// Its application replies with JSON too.
#[cfg(all(any(test, fuzzing), feature = "json"))]
mod tests;

pub(crate) use connection::{Budget, Connection, Context, End, Pools, Scratch, Stall};
#[cfg(all(any(test, fuzzing), feature = "json"))]
pub use tests::fuzzing;
