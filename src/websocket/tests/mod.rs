//! The codec, driven without a connection; and, in `sockets`, whole sockets.
//!
//! Most tests are tables: (name, frames, events, what becomes of the connection). Each row is fed whole, byte by byte,
//! and cut in two at every place, also after another frame and before one. The outcome must not depend on how the bytes
//! come, and a fault must show at the first byte that has it.
//!
//! Reading order: [`play`] (feeds a decoder), `table` (runs a row), then the rows. [`reference`] reads a stream slowly,
//! and is the judge for any bytes in [`fuzzing`] and `properties`.

#![cfg_attr(not(test), allow(dead_code, reason = "the fuzz target needs only a part of it"))]

pub(crate) mod fuzzing;
mod play;
mod reference;

#[cfg(test)]
mod autobahn;
#[cfg(test)]
mod autobahn_text;
#[cfg(all(test, feature = "websocket-deflate"))]
mod compressed;
#[cfg(test)]
mod frames;
#[cfg(test)]
mod handshakes;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod sockets;
#[cfg(test)]
mod table;
