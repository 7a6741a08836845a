use std::io;

use super::{Abort, CloseReason, Intake, Output, ProtocolEvent, Request, Response, Sent, Trailers};
use crate::http::{Error, Moment, Result, is_plain_json};

/// What becomes of the content of a request whose head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is buffered up to the server's limit; then [`Service::call`] gets the whole request.
    Buffer,
    /// As `Buffer`, up to a limit of its own in bytes.
    BufferUpTo(u64),
    /// [`Service::open`] gets the request, and [`Service::content`] its content as it comes, up to so many bytes.
    Stream(u64),
    /// [`Service::upgrade`] gets the request, whose client offers a protocol that is known here. Only a request without
    /// content can be answered so.
    Upgrade,
    /// [`Service::call`] gets the request at once, without its content: the reply does not depend on it (404, 405).
    Now,
}

/// The name that a [`Service`] gives to something of its own that lives as long as an exchange: a sink or a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveKey(pub u32);

/// The application as the loop sees it. The loop holds a `&mut dyn Service` and is not generic; a
/// [`Router`](crate::Router) implements it, and so can anything else.
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
    /// Called when the head of a request with content has come, or of one that offers another protocol. The request has no
    /// content yet.
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        let _ = request;
        Admission::Buffer
    }

    /// Answers a request.
    ///
    /// # Errors
    /// An error becomes a reply by [`render`](Self::render); what was written before is rolled back.
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent>;

    /// Answers a well-formed request that the server itself refuses (413, 417): the place to add field lines that such
    /// a reply needs too. To refuse with `error` is to return it.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    fn refuse(&mut self, request: Request<'_>, error: Error, response: Response<'_>) -> Result<Sent> {
        let _ = (request, response);
        Err(error)
    }

    /// Writes an error as a reply. Its status and header fields are already set.
    ///
    /// # Errors
    /// If this fails too, a plain reply of the server's own goes out.
    fn render(&mut self, error: &Error, response: Response<'_>) -> Result<Sent> {
        render_json(error, response)
    }

    // ---- content that is taken as it comes --------------------------------------------------------------------------

    /// Takes in a request whose content will come piece by piece: gives the reply, or [puts it off](Response::later), and
    /// names the sink; without one the content is thrown away.
    ///
    /// # Errors
    /// An error refuses the request: it is the reply, and no content comes.
    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let _ = (request, response);
        Err(Error::internal("this service takes no content piece by piece"))
    }

    /// Takes a piece of content.
    ///
    /// # Errors
    /// An error is the reply if none has begun; [`content_abort`](Self::content_abort) is called, and no more content
    /// comes.
    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        let _ = (sink, piece, intake);
        Ok(())
    }

    /// The content is whole. There is a response if it was [put off](Response::later), and then it must be finished.
    ///
    /// # Errors
    /// An error is the reply if none has begun.
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

    /// Takes in a request that asks for another protocol: [switches](Response::switch) to it, and names it;
    /// or answers otherwise.
    ///
    /// # Errors
    /// An error is the reply, and HTTP goes on.
    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let _ = (request, response);
        Err(Error::internal("this service knows no other protocol"))
    }

    /// Something happens to a connection with another protocol. Gives the number of bytes that were understood.
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

    /// Does what other threads have posted, some of it at a time; tells whether there is more. Called when someone has
    /// rung.
    fn run_posted(&mut self, now: Moment) -> bool {
        let _ = now;
        false
    }

    /// Does what is due, some of it at a time; tells when to come again at the latest. Called at the start, then when that
    /// time has come, and after [`run_posted`](Self::run_posted).
    fn run_timers(&mut self, now: Moment) -> Option<Moment> {
        let _ = now;
        None
    }

    /// Closes descriptors that are kept and not needed now, because there is none left for a connection that waits; tells
    /// whether there was any.
    fn free_descriptors(&mut self) -> bool {
        false
    }
}

/// Whoever serves can be lent.
impl<A: Service + ?Sized> Service for &mut A {
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        (**self).admit(request)
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        (**self).call(request, response)
    }

    fn refuse(&mut self, request: Request<'_>, error: Error, response: Response<'_>) -> Result<Sent> {
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
}

/// The default error reply: `{"error":"..."}`.
pub(crate) fn render_json(error: &Error, response: Response<'_>) -> Result<Sent> {
    let response = response.header("Content-Type", "application/json");
    match error.message() {
        plain if is_plain_json(plain) => response.send_joined(["{\"error\":\"", plain, "\"}"]),
        _ => response.send(error.to_json()),
    }
}
