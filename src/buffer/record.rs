//! What observers learn of a reply when its last byte has left, and what is kept of it until then. Without an observer
//! nothing of this is kept.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use crate::http::{Method, Moment};
use crate::limits::{LOG_TEXT, RECORD_BYTES};

/// What an exchange was about and has cost so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Account {
    /// Whether there was an observer when the exchange began. If not, all the rest is empty, and nothing is reported.
    pub(crate) is_kept: bool,
    /// The path as the client sent it, or its beginning. It is empty if no request was understood.
    path: String,
    /// The pattern of the route.
    route: Option<Rc<str>>,
    /// Bytes of the request head that the observers may keep, all together.
    kept: u32,
    /// Bytes of the request: its head, and its content as far as it has come.
    received: u64,
    /// The time in the application.
    handler: Duration,
    /// The time in which another thread was to answer.
    waited: Duration,
    /// When the call into the application began that goes on, or when the last one ended.
    at: Moment,
    /// Bytes of the reply's head.
    pub(crate) reply_head: u64,
}

impl Account {
    /// Begins the account of another exchange.
    pub(crate) fn begin(&mut self, path: &[u8], received: u64, kept: u32, now: Moment) {
        let mut text = std::mem::take(&mut self.path);
        text.clear();
        push_bounded(&mut text, path);
        *self = Self { is_kept: true, path: text, received, kept, at: now, ..Self::default() };
    }

    /// Goes on after a time in which nothing was called. `deferred` says that another thread was to answer.
    pub(crate) fn resume(&mut self, now: Moment, deferred: bool) {
        if deferred {
            self.waited += now.since(self.at);
        }
        self.at = now;
    }

    /// Notes the pattern of the route.
    #[cold]
    pub(crate) fn note_route(&mut self, pattern: &Rc<str>) {
        self.route = Some(Rc::clone(pattern));
    }

    /// Adds a call for a piece of content.
    pub(crate) fn add_piece(&mut self, bytes: usize, time: Duration) {
        self.received += bytes as u64;
        self.handler += time;
    }

    /// Ends a call into the application.
    pub(crate) fn end_call(&mut self, now: Moment) {
        self.handler += now.since(self.at);
        self.at = now;
    }

    /// Bytes of memory that it takes while it is kept aside, and that the observers may take for its request.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Self>() + self.path.capacity() + self.kept as usize
    }

    /// The record of the reply of this exchange.
    pub(crate) fn record(&self, method: Option<Method>, status: u16, content: u64, began: Moment) -> ReplyRecord {
        ReplyRecord {
            end: 0,
            method,
            status,
            content,
            began,
            path: self.path.len(),
            route: self.route.clone(),
            kept: self.kept,
            received: self.received,
            handler: self.handler,
            waited: self.waited,
            head: self.reply_head,
        }
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

/// Appends a path, or as much of its beginning as is kept of a text of a client.
fn push_bounded(text: &mut String, path: &[u8]) {
    let bytes = &path[..path.len().min(LOG_TEXT)];
    match std::str::from_utf8(bytes) {
        Ok(path) => text.push_str(path),
        // The last character is cut, or a client has sent bytes that are no text.
        Err(error) if error.error_len().is_none() => {
            text.push_str(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default());
        }
        Err(_) => text.push_str(&String::from_utf8_lossy(bytes)),
    }
}

/// What the observers learn when the kernel has taken the last byte of a reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReplyRecord {
    /// Position in the stream of sent bytes at which the reply ends.
    pub(crate) end: u64,
    pub(crate) method: Option<Method>,
    pub(crate) status: u16,
    /// Bytes of content.
    pub(crate) content: u64,
    /// Bytes of the reply's head.
    pub(crate) head: u64,
    pub(crate) began: Moment,
    /// Bytes of the path.
    pub(super) path: usize,
    pub(crate) route: Option<Rc<str>>,
    /// Bytes of the request head that the observers may keep.
    pub(crate) kept: u32,
    pub(crate) received: u64,
    pub(crate) handler: Duration,
    pub(crate) waited: Duration,
}

impl ReplyRecord {
    /// Bytes that the observers may keep for it.
    const fn memory(&self) -> usize {
        self.kept as usize + RECORD_BYTES
    }

    /// The same record, without the last `count` bytes of the reply.
    pub(crate) fn without(mut self, count: u64) -> Self {
        let of_content = count.min(self.content);
        self.content -= of_content;
        self.head = self.head.saturating_sub(count - of_content);
        self
    }
}

/// Replies whose last byte has not been sent, in their order.
#[derive(Debug, Default)]
pub(super) struct Records {
    waiting: VecDeque<ReplyRecord>,
    /// The paths of the requests, one after the other. So a reply that is kept for a moment allocates nothing.
    paths: String,
    /// How much of `paths` belongs to replies that have been taken.
    taken: usize,
    /// Bytes that the observers may keep for these replies.
    noted: usize,
}

