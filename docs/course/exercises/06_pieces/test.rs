//! Exercise 6: owe large content without a copy of it. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/06_pieces.rs"]
mod exercise;

use std::sync::Arc;

use exercise::{MAX_SLICES, OutputQueue, SHARE_FROM};

/// Content of which each byte tells its place.
fn content(length: usize) -> Arc<[u8]> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// A kernel that takes at most so many bytes of each `writev`. Takes all, and checks the queue on the way.
fn send_all(queue: &mut OutputQueue, most: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    while queue.len() > 0 {
        let owed = queue.len();
        let slices = queue.front();
        assert!(!slices.is_empty(), "{owed} bytes are owed, but there is nothing to send");
        assert!(slices.len() <= MAX_SLICES, "{} slices", slices.len());
        assert!(slices.iter().all(|slice| !slice.is_empty()), "a slice is empty");
        let offered: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).take(most).collect();
        drop(slices);
        queue.advance(offered.len());
        sent.extend_from_slice(&offered);
        assert_eq!(queue.len(), owed - offered.len(), "the number of bytes that are owed");
    }
    assert!(queue.front().is_empty(), "nothing is owed, but there is something to send");
    sent
}

#[test]
fn small_replies_leave_together() {
    let mut queue = OutputQueue::default();
    for _ in 0..10 {
        queue.push(b"head");
        queue.push_content(&content(SHARE_FROM - 1));
    }
    assert_eq!(queue.front().len(), 1, "ten replies in one slice");
    assert_eq!(queue.len(), 10 * (4 + SHARE_FROM - 1));
}

#[test]
fn large_content_is_not_copied() {
    let (mut queue, large) = (OutputQueue::default(), content(SHARE_FROM));
    queue.push(b"head");
    queue.push_content(&large);
    queue.push(b"next ");
    queue.push(b"head");
    let slices = queue.front();
    assert_eq!(slices.len(), 3, "head, content, next head");
    assert_eq!(slices[1].as_ptr(), large.as_ptr(), "the slice is the content itself");
}

#[test]
fn content_is_kept_until_its_last_byte_was_sent() {
    let (mut queue, large) = (OutputQueue::default(), content(2000));
    queue.push(b"head");
    queue.push_content(&large);
    queue.push_content(&large);
    assert_eq!(Arc::strong_count(&large), 3, "the queue owns a share for each reply");
    queue.advance(4 + 1999);
    assert_eq!(Arc::strong_count(&large), 3, "one byte of the first is still owed");
    queue.advance(1);
    assert_eq!(Arc::strong_count(&large), 2);
    queue.advance(2000);
    assert_eq!(Arc::strong_count(&large), 1);
    assert_eq!(queue.len(), 0);
}

#[test]
fn the_order_is_kept_whatever_the_kernel_takes() {
    for most in [1, 2, 3, 5, 1023, 1024, 1025, 4000, usize::MAX] {
        let (mut queue, mut expected) = (OutputQueue::default(), Vec::new());
        for (number, length) in [5, 3000, SHARE_FROM, 0, 1023, 1024, 5000, 1, 1].into_iter().enumerate() {
            let (head, content) = (format!("head {number}|"), content(length));
            queue.push(head.as_bytes());
            queue.push_content(&content);
            expected.extend_from_slice(head.as_bytes());
            expected.extend_from_slice(&content);
        }
        assert!(send_all(&mut queue, most) == expected, "the kernel takes {most} at once: other bytes were sent");
    }
}

#[test]
fn the_queue_goes_on_after_a_part_was_sent() {
    let (mut queue, large) = (OutputQueue::default(), content(3000));
    queue.push(b"abc");
    queue.push_content(&large);
    queue.advance(1003);
    queue.push(b"def");
    queue.push_content(&large);
    let slices = queue.front();
    assert_eq!(slices.len(), 3, "the rest of the content, def, content");
    assert_eq!(slices[2].as_ptr(), large.as_ptr(), "also now content is not copied");
    let expected = [&large[1000..], b"def", &large[..]].concat();
    assert!(send_all(&mut queue, 700) == expected, "other bytes were sent");
}

#[test]
fn what_is_copied_joins_what_was_sent_in_part() {
    let mut queue = OutputQueue::default();
    queue.push(b"abc");
    queue.advance(1);
    queue.push(b"def");
    queue.push_content(&content(2));
    let slices = queue.front();
    assert_eq!(slices.len(), 1, "all of it was copied, so it is one slice");
    assert_eq!(&*slices[0], b"bcdef\x00\x01");
}

#[test]
fn no_bytes_are_no_slice() {
    let (mut queue, large) = (OutputQueue::default(), content(2000));
    queue.push(b"");
    assert!(queue.front().is_empty(), "nothing is owed");
    queue.push_content(&large);
    queue.push(b"");
    queue.push_content(&content(0));
    queue.push_content(&large);
    queue.push(b"");
    assert_eq!(queue.front().len(), 2, "two contents, and nothing between them");
    assert_eq!(send_all(&mut queue, 1999).len(), 4000);
}

#[test]
fn many_large_contents_need_several_calls() {
    let (mut queue, large) = (OutputQueue::default(), content(1024));
    for _ in 0..20 {
        queue.push_content(&large);
    }
    assert_eq!(Arc::strong_count(&large), 21, "however long the queue is, content is not copied");
    assert_eq!(queue.front().len(), MAX_SLICES);
    assert_eq!(send_all(&mut queue, usize::MAX).len(), 20 * 1024);
}

/// A client that reads steadily, but never all. The queue may keep as much again as is owed, and some room.
#[test]
fn a_queue_that_never_empties_keeps_what_is_owed_and_not_what_was_sent() {
    let large = content(SHARE_FROM);
    for with_content in [false, true] {
        let counted = allocation_counter::measure(|| {
            let mut queue = OutputQueue::default();
            for round in 0..10_000 {
                queue.push(&[b'x'; 1000]);
                if with_content {
                    queue.push_content(&large);
                }
                // Some 20,000 bytes are owed all the time.
                queue.advance(if round < 20 { 0 } else { queue.len() - 20_000 });
            }
        });
        let most = counted.bytes_max;
        assert!(most < 200_000, "20,000 bytes are owed, and the queue has {most} bytes of memory");
    }
}

/// A long queue of small pieces, and a kernel that takes little of it at a time. If the next byte is not where it was,
/// the rest was moved.
#[test]
fn the_rest_is_not_moved_each_time_that_a_part_was_sent() {
    const ALL: usize = 20_000_000;
    const PART: usize = 100;
    let large = content(SHARE_FROM);
    for after in [None, Some(&large)] {
        let mut queue = OutputQueue::default();
        for _ in 0..ALL / PART {
            queue.push(&[b'x'; PART]);
        }
        after.into_iter().for_each(|content| queue.push_content(content));
        let rest = after.map_or(0, |content| content.len());
        let mut moved = 0;
        while queue.len() > rest + PART {
            let before = queue.front()[0].as_ptr();
            queue.advance(PART);
            let left = queue.len() - rest;
            if queue.front()[0].as_ptr() != before.wrapping_add(PART) {
                moved += left;
            }
            let sent = ALL - left;
            assert!(moved <= 2 * ALL, "{sent} of {ALL} bytes were sent, and {moved} bytes were moved for that");
        }
    }
}
