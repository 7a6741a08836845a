//! Whether messages may be compressed: the negotiation of `permessage-deflate` (RFC 6455 §9.1, RFC 7692 §5, §7.1).

use std::fmt;

use super::deflate::{MAX_WINDOW, MIN_WINDOW};
use crate::http::{Error, Result, is_token_byte};

/// What was agreed on with a client: no message refers to one before it, in either direction. Its `Display` is the
/// value of `Sec-WebSocket-Extensions` for the 101.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The largest window that the client can read, as an exponent of 2, if it has named one.
    server_window: Option<u8>,
}

impl Agreed {
    /// The window for messages to the client, as an exponent of 2.
    pub(crate) fn window_bits(self) -> u8 {
        self.server_window.unwrap_or(MAX_WINDOW)
    }
}

impl fmt::Display for Agreed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The answer does not limit the window of the client: the one decompressor has the largest window anyway.
        f.write_str("permessage-deflate; server_no_context_takeover; client_no_context_takeover")?;
        self.server_window.map_or(Ok(()), |bits| write!(f, "; server_max_window_bits={bits}"))
    }
}

/// Accepts the first offer of `permessage-deflate` that can be met. `values` are those of `Sec-WebSocket-Extensions`.
/// Other extensions, and offers with a parameter that is unknown, doubled or bad, are passed over (RFC 7692 §7.1).
///
/// # Errors
/// A 400 if the field does not have the form of a list of extensions.
pub(crate) fn negotiate<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<Agreed>> {
    let mut agreed = None;
    for value in values {
        let mut reader = Reader { rest: value };
        loop {
            // A list may have empty members (RFC 9110 §5.6.1.2).
            while reader.eat(b',') {}
            if reader.is_at_end() {
                break;
            }
            let offer = reader.extension().ok_or_else(malformed)?;
            agreed = agreed.or(offer);
            if !reader.is_at_end() && !reader.eat(b',') {
                return Err(malformed());
            }
        }
    }
    Ok(agreed)
}

#[cold]
fn malformed() -> Error {
    Error::bad_request("Sec-WebSocket-Extensions is not a list of extensions")
}

/// The parameters of an offer (RFC 7692 §7.1).
#[derive(Default)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_window: Option<u8>,
    client_window: bool,
    is_declined: bool,
}

impl Offer {
    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let replace = std::mem::replace::<bool>;
        let is_bad = match (name, value, value.and_then(window)) {
            (b"server_no_context_takeover", None, _) => replace(&mut self.server_no_context_takeover, true),
            (b"client_no_context_takeover", None, _) => replace(&mut self.client_no_context_takeover, true),
            (b"server_max_window_bits", _, Some(bits)) => {
                self.server_window.replace(bits).is_some() || bits < MIN_WINDOW
            }
            (b"client_max_window_bits", None, _) | (b"client_max_window_bits", _, Some(_)) => {
                replace(&mut self.client_window, true)
            }
            _ => true,
        };
        self.is_declined |= is_bad;
    }
}

/// A number from 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

/// Reads the grammar of RFC 6455 §9.1. White space may be before each element. `None` means that the field is
/// malformed.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    /// Reads an extension with its parameters. Returns what is agreed on if it is accepted.
    fn extension(&mut self) -> Option<Option<Agreed>> {
        let is_deflate = self.token()? == b"permessage-deflate";
        let mut offer = Offer::default();
        while self.eat(b';') {
            let name = self.token()?;
            if self.eat(b'=') {
                offer.add(&name, Some(&self.value()?));
            } else {
                offer.add(&name, None);
            }
        }
        let is_accepted = is_deflate && !offer.is_declined;
        Some(is_accepted.then_some(Agreed { server_window: offer.server_window }))
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        self.skip_space();
        let len = self.rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
        let (token, rest) = self.rest.split_at(len);
        self.rest = rest;
        (len > 0).then(|| token.to_vec())
    }

    /// Reads a token, which may be in quotes.
    fn value(&mut self) -> Option<Vec<u8>> {
        if !self.eat(b'"') {
            return self.token();
        }
        let mut value = Vec::new();
        loop {
            let (&[byte], rest) = self.rest.split_first_chunk()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(value).filter(|value| !value.is_empty()),
                b'\\' => {
                    let (&[escaped], rest) = self.rest.split_first_chunk()?;
                    self.rest = rest;
                    value.push(Some(escaped).filter(|&byte| is_token_byte(byte))?);
                }
                byte => value.push(Some(byte).filter(|&byte| is_token_byte(byte))?),
            }
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.rest.is_empty()
    }

    fn skip_space(&mut self) {
        while let [b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}
