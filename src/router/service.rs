//! The router as the loop sees it: it handles requests, their content, and other protocols.

use std::io;
use std::ops::ControlFlow;

use super::Router;
use super::endpoint::{Callback, Endpoint};
use super::live::Recipient;
use super::middleware::{run_middleware, set_unrequested};
use super::unhandled::NoEndpoint;
use crate::exchange::{
    Abort, Admission, CloseReason, Intake, LiveKey, Output, ProtocolEvent, Request, Response, Sent, Service, Spans,
    Trailers,
};
use crate::http::{Error, Method, Moment, Result};

/// A request on its way to a handler: its endpoint was looked up, and its middleware has run.
struct Routed<'a, S> {
    state: &'a mut S,
    endpoint: Option<&'a Endpoint<S>>,
    no_endpoint: &'a NoEndpoint,
    /// The request, with the parameters of its route.
    request: &'a Request<'a>,
}

impl<S> Router<S> {
    /// Looks up the endpoint of a request, and passes the response through the middleware of its path. Then `go_on`
    /// continues, or, if a middleware has answered, `end` gets its answer.
    #[inline(always)]
    fn route<'r, T>(
        &mut self,
        request: Request<'_>,
        response: Response<'r>,
        go_on: impl FnOnce(Routed<'_, S>, Response<'r>) -> Result<T>,
        end: impl FnOnce(Result<Sent>) -> Result<T>,
    ) -> Result<T> {
        let Self { routes, state, .. } = self;
        let mut spans = Spans::default();
        let (endpoint, request) = routes.locate(request, &mut spans);
        match run_middleware(&routes.middleware, state, &request, response) {
            ControlFlow::Continue(response) => {
                go_on(Routed { state, endpoint, no_endpoint: &routes.no_endpoint, request: &request }, response)
            }
            ControlFlow::Break(answered) => end(answered),
        }
    }
}

impl<'a, S> Routed<'a, S> {
    /// What answers the method of the request.
    #[inline(always)]
    fn callback(&self) -> Option<&'a Callback<S>> {
        let handler = self.endpoint.and_then(|endpoint| endpoint.handler(self.request.method()));
        handler.map(|handler| &handler.callback)
    }
}

