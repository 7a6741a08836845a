//! Frames (RFC 6455 §5.2): their headers, read and written, and the masking of their payloads (§5.3).
//!
//! ```text
//!     byte 0    FIN RSV1 RSV2 RSV3, opcode (4 bits)
//!     byte 1    MASK, length (7 bits); 126 and 127: the length is in the next 2 or 8 bytes
//!               4 bytes of masking key: always from a client, never from a server (§5.1)
//! ```
//!
//! A header fails at the first byte that shows its fault, whether or not the rest has come. So what becomes of a stream
//! does not depend on how it is cut into pieces.

use super::failure::Failure;

/// Most bytes of the payload of a control frame (RFC 6455 §5.5).
pub(crate) const MAX_CONTROL: usize = 125;

/// What a frame is (RFC 6455 §11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    pub(crate) const fn is_control(self) -> bool {
        self as u8 & 8 != 0
    }
}

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0f;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7f;

/// The first byte of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct First {
    pub(crate) opcode: Opcode,
    /// The frame ends its message.
    pub(crate) fin: bool,
    /// The message is compressed (RFC 7692 §6).
    pub(crate) rsv1: bool,
}

impl First {
    /// Reads the byte. With `deflate`, RSV1 may be set in the first frame of a message.
    ///
    /// # Errors
    /// 1002 for a reserved bit or opcode, and for a control frame without FIN.
    #[inline]
    pub(crate) const fn parse(byte: u8, deflate: bool) -> Result<Self, Failure> {
        let opcode = match byte & OPCODE {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err(Failure::protocol("a frame has a reserved opcode")),
        };
        let (fin, rsv1) = (byte & FIN != 0, byte & RSV1 != 0);
        let may_be_deflated = deflate && matches!(opcode, Opcode::Text | Opcode::Binary);
        if byte & RSV2_RSV3 != 0 || (rsv1 && !may_be_deflated) {
            return Err(Failure::protocol("a frame has a reserved bit"));
        }
        if opcode.is_control() && !fin {
            return Err(Failure::protocol("a control frame is fragmented"));
        }
        Ok(Self { opcode, fin, rsv1 })
    }
}

/// The header of a frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) first: First,
    /// Bytes of the payload.
    pub(crate) len: usize,
    /// Bytes of the header itself.
    pub(crate) size: usize,
    pub(crate) key: [u8; 4],
}

impl Header {
    /// Reads the header that `bytes` begin with; `first` is its first byte. A data frame may have a payload of at most
    /// `most` bytes. Returns `None` if the header is not all there.
    ///
    /// # Errors
    /// 1002 for a frame that is not masked, a length that is not in its shortest form or has its highest bit set, and a
    /// control frame that is too long; 1009 for more than `most` bytes.
    pub(crate) fn parse(first: First, bytes: &[u8], most: usize) -> Result<Option<Self>, Failure> {
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASK == 0 {
            return Err(Failure::protocol("a frame of a client is not masked"));
        }
        let short = (second & LENGTH) as usize;
        if first.opcode.is_control() {
            if short > MAX_CONTROL {
                return Err(Failure::protocol("a control frame has more than 125 bytes"));
            }
            if first.opcode == Opcode::Close && short == 1 {
                return Err(Failure::HALF_A_CODE);
            }
        }
        let (len, at) = match short {
            126 => (extended::<2>(bytes, most)?, 4),
            127 => (extended::<8>(bytes, most)?, 10),
            short if short > most && !first.opcode.is_control() => return Err(Failure::TOO_LONG),
            short => (Some(short), 2),
        };
        let key = bytes.get(at..).and_then(|rest| rest.first_chunk());
        Ok(len.zip(key).map(|(len, &key)| Self { first, len, size: at + 4, key }))
    }
}