impl Records {
    /// Adds the record of a reply to a request with this path.
    pub(super) fn push(&mut self, record: ReplyRecord, path: &str) {
        if self.taken > self.paths.len() / 2 || self.waiting.is_empty() {
            self.paths.drain(..self.taken);
            self.taken = 0;
        }
        debug_assert_eq!(record.path, path.len(), "a record is kept with the path of its account");
        self.paths.push_str(path);
        self.noted += record.memory();
        self.waiting.push_back(record);
    }

    /// The next record, and the path of its request.
    pub(super) fn front(&self) -> Option<(&ReplyRecord, &str)> {
        let record = self.waiting.front()?;
        Some((record, &self.paths[self.taken..self.taken + record.path]))
    }

    /// Takes the next record if its reply ends at `left` or before, with the path of its request.
    pub(super) fn take(&mut self, left: u64) -> Option<(ReplyRecord, &str)> {
        self.waiting.front().filter(|record| record.end <= left)?;
        let record = self.waiting.pop_front()?;
        self.noted -= record.memory();
        let from = self.taken;
        self.taken += record.path;
        Some((record, &self.paths[from..self.taken]))
    }

    /// Moves the ends of the replies that end after `position`, because `count` bytes were inserted there.
    pub(super) fn shift(&mut self, position: u64, count: u64) {
        self.waiting.iter_mut().filter(|record| record.end > position).for_each(|record| record.end += count);
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.paths.clear();
        (self.taken, self.noted) = (0, 0);
    }

    /// Bytes that the observers may keep for these replies.
    #[inline]
    pub(super) const fn noted(&self) -> usize {
        self.noted
    }

    /// Bytes of its own memory.
    pub(super) fn footprint(&self) -> usize {
        self.waiting.capacity() * size_of::<ReplyRecord>() + self.paths.capacity()
    }

    #[cfg(test)]
    pub(super) fn ends(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().map(|record| record.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(path: &[u8]) -> Account {
        let mut account = Account::default();
        account.begin(path, 0, 100, Moment::ZERO);
        account
    }

    fn push(records: &mut Records, path: &str, end: u64) {
        let account = account(path.as_bytes());
        records.push(ReplyRecord { end, ..account.record(None, 200, 0, Moment::ZERO) }, account.path());
    }

    #[test]
    fn each_record_has_the_path_of_its_request_in_any_order_of_pushes_and_takes() {
        let (mut records, mut pushed, mut taken) = (Records::default(), 0, 0);
        for round in 0..200_u64 {
            for _ in 0..round % 7 {
                push(&mut records, &format!("/{}{pushed}", "x".repeat(pushed as usize % 5)), pushed);
                pushed += 1;
            }
            for _ in 0..round % 5 {
                let Some((record, path)) = records.take(u64::MAX) else { break };
                assert_eq!((record.end, path), (taken, &*format!("/{}{taken}", "x".repeat(taken as usize % 5))));
                taken += 1;
            }
            assert_eq!(records.noted(), (pushed - taken) as usize * (100 + RECORD_BYTES));
        }
        assert!(pushed > taken && taken > 100);
        while let Some((record, _)) = records.take(u64::MAX) {
            assert_eq!(record.end, taken);
            taken += 1;
        }
        assert_eq!((taken, records.noted()), (pushed, 0));
    }

    #[test]
    fn paths_of_replies_that_have_left_take_no_more_memory() {
        let mut records = Records::default();
        push(&mut records, "/first", 1);
        for end in 2..10_000 {
            push(&mut records, "/a/path/of/some/length", end);
            assert_eq!(records.take(end - 1).map(|(record, _)| record.end), Some(end - 1));
        }
        assert!(records.footprint() < 2048, "{} bytes", records.footprint());
    }

    #[test]
    fn a_path_is_kept_up_to_a_limit_and_never_cut_within_a_character() {
        assert_eq!(account(b"/caf\xc3\xa9").path(), "/caf\u{e9}");
        assert_eq!(account(b"/caf\xff/x").path(), "/caf\u{fffd}/x");
        let long = format!("/{}", "\u{e9}".repeat(LOG_TEXT));
        assert_eq!(account(long.as_bytes()).path(), &long[..LOG_TEXT - 1]);
        assert_eq!(account(&b"/".repeat(2 * LOG_TEXT)).path().len(), LOG_TEXT);
    }

    #[test]
    fn what_was_not_sent_is_taken_from_the_end_of_a_reply() {
        let record = ReplyRecord { content: 10, head: 100, ..ReplyRecord::default() };
        for (count, left) in
            [(0, (10, 100)), (3, (7, 100)), (10, (0, 100)), (30, (0, 80)), (110, (0, 0)), (999, (0, 0))]
        {
            let cut = record.clone().without(count);
            assert_eq!((cut.content, cut.head), left, "without {count}");
        }
    }
}
