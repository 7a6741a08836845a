//! The protocol core, driven without a socket and with a simulated clock.
//!
//! Most tests are tables: (name, bytes in, replies out, what becomes of the connection). Each row is fed whole, byte by
//! byte, and cut in two at every place. It is also fed after other requests, before other bytes, and ended by FIN. The
//! outcome must not depend on how the bytes come.
//!
//! Reading order: [`bench`] (a session over a pipe), [`reader`] (reads replies, strictly), `table` (runs a row), then
//! the rows.
//!
//! Some things must hold for all bytes, not only for those of a table. [`play`] is a client with any habits,
//! [`reference`] reads the grammar slowly, and [`scripts`] has replies as values. `properties` tries random values.
//! [`fuzzing`] has the fuzz targets, and each row is a seed for them.

#![cfg_attr(not(test), allow(dead_code, reason = "the fuzz targets need only a part of it"))]

mod app;
mod bench;
pub(crate) mod fuzzing;
mod live;
mod play;
mod reader;
mod reference;
mod scripts;

#[cfg(test)]
mod bodies;
#[cfg(test)]
mod bytes;
#[cfg(test)]
mod chunks;
#[cfg(test)]
mod deferred;
#[cfg(test)]
mod duplex;
#[cfg(test)]
mod expectations;
#[cfg(test)]
mod fields;
#[cfg(all(test, feature = "files"))]
mod files;
#[cfg(test)]
mod framing;
#[cfg(test)]
mod heads;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod memory;
#[cfg(all(test, feature = "live", feature = "websocket"))]
mod observers;
#[cfg(test)]
mod pipelines;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rates;
#[cfg(test)]
mod records;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod sinks;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod table;
#[cfg(test)]
mod targets;
#[cfg(test)]
mod trailers;
#[cfg(test)]
mod upgrades;
#[cfg(test)]
mod wishes;
