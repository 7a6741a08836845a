//! One byte of a head, replaced by each of the 256 bytes.

use super::bench::{Bench, Fate, small};
use super::heads::{BAD, HELLO};
use super::table::After::{self, Closes, Errs, FinErrs, Open};

/// Sends a request for each of the 256 bytes, put between `front` and `back`; `outcome` says what becomes of it.
///
/// Each request is sent whole and byte by byte, with another request after it. The tables try the other ways in which
/// bytes can come.
#[track_caller]
pub(super) fn run_each_byte<'a>(front: &str, back: &str, outcome: impl Fn(u8) -> (&'a [&'a str], After)) {
    const NEXT: &[u8] = b"GET /users/1 HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut bench = Bench::new(small());
    for byte in 0..=255 {
        let input = [front.as_bytes(), &[byte], back.as_bytes()].concat();
        let (replies, after) = outcome(byte);
        let mut wanted = replies.to_vec();
        wanted.extend((after == Open).then_some("200 user 1"));
        for step in [1, input.len()] {
            input.chunks(step).for_each(|piece| {
                bench.send(piece);
            });
            match after {
                FinErrs => bench.fin(),
                _ => bench.send(NEXT),
            };
            let got: Vec<String> =
                bench.replies().iter().map(|reply| format!("{} {}", reply.status, reply.text())).collect();
            let same = |(got, wanted): (&String, &&str)| got == wanted || got.split_once(' ').unwrap().0 == *wanted;
            let same = got.len() == wanted.len() && got.iter().zip(&wanted).all(same);
            assert!(same, "byte {byte:#04x} in steps of {step}: wanted {wanted:?}, got {got:?}");
            let fate = match after {
                Open => Fate::Open,
                FinErrs => Fate::Closed,
                Closes | Errs => Fate::Lingers,
            };
            assert_eq!(bench.fate(), fate, "byte {byte:#04x} in steps of {step}");
            bench.restart();
        }
    }
}

/// RFC 9110 §5.6.2, written down again for this test.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[test]
fn a_method_contains_only_token_bytes() {
    let outcome = |byte| if is_token(byte) { (&["501"][..], Errs) } else { (BAD, Errs) };
    run_each_byte("X", "Y / HTTP/1.1\r\nHost: a\r\n\r\n", outcome);
}

#[test]
fn a_field_name_contains_only_token_bytes() {
    // A colon ends the name early, and the rest is the value.
    let outcome = |byte| if is_token(byte) || byte == b':' { (HELLO, Open) } else { (BAD, Errs) };
    run_each_byte("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: z\r\n\r\n", outcome);
}

#[test]
fn a_field_value_contains_no_control_bytes() {
    let outcome = |byte| match byte {
        b'\t' | b' '..=b'~' | 0x80..=0xff => (HELLO, Open),
        _ => (BAD, Errs),
    };
    run_each_byte("GET / HTTP/1.1\r\nHost: a\r\nX: y", "z\r\n\r\n", outcome);
}

#[test]
fn a_host_contains_only_the_bytes_of_an_authority() {
    let outcome = |byte: u8| match byte {
        b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'=' => {
            (HELLO, Open)
        }
        _ if byte.is_ascii_alphanumeric() => (HELLO, Open),
        _ => (BAD, Errs),
    };
    run_each_byte("GET / HTTP/1.1\r\nHost: a", "b\r\n\r\n", outcome);
}

#[test]
fn no_byte_may_follow_the_version() {
    run_each_byte("GET / HTTP/1.1", "\r\nHost: a\r\n\r\n", |_| (BAD, Errs));
}

/// No byte before, within or after a field name turns it into a framing field. No byte hides a framing field either:
/// the field is another one, or the message is refused.
#[test]
fn no_byte_hides_or_makes_a_framing_field() {
    const END: &str = "Content-Length: 12\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let outcome = |byte| if is_token(byte) { (&["200 2\r\nhi\r\n0\r\n\r\n"][..], Open) } else { (BAD, Errs) };
    let front = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    run_each_byte(&format!("{front}Transfer-Encoding"), &format!(": chunked\r\n{END}"), outcome);
    run_each_byte(front, &format!("Transfer-Encoding: chunked\r\n{END}"), outcome);
    let outcome = |byte| match byte {
        // It is the framing field, and the request has a length too.
        b'-' => (BAD, Errs),
        // It is the field `Transfer`.
        b':' => outcome(b'x'),
        _ => outcome(byte),
    };
    run_each_byte(&format!("{front}Transfer"), &format!("Encoding: chunked\r\n{END}"), outcome);
}

/// Only white space and the comma of an empty list member may come before or after `chunked`.
#[test]
fn only_white_space_and_commas_may_surround_a_transfer_coding() {
    const END: &str = "\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let outcome = |byte| if matches!(byte, b' ' | b'\t' | b',') { (&["200 hi"][..], Open) } else { (BAD, Errs) };
    let front = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:";
    run_each_byte(front, &format!("chunked{END}"), outcome);
    run_each_byte(&format!("{front} chunked"), END, outcome);
}

/// A digit changes the length; any other byte is refused, except white space.
#[test]
fn only_white_space_may_surround_a_content_length() {
    const END: &str = "\r\n\r\n0123456789";
    let front = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length:";
    let all = &["200 0123456789"][..];
    run_each_byte(front, &format!("10{END}"), |byte| match byte {
        b' ' | b'\t' | b'0' => (all, Open),
        b'1'..=b'9' => (&["413"], Errs),
        _ => (BAD, Errs),
    });
    run_each_byte(&format!("{front} 10"), END, |byte| match byte {
        b' ' | b'\t' => (all, Open),
        b'0'..=b'9' => (&["413"], Errs),
        _ => (BAD, Errs),
    });
}
