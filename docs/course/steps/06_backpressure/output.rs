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
    /// again.
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
