//! One exchange: a request, the reply to it, and the trait that stands between the loop and the application.
//!
//! Nothing is written to a socket while application code runs. A [`Response`] writes to the connection's output queue;
//! when the handler fails, panics or finishes nothing, the queue is rolled back to where the exchange began and a clean
//! error reply takes its place.

mod body_writer;
mod channel;
pub(crate) mod close_reason;
mod conduct;
mod endpoint;
mod guard;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod mailbox;
pub(crate) mod observer;
mod pairs;
mod params;
mod protocol;
mod reply;
#[cfg(feature = "files")]
mod representation;
mod request;
mod responder;
mod response;
mod sent;
mod service;
mod sink;
mod sources;
mod stream;
mod touched;

pub use crate::wire::Trailers;
pub(crate) use crate::wire::reply::PreparedField;
pub use body_writer::BodyWriter;
pub use channel::{BodySender, SendError};
pub(crate) use close_reason::CloseReason;
pub(crate) use conduct::{Conducted, admit, conduct};
pub use endpoint::Endpoint;
pub(crate) use endpoint::Endpoints;
pub(crate) use guard::{dispose, guard};
pub(crate) use mailbox::{Address, Answer, Letter, Mailbox, Ticket};
pub use mailbox::{Resumer, Waker};
pub(crate) use observer::{ConnectionId, DrainCause, FinishedReply, Observer, Tick, Timeout, Watch};
pub use pairs::Pairs;
pub(crate) use params::{MAX_PARAMS, Params, Spans};
pub use protocol::{Output, Protocol, ProtocolEvent};
pub(crate) use reply::{Draft, Reply, RequestFacts, Rest, Stage};
#[cfg(feature = "files")]
pub(crate) use representation::Representation;
pub(crate) use request::Received;
pub use request::Request;
pub use responder::Responder;
pub(crate) use responder::Waited;
pub use response::Response;
pub use sent::Sent;
pub(crate) use service::render_json;
pub use service::{Admission, LiveKey, Service};
pub use sink::{Abort, BodySink, Duplex, Intake};
pub use sources::{IterSource, ReadSource, TryIterSource, from_iter, from_reader, try_from_iter};
pub(crate) use stream::{Asked, Stream};
pub use stream::{BodySource, Chunk, Progress};
