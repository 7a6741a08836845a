//! Recordings: what a server has done, written down so that it can be done once more.
//!
//! A connection is a state machine without a socket and without a clock: what it does follows from the bytes that it
//! reads, from the times that it is told, and from the application. A [`Recorder`] writes all of that down while a
//! server runs. A [`Recording`] gives it to the same state machine again, turn by turn, and compares what comes of it.
//! So a recording is a bug report and a regression test.
//!
//! The command does both: `monoloop demo --record FILE` and `monoloop replay FILE`.
//!
//! ```text
//!     Socket ─ Taped ─▶ Sessions ─ Witness ─▶ Scribe ─ lines ─▶ Writer ─ Outlet ─▶ thread ─▶ file
//!                                                                                             │
//!     Replayed ───────▶ Sessions ─ Witness ─▶ Scribe ─ lines ─▶ Player ◀──────────────────────┘  compares them
//! ```
//!
//! Reading order: `scribe` (the lines), `tape` (what records), `writer` (what hands the lines to a thread), `recorder`
//! (what begins it), `reading` (a recording that was read), `player` (what compares), `replayed` (what answers in the
//! place of a socket), `replay` (what drives it), `step` (what is shown). `place` opens files.

mod line;
mod mask;
mod place;
mod player;
mod reading;
mod recorder;
mod replay;
mod replayed;
mod request_mask;
mod scribe;
mod settings;
mod shapes;
mod step;
mod tape;
mod writer;

pub use mask::SECRET_FIELDS;
pub use player::Mismatch;
pub use reading::{Ending, Recording, Unusable};
pub use recorder::Recorder;
pub(crate) use recorder::Tape;
pub use replay::Outcome;
pub use step::Step;
pub(crate) use tape::Taped;
pub(crate) use writer::{Outlet, Refused};
