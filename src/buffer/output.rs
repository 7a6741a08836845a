use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

use super::record::{Records, ReplyRecord};
use super::{Content, FileRange, Pace, Pooled, free};
use crate::limits::{CONTENT_BUFFER, MAX_SLICES, SHARE_FROM};

/// The bytes that a connection owes to its client, in the order in which they will be sent.
///
/// Heads and small contents are inline, one after the other in one buffer. So one write sends the replies to a batch of
/// pipelined requests. A large content is spliced in at its place without being copied. Bytes of a file are spliced in
/// without even being read.
///
/// ```text
///     inline   [ head A | content A | head B |        | head C |        | head D | content D ]
///                                            ^ splice: content B, shared
///                                                              ^ splice: content C, a file
/// ```
#[derive(Default)]
pub(crate) struct OutputQueue {
    inline: Vec<u8>,
    /// How much of `inline` has been sent.
    sent: usize,
    splices: VecDeque<Splice>,
    /// Bytes in `splices` that have not been sent.
    spliced: u64,
    /// Bytes that have been sent since the pool lent the queue.
    left: u64,
    /// Replies whose last byte has not been sent, for the observers.
    records: Records,
    /// How long the client may take to read. It runs while bytes are owed that the kernel did not take at once.
    pub(crate) pace: Pace,
    /// The queue ends with the end of content that only the end of the connection tells (RFC 9112 §6.3).
    pub(crate) ends_with_connection: bool,
}

/// Content that is sent between `inline[..at]` and `inline[at..]`.
struct Splice {
    at: usize,
    rest: Spliced,
}

impl Splice {
    fn free(self) {
        if let Spliced::Memory { content, .. } = self.rest {
            content.free();
        }
    }
}

/// The part of spliced content that has not been sent.
enum Spliced {
    Memory {
        content: Content<'static>,
        sent: usize,
    },
    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "only static files are sent from a descriptor"))]
    File(FileRange),
}

impl Spliced {
    fn len(&self) -> u64 {
        match self {
            Self::Memory { content, sent } => (content.as_bytes().len() - sent) as u64,
            Self::File(range) => range.len(),
        }
    }

    /// Notes that its first `count` bytes have been sent.
    fn advance(&mut self, count: usize) {
        match self {
            Self::Memory { sent, .. } => *sent += count,
            Self::File(range) => range.advance(count as u64),
        }
    }
}

/// The front of a queue that does not lie in one piece.
#[derive(Debug)]
pub(crate) enum Front<'a> {
    /// `slices` slices of memory; `more` says that a file follows right after them.
    Memory { slices: usize, more: bool },
    /// Bytes of a file.
    File(&'a FileRange),
}

/// A place in the queue to which it can be rolled back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mark {
    inline: usize,
    splices: usize,
    spliced: u64,
}

/// What was cut off from the end of a queue.
pub(crate) struct Tail {
    inline: Vec<u8>,
    splices: VecDeque<Splice>,
    spliced: u64,
}

impl Tail {
    /// How many bytes it has.
    pub(crate) const fn len(&self) -> u64 {
        self.inline.len() as u64 + self.spliced
    }

    /// The bytes, if they lie in memory and in one piece.
    pub(crate) fn as_slice(&self) -> Option<&[u8]> {
        match (&*self.inline, self.splices.len(), self.splices.front().map(|splice| &splice.rest)) {
            (inline, 0, _) => Some(inline),
            ([], 1, Some(Spliced::Memory { content, .. })) => Some(content.as_bytes()),
            _ => None,
        }
    }

    /// Frees what it owns.
    pub(crate) fn free(self) {
        self.splices.into_iter().for_each(Splice::free);
    }
}

impl OutputQueue {
    /// The inline bytes. A caller may only append to them.
    #[inline]
    pub(crate) fn inline(&mut self) -> &mut Vec<u8> {
        &mut self.inline
    }

    /// Whether [`push`](Self::push) copies this content.
    pub(crate) fn copies(content: &Content<'_>) -> bool {
        matches!(content, Content::Borrowed(_)) || content.as_bytes().len() < SHARE_FROM
    }

    /// Inserts bytes at `mark`, before all that was queued since. Nothing may have been sent in between.
    pub(crate) fn insert(&mut self, mark: Mark, bytes: &[u8]) {
        let position = self.left + (mark.inline - self.sent) as u64 + mark.spliced;
        self.records.shift(position, bytes.len() as u64);
        self.inline.splice(mark.inline..mark.inline, bytes.iter().copied());
        self.splices.iter_mut().skip(mark.splices).for_each(|splice| splice.at += bytes.len());
    }

    /// Appends content. Small or borrowed content is copied; other content is spliced in.
    #[inline(always)]
    pub(crate) fn push(&mut self, content: Content<'_>) {
        match content {
            Content::Borrowed(bytes) => self.inline.extend_from_slice(bytes),
            owned => self.push_owned(owned),
        }
    }

