//! The router as the loop sees it: it handles requests, their content, and other protocols.

use std::io;
use std::ops::ControlFlow;

use super::callback::Callback;
use super::endpoint::Endpoint;
use super::live::Recipient;
use super::middleware::{Next, run_middleware, set_unrequested};
use super::route::RouteSettings;
use super::trie::Trie;
use super::{Router, Routes};
use crate::exchange::{
    Abort, Admission, CloseReason, Intake, LiveKey, LoopControl, Outgoing, Output, ProtocolEvent, Request, Response,
    Sent, Service, Spans, Trailers, render_error,
};
use crate::http::{Error, Method, Moment, Result};

/// A request on its way to a handler: its endpoint was looked up, and its middleware has run.
struct Routed<'a, S> {
    state: &'a mut S,
    endpoint: Option<&'a Endpoint<S>>,
    routes: &'a Routes<S>,
    /// The request, with the parameters of its route.
    request: &'a Request<'a>,
}

impl<S> Router<S> {
    /// Looks up the endpoint of a request, and passes the response through its middleware. Then `go_on` continues, or,
    /// if a middleware has answered, `end` gets its answer. `goal` is what the request shall reach.
    #[inline(always)]
    fn route<'r, T>(
        &mut self,
        request: Request<'_>,
        mut response: Response<'r>,
        goal: Goal,
        go_on: impl FnOnce(Routed<'_, S>, Response<'r>) -> Result<T>,
        end: impl FnOnce(Result<Sent>) -> Result<T>,
    ) -> Result<T> {
        let Self { routes, state, .. } = self;
        let mut spans = Spans::default();
        let trie = routes.trie_for(&request);
        let (endpoint, request) = routes.locate_to_answer(trie, request, &mut spans, &mut response);
        match routes.run_several(endpoint, goal, state, &request, response) {
            ControlFlow::Continue(response) => go_on(Routed { state, endpoint, routes, request: &request }, response),
            ControlFlow::Break(answered) => end(answered),
        }
    }
}

/// What of an endpoint a request shall reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Handler,
    Protocol,
}

