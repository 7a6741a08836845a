//! What is owed to a client: as in step 6. New: a reply is written straight into the queue, so it costs no allocation
//! of its own.

/// The connection makes no more replies while it owes more bytes than this.
pub const HIGH_WATER: usize = 64 * 1024;
/// It goes on when it owes no more than this.
pub const LOW_WATER: usize = 16 * 1024;

/// The bytes that a connection owes to its client, in the order in which they will be sent.
#[derive(Debug, Default)]
pub struct OutputQueue {
    bytes: Vec<u8>,
    /// How many of `bytes` have been sent.
    sent: usize,
}

impl OutputQueue {
    /// Appends a whole reply.
    pub fn push_reply(&mut self, status: &str, content: &[u8], persists: bool) {
        let mut digits = [0; 20];
        let pieces: [&[u8]; 6] = [
            b"HTTP/1.1 ",
            status.as_bytes(),
            b"\r\nContent-Length: ",
            decimal(content.len(), &mut digits),
            if persists { b"\r\n\r\n" } else { b"\r\nConnection: close\r\n\r\n" },
            content,
        ];
        pieces.into_iter().for_each(|piece| self.bytes.extend_from_slice(piece));
    }

    /// The bytes that are to be sent next.
    pub fn front(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Notes that the first `count` bytes of the front have been sent.
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.is_empty() {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            // The rest moves to the front. It is less than what was sent since the last time, so all these moves
            // together copy fewer bytes than were sent.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// How many bytes are owed.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Writes a number at the end of `room`, and returns its digits.
fn decimal(mut number: usize, room: &mut [u8; 20]) -> &[u8] {
    let mut at = room.len();
    loop {
        at -= 1;
        room[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &room[at..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_digits() {
        for number in [0, 7, 10, 4096, usize::MAX] {
            assert_eq!(decimal(number, &mut [0; 20]), number.to_string().as_bytes());
        }
    }

    /// A client that reads steadily, but never all.
    #[test]
    fn a_queue_that_never_empties_keeps_what_is_owed_and_not_what_was_sent() {
        let mut queue = OutputQueue::default();
        for round in 0..10_000 {
            queue.push_reply("200 OK", &[b'x'; 1000], true);
            let owed = queue.len();
            let count = if round < 20 { 0 } else { owed - 20_000 };
            queue.advance(count);
            assert_eq!(queue.len(), owed - count);
        }
        assert!(queue.bytes.capacity() < 4 * HIGH_WATER, "{} bytes of memory", queue.bytes.capacity());
    }
}
