//! The search for a byte of some kind, in texts that are short.

/// The bytes from the first one on that `is_wanted`; an empty slice if there is none.
///
/// It takes eight bytes at a time, because the compiler unrolls a loop whose length it knows.
#[inline(always)]
pub(super) fn skip_until(bytes: &[u8], is_wanted: impl Fn(u8) -> bool) -> &[u8] {
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        if let Some(at) = eight.iter().position(|&byte| is_wanted(byte)) {
            return &rest[at..];
        }
        rest = after;
    }
    let at = rest.iter().position(|&byte| is_wanted(byte)).unwrap_or(rest.len());
    &rest[at..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_byte_is_found_wherever_it_is() {
        for len in 0..40 {
            let mut bytes = vec![b'a'; len];
            assert!(skip_until(&bytes, |byte| byte == b'b').is_empty());
            for at in (0..len).rev() {
                bytes[at] = b'b';
                assert_eq!(skip_until(&bytes, |byte| byte == b'b'), &bytes[at..], "of {len}");
            }
        }
    }
}
