//! One exchange: a request, the reply to it, and the trait that stands between the loop and the application.
//!
//! Nothing is written to a socket while application code runs. A [`Response`] writes to the connection's output queue;
//! when the handler fails, panics or finishes nothing, the queue is rolled back to where the exchange began and a clean
//! error reply takes its place.

mod body_writer;
mod close_reason;
mod conduct;
mod encode;
mod endpoint;
mod guard;
mod head;
#[cfg(feature = "internals")]
pub(crate) mod internals;
mod observer;
mod pairs;
mod params;
mod reply;
mod request;
mod response;
mod service;
mod trailers;

pub use body_writer::BodyWriter;
pub use close_reason::CloseReason;
pub(crate) use conduct::{admit, conduct};
pub use endpoint::{Endpoint, Endpoints};
pub(crate) use guard::{dispose, guard};
pub use head::Head;
pub(crate) use observer::Watch;
pub use observer::{ConnectionId, DrainCause, FinishedReply, Observer, Tick, Timeout};
pub use pairs::Pairs;
pub(crate) use params::{MAX_PARAMS, Params, Spans, decode_segment};
pub use reply::Reply;
pub(crate) use reply::{PreparedField, RequestFacts};
pub(crate) use request::Received;
pub use request::Request;
pub use response::{Response, Sent};
pub(crate) use service::render_json;
pub use service::{Admission, Service};
pub use trailers::Trailers;
