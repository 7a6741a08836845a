//! Exercise 5: decode what comes in pieces. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/05_chunked.rs"]
mod exercise;

use std::sync::Once;
use std::time::Duration;
use std::{process, thread};

use exercise::{Bad, Decoder};

const LIMIT: usize = 100;
/// All tests together take far less than a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// A decoder for content of this length at most. From the first one on, the tests have a limited time.
fn begin(limit: usize) -> Decoder {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        thread::spawn(|| {
            thread::sleep(PATIENCE);
            eprintln!("a test still runs after {PATIENCE:?}: does `decode` go round and use no byte?");
            process::exit(1);
        });
    });
    Decoder::new(limit)
}

/// Brings the bytes in pieces of this size. Returns the content, how many bytes were used, and whether it is done.
fn decode(bytes: &[u8], size: usize) -> Result<(String, usize, bool), Bad> {
    let (mut decoder, mut content, mut used) = (begin(LIMIT), Vec::new(), 0);
    for piece in bytes.chunks(size) {
        if decoder.is_done() {
            break;
        }
        let count = decoder.decode(piece, &mut content)?;
        assert!(count <= piece.len(), "it has used {count} bytes of {}", piece.len());
        assert!(count == piece.len() || decoder.is_done(), "it must use all that belongs to the message");
        used += count;
    }
    Ok((String::from_utf8_lossy(&content).into_owned(), used, decoder.is_done()))
}

const GOOD: [(&str, &str); 6] = [
    ("3\r\nabc\r\n0\r\n\r\n", "abc"),
    ("0\r\n\r\n", ""),
    ("00000003\r\nabc\r\n1\r\nd\r\n000\r\n\r\n", "abcd"),
    ("a;name=value\r\n0123456789\r\nA; x = \"y\"\r\n0123456789\r\n0;last\r\n\r\n", "01234567890123456789"),
    ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
    ("1\r\na\r\n1\r\nb\r\n1\r\nc\r\n00000000\r\n\r\n", "abc"),
];

#[test]
fn it_decodes_what_comes_whole() {
    for (bytes, content) in GOOD {
        assert_eq!(decode(bytes.as_bytes(), bytes.len()), Ok((content.to_owned(), bytes.len(), true)), "{bytes:?}");
    }
}

#[test]
fn it_decodes_what_comes_in_pieces_of_any_size() {
    for (bytes, content) in GOOD {
        for size in 1..bytes.len() {
            let expected = Ok((content.to_owned(), bytes.len(), true));
            assert_eq!(decode(bytes.as_bytes(), size), expected, "{bytes:?} in pieces of {size}");
        }
    }
}

/// A message of one byte, whose first line has so many bytes before its CRLF.
fn with_a_line_of(length: usize) -> String {
    format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(length - 2))
}

#[test]
fn each_line_of_a_size_may_be_as_long_as_the_limit() {
    let bytes = with_a_line_of(64).replace("0\r\n\r\n", &with_a_line_of(64));
    for size in 1..=bytes.len() {
        assert_eq!(decode(bytes.as_bytes(), size), Ok(("aa".to_owned(), bytes.len(), true)), "in pieces of {size}");
    }
}

#[test]
fn what_follows_the_message_is_left() {
    for (bytes, content) in GOOD {
        let more = format!("{bytes}GET / HTTP/1.1\r\n\r\n");
        for size in [1, 2, 7, more.len()] {
            let expected = Ok((content.to_owned(), bytes.len(), true));
            assert_eq!(decode(more.as_bytes(), size), expected, "{more:?} in pieces of {size}");
        }
    }
}

#[test]
fn what_has_not_all_come_is_not_done_and_not_wrong() {
    for (bytes, _) in GOOD {
        for length in 1..bytes.len() {
            let decoded = decode(&bytes.as_bytes()[..length], 1);
            assert!(matches!(decoded, Ok((_, used, false)) if used == length), "{length} of {bytes:?}: {decoded:?}");
        }
    }
}

