//! Buffers. An idle connection owns none: it borrows one from a [`Pool`] when bytes come or go and gives it back when
//! it holds nothing any more.

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
