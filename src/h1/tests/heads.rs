//! Request lines, field lines, Host and the framing fields (RFC 9112 §2, §3, §5, §6).

use super::table::After::{Closes, Errs, FinErrs, Open};
use super::table::{Row, run};

const HELLO: &[&str] = &["200 hello"];
const BAD: &[&str] = &["400"];

#[test]
fn the_request_line() {
    let table: &[Row<'_>] = &[
        ("a plain request", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HELLO, Open),
        ("one empty line before it", b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HELLO, Open),
        ("four empty lines before it", b"\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", HELLO, Open),
        ("five empty lines before it", b"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("an empty line of a bare LF", b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("an empty line of a bare CR", b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("two spaces before the target", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("two spaces before the version", b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a tab before the target", b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a tab before the version", b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space at its end", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space at its start", b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a fourth word", b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a word behind the version", b"GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("no target", b"GET HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("an empty target", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("HTTP/0.9", b"GET /\r\n\r\n", BAD, Errs),
        ("HTTP/0.9 with a space", b"GET / \r\n\r\n", BAD, Errs),
        ("no method", b" / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a method that is no token", b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a method that is not ASCII", b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a NUL in the method", b"GE\0T / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a bare CR in the line", b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a lone CRLF is no request", b"\r\nX\r\n\r\n", BAD, Errs),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

#[test]
fn methods() {
    let table: &[Row<'_>] = &[
        ("HEAD from GET", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("lower case is another method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("mixed case", b"Get / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("an unknown method", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &["501"], Errs),
        ("CONNECT with a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("TRACE of what takes any", b"TRACE /any HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("PUT for any", b"PUT /any HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &["200 PUT"], Open),
        ("a method that no route has", b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("a path that no route has", b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404"], Open),
        ("a method of 32 bytes", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method of 33 bytes", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
    ];
    run(table);
}

#[test]
fn versions() {
    let table: &[Row<'_>] = &[
        ("HTTP/2.0 in the line", b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/3.0", b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/0.9 spelled out", b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.2", b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.9", b"GET / HTTP/1.9\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &["505"], Errs),
        ("two digits", b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", BAD, Errs),
        ("two digits in front", b"GET / HTTP/11.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("no minor version", b"GET / HTTP/1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("no minor digit", b"GET / HTTP/1.\r\nHost: a\r\n\r\n", BAD, Errs),
        ("HTTP/2 without a minor version", b"GET / HTTP/2\r\nHost: a\r\n\r\n", BAD, Errs),
        ("lower case", b"GET / http/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("another protocol", b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("RTSP", b"GET / RTSP/1.0\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a letter for a digit", b"GET / HTTP/1.x\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a comma", b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a sign", b"GET / HTTP/+1.1\r\nHost: a\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

#[test]
fn line_ends() {
    let table: &[Row<'_>] = &[
        ("bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", BAD, Errs),
        ("bare LF behind a field line", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", BAD, Errs),
        ("bare LF behind an empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", BAD, Errs),
        ("bare LF behind a value of spaces", b"GET / HTTP/1.1\r\nHost: a\r\nX:  \nY: z\r\n\r\n", BAD, Errs),
        ("bare LF for the blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", BAD, Errs),
        ("bare LF twice", b"GET / HTTP/1.1\r\nHost: a\n\n", BAD, Errs),
        ("bare LF twice behind an empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\n", BAD, Errs),
        ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", BAD, Errs),
        ("LF and then CRLF", b"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD, Errs),
        (
            "CRLF and then a bare LF hides a request",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\nGET /any HTTP/1.1\r\nHost: a\r\n\r\n",
            BAD,
            Errs,
        ),
        ("bare CR behind the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", BAD, Errs),
        ("bare CR within a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BAD, Errs),
        ("CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BAD, Errs),
        ("LF CR", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

#[test]
fn field_lines() {
    let table: &[Row<'_>] = &[
        ("no space behind the colon", b"GET / HTTP/1.1\r\nHost:a\r\nX:y\r\n\r\n", HELLO, Open),
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
    ];
    run(table);
}

#[test]
fn host() {
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
        ("IPv6 that is none", b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", BAD, Errs),
        ("IPv6 without an end", b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", BAD, Errs),
        ("bytes behind IPv6", b"GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", BAD, Errs),
        ("a bad percent triplet", b"GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

#[test]
fn persistence() {
    let table: &[Row<'_>] = &[
        ("1.1 stays", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", HELLO, Open),
        ("1.1 with close", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", HELLO, Closes),
        ("close in any case", b"GET / HTTP/1.1\r\nHost: a\r\nCONNECTION: CLOSE\r\n\r\n", HELLO, Closes),
        ("close in a list", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x ,\tclose, y\r\n\r\n", HELLO, Closes),
        (
            "close in a second line",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
            HELLO,
            Closes,
        ),
        (
            "close beats keep-alive",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
            HELLO,
            Closes,
        ),
        ("another option", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed, xclose\r\n\r\n", HELLO, Open),
        ("an empty list", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: , ,\r\n\r\n", HELLO, Open),
        ("1.0 closes", b"GET / HTTP/1.0\r\n\r\n", HELLO, Closes),
        ("1.0 with keep-alive", b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", HELLO, Open),
        ("1.0 with both", b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", HELLO, Closes),
        ("1.0 with Keep-Alive alone", b"GET / HTTP/1.0\r\nKeep-Alive: timeout=5\r\n\r\n", HELLO, Closes),
        ("a 404 with close", b"GET /nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &["404"], Closes),
        ("1.0 and a 404", b"GET /nowhere HTTP/1.0\r\n\r\n", &["404"], Closes),
        (
            "an Upgrade that nobody handles",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "close with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Closes,
        ),
    ];
    run(table);
}

#[test]
fn fin_within_a_head() {
    let table: &[Row<'_>] = &[
        ("in the method", b"GE", BAD, FinErrs),
        ("in the target", b"GET /us", BAD, FinErrs),
        ("in the version", b"GET / HTTP/1", BAD, FinErrs),
        ("behind the request line", b"GET / HTTP/1.1\r\n", BAD, FinErrs),
        ("in a name", b"GET / HTTP/1.1\r\nHos", BAD, FinErrs),
        ("in a value", b"GET / HTTP/1.1\r\nHost: a", BAD, FinErrs),
        ("behind a field line", b"GET / HTTP/1.1\r\nHost: a\r\n", BAD, FinErrs),
        ("before the last LF", b"GET / HTTP/1.1\r\nHost: a\r\n\r", BAD, FinErrs),
        ("in a version that is not ours", b"GET / HTTP/2", BAD, FinErrs),
        ("behind an empty line", b"\r\nGET", BAD, FinErrs),
    ];
    run(table);
}
