use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, RngSeed};

use super::*;

/// Fills `slices` with the memory at the front of the queue, and returns the number of filled slices.
fn gather<'a>(queue: &'a OutputQueue, slices: &mut [IoSlice<'a>]) -> usize {
    match queue.front(slices, usize::MAX) {
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
    match queue.front(&mut slices, usize::MAX) {
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
    // In the middle of the long content each place is like the next one.
    let (seams, tail) = (300, expected.len() - 10);
    for first in (0..seams).chain((seams..tail).step_by(101)).chain(tail..=expected.len()) {
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
    let first = |queue: &OutputQueue| format!("{:?}", queue.front(&mut [IoSlice::new(b""); MAX_SLICES], usize::MAX));
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
fn the_front_has_no_more_bytes_than_it_may_have() {
    let mut queue = OutputQueue::default();
    queue.inline().extend_from_slice(&[b'a'; 10]);
    queue.push(vec![b'b'; SHARE_FROM].into());
    queue.inline().extend_from_slice(&[b'c'; 10]);
    let total = queue.len();
    for most in [0, 1, 9, 10, 11, SHARE_FROM + 10, total - 1, total, total + 1] {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let Front::Memory { slices: count, more: false } = queue.front(&mut slices, most) else { panic!("no file") };
        let bytes: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        assert_eq!(bytes, most.min(total));
        assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
    }
}

#[test]
fn a_file_after_more_memory_than_there_are_slices_waits_for_its_turn() {
    let file = file();
    let mut queue = OutputQueue::default();
    let pieces = (0..2 * MAX_SLICES).map(Piece::Memory).chain([Piece::File(7, 9), Piece::Inline(1)]);
    let expected: Vec<u8> = pieces.flat_map(|piece| push(&mut queue, piece, &file)).collect();
    let mut few = [IoSlice::new(b""); 3];
    assert!(matches!(queue.front(&mut few, usize::MAX), Front::Memory { slices: 3, .. }));
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
    let record = ReplyRecord { content: 3, ..ReplyRecord::default() };
    for kept in 0..=PIECES.len() {
        let mut queue = OutputQueue::default();
        let mut expected: Vec<u8> = PIECES[..kept].iter().flat_map(|piece| push(&mut queue, *piece, &file)).collect();
        queue.record(record.clone(), "");
        let first = 11.min(expected.len());
        queue.advance(first);
        queue.compact();
        let (mark, ends) = (queue.mark(), expected.len());
        let behind: Vec<u8> = PIECES[kept..].iter().flat_map(|piece| push(&mut queue, *piece, &file)).collect();
        queue.record(record.clone(), "");
        queue.insert(mark, b"a head");
        expected.extend(b"a head");
        expected.extend(behind);
        assert_eq!(queue.records.ends().next(), Some(ends as u64), "the end of an earlier reply does not move");
        if expected.len() > ends + 6 {
            assert_eq!(queue.records.ends().nth(1), Some(expected.len() as u64));
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
    let record = ReplyRecord { content: LONG, ..ReplyRecord::default() };
    queue.inline().extend_from_slice(b"head");
    queue.push_file(no_file(5, LONG));
    queue.record(record.clone(), "");
    let mark = queue.mark();
    queue.push_file(no_file(0, u64::MAX / 4));
    queue.insert(mark, b"between");
    queue.record(record.clone(), "");
    assert_eq!(queue.total(), 4 + LONG + 7 + u64::MAX / 4);
    assert_eq!(queue.len(), usize::try_from(queue.total()).unwrap_or(usize::MAX));
    queue.advance(4);
    let step = 1_usize << 30;
    for round in 0..LONG / step as u64 {
        assert!(queue.next_finished().is_none(), "in round {round}");
        let mut slices = [IoSlice::new(b""); MAX_SLICES];
        let Front::File(range) = queue.front(&mut slices, usize::MAX) else { panic!("the file is not over") };
        assert_eq!((range.offset(), range.len()), (5 + round * step as u64, LONG - round * step as u64));
        queue.advance(step);
    }
    assert!(queue.next_finished().is_some_and(|(record, _)| record.end == 4 + LONG));
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
    #![proptest_config(Cases {
        failure_persistence: None,
        cases: 60,
        rng_seed: RngSeed::Fixed(0x6d6f_6e6f),
        ..Cases::default()
    })]

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
            queue.record(ReplyRecord::default(), "");
            ends.push_back(expected.len());
            if most > 0 && !queue.is_empty() {
                send(&mut queue, &mut sent, most);
            }
            while let Some((record, _)) = queue.next_finished() {
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
    let record = ReplyRecord { content: 3, ..ReplyRecord::default() };
    for _ in 0..2 {
        queue.inline().extend_from_slice(b"abc");
        queue.record(record.clone(), "");
    }
    queue.advance(2);
    assert!(queue.next_finished().is_none());
    queue.advance(2);
    assert!(queue.next_finished().is_some());
    assert!(queue.next_finished().is_none());
    queue.advance(2);
    assert!(queue.next_finished().is_some());
}