impl<S> Service for Router<S> {
    /// The server waits for content only if a handler will see it.
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        let mut spans = Spans::default();
        let (Some(endpoint), _) = self.routes.locate(*request, &mut spans) else { return Admission::Now };
        if endpoint.offered(request).is_some() {
            return Admission::Upgrade;
        }
        match endpoint.handler(request.method()) {
            None => Admission::Now,
            Some(handler) => match (&handler.callback, handler.max_content) {
                (Callback::Whole(_), None) => Admission::Buffer,
                (Callback::Whole(_), Some(max)) => Admission::BufferUpTo(max),
                (Callback::Sink(_) | Callback::Duplex(_), max) => Admission::Stream(max.unwrap_or(u64::MAX)),
            },
        }
    }

    #[inline]
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        let answer = |routed: Routed<'_, S>, response| {
            let callback = routed.callback();
            let Routed { state, endpoint, no_endpoint, request } = routed;
            match callback {
                Some(Callback::Whole(call)) => call(state, request, response),
                Some(callback) => call_without_content(callback, state, request, response),
                None => answer_without_handler(endpoint, no_endpoint, request, response),
            }
        };
        self.route(request, response, answer, |answered| answered)
    }

    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent> {
        match request {
            Some(request) => {
                self.route(request, response, |_, _| Ok(()), |answered| answered.map(drop)).and(Err(error))
            }
            None => {
                set_unrequested(&self.unrequested, &mut self.state, response);
                Err(error)
            }
        }
    }

    fn render(&mut self, error: &Error, response: Response<'_>) -> Result<Sent> {
        match &self.renderer {
            Some(renderer) => renderer(error, response),
            None => crate::exchange::render_json(error, response),
        }
    }

    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let open = |routed: Routed<'_, S>, response: Response<'_>| match routed.callback() {
            Some(Callback::Sink(factory)) => {
                let sink = factory(routed.state, routed.request)?;
                Ok((response.later(), Some(Recipient::Sink(sink))))
            }
            Some(Callback::Duplex(factory)) => {
                let (sent, duplex) = factory(routed.state, routed.request, response.accept_content())?;
                Ok((sent, Some(Recipient::Duplex(duplex))))
            }
            _ => Err(Error::internal("this route takes no content piece by piece")),
        };
        let (sent, recipient) = self.route(request, response, open, |answered| Ok((answered?, None)))?;
        Ok((sent, recipient.map(|recipient| self.live.keep(recipient))))
    }

    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.live.content(&mut self.state, sink, piece, intake)
    }

    fn content_end(
        &mut self,
        sink: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        self.live.content_end(&mut self.state, sink, trailers, response)
    }

    fn content_abort(&mut self, sink: LiveKey, why: Abort) {
        self.live.content_abort(&mut self.state, sink, why);
    }

    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let upgrade = |Routed { state, endpoint, request, .. }: Routed<'_, S>, response| {
            let Some(upgrade) = endpoint.and_then(|endpoint| endpoint.offered(request)) else {
                return Err(Error::internal("this route has no protocol that the client offers"));
            };
            let (response, protocol) = (upgrade.factory)(state, request, response)?;
            match response.switch(&upgrade.protocol) {
                Ok(sent) => Ok((sent, Some(Recipient::Protocol(protocol)))),
                Err(error) => {
                    // A factory that has counted its protocol learns that there is none.
                    protocol.on_close(state, CloseReason::ProtocolFailed);
                    Err(error)
                }
            }
        };
        let (sent, recipient) = self.route(request, response, upgrade, |answered| Ok((answered?, None)))?;
        Ok((sent, recipient.map(|recipient| self.live.keep(recipient))))
    }

    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        self.live.protocol(&mut self.state, protocol, event, out)
    }

    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason) {
        self.live.protocol_closed(&mut self.state, protocol, why);
    }

    fn run_posted(&mut self, now: Moment) -> bool {
        self.inbox.run(&mut self.state, &mut self.routes.timers, now)
    }

    fn run_timers(&mut self, now: Moment) -> Option<Moment> {
        let next = self.routes.timers.run(&mut self.state, now);
        // Each is called, whatever the others return.
        let upkeep = self.routes.upkeep.iter().filter_map(|upkeep| upkeep(now)).min();
        next.into_iter().chain(upkeep).min()
    }

    fn free_descriptors(&mut self) -> bool {
        // `count` calls all of them; `any` would stop at the first that closes something.
        self.routes.keepers.iter().filter(|close| close()).count() > 0
    }

    fn descriptor_reserve(&self) -> usize {
        self.routes.reserve
    }
}

/// Answers a request that has no handler.
///
/// The cold functions take what they need piece by piece: given the whole of [`Routed`], the compiler would write it to
/// memory for each request.
#[cold]
fn answer_without_handler<S>(
    endpoint: Option<&Endpoint<S>>,
    no_endpoint: &NoEndpoint,
    request: &Request<'_>,
    response: Response<'_>,
) -> Result<Sent> {
    let unhandled = match endpoint {
        Some(endpoint) => &endpoint.unhandled,
        None if request.raw_path() == b"*" => &no_endpoint.all,
        None if request.method() == Method::Trace => &no_endpoint.trace,
        None => return Err(no_endpoint.not_found.get()),
    };
    unhandled.answer(request.method(), response)
}

/// Calls a route that takes content piece by piece, for a request that has no content.
#[cold]
fn call_without_content<S>(
    callback: &Callback<S>,
    state: &mut S,
    request: &Request<'_>,
    response: Response<'_>,
) -> Result<Sent> {
    match callback {
        Callback::Whole(call) => call(state, request, response),
        Callback::Sink(factory) => factory(state, request)?.end(state, Trailers::default(), response),
        Callback::Duplex(factory) => {
            let (sent, duplex) = factory(state, request, response)?;
            duplex.end(state, Trailers::default())?;
            Ok(sent)
        }
    }
}
