//! Request lines, line ends, persistence, and heads that end too early (RFC 9112 §2, §3, §9).

use super::table::After::{Closes, Errs, FinErrs, Open};
use super::table::{Row, run};

pub(super) const HELLO: &[&str] = &["200 hello"];
pub(super) const BAD: &[&str] = &["400"];

#[test]
fn one_space_separates_the_three_words_of_a_request_line() {
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
        ("a word after the version", b"GET / HTTP/1.1 x\r\nHost: a\r\n\r\n", BAD, Errs),
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
        ("a line feed for each space", b"GET\n/\nHTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a line feed before the version", b"GET /\nHTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a CR before the target", b"GET\r/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a vertical tab before the target", b"GET\x0b/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a form feed before the version", b"GET /\x0cHTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space and a tab before the target", b"GET \t/ HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a tab at its end", b"GET / HTTP/1.1\t\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a tab at its start", b"\tGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a NUL at its start", b"\0GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a NUL at its end", b"GET / HTTP/1.1\0\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a NUL after the method", b"GET\0 / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a byte order mark at its start", b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a colon after the method", b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a method in quotes", b"\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("words before the method", b"one two GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("nothing but spaces", b"   \r\n\r\n", BAD, Errs),
        ("a method and nothing else", b"GET\r\n\r\n", BAD, Errs),
        ("a method, a space and nothing else", b"GET \r\n\r\n", BAD, Errs),
        ("a blank line after it ends the head", b"GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n", BAD, Errs),
        (
            "a blank line within the field lines ends the head",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nX: y\r\n\r\n",
            &["200 hello", "400"],
            Errs,
        ),
        ("a reply", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", BAD, Errs),
        (
            "a line of the PROXY protocol",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            BAD,
            Errs,
        ),
        ("SSH", b"SSH-2.0-x\r\n\r\n", BAD, Errs),
        ("SOCKS", b"\x05\x01\x00\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

#[test]
fn a_method_is_a_known_token_in_its_exact_case() {
    let table: &[Row<'_>] = &[
        ("HEAD from GET", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("lower case is another method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("mixed case", b"Get / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("an unknown method", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method that begins like HEAD", b"HEADS / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &["501"], Errs),
        ("CONNECT with a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("TRACE for a route of any method", b"TRACE /any HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("PUT for any", b"PUT /any HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &["200 PUT"], Open),
        ("a method that no route has", b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("a path that no route has", b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404"], Open),
        ("a method of 32 bytes", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method of 33 bytes", b"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("HEAD in lower case", b"head / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("the front of a known method", b"GE / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a known method and a letter", b"GETX / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a hyphen in front", b"-GET / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a digit", b"0 / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("every token byte", b"!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method of WebDAV", b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method of UPnP", b"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method of caches", b"PURGE / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("PRI on 1.1", b"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("an unknown method with content", b"BREW / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", &["501"], Errs),
        ("CONNECT with an absolute target", b"CONNECT http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("CONNECT on 1.0", b"CONNECT a:80 HTTP/1.0\r\n\r\n", &["501"], Errs),
        ("TRACE on 1.0", b"TRACE / HTTP/1.0\r\n\r\n", &["405"], Closes),
        ("TRACE of no path", b"TRACE /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("DELETE for any", b"DELETE /any HTTP/1.1\r\nHost: a\r\n\r\n", &["200 DELETE"], Open),
        ("PATCH for any", b"PATCH /any HTTP/1.1\r\nHost: a\r\n\r\n", &["200 PATCH"], Open),
    ];
    run(table);
}

#[test]
fn only_versions_1_0_and_1_1_are_served() {
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
        ("HTTP/1.3", b"GET / HTTP/1.3\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.4", b"GET / HTTP/1.4\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.5", b"GET / HTTP/1.5\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.6", b"GET / HTTP/1.6\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.7", b"GET / HTTP/1.7\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/1.8", b"GET / HTTP/1.8\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("HTTP/0.0", b"GET / HTTP/0.0\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("another version to HEAD", b"HEAD / HTTP/2.0\r\nHost: a\r\n\r\n", &["505"], Errs),
        ("two digits whose front is ours", b"GET / HTTP/1.01\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a leading zero", b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("2 to the 32 and 1", b"GET / HTTP/4294967297.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("no major digit", b"GET / HTTP/.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("no digits", b"GET / HTTP/\r\nHost: a\r\n\r\n", BAD, Errs),
        ("no slash", b"GET / HTTP1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a backslash", b"GET / HTTP\\1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space after the slash", b"GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space before the slash", b"GET / HTTP /1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space before the dot", b"GET / HTTP/1 .1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("bare CRs within", b"GET / HTTP/\r\r1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a byte after it", b"GET / HTTP/1.1a\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a byte in front of it", b"GET / IHTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("capitals and small letters", b"GET / Http/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a digit of another script", b"GET / HTTP/\xd9\xa1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a minus sign", b"GET / HTTP/1.-1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("FTP", b"GET / FTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("ICE", b"GET / ICE/1.0\r\nHost: a\r\n\r\n", BAD, Errs),
    ];
    run(table);
}

#[test]
fn only_crlf_ends_a_line() {
    let table: &[Row<'_>] = &[
        ("bare LF after the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", BAD, Errs),
        ("bare LF after a field line", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", BAD, Errs),
        ("bare LF after an empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\r\n", BAD, Errs),
        ("bare LF after a value of spaces", b"GET / HTTP/1.1\r\nHost: a\r\nX:  \nY: z\r\n\r\n", BAD, Errs),
        ("bare LF for the blank line", b"GET / HTTP/1.1\r\nHost: a\r\n\n", BAD, Errs),
        ("bare LF twice", b"GET / HTTP/1.1\r\nHost: a\n\n", BAD, Errs),
        ("bare LF twice after an empty value", b"GET / HTTP/1.1\r\nHost: a\r\nX:\n\n", BAD, Errs),
        ("bare LF everywhere", b"GET / HTTP/1.1\nHost: a\n\n", BAD, Errs),
        ("LF and then CRLF", b"GET / HTTP/1.1\r\nHost: a\n\r\n", BAD, Errs),
        (
            "CRLF and then a bare LF hides a request",
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\nGET /any HTTP/1.1\r\nHost: a\r\n\r\n",
            BAD,
            Errs,
        ),
        ("bare CR after the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", BAD, Errs),
        ("bare CR within a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", BAD, Errs),
        ("CR CR LF", b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", BAD, Errs),
        ("LF CR", b"GET / HTTP/1.1\n\rHost: a\n\r\n\r\r\n\r\n", BAD, Errs),
        ("CRLF, CR and a byte", b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", BAD, Errs),
        ("CRLF CR CRLF", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", BAD, Errs),
        ("a NUL for the CR", b"GET / HTTP/1.1\r\nHost: a\0\n\r\n", BAD, Errs),
        ("a form feed for a line end", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x0cY: z\r\n\r\n", BAD, Errs),
        ("NEL ends no line", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x85Content-Length: 5\r\n\r\n", HELLO, Open),
        ("a bare LF hides a length", b"POST /echo HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        (
            "a bare LF after an empty value hides a coding",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX:\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        (
            "a bare CR hides a coding",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        (
            "a bare CR after an empty value hides a coding",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nX:\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            BAD,
            Errs,
        ),
        (
            "a bare LF for the blank line hides a request",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            BAD,
            Errs,
        ),
    ];
    run(table);
}

#[test]
fn version_and_options_decide_the_persistence() {
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
            "an Upgrade without a handler",
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
        (
            "close in quotes is another option",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: \"close\"\r\n\r\n",
            HELLO,
            Open,
        ),
        (
            "close with a parameter is another option",
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close;x\r\n\r\n",
            HELLO,
            Open,
        ),
        ("close after tabs", b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\tclose\t\r\n\r\n", HELLO, Closes),
        ("Proxy-Connection is not ours", b"GET / HTTP/1.1\r\nHost: a\r\nProxy-Connection: close\r\n\r\n", HELLO, Open),
        ("a CR for the hyphen", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep\ralive\r\n\r\n", BAD, Errs),
        ("close over two lines", b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\r\n close\r\n\r\n", BAD, Errs),
        ("1.0 with another option", b"GET / HTTP/1.0\r\nConnection: keep-alives\r\n\r\n", HELLO, Closes),
        ("1.0 with keep-alive in a list", b"GET / HTTP/1.0\r\nConnection: x, keep-alive\r\n\r\n", HELLO, Open),
        (
            "the framing cannot be named away",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, Host\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
    ];
    run(table);
}

#[test]
fn a_fin_within_a_head_gets_a_400() {
    let table: &[Row<'_>] = &[
        ("in the method", b"GE", BAD, FinErrs),
        ("in the target", b"GET /us", BAD, FinErrs),
        ("in the version", b"GET / HTTP/1", BAD, FinErrs),
        ("after the request line", b"GET / HTTP/1.1\r\n", BAD, FinErrs),
        ("in a name", b"GET / HTTP/1.1\r\nHos", BAD, FinErrs),
        ("in a value", b"GET / HTTP/1.1\r\nHost: a", BAD, FinErrs),
        ("after a field line", b"GET / HTTP/1.1\r\nHost: a\r\n", BAD, FinErrs),
        ("before the last LF", b"GET / HTTP/1.1\r\nHost: a\r\n\r", BAD, FinErrs),
        ("in a version that is not ours", b"GET / HTTP/2", BAD, FinErrs),
        ("after an empty line", b"\r\nGET", BAD, FinErrs),
        ("after the method", b"GET", BAD, FinErrs),
        ("after a space", b"GET ", BAD, FinErrs),
        ("after the version", b"GET / HTTP/1.1", BAD, FinErrs),
        ("before the LF of the request line", b"GET / HTTP/1.1\r", BAD, FinErrs),
        ("after a colon", b"GET / HTTP/1.1\r\nHost:", BAD, FinErrs),
        ("before the LF of a field line", b"GET / HTTP/1.1\r\nHost: a\r", BAD, FinErrs),
        ("in HEAD", b"HEAD / HTTP/1.1\r\nHost: a\r\n", BAD, FinErrs),
        ("after four empty lines", b"\r\n\r\n\r\n\r\nG", BAD, FinErrs),
    ];
    run(table);
}
