//! The encoder, judged by a reader of its own; and streams, driven through clients in memory.

mod encoding;
mod reader;
mod streams;
