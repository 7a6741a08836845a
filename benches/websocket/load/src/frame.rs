//! Frames, made before they are sent, and counted when they come (RFC 6455, section 5.2).

const FIN: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const MASKED: u8 = 0x80;

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;

/// Any but zero, so that the server has to unmask.
const MASK: [u8; 4] = [0x5A, 0xC3, 0x17, 0x9E];

/// As a client sends it.
pub(crate) fn masked(opcode: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = head(FIN | opcode, content.len(), MASKED);
    frame.extend(MASK);
    frame.extend(content.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// As a server that compresses nothing must send it.
pub(crate) fn plain(opcode: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = head(FIN | opcode, content.len(), 0);
    frame.extend(content);
    frame
}

/// As a client sends it when compression was agreed on: a block that is only stored, and the beginning of the next one
/// (RFC 7692, section 7.2.3.3). Content has at most 65,535 bytes.
pub(crate) fn stored(opcode: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u16;
    let mut block = vec![0];
    block.extend(length.to_le_bytes());
    block.extend((!length).to_le_bytes());
    block.extend(content);
    block.push(0);
    let mut frame = masked(opcode, &block);
    frame[0] |= COMPRESSED;
    frame
}

fn head(first: u8, length: usize, masked: u8) -> Vec<u8> {
    match length {
        0..126 => vec![first, masked | length as u8],
        126..0x1_0000 => [&[first, masked | 126][..], &(length as u16).to_be_bytes()].concat(),
        _ => [&[first, masked | 127][..], &(length as u64).to_be_bytes()].concat(),
    }
}

/// The number of whole frames at the beginning of bytes that a server has sent, and the length of these frames.
pub(crate) fn count(bytes: &[u8]) -> (usize, usize) {
    let (mut frames, mut at) = (0, 0);
    while let Some(length) = first_length(&bytes[at..]) {
        if bytes.len() - at < length {
            break;
        }
        frames += 1;
        at += length;
    }
    (frames, at)
}

/// The length of the first frame with its head, if the head is there.
fn first_length(bytes: &[u8]) -> Option<usize> {
    Some(match *bytes.get(1)? & !MASKED {
        126 => 4 + usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        127 => 10 + usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        length => 2 + usize::from(length),
    })
}
