//! The opening handshake, as the server sees it (RFC 6455 §4.2): what the request must say, and the answer to its key.
//!
//! That it is a GET of HTTP/1.1 which offers to upgrade is not checked here: the router calls nobody otherwise.

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

use super::origins::Origins;
use crate::http::{Error, Fields, Result, is_token};
use crate::router::Wanted;

/// What makes the answer one of a server that knows WebSocket (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Accept`: a SHA-1 in Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AcceptKey([u8; 28]);

impl AcceptKey {
    /// The answer to the value of `Sec-WebSocket-Key`.
    pub(crate) fn new(key: &[u8]) -> Self {
        let hash = Sha1::new().chain_update(key).chain_update(GUID).finalize();
        let mut encoded = [0; 28];
        BASE64.encode_mut(&hash, &mut encoded);
        Self(encoded)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("Base64 is ASCII")
    }
}

/// A request for a WebSocket that may be answered with 101.
#[derive(Clone, Debug)]
pub(crate) struct Handshake<'a> {
    fields: Fields<'a>,
    accept: AcceptKey,
}

impl<'a> Handshake<'a> {
    /// Checks the field lines of a request that offers to upgrade to `websocket`. `host` is the authority that the
    /// client asked for.
    ///
    /// # Errors
    /// 426 for another version than 13, 400 for a bad key or list of subprotocols, 403 for a foreign origin.
    pub(crate) fn read(fields: Fields<'a>, host: Option<&str>, origins: &Origins) -> Result<Self> {
        if only(fields, "Sec-WebSocket-Version") != Some(b"13") {
            return Err(upgrade_required());
        }
        let Some(key) = only(fields, "Sec-WebSocket-Key").filter(|key| is_key(key)) else {
            return Err(Error::bad_request("Sec-WebSocket-Key must be there once: 16 bytes in Base64"));
        };
        let handshake = Self { fields, accept: AcceptKey::new(key) };
        handshake.check_protocols()?;
        origins.check(fields, host)?;
        Ok(handshake)
    }

    /// The answer to the key.
    pub(crate) fn accept(&self) -> &str {
        self.accept.as_str()
    }

    /// The subprotocols that the client speaks, the one that it likes best first.
    pub(crate) fn protocols(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.listed_protocols().filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// The values of `Sec-WebSocket-Extensions`, in order.
    #[cfg(feature = "websocket-deflate")]
    pub(crate) fn extensions(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.fields.all("Sec-WebSocket-Extensions")
    }

    fn listed_protocols(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let values = self.fields.all("Sec-WebSocket-Protocol");
        let names = values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
        // A list may have empty members (RFC 9110 §5.6.1.2).
        names.filter(|name| !name.is_empty())
    }

    /// Checks that the subprotocols are tokens, each named once (RFC 6455 §4.1, item 10).
    fn check_protocols(&self) -> Result<()> {
        for (at, name) in self.listed_protocols().enumerate() {
            if at == MAX_PROTOCOLS {
                return Err(Error::bad_request("Sec-WebSocket-Protocol names too many subprotocols"));
            }
            if !is_token(name) || self.listed_protocols().take(at).any(|before| before == name) {
                return Err(Error::bad_request("Sec-WebSocket-Protocol must be a list of different tokens"));
            }
        }
        Ok(())
    }
}

/// Most subprotocols of a request. Each is compared with those before it.
const MAX_PROTOCOLS: usize = 64;

/// What a client gets that does not ask for a WebSocket. In most cases a proxy has lost the question.
pub(super) const WANTED: Wanted = Wanted {
    message: "This is a WebSocket of version 13. A proxy must pass Upgrade and Connection on",
    fields: &[("Sec-WebSocket-Version", "13")],
};

/// The reply to a client that asks for another version (RFC 6455 §4.4).
pub(super) fn upgrade_required() -> Error {
    Wanted::refusal("This is a WebSocket of version 13", "websocket".to_owned(), WANTED.fields)
}

/// The value of a field that must be there exactly once.
pub(super) fn only<'a>(fields: Fields<'a>, name: &str) -> Option<&'a [u8]> {
    let mut values = fields.all(name);
    values.next().filter(|_| values.next().is_none())
}

/// Whether the key is 16 bytes in Base64 (RFC 6455 §4.1, item 7): 22 characters, the last of which has four bits that
/// are 0 because no byte needs them. Nobody needs the bytes, so they are not decoded.
fn is_key(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key {
        [digits @ .., last, b'=', b'='] => digits.len() == 21 && digits.iter().all(is_digit) && b"AQgw".contains(last),
        _ => false,
    }
}
