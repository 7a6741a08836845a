use std::fmt;

use super::{Pooled, free, piece_apart};
use crate::limits::{CONTENT_BUFFER, MIN_READ, RECEIVE_BUFFER};

/// The receive buffer: bytes that came from the socket and are not consumed yet.
///
/// The bytes lie in one piece, because a head is parsed in place and a handler borrows straight from it. The memory is
/// zeroed once, when it is allocated, and reused afterwards.
#[derive(Default)]
pub(crate) struct Receive {
    memory: Vec<u8>,
    start: usize,
    end: usize,
    /// Memory is short: the buffer grows by what is needed and a quarter, and does not double.
    tight: bool,
}

impl Receive {
    /// The bytes that are not consumed yet.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// The same bytes, to be changed where they are.
    #[inline]
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.end]
    }

    /// Whether all bytes are consumed.
    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room for the next read: at least `min` bytes, and at least [`MIN_READ`]. The buffer does not grow beyond `max`
    /// bytes for it; then the room is what is left up to `max`, or empty.
    #[inline]
    pub(crate) fn room(&mut self, min: usize, max: usize) -> &mut [u8] {
        let min = min.max(MIN_READ);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.memory.len() - self.end < min {
            self.make_room(min, max);
        }
        &mut self.memory[self.end..]
    }

    #[inline(never)]
    fn make_room(&mut self, min: usize, max: usize) {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.memory.len() - self.end < min {
            let needed = self.end + min;
            let wanted = match self.tight {
                true => needed + self.end / 4,
                false => (self.memory.len() * 2).max(RECEIVE_BUFFER).max(needed),
            };
            let len = wanted.min(max).max(self.memory.len());
            // `reserve` would double the length.
            self.memory.reserve_exact(len - self.memory.len());
            self.memory.resize(len, 0);
        }
    }

    /// Makes the room that was given out last larger by so many bytes.
    #[cfg(feature = "live")]
    pub(crate) fn widen(&mut self, bytes: usize) {
        self.memory.reserve_exact(bytes);
        self.memory.resize(self.memory.len() + bytes, 0);
    }

    /// Notes that a read put `count` bytes into the room.
    ///
    /// # Panics
    /// If the room was smaller than that.
    #[inline]
    pub(crate) fn filled(&mut self, count: usize) {
        assert!(count <= self.memory.len() - self.end, "a read cannot fill more than its room");
        self.end += count;
    }

    /// Appends bytes that were decoded, not read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.room(bytes.len(), usize::MAX)[..bytes.len()].copy_from_slice(bytes);
            self.filled(bytes.len());
        }
    }

    /// Removes the first `count` bytes.
    ///
    /// # Panics
    /// If the buffer holds fewer bytes.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        assert!(count <= self.end - self.start, "no more can be consumed than the buffer holds");
        self.start += count;
    }

    /// Discards all bytes.
    pub(crate) const fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// Gives memory back that holds no bytes, if it is much and more than a quarter of what the bytes take. From now on
    /// the buffer grows in small steps.
    pub(crate) fn tighten(&mut self) {
        self.tight = true;
        let len = self.end - self.start;
        if self.memory.capacity() > (len + len / 4).max(CONTENT_BUFFER) {
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, len);
            self.memory.truncate(len);
            self.memory.shrink_to_fit();
        }
    }
}

impl Pooled for Receive {
    fn reset(&mut self) {
        self.clear();
        self.tight = false;
    }

    fn footprint(&self) -> usize {
        self.memory.capacity()
    }

    fn free(self) {
        free(self.memory);
    }

    fn apart() -> Self {
        // With what the allocator adds, it fills a page.
        Self { memory: piece_apart(RECEIVE_BUFFER - 32), ..Self::default() }
    }
}

impl fmt::Debug for Receive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Receive({} bytes of {})", self.end - self.start, self.memory.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_the_order_in_which_they_came() {
        let mut buffer = Receive::default();
        buffer.push(b"hello ");
        buffer.push(b"world");
        buffer.consume(6);
        assert_eq!(buffer.bytes(), b"world");
        buffer.consume(5);
        assert!(buffer.is_empty());
    }

    #[test]
    fn unconsumed_bytes_move_to_the_front_before_the_buffer_grows() {
        let mut buffer = Receive::default();
        buffer.push(&[b'x'; RECEIVE_BUFFER]);
        buffer.consume(RECEIVE_BUFFER - 3);
        let room = buffer.room(MIN_READ, usize::MAX).len();
        assert_eq!((room, buffer.footprint()), (RECEIVE_BUFFER - 3, RECEIVE_BUFFER));
        assert_eq!(buffer.bytes(), b"xxx");
    }

    #[test]
    fn a_tight_buffer_holds_at_most_a_quarter_more_than_its_bytes() {
        let mut buffer = Receive::default();
        buffer.push(&[b'x'; 600_000]);
        buffer.consume(200_000);
        buffer.tighten();
        assert_eq!((buffer.footprint(), buffer.bytes().len()), (400_000, 400_000));
        buffer.push(&[b'y'; 50_000]);
        assert!(buffer.footprint() <= 450_000 + 450_000 / 4, "{buffer:?}");
        assert!(buffer.bytes().starts_with(b"xx") && buffer.bytes().ends_with(b"yy"));
        let footprint = buffer.footprint();
        buffer.tighten();
        assert_eq!(buffer.footprint(), footprint, "there is little to gain");
        buffer.reset();
        buffer.push(&[b'z'; 900_000]);
        assert!(buffer.footprint() >= 2 * footprint, "it doubles again when it is lent anew");
    }

    #[test]
    fn the_buffer_does_not_grow_past_its_limit() {
        let mut buffer = Receive::default();
        let max = RECEIVE_BUFFER + 100;
        while !buffer.room(1, max).is_empty() {
            let room = buffer.room(1, max).len();
            buffer.filled(room);
        }
        assert_eq!(buffer.bytes().len(), max);
    }
}
