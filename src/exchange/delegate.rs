//! Services that are made of less than a whole one: of another service, or of a closure.

use std::io;

use super::error_page::render_error;
use super::{
    Abort, Admission, CloseReason, Intake, LiveKey, LoopControl, Outgoing, Output, ProtocolEvent, Request, Response,
    Sent, Service, Trailers,
};
use crate::http::{Error, Moment, Result};

/// A service in front of another: what it does not do itself, the [inner](Self::inner) one does. Each type that
/// implements this trait is a [`Service`]. What is added to that trait later is passed on, too.
///
/// Requests come in by three doors: [`call`](Self::call), [`open`](Self::open) if content is taken piece by piece, and
/// [`upgrade`](Self::upgrade). A delegate that guards or counts must do so at all three.
///
/// ```
/// use monoloop::exchange::{Delegate, Service};
/// use monoloop::{Request, Response, Result, Router, Sent, TestClient};
///
/// /// Counts the requests, and passes all of them on.
/// struct Counted<S> {
///     app: Router<S>,
///     requests: u64,
/// }
///
/// impl<S> Delegate for Counted<S> {
///     type Inner = Router<S>;
///
///     fn inner(&mut self) -> &mut Router<S> {
///         &mut self.app
///     }
///
///     fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
///         self.requests += 1;
///         self.app.call(request, response)
///     }
/// }
///
/// let mut app = Router::new(());
/// app.get("/", |_, _, res| res.text("hello"));
/// let mut client = TestClient::new(Counted { app, requests: 0 });
/// client.get("/").send();
/// client.get("/nothing").send();
/// assert_eq!(client.app().requests, 2);
/// ```
#[doc(alias("wrapper", "layer", "middleware"))]
pub trait Delegate {
    /// The type of the service to which this one passes requests on.
    type Inner: Service + ?Sized;

    /// Returns the service that gets what this one passes on.
    fn inner(&mut self) -> &mut Self::Inner;

    /// As [`Service::admit`].
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        self.inner().admit(request)
    }

    /// As [`Service::call`].
    ///
    /// # Errors
    /// As [`Service::call`].
    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        self.inner().call(request, response)
    }

    /// As [`Service::refuse`].
    ///
    /// # Errors
    /// As [`Service::refuse`].
    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent> {
        self.inner().refuse(request, error, response)
    }

    /// As [`Service::render`].
    ///
    /// # Errors
    /// As [`Service::render`].
    fn render(&mut self, error: &Error, request: Option<Request<'_>>, response: Response<'_>) -> Result<Sent> {
        self.inner().render(error, request, response)
    }

    /// As [`Service::outgoing`].
    fn outgoing(&mut self, request: Request<'_>, reply: &mut Outgoing<'_>) {
        self.inner().outgoing(request, reply)
    }

    /// As [`Service::open`].
    ///
    /// # Errors
    /// As [`Service::open`].
    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        self.inner().open(request, response)
    }

    /// As [`Service::content`].
    ///
    /// # Errors
    /// As [`Service::content`].
    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        self.inner().content(sink, piece, intake)
    }

    /// As [`Service::content_end`].
    ///
    /// # Errors
    /// As [`Service::content_end`].
    fn content_end(
        &mut self,
        sink: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        self.inner().content_end(sink, trailers, response)
    }

    /// As [`Service::content_abort`].
    fn content_abort(&mut self, sink: LiveKey, why: Abort) {
        self.inner().content_abort(sink, why)
    }

    /// As [`Service::upgrade`].
    ///
    /// # Errors
    /// As [`Service::upgrade`].
    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        self.inner().upgrade(request, response)
    }

    /// As [`Service::protocol`].
    ///
    /// # Errors
    /// As [`Service::protocol`].
    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        self.inner().protocol(protocol, event, out)
    }

    /// As [`Service::protocol_closed`].
    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason) {
        self.inner().protocol_closed(protocol, why)
    }

    /// As [`Service::begin`].
    fn begin(&mut self, control: &LoopControl) {
        self.inner().begin(control);
    }

    /// As [`Service::run_posted`].
    fn run_posted(&mut self, now: Moment) -> bool {
        self.inner().run_posted(now)
    }

    /// As [`Service::run_timers`].
    fn run_timers(&mut self, now: Moment) -> Option<Moment> {
        self.inner().run_timers(now)
    }

    /// As [`Service::free_descriptors`].
    fn free_descriptors(&mut self) -> bool {
        self.inner().free_descriptors()
    }

    /// As [`Service::descriptor_reserve`].
    fn descriptor_reserve(&mut self) -> usize {
        self.inner().descriptor_reserve()
    }
}

