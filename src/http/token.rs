//! Byte tables for the two productions that every field line is made of. The loops do not leave early: nearly all input
//! is valid, and so the compiler may look at many bytes at once.

/// The classes of all of `bytes`, taken together: what `table` says of each, or-ed. No early end, and four at a time.
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

/// Whether `byte` may stand in a token: a method, a field name, a chunk-extension name.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether `bytes` are a token: at least one byte, and each of them allowed.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().fold(true, |all, &byte| all & is_token_byte(byte))
}

/// Whether `name`, which is a token, is this one of ours in any case. `lower` is letters and hyphens.
///
/// The length is known when this is compiled, so it is a few wide comparisons instead of a loop over bytes.
#[inline]
pub(crate) fn is_name<const N: usize>(name: impl AsRef<[u8]>, lower: &[u8; N]) -> bool {
    // Setting the bit that tells the cases apart leaves a hyphen as it is, and makes none of another token byte.
    name.as_ref().try_into().is_ok_and(|name: &[u8; N]| {
        name.iter().zip(lower).fold(true, |all, (byte, lower)| all & (byte | 0x20 == *lower))
    })
}

/// Whether `bytes` may be sent as a field value (RFC 9110 §5.5): no CR, LF, NUL or other control byte, only tab.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| all & (byte == b'\t' || (byte >= b' ' && byte != 0x7f)))
}

/// Whether this can be sent as a field line: a token, and a value without control characters (RFC 9110 §5).
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

/// Whether this can be sent as a `Content-Type`: `type/subtype`, perhaps with parameters (RFC 9110 §8.3.1).
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
