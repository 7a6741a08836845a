//! How HTTP/1.1 looks as bytes: the parsers of requests, and beside them the encoders of replies.
//!
//! | | from bytes (a request) | to bytes (a reply) |
//! |---|---|---|
//! | head | [`request`] | [`reply`] |
//! | content and chunks | `body/decoder.rs` | `body/encoder.rs` |
//! | trailer section | `body/trailers.rs` | `body/trailers.rs` |
//!
//! Nothing here knows a connection or a handler, or reads a clock. A parser that refuses a message says why by a
//! [`ProtocolError`].

pub(crate) mod body;
mod error;
pub(crate) mod reply;
pub(crate) mod request;

pub use body::Trailers;
pub(crate) use error::ProtocolError;
#[cfg(feature = "live")]
pub(crate) use request::FramingFields;
pub(crate) use request::head::Scratch;
pub(crate) use request::{Expectation, Framing, Head, Message, head};
