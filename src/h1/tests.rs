//! The protocol core, driven without a socket and with a made-up clock.
//!
//! Most of it is tables: (name, bytes in, replies out, what becomes of the connection). Each row is fed whole, byte by
//! byte, cut in two at every place, behind other requests, in front of other bytes, and ended by FIN; the outcome must
//! not depend on it.
//!
//! Reading order: [`bench`] (a session over a pipe), [`reader`] (reads replies, strictly), `table` (runs a row), then the
//! rows.
//!
//! What must hold for all bytes, not only for those of a table: [`play`] (a client of any manners), [`reference`] (the
//! grammar read slowly), [`scripts`] (replies as values), `properties` (random values), [`fuzzing`] (the fuzz targets;
//! each row is a seed of theirs).

#![cfg_attr(not(test), allow(dead_code, reason = "the fuzz targets need only a part of it"))]

mod app;
mod bench;
pub mod fuzzing;
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
mod pipelines;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod rates;
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