/// Reads a length of `N` bytes, which begins at the third byte of the header. Returns `None` if it is not all there.
fn extended<const N: usize>(bytes: &[u8], most: usize) -> Result<Option<usize>, Failure> {
    let digits = &bytes[2..];
    let known = digits.len().min(N);
    // The bytes that are still missing may be anything.
    let (mut low, mut high) = ([0; 8], [0; 8]);
    high[8 - N..].fill(0xff);
    for bound in [&mut low, &mut high] {
        bound[8 - N..][..known].copy_from_slice(&digits[..known]);
    }
    let (low, high) = (u64::from_be_bytes(low), u64::from_be_bytes(high));
    if low >> 63 != 0 {
        return Err(Failure::protocol("a length has its highest bit set"));
    }
    if high < if N == 2 { 126 } else { 0x1_0000 } {
        return Err(Failure::protocol("a length is not in its shortest form"));
    }
    match usize::try_from(low) {
        Ok(low) if low <= most => Ok((known == N).then_some(low)),
        _ => Err(Failure::TOO_LONG),
    }
}

/// Masks or unmasks `bytes`, the first of which is masked by `key[0]` (RFC 6455 §5.3).
///
/// The two ends of the bytes are loaded before the stores, and may overlap. So no byte is handled by itself, except
/// where there are less than four.
#[inline]
pub(crate) fn unmask(bytes: &mut [u8], key: [u8; 4]) {
    let len = bytes.len();
    if let Some(&last) = bytes.last_chunk::<16>() {
        let wide = repeat(key);
        bytes.as_chunks_mut::<16>().0.iter_mut().for_each(|chunk| *chunk = xor(*chunk, wide));
        bytes[len - 16..].copy_from_slice(&xor(last, repeat(rotate(key, len - 16))));
    } else if let (Some(&first), Some(&last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        bytes[..8].copy_from_slice(&xor(first, repeat(key)));
        bytes[len - 8..].copy_from_slice(&xor(last, repeat(rotate(key, len - 8))));
    } else if let (Some(&first), Some(&last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        bytes[..4].copy_from_slice(&xor(first, key));
        bytes[len - 4..].copy_from_slice(&xor(last, rotate(key, len - 4)));
    } else {
        bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    }
}

/// The compiler makes this one wide operation.
#[inline(always)]
fn xor<const N: usize>(mut bytes: [u8; N], key: [u8; N]) -> [u8; N] {
    bytes.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    bytes
}

#[inline(always)]
fn repeat<const N: usize>(key: [u8; 4]) -> [u8; N] {
    std::array::from_fn(|at| key[at % 4])
}

/// The key for the bytes after the first `masked` ones.
#[inline]
pub(crate) const fn rotate(key: [u8; 4], masked: usize) -> [u8; 4] {
    u32::from_le_bytes(key).rotate_right(8 * (masked as u32 & 3)).to_le_bytes()
}

/// The header of a frame of the server, which is not masked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedHeader {
    bytes: [u8; 10],
    len: u8,
}

impl EncodedHeader {
    /// Writes the header of a frame with a payload of `len` bytes, in its shortest form.
    #[inline]
    pub(crate) fn new(opcode: Opcode, fin: bool, rsv1: bool, len: usize) -> Self {
        let first = opcode as u8 | if fin { FIN } else { 0 } | if rsv1 { RSV1 } else { 0 };
        let mut bytes = [0; 10];
        bytes[0] = first;
        let size = if len <= 125 {
            bytes[1] = len as u8;
            2
        } else if let Ok(len) = u16::try_from(len) {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            4
        } else {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(len as u64).to_be_bytes());
            10
        };
        Self { bytes, len: size }
    }

    /// The header of a compressed message.
    pub(crate) fn deflated(is_text: bool, len: usize) -> Self {
        Self::new(if is_text { Opcode::Text } else { Opcode::Binary }, true, true, len)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// Appends the header of a frame of the server with a payload of `len` bytes.
#[inline]
pub(crate) fn encode_header(out: &mut Vec<u8>, opcode: Opcode, fin: bool, rsv1: bool, len: usize) {
    out.extend_from_slice(EncodedHeader::new(opcode, fin, rsv1, len).as_slice());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_is_what_the_rfc_says_for_every_length_and_phase() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in 0..100 {
            for phase in 0..4 {
                let plain: Vec<u8> = (0..len as u8).map(|byte| byte.wrapping_mul(37)).collect();
                let mut masked = plain.clone();
                unmask(&mut masked, rotate(key, phase));
                let wanted: Vec<u8> = (phase..).zip(&plain).map(|(at, byte)| byte ^ key[at % 4]).collect();
                assert_eq!(masked, wanted, "{len} bytes from {phase}");
            }
        }
    }
}
