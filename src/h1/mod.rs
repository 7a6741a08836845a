//! The protocol core, sans I/O: bytes and time go in, bytes and wishes come out. Nothing here knows a socket or asks
//! what time it is, so tests drive it byte by byte with a made-up clock.
//!
//! Reading order: `connection` (the phases of a connection, and the steps). The parsers are in `wire`.

mod connection;
#[cfg(feature = "internals")]
pub(crate) mod internals;
// Its application replies with JSON too.
#[cfg(all(any(test, fuzzing), feature = "json"))]
mod tests;

#[cfg(feature = "live")]
pub use connection::PhaseName;
pub(crate) use connection::{Awaited, Budget, Connection, Context, End, Pools, Stall};
#[cfg(all(any(test, fuzzing), feature = "json"))]
pub(crate) use tests::fuzzing;