#[test]
fn content_is_there_as_soon_as_it_has_come() {
    let (mut decoder, mut content) = (begin(LIMIT), Vec::new());
    assert_eq!(decoder.decode(b"50\r\nabc", &mut content), Ok(7));
    assert_eq!(content, b"abc", "the other 77 bytes of the chunk may take an hour");
    assert_eq!(decoder.decode(b"d", &mut content), Ok(1));
    assert_eq!(content, b"abcd", "each byte of the chunk goes on when it comes");
}

#[test]
fn nothing_may_come_and_after_the_end_nothing_is_used() {
    let (mut decoder, mut content) = (begin(LIMIT), Vec::new());
    for piece in [&b""[..], b"3\r\n", b"", b"abc", b"", b"\r\n0\r\n\r\n"] {
        assert_eq!(decoder.decode(piece, &mut content), Ok(piece.len()));
    }
    assert!(decoder.is_done());
    for next in [&b""[..], b"3\r\nabc\r\n"] {
        assert_eq!(decoder.decode(next, &mut content), Ok(0), "this is not of the message, which has ended");
    }
    assert_eq!(content, b"abc");
}

#[test]
fn the_limit_counts_content_that_was_taken_away() {
    let (mut decoder, mut content) = (begin(LIMIT), Vec::new());
    let chunk = format!("32\r\n{}\r\n", "x".repeat(50));
    for _ in 0..2 {
        assert_eq!(decoder.decode(chunk.as_bytes(), &mut content), Ok(chunk.len()));
        // The handler has it, and the memory is used again.
        content.clear();
    }
    assert_eq!(decoder.decode(b"1\r\n", &mut content), Err(Bad), "100 bytes have come before");
}

#[test]
fn content_that_was_there_before_does_not_count() {
    let (mut decoder, mut content) = (begin(LIMIT), vec![b'y'; 60]);
    let chunk = format!("64\r\n{}\r\n", "x".repeat(100));
    assert_eq!(decoder.decode(chunk.as_bytes(), &mut content), Ok(chunk.len()));
    assert_eq!(content.len(), 160);
}

#[test]
fn the_memory_follows_what_has_come_and_not_what_was_announced() {
    let (mut decoder, mut content) = (begin(usize::MAX), Vec::new());
    assert_eq!(decoder.decode(b"1000000\r\nabc", &mut content), Ok(12));
    assert_eq!(content, b"abc");
    assert!(content.capacity() < 1000, "{} bytes of memory for three of content", content.capacity());
}

#[test]
fn what_breaks_a_rule_is_refused_in_pieces_of_any_size() {
    let long = with_a_line_of(65);
    for bytes in [
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        ";a\r\nabc\r\n0\r\n\r\n",
        "000000003\r\nabc\r\n0\r\n\r\n",
        "g\r\n0123456789abcdef\r\n0\r\n\r\n",
        "3g\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3\r\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3;a\r\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\r\r\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\n",
        "3\r\nabc\r\n0\r\n\r\r\n",
        "3\r\nabc\r\n000000000\r\n\r\n",
        "3\r\nabc\r\n0\r\nName: value\r\n\r\n",
        "ffffffff\r\nabc",
        "40\r\n0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n40\r\n",
        &long,
    ] {
        for size in [1, 2, 3, bytes.len()] {
            assert_eq!(decode(bytes.as_bytes(), size), Err(Bad), "{bytes:?} in pieces of {size}");
        }
    }
}

#[test]
fn a_chunk_that_is_too_large_is_refused_at_its_size() {
    let (mut decoder, mut content) = (begin(LIMIT), Vec::new());
    assert_eq!(decoder.decode(b"65\r\n", &mut content), Err(Bad), "101 bytes are more than 100");
    let mut decoder = begin(LIMIT);
    assert_eq!(decoder.decode(b"64\r\n", &mut content), Ok(4));
}
