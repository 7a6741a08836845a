//! The encoder of replies, for `benches/`.

use std::fmt;
use std::time::SystemTime;

use super::{Mailbox, Reply, RequestFacts, Response};
use crate::buffer::OutputQueue;
use crate::http::Method;
use crate::limits::MAX_RESPONSE_BUFFER;

/// Encodes replies into an output queue, one at a time.
pub struct Encoder {
    reply: Reply,
    output: OutputQueue,
}

impl Encoder {
    /// `date` is the `Date` of every reply.
    pub fn new(date: SystemTime) -> Self {
        Self { reply: Reply::new(None, MAX_RESPONSE_BUFFER, date, Mailbox::new(|| {})), output: OutputQueue::default() }
    }

    /// Encodes a reply to a GET, a 200 with text. Returns its length, and takes it out of the queue as a write does.
    ///
    /// # Panics
    /// Never, because such a reply has no mistake.
    #[inline(never)]
    pub fn text(&mut self, content: &str) -> usize {
        let facts = RequestFacts { persistent: true, ..RequestFacts::unknown(Some(Method::Get)) };
        self.reply.begin(facts, self.output.mark());
        let _sent = Response::new(&mut self.reply, &mut self.output).text(content).expect("nothing is wrong with it");
        let len = self.output.len();
        self.output.advance(len);
        len
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({:?})", self.reply)
    }
}
