//! What goes on before and after the call of a handler: streamed content, deferred replies, sinks that take content as
//! it arrives, other protocols, and the mailbox by which other threads reach the loop.
//!
//! The call and the flow need each other, so the files here and those beside this folder form a circle. A
//! [`Response`](super::Response) begins a stream or is deferred, and its `Reply` holds the mailbox. A deferred answer
//! is a function of a `Response` and lies in that mailbox, and the end of a sink gets a `Response`, too.

mod begin;
mod channel;
mod mailbox;
mod outbox;
mod output;
mod protocol;
mod reader;
mod responder;
mod sink;
mod sources;
mod stream;
mod ticket;

pub use channel::{BodySender, SendError};
pub(crate) use mailbox::{Address, Answer, Letter, Mailbox};
pub use mailbox::{Resumer, Waker};
pub use outbox::LocalWaker;
pub(crate) use outbox::Outbox;
pub use output::Output;
pub(crate) use output::{LAST_ALARM, Surroundings, Wishes};
pub use protocol::{Protocol, ProtocolEvent};
pub use reader::{ContentReader, ReadSink, to_reader};
pub use responder::Responder;
pub(crate) use responder::Waited;
pub use sink::{Abort, BodySink, Duplex, Intake};
pub use sources::{IterSource, ReadSource, TryIterSource, from_iter, from_reader, try_from_iter};
pub use stream::{BodySource, Chunk, Progress};
pub(crate) use stream::{Circumstances, Stream};
pub(crate) use ticket::Ticket;
