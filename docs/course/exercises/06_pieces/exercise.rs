use std::io::IoSlice;
use std::sync::Arc;

/// Content of at least so many bytes is not copied.
pub const SHARE_FROM: usize = 1024;
/// Most slices for one `writev`.
pub const MAX_SLICES: usize = 8;

/// The bytes that a connection owes to its client, in the order in which they will be sent.
#[derive(Debug, Default)]
pub struct OutputQueue {
    bytes: Vec<u8>,
    /// How many of `bytes` have been sent.
    sent: usize,
}

impl OutputQueue {
    /// Appends a copy of these bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends content that others may send, too, such as a file in a cache. Small content is copied; large content is
    /// kept until its last byte was sent, and not a moment longer.
    pub fn push_content(&mut self, content: &Arc<[u8]>) {
        // This copies everything. A thousand clients that get the same megabyte take a gigabyte.
        self.push(content);
    }

    /// What is to be sent next, as slices that are not empty: as many as there are, but at most [`MAX_SLICES`]. What
    /// was copied between two large contents is one slice.
    pub fn front(&self) -> Vec<IoSlice<'_>> {
        let rest = &self.bytes[self.sent..];
        if rest.is_empty() { Vec::new() } else { vec![IoSlice::new(rest)] }
    }

    /// Notes that the kernel has taken the first `count` bytes. It may have taken any number, also a part of a slice.
    pub fn advance(&mut self, count: usize) {
        self.sent += count;
        if self.len() == 0 {
            self.bytes.clear();
            self.sent = 0;
        } else if self.sent > self.bytes.len() / 2 {
            // As in step 6: what was sent is not kept, also if the queue never becomes empty.
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// How many bytes are owed.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }
}
