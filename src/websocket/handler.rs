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
/// ```
/// use monoloop::websocket::{Message, Socket, WebSocket};
/// use monoloop::{Result, Router, TestClient};
///
/// /// Answers each message with the number of those that this client has sent.
/// struct Counter(u32);
///
/// impl<S> WebSocket<S> for Counter {
///     fn message(&mut self, _: &mut S, _: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
///         self.0 += 1;
///         ws.send(&self.0.to_string())
///     }
/// }
///
/// let mut app = Router::new(());
/// app.websocket("/count", |_, _, offer| Ok((offer, Counter(0))));
///
/// let mut client = TestClient::new(app);
/// let mut ann = client.websocket("/count").open();
/// ann.send(&mut client, "one");
/// ann.send(&mut client, "two");
/// assert_eq!((ann.text(), ann.text()), ("1".to_owned(), "2".to_owned()));
/// ```
///
/// The example of the [module](super) has a room.
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

/// So one route can serve several kinds of handlers: its factory returns a `Box<dyn WebSocket<S>>`.
impl<S, T: WebSocket<S> + ?Sized> WebSocket<S> for Box<T> {
    fn open(&mut self, state: &mut S, ws: &mut Socket<'_>) -> Result<()> {
        (**self).open(state, ws)
    }

    fn message(&mut self, state: &mut S, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        (**self).message(state, message, ws)
    }

    fn writable(&mut self, state: &mut S, ws: &mut Socket<'_>) -> Result<()> {
        (**self).writable(state, ws)
    }

    fn pong(&mut self, state: &mut S, payload: &[u8], ws: &mut Socket<'_>) -> Result<()> {
        (**self).pong(state, payload, ws)
    }

    fn close(self: Box<Self>, state: &mut S, end: Closed<'_>) {
        (*self).close(state, end);
    }
}

/// How a WebSocket has ended.
///
/// `code` says what the two programs have told each other, and `connection` says what the server knows of the
/// connection below:
///
/// - `ProtocolEnded` with 1006: the client has closed the connection, and has sent no Close frame.
/// - `ProtocolEnded` with any other code: both sides have said goodbye (`is_clean`), or the client has not answered the
///   goodbye of the server, or it has broken a rule or a limit (1002, 1007, 1009).
/// - `SocketError`: the connection was reset.
/// - `IdleTimeout`: the client has not answered a ping.
/// - `SendTimeout`: the client has taken too little of what it was owed.
/// - `ReplyTimeout`: the application has paused the socket for too long.
/// - `OutOfMemory`: the server was short of memory.
/// - `Cut`: the drain had no more time, or a second signal came.
/// - `ProtocolFailed`: the 101 could not be made, so the socket was never open.
///
/// The last seven come with 1006. If the connection ends between a Close frame and its answer, they come with the code
/// of that frame.
///
/// ```
/// use monoloop::server::CloseReason;
/// use monoloop::websocket::{Closed, Message, Socket, WebSocket};
/// use monoloop::{Result, Router, TestClient};
///
/// struct Quiet;
///
/// impl WebSocket<Vec<(u16, CloseReason)>> for Quiet {
///     fn message(&mut self, _: &mut Vec<(u16, CloseReason)>, _: Message<'_>, _: &mut Socket<'_>) -> Result<()> {
///         Ok(())
///     }
///
///     fn close(self: Box<Self>, ends: &mut Vec<(u16, CloseReason)>, end: Closed<'_>) {
///         ends.push((end.code, end.connection));
///     }
/// }
///
/// let mut app = Router::new(Vec::new());
/// app.websocket("/", |_, _, offer| Ok((offer, Quiet)));
/// let mut client = TestClient::new(app);
/// client.websocket("/").open().close(&mut client, 1001, "");
/// client.websocket("/").open().cut(&mut client);
/// assert_eq!(client.app().state(), &[(1001, CloseReason::ProtocolEnded), (1006, CloseReason::SocketError)]);
/// ```
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
