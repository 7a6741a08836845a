//! The protocol core, driven without a socket and with a made-up clock.
//!
//! Most of it is tables: (name, bytes in, replies out, what becomes of the connection). Each row is fed whole, byte by
//! byte, cut in two at every place, behind other requests, in front of other bytes, and ended by FIN; the outcome must
//! not depend on it.
//!
//! Reading order: [`bench`] (a session over a pipe), [`reader`] (reads replies, strictly), [`table`] (runs a row), then
//! the rows.

mod app;
mod bench;
mod bodies;
mod heads;
mod lifetimes;
mod limits;
mod pipelines;
mod rates;
mod reader;
mod replies;
mod table;
mod targets;
mod trailers;