impl<T: Delegate + ?Sized> Service for T {
    fn admit(&mut self, request: &Request<'_>) -> Admission {
        Delegate::admit(self, request)
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        Delegate::call(self, request, response)
    }

    fn refuse(&mut self, request: Option<Request<'_>>, error: Error, response: Response<'_>) -> Result<Sent> {
        Delegate::refuse(self, request, error, response)
    }

    fn render(&mut self, error: &Error, request: Option<Request<'_>>, response: Response<'_>) -> Result<Sent> {
        Delegate::render(self, error, request, response)
    }

    fn outgoing(&mut self, request: Request<'_>, reply: &mut Outgoing<'_>) {
        Delegate::outgoing(self, request, reply)
    }

    fn open(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        Delegate::open(self, request, response)
    }

    fn content(&mut self, sink: LiveKey, piece: &[u8], intake: &mut Intake<'_>) -> Result<()> {
        Delegate::content(self, sink, piece, intake)
    }

    fn content_end(
        &mut self,
        sink: LiveKey,
        trailers: Trailers<'_>,
        response: Option<Response<'_>>,
    ) -> Result<Option<Sent>> {
        Delegate::content_end(self, sink, trailers, response)
    }

    fn content_abort(&mut self, sink: LiveKey, why: Abort) {
        Delegate::content_abort(self, sink, why)
    }

    fn upgrade(&mut self, request: Request<'_>, response: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        Delegate::upgrade(self, request, response)
    }

    fn protocol(&mut self, protocol: LiveKey, event: ProtocolEvent<'_>, out: &mut Output<'_>) -> io::Result<usize> {
        Delegate::protocol(self, protocol, event, out)
    }

    fn protocol_closed(&mut self, protocol: LiveKey, why: CloseReason) {
        Delegate::protocol_closed(self, protocol, why)
    }

    fn begin(&mut self, control: &LoopControl) {
        Delegate::begin(self, control);
    }

    fn run_posted(&mut self, now: Moment) -> bool {
        Delegate::run_posted(self, now)
    }

    fn run_timers(&mut self, now: Moment) -> Option<Moment> {
        Delegate::run_timers(self, now)
    }

    fn free_descriptors(&mut self) -> bool {
        Delegate::free_descriptors(self)
    }

    fn descriptor_reserve(&mut self) -> usize {
        Delegate::descriptor_reserve(self)
    }
}

/// A borrowed service is a service.
impl<A: Service + ?Sized> Delegate for &mut A {
    type Inner = A;

    fn inner(&mut self) -> &mut A {
        self
    }
}

/// A boxed service is a service.
impl<A: Service + ?Sized> Delegate for Box<A> {
    type Inner = A;

    fn inner(&mut self) -> &mut A {
        self
    }
}

/// A service that answers all requests by one closure. The content is collected, and errors are rendered as usual.
///
/// ```
/// use monoloop::{TestClient, exchange::service_fn};
///
/// let mut visitors = 0;
/// let mut client = TestClient::new(service_fn(|_, res| {
///     visitors += 1;
///     res.text(format!("You are visitor {visitors}"))
/// }));
/// client.get("/").send();
/// assert_eq!(client.get("/any/path").send().text(), "You are visitor 2");
/// ```
pub const fn service_fn<H: FnMut(&Request<'_>, Response<'_>) -> Result<Sent>>(handler: H) -> ServiceFn<H> {
    ServiceFn(handler, Nothing)
}

