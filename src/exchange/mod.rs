//! One exchange: a request, the reply to it, and the trait between the loop and the application.
//!
//! Nothing is written to a socket while application code runs. A [`Response`] writes to the output queue of the
//! connection. If the handler fails, panics or finishes nothing, the queue is rolled back to the beginning of the
//! exchange, and a clean error reply takes the place of the handler's.

mod attachment;
mod body_writer;
mod call;
pub(crate) mod clock;
pub(crate) mod close_reason;
mod conditions;
mod content;
mod control;
mod cookie;
mod cookies;
mod data;
mod delegate;
mod draft;
mod draining;
mod endpoint;
mod error_page;
#[cfg(feature = "json")]
mod fault;
mod flow;
mod from_param;
mod guard;
mod held;
#[cfg(feature = "internals")]
pub(crate) mod internals;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
mod json_lines;
#[cfg(feature = "json")]
mod json_path;
mod kept;
#[cfg(feature = "json")]
mod named_texts;
mod negotiate;
pub(crate) mod observer;
mod outgoing;
mod pairs;
mod params;
mod reply;
#[cfg(feature = "files")]
mod represent;
#[cfg(feature = "files")]
mod representation;
mod request;
mod response;
mod sent;
mod service;
#[cfg(test)]
mod tests;
mod touched;
#[cfg(feature = "json")]
mod typed;

pub use crate::wire::Trailers;
pub(crate) use crate::wire::reply::PreparedField;
pub use body_writer::BodyWriter;
pub(crate) use call::{Called, admit, call_guarded, log_error};
pub(crate) use clock::{Clock, real_time};
pub(crate) use close_reason::CloseReason;
pub(crate) use control::Controlled;
pub use control::LoopControl;
pub use cookie::{Cookie, SameSite};
pub(crate) use data::Data;
pub use delegate::{Delegate, Nothing, ServiceFn, service_fn};
pub(crate) use draft::{Draft, RequestFacts, Stage};
pub(crate) use draining::Draining;
pub use endpoint::Endpoint;
pub(crate) use endpoint::Endpoints;
pub use error_page::render_error;
pub use flow::{
    Abort, BodySender, BodySink, BodySource, Chunk, ContentReader, Duplex, Intake, IterSource, LocalWaker, Output,
    Progress, Protocol, ProtocolEvent, ReadSink, ReadSource, Responder, Resumer, SendError, TryIterSource, Waker,
    from_iter, from_reader, to_reader, try_from_iter,
};
pub(crate) use flow::{
    Address, Answer, Circumstances, LAST_ALARM, Letter, Mailbox, Outbox, Stream, Surroundings, Ticket, Waited, Wishes,
};
pub use from_param::FromParam;
pub(crate) use guard::{dispose, guard};
pub(crate) use observer::{
    ConnectionId, DrainCause, FinishedReply, MessageRecord, Observer, ProtocolClose, Tick, Timeout, Watch,
};
pub use outgoing::Outgoing;
pub use pairs::Pairs;
pub(crate) use params::{MAX_PARAMS, Params, Spans};
pub(crate) use reply::{Reply, Rest};
#[cfg(feature = "files")]
pub(crate) use representation::Representation;
pub(crate) use request::Received;
pub use request::Request;
pub use response::Response;
pub use sent::Sent;
pub use service::{Admission, LiveKey, Service};
