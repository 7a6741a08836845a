//! Buffers. An idle connection owns none. It borrows one from a pool when bytes arrive or leave, and gives it back
//! when the buffer is empty again.

mod content;
#[cfg_attr(not(feature = "files"), allow(dead_code, reason = "only static files are sent from a descriptor"))]
mod file;
mod ledger;
mod output;
mod pace;
mod pool;
mod receive;
mod record;

pub use content::Content;
pub(crate) use file::FileRange;
pub(crate) use ledger::{Charge, Ledger};
pub(crate) use output::{Front, Mark, OutputQueue, Tail};
pub(crate) use pace::Pace;
pub(crate) use pool::{Pool, Pooled, cost, free, piece_apart};
pub(crate) use receive::Receive;
pub(crate) use record::{Account, ReplyRecord};
