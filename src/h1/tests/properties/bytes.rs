//! Many kinds of bytes: random ones, and ones that are nearly a head, a chunked body or a target.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::fuzzing::{self, Random, mutate};
use super::valid::{any_target, bytes_of, one_of, valid_chunks, valid_request, valid_stream};

/// Random bytes and words of HTTP, in any order.
pub(super) fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(select(fuzzing::WORDS.to_vec()), 0..20).prop_map(|words| words.concat());
    prop_oneof![1 => vec(any::<u8>(), 0..200), 2 => words]
}

/// The bytes after a few random changes, or none. Each number is one change, so a case with fewer of them is smaller.
pub(super) fn nearly(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    (bytes, vec(any::<u64>(), 0..5)).prop_map(|(mut bytes, changes)| {
        changes.iter().for_each(|change| mutate(&mut bytes, &mut Random::of(&change.to_le_bytes())));
        bytes
    })
}

pub(super) fn broken_stream() -> impl Strategy<Value = Vec<u8>> {
    nearly(valid_stream().prop_map(|stream| bytes_of(&stream)))
}

pub(super) fn any_head() -> impl Strategy<Value = Vec<u8>> {
    valid_request().prop_map(|request| request.head())
}

/// A head that the quick reading takes. Its names and values have any length, so each byte can be anywhere in a word.
pub(super) fn ordinary_head() -> impl Strategy<Value = Vec<u8>> {
    let line = ("[!#-'*+.0-9A-Z^-z|~-]{1,20}", "[ -~]{0,40}").prop_map(|(name, value)| format!("{name}:{value}\r\n"));
    ("[a-z0-9/._-]{0,20}", vec(line, 0..8)).prop_map(|(path, lines)| {
        format!("GET /{path}?a=%20 HTTP/1.1\r\nHost: a:1\r\n{}\r\n", lines.concat()).into_bytes()
    })
}

/// The few fields that concern the server, in combinations that may make no sense.
pub(super) fn head_of_odd_lines() -> impl Strategy<Value = Vec<u8>> {
    let lengths = one_of(&["0", "2", "02", "+2", "2,2", "18446744073709551615", "18446744073709551616", "", " 2\t"]);
    let coding = one_of(&["chunked", "Chunked", "identity", "gzip", "", "chunked;q=1", "x y", "\tchunked "]);
    let option = one_of(&["close", "Keep-Alive", "upgrade", "", " close\t", "closed"]);
    let expectation =
        one_of(&["100-continue", "100-Continue", "200-ok", "", ",", ", 100-continue,", "100-continue, x"]);
    let line = prop_oneof![
        2 => lengths.prop_map(|value| format!("Content-Length:{value}\r\n")),
        2 => vec(coding, 1..3).prop_map(|codings| format!("Transfer-Encoding: {}\r\n", codings.join(","))),
        1 => vec(option, 1..3).prop_map(|options| format!("connection: {}\r\n", options.join(","))),
        1 => expectation.prop_map(|value| format!("Expect: {value} \r\n")),
        1 => one_of(&["b", "b:1", "a,b", "", "[::1]", "u@b"]).prop_map(|host| format!("Host: {host}\r\n")),
    ];
    let first = one_of(&["GET / HTTP/1.1\r\nHost: a\r\n", "POST / HTTP/1.1\r\n", "PUT http://b HTTP/1.0\r\n"]);
    (first, vec(line, 0..5)).prop_map(|(first, lines)| (first + &lines.concat() + "\r\n").into_bytes())
}

pub(super) fn any_chunks() -> impl Strategy<Value = Vec<u8>> {
    valid_chunks().prop_map(|body| body.bytes())
}

/// Parts of size lines, and data, in any order. Many begin well.
pub(super) fn size_lines() -> impl Strategy<Value = Vec<u8>> {
    const WORDS: [&[u8]; 20] = [
        b"\r\n",
        b"\r\n",
        b"3\r\nxyz\r\n",
        b"1\r\nx",
        b"A\r\n0123456789",
        b"0\r\n",
        b"\r",
        b"\n",
        b"0",
        b"1",
        b"c",
        b"D",
        b"g",
        b"00000000",
        b"0000000",
        b"fffffff",
        b"ffffffffffffffff",
        b";a=b",
        b" ",
        b"X: y\r\n",
    ];
    vec(select(WORDS.to_vec()), 0..12).prop_map(|words| words.concat())
}

pub(super) fn any_target_text() -> impl Strategy<Value = Vec<u8>> {
    let words = vec(
        prop_oneof![
            one_of(&[
                "/", "%", "%2F", "%00", "%c3%a9", "%C3", "?", "#", "*", "http://", "HTTPS://", ":", "a", "[::1]", "@",
                "&", "=", "+"
            ]),
            "[ -~]{0,3}",
        ],
        0..8,
    );
    let words = (one_of(&["", "/", "/?", "http://a"]), words).prop_map(|(front, words)| front + &words.concat());
    prop_oneof![any_target().prop_map(|target| target.text().into_bytes()), words.prop_map(String::into_bytes)]
}
