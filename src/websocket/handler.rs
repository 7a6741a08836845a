//! What an application writes for a WebSocket.

use super::{Message, Socket};
use crate::exchange::CloseReason;
use crate::http::Result;

/// The application's side of one WebSocket. There is one value for each socket, and its methods get the application's
/// state as `&mut S`.
///
/// An error or a panic in a method is logged, and closes the socket with the code 1011. If the error has a status of
/// 400 to 499, the client gets its message as the reason.
///
/// See the example of the [module](super).
#[doc(alias("ws", "socket", "handler"))]
#[allow(unused_variables, reason = "the default methods do nothing; their arguments are named for the reader")]
pub trait WebSocket<S> {
    /// The socket is open. This is the first call.
    ///
    /// # Errors
    /// An error closes the socket, as those of the other methods do.
    fn open(&mut self, state: &mut S, ws: &mut Socket<'_>) -> Result<()> {
        Ok(())
    }

    /// A message has come, whole.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn message(&mut self, state: &mut S, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()>;

    /// The client has taken what it was owed, after the socket had been [full](Socket::is_full).
    ///
    /// # Errors
    /// As [`open`](Self::open).
    #[doc(alias = "drain")]
    fn writable(&mut self, state: &mut S, ws: &mut Socket<'_>) -> Result<()> {
        Ok(())
    }

    /// A pong has come. It may be the answer to a ping of [the route](super::WebSocketRoute::ping_after), whose payload
    /// is empty. The server answers pings by itself.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    fn pong(&mut self, state: &mut S, payload: &[u8], ws: &mut Socket<'_>) -> Result<()> {
        Ok(())
    }

    /// The socket has ended. This is called exactly once, as the last method. It is also called for a socket that ended
    /// before it was open.
    fn close(self: Box<Self>, state: &mut S, end: Closed<'_>) {}
}

/// How a WebSocket has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Closed<'a> {
    /// The code of the first Close frame, that of the client or that of the server; 1005 if it had none, and 1006 if
    /// there was no Close frame (RFC 6455 §7.1.5).
    pub code: u16,
    /// The reason that came with the code; perhaps empty. If the client gave it, it is the client's own text.
    pub reason: &'a str,
    /// Whether both sides have sent a Close frame.
    pub is_clean: bool,
    /// Whether [`WebSocket::open`] was called. A client can vanish before that.
    pub was_open: bool,
    /// Why the connection below has ended.
    pub connection: CloseReason,
}
