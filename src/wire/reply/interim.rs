//! Interim replies (RFC 9110 §15.2).

use crate::http::{Error, Result, is_field_value, is_token};

/// The interim reply that a client waits for before it sends content that it has announced (RFC 9110 §10.1.1).
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Encodes an interim reply.
///
/// # Errors
/// When a name or a value cannot be part of a field line, or the field frames a message.
pub(crate) fn encode_interim<N: AsRef<str>, V: AsRef<str>>(
    status: u16,
    fields: impl IntoIterator<Item = (N, V)>,
) -> Result<Vec<u8>> {
    let phrase = if status == 103 { "Early Hints" } else { "" };
    let mut out = format!("HTTP/1.1 {status} {phrase}\r\n").into_bytes();
    for (name, value) in fields {
        let (name, value) = (name.as_ref(), value.as_ref());
        if !is_token(name.as_bytes()) || !is_field_value(value.as_bytes()) || is_framing(name) {
            return Err(Error::internal(format!("not a field line of an interim reply: {name:?}: {value:?}")));
        }
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    Ok(out)
}

/// Whether this field frames a message. An interim reply has no content, so it must not have one
/// (RFC 9110 §8.6, RFC 9112 §6.1).
fn is_framing(name: &str) -> bool {
    ["content-length", "transfer-encoding", "connection"].iter().any(|framing| framing.eq_ignore_ascii_case(name))
}
