//! The server: sockets, signals, the clock and the event loop. Only this module uses mio.
//!
//! Reading order: `setup` (a server before it runs), `running`, `event_loop` (the tick), `accept`, `drain`; then
//! `workers`, which runs several loops. The code for what a tick does with a session is in `sessions/`.

mod accept;
mod access_log;
mod clock;
mod control;
mod descriptors;
mod drain;
mod error;
mod event_loop;
mod hook;
#[cfg(feature = "live")]
mod inspection;
mod laps;
mod listener;
mod log_writer;
mod memory;
#[cfg(feature = "live")]
mod recordable;
#[cfg(feature = "live")]
mod recorded;
mod running;
mod setup;
#[cfg(feature = "signals")]
mod signals;
mod socket;
mod stopping;
mod tasks;
#[cfg(test)]
mod tests;
mod timed;
mod workers;

// Connections tell the observer and read the clock, so these are defined in a lower folder. Users look for them beside
// the server.
pub use crate::exchange::clock::Clock;
pub use crate::exchange::close_reason::CloseReason;
#[cfg(feature = "live")]
pub use crate::exchange::observer::ObserverId;
pub use crate::exchange::observer::{
    ConnectionId, DrainCause, FinishedReply, MessageRecord, Observer, ProtocolClose, Tick, Timeout,
};
#[cfg(feature = "live")]
pub use crate::h1::PhaseName;
// A router gives its handle before there is a server.
pub use crate::router::handle::Handle;
#[cfg(feature = "live")]
pub use crate::sessions::{ConnectionView, PoolView, Queue, QueueLengths};
pub use access_log::{AccessLog, LogFormat};
pub use clock::SystemClock;
pub use error::{Error, Result};
pub use hook::Decision;
#[cfg(feature = "live")]
pub use inspection::{DrainStage, Inspection};
#[cfg(feature = "live")]
pub use laps::{PartTime, PartTimes};
pub use log_writer::LogWriter;
pub use running::Running;
pub use setup::{Server, serve};
pub use workers::{RunningWorkers, Workers, WorkersHandle};
