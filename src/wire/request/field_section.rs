//! The quick reading of field lines, as nearly every head has them: a name, a colon, a value of visible ASCII and
//! spaces, CRLF.
//!
//! It looks at eight bytes of a value at a time. httparse takes twice as long, and does not say where or how a line
//! ends. Only lines that the general reading (`head.rs`) would accept are accepted here, with the same meaning. The
//! general reading gets all others.

use super::fields_read::FieldsRead;
use super::scan::skip_until;
use crate::http::{Line, LineShape, is_token_byte};

/// Recognises the lines at the front of `bytes`. Writes their shapes to `shapes`, and their meaning to `read`. Returns
/// the number of lines, and the bytes after the blank line.
///
/// Returns `None` if anything is unusual, invalid or missing, or if `shapes` has no room for all lines.
#[inline(always)]
pub(super) fn recognise<'a>(
    bytes: &'a [u8],
    shapes: &mut [LineShape],
    read: &mut FieldsRead<'a>,
) -> Option<(usize, &'a [u8])> {
    let mut count = 0;
    let mut rest = bytes;
    loop {
        let (name_len, after_name) = split_name(rest);
        if name_len == 0 {
            return rest.strip_prefix(b"\r\n").map(|after| (count, after));
        }
        let [b':', value @ ..] = after_name else { return None };
        let [b'\r', b'\n', after @ ..] = skip_value(value) else { return None };
        let shape = LineShape { name_len: name_len as u32, len: (rest.len() - after.len()) as u32 };
        *shapes.get_mut(count)? = shape;
        read.line(Line { text: rest, shape }).ok()?;
        count += 1;
        rest = after;
    }
}

/// The length of the name at the front of `line`, and the bytes after it.
#[inline(always)]
fn split_name(line: &[u8]) -> (usize, &[u8]) {
    let after = skip_until(line, |byte| !is_token_byte(byte));
    (line.len() - after.len(), after)
}

/// The bytes after the value at the front of `line`. White space around the value counts as part of it.
#[inline(always)]
fn skip_value(line: &[u8]) -> &[u8] {
    let mut rest = line;
    while let Some((&eight, after)) = rest.split_first_chunk() {
        let unusual = mark_unusual(eight);
        if unusual != 0 {
            return &rest[unusual.trailing_zeros() as usize / 8..];
        }
        rest = after;
    }
    let len = rest.iter().position(|byte| !matches!(byte, b' '..=b'~')).unwrap_or(rest.len());
    &rest[len..]
}

/// Marks the first byte that is neither visible ASCII nor a space. The lowest bit that is set in the result is the
/// highest bit of that byte.
#[inline(always)]
fn mark_unusual(eight: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let word = u64::from_le_bytes(eight);
    // The subtraction borrows where a byte is below the space. The addition sets the highest bit of DEL, and leaves
    // that of greater bytes set. Only a marked byte borrows or carries, so the bits below the first mark are right.
    (word.wrapping_sub(ONES * 0x20) | word.wrapping_add(ONES)) & (ONES * 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unusual_byte_is_marked_in_every_position() {
        for byte in 0..=u8::MAX {
            for other in [b'a', b' ', b'~', 0, 0x1f, 0x7f, 0x80, 0xff] {
                for at in 0..8 {
                    let mut eight = [b' '; 8];
                    eight[at..].fill(other);
                    eight[at] = byte;
                    let first = eight.iter().position(|byte| !matches!(byte, b' '..=b'~'));
                    assert_eq!(mark_unusual(eight).trailing_zeros() as usize / 8, first.unwrap_or(8), "{eight:?}");
                }
            }
        }
    }
}
