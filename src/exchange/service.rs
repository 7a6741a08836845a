use std::io;

use super::{Abort, CloseReason, Intake, Output, ProtocolEvent, Request, Response, Sent, Trailers};
use crate::http::{Error, Moment, Result, is_plain_json};

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
/// ```
/// use monoloop::{Request, Response, Result, Sent, Server, exchange::Service};
///
/// struct Counter(u64);
///
/// impl Service for Counter {
///     fn call(&mut self, _: Request<'_>, res: Response<'_>) -> Result<Sent> {
///         self.0 += 1;
///         res.text(format!("You are visitor {}", self.0))
///     }
/// }
///
/// # fn main() -> monoloop::server::Result<()> {
/// let server = Server::bind("127.0.0.1:0")?;
/// # if false {
/// server.run_service(&mut Counter(0))?;
/// # }
/// # Ok(())
/// # }
/// ```
pub trait Service {
    /// Decides what to do with the content. It is called when the head of a request with content has arrived, or of one
    /// that offers another protocol. The request has no content yet.
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        let _ = request;
        Admission::Buffer
    }

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
    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent> {
        let _ = (request, response);
        Err(error)
    }

    /// Writes an error as a reply. The status and the header fields are set already.
    ///
    /// # Errors
    /// If this fails, too, the server sends a plain reply of its own.
    fn render(&mut self, error: &Error, response: Response<'_>) -> Result<Sent> {
        render_json(error, response)
    }

    // ---- content that is taken as it arrives ------------------------------------------------------------------------

    /// Accepts a request whose content will arrive piece by piece. It gives the reply or [puts it
    /// off](Response::later), and returns the key of the sink. Without a sink, the content is discarded.
    ///
    /// # Errors
    /// An error refuses the request. It becomes the reply, and no content is delivered.
    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let _ = (request, response);
        Err(Error::internal("this service takes no content piece by piece"))
    }

    /// Takes a piece of content.
    ///
    /// # Errors
    /// An error becomes the reply if none has begun. [`content_abort`](Self::content_abort) is called, and no more
    /// content is delivered.
    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        let _ = (sink, piece, intake);
        Ok(())
    }

    /// The content is whole. If the reply was [put off](Response::later), there is a response, which must be finished.
    ///
    /// # Errors
    /// An error becomes the reply if none has begun.
    fn content_end(
        &mut self,
        sink: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        let _ = (sink, trailers, response);
        Ok(None)
    }

    /// The content will never be whole.
    fn content_abort(&mut self, sink: LiveKey, why: Abort) {
        let _ = (sink, why);
    }

    // ---- other protocols --------------------------------------------------------------------------------------------

    /// Answers a request that asks for another protocol. It [switches](Response::switch) and returns the key of the
    /// protocol, or gives another reply.
    ///
    /// # Errors
    /// An error becomes the reply, and HTTP goes on.
    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let _ = (request, response);
        Err(Error::internal("this service knows no other protocol"))
    }

    /// Handles an event of a connection with another protocol. Returns the number of bytes that were used.
    ///
    /// # Errors
    /// An error closes the connection.
    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        let _ = (protocol, event);
        out.close();
        Ok(0)
    }

    /// A connection with another protocol has ended.
    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason) {
        let _ = (protocol, why);
    }

    // ---- work that no request asks for ------------------------------------------------------------------------------

    /// Runs a task that another thread has posted, and returns whether there are more. It is called after a post, and
    /// again while there are more and the tick has time for them.
    fn run_posted(&mut self, now: Moment) -> bool {
        let _ = now;
        false
    }

    /// Runs a timer that is due, if there is one, and returns the time of the next call. It is called at the start, at
    /// that time, and after [`run_posted`](Self::run_posted).
    fn run_timers(&mut self, now: Moment) -> Option<Moment> {
        let _ = now;
        None
    }

    /// Closes descriptors that are only cached, and returns whether there were any. It is called when a connection
    /// waits and the process has no free descriptor.
    fn free_descriptors(&mut self) -> bool {
        false
    }

    /// How many descriptors the application may need at once while it answers, to open files for example. If it is not
    /// 0, the server keeps at least as many free: it stops accepting connections before it takes the last descriptors
    /// of the process. It is called once, at the start.
    fn descriptor_reserve(&self) -> usize {
        0
    }
}

/// A borrowed service is a service.
impl<A: Service + ?Sized> Service for &mut A {
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        (**self).admit(request)
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        (**self).call(request, response)
    }

    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent> {
        (**self).refuse(request, error, response)
    }

    fn render(&mut self, error: &Error, response: Response<'_>) -> Result<Sent> {
        (**self).render(error, response)
    }

    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        (**self).open(request, response)
    }

    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        (**self).content(sink, piece, intake)
    }

    fn content_end(
        &mut self,
        sink: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        (**self).content_end(sink, trailers, response)
    }

    fn content_abort(&mut self, sink: LiveKey, why: Abort) {
        (**self).content_abort(sink, why);
    }

    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        (**self).upgrade(request, response)
    }

    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        (**self).protocol(protocol, event, out)
    }

    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason) {
        (**self).protocol_closed(protocol, why);
    }

    fn run_posted(&mut self, now: Moment) -> bool {
        (**self).run_posted(now)
    }

    fn run_timers(&mut self, now: Moment) -> Option<Moment> {
        (**self).run_timers(now)
    }

    fn free_descriptors(&mut self) -> bool {
        (**self).free_descriptors()
    }

    fn descriptor_reserve(&self) -> usize {
        (**self).descriptor_reserve()
    }
}

/// The default error reply: `{"error":"..."}`.
pub(crate) fn render_json(error: &Error, response: Response<'_>) -> Result<Sent> {
    let response = response.header("Content-Type", "application/json");
    match error.message() {
        plain if is_plain_json(plain) => response.send_joined(["{\"error\":\"", plain, "\"}"]),
        _ => response.send(error.to_json()),
    }
}
