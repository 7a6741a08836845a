//! `host [":" port]`, the value of Host and a part of an absolute-form target (RFC 3986 §3.2, RFC 9110 §4.2, §7.2).

use std::net::Ipv6Addr;

use crate::http::classes;
use crate::wire::ProtocolError;

/// The class of a byte of an authority. The classes of a stretch of bytes are combined by OR.
mod class {
    /// Part of a registered name or an IPv4 address: unreserved and sub-delims (RFC 3986 §2). The comma is not in this
    /// class, because two hosts in one field are not one host.
    pub(crate) const NAME: u8 = 0;
    pub(crate) const OTHER: u8 = 1;
}

const CLASS: [u8; 256] = {
    let mut table = [class::OTHER; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => class::NAME,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => class::NAME,
            _ => class::OTHER,
        };
        byte += 1;
    }
    table
};

/// The last authority that passed the check. Nearly every request names the authority of the request before it, and
/// then one comparison is enough.
#[derive(Debug)]
pub(crate) struct KnownAuthority(Vec<u8>);

impl KnownAuthority {
    /// The length of the longest authority that is remembered; a longer one is checked each time.
    const MAX: usize = 128;

    /// Does the same as [`check`], and skips the work for the authority that passed last.
    #[inline]
    pub(crate) fn check(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        if *bytes == *self.0 { Ok(()) } else { self.get_to_know(bytes) }
    }

    #[inline(never)]
    fn get_to_know(&mut self, bytes: &[u8]) -> Result<(), ProtocolError> {
        check(bytes)?;
        if bytes.len() <= Self::MAX {
            self.0.clear();
            self.0.extend_from_slice(bytes);
        }
        Ok(())
    }
}

impl Default for KnownAuthority {
    /// A valid authority, with room for any other.
    fn default() -> Self {
        let mut known = Vec::with_capacity(Self::MAX);
        known.extend_from_slice(b"localhost");
        Self(known)
    }
}

/// Checks that `bytes` are an authority: a host that is not empty, and a port that is empty or fits in 16 bits.
/// Userinfo, a path or a list is refused.
#[inline]
pub(crate) fn check(bytes: &[u8]) -> Result<(), ProtocolError> {
    let mut name = bytes;
    while let [rest @ .., b'0'..=b'9'] = name {
        name = rest;
    }
    let digits = bytes.len() - name.len();
    // Nearly every authority is a name or an IPv4 address, with a port of at most four digits or none.
    let plain = match name {
        [name @ .., b':'] => digits < 5 && !name.is_empty() && classes(&CLASS, name) == class::NAME,
        _ => !bytes.is_empty() && classes(&CLASS, bytes) == class::NAME,
    };
    if plain { Ok(()) } else { check_rare(bytes) }
}

/// Checks what is left: an IPv6 address, something percent-encoded, a longer port, or nothing valid.
#[cold]
fn check_rare(bytes: &[u8]) -> Result<(), ProtocolError> {
    let host_len = match bytes.first() {
        Some(b'[') => ip_literal_len(bytes)?,
        _ => encoded_name_len(bytes)?,
    };
    match &bytes[host_len..] {
        [] => Ok(()),
        [b':', port @ ..] if is_port(port) => Ok(()),
        _ => Err(ProtocolError::Host),
    }
}

/// The length of `[` IPv6 address `]`. Zones and IPvFuture are refused.
fn ip_literal_len(bytes: &[u8]) -> Result<usize, ProtocolError> {
    let end = bytes.iter().position(|&byte| byte == b']').ok_or(ProtocolError::Host)?;
    let address = std::str::from_utf8(&bytes[1..end]).map_err(|_| ProtocolError::Host)?;
    address.parse::<Ipv6Addr>().map_err(|_| ProtocolError::Host)?;
    Ok(end + 1)
}

/// The length of a registered name. RFC 3986 lets it be empty, http URIs do not (RFC 9110 §4.2.1).
fn encoded_name_len(bytes: &[u8]) -> Result<usize, ProtocolError> {
    let mut at = 0;
    loop {
        match bytes[at..] {
            [byte, ..] if CLASS[byte as usize] == class::NAME => at += 1,
            [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => at += 3,
            _ if at == 0 => return Err(ProtocolError::Host),
            _ => return Ok(at),
        }
    }
}

/// Whether these are decimal digits that fit in 16 bits. No digits at all mean the default port.
fn is_port(digits: &[u8]) -> bool {
    let mut port = 0_u32;
    digits.iter().all(|&digit| {
        port = port * 10 + u32::from(digit.wrapping_sub(b'0'));
        digit.is_ascii_digit() && port <= 65535
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_a_host_and_perhaps_a_port() {
        let good = [
            "example.com",
            "localhost:",
            "localhost:8080",
            "127.0.0.1",
            "[::1]",
            "[::1]:80",
            "[::ffff:1.2.3.4]:",
            "a_b-c~d",
            "a%20b",
            "x;y",
            "h:65535",
            "h:00080",
        ];
        for text in good {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
        let bad: [&[u8]; 23] = [
            b"",
            b":80",
            b"user@host",
            b"user:pass@host",
            b"host/path",
            b"host?q",
            b"host#f",
            b"a b",
            b"a, b",
            b"a,b",
            b"a b:80",
            b"h:65536",
            b"h:99999999999",
            b"h:+1",
            b"h:8a",
            b"h:80:80",
            b"[::1",
            b"[::1]x",
            b"[1.2.3.4]",
            b"[fe80::1%25eth0]",
            b"a%2",
            b"a%zz",
            b"\xc3\xa9.example",
        ];
        for bytes in bad {
            assert_eq!(check(bytes), Err(ProtocolError::Host), "{}", bytes.escape_ascii());
        }
    }
}
