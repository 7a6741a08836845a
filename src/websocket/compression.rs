//! The compressor of the loop: one for all its sockets, since no message refers to one before it.

use super::failure::Failure;

/// Inflates the payload of a message, which then has at most `max` bytes.
///
/// # Errors
/// As [`Deflater::inflate`](super::deflate::Deflater::inflate).
#[cfg(feature = "websocket-deflate")]
pub(super) fn inflate(bytes: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    of_this_loop(|deflater| deflater.inflate(bytes, max, &mut content))?;
    Ok(content)
}

/// Most bytes that are compressed in one call, which takes some 10 ms: nobody else is served meanwhile.
#[cfg(feature = "websocket-deflate")]
const MOST: usize = 1 << 20;

/// Compresses the content of a message for a window of `1 << window_bits` bytes. Returns `None` if that would not make
/// it shorter, or the message is too long.
#[cfg(feature = "websocket-deflate")]
pub(super) fn deflate(content: &[u8], window_bits: u8) -> Option<Vec<u8>> {
    if content.len() > MOST {
        return None;
    }
    let mut bytes = Vec::new();
    of_this_loop(|deflater| deflater.deflate(content, window_bits, &mut bytes)).then_some(bytes)
}

/// A loop does not leave its thread, so what the thread has belongs to the loop.
#[cfg(feature = "websocket-deflate")]
fn of_this_loop<T>(work: impl FnOnce(&mut super::deflate::Deflater) -> T) -> T {
    thread_local! {
        static DEFLATER: std::cell::RefCell<super::deflate::Deflater> = std::cell::RefCell::default();
    }
    DEFLATER.with_borrow_mut(work)
}

// Without the feature nothing is compressed, because the handshake never agrees to it.

#[cfg(not(feature = "websocket-deflate"))]
pub(super) const fn inflate(_: &[u8], _: usize) -> Result<Vec<u8>, Failure> {
    Err(Failure::protocol("a message is compressed"))
}

#[cfg(not(feature = "websocket-deflate"))]
pub(super) const fn deflate(_: &[u8], _: u8) -> Option<Vec<u8>> {
    None
}