impl<S> Routes<S> {
    /// What is set for the route of a request, if it has one, and the table that sees the request.
    fn settings<'a>(
        &self,
        endpoint: Option<&'a Endpoint<S>>,
        goal: Goal,
        request: &Request<'_>,
    ) -> (Option<&'a RouteSettings<S>>, usize) {
        let settings = endpoint.and_then(|endpoint| match goal {
            Goal::Handler => endpoint.handler(request.method()).map(|handler| &handler.settings),
            Goal::Protocol => endpoint.offered(request).map(|upgrade| &upgrade.settings),
        });
        let table = match (settings, endpoint) {
            (Some(settings), _) => settings.table,
            (None, Some(endpoint)) => endpoint.table,
            (None, None) => self.tables.owner(request.raw_path(), self.hosts.of(request)),
        };
        (settings, table)
    }

    /// The endpoint of a request that is answered now, as [`locate`](Self::locate) finds it. Observers will be told the
    /// pattern of its path.
    #[inline(always)]
    fn locate_to_answer<'a>(
        &'a self,
        trie: &Trie,
        request: Request<'a>,
        spans: &'a mut Spans,
        response: &mut Response<'_>,
    ) -> (Option<&'a Endpoint<S>>, Request<'a>) {
        let (endpoint, request) = self.locate_in(trie, request, spans);
        if let Some(endpoint) = endpoint {
            response.note_route(endpoint.pattern.text());
        }
        (endpoint, request)
    }

    /// Notes what happens to the reply after the handler.
    fn follow_up<'r>(&self, response: Response<'r>) -> Response<'r> {
        match (self.tables.see_replies, self.tables.render_errors) {
            (true, _) => response.hold(),
            (false, true) => response.keep_request(),
            (false, false) => response,
        }
    }

    /// Passes the response through the middleware of all tables that see the request, and of its route.
    #[inline(never)]
    fn run_several<'r>(
        &self,
        endpoint: Option<&Endpoint<S>>,
        goal: Goal,
        state: &mut S,
        request: &Request<'_>,
        mut response: Response<'r>,
    ) -> Next<'r> {
        response = self.follow_up(response);
        let (settings, table) = self.settings(endpoint, goal, request);
        response = self.tables.run(table, state, request, response)?;
        match settings {
            Some(settings) => run_middleware(&settings.middleware, state, request, response),
            None => ControlFlow::Continue(response),
        }
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
            Some(handler) => match (&handler.callback, handler.settings.max_content) {
                (Callback::Whole(_), None) => Admission::Buffer,
                (Callback::Whole(_), Some(max)) => Admission::BufferUpTo(max),
                (Callback::Sink(_) | Callback::Duplex(_), max) => Admission::Stream(max.unwrap_or(u64::MAX)),
            },
        }
    }

    #[inline]
    fn call(&mut self, request: Request<'_>, mut response: Response<'_>) -> Result<Sent> {
        let Self { routes, state, .. } = self;
        if routes.tables.are_involved() {
            let answer = |routed: Routed<'_, S>, response| {
                answer(routed.routes, routed.endpoint, routed.state, routed.request, response)
            };
            return self.route(request, response, Goal::Handler, answer, |answered| answered);
        }
        // Nearly always there is one table, and no route has middleware of its own.
        let mut spans = Spans::default();
        let (endpoint, request) = routes.locate_to_answer(&routes.trie, request, &mut spans, &mut response);
        match run_middleware(routes.tables.middleware(), state, &request, response) {
            ControlFlow::Continue(response) => answer(routes, endpoint, state, &request, response),
            ControlFlow::Break(answered) => answered,
        }
    }

    /// The middleware sets its field lines on the refusal. What it answers does not count: it has seen no content.
    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, mut response: Response<'_>) -> Result<Sent> {
        let Self { routes, state, unrequested, .. } = self;
        let Some(request) = request else {
            set_unrequested(unrequested, state, response);
            return Err(error);
        };
        let mut spans = Spans::default();
        let (endpoint, request) =
            routes.locate_to_answer(routes.trie_for(&request), request, &mut spans, &mut response);
        let (_, table) = routes.settings(endpoint, Goal::Handler, &request);
        let _ = routes.tables.run(table, state, &request, routes.follow_up(response));
        Err(error)
    }

    fn render(&mut self, error: &Error, request: Option<Request<'_>>, response: Response<'_>) -> Result<Sent> {
        let Some(renderer) = &self.renderer else { return render_error(error, request.as_ref(), response) };
        let mut spans = Spans::default();
        let request = request.map(|request| self.routes.locate(request, &mut spans).1);
        renderer(&mut self.state, error, request.as_ref(), response)
    }

    fn outgoing(&mut self, request: Request<'_>, reply: &mut Outgoing<'_>) {
        let Self { routes, state, .. } = self;
        let mut spans = Spans::default();
        let (endpoint, request) = routes.locate(request, &mut spans);
        let goal = if endpoint.is_some_and(|endpoint| endpoint.offered(&request).is_some()) {
            Goal::Protocol
        } else {
            Goal::Handler
        };
        let (settings, table) = routes.settings(endpoint, goal, &request);
        if let Some(settings) = settings {
            settings.after.iter().for_each(|after| after(state, &request, reply));
        }
        routes.tables.show(table, state, &request, reply);
    }

    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        let open = |routed: Routed<'_, S>, response: Response<'_>| match routed
            .endpoint
            .and_then(|endpoint| endpoint.callback(routed.request))
        {
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
        let (sent, recipient) = self.route(request, response, Goal::Handler, open, |answered| Ok((answered?, None)))?;
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
        let (sent, recipient) =
            self.route(request, response, Goal::Protocol, upgrade, |answered| Ok((answered?, None)))?;
        Ok((sent, recipient.map(|recipient| self.live.keep(recipient))))
    }

    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        self.live.protocol(&mut self.state, protocol, event, out)
    }

    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason) {
        self.live.protocol_closed(&mut self.state, protocol, why);
    }

    fn begin(&mut self, control: &LoopControl) {
        self.inbox.begin(control);
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

    fn descriptor_reserve(&mut self) -> usize {
        self.routes.reserve
    }
}

/// Answers a request whose middleware has run.
#[inline(always)]
fn answer<S>(
    routes: &Routes<S>,
    endpoint: Option<&Endpoint<S>>,
    state: &mut S,
    request: &Request<'_>,
    response: Response<'_>,
) -> Result<Sent> {
    match endpoint.and_then(|endpoint| endpoint.callback(request)) {
        Some(Callback::Whole(call)) => call(state, request, response),
        Some(callback) => call_without_content(callback, state, request, response),
        None => answer_without_handler(routes, endpoint, state, request, response),
    }
}

/// Answers a request that has no handler.
///
/// The cold functions take what they need piece by piece: given the whole of [`Routed`], the compiler would write it to
/// memory for each request.
#[cold]
fn answer_without_handler<S>(
    routes: &Routes<S>,
    endpoint: Option<&Endpoint<S>>,
    state: &mut S,
    request: &Request<'_>,
    response: Response<'_>,
) -> Result<Sent> {
    let no_endpoint = &routes.no_endpoint;
    // Another router of this process has added it.
    if matches!(request.method(), Method::Extension(_)) && !routes.know(request.method()) {
        return Err(Error::new(501, "Unknown method"));
    }
    let unhandled = match endpoint {
        Some(endpoint) => {
            let others = routes.allowed_beside(endpoint, request.raw_path());
            return endpoint.unhandled.answer_beside(others, request.method(), response);
        }
        None if request.raw_path() == b"*" => &no_endpoint.all,
        None if request.method() == Method::Trace => &no_endpoint.trace,
        None => match routes.tables.not_found(routes.tables.owner(request.raw_path(), routes.hosts.of(request))) {
            Some(answer) => return answer(state, request, response.status(404)),
            None => return Err(no_endpoint.not_found.get()),
        },
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
