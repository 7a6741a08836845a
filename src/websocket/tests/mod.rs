//! The codec, driven without a connection.

mod frames;
