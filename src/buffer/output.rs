use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::sync::Arc;

use super::{FileRange, Pace, Pooled};
use crate::http::{Method, Moment};
use crate::limits::{MAX_SLICES, SHARE_FROM};

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
    /// Replies whose last byte has not been sent, for the observer.
    records: VecDeque<ReplyRecord>,
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

/// What the observer learns when the kernel has taken the last byte of a reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReplyRecord {
    /// Position in the stream of sent bytes at which the reply ends.
    pub(crate) end: u64,
    pub(crate) method: Option<Method>,
    pub(crate) status: u16,
    pub(crate) content: u64,
    pub(crate) began: Moment,
}

/// The content of a reply. Borrowed content is copied. Owned, shared and static content of at least
/// [`SHARE_FROM`](crate::limits::SHARE_FROM) bytes is sent without a copy.
///
/// ```
/// use std::sync::Arc;
///
/// let picture: Arc<[u8]> = vec![0; 100_000].into();
/// let mut app = monoloop::Router::new(picture);
/// app.get("/picture", |picture, _, res| res.send(picture.clone()));    // shared, not copied
/// ```
#[derive(Clone)]
pub enum Content<'a> {
    /// Bytes that are copied, after the head.
    Borrowed(&'a [u8]),
    /// Bytes that live as long as the program.
    Static(&'static [u8]),
    /// Bytes that are shared: many replies can send the same ones.
    Shared(Arc<[u8]>),
    /// Bytes that the handler gives away.
    Owned(Vec<u8>),
}

impl Content<'_> {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} bytes)", self.as_bytes().len())
    }
}

impl<'a> From<&'a [u8]> for Content<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Content<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Borrowed(bytes)
    }
}

impl<'a> From<&'a str> for Content<'a> {
    fn from(text: &'a str) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl From<Vec<u8>> for Content<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl From<String> for Content<'_> {
    fn from(text: String) -> Self {
        Self::Owned(text.into_bytes())
    }
}

impl<'a> From<std::borrow::Cow<'a, str>> for Content<'a> {
    fn from(text: std::borrow::Cow<'a, str>) -> Self {
        match text {
            std::borrow::Cow::Borrowed(text) => text.into(),
            std::borrow::Cow::Owned(text) => text.into(),
        }
    }
}

impl<'a> From<&'a String> for Content<'a> {
    fn from(text: &'a String) -> Self {
        Self::Borrowed(text.as_bytes())
    }
}

impl<'a> From<&'a Vec<u8>> for Content<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Borrowed(bytes)
    }
}

impl From<Arc<[u8]>> for Content<'_> {
    fn from(bytes: Arc<[u8]>) -> Self {
        Self::Shared(bytes)
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
        let behind = self.records.iter_mut().filter(|record| record.end > position);
        behind.for_each(|record| record.end += bytes.len() as u64);
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

    /// The front of the queue. If it is memory, this fills `slices` with it.
    pub(crate) fn front<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> Front<'a> {
        let room = slices.len().min(MAX_SLICES);
        let mut count = 0;
        let mut add = |bytes: &'a [u8]| {
            if !bytes.is_empty() && count < room {
                slices[count] = IoSlice::new(bytes);
                count += 1;
            }
            count
        };
        let mut from = self.sent;
        for splice in self.splices.iter().take(MAX_SLICES) {
            let slices = add(&self.inline[from..splice.at]);
            match &splice.rest {
                Spliced::Memory { content, sent } => add(&content.as_bytes()[*sent..]),
                Spliced::File(range) if slices == 0 => return Front::File(range),
                Spliced::File(_) => return Front::Memory { slices, more: true },
            };
            from = splice.at;
        }
        let slices = if self.splices.len() <= MAX_SLICES { add(&self.inline[from..]) } else { count };
        Front::Memory { slices, more: false }
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
            self.splices.pop_front();
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

    /// Removes everything that was queued since `mark`. Nothing may have been sent in between.
    pub(crate) fn roll_back(&mut self, mark: Mark) {
        self.inline.truncate(mark.inline);
        self.splices.truncate(mark.splices);
        self.spliced = mark.spliced;
    }

    /// Records that a reply ends where the queue ends now.
    pub(crate) fn record(&mut self, mut record: ReplyRecord) {
        record.end = self.left + self.total();
        self.records.push_back(record);
    }

    /// The reply that is being sent. Its `content` counts only the bytes that have been sent.
    pub(crate) fn unfinished(&self) -> Option<ReplyRecord> {
        let record = *self.records.front()?;
        Some(ReplyRecord { content: record.content.saturating_sub(record.end.saturating_sub(self.left)), ..record })
    }

    /// Takes the next reply whose last byte has been sent.
    pub(crate) fn next_finished(&mut self) -> Option<ReplyRecord> {
        self.records.front().filter(|record| record.end <= self.left)?;
        self.records.pop_front()
    }
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
            self.splices.clear();
            self.records.clear();
            self.spliced = 0;
        }
    }

    fn footprint(&self) -> usize {
        self.inline.capacity()
            + self.splices.capacity() * size_of::<Splice>()
            + self.records.capacity() * size_of::<ReplyRecord>()
    }
}

