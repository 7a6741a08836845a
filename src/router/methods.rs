//! The registration of handlers that take the content of a request as a whole: one function for each method of HTTP,
//! and one for any other.

use super::callback::Callback;
use super::endpoint::Handler;
use super::path::Pattern;
use super::route::{MethodFilter, Registered};
use super::routes::Routes;
use crate::exchange::{Request, Response, Sent};
use crate::http::{Method, Result};

/// Makes one method of [`Routes`] per HTTP method. The bound on the closure is written out in it: with a trait and a
/// blanket implementation instead, the compiler could not infer the lifetimes of closures.
macro_rules! registration {
    ($($(#[$doc:meta])* $name:ident $methods:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Write the closure in place, or use a `fn`. The compiler cannot infer the lifetimes of a closure that was
        /// stored in a `let` before.
        ///
        /// # Panics
        /// If the path is malformed, or has a route for this method already.
        pub fn $name(
            &mut self,
            path: &str,
            handler: impl Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent> + 'static,
        ) -> Registered<'_, S> {
            self.add(Pattern::parse(path), Handler::new($methods, Callback::Whole(Box::new(handler))))
        }
    )*};
}

impl<S> Routes<S> {
    registration! {
        /// Adds a handler for GET, and for HEAD unless the path has one of its own.
        get MethodFilter::Only(Method::Get);
        /// Adds a handler for HEAD, in place of the one for GET.
        head MethodFilter::Only(Method::Head);
        /// Adds a handler for POST.
        post MethodFilter::Only(Method::Post);
        /// Adds a handler for PUT.
        put MethodFilter::Only(Method::Put);
        /// Adds a handler for PATCH.
        patch MethodFilter::Only(Method::Patch);
        /// Adds a handler for DELETE.
        delete MethodFilter::Only(Method::Delete);
        /// Adds a handler for OPTIONS, in place of the automatic answer.
        options MethodFilter::Only(Method::Options);
        /// Adds a handler for every method that has none of its own, except TRACE. Beside the methods that the server
        /// knows, these are those that the program has [added](Self::on).
        any MethodFilter::Any;
    }

    /// Adds a handler for any method by its name, such as those of WebDAV (RFC 4918), QUERY, PURGE or REPORT.
    ///
    /// From now on, all servers of the process understand the method, with content as for any other. A path that does
    /// not have it answers with 405 and names it in `Allow`. A router that has no route for it answers it with 501, as
    /// each one does with methods that nobody has added.
    ///
    /// ```
    /// use monoloop::{Method, Router, TestClient};
    ///
    /// let mut app = Router::new(());
    /// app.on("PROPFIND", "/files/*path", |_, req, res| {
    ///     let depth = req.header("depth").unwrap_or("infinity");
    ///     res.status(207).header("Content-Type", "application/xml").send(format!("<depth>{depth}</depth>"))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// let reply = client.request(Method::extension("PROPFIND"), "/files/a").header("Depth", "1").send();
    /// assert_eq!((reply.status(), reply.text()), (207, "<depth>1</depth>"));
    /// assert_eq!(client.get("/files/a").send().header("allow"), Some("OPTIONS, PROPFIND"));
    /// ```
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get) and [`Method::extension`], and if the method is TRACE, which is always a
    /// 405.
    #[doc(alias("method", "custom", "webdav"))]
    pub fn on(
        &mut self,
        method: &str,
        path: &str,
        handler: impl Fn(&mut S, &Request<'_>, Response<'_>) -> Result<Sent> + 'static,
    ) -> Registered<'_, S> {
        let method = Method::extension(method);
        assert_ne!(method, Method::Trace, "TRACE is always a 405, because it would send credentials back");
        self.add(Pattern::parse(path), Handler::new(MethodFilter::Only(method), Callback::Whole(Box::new(handler))))
    }
}
