//! Whole sockets in memory: what an application and its clients see, with virtual time.
//!
//! Reading order: [`probe`] (the application), `opening`, `life`, `sending`, `times`, `rooms`, `slow`, `turns`,
//! `splits`.

mod life;
mod opening;
mod probe;
mod rooms;
mod sending;
mod slow;
mod splits;
mod times;
#[cfg(feature = "json")]
mod turns;