impl fmt::Debug for OutputQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputQueue({} bytes owed, {} splices)", self.total(), self.splices.len())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;
    use proptest::test_runner::{Config as Cases, RngSeed};

    use super::*;

    /// Fills `slices` with the memory at the front of the queue, and returns the number of filled slices.
    fn gather<'a>(queue: &'a OutputQueue, slices: &mut [IoSlice<'a>]) -> usize {
        match queue.front(slices) {
            Front::Memory { slices, .. } => slices,
            Front::File(_) => 0,
        }
    }

    fn gathered(queue: &OutputQueue) -> Vec<u8> {
        let mut slices = [IoSlice::new(b""); 64];
        let count = gather(queue, &mut slices);
        slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
    }

    /// A queue of inline and spliced pieces in turn, and the bytes that it must send.
    fn mixed() -> (OutputQueue, Vec<u8>) {
        let (mut queue, mut expected) = (OutputQueue::default(), Vec::new());
        let large: Arc<[u8]> = (0..SHARE_FROM + 7).map(|i| i as u8).collect();
        for piece in [&b"one"[..], b"two", b"three"] {
            queue.inline().extend_from_slice(piece);
            expected.extend_from_slice(piece);
            queue.push(large.clone().into());
            expected.extend_from_slice(&large);
        }
        queue.push(vec![7; SHARE_FROM].into());
        expected.extend_from_slice(&[7; SHARE_FROM]);
        queue.push(b"end".into());
        expected.extend_from_slice(b"end");
        (queue, expected)
    }

    #[test]
    fn any_sequence_of_short_writes_sends_the_same_bytes() {
        for step in [1, 2, 3, 1000, SHARE_FROM + 3, SHARE_FROM + 9, 1 << 20] {
            let (mut queue, expected) = mixed();
            let mut sent = Vec::new();
            while !queue.is_empty() {
                assert_eq!(queue.len(), expected.len() - sent.len());
                let mut slices = [IoSlice::new(b""); MAX_SLICES];
                let filled = gather(&queue, &mut slices);
                let mut left = step;
                for slice in &slices[..filled] {
                    sent.extend_from_slice(&slice[..left.min(slice.len())]);
                    left -= left.min(slice.len());
                }
                queue.advance(step - left);
                if sent.len() % 3 == 0 {
                    queue.compact();
                }
            }
            assert!(sent == expected, "in steps of {step}");
            assert!(queue.inline.is_empty() && queue.splices.is_empty() && queue.spliced == 0);
        }
    }

    #[test]
    fn small_content_is_copied_and_large_content_is_not() {
        let mut queue = OutputQueue::default();
        queue.push(vec![1; SHARE_FROM - 1].into());
        assert_eq!(queue.splices.len(), 0);
        queue.push(vec![1; SHARE_FROM].into());
        assert_eq!(queue.splices.len(), 1);
    }

    #[test]
    fn a_roll_back_leaves_what_was_there_before() {
        let (mut queue, expected) = mixed();
        queue.advance(5);
        let mark = queue.mark();
        queue.inline().extend_from_slice(b"to be forgotten");
        queue.push(vec![0; SHARE_FROM].into());
        queue.roll_back(mark);
        assert!(gathered(&queue) == expected[5..]);
    }

    #[test]
    fn more_splices_than_slices_go_out_in_order() {
        let mut queue = OutputQueue::default();
        let mut expected = Vec::new();
        for i in 0..3 * MAX_SLICES {
            queue.push(vec![i as u8; SHARE_FROM].into());
            expected.extend_from_slice(&[i as u8; SHARE_FROM]);
        }
        queue.push(b"end".into());
        expected.extend_from_slice(b"end");
        let mut sent = Vec::new();
        while !queue.is_empty() {
            let bytes = gathered(&queue);
            queue.advance(bytes.len());
            sent.extend_from_slice(&bytes);
        }
        assert!(sent == expected);
    }

    // ---- with bytes of files ------------------------------------------------------------------------------------

    /// A file without a name, and its contents.
    fn file() -> (Arc<File>, Vec<u8>) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("monoloop-output-{}-{number}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path);
        let mut file = file.expect("a temporary file can be made");
        std::fs::remove_file(&path).expect("it was just made");
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i * 31 / 7) as u8).collect();
        file.write_all(&bytes).expect("a temporary file can be written");
        (Arc::new(file), bytes)
    }

    /// A range of some file, for a test that does not read it.
    fn no_file(offset: u64, len: u64) -> FileRange {
        FileRange::new(Arc::new(File::open("Cargo.toml").expect("the file exists")), offset, len)
    }

    /// Sends at most `most` bytes, as a session does.
    fn send(queue: &mut OutputQueue, sent: &mut Vec<u8>, most: usize) {
        let before = sent.len();
        let mut slices = [IoSlice::new(b""); MAX_SLICES];
        match queue.front(&mut slices) {
            Front::Memory { slices: count, .. } => {
                assert!(count > 0, "bytes are owed, but the front of the queue is empty");
                for slice in &slices[..count] {
                    assert!(!slice.is_empty());
                    let left = most - (sent.len() - before);
                    sent.extend_from_slice(&slice[..left.min(slice.len())]);
                }
            }
            Front::File(range) => {
                let mut room = vec![0; most.min(1 << 20)];
                let count = range.read(&mut room).expect("a file that can be read");
                assert!(count > 0, "the file ends too early");
                sent.extend_from_slice(&room[..count]);
            }
        }
        queue.advance(sent.len() - before);
    }

    #[derive(Clone, Copy, Debug)]
    enum Piece {
        Inline(usize),
        Memory(usize),
        File(usize, usize),
    }

    fn push(queue: &mut OutputQueue, piece: Piece, file: &(Arc<File>, Vec<u8>)) -> Vec<u8> {
        let letters = |length, first: u8| (0..length).map(|i| first + (i % 23) as u8).collect::<Vec<u8>>();
        match piece {
            Piece::Inline(length) => {
                queue.inline().extend_from_slice(&letters(length, b'a'));
                letters(length, b'a')
            }
            Piece::Memory(length) => {
                queue.push(letters(SHARE_FROM + length, b'A').into());
                letters(SHARE_FROM + length, b'A')
            }
            Piece::File(offset, length) => {
                queue.push_file(FileRange::new(Arc::clone(&file.0), offset as u64, length as u64));
                file.1[offset..offset + length].to_vec()
            }
        }
    }

    /// Files at both ends, side by side, after memory and before it, and one of a single byte.
    const PIECES: [Piece; 12] = [
        Piece::File(0, 70_000),
        Piece::Inline(5),
        Piece::File(99_999, 1),
        Piece::File(17, 3),
        Piece::Inline(200),
        Piece::Memory(1),
        Piece::File(5_000, 1_001),
        Piece::Memory(0),
        Piece::Memory(3),
        Piece::Inline(1),
        Piece::File(0, 0),
        Piece::File(1, 99_999),
    ];

    #[test]
    fn any_sequence_of_short_writes_sends_the_same_bytes_of_memory_and_of_files() {
        let file = file();
        for step in [1, 2, 3, 1000, SHARE_FROM + 3, 1 << 20] {
            let mut queue = OutputQueue::default();
            let expected: Vec<u8> = PIECES.iter().flat_map(|piece| push(&mut queue, *piece, &file)).collect();
            let mut sent = Vec::with_capacity(expected.len());
            while !queue.is_empty() {
                assert_eq!(queue.len(), expected.len() - sent.len(), "in steps of {step}");
                send(&mut queue, &mut sent, step);
                if sent.len() % 3 == 0 {
                    queue.compact();
                }
            }
            assert!(sent == expected, "in steps of {step}");
            assert!(queue.inline.is_empty() && queue.splices.is_empty() && queue.spliced == 0);
        }
    }

    #[test]
    fn a_write_may_end_anywhere_even_after_several_files_at_once() {
        let file = file();
        let mut whole = OutputQueue::default();
        let expected: Vec<u8> = PIECES[1..6].iter().flat_map(|piece| push(&mut whole, *piece, &file)).collect();
        for first in 0..=expected.len() {
            let mut queue = OutputQueue::default();
            PIECES[1..6].iter().for_each(|piece| drop(push(&mut queue, *piece, &file)));
            queue.advance(first);
            queue.compact();
            let mut sent = expected[..first].to_vec();
            while !queue.is_empty() {
                send(&mut queue, &mut sent, usize::MAX);
            }
            assert!(sent == expected, "after {first} bytes");
        }
    }

    #[test]
    fn the_front_of_the_queue_tells_whether_a_file_follows() {
        let first = |queue: &OutputQueue| format!("{:?}", queue.front(&mut [IoSlice::new(b""); MAX_SLICES]));
        let mut queue = OutputQueue::default();
        assert_eq!(first(&queue), "Memory { slices: 0, more: false }");
        queue.inline().extend_from_slice(b"head");
        assert_eq!(first(&queue), "Memory { slices: 1, more: false }");
        queue.push_file(no_file(3, 10));
        queue.inline().extend_from_slice(b"next head");
        assert_eq!(first(&queue), "Memory { slices: 1, more: true }");
        assert_eq!(gathered(&queue), b"head", "up to the file");
        queue.advance(4);
        assert_eq!(first(&queue), "File(FileRange(10 bytes from 3))");
        assert_eq!(gathered(&queue), b"", "the front of the queue is a file");
        assert_eq!(queue.as_slice(), None);
        queue.advance(9);
        assert_eq!(first(&queue), "File(FileRange(1 bytes from 12))");
        queue.advance(1);
        assert_eq!(first(&queue), "Memory { slices: 1, more: false }");
        assert_eq!(queue.as_slice(), Some(&b"next head"[..]));
    }

    #[test]
    fn a_file_after_more_memory_than_there_are_slices_waits_for_its_turn() {
        let file = file();
        let mut queue = OutputQueue::default();
        let pieces = (0..2 * MAX_SLICES).map(Piece::Memory).chain([Piece::File(7, 9), Piece::Inline(1)]);
        let expected: Vec<u8> = pieces.flat_map(|piece| push(&mut queue, piece, &file)).collect();
        let mut few = [IoSlice::new(b""); 3];
        assert!(matches!(queue.front(&mut few), Front::Memory { slices: 3, .. }));
        let mut sent = Vec::new();
        while !queue.is_empty() {
            send(&mut queue, &mut sent, usize::MAX);
        }
        assert!(sent == expected);
    }

    #[test]
    fn a_roll_back_removes_only_the_files_that_were_queued_after_the_mark() {
        let file = file();
        for kept in 0..=PIECES.len() {
            for sent_before in [0, 3, 70_001] {
                let mut queue = OutputQueue::default();
                let mut expected: Vec<u8> =
                    PIECES[..kept].iter().flat_map(|piece| push(&mut queue, *piece, &file)).collect();
                let first = sent_before.min(expected.len());
                queue.advance(first);
                queue.compact();
                let (mark, owed) = (queue.mark(), queue.len());
                PIECES[kept..].iter().for_each(|piece| drop(push(&mut queue, *piece, &file)));
                queue.roll_back(mark);
                assert_eq!(queue.len(), owed, "{kept} are kept");
                expected.extend(push(&mut queue, Piece::Inline(4), &file));
                let mut sent = expected[..first].to_vec();
                while !queue.is_empty() {
                    send(&mut queue, &mut sent, 1000);
                }
                assert!(sent == expected, "{kept} are kept");
            }
        }
    }

    #[test]
    fn bytes_that_are_inserted_before_a_file_are_sent_before_it() {
        let file = file();
        let record = ReplyRecord { end: 0, method: None, status: 200, content: 3, began: Moment::ZERO };
        for kept in 0..=PIECES.len() {
            let mut queue = OutputQueue::default();
            let mut expected: Vec<u8> =
                PIECES[..kept].iter().flat_map(|piece| push(&mut queue, *piece, &file)).collect();
            queue.record(record);
            let first = 11.min(expected.len());
            queue.advance(first);
            queue.compact();
            let (mark, ends) = (queue.mark(), expected.len());
            let behind: Vec<u8> = PIECES[kept..].iter().flat_map(|piece| push(&mut queue, *piece, &file)).collect();
            queue.record(record);
            queue.insert(mark, b"a head");
            expected.extend(b"a head");
            expected.extend(behind);
            assert_eq!(queue.records[0].end, ends as u64, "the end of an earlier reply does not move");
            if expected.len() > ends + 6 {
                assert_eq!(queue.records[1].end, expected.len() as u64);
            }
            let mut sent = expected[..first].to_vec();
            while !queue.is_empty() {
                send(&mut queue, &mut sent, 777);
            }
            assert!(sent == expected, "after {kept} pieces");
        }
    }

    #[test]
    fn files_that_are_larger_than_any_memory_are_counted() {
        const LONG: u64 = 1 << 40;
        let mut queue = OutputQueue::default();
        let record = ReplyRecord { end: 0, method: None, status: 200, content: LONG, began: Moment::ZERO };
        queue.inline().extend_from_slice(b"head");
        queue.push_file(no_file(5, LONG));
        queue.record(record);
        let mark = queue.mark();
        queue.push_file(no_file(0, u64::MAX / 4));
        queue.insert(mark, b"between");
        queue.record(record);
        assert_eq!(queue.total(), 4 + LONG + 7 + u64::MAX / 4);
        assert_eq!(queue.len(), usize::try_from(queue.total()).unwrap_or(usize::MAX));
        queue.advance(4);
        let step = 1_usize << 30;
        for round in 0..LONG / step as u64 {
            assert!(queue.next_finished().is_none(), "in round {round}");
            let mut slices = [IoSlice::new(b""); MAX_SLICES];
            let Front::File(range) = queue.front(&mut slices) else { panic!("the file is not over") };
            assert_eq!((range.offset(), range.len()), (5 + round * step as u64, LONG - round * step as u64));
            queue.advance(step);
        }
        assert!(queue.next_finished().is_some_and(|record| record.end == 4 + LONG));
        assert!(queue.next_finished().is_none());
        assert_eq!(gathered(&queue), b"between");
        queue.advance(7);
        assert_eq!((queue.total(), queue.left), (u64::MAX / 4, 4 + LONG + 7));
    }

    #[test]
    fn a_queue_that_is_given_back_keeps_no_file() {
        let file = file();
        let mut queue = OutputQueue::default();
        PIECES.iter().for_each(|piece| drop(push(&mut queue, *piece, &file)));
        queue.advance(70_003);
        assert!(Arc::strong_count(&file.0) > 1);
        queue.reset();
        assert_eq!((Arc::strong_count(&file.0), queue.total()), (1, 0));
        push(&mut queue, Piece::File(0, 5), &file);
        queue.advance(5);
        assert_eq!(Arc::strong_count(&file.0), 1, "a file is dropped when it has been sent");
    }

    #[test]
    #[should_panic(expected = "no more can be sent than is owed")]
    fn no_more_of_a_file_is_sent_than_is_owed() {
        let mut queue = OutputQueue::default();
        queue.push_file(no_file(0, 5));
        queue.advance(6);
    }

    fn piece() -> impl Strategy<Value = Piece> {
        prop_oneof![
            (0..300_usize).prop_map(Piece::Inline),
            (0..9_usize).prop_map(Piece::Memory),
            (0..100_000_usize, 0..3_000_usize).prop_map(|(at, len)| Piece::File(at, len.min(100_000 - at))),
        ]
    }

    proptest! {
        #![proptest_config(Cases { failure_persistence: None, cases: 60, rng_seed: RngSeed::Fixed(0x6d6f_6e6f), ..Cases::default() })]

        /// Replies are queued and sent in turn. Some of them are rolled back, and others replace them.
        #[test]
        fn everything_queued_between_two_writes_is_sent_in_order(
            rounds in vec((vec(piece(), 0..5), option::of(vec(piece(), 0..4)), 0..40_000_usize), 1..12),
        ) {
            let file = file();
            let (mut queue, mut sent, mut expected, mut ends) =
                (OutputQueue::default(), Vec::new(), Vec::new(), VecDeque::new());
            for (kept, undone, most) in rounds {
                queue.compact();
                let mark = queue.mark();
                if let Some(undone) = undone {
                    undone.iter().for_each(|piece| drop(push(&mut queue, *piece, &file)));
                    queue.roll_back(mark);
                }
                kept.iter().for_each(|piece| expected.extend(push(&mut queue, *piece, &file)));
                queue.record(ReplyRecord { end: 0, method: None, status: 200, content: 0, began: Moment::ZERO });
                ends.push_back(expected.len());
                if most > 0 && !queue.is_empty() {
                    send(&mut queue, &mut sent, most);
                }
                while let Some(record) = queue.next_finished() {
                    prop_assert_eq!(Some(record.end as usize), ends.pop_front());
                }
                prop_assert!(ends.front().is_none_or(|end| *end > sent.len()));
                prop_assert_eq!(queue.len(), expected.len() - sent.len());
            }
            while !queue.is_empty() {
                send(&mut queue, &mut sent, 5_000);
            }
            prop_assert!(sent == expected);
        }
    }

    #[test]
    fn a_reply_is_finished_when_its_last_byte_has_left() {
        let mut queue = OutputQueue::default();
        let record = ReplyRecord { end: 0, method: None, status: 200, content: 3, began: Moment::ZERO };
        for _ in 0..2 {
            queue.inline().extend_from_slice(b"abc");
            queue.record(record);
        }
        queue.advance(2);
        assert!(queue.next_finished().is_none());
        queue.advance(2);
        assert!(queue.next_finished().is_some());
        assert!(queue.next_finished().is_none());
        queue.advance(2);
        assert!(queue.next_finished().is_some());
    }
}
