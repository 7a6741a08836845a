//! The router as the loop sees it: it handles requests, their content, and other protocols.

use std::io;
use std::ops::ControlFlow;

use super::Router;
use super::endpoint::{Endpoint, Kind};
use super::live::One;
use super::middleware::run_middleware;
use crate::exchange::{
    Abort, Admission, CloseReason, Intake, LiveKey, Output, ProtocolEvent, Request, Response, Sent, Service, Spans,
    Trailers,
};
use crate::http::{Error, Method, Moment, Result};

impl<S> Router<S> {
    /// Answers a request that has no handler.
    #[cold]
    fn answer_without_handler(
        &self,
        endpoint: Option<&Endpoint<S>>,
        request: &Request<'_>,
        response: Response<'_>,
    ) -> Result<Sent> {
        let no_endpoint = &self.routes.no_endpoint;
        let unhandled = match endpoint {
            Some(endpoint) => &endpoint.unhandled,
            None if request.raw_path() == b"*" => &no_endpoint.all,
            None if request.method() == Method::Trace => &no_endpoint.trace,
            None => return Err(no_endpoint.not_found.get()),
        };
        unhandled.answer(request.method(), response)
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
            Some(handler) => match (&handler.kind, handler.max_content) {
                (Kind::Whole(_), None) => Admission::Buffer,
                (Kind::Whole(_), Some(max)) => Admission::BufferUpTo(max),
                (Kind::Sink(_) | Kind::Duplex(_), max) => Admission::Stream(max.unwrap_or(u64::MAX)),
            },
        }
    }

    #[inline]
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        let mut spans = Spans::default();
        let (endpoint, request) = self.routes.locate(request, &mut spans);
        let response = match run_middleware(&self.routes.middleware, &mut self.state, &request, response) {
            ControlFlow::Continue(response) => response,
            ControlFlow::Break(answered) => return answered,
        };
        match endpoint.and_then(|endpoint| endpoint.handler(request.method())) {
            Some(handler) => match &handler.kind {
                Kind::Whole(call) => call(&mut self.state, &request, response),
                kind => call_without_content(kind, &mut self.state, &request, response),
            },
            None => self.answer_without_handler(endpoint, &request, response),
        }
    }

    fn refuse(&mut self, request: Request<'_>, error: Error, response: Response<'_>) -> Result<Sent> {
        let mut spans = Spans::default();
        let (_, request) = self.routes.locate(request, &mut spans);
        match run_middleware(&self.routes.middleware, &mut self.state, &request, response) {
            ControlFlow::Continue(_) => Err(error),
            ControlFlow::Break(answered) => answered.and(Err(error)),
        }
    }

    fn render(&mut self, error: &Error, response: Response<'_>) -> Result<Sent> {
        match &self.renderer {
            Some(renderer) => renderer(error, response),
            None => crate::exchange::render_json(error, response),
        }
    }

    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let mut spans = Spans::default();
        let (endpoint, request) = self.routes.locate(request, &mut spans);
        let response = match run_middleware(&self.routes.middleware, &mut self.state, &request, response) {
            ControlFlow::Continue(response) => response,
            ControlFlow::Break(answered) => return Ok((answered?, None)),
        };
        let (sent, one) = match endpoint.and_then(|endpoint| endpoint.handler(request.method())).map(|it| &it.kind) {
            Some(Kind::Sink(factory)) => {
                let sink = factory(&mut self.state, &request)?;
                (response.later(), One::Sink(sink))
            }
            Some(Kind::Duplex(factory)) => {
                let (sent, duplex) = factory(&mut self.state, &request, response.accept_content())?;
                (sent, One::Duplex(duplex))
            }
            _ => return Err(Error::internal("this route takes no content piece by piece")),
        };
        Ok((sent, Some(self.live.keep(one))))
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
        let mut spans = Spans::default();
        let (endpoint, request) = self.routes.locate(request, &mut spans);
        let response = match run_middleware(&self.routes.middleware, &mut self.state, &request, response) {
            ControlFlow::Continue(response) => response,
            ControlFlow::Break(answered) => return Ok((answered?, None)),
        };
        let Some(upgrade) = endpoint.and_then(|endpoint| endpoint.offered(&request)) else {
            return Err(Error::internal("this route has no protocol that the client offers"));
        };
        let (response, protocol) = (upgrade.factory)(&mut self.state, &request, response)?;
        let sent = response.switch(&upgrade.protocol)?;
        Ok((sent, Some(self.live.keep(One::Protocol(protocol)))))
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
        self.routes.timers.run(&mut self.state, now)
    }

    fn free_descriptors(&mut self) -> bool {
        // `count` calls all of them; `any` would stop at the first that closes something.
        self.routes.keepers.iter().filter(|close| close()).count() > 0
    }
}

/// Calls a route that takes content piece by piece, for a request that has no content.
#[cold]
fn call_without_content<S>(
    kind: &Kind<S>,
    state: &mut S,
    request: &Request<'_>,
    response: Response<'_>,
) -> Result<Sent> {
    match kind {
        Kind::Whole(call) => call(state, request, response),
        Kind::Sink(factory) => factory(state, request)?.end(state, Trailers::default(), response),
        Kind::Duplex(factory) => {
            let (sent, duplex) = factory(state, request, response)?;
            duplex.end(state, Trailers::default())?;
            Ok(sent)
        }
    }
}
