//! The head of a reply, written as bytes.

mod field_lines;
mod head;
mod interim;
mod rendered;

pub(crate) use field_lines::{FieldLines, PreparedField};
pub(crate) use head::{BodyLength, ContentType, LengthGap, Persistence, ReplyHead};
pub(crate) use interim::{CONTINUE, encode_interim};
pub(crate) use rendered::RenderedLines;
