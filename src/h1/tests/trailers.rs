//! Trailer sections as a handler sees them (RFC 9110 §6.5, RFC 9112 §7.1.2).

use super::table::After::{Errs, Open};
use super::table::{Row, run};

/// A chunked request with these `trailers` and the blank line after its last chunk.
fn with(trailers: &str) -> Vec<u8> {
    format!("POST /trailers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n{trailers}\r\n")
        .into_bytes()
}

#[test]
fn a_handler_sees_the_trailers_as_they_came() {
    let table: &[Row<'_>] = &[
        ("none", &with(""), &["200 "], Open),
        ("one", &with("X: y\r\n"), &["200 X=y"], Open),
        ("some, in order, as they came", &with("B: 1\r\na: 2\r\nb: 3\r\n"), &["200 B=1&a=2&b=3"], Open),
        ("white space around a value", &with("X: \t y z \t\r\n"), &["200 X=y z"], Open),
        ("none around a value", &with("X:y\r\n"), &["200 X=y"], Open),
        ("empty values", &with("X:\r\nY: \r\n"), &["200 X=&Y="], Open),
        ("colons in a value", &with("X: a:b\r\n"), &["200 X=a:b"], Open),
        ("bytes that are not ASCII", &with("X: \u{e9}\r\n"), &["200 X=\\xc3\\xa9"], Open),
        ("a name of every token byte", &with("!#$%&'*+-.^_`|~09azAZ: x\r\n"), &["200 !#$%&'*+-.^_`|~09azAZ=x"], Open),
    ];
    run(table);
}

#[test]
fn framing_and_routing_fields_in_trailers_are_ignored() {
    let table: &[Row<'_>] = &[
        ("a length", &with("Content-Length: 5\r\n"), &["200 "], Open),
        ("an invalid length", &with("Content-Length: -5\r\nX: y\r\n"), &["200 X=y"], Open),
        ("a coding", &with("transfer-encoding: chunked\r\n"), &["200 "], Open),
        ("a host", &with("Host: b\r\nHost: c\r\n"), &["200 "], Open),
        ("close", &with("Connection: close\r\n"), &["200 "], Open),
        ("an expectation", &with("Expect: 100-continue\r\nX: y\r\n"), &["200 X=y"], Open),
        ("a type", &with("Content-Type: text/html\r\n"), &["200 "], Open),
        ("credentials", &with("Authorization: Basic YTpi\r\nCookie: a=b\r\n"), &["200 "], Open),
    ];
    run(table);
}

#[test]
fn broken_trailer_sections_are_refused() {
    let table: &[Row<'_>] = &[
        ("no colon", &with("X\r\n"), &["400"], Errs),
        ("no name", &with(": y\r\n"), &["400"], Errs),
        ("a space before the colon", &with("X : y\r\n"), &["400"], Errs),
        ("a fold", &with("X: y\r\n z\r\n"), &["400"], Errs),
        ("a bare LF", &with("X: y\n"), &["400"], Errs),
        ("a bare CR", &with("X: y\rZ\r\n"), &["400"], Errs),
        ("a NUL", &with("X: \0\r\n"), &["400"], Errs),
        ("a request line", &with("GET / HTTP/1.1\r\n"), &["400"], Errs),
    ];
    run(table);
}
