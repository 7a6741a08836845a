//! The route of a WebSocket: how it is registered and set, and how a request becomes a socket.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::connection::Connection;
use super::handshake::{Handshake, WANTED};
use super::offer::Offer;
use super::settings::{Settings, Sizes, Times};
use super::{Origins, WebSocket};
use crate::exchange::{Request, Response};
use crate::http::Result;
use crate::router::{Next, Registered, Routes};

/// A WebSocket route that was just registered, and whose settings can be changed.
///
/// ```
/// # use monoloop::{Result, Router, websocket::{Message, Origins, Socket, WebSocket}};
/// # use std::time::Duration;
/// # struct Echo;
/// # impl WebSocket<()> for Echo {
/// #     fn message(&mut self, _: &mut (), msg: Message<'_>, ws: &mut Socket<'_>) -> Result<()> { ws.send(msg) }
/// # }
/// # let mut app = Router::new(());
/// app.websocket("/echo", |_, _, offer| Ok((offer, Echo)))
///     .origins(Origins::list(["https://example.com"]))
///     .max_message(1 << 20)
///     .ping_after(Duration::from_secs(20));
/// ```
pub struct WebSocketRoute<'a, S> {
    settings: Rc<Settings>,
    route: Registered<'a, S>,
}

impl<S> WebSocketRoute<'_, S> {
    /// Adds a guard for this WebSocket alone: see [`Registered::guard`].
    #[doc(alias("middleware", "auth"))]
    pub fn guard(mut self, guard: impl Fn(&mut S, &Request<'_>) -> Result<()> + 'static) -> Self {
        self.route = self.route.guard(guard);
        self
    }

    /// Adds a middleware that sees the requests for this WebSocket alone: see [`Registered::with`]. If it answers, the
    /// client gets that answer as an HTTP reply, and no WebSocket.
    #[doc(alias("middleware", "guard", "auth"))]
    pub fn with(
        mut self,
        middleware: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Next<'r> + 'static,
    ) -> Self {
        self.route = self.route.with(middleware);
        self
    }

    /// Sets which pages may open the WebSocket; by default those of the [same origin](Origins::Same). A browser sends
    /// the cookies of its user along, so a page of any other origin could act for that user (RFC 6455 §10.2).
    #[doc(alias("cors", "csrf"))]
    pub fn origins(self, origins: Origins) -> Self {
        self.settings.origins.replace(origins);
        self
    }

    /// Sets the largest message that a client may send, in bytes; by default 64 KiB. A larger one closes the socket
    /// with 1009. Of a compressed message, the inflated size counts.
    pub fn max_message(self, bytes: usize) -> Self {
        self.set_sizes(|sizes| sizes.message = bytes)
    }

    /// Sets how many frames a message of a client may have, at least 1; by default 1024. More close the socket with
    /// 1009.
    pub fn max_fragments(self, frames: usize) -> Self {
        self.set_sizes(|sizes| sizes.fragments = frames.max(1))
    }

    /// Sets from how many bytes on a message to the client is compressed, if the client takes compressed ones; by
    /// default 256. With [`usize::MAX`] nothing is compressed in either direction.
    #[cfg(feature = "websocket-deflate")]
    #[cfg_attr(docsrs, doc(cfg(feature = "websocket-deflate")))]
    pub fn deflate_from(self, bytes: usize) -> Self {
        self.set_sizes(|sizes| sizes.deflate_from = bytes)
    }

    /// Sets the silence of a client after which the server sends a ping; by default 30 seconds. With [`Duration::MAX`]
    /// it sends none, and the [idle timeout](crate::Config::idle_timeout) ends a silent socket.
    #[doc(alias("heartbeat", "keepalive"))]
    pub fn ping_after(self, silence: Duration) -> Self {
        self.set_times(|times| times.ping = silence)
    }

    /// Sets the time for the answer to a ping; by default 10 seconds. Any byte of the client counts as an answer. After
    /// that time the connection is closed, and the socket has the code 1006.
    pub fn pong_within(self, time: Duration) -> Self {
        self.set_times(|times| times.pong = time)
    }

    /// Sets the time for the client's Close frame after that of the server; by default 5 seconds. After it the
    /// connection is closed.
    pub fn close_within(self, time: Duration) -> Self {
        self.set_times(|times| times.close = time)
    }

    fn set_sizes(self, set: impl FnOnce(&mut Sizes)) -> Self {
        let mut sizes = self.settings.sizes.get();
        set(&mut sizes);
        self.settings.sizes.set(sizes);
        self
    }

    fn set_times(self, set: impl FnOnce(&mut Times)) -> Self {
        let mut times = self.settings.times.get();
        set(&mut times);
        self.settings.times.set(times);
        self
    }
}

impl<S> fmt::Debug for WebSocketRoute<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebSocketRoute")
    }
}

impl<S> Routes<S> {
    /// Adds a WebSocket route (RFC 6455). When a client asks for the WebSocket, `factory` makes the [`WebSocket`] that
    /// handles it, and returns the [`Offer`], by which it chooses a subprotocol or adds field lines to the 101. If it
    /// returns an error, the client gets that as an HTTP reply, and the connection goes on with HTTP.
    ///
    /// Before the factory is called, the handshake is checked. A page of a foreign [origin](WebSocketRoute::origins)
    /// gets a 403, a client of another version than 13 a 426, and a malformed handshake a 400. A GET that does not ask
    /// for a WebSocket gets a 426, unless the path has a handler for GET, too.
    ///
    /// See the example of the [module](crate::websocket).
    ///
    /// # Panics
    /// In the same cases as [`get`](Self::get), and if the path has a WebSocket already.
    #[doc(alias("ws", "upgrade", "socket.io"))]
    #[cfg_attr(docsrs, doc(cfg(feature = "websocket")))]
    pub fn websocket<T: WebSocket<S> + 'static>(
        &mut self,
        path: &str,
        factory: impl for<'r> Fn(&mut S, &Request<'_>, Offer<'r>) -> Result<(Offer<'r>, T)> + 'static,
    ) -> WebSocketRoute<'_, S> {
        let settings = Rc::new(Settings::default());
        let shared = Rc::clone(&settings);
        let route = self.add_protocol(path, "websocket", WANTED, move |state, request, response| {
            let offer = begin(&shared, request, response)?;
            let (offer, handler) = factory(state, request, offer)?;
            let (response, deflate) = offer.accept();
            Ok((response, Connection::new(handler, Rc::clone(&shared), deflate)))
        });
        WebSocketRoute { settings, route }
    }
}

/// Checks the handshake of a request, and makes an offer of it.
fn begin<'r>(settings: &Settings, request: &Request<'_>, response: Response<'r>) -> Result<Offer<'r>> {
    let handshake = Handshake::read(request.headers(), request.host(), &settings.origins.borrow())?;
    Offer::new(&handshake, settings.sizes.get().deflate_from < usize::MAX, response)
}
