//! Buffers. An idle connection owns none. It borrows one from a [`Pool`] when bytes arrive or leave, and gives it back
//! when the buffer is empty again.

mod file;
mod output;
mod pace;
mod pool;
mod receive;

pub use file::FileRange;
pub use output::{Content, OutputQueue};
pub(crate) use output::{Front, Mark, ReplyRecord};
pub(crate) use pace::Pace;
pub use pool::{Pool, Pooled};
pub use receive::Receive;
