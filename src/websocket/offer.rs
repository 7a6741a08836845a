//! What a client offers, and what the application takes of it.

use std::fmt;

use super::handshake::Handshake;
use crate::exchange::Response;
use crate::http::Result;

/// The WebSocket that a client asks for, before the application has accepted it: see
/// [`Routes::websocket`](crate::router::Routes::websocket).
pub struct Offer<'r> {
    response: Response<'r>,
    /// The subprotocols that the client speaks.
    protocols: Vec<String>,
    chosen: Option<usize>,
    /// How messages are compressed.
    deflate: Deflate,
}

/// Whether messages are compressed: with the size of the window, as the exponent of two; 0 means not at all.
pub(super) type Deflate = u8;

/// The widest window.
pub(super) const WIDEST: Deflate = 15;

impl<'r> Offer<'r> {
    /// `may_deflate` says whether the route compresses messages.
    ///
    /// # Errors
    /// A 400 for a malformed list of extensions.
    pub(super) fn new(handshake: &Handshake<'_>, may_deflate: bool, response: Response<'r>) -> Result<Self> {
        let response = response.header("Sec-WebSocket-Accept", handshake.accept());
        let protocols = handshake.protocols().map(str::to_owned).collect();
        let (response, deflate) = if may_deflate { negotiate(handshake, response)? } else { (response, 0) };
        Ok(Self { response, protocols, chosen: None, deflate })
    }

    /// The subprotocols that the client speaks, the one that it likes best first.
    pub fn protocols(&self) -> impl Iterator<Item = &str> {
        self.protocols.iter().map(String::as_str)
    }

    /// Chooses a subprotocol, if the client speaks it and none was chosen before; so the first call counts that names
    /// one that the client speaks. Browsers refuse a socket if they named subprotocols and none of them was chosen.
    ///
    /// ```
    /// # use monoloop::{Result, Router, websocket::{Message, Socket, WebSocket}};
    /// # struct Echo;
    /// # impl WebSocket<()> for Echo {
    /// #     fn message(&mut self, _: &mut (), _: Message<'_>, _: &mut Socket<'_>) -> Result<()> { Ok(()) }
    /// # }
    /// # let mut app = Router::new(());
    /// app.websocket("/chat", |_, _, offer| {
    ///     let offer = offer.protocol("chat.v2").protocol("chat.v1");
    ///     match offer.chosen() {
    ///         Some(_) => Ok((offer, Echo)),
    ///         None => Err(monoloop::Error::bad_request("This is a chat of version 1 or 2")),
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn protocol(mut self, name: &str) -> Self {
        if self.chosen.is_none() {
            self.chosen = self.protocols.iter().position(|offered| offered == name);
        }
        self
    }

    /// The subprotocol that was chosen.
    pub fn chosen(&self) -> Option<&str> {
        self.chosen.map(|index| &*self.protocols[index])
    }

    /// Sets a field line of the 101, for example a cookie. See [`Response::header`].
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.response = self.response.header(name, value);
        self
    }

    /// Completes the head of the 101.
    pub(super) fn accept(self) -> (Response<'r>, Deflate) {
        let Self { response, protocols, chosen, deflate } = self;
        let response = match chosen {
            Some(index) => response.header("Sec-WebSocket-Protocol", &protocols[index]),
            None => response,
        };
        (response, deflate)
    }
}

/// Agrees to compress messages, if the client offers that.
#[cfg(feature = "websocket-deflate")]
fn negotiate<'r>(handshake: &Handshake<'_>, response: Response<'r>) -> Result<(Response<'r>, Deflate)> {
    Ok(match super::extension::negotiate(handshake.extensions())? {
        Some(agreed) => (response.header("Sec-WebSocket-Extensions", agreed.to_string()), agreed.window_bits()),
        None => (response, 0),
    })
}

#[cfg(not(feature = "websocket-deflate"))]
#[allow(clippy::unnecessary_wraps, reason = "with the feature it may fail")]
fn negotiate<'r>(_: &Handshake<'_>, response: Response<'r>) -> Result<(Response<'r>, Deflate)> {
    Ok((response, 0))
}

impl fmt::Debug for Offer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("protocols", &self.protocols).field("chosen", &self.chosen()).finish()
    }
}