    fn push_owned(&mut self, content: Content<'_>) {
        let content: Content<'static> = match content {
            Content::Borrowed(bytes) => return self.inline.extend_from_slice(bytes),
            small if small.as_bytes().len() < SHARE_FROM => return self.inline.extend_from_slice(small.as_bytes()),
            Content::Static(bytes) => Content::Static(bytes),
            Content::Shared(bytes) => Content::Shared(bytes),
            Content::Owned(bytes) => Content::Owned(bytes),
        };
        self.splice(Spliced::Memory { content, sent: 0 });
    }

    /// Appends bytes of a file, which are sent without being read into the queue.
    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "only static files are sent from a descriptor"))]
    pub(crate) fn push_file(&mut self, range: FileRange) {
        if !range.is_empty() {
            self.splice(Spliced::File(range));
        }
    }

    fn splice(&mut self, rest: Spliced) {
        self.spliced += rest.len();
        self.splices.push_back(Splice { at: self.inline.len(), rest });
    }

    /// The number of bytes that are owed; `usize::MAX` if a file has more.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.total()).unwrap_or(usize::MAX)
    }

    #[inline]
    fn total(&self) -> u64 {
        (self.inline.len() - self.sent) as u64 + self.spliced
    }

    /// Whether nothing is owed.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.sent == self.inline.len() && self.spliced == 0
    }

    /// The bytes that are owed, if they lie in one piece.
    #[inline]
    pub(crate) fn as_slice(&self) -> Option<&[u8]> {
        self.splices.is_empty().then(|| &self.inline[self.sent..])
    }

    /// The front of the queue. If it is memory, this fills `slices` with it, with at most `most` bytes.
    pub(crate) fn front<'a>(&'a self, slices: &mut [IoSlice<'a>], most: usize) -> Front<'a> {
        let room = slices.len().min(MAX_SLICES);
        let (mut count, mut left) = (0, most);
        let mut from = self.sent;
        for splice in self.splices.iter().take(MAX_SLICES) {
            let (before, rest) = (&self.inline[from..splice.at], &splice.rest);
            from = splice.at;
            let pieces = match rest {
                Spliced::Memory { content, sent } => [before, &content.as_bytes()[*sent..]],
                Spliced::File(range) if count == 0 && before.is_empty() => return Front::File(range),
                Spliced::File(_) => {
                    let fits = add(before, &mut slices[..room], &mut count, &mut left);
                    return Front::Memory { slices: count, more: fits };
                }
            };
            for piece in pieces {
                if !add(piece, &mut slices[..room], &mut count, &mut left) {
                    return Front::Memory { slices: count, more: false };
                }
            }
        }
        if self.splices.len() <= MAX_SLICES {
            add(&self.inline[from..], &mut slices[..room], &mut count, &mut left);
        }
        Front::Memory { slices: count, more: false }
    }

    /// Removes the first `count` bytes, which the kernel has taken.
    ///
    /// # Panics
    /// If fewer bytes are owed.
    #[inline(always)]
    pub(crate) fn advance(&mut self, count: usize) {
        assert!(count <= self.len(), "no more can be sent than is owed");
        self.left += count as u64;
        self.sent += if self.splices.is_empty() { count } else { self.advance_splices(count) };
        if self.sent == self.inline.len() && self.splices.is_empty() {
            self.inline.clear();
            self.sent = 0;
        }
    }

    /// [`advance`](Self::advance) for a queue with spliced content. Returns how many of the bytes were inline bytes
    /// after the last splice.
    #[inline(never)]
    fn advance_splices(&mut self, mut count: usize) -> usize {
        while let Some(splice) = self.splices.front_mut() {
            let before = (splice.at - self.sent).min(count);
            self.sent += before;
            count -= before;
            let within = usize::try_from(splice.rest.len()).map_or(count, |rest| rest.min(count));
            splice.rest.advance(within);
            self.spliced -= within as u64;
            count -= within;
            if self.sent < splice.at || splice.rest.len() > 0 {
                return 0;
            }
            self.splices.pop_front().into_iter().for_each(Splice::free);
        }
        count
    }

    /// Removes the inline bytes that have been sent, if they are more than half of all. It must not be called while a
    /// [`Mark`] is held.
    #[inline]
    pub(crate) fn compact(&mut self) {
        if self.sent > self.inline.len() / 2 {
            self.forget_sent();
        }
    }

    #[cold]
    fn forget_sent(&mut self) {
        self.inline.drain(..self.sent);
        self.splices.iter_mut().for_each(|splice| splice.at -= self.sent);
        self.sent = 0;
    }

    /// The end of the queue as it is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { inline: self.inline.len(), splices: self.splices.len(), spliced: self.spliced }
    }

    /// The place before the last `count` inline bytes, after which nothing was spliced in.
    pub(crate) fn mark_before_last(&self, count: usize) -> Mark {
        Mark { inline: self.inline.len() - count, ..self.mark() }
    }

    /// Bytes that were queued since `mark`. Nothing may have been sent in between.
    pub(crate) fn since(&self, mark: Mark) -> u64 {
        (self.inline.len() - mark.inline) as u64 + (self.spliced - mark.spliced)
    }

    /// Removes everything that was queued since `mark`. Nothing may have been sent in between.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.inline.truncate(mark.inline);
        self.splices.drain(mark.splices..).for_each(Splice::free);
        self.spliced = mark.spliced;
    }

    /// Cuts off everything that was queued since `mark`. Nothing may have been sent in between.
    pub(crate) fn cut_off(&mut self, mark: Mark) -> Tail {
        let inline = self.inline.split_off(mark.inline);
        let mut splices = self.splices.split_off(mark.splices);
        splices.iter_mut().for_each(|splice| splice.at -= mark.inline);
        let spliced = self.spliced - mark.spliced;
        self.spliced = mark.spliced;
        Tail { inline, splices, spliced }
    }

    /// Appends what was cut off.
    pub(crate) fn append(&mut self, tail: Tail) {
        let from = self.inline.len();
        self.inline.extend_from_slice(&tail.inline);
        self.splices.extend(tail.splices.into_iter().map(|splice| Splice { at: from + splice.at, ..splice }));
        self.spliced += tail.spliced;
    }

    /// Records that the reply to a request with this path ends where the queue ends now.
    pub(crate) fn record(&mut self, mut record: ReplyRecord, path: &str) {
        record.end = self.left + self.total();
        self.records.push(record, path);
    }

    /// Forgets all records: the last observer is gone.
    #[cfg(feature = "live")]
    pub(crate) fn forget_records(&mut self) {
        self.records.clear();
    }

    /// The reply that is being sent, as far as it has been sent, and the path of its request.
    pub(crate) fn unfinished(&self) -> Option<(ReplyRecord, &str)> {
        let (record, path) = self.records.front()?;
        Some((record.clone().without(record.end.saturating_sub(self.left)), path))
    }

    /// Takes the next reply whose last byte has been sent, and the path of its request.
    pub(crate) fn next_finished(&mut self) -> Option<(ReplyRecord, &str)> {
        self.records.take(self.left)
    }

    /// What counts as owed: the bytes that are, and those that the observer may keep until they have left.
    #[inline]
    pub(crate) fn weight(&self) -> usize {
        usize::try_from(self.total() + self.records.noted() as u64).unwrap_or(usize::MAX)
    }

    /// Bytes of memory that it holds, beside the box. Content that is shared belongs to the application.
    pub(crate) fn memory(&self) -> usize {
        let owned = self.splices.iter().map(|splice| match &splice.rest {
            Spliced::Memory { content: Content::Owned(bytes), .. } => bytes.capacity(),
            Spliced::Memory { .. } | Spliced::File(_) => 0,
        });
        owned.sum::<usize>() + self.footprint() + self.records.noted()
    }

    /// Gives memory back that holds nothing that is owed, if it is much and more than a quarter of what is.
    pub(crate) fn tighten(&mut self) {
        let owed = self.inline.len() - self.sent;
        if self.inline.capacity() > (owed + owed / 4).max(CONTENT_BUFFER) {
            self.forget_sent();
            self.inline.shrink_to_fit();
        }
        for splice in &mut self.splices {
            if let Spliced::Memory { content: Content::Owned(bytes), .. } = &mut splice.rest {
                bytes.shrink_to_fit();
            }
        }
    }
}

