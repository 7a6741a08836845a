//! What is owed to a client.

/// The connection makes no more replies while it owes more bytes than this.
pub const HIGH_WATER: usize = 64 * 1024;
/// It goes on when it owes no more than this.
pub const LOW_WATER: usize = 16 * 1024;

/// The bytes that a connection owes to its client, in the order in which they will be sent.
#[derive(Debug, Default)]
pub struct OutputQueue {
    bytes: Vec<u8>,
    /// How many of `bytes` have been sent. Moving the others to the front after each write would copy them again and
    /// again, so `advance` does it now and then.
    sent: usize,
    /// The largest number of bytes that were owed at once.
    most: usize,
}

impl OutputQueue {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.most = self.most.max(self.len());
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

    /// The largest number of bytes that were owed at once.
    pub fn most(&self) -> usize {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of a reply, each of which tells its place.
    fn reply() -> Vec<u8> {
        (0..1000).map(|at| (at % 251) as u8).collect()
    }

    /// A client that reads steadily, but never all.
    #[test]
    fn a_queue_that_never_empties_keeps_what_is_owed_and_not_what_was_sent() {
        let (mut queue, mut owed) = (OutputQueue::default(), std::collections::VecDeque::new());
        for round in 0..2_000 {
            queue.push(&reply());
            owed.extend(reply());
            // Other sizes in each round, and some 20,000 bytes are owed all the time.
            let count = if round < 20 { 0 } else { [400, 1600, 1, 1999][round % 4] };
            assert!(queue.front()[..count].iter().eq(owed.range(..count)), "other bytes are sent in round {round}");
            owed.drain(..count);
            queue.advance(count);
            assert_eq!(queue.len(), owed.len());
        }
        assert!(queue.most() < LOW_WATER * 2, "{} bytes were owed", queue.most());
        assert!(queue.bytes.capacity() < 4 * HIGH_WATER, "{} bytes of memory", queue.bytes.capacity());
    }
}
