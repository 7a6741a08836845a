//! Byte tables for the two grammar productions of a field line: the token and the field value. The loops do not return
//! early, because nearly all input is valid. So the compiler can process many bytes at once.

/// Looks up the class of each byte in `table` and combines the classes by a bitwise OR. The loop takes four bytes at a
/// time and does not return early.
#[inline(always)]
pub(crate) fn classes(table: &[u8; 256], bytes: &[u8]) -> u8 {
    let (fours, rest) = bytes.as_chunks::<4>();
    let class = |byte: u8| table[byte as usize];
    let of_fours = fours.iter().fold(0, |set, &[a, b, c, d]| set | class(a) | class(b) | class(c) | class(d));
    rest.iter().fold(of_fours, |set, &byte| set | class(byte))
}

/// `token` bytes (RFC 9110 §5.6.2).
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(byte as u8,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
            | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z');
        byte += 1;
    }
    table
};

/// Whether a token may contain `byte`. Methods, field names and chunk-extension names are tokens.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether `bytes` form a token: at least one byte, and only allowed ones.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().fold(true, |all, &byte| all & is_token_byte(byte))
}

/// Whether the token `name` equals `lower`, without regard to case. `lower` must hold lower-case letters and hyphens
/// only.
///
/// The length is known at compile time, so this compiles to a few wide comparisons instead of a loop over bytes.
#[inline]
pub(crate) fn is_name<const N: usize>(name: impl AsRef<[u8]>, lower: &[u8; N]) -> bool {
    // Bit 0x20 is the difference between upper and lower case. Setting it keeps a hyphen as it is, and turns no other
    // token byte into a hyphen.
    name.as_ref().try_into().is_ok_and(|name: &[u8; N]| {
        name.iter().zip(lower).fold(true, |all, (byte, lower)| all & (byte | 0x20 == *lower))
    })
}

/// Whether `bytes` may be sent as a field value (RFC 9110 §5.5). Tab is the only allowed control byte; CR, LF, NUL and
/// the others are not.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| all & (byte == b'\t' || (byte >= b' ' && byte != 0x7f)))
}

/// Whether a field line can be sent (RFC 9110 §5): `name` must be a token, and `value` must have no control character
/// but tab.
///
/// ```
/// use monoloop::http::is_field_line;
///
/// assert!(is_field_line("X-Frame-Options", "DENY"));
/// assert!(!is_field_line("X Frame", "DENY") && !is_field_line("X-Evil", "a\r\nSet-Cookie: b"));
/// ```
pub fn is_field_line(name: &str, value: &str) -> bool {
    is_token(name.as_bytes()) && is_field_value(value.as_bytes())
}

/// Whether `text` can be sent as a `Content-Type`: `type/subtype`, perhaps with parameters (RFC 9110 §8.3.1).
///
/// ```
/// use monoloop::http::is_media_type;
///
/// assert!(is_media_type("text/html; charset=utf-8"));
/// assert!(!is_media_type("text") && !is_media_type("/html") && !is_media_type("a/b\r\nX: y"));
/// ```
pub fn is_media_type(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let halves = essence.split_once('/');
    halves.is_some_and(|(kind, subtype)| is_token(kind.as_bytes()) && is_token(subtype.as_bytes()))
        && is_field_value(text.as_bytes())
}