/// Adds bytes to the first `count` slices, no more than are `left`. Returns whether all of them fit.
fn add<'a>(bytes: &'a [u8], slices: &mut [IoSlice<'a>], count: &mut usize, left: &mut usize) -> bool {
    let fitting = bytes.len().min(*left);
    if fitting > 0 {
        let Some(slice) = slices.get_mut(*count) else { return false };
        *slice = IoSlice::new(&bytes[..fitting]);
        *count += 1;
        *left -= fitting;
    }
    fitting == bytes.len()
}

impl Pooled for OutputQueue {
    #[inline(always)]
    fn reset(&mut self) {
        self.inline.clear();
        self.sent = 0;
        self.left = 0;
        self.pace = Pace::default();
        self.ends_with_connection = false;
        if !self.splices.is_empty() || !self.records.is_empty() {
            self.splices.drain(..).for_each(Splice::free);
            self.records.clear();
            self.spliced = 0;
        }
    }

    fn footprint(&self) -> usize {
        self.inline.capacity() + self.splices.capacity() * size_of::<Splice>() + self.records.footprint()
    }

    fn free(self) {
        free(self.inline);
        self.splices.into_iter().for_each(Splice::free);
    }
}

impl fmt::Debug for OutputQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputQueue({} bytes owed, {} splices)", self.total(), self.splices.len())
    }
}

#[cfg(test)]
mod tests;
