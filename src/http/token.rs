//! Byte tables for the two productions that every field line is made of. The loops do not leave early: nearly all input
//! is valid, and so the compiler may look at many bytes at once.

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

/// Whether `bytes` may be sent as a field value (RFC 9110 §5.5): no CR, LF, NUL or other control byte, only tab.
pub(crate) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, &byte| all & (byte == b'\t' || (byte >= b' ' && byte != 0x7f)))
}
