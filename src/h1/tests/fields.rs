//! Field lines, Host, and the fields that change nothing (RFC 9112 §3.2, §5; RFC 9110 §5, §7.8).

use super::heads::{BAD, HELLO};
use super::table::After::{Closes, Errs, Open};
use super::table::{Row, run};

#[test]
fn a_field_line_keeps_to_its_grammar() {
    let table: &[Row<'_>] = &[
        ("no space after the colon", b"GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n", HELLO, Open),
        ("much space around a value", b"GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", HELLO, Open),
        ("an empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \r\n\r\n", HELLO, Open),
        ("a name in any case", b"GET / HTTP/1.1\r\nhOsT: a\r\n\r\n", HELLO, Open),
        ("a name of every token byte", b"GET / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n", HELLO, Open),
        ("bytes above 0x7f in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\x80\xc3\xa9\r\n\r\n", HELLO, Open),
        ("a tab in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\r\n\r\n", HELLO, Open),
        ("a colon in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a:b: c\r\n\r\n", HELLO, Open),
        ("a fold by a space", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", BAD, Errs),
        ("a fold by a tab", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n", BAD, Errs),
        (
            "a folded framing field",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("a space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", BAD, Errs),
        ("a tab before the first field", b"GET / HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a line of a space", b"GET / HTTP/1.1\r\nHost: a\r\n \r\n\r\n", BAD, Errs),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", BAD, Errs),
        ("a tab before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\t: y\r\n\r\n", BAD, Errs),
        (
            "a space before the colon of a length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\nx",
            BAD,
            Errs,
        ),
        ("no colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", BAD, Errs),
        ("no name", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", BAD, Errs),
        ("a space in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n", BAD, Errs),
        ("a name that is no token", b"GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n", BAD, Errs),
        ("a slash in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX/Y: z\r\n\r\n", BAD, Errs),
        ("a name that is not ASCII", b"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xa9: z\r\n\r\n", BAD, Errs),
        ("a NUL in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\0Y: z\r\n\r\n", BAD, Errs),
        ("a NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", BAD, Errs),
        ("a DEL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n", BAD, Errs),
        ("a control byte in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n", BAD, Errs),
        ("an escape in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x1bb\r\n\r\n", BAD, Errs),
        (
            "a vertical tab for space",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("a fold of the first line", b"GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a fold of Host", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", BAD, Errs),
        ("a fold of nothing but spaces", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n  \r\n\r\n", BAD, Errs),
        ("a fold after a bare LF", b"GET / HTTP/1.1\r\nHost: a\r\nX:\n a\r\n\r\n", BAD, Errs),
        ("a blank line before the first field, with a space", b"GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", BAD, Errs),
        ("a tab before a length", b"POST /echo HTTP/1.1\r\n\tContent-Length: 1\r\nHost: a\r\n\r\nx", BAD, Errs),
        ("several spaces before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX  : y\r\n\r\n", BAD, Errs),
        ("a tab on both sides of the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX\t:\ty\r\n\r\n", BAD, Errs),
        ("a word before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n", BAD, Errs),
        ("a space for the colon", b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length 1\r\n\r\nx", BAD, Errs),
        ("a colon alone", b"GET / HTTP/1.1\r\nHost: a\r\n:\r\nX: y\r\n\r\n", BAD, Errs),
        ("a colon in front", b"GET / HTTP/1.1\r\nHost: a\r\n:X: y\r\n\r\n", BAD, Errs),
        (
            "a name over two lines",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-\r\nEncoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        ("a bare CR in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\rY: z\r\n\r\n", BAD, Errs),
        ("a bare LF in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\nY: z\r\n\r\n", BAD, Errs),
        ("brackets in a name", b"GET / HTTP/1.1\r\nHost: a\r\nX[Y]: z\r\n\r\n", BAD, Errs),
        ("NEL after a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\x85: z\r\n\r\n", BAD, Errs),
        ("a NUL at the end of a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\0\r\n\r\n", BAD, Errs),
        ("a NUL for a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", BAD, Errs),
        ("a NUL in Host", b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n", BAD, Errs),
        ("a bell in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x07b\r\n\r\n", BAD, Errs),
        ("a lone quote in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \"y\r\n\r\n", HELLO, Open),
        (
            "a quote does not reach over a line",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: \"\r\nConnection: close\r\nY: \"\r\n\r\n",
            HELLO,
            Closes,
        ),
        (
            "a quote does not reach over the end of the head",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: \"\r\n\r\n\"\r\n\r\n",
            &["200 hello", "400"],
            Errs,
        ),
        ("CR, NUL and LF", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\0\nY: z\r\n\r\n", BAD, Errs),
        (
            "no colon, and a length after it",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX\r\nContent-Length: 1\r\n\r\nx",
            BAD,
            Errs,
        ),
        (
            "no colon and no value before a length",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX Y: \r\nContent-Length: 1\r\n\r\nx",
            BAD,
            Errs,
        ),
    ];
    run(table);
}

#[test]
fn a_request_has_exactly_one_valid_host() {
    let table: &[Row<'_>] = &[
        ("an empty port", b"GET /host HTTP/1.1\r\nHost: localhost:\r\n\r\n", &["200 localhost:"], Open),
        ("IPv6 and a port", b"GET /host HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", &["200 [::1]:80"], Open),
        ("IPv4 and a port", b"GET /host HTTP/1.1\r\nHost: 127.0.0.1:65535\r\n\r\n", &["200 127.0.0.1:65535"], Open),
        ("not the first field", b"GET /host HTTP/1.1\r\nX: y\r\nHost: b\r\n\r\n", &["200 b"], Open),
        ("none in 1.0", b"GET /host HTTP/1.0\r\n\r\n", &["200 none"], Closes),
        ("one in 1.0", b"GET /host HTTP/1.0\r\nHost: a\r\n\r\n", &["200 a"], Closes),
        ("none in 1.1", b"GET / HTTP/1.1\r\n\r\n", BAD, Errs),
        ("none but other fields", b"GET / HTTP/1.1\r\nX: y\r\n\r\n", BAD, Errs),
        ("two", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", BAD, Errs),
        ("two that are equal", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", BAD, Errs),
        ("two in any case", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nhost: a\r\n\r\n", BAD, Errs),
        ("two in 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", BAD, Errs),
        ("empty", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", BAD, Errs),
        ("empty and a second one", b"GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", BAD, Errs),
        ("bad in 1.0 too", b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n", BAD, Errs),
        ("userinfo", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", BAD, Errs),
        ("userinfo and password", b"GET / HTTP/1.1\r\nHost: u:p@a\r\n\r\n", BAD, Errs),
        ("a path", b"GET / HTTP/1.1\r\nHost: a/\r\n\r\n", BAD, Errs),
        ("a query", b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", BAD, Errs),
        ("a fragment", b"GET / HTTP/1.1\r\nHost: a#b\r\n\r\n", BAD, Errs),
        ("a scheme", b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", BAD, Errs),
        ("a list", b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", BAD, Errs),
        ("a space", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", BAD, Errs),
        ("a tab", b"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", BAD, Errs),
        ("not ASCII", b"GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", BAD, Errs),
        ("a backslash", b"GET / HTTP/1.1\r\nHost: a\\b\r\n\r\n", BAD, Errs),
        ("a port that is no number", b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", BAD, Errs),
        ("a port with a sign", b"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", BAD, Errs),
        ("a port that is too large", b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", BAD, Errs),
        ("two ports", b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", BAD, Errs),
        ("a port alone", b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", BAD, Errs),
        ("IPv6 without brackets", b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", BAD, Errs),
        ("an invalid IPv6 address", b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", BAD, Errs),
        ("IPv6 without an end", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", BAD, Errs),
        ("bytes after IPv6", b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", BAD, Errs),
        ("a bad percent triplet", b"GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", BAD, Errs),
        ("a trailing dot", b"GET /host HTTP/1.1\r\nHost: a.\r\n\r\n", &["200 a."], Open),
        ("capitals stay", b"GET /host HTTP/1.1\r\nHost: EXAMPLE.com\r\n\r\n", &["200 EXAMPLE.com"], Open),
        ("a percent triplet", b"GET /host HTTP/1.1\r\nHost: a%20b\r\n\r\n", &["200 a%20b"], Open),
        ("an underscore", b"GET /host HTTP/1.1\r\nHost: a_b\r\n\r\n", &["200 a_b"], Open),
        ("sub-delims", b"GET /host HTTP/1.1\r\nHost: !$&'()*+;=\r\n\r\n", &["200 !$&'()*+;="], Open),
        (
            "an IPv4 address in an IPv6 one",
            b"GET /host HTTP/1.1\r\nHost: [::ffff:192.0.2.1]\r\n\r\n",
            &["200 [::ffff:192.0.2.1]"],
            Open,
        ),
        ("IPv6 and an empty port", b"GET /host HTTP/1.1\r\nHost: [::1]:\r\n\r\n", &["200 [::1]:"], Open),
        ("port 0", b"GET /host HTTP/1.1\r\nHost: a:0\r\n\r\n", &["200 a:0"], Open),
        ("zeros before a port", b"GET /host HTTP/1.1\r\nHost: a:00080\r\n\r\n", &["200 a:00080"], Open),
        ("nothing but spaces", b"GET / HTTP/1.1\r\nHost: \t \r\n\r\n", BAD, Errs),
        ("empty in 1.0", b"GET / HTTP/1.0\r\nHost:\r\n\r\n", BAD, Errs),
        ("one and an empty second one", b"GET / HTTP/1.1\r\nHost: a\r\nHost:\r\n\r\n", BAD, Errs),
        ("three", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nHost: c\r\n\r\n", BAD, Errs),
        ("a second one with a space before the colon", b"GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n", BAD, Errs),
        ("a name with an underscore is another", b"GET / HTTP/1.1\r\nHost_: a\r\n\r\n", BAD, Errs),
        ("empty userinfo", b"GET / HTTP/1.1\r\nHost: @a\r\n\r\n", BAD, Errs),
        ("a path after a port", b"GET / HTTP/1.1\r\nHost: a:80/b\r\n\r\n", BAD, Errs),
        ("a query without a path", b"GET / HTTP/1.1\r\nHost: a:80?b\r\n\r\n", BAD, Errs),
        ("a list without a space", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", BAD, Errs),
        ("a list of equals", b"GET / HTTP/1.1\r\nHost: a, a\r\n\r\n", BAD, Errs),
        ("an empty list member", b"GET / HTTP/1.1\r\nHost: a,\r\n\r\n", BAD, Errs),
        ("a space after the host's colon", b"GET / HTTP/1.1\r\nHost: a: 80\r\n\r\n", BAD, Errs),
        ("a hexadecimal port", b"GET / HTTP/1.1\r\nHost: a:0x50\r\n\r\n", BAD, Errs),
        ("a port with a minus sign", b"GET / HTTP/1.1\r\nHost: a:-1\r\n\r\n", BAD, Errs),
        ("a port that overflows", b"GET / HTTP/1.1\r\nHost: a:4294967376\r\n\r\n", BAD, Errs),
        ("a port of another script", b"GET / HTTP/1.1\r\nHost: a:\xd9\xa8\r\n\r\n", BAD, Errs),
        ("IPv4 in brackets", b"GET / HTTP/1.1\r\nHost: [192.0.2.1]\r\n\r\n", BAD, Errs),
        ("IPv6 with a zone", b"GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", BAD, Errs),
        ("an address of the future", b"GET / HTTP/1.1\r\nHost: [v1.a]\r\n\r\n", BAD, Errs),
        ("empty brackets", b"GET / HTTP/1.1\r\nHost: []\r\n\r\n", BAD, Errs),
        ("a closing bracket alone", b"GET / HTTP/1.1\r\nHost: a]\r\n\r\n", BAD, Errs),
        ("IPv6 of too many groups", b"GET / HTTP/1.1\r\nHost: [1:2:3:4:5:6:7:8:9]\r\n\r\n", BAD, Errs),
        ("IPv6 and a bad port", b"GET / HTTP/1.1\r\nHost: [::1]:x\r\n\r\n", BAD, Errs),
        ("an invalid percent triplet", b"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", BAD, Errs),
        ("quotes", b"GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

/// A client offers another protocol. A server that does not support it answers as if the offer were not there (RFC 9110
/// §7.8).
#[test]
fn an_upgrade_without_a_handler_is_ignored() {
    let table: &[Row<'_>] = &[
        (
            "to WebSocket",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "to WebSocket of a version that does not exist",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "to WebSocket by POST",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        (
            "to HTTP/2, with its settings",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
            HTTP2-Settings: AAMAAABk\r\n\r\n",
            HELLO,
            Open,
        ),
        ("without Connection", b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", HELLO, Open),
        ("Connection without Upgrade", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n", HELLO, Open),
        ("an empty one", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade:\r\n\r\n", HELLO, Open),
        (
            "a list of offers",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: tea/1.0, websocket\r\n\r\n",
            HELLO,
            Open,
        ),
        ("on 1.0", b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", HELLO, Closes),
        (
            "on 1.0 with keep-alive",
            b"GET / HTTP/1.0\r\nConnection: upgrade, keep-alive\r\nUpgrade: websocket\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "of the last request",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: websocket\r\n\r\n",
            HELLO,
            Closes,
        ),
        (
            "with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\
            Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["200 hi"],
            Open,
        ),
        (
            "of no path",
            b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            &["404"],
            Open,
        ),
    ];
    run(table);
}

/// These fields concern the application. Whatever their values are, the message is framed as if they were not there.
#[test]
fn fields_for_the_application_do_not_change_the_framing() {
    let table: &[Row<'_>] = &[
        ("a range", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", HELLO, Open),
        ("an invalid range", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=a-b\r\n\r\n", HELLO, Open),
        ("a range of another unit", b"GET / HTTP/1.1\r\nHost: a\r\nRange: pages=1-2\r\n\r\n", HELLO, Open),
        (
            "a range with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        ("many ranges", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-,0-,0-,0-,0-,0-,0-,0-\r\n\r\n", HELLO, Open),
        ("an unknown type", b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/x-tea\r\n\r\n", HELLO, Open),
        ("an invalid date", b"GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: yesterday\r\n\r\n", HELLO, Open),
        ("TE", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers, chunked;q=0\r\n\r\n", HELLO, Open),
        ("Max-Forwards", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", &["204 "], Open),
        (
            "cookies that break their grammar",
            b"GET / HTTP/1.1\r\nHost: a\r\nCookie: ===;;;\r\nCookie: a=b\r\nCookie:\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "two types of content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/a\r\nContent-Type: text/b\r\n\
            Content-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        (
            "a content coding is no transfer coding",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        (
            "a trailer that is announced and does not come",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            &["200 hi"],
            Open,
        ),
        (
            "fields of a proxy",
            b"GET /host HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: b\r\nForwarded: host=c\r\n\r\n",
            &["200 a"],
            Open,
        ),
        (
            "another target in a field",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Original-URL: /nowhere\r\nX-Rewrite-URL: /nowhere\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "another method in a field",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\n\r\n",
            HELLO,
            Open,
        ),
    ];
    run(table);
}
