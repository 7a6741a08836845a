//! What goes on while the handler is not called: content that is streamed, replies that are deferred, content that comes
//! piece by piece, other protocols, and the mailbox by which other threads reach the loop.
//!
//! The call and the flow need each other. A [`Response`](super::Response) begins a stream or is deferred; a deferred
//! answer and the end of a sink get a `Response` again. So this folder and the files beside it name each other, in these
//! two places only.

mod begin;
mod channel;
mod mailbox;
mod protocol;
mod responder;
mod sink;
mod sources;
mod stream;
mod ticket;

pub use channel::{BodySender, SendError};
pub(crate) use mailbox::{Address, Answer, Letter, Mailbox};
pub use mailbox::{Resumer, Waker};
pub use protocol::{Output, Protocol, ProtocolEvent};
pub use responder::Responder;
pub(crate) use responder::Waited;
pub use sink::{Abort, BodySink, Duplex, Intake};
pub use sources::{IterSource, ReadSource, TryIterSource, from_iter, from_reader, try_from_iter};
pub(crate) use stream::{Asked, Stream};
pub use stream::{BodySource, Chunk, Progress};
pub(crate) use ticket::Ticket;
