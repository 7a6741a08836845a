//! Tests of the encoder, whose output an independent reader checks, and of streams to clients in memory.

mod encoding;
mod reader;
mod streams;
