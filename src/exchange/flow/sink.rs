//! Content that the application takes while it arrives.

use std::fmt;

use super::mailbox::{Address, Resumer};
use crate::exchange::{Response, Sent, Trailers};
use crate::http::Result;

/// Takes the content of a request piece by piece: see [`Routes::sink`](crate::router::Routes::sink).
///
/// [`data`](Self::data) is called any number of times, and then either [`end`](Self::end) or [`abort`](Self::abort),
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
    /// Takes a piece, which may be short but is not empty.
    ///
    /// # Errors
    /// An error becomes the reply. No more content is delivered, and [`abort`](Self::abort) is called.
    fn data(&mut self, state: &mut S, piece: &[u8], intake: &mut Intake<'_>) -> Result<()>;

    /// Gives the reply, when the content is whole.
    ///
    /// # Errors
    /// An error becomes the reply.
    fn end(self: Box<Self>, state: &mut S, trailers: Trailers<'_>, res: Response<'_>) -> Result<Sent>;

    /// The content will never be whole.
    fn abort(self: Box<Self>, state: &mut S, why: Abort) {}
}

/// Takes the content of a request whose reply began at its head already: see
/// [`Routes::duplex`](crate::router::Routes::duplex).
///
/// [`data`](Self::data) is called any number of times, and then either [`end`](Self::end) or [`abort`](Self::abort),
/// exactly once.
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait Duplex<S> {
    /// Takes a piece, which may be short but is not empty.
    ///
    /// # Errors
    /// As [`BodySink::data`], if the reply was [deferred](Response::defer) and is not given yet. If the reply has
    /// begun, it cannot be taken back, so the connection is aborted. If the reply is whole, it is sent, and then the
    /// connection closes.
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

/// Why the content will never be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Abort {
    /// The client is gone, or has closed its side before the end of the content.
    ClientGone,
    /// The content arrived too slowly, or was paused and not resumed in time.
    TimedOut,
    /// The content broke a rule of HTTP.
    Malformed,
    /// The content is longer than the route allows.
    TooLarge,
    /// This sink has failed, by an error or a panic, or the source of the reply has.
    Failed,
    /// The server was cut off, or ran short of memory, before the content was whole.
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

    /// Pauses the content after this piece, until the [`Resumer`] is used or dropped. The socket is not read, so the
    /// client has to wait, too. After [`Config::reply_timeout`](crate::Config::reply_timeout) without a resumption, the
    /// exchange ends.
    ///
    /// After two pauses, both must be resumed.
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
