//! The sending side of a WebSocket, as handlers have it.

use std::fmt;
use std::rc::Rc;

use super::close;
use super::frame::{MAX_CONTROL, Opcode};
use super::link::{Link, write_frame, write_part};
use super::member::Member;
use super::message::Message;
use crate::exchange::{ConnectionId, Endpoint, Output, Resumer};
use crate::http::{Error, Result};

/// A WebSocket, within a call of its [handler](super::WebSocket).
///
/// What is sent goes to the client in the order of the calls, after what was sent before. Nothing here waits: what the
/// client has not taken yet stays in memory, and [`is_full`](Self::is_full) says when that is enough. While the socket
/// is full, no further message is read from its client.
///
/// ```
/// use monoloop::Result;
/// use monoloop::websocket::{Message, Socket, WebSocket};
///
/// struct Sums;
///
/// impl<S> WebSocket<S> for Sums {
///     fn open(&mut self, _: &mut S, ws: &mut Socket<'_>) -> Result<()> {
///         log::info!("socket {} is from {}", ws.id(), ws.peer());
///         ws.send("Send numbers")
///     }
///
///     fn message(&mut self, _: &mut S, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
///         let Some(text) = message.as_text() else { return ws.close(1003, "Text only") };
///         let sum: u32 = text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).sum();
///         ws.send(&sum.to_string())
///     }
/// }
/// ```
pub struct Socket<'a> {
    pub(super) link: &'a mut Link,
    pub(super) out: Output<'a>,
}

// ---- what handlers can do -------------------------------------------------------------------------------------------

impl Socket<'_> {
    /// Sends a message: text from a `&str`, binary from bytes. After the socket was closed, by either side, this does
    /// nothing.
    ///
    /// # Errors
    /// A 500 if a message is being [sent in parts](Self::send_part), since it would be torn.
    pub fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<()> {
        let message = message.into();
        if !self.link.is_open() {
            return Ok(());
        }
        if self.link.part.is_some() {
            return Err(Error::internal("a message is being sent in parts: no other may begin before its last part"));
        }
        self.link.write_message(message, &mut self.out);
        Ok(())
    }

    /// Sends a value as JSON, in a text message.
    ///
    /// # Errors
    /// As [`send`](Self::send); and a 500 if the value cannot be serialised.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn send_json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let text = serde_json::to_string(value).map_err(Error::from)?;
        self.send(&text)
    }

    /// Sends one part of a message that is too large to be in memory as a whole, in a frame of its own. All parts must
    /// be of one kind, text or binary. The client gets one message when the part that `is_last` has come. When the
    /// socket [is full](Self::is_full), go on in [`writable`](super::WebSocket::writable).
    ///
    /// Messages of rooms wait until the last part.
    ///
    /// # Errors
    /// A 500 if the part is of another kind than the first one.
    #[doc(alias("stream", "fragment"))]
    pub fn send_part<'m>(&mut self, part: impl Into<Message<'m>>, is_last: bool) -> Result<()> {
        let part = part.into();
        let kind = part.opcode();
        if !self.link.is_open() {
            return Ok(());
        }
        if self.link.part.is_some_and(|first| first != kind) {
            return Err(Error::internal("a part is not of the kind of its message"));
        }
        let opcode = if self.link.part.is_some() { Opcode::Continuation } else { kind };
        write_part(&mut self.out, opcode, is_last, part.as_bytes());
        self.link.part = (!is_last).then_some(kind);
        if is_last {
            self.link.deliver(&mut self.out);
        }
        Ok(())
    }

    /// Sends a ping with at most 125 bytes (RFC 6455 §5.5.2). The answer comes to
    /// [`pong`](super::WebSocket::pong). A silent client is pinged [anyway](super::WebSocketRoute::ping_after).
    ///
    /// # Errors
    /// A 500 if the payload is longer.
    pub fn ping(&mut self, payload: &[u8]) -> Result<()> {
        if payload.len() > MAX_CONTROL {
            return Err(Error::internal("a ping has at most 125 bytes"));
        }
        if self.link.is_open() {
            write_frame(&mut self.out, Opcode::Ping, payload);
        }
        Ok(())
    }

    /// Closes the socket, after what was sent. The client gets `code` and `reason`, and has
    /// [some seconds](super::WebSocketRoute::close_within) to answer. No further message comes. If the socket is
    /// closing already, this does nothing.
    ///
    /// # Errors
    /// A 500 if the code may not be sent: it must be one of 1000 to 1003, 1007 to 1014, or 3000 to 4999 (RFC 6455
    /// §7.4). A 500 if the reason is longer than 123 bytes.
    pub fn close(&mut self, code: u16, reason: &str) -> Result<()> {
        check_close(code, reason)?;
        self.link.close(code, reason, &mut self.out);
        Ok(())
    }

    /// Whether the client is slow: so much is owed to it that the handler should send no more until
    /// [`writable`](super::WebSocket::writable) is called. What is sent all the same is kept in memory.
    #[doc(alias("backpressure", "bufferedAmount"))]
    pub fn is_full(&self) -> bool {
        self.out.is_full()
    }

    /// Bytes that are owed to the client.
    pub fn owed(&self) -> usize {
        self.out.owed()
    }

    /// Pauses the messages of the client until the [`Resumer`] is used or dropped, on any thread. The socket is not
    /// read, so the client has to wait, too. After [`Config::reply_timeout`](crate::Config::reply_timeout) without a
    /// resumption, the connection closes.
    pub fn pause(&mut self) -> Resumer {
        self.out.pause()
    }

    // ---- what can be known ------------------------------------------------------------------------------------------

    /// Whether messages can be sent: neither side has closed.
    pub fn is_open(&self) -> bool {
        self.link.is_open()
    }

    /// The number of the connection, as an [`Observer`](crate::server::Observer) and the log have it.
    pub const fn id(&self) -> ConnectionId {
        self.out.id()
    }

    /// The client's end of the connection.
    pub fn peer(&self) -> Endpoint {
        self.out.peer()
    }

    /// Whether the server drains. Each open socket is then closed with 1001.
    pub fn is_draining(&self) -> bool {
        self.out.is_draining()
    }

    // ---- rooms ------------------------------------------------------------------------------------------------------

    /// The socket as rooms know it; `None` if it is not open.
    pub(super) fn member(&mut self) -> Option<&Rc<Member>> {
        let Self { link, out } = self;
        let is_open = link.is_open();
        is_open.then(|| &*link.member.get_or_insert_with(|| Member::new(out.local_waker())))
    }

    /// The socket as rooms know it, if it has joined one.
    pub(super) const fn known_member(&self) -> Option<&Rc<Member>> {
        self.link.member.as_ref()
    }
}

/// Checks that a Close frame can have this code and this reason.
pub(super) fn check_close(code: u16, reason: &str) -> Result<()> {
    match (close::may_be_sent(code), reason.len()) {
        (false, _) => Err(Error::internal(format!("{code} is not a code for the end of a WebSocket"))),
        (true, ..=close::MAX_REASON) => Ok(()),
        (true, _) => Err(Error::internal("a reason has at most 123 bytes")),
    }
}

impl fmt::Debug for Socket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Socket({}, {:?}, {} bytes owed)", self.id(), self.link.stage, self.owed())
    }
}
