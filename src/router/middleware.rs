//! Middleware: functions that see each request before its handler, and may answer in its place. And functions that
//! see the replies that no request belongs to.

use std::ops::ControlFlow;

use crate::exchange::{Request, Response, Sent};
use crate::http::Result;

/// The decision of a middleware: it passes the response on, perhaps with more header fields, or it answers itself.
///
/// ```
/// use monoloop::{Request, Response, Router, router::Next};
/// use std::ops::ControlFlow;
///
/// fn nosniff<'r>(_: &mut (), _: &Request<'_>, res: Response<'r>) -> Next<'r> {
///     ControlFlow::Continue(res.header("X-Content-Type-Options", "nosniff"))
/// }
///
/// let mut app = Router::new(());
/// app.with(nosniff);
/// ```
pub type Next<'r> = ControlFlow<Result<Sent>, Response<'r>>;

/// A middleware, boxed.
pub(super) type Middleware<S> = Box<dyn for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r>>;

/// The middleware of a guard: a request for which it returns an error gets that error.
pub(super) fn of_guard<S>(
    guard: impl Fn(&mut S, &Request<'_>) -> Result<()> + 'static,
) -> impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r> + 'static {
    move |state, request, response| match guard(state, request) {
        Ok(()) => ControlFlow::Continue(response),
        Err(error) => ControlFlow::Break(Err(error)),
    }
}

/// Passes the response through one middleware after the other.
#[inline(always)]
pub(super) fn run_middleware<'r, S>(
    all: &[Middleware<S>],
    state: &mut S,
    request: &Request<'_>,
    mut response: Response<'r>,
) -> Next<'r> {
    for middleware in all {
        response = middleware(state, request, response)?;
        response.keep();
    }
    ControlFlow::Continue(response)
}

/// Sets field lines on a reply that no request belongs to.
pub(super) type Unrequested<S> = Box<dyn for<'r> Fn(&mut S, Response<'r>) -> Response<'r>>;

/// Passes the response to a message that was not understood through the functions that set its field lines. The error
/// reply keeps them.
#[cold]
pub(super) fn set_unrequested<S>(all: &[Unrequested<S>], state: &mut S, mut response: Response<'_>) {
    for set in all {
        response = set(state, response);
        response.keep();
    }
}
