//! Compressed messages (RFC 7692 §7.2), each for itself: no message refers to one before it. So one compressor and one
//! decompressor serve all sockets of a loop, and a socket keeps nothing.

use std::fmt;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::failure::Failure;

/// What ends each flush of the compressor. It is not sent (RFC 7692 §7.2.1).
const TAIL: &[u8] = b"\x00\x00\xff\xff";

/// The windows that zlib has, as exponents of 2. It cannot make a stream without a header for a window of 8 bits.
pub(super) const MIN_WINDOW: u8 = 9;
pub(super) const MAX_WINDOW: u8 = 15;

/// The fastest level. The next one takes four times as long for 1 KiB of JSON, and makes it a fifth shorter.
const LEVEL: u32 = 1;

/// Bytes of room for the first output.
const FIRST_ROOM: usize = 256;

/// The compressor and the decompressor of a loop. Each is made when it is first needed.
#[derive(Default)]
pub(crate) struct Deflater {
    decompress: Option<Decompress>,
    /// One for each size of the window: a client with little memory asks for a small one, and that is rare.
    compress: [Option<Compress>; (MAX_WINDOW - MIN_WINDOW + 1) as usize],
}

impl Deflater {
    /// Appends the message whose compressed payload is `bytes`. `into` grows with the output, and not for more than
    /// `max` bytes of it.
    ///
    /// # Errors
    /// 1009 for more than `max` bytes, 1007 for bytes that are not compressed data. Then `into` is as before.
    pub(crate) fn inflate(&mut self, bytes: &[u8], max: usize, into: &mut Vec<u8>) -> Result<(), Failure> {
        let decompress = self.decompress.get_or_insert_with(|| Decompress::new(false));
        let start = into.len();
        decompress.reset(false);
        let inflated = [bytes, TAIL].into_iter().try_for_each(|input| inflate(decompress, input, start, max, into));
        if inflated.is_err() {
            into.truncate(start);
        }
        inflated
    }

    /// Appends `bytes`, compressed for a window of `1 << window_bits` bytes. Returns false, and leaves `into` as it
    /// was, if that would not be shorter: then the message should be sent as it is.
    ///
    /// # Panics
    /// If `window_bits` are not 9 to 15.
    #[must_use = "it says whether the message was compressed"]
    pub(crate) fn deflate(&mut self, bytes: &[u8], window_bits: u8, into: &mut Vec<u8>) -> bool {
        let new = || Compress::new_with_window_bits(Compression::new(LEVEL), false, window_bits);
        let compress = self.compress[usize::from(window_bits - MIN_WINDOW)].get_or_insert_with(new);
        let start = into.len();
        compress.reset();
        let is_shorter = deflate(compress, bytes, into)
            && into[start..].ends_with(TAIL)
            && into.len() - start - TAIL.len() < bytes.len();
        into.truncate(if is_shorter { into.len() - TAIL.len() } else { start });
        is_shorter
    }
}

/// Inflates a part of a message, all of which is in `into` from `start` on.
fn inflate(
    decompress: &mut Decompress,
    mut input: &[u8],
    start: usize,
    max: usize,
    into: &mut Vec<u8>,
) -> Result<(), Failure> {
    const BAD: Failure = Failure::invalid("a message is not compressed as agreed");
    loop {
        let len = into.len() - start;
        if into.len() == into.capacity() {
            // One byte more than allowed shows that it is too much.
            let wanted = len.max(2 * input.len()).max(FIRST_ROOM);
            into.reserve_exact(wanted.min(max.saturating_add(1) - len));
        }
        let (read, written) = (decompress.total_in(), decompress.total_out());
        let status = decompress.decompress_vec(input, into, FlushDecompress::Sync).map_err(|_| BAD)?;
        input = &input[(decompress.total_in() - read) as usize..];
        if into.len() - start > max {
            return Err(Failure::TOO_LONG);
        }
        match status {
            // Blocks that end a stream may be used to flush; others follow (RFC 7692 §7.2.3.4).
            Status::StreamEnd => decompress.reset(false),
            _ if into.len() == into.capacity() => {}
            _ if input.is_empty() => return Ok(()),
            _ if decompress.total_in() == read && decompress.total_out() == written => return Err(BAD),
            _ => {}
        }
    }
}

/// Compresses all of `input` and flushes the compressor. Returns false if it cannot, which zlib does not explain.
fn deflate(compress: &mut Compress, mut input: &[u8], into: &mut Vec<u8>) -> bool {
    loop {
        // With so much room, zlib does not flush twice.
        into.reserve(input.len() / 2 + FIRST_ROOM);
        let read = compress.total_in();
        if compress.compress_vec(input, into, FlushCompress::Sync).is_err() {
            return false;
        }
        input = &input[(compress.total_in() - read) as usize..];
        if input.is_empty() && into.len() < into.capacity() {
            return true;
        }
    }
}

impl fmt::Debug for Deflater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}