/// A service that answers all requests by one closure: see [`service_fn`].
#[derive(Debug)]
pub struct ServiceFn<H>(H, Nothing);

impl<H: FnMut(&Request<'_>, Response<'_>) -> Result<Sent>> Delegate for ServiceFn<H> {
    type Inner = Nothing;

    fn inner(&mut self) -> &mut Nothing {
        &mut self.1
    }

    fn call(&mut self, request: Request<'_>, response: Response<'_>) -> Result<Sent> {
        (self.0)(&request, response)
    }
}

/// A service that has nothing, so each request gets a 404. Errors are rendered as usual. It can be the
/// [inner](Delegate::inner) service of one that answers all by itself.
///
/// ```
/// use monoloop::exchange::{Delegate, Nothing};
/// use monoloop::{Request, Response, Result, Sent, TestClient};
///
/// #[derive(Default)]
/// struct Counter {
///     requests: u64,
///     nothing: Nothing,
/// }
///
/// impl Delegate for Counter {
///     type Inner = Nothing;
///
///     fn inner(&mut self) -> &mut Nothing {
///         &mut self.nothing
///     }
///
///     fn call(&mut self, _: Request<'_>, res: Response<'_>) -> Result<Sent> {
///         self.requests += 1;
///         res.text(self.requests.to_string())
///     }
/// }
///
/// let mut client = TestClient::new(Counter::default());
/// assert_eq!(client.get("/").send().text(), "1");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Nothing;

impl Service for Nothing {
    fn admit(&mut self, _: &Request<'_>) -> Admission {
        Admission::Buffer
    }

    fn call(&mut self, _: Request<'_>, _: Response<'_>) -> Result<Sent> {
        Err(Error::not_found("Not found"))
    }

    fn refuse(&mut self, _: Option<Request<'_>>, error: Error, _: Response<'_>) -> Result<Sent> {
        Err(error)
    }

    fn render(&mut self, error: &Error, request: Option<Request<'_>>, response: Response<'_>) -> Result<Sent> {
        render_error(error, request.as_ref(), response)
    }

    fn outgoing(&mut self, _: Request<'_>, _: &mut Outgoing<'_>) {}

    fn open(&mut self, _: Request<'_>, _: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        Err(Error::internal("this service takes no content piece by piece"))
    }

    fn content(&mut self, _: LiveKey, _: &[u8], _: &mut Intake<'_>) -> Result<()> {
        Ok(())
    }

    fn content_end(&mut self, _: LiveKey, _: Trailers<'_>, _: Option<Response<'_>>) -> Result<Option<Sent>> {
        Ok(None)
    }

    fn content_abort(&mut self, _: LiveKey, _: Abort) {}

    fn upgrade(&mut self, _: Request<'_>, _: Response<'_>) -> Result<(Sent, Option<LiveKey>)> {
        Err(Error::internal("this service knows no other protocol"))
    }

    fn protocol(&mut self, _: LiveKey, _: ProtocolEvent<'_>, _: &mut Output<'_>) -> io::Result<usize> {
        Err(io::Error::other("this service knows no other protocol"))
    }

    fn protocol_closed(&mut self, _: LiveKey, _: CloseReason) {}

    fn begin(&mut self, _: &LoopControl) {}

    fn run_posted(&mut self, _: Moment) -> bool {
        false
    }

    fn run_timers(&mut self, _: Moment) -> Option<Moment> {
        None
    }

    fn free_descriptors(&mut self) -> bool {
        false
    }

    fn descriptor_reserve(&mut self) -> usize {
        0
    }
}
