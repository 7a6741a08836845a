//! Bytes that have come and are not used yet.

/// The least room for a read, in bytes.
const ROOM: usize = 4096;

/// A buffer that is filled at its end and used up at its beginning. Its memory is kept.
#[derive(Debug, Default)]
pub struct Receive {
    memory: Vec<u8>,
    /// The bytes from `start` to `end` wait. What is after `end` is room.
    start: usize,
    end: usize,
}

impl Receive {
    /// Room for the next read.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            // Nearly always nothing waits, and then nothing is moved.
            self.memory.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.memory.len() < self.end + ROOM {
            self.memory.resize(self.end + ROOM, 0);
        }
        &mut self.memory[self.end..]
    }

    /// Notes that so many bytes were read into the room.
    pub fn filled(&mut self, count: usize) {
        self.end += count;
    }

    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..self.end]
    }

    /// Takes bytes from the beginning.
    pub fn consume(&mut self, count: usize) {
        self.start += count;
        assert!(self.start <= self.end, "only what has come can be used");
    }

    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bring(buffer: &mut Receive, bytes: &[u8]) {
        buffer.room()[..bytes.len()].copy_from_slice(bytes);
        buffer.filled(bytes.len());
    }

    #[test]
    fn what_is_used_makes_room() {
        let mut buffer = Receive::default();
        for _ in 0..10 {
            bring(&mut buffer, &[b'x'; ROOM]);
            bring(&mut buffer, b"abc");
            buffer.consume(ROOM);
            assert_eq!(buffer.bytes(), b"abc");
            buffer.consume(3);
        }
        assert!(buffer.is_empty() && buffer.memory.len() <= 3 * ROOM, "{} bytes", buffer.memory.len());
    }
}
