//! WebSocket (RFC 6455): messages in both directions, on a connection that began with HTTP. The feature is `websocket`.
//!
//! ```text
//!     the client's bytes → Decoder ─┬→ frame  (headers, masking)
//!                                   ├→ utf8   (text that comes in pieces)
//!                                   └→ close  (codes and reasons)
//!                             │ events
//!                             ▼
//!     Connection, the protocol of the loop → WebSocket, the application's handler, with &mut S
//!                             ▲                  │
//!     Room → Member ──────────┘                  └→ Socket → frames in the connection's output
//! ```
//!
//! A [`Room`] in the application's state sends messages to many sockets. The loop has one thread, so it needs no lock:
//!
//! ```
//! use monoloop::websocket::{Message, Room, Slow, Socket, WebSocket};
//! use monoloop::{Result, Router};
//!
//! struct Chat {
//!     name: String,
//! }
//!
//! impl WebSocket<Room> for Chat {
//!     fn open(&mut self, room: &mut Room, ws: &mut Socket<'_>) -> Result<()> {
//!         room.join(ws);
//!         Ok(())
//!     }
//!
//!     fn message(&mut self, room: &mut Room, message: Message<'_>, _: &mut Socket<'_>) -> Result<()> {
//!         if let Some(text) = message.as_text() {
//!             room.send(&format!("{}: {text}", self.name));
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let mut app = Router::new(Room::new(Slow::Drop));
//! app.websocket("/chat", |_, req, offer| {
//!     let name = req.query("name").unwrap_or("somebody".into()).into_owned();
//!     Ok((offer, Chat { name }))
//! });
//! ```

// Reading order: `route` (how a request becomes a socket), `handler`, `connection` (the calls), `decoder` and what it
// uses, `socket`, `room`; then `handshake`, `origins`, `offer`.

mod assemble;
mod close;
mod compression;
mod connection;
mod decoder;
#[cfg(feature = "websocket-deflate")]
mod deflate;
#[cfg(feature = "websocket-deflate")]
mod extension;
mod failure;
mod frame;
mod handler;
mod handshake;
mod link;
mod member;
mod message;
mod offer;
mod origins;
mod prepared;
mod room;
mod route;
mod settings;
mod socket;
#[cfg(any(test, fuzzing))]
mod tests;
mod utf8;

pub use handler::{Closed, WebSocket};
pub use message::Message;
pub use offer::Offer;
pub use origins::{OriginList, Origins};
pub use room::{Room, Slow};
pub use route::WebSocketRoute;
pub use socket::Socket;
#[cfg(any(test, fuzzing))]
pub(crate) use tests::fuzzing;
