//! The head of a request: its bytes are parsed, checked, and given a meaning.

pub(crate) mod authority;
mod field_section;
mod fields_read;
mod framing;
pub(crate) mod head;
mod message;
mod request_line;
mod scan;
pub(crate) mod target;

#[cfg(feature = "live")]
pub(crate) use framing::FramingFields;
pub(crate) use framing::{Expectation, Framing};

pub(crate) use message::{Head, Message};
