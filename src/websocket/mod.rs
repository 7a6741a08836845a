//! WebSocket (RFC 6455), with compressed messages (RFC 7692) under the feature `websocket-deflate`.
//!
//! ```text
//!     the client's bytes → Decoder ─┬→ frame  (headers, masking)
//!                                   ├→ utf8   (text that comes in pieces)
//!                                   └→ close  (codes and reasons)
//! ```

#![allow(dead_code, reason = "the sockets that use the codec are not there yet")]

mod assemble;
mod close;
mod decoder;
mod failure;
mod frame;
mod handshake;
mod origins;
#[cfg(test)]
mod tests;
mod utf8;

pub use origins::{OriginList, Origins};
