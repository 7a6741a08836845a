//! What an application is called by: its functions, boxed.

use crate::exchange::{BodySink, Duplex, Outgoing, Protocol, Request, Response, Sent};
use crate::http::Result;

/// Answers a request whose content is whole.
pub(super) type Whole<S> = Box<dyn Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent>>;
type SinkFactory<S> = Box<dyn Fn(&mut S, &Request<'_>) -> Result<Box<dyn BodySink<S>>>>;
type DuplexFactory<S> = Box<dyn Fn(&mut S, &Request<'_>, Response<'_>) -> Result<(Sent, Box<dyn Duplex<S>>)>>;
/// Sees a reply before it is sent.
pub(super) type After<S> = Box<dyn Fn(&mut S, &Request<'_>, &mut Outgoing<'_>)>;

/// Makes the protocol of a connection.
pub(super) type ProtocolFactory<S> =
    Box<dyn for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Result<(Response<'r>, Box<dyn Protocol<S>>)>>;

/// What is called for a request. Its type depends on how the handler takes the content.
pub(super) enum Callback<S> {
    /// It takes the content as a whole.
    Whole(Whole<S>),
    /// It takes the content piece by piece, and replies at the end.
    Sink(SinkFactory<S>),
    /// It takes the content piece by piece, and begins the reply before.
    Duplex(DuplexFactory<S>),
}

/// Wraps the factory of an upgrade, and boxes the protocols that it makes.
pub(super) struct BoxedFactory<F>(pub(super) F);

impl<F> BoxedFactory<F> {
    pub(super) fn into_boxed<S, T: Protocol<S> + 'static>(self) -> ProtocolFactory<S>
    where
        F: for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Result<(Response<'r>, T)> + 'static,
    {
        fn call<'r, S, T: Protocol<S> + 'static>(
            made: Result<(Response<'r>, T)>,
        ) -> Result<(Response<'r>, Box<dyn Protocol<S>>)> {
            made.map(|(response, protocol)| (response, Box::new(protocol) as Box<dyn Protocol<S>>))
        }
        Box::new(move |state, request, response| call((self.0)(state, request, response)))
    }
}
