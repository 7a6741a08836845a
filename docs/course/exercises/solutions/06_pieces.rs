use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

/// Content of at least so many bytes is not copied.
pub const SHARE_FROM: usize = 1024;
/// Most slices for one `writev`.
pub const MAX_SLICES: usize = 8;

/// Bytes that lie in one piece.
#[derive(Debug)]
enum Piece {
    Copied(Vec<u8>),
    Shared(Arc<[u8]>),
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// The bytes that a connection owes to its client, in the order in which they will be sent.
#[derive(Debug, Default)]
pub struct OutputQueue {
    /// None of them is empty.
    pieces: VecDeque<Piece>,
    /// How many bytes of the first piece have been sent.
    sent: usize,
    owed: usize,
}

impl OutputQueue {
    /// Appends a copy of these bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.owed += bytes.len();
        match self.pieces.back_mut() {
            Some(Piece::Copied(last)) => last.extend_from_slice(bytes),
            _ if bytes.is_empty() => {}
            _ => self.pieces.push_back(Piece::Copied(bytes.to_vec())),
        }
    }

    /// Appends content. Small content is copied; large content is kept until its last byte was sent.
    pub fn push_content(&mut self, content: &Arc<[u8]>) {
        if content.len() < SHARE_FROM {
            return self.push(content);
        }
        self.owed += content.len();
        self.pieces.push_back(Piece::Shared(Arc::clone(content)));
    }

    /// What is to be sent next.
    pub fn front(&self) -> Vec<IoSlice<'_>> {
        let pieces = self.pieces.iter().map(Piece::bytes).take(MAX_SLICES).enumerate();
        pieces.map(|(at, bytes)| IoSlice::new(if at == 0 { &bytes[self.sent..] } else { bytes })).collect()
    }

    /// Notes that the kernel has taken the first `count` bytes.
    pub fn advance(&mut self, count: usize) {
        self.owed -= count;
        self.sent += count;
        while let Some(piece) = self.pieces.front() {
            let length = piece.bytes().len();
            if self.sent < length {
                break;
            }
            self.sent -= length;
            self.pieces.pop_front();
        }
        // The first piece may also be the last one, to which `push` appends: what was sent of it must not stay.
        if let Some(Piece::Copied(first)) = self.pieces.front_mut()
            && self.sent > first.len() / 2
        {
            first.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// How many bytes are owed.
    pub fn len(&self) -> usize {
        self.owed
    }
}
