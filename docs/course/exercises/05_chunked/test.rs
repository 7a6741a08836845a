//! Exercise 5: decode what comes in pieces. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/05_chunked.rs"]
mod exercise;

use exercise::{Bad, Decoder};

const LIMIT: usize = 100;

/// Brings the bytes in pieces of this size. Returns the content, how many bytes were used, and whether it is done.
fn decode(bytes: &[u8], size: usize) -> Result<(String, usize, bool), Bad> {
    let (mut decoder, mut content, mut used) = (Decoder::new(LIMIT), Vec::new(), 0);
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

const GOOD: [(&str, &str); 5] = [
    ("3\r\nabc\r\n0\r\n\r\n", "abc"),
    ("0\r\n\r\n", ""),
    ("00000003\r\nabc\r\n1\r\nd\r\n000\r\n\r\n", "abcd"),
    ("a;name=value\r\n0123456789\r\nA; x = \"y\"\r\n0123456789\r\n0;last\r\n\r\n", "01234567890123456789"),
    ("4\r\n\r\n\r\n\r\n0\r\n\r\n", "\r\n\r\n"),
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
    let (mut decoder, mut content) = (Decoder::new(LIMIT), Vec::new());
    assert_eq!(decoder.decode(b"50\r\nabc", &mut content), Ok(7));
    assert_eq!(content, b"abc", "the other 77 bytes of the chunk may take an hour");
}

#[test]
fn what_breaks_a_rule_is_refused_in_pieces_of_any_size() {
    let long = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(64));
    for bytes in [
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "\r\nabc\r\n0\r\n\r\n",
        ";a\r\nabc\r\n0\r\n\r\n",
        "000000003\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc\r\n0\r\n\n",
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
    let (mut decoder, mut content) = (Decoder::new(LIMIT), Vec::new());
    assert_eq!(decoder.decode(b"65\r\n", &mut content), Err(Bad), "101 bytes are more than 100");
    let mut decoder = Decoder::new(LIMIT);
    assert_eq!(decoder.decode(b"64\r\n", &mut content), Ok(4));
}
