//! How HTTP/1.1 looks as bytes: the parsers of requests, and beside them the encoders of replies.
//!
//! Nothing here knows a connection, a handler or the time. What is wrong with a message is a [`ProtocolError`].

pub(crate) mod body;
mod error;
pub(crate) mod reply;
pub(crate) mod request;

pub use body::Trailers;
pub(crate) use error::ProtocolError;
pub(crate) use request::{Expectation, Framing, Head, KnownAuthority, Message, head};
