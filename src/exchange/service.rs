use super::{Request, Response, Sent};
use crate::http::{Error, Result};

/// What becomes of the content of a request whose head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is buffered up to the server's limit; then [`Service::call`] gets the whole request.
    Buffer,
    /// [`Service::call`] gets the request at once, without its content: the reply does not depend on it (404, 405).
    Now,
}

/// The application as the loop sees it. The loop holds a `&mut dyn Service` and is not generic; a
/// [`Router`](crate::Router) implements it, and so can anything else.
///
/// ```
/// use monoloop::{Request, Response, Result, Sent, Server, server::Service};
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
    /// Called when the head of a request with content has come. The request has no content yet.
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
}

/// The default error reply: `{"error":"..."}`.
pub(crate) fn render_json(error: &Error, response: Response<'_>) -> Result<Sent> {
    response.header("Content-Type", "application/json").send(error.to_json())
}
