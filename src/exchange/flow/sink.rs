//! Content that is taken while it comes.

use std::fmt;

use super::mailbox::{Address, Resumer};
use crate::exchange::{Response, Sent, Trailers};
use crate::http::Result;

/// Takes the content of a request piece by piece: see [`Routes::sink`](crate::router::Routes::sink).
///
/// After [`data`](Self::data) was called any number of times, either [`end`](Self::end) or [`abort`](Self::abort) is,
/// exactly once.
///
/// ```
/// use monoloop::{Error, Method, Request, Response, Result, Router, Sent};
/// use monoloop::exchange::{BodySink, Intake, Trailers};
///
/// struct Lines(usize);
///
/// impl BodySink<()> for Lines {
///     fn data(&mut self, _: &mut (), piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
///         self.0 += piece.iter().filter(|&&byte| byte == b'\n').count();
///         Ok(())
///     }
///
///     fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
///         res.text(format!("{} lines\n", self.0))
///     }
/// }
///
/// let mut app = Router::new(());
/// app.sink(Method::Post, "/lines", |_, req| match req.header("content-type") {
///     Some("text/plain") => Ok(Lines(0)),
///     _ => Err(Error::new(415, "Only text has lines")),        // refused at the head: no content is read
/// });
/// ```
#[doc(alias = "upload")]
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait BodySink<S> {
    /// Takes a piece, of any size but empty.
    ///
    /// # Errors
    /// An error is the reply; no more content comes, and [`abort`](Self::abort) is called.
    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()>;

    /// The content is whole: gives the reply.
    ///
    /// # Errors
    /// An error is the reply.
    fn end(self: Box<Self>, state: &mut S, trailers: Trailers<'_>, res: Response<'_>) -> Result<Sent>;

    /// The content will never be whole.
    fn abort(self: Box<Self>, state: &mut S, why: Abort) {}
}

/// Takes the content of a request whose reply has begun already, at its head: see
/// [`Routes::duplex`](crate::router::Routes::duplex).
///
/// After [`data`](Self::data) was called any number of times, either [`end`](Self::end) or [`abort`](Self::abort) is,
/// exactly once.
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait Duplex<S> {
    /// Takes a piece, of any size but empty.
    ///
    /// # Errors
    /// As [`BodySink::data`] if the reply was [deferred](Response::defer) and not given yet. One that has begun cannot be
    /// taken back: the connection is aborted; one that is whole is sent, and then the connection closes.
    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()>;

    /// The content is whole. The reply may go on.
    ///
    /// # Errors
    /// As [`data`](Self::data).
    fn end(self: Box<Self>, state: &mut S, trailers: Trailers<'_>) -> Result<()>;

    /// The content will never be whole.
    fn abort(self: Box<Self>, state: &mut S, why: Abort) {}
}

impl<S, T: BodySink<S> + ?Sized> BodySink<S> for Box<T> {
    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        (**self).data(state, piece, intake)
    }

    fn end(self: Box<Self>, state: &mut S, trailers: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        (*self).end(state, trailers, res)
    }

    fn abort(self: Box<Self>, state: &mut S, why: Abort) {
        (*self).abort(state, why);
    }
}

impl<S, T: Duplex<S> + ?Sized> Duplex<S> for Box<T> {
    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        (**self).data(state, piece, intake)
    }

    fn end(self: Box<Self>, state: &mut S, trailers: Trailers<'_>) -> Result<()> {
        (*self).end(state, trailers)
    }

    fn abort(self: Box<Self>, state: &mut S, why: Abort) {
        (*self).abort(state, why);
    }
}

/// Why content will never be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Abort {
    /// The client is gone, or has closed its side in the middle.
    ClientGone,
    /// It came too slowly, or who had paused it did not go on with it.
    TimedOut,
    /// It broke a rule of HTTP.
    Malformed,
    /// It is longer than the route allows.
    TooLarge,
    /// The application has failed: this sink by an error or a panic, or the source of the reply.
    Failed,
    /// The server was cut off before it came to its end.
    Cut,
}

/// The flow of content into a sink.
pub struct Intake<'a> {
    address: &'a Address,
    pauses: &'a mut u32,
}

impl<'a> Intake<'a> {
    pub(crate) const fn new(address: &'a Address, pauses: &'a mut u32) -> Self {
        Self { address, pauses }
    }

    /// After this piece no more comes until the [`Resumer`] is used or dropped: the socket is not read, so the client has
    /// to wait too. If nobody resumes within [`Config::reply_timeout`](crate::Config::reply_timeout), the exchange ends.
    ///
    /// Pausing twice needs both to go on.
    pub fn pause(&mut self) -> Resumer {
        *self.pauses += 1;
        Resumer::new(self.address.clone())
    }
}

impl fmt::Debug for Intake<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Intake(paused: {})", *self.pauses > 0)
    }
}
