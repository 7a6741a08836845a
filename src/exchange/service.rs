use std::io;

use super::{
    Abort, CloseReason, Intake, LoopControl, Outgoing, Output, ProtocolEvent, Request, Response, Sent, Trailers,
};
use crate::http::{Error, Moment, Result};

/// What to do with the content of a request whose head has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// The content is buffered up to the server's limit. Then [`Service::call`] gets the whole request.
    Buffer,
    /// As `Buffer`, up to this limit in bytes.
    BufferUpTo(u64),
    /// [`Service::open`] gets the request, and [`Service::content`] its content as it arrives, up to this limit in
    /// bytes.
    Stream(u64),
    /// [`Service::upgrade`] gets the request, which offers a protocol that this service knows. It is only for a request
    /// without content.
    Upgrade,
    /// [`Service::call`] gets the request at once, without its content, because the reply does not need it (404, 405).
    Now,
}

/// The key by which a [`Service`] finds a sink or a protocol of its own, as long as the exchange lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveKey(pub u32);

/// The application as the loop sees it. The loop holds a `&mut dyn Service`, so it is not generic.
/// [`Router`](crate::Router) implements this trait, and a type of your own can do so, too.
///
/// No method has a default, so that a service in front of another cannot forget to pass something on. Two shorter ways
/// lead to a service. [`service_fn`](super::service_fn) makes one of a closure. A [`Delegate`](super::Delegate) passes
/// on to another service whatever it does not do itself.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no application",
    label = "an application is a `Router<S>`, or another type that implements `exchange::Service`",
    note = "a function that takes a test client says so: `client: &mut TestClient<Router<S>>`, where `S` is the state"
)]
pub trait Service {
    /// Decides what to do with the content. It is called when the head of a request with content has arrived, or of one
    /// that offers another protocol. The request has no content yet.
    fn admit(&mut self, request: &Request<'_>) -> Admission;

    /// Answers a request.
    ///
    /// # Errors
    /// [`render`](Self::render) makes a reply of an error. What was written before is rolled back.
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent>;

    /// Answers what the server itself refuses: a well-formed request (413, 417, 503), or a message of which no request
    /// was made (400, 408, 414, 431, 501, 503, 505). It can add field lines to such a reply. It returns `error` to
    /// refuse the request with it.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent>;

    /// Writes an error as a reply. The status and the header fields are set already.
    /// [`render_error`](super::render_error) does it as usual.
    ///
    /// There is no request if none was made of the message, or if the reply was put off.
    ///
    /// # Errors
    /// If this fails, too, the server sends a plain reply of its own.
    fn render(&mut self, error: &Error, request: Option<Request<'_>>, response: Response<'_>) -> Result<Sent>;

    /// Sees a reply before it is sent, if the service has [held](crate::router::Routes::after) it, and may change it.
    fn outgoing(&mut self, request: Request<'_>, reply: &mut Outgoing<'_>);

    // ---- content that is taken as it arrives ------------------------------------------------------------------------

    /// Accepts a request whose content will arrive piece by piece. It gives the reply or [puts it
    /// off](Response::later), and returns the key of the sink. Without a sink, the content is discarded.
    ///
    /// # Errors
    /// An error refuses the request. It becomes the reply, and no content is delivered.
    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)>;

    /// Takes a piece of content.
    ///
    /// # Errors
    /// An error becomes the reply if none has begun. [`content_abort`](Self::content_abort) is called, and no more
    /// content is delivered.
    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()>;

    /// The content is whole. If the reply was [put off](Response::later), there is a response, which must be finished.
    ///
    /// # Errors
    /// An error becomes the reply if none has begun.
    fn content_end(
        &mut self,
        sink: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>>;

    /// The content will never be whole.
    fn content_abort(&mut self, sink: LiveKey, why: Abort);

    // ---- other protocols --------------------------------------------------------------------------------------------

    /// Answers a request that asks for another protocol. It [switches](Response::switch) and returns the key of the
    /// protocol, or gives another reply.
    ///
    /// # Errors
    /// An error becomes the reply, and HTTP goes on.
    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)>;

    /// Handles an event of a connection with another protocol. Returns the number of bytes that were used.
    ///
    /// # Errors
    /// An error closes the connection.
    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize>;

    /// A connection with another protocol has ended.
    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason);

    // ---- work that no request asks for ------------------------------------------------------------------------------

    /// The loop begins to serve this application. It can keep `control`, to ask something of the loop from any thread.
    /// This is called once, before all else.
    fn begin(&mut self, control: &LoopControl);

    /// Runs a task that another thread has posted, and returns whether there are more. It is called after a post, and
    /// again while there are more and the tick has time for them.
    fn run_posted(&mut self, now: Moment) -> bool;

    /// Runs a timer that is due, if there is one, and returns the time of the next call. It is called at the start, at
    /// that time, and after [`run_posted`](Self::run_posted).
    fn run_timers(&mut self, now: Moment) -> Option<Moment>;

    /// Closes descriptors that are only cached, and returns whether there were any. It is called when a connection
    /// waits and the process has no free descriptor.
    fn free_descriptors(&mut self) -> bool;

    /// How many descriptors the application may need at once while it answers, to open files for example. If it is not
    /// 0, the server keeps at least as many free: it stops accepting connections before it takes the last descriptors
    /// of the process. It is called once, at the start.
    fn descriptor_reserve(&mut self) -> usize;
}
