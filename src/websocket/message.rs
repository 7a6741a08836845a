//! A message, as handlers get it and give it.

use std::fmt;

use super::frame::Opcode;
use crate::exchange::MessageRecord;
#[cfg(feature = "json")]
use crate::http::{Error, Result};

/// A message: text or bytes. It borrows its content.
///
/// ```
/// use monoloop::websocket::Message;
///
/// let message = Message::from("hello");
/// assert_eq!((message.as_text(), message.as_bytes()), (Some("hello"), &b"hello"[..]));
/// assert_eq!(Message::from(&[1, 2, 3]).as_text(), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Text, which is UTF-8.
    Text(&'a str),
    /// Any bytes.
    Binary(&'a [u8]),
}

impl<'a> Message<'a> {
    /// The content, whichever it is.
    pub const fn as_bytes(self) -> &'a [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(bytes) => bytes,
        }
    }

    /// The text; `None` if the message is binary.
    pub const fn as_text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    pub(super) const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// What an observer learns of it.
    pub(super) const fn record(self, received: bool) -> MessageRecord {
        MessageRecord { received, is_text: self.is_text(), bytes: self.as_bytes().len() as u64 }
    }

    /// The opcode of its first frame.
    pub(super) const fn opcode(self) -> Opcode {
        if self.is_text() { Opcode::Text } else { Opcode::Binary }
    }

    /// Reads the content as JSON.
    ///
    /// # Errors
    /// A 400 that says where it is not JSON of this type. A handler that returns it closes the WebSocket.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Deserialize<'a>>(self) -> Result<T> {
        let value = serde_json::from_slice(self.as_bytes());
        value.map_err(|error| Error::bad_request(format!("Not the JSON that is expected here: {error}")))
    }
}

/// It shows the length of the content and not the content, which is the client's own.
impl fmt::Debug for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_text() { "Text" } else { "Binary" };
        write!(f, "{kind}({} bytes)", self.as_bytes().len())
    }
}

impl<'a> From<&'a str> for Message<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Message<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Message<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Message<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Binary(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Message<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Binary(bytes)
    }
}
