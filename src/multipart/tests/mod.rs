//! The decoder, driven without a connection; and, in `routes` and `stored`, whole forms.
//!
//! Most tests of the decoder are tables: (name, body, parts, how it ends). Each row is fed whole, byte by byte, and cut
//! in two at every place, and the outcome must be the same. [`reference`] reads a body slowly, and is the judge for any
//! bytes in [`fuzzing`].

#![cfg_attr(not(test), allow(dead_code, reason = "the fuzz target needs only a part of it"))]

#[cfg(test)]
mod bodies;
pub(crate) mod fuzzing;
#[cfg(test)]
mod headers;
mod play;
#[cfg(test)]
mod properties;
mod reference;
#[cfg(test)]
mod routes;
#[cfg(test)]
mod stored;
