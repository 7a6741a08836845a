use crate::exchange::{Request, Response, Sent};
use crate::http::Result;

/// Returns this closure. It tells the compiler that the closure is a handler, so that it can be kept in a variable.
///
/// A closure that is passed to [`Routes::get`](super::Routes::get) at once does not need it: there the compiler knows
/// what it takes. A function (`fn`) never needs it.
///
/// ```
/// use monoloop::{Router, TestClient};
///
/// let hello = monoloop::handler(|_, req, res| res.text(format!("Hello from {}", req.path())));
///
/// let mut app = Router::new(());
/// app.get("/", hello);
/// app.get("/hello", hello);
/// assert_eq!(TestClient::new(app).get("/hello").send().text(), "Hello from /hello");
/// ```
///
/// If the closure does something with the state, say which type that has:
///
/// ```
/// # use monoloop::Router;
/// let count = monoloop::handler(|count: &mut u32, _, res| {
///     *count += 1;
///     res.text(count.to_string())
/// });
/// # Router::new(0).get("/", count);
/// ```
#[doc(alias("closure", "infer"))]
pub const fn handler<S, F>(closure: F) -> F
where
    F: Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent> + 'static,
{
    closure
}
