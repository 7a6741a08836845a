//! The chunked coding (RFC 9112 §7).

use super::bench::{Fate, bench};
use super::bodies::{BAD, CHUNKED, HI};
use super::bytes::run_each_byte;
use super::fuzzing::compare_decoders;
use super::table::After::{Errs, FinErrs, Open};
use super::table::{Row, run_all};
use crate::limits::{MAX_CHUNK_EXTENSIONS, MAX_CHUNK_LINE, MAX_TRAILERS};

#[test]
fn chunks_that_keep_to_the_grammar_are_accepted() {
    let table: &[Row<'_>] = &[
        ("one", b"2\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("none", b"0\r\n\r\n", &["200 "], Open),
        ("several", b"1\r\nh\r\n1\r\ni\r\n5\r\n, you\r\n0\r\n\r\n", &["200 hi, you"], Open),
        ("a size in lower case", b"a\r\n0123456789\r\n0\r\n\r\n", &["200 0123456789"], Open),
        ("a size in upper case", b"A\r\n0123456789\r\n0\r\n\r\n", &["200 0123456789"], Open),
        ("leading zeros", b"0002\r\nhi\r\n000\r\n\r\n", HI, Open),
        ("many leading zeros", b"00000000000000000002\r\nhi\r\n00000000000000000000\r\n\r\n", HI, Open),
        ("data of CRLF", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", &["200 \r\n\r\n"], Open),
        ("data that looks like the end", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", &["200 0\r\n\r\n"], Open),
        ("an extension", b"2;a\r\nhi\r\n0;b\r\n\r\n", HI, Open),
        ("an extension with a value", b"2;a=b\r\nhi\r\n0;c=d;e\r\n\r\n", HI, Open),
        ("a quoted value", b"2;a=\"b;c=\\\"d\\\\ \t\xff\"\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("an empty quoted value", b"2;a=\"\"\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("white space around ; and =", b"2 ;\ta =\t\"b\" \t; c\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("a trailer", b"2\r\nhi\r\n0\r\nX: y\r\n\r\n", HI, Open),
        ("trailers", b"2\r\nhi\r\n0\r\nX:\r\nY:  z \t\xff\r\n\r\n", HI, Open),
        ("a length in the trailers", b"2\r\nhi\r\n0\r\nContent-Length: 50\r\n\r\n", HI, Open),
        (
            "framing and Host in the trailers",
            b"2\r\nhi\r\n0\r\nTransfer-Encoding: gzip\r\nHost: b\r\nConnection: close\r\n\r\n",
            HI,
            Open,
        ),
        ("a size of sixteen digits", b"0000000000000002\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("the last size in many zeros", b"2\r\nhi\r\n0000000000000000000000\r\n\r\n", HI, Open),
        ("an extension with a quoted semicolon", b"2;a=\";\";b\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("white space after the semicolon", b"2; some; more=stuff\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("an extension that looks like a size", b"2;5=6\r\nhi\r\n0\r\n\r\n", HI, Open),
        ("credentials in the trailers", b"2\r\nhi\r\n0\r\nAuthorization: Basic YTpi\r\nCookie: a=b\r\n\r\n", HI, Open),
        ("a type in the trailers", b"2\r\nhi\r\n0\r\nContent-Type: text/x\r\nContent-Encoding: gzip\r\n\r\n", HI, Open),
        ("a coding in the trailers", b"2\r\nhi\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n", HI, Open),
        ("an expectation in the trailers", b"2\r\nhi\r\n0\r\nExpect: tea\r\n\r\n", HI, Open),
        ("a trailer that looks like a request", b"2\r\nhi\r\n0\r\nX:GET / HTTP/1.1\r\n\r\n", HI, Open),
        ("a byte after the end", b"2\r\nhi\r\n0\r\n\r\n\0", &["200 hi", "400"], Errs),
        ("an empty line after the end", b"2\r\nhi\r\n0\r\n\r\n\r\n", HI, Open),
        (
            "a request after the end",
            b"2\r\nhi\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            &["200 hi", "200 hello"],
            Open,
        ),
    ];
    run_all(CHUNKED, table);
}

#[test]
fn chunks_that_break_the_grammar_are_refused() {
    let table: &[(&str, &[u8])] = &[
        ("no size", b"\r\nhi\r\n0\r\n\r\n"),
        ("an empty line in front", b"\r\n2\r\nhi\r\n0\r\n\r\n"),
        ("a space before the size", b" 2\r\nhi\r\n0\r\n\r\n"),
        ("a space after the size", b"2 \r\nhi\r\n0\r\n\r\n"),
        ("a tab after the size", b"2\t\r\nhi\r\n0\r\n\r\n"),
        ("a plus sign", b"+2\r\nhi\r\n0\r\n\r\n"),
        ("a minus sign", b"-2\r\nhi\r\n0\r\n\r\n"),
        ("0x", b"0x2\r\nhi\r\n0\r\n\r\n"),
        ("h", b"2h\r\nhi\r\n0\r\n\r\n"),
        ("an underscore", b"0_2\r\nhi\r\n0\r\n\r\n"),
        ("a letter that is no digit", b"g\r\nhi\r\n0\r\n\r\n"),
        ("a comma", b"2,\r\nhi\r\n0\r\n\r\n"),
        ("a full-width digit", b"\xef\xbc\x92\r\nhi\r\n0\r\n\r\n"),
        ("a NUL after the size", b"2\0\r\nhi\r\n0\r\n\r\n"),
        ("bare LF after the size", b"2\nhi\r\n0\r\n\r\n"),
        ("bare CR after the size", b"2\rhi\r\n0\r\n\r\n"),
        ("CR CR LF after the size", b"2\r\r\nhi\r\n0\r\n\r\n"),
        ("too little data", b"3\r\nhi\r\n0\r\n\r\n"),
        ("too much data", b"1\r\nhi\r\n0\r\n\r\n"),
        ("bare LF after the data", b"2\r\nhi\n0\r\n\r\n"),
        ("bare CR after the data", b"2\r\nhi\r0\r\n\r\n"),
        ("nothing after the data", b"2\r\nhi0\r\n\r\n"),
        ("two bytes that are no CRLF", b"2\r\nhiXX0\r\n\r\n"),
        ("an empty extension", b"2;\r\nhi\r\n0\r\n\r\n"),
        ("two semicolons", b"2;;a\r\nhi\r\n0\r\n\r\n"),
        ("an extension without a name", b"2;=a\r\nhi\r\n0\r\n\r\n"),
        ("an empty value", b"2;a=\r\nhi\r\n0\r\n\r\n"),
        ("two equals signs", b"2;a==b\r\nhi\r\n0\r\n\r\n"),
        ("two names", b"2;a b\r\nhi\r\n0\r\n\r\n"),
        ("a quoted name", b"2;\"a\"\r\nhi\r\n0\r\n\r\n"),
        ("a quote that does not end", b"2;a=\"b\r\nhi\r\n0\r\n\r\n"),
        ("bytes after a quote", b"2;a=\"b\"c\r\nhi\r\n0\r\n\r\n"),
        ("an escaped CR", b"2;a=\"\\\r\n\"\r\nhi\r\n0\r\n\r\n"),
        ("a NUL in an extension", b"2;a\0\r\nhi\r\n0\r\n\r\n"),
        ("a NUL in a quote", b"2;a=\"\0\"\r\nhi\r\n0\r\n\r\n"),
        ("bare LF in an extension", b"2;a\nhi\r\n0\r\n\r\n"),
        ("bare LF hides in an extension", b"2;a=\"\n\"\r\nhi\r\n0\r\n\r\n"),
        ("bare CR in an extension", b"2;a\rb\r\nhi\r\n0\r\n\r\n"),
        ("white space at the end of an extension", b"2;a \r\nhi\r\n0\r\n\r\n"),
        ("an extension that is not ASCII", b"2;\xc3\xa9\r\nhi\r\n0\r\n\r\n"),
        ("bare LF after the last chunk", b"2\r\nhi\r\n0\n\r\n"),
        ("bare LF for the last line", b"2\r\nhi\r\n0\r\n\n"),
        ("bare CR for the last line", b"2\r\nhi\r\n0\r\n\rX"),
        ("a trailer without a colon", b"2\r\nhi\r\n0\r\nX\r\n\r\n"),
        ("a trailer without a name", b"2\r\nhi\r\n0\r\n: y\r\n\r\n"),
        ("a trailer with a space before the colon", b"2\r\nhi\r\n0\r\nX : y\r\n\r\n"),
        ("a trailer with a space in front", b"2\r\nhi\r\n0\r\n X: y\r\n\r\n"),
        ("a folded trailer", b"2\r\nhi\r\n0\r\nX: y\r\n z\r\n\r\n"),
        ("a trailer with a bare LF", b"2\r\nhi\r\n0\r\nX: y\n\r\n"),
        ("a trailer with a bare CR", b"2\r\nhi\r\n0\r\nX: y\rz\r\n\r\n"),
        ("a trailer with a NUL", b"2\r\nhi\r\n0\r\nX: \0\r\n\r\n"),
        ("a request for a trailer", b"2\r\nhi\r\n0\r\nGET / HTTP/1.1\r\n\r\n"),
        ("a tab before the size", b"\t2\r\nhi\r\n0\r\n\r\n"),
        ("a vertical tab before the size", b"\x0b2\r\nhi\r\n0\r\n\r\n"),
        ("a NUL before the size", b"\x002\r\nhi\r\n0\r\n\r\n"),
        ("many spaces before the last size", b"2\r\nhi\r\n           0\r\n\r\n"),
        ("a space after the last size", b"2\r\nhi\r\n0 \r\n\r\n"),
        ("a sign before the last size", b"2\r\nhi\r\n+0\r\n\r\n"),
        ("a minus sign before the last size", b"2\r\nhi\r\n-0\r\n\r\n"),
        ("0x before the last size", b"2\r\nhi\r\n0x0\r\n\r\n"),
        ("a sign and 0x", b"-0x0\r\n\r\n"),
        ("an empty size for the last", b"2\r\nhi\r\n\r\n\r\n"),
        ("an empty line between two chunks", b"2\r\nhi\r\n\r\n0\r\n\r\n"),
        ("a size that only begins with digits", b"2these\r\nhi\r\n0\r\n\r\n"),
        ("an underscore within", b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n"),
        ("a fraction", b"2.0\r\nhi\r\n0\r\n\r\n"),
        ("two sizes", b"2 2\r\nhi\r\n0\r\n\r\n"),
        ("a digit of another script", b"\xd9\xa2\r\nhi\r\n0\r\n\r\n"),
        ("no size but an extension", b";a=b\r\nhi\r\n0\r\n\r\n"),
        ("a space for the size", b" ;a=b\r\nhi\r\n0\r\n\r\n"),
        ("an extension without a semicolon", b"2 a=b\r\nhi\r\n0\r\n\r\n"),
        ("bare LF before an extension", b"2\n;a\r\nhi\r\n0\r\n\r\n"),
        ("bare CR before an extension", b"2\r;a\r\nhi\r\n0\r\n\r\n"),
        ("two CRs before an extension", b"2\r\r;a\r\nhi\r\n0\r\n\r\n"),
        ("CR and a byte before an extension", b"2\rX;a\r\nhi\r\n0\r\n\r\n"),
        ("bare LF after a semicolon", b"2;\nhi\r\n0\r\n\r\n"),
        ("bare CR after a semicolon", b"2;\rhi\r\n0\r\n\r\n"),
        ("two CRs after an extension", b"2;a\r\rhi\r\n0\r\n\r\n"),
        ("two CRs after a value", b"2;a=b\r\rhi\r\n0\r\n\r\n"),
        ("CR and a byte after an extension", b"2;a\rXhi\r\n0\r\n\r\n"),
        ("CRLF within a quote", b"2;a=\"\r\n\"\r\nhi\r\n0\r\n\r\n"),
        ("a bracket in an extension", b"2;a[=x\r\nhi\r\n0\r\n\r\n"),
        ("a bracket in a value", b"2;a=[\r\nhi\r\n0\r\n\r\n"),
        ("a control byte in a value", b"2;a=\x01\r\nhi\r\n0\r\n\r\n"),
        ("a DEL in a quote", b"2;a=\"\x7f\"\r\nhi\r\n0\r\n\r\n"),
        ("a value of two words", b"2;a=b c\r\nhi\r\n0\r\n\r\n"),
        ("an empty extension of the last chunk", b"2\r\nhi\r\n0;\r\n\r\n"),
        ("a comma for the semicolon", b"2,a=b\r\nhi\r\n0\r\n\r\n"),
        ("CR and a byte after the data", b"2\r\nhi\rX0\r\n\r\n"),
        ("two CRs after the data", b"2\r\nhi\r\r0\r\n\r\n"),
        ("a byte and LF after the data", b"2\r\nhiX\n0\r\n\r\n"),
        ("LF CR after the data", b"2\r\nhi\n\r0\r\n\r\n"),
        ("a space after the data", b"2\r\nhi \r\n0\r\n\r\n"),
        ("CR CR LF after the last chunk", b"2\r\nhi\r\n0\r\r\n\r\n"),
        ("bare LF twice after the last chunk", b"2\r\nhi\r\n0\n\n"),
        ("two bytes for the last line", b"2\r\nhi\r\n0\r\n\x01\x02"),
        ("CR and a byte after a trailer", b"2\r\nhi\r\n0\r\nX: y\r\n\rX"),
        ("CR CR LF after a trailer", b"2\r\nhi\r\n0\r\nX: y\r\r\n\r\n"),
        ("a trailer with a tab before the colon", b"2\r\nhi\r\n0\r\nX\t: y\r\n\r\n"),
        ("a trailer with a tab in front", b"2\r\nhi\r\n0\r\n\tX: y\r\n\r\n"),
        ("a trailer with a DEL", b"2\r\nhi\r\n0\r\nX: \x7f\r\n\r\n"),
        ("a trailer whose name is not ASCII", b"2\r\nhi\r\n0\r\nX\xc3\xa9: y\r\n\r\n"),
        ("a trailer whose name is no token", b"2\r\nhi\r\n0\r\nX(Y): z\r\n\r\n"),
    ];
    let table: Vec<Row<'_>> = table.iter().map(|(name, input)| (*name, *input, BAD, Errs)).collect();
    run_all(CHUNKED, &table);
    let table: &[Row<'_>] = &[
        ("a size of 2 to the 64", b"10000000000000000\r\n", &["413"], Errs),
        ("a size of 2 to the 64 and 2", b"10000000000000002\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size of 2 to the 64 less one", b"FFFFFFFFFFFFFFFF\r\n", &["413"], Errs),
        ("a size that wraps to zero", b"FFFFFFFFFFFFFFFF0\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size that wraps below zero", b"FFFFFFFFFFFFFFFE\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size of 2 to the 63", b"8000000000000000\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("a size of 2 to the 32 and 2", b"100000002\r\nhi\r\n0\r\n\r\n", &["413"], Errs),
        ("FIN before the first chunk", b"", BAD, FinErrs),
        ("FIN within a size", b"2", BAD, FinErrs),
        ("FIN within data", b"3\r\nhi", BAD, FinErrs),
        ("FIN after data", b"2\r\nhi\r\n", BAD, FinErrs),
        ("FIN after the last chunk", b"2\r\nhi\r\n0\r\n", BAD, FinErrs),
        ("FIN before the last LF", b"2\r\nhi\r\n0\r\n\r", BAD, FinErrs),
        ("FIN within the trailers", b"2\r\nhi\r\n0\r\nX: y\r\n", BAD, FinErrs),
    ];
    run_all(CHUNKED, table);
}

#[test]
fn chunks_extensions_and_trailers_are_bounded() {
    let line = MAX_CHUNK_LINE as usize;
    let extension = |bytes: usize| format!("2;{}\r\nhi\r\n0\r\n\r\n", "a".repeat(bytes - 4)).into_bytes();
    let digits = |bytes: usize| format!("{}2\r\nhi\r\n0\r\n\r\n", "0".repeat(bytes - 3)).into_bytes();
    let trailer = |bytes: u32| format!("2\r\nhi\r\n0\r\nX:{}\r\n\r\n", "y".repeat(bytes as usize - 6)).into_bytes();
    let many = |lines: usize, value: usize| {
        let front = format!("1;{}\r\nx\r\n", "a".repeat(value)).repeat(lines);
        format!("{front}0\r\n\r\n").into_bytes()
    };
    let sizes = |count: usize| format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(count)).into_bytes();
    let all = "x".repeat(64);
    let all = format!("200 {all}");
    let table: &[Row<'_>] = &[
        ("the longest line", &extension(line), HI, Open),
        ("a line that is too long", &extension(line + 1), BAD, Errs),
        ("a line without an end", &[b'0'; 300], BAD, Errs),
        ("the longest size", &digits(line), HI, Open),
        ("a size that is too long", &digits(line + 1), BAD, Errs),
        ("the longest trailers", &trailer(MAX_TRAILERS), HI, Open),
        ("trailers that are too long", &trailer(MAX_TRAILERS + 2), &["431"], Errs),
        ("as many chunks as fit", &sizes(64), &[&all], Open),
        ("one byte too many", &sizes(65), &["413"], Errs),
        (
            "one chunk that is too large",
            &[b"41\r\n".as_slice(), &[b'x'; 65], b"\r\n0\r\n\r\n"].concat(),
            &["413"],
            Errs,
        ),
    ];
    run_all(CHUNKED, table);
    // Extensions count over the whole body.
    let mut bench = bench();
    let lines = MAX_CHUNK_EXTENSIONS as usize / 200;
    bench.send(CHUNKED).send(many(lines - 1, 190));
    assert_eq!((bench.statuses(), bench.fate()), (vec![200], Fate::Open));
    bench.restart();
    bench.send(CHUNKED).send(many(lines + 8, 198));
    assert_eq!((bench.statuses(), bench.fate()), (vec![400], Fate::Lingers));
}

#[test]
fn no_byte_before_or_after_a_chunk_size_is_ignored() {
    run_each_byte(CHUNKED, "0\r\n\r\n", |byte| match byte {
        b'0' => (&["200 "], Open),
        // The size is 16 or more: it exceeds the limit of 64, or there is too little data.
        b'1'..=b'4' => (BAD, FinErrs),
        b'5'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => (&["413"], Errs),
        _ => (BAD, Errs),
    });
    run_each_byte(&format!("{CHUNKED}2"), "\r\nhi\r\n0\r\n\r\n", |byte| match byte {
        b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => (BAD, FinErrs),
        _ => (BAD, Errs),
    });
}

/// The usual line of a chunk is parsed at once, with the same result as byte by byte. This tries all short inputs, both
/// at the start of a body and after the data of a chunk.
#[test]
fn the_usual_line_of_a_chunk_has_the_same_result_byte_by_byte() {
    const BYTES: &[u8] = b"0a\r\n;";
    for number in 0..BYTES.len().pow(6) {
        let line: Vec<u8> = (0..6).map(|at| BYTES[number / BYTES.len().pow(at) % BYTES.len()]).collect();
        compare_decoders(&line, || usize::MAX);
        let mut lens = [4].into_iter();
        compare_decoders(&[b"1\r\nx", &line[..]].concat(), || lens.next().unwrap_or(usize::MAX));
    }
}
