//! Request lines, field lines, Host and the framing fields (RFC 9112 §2, §3, §5, §6).

use super::bench::{Bench, Fate, small};
use super::table::After::{self, Closes, Errs, FinErrs, Open};
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
        ("a NUL behind the method", b"GET\0 / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a byte order mark at its start", b"\xef\xbb\xbfGET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a colon behind the method", b"GET: / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a method in quotes", b"\"GET\" / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("words before the method", b"one two GET / HTTP/1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("nothing but spaces", b"   \r\n\r\n", BAD, Errs),
        ("a method and nothing else", b"GET\r\n\r\n", BAD, Errs),
        ("a method, a space and nothing else", b"GET \r\n\r\n", BAD, Errs),
        ("a blank line behind it ends the head", b"GET / HTTP/1.1\r\n\r\nHost: a\r\n\r\n", BAD, Errs),
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
fn methods() {
    let table: &[Row<'_>] = &[
        ("HEAD from GET", b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        ("lower case is another method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("mixed case", b"Get / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("an unknown method", b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("a method that begins like HEAD", b"HEADS / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", &["501"], Errs),
        ("CONNECT with a path", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", &["501"], Errs),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
        ("TRACE of what takes any", b"TRACE /any HTTP/1.1\r\nHost: a\r\n\r\n", &["405"], Open),
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
        ("a space behind the slash", b"GET / HTTP/ 1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space before the slash", b"GET / HTTP /1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a space before the dot", b"GET / HTTP/1 .1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("bare CRs within", b"GET / HTTP/\r\r1.1\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a byte behind it", b"GET / HTTP/1.1a\r\nHost: a\r\n\r\n", BAD, Errs),
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
        ("CRLF, CR and a byte", b"GET / HTTP/1.1\r\nHost: a\r\n\rX: y\r\n\r\n", BAD, Errs),
        ("CRLF CR CRLF", b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n\r\n", BAD, Errs),
        ("a NUL for the CR", b"GET / HTTP/1.1\r\nHost: a\0\n\r\n", BAD, Errs),
        ("a form feed for a line end", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x0cY: z\r\n\r\n", BAD, Errs),
        ("NEL ends no line", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\x85Content-Length: 5\r\n\r\n", HELLO, Open),
        ("a bare LF hides a length", b"POST /echo HTTP/1.1\r\nHost: a\r\nX: y\nContent-Length: 2\r\n\r\nhi", BAD, Errs),
        (
            "a bare LF behind an empty value hides a coding",
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
            "a bare CR behind an empty value hides a coding",
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
        ("a fold of the first line", b"GET / HTTP/1.1\r\nX: a\r\n b\r\nHost: a\r\n\r\n", BAD, Errs),
        ("a fold of Host", b"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", BAD, Errs),
        ("a fold of nothing but spaces", b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n  \r\n\r\n", BAD, Errs),
        ("a fold behind a bare LF", b"GET / HTTP/1.1\r\nHost: a\r\nX:\n a\r\n\r\n", BAD, Errs),
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
        ("NEL behind a name", b"GET / HTTP/1.1\r\nHost: a\r\nX\x85: z\r\n\r\n", BAD, Errs),
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
            "no colon, and a length behind it",
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
        ("a path behind a port", b"GET / HTTP/1.1\r\nHost: a:80/b\r\n\r\n", BAD, Errs),
        ("a query without a path", b"GET / HTTP/1.1\r\nHost: a:80?b\r\n\r\n", BAD, Errs),
        ("a list without a space", b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", BAD, Errs),
        ("a list of equals", b"GET / HTTP/1.1\r\nHost: a, a\r\n\r\n", BAD, Errs),
        ("an empty list member", b"GET / HTTP/1.1\r\nHost: a,\r\n\r\n", BAD, Errs),
        ("a space behind the host's colon", b"GET / HTTP/1.1\r\nHost: a: 80\r\n\r\n", BAD, Errs),
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
        ("a percent triplet that is none", b"GET / HTTP/1.1\r\nHost: a%zz\r\n\r\n", BAD, Errs),
        ("quotes", b"GET / HTTP/1.1\r\nHost: \"a\"\r\n\r\n", BAD, Errs),
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
        ("close behind tabs", b"GET / HTTP/1.1\r\nHost: a\r\nConnection:\tclose\t\r\n\r\n", HELLO, Closes),
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
        ("behind the method", b"GET", BAD, FinErrs),
        ("behind a space", b"GET ", BAD, FinErrs),
        ("behind the version", b"GET / HTTP/1.1", BAD, FinErrs),
        ("before the LF of the request line", b"GET / HTTP/1.1\r", BAD, FinErrs),
        ("behind a colon", b"GET / HTTP/1.1\r\nHost:", BAD, FinErrs),
        ("before the LF of a field line", b"GET / HTTP/1.1\r\nHost: a\r", BAD, FinErrs),
        ("in HEAD", b"HEAD / HTTP/1.1\r\nHost: a\r\n", BAD, FinErrs),
        ("behind four empty lines", b"\r\n\r\n\r\n\r\nG", BAD, FinErrs),
    ];
    run(table);
}

/// A protocol to switch to is an offer; a server that has no use for it answers as if it were not there (RFC 9110 §7.8).
#[test]
fn an_upgrade_that_nobody_handles() {
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
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
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
        (
            "on 1.0",
            b"GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            HELLO,
            Closes,
        ),
        (
            "on 1.0 that stays",
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

/// What they mean is for the application to decide; whatever they hold, the message is framed as if they were not there.
#[test]
fn fields_that_only_an_application_reads() {
    let table: &[Row<'_>] = &[
        ("a range", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n", HELLO, Open),
        ("a range that is none", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=a-b\r\n\r\n", HELLO, Open),
        ("a range of another unit", b"GET / HTTP/1.1\r\nHost: a\r\nRange: pages=1-2\r\n\r\n", HELLO, Open),
        (
            "a range with content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        ("many ranges", b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-,0-,0-,0-,0-,0-,0-,0-\r\n\r\n", HELLO, Open),
        ("a type that nobody has", b"GET / HTTP/1.1\r\nHost: a\r\nAccept: application/x-tea\r\n\r\n", HELLO, Open),
        ("a date that is none", b"GET / HTTP/1.1\r\nHost: a\r\nIf-Modified-Since: yesterday\r\n\r\n", HELLO, Open),
        ("TE", b"GET / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers, chunked;q=0\r\n\r\n", HELLO, Open),
        ("Max-Forwards", b"OPTIONS / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n", &["204 "], Open),
        ("cookies that are none", b"GET / HTTP/1.1\r\nHost: a\r\nCookie: ===;;;\r\nCookie: a=b\r\nCookie:\r\n\r\n", HELLO, Open),
        (
            "two types of content",
            b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: text/a\r\nContent-Type: text/b\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        (
            "a coding of the content is none of the message",
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
        ("what a proxy says", b"GET /host HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: b\r\nForwarded: host=c\r\n\r\n", &["200 a"], Open),
        ("another target in a field", b"GET / HTTP/1.1\r\nHost: a\r\nX-Original-URL: /nowhere\r\nX-Rewrite-URL: /nowhere\r\n\r\n", HELLO, Open),
        ("another method in a field", b"GET / HTTP/1.1\r\nHost: a\r\nX-HTTP-Method-Override: DELETE\r\n\r\n", HELLO, Open),
    ];
    run(table);
}

/// A request for each of the 256 bytes, put between `front` and `back`; `outcome` says what becomes of it.
///
/// Only whole and byte by byte, with another request behind: the tables above try the other ways in which bytes can come.
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

/// RFC 9110 §5.6.2, in words of this test's own.
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

#[test]
fn every_byte_of_a_method() {
    let outcome = |byte| if is_token(byte) { (&["501"][..], Errs) } else { (BAD, Errs) };
    run_each_byte("X", "Y / HTTP/1.1\r\nHost: a\r\n\r\n", outcome);
}

#[test]
fn every_byte_of_a_field_name() {
    // A colon ends the name early, and the rest is its value.
    let outcome = |byte| if is_token(byte) || byte == b':' { (HELLO, Open) } else { (BAD, Errs) };
    run_each_byte("GET / HTTP/1.1\r\nHost: a\r\nX", "Y: z\r\n\r\n", outcome);
}

#[test]
fn every_byte_of_a_field_value() {
    let outcome = |byte| match byte {
        b'\t' | b' '..=b'~' | 0x80..=0xff => (HELLO, Open),
        _ => (BAD, Errs),
    };
    run_each_byte("GET / HTTP/1.1\r\nHost: a\r\nX: y", "z\r\n\r\n", outcome);
}

#[test]
fn every_byte_of_a_host() {
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
fn every_byte_behind_the_version() {
    run_each_byte("GET / HTTP/1.1", "\r\nHost: a\r\n\r\n", |_| (BAD, Errs));
}

/// No byte before, within or behind a field name turns it into a framing field, and none takes that from it unseen: the
/// field is another one, or the message is refused.
#[test]
fn every_byte_around_the_name_of_a_framing_field() {
    const END: &str = "Content-Length: 12\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let outcome = |byte| if is_token(byte) { (&["200 2\r\nhi\r\n0\r\n\r\n"][..], Open) } else { (BAD, Errs) };
    let front = "POST /echo HTTP/1.1\r\nHost: a\r\n";
    run_each_byte(&format!("{front}Transfer-Encoding"), &format!(": chunked\r\n{END}"), outcome);
    run_each_byte(front, &format!("Transfer-Encoding: chunked\r\n{END}"), outcome);
    let outcome = |byte| match byte {
        // It is the framing field, beside a length.
        b'-' => (BAD, Errs),
        // It is the field `Transfer`.
        b':' => outcome(b'x'),
        _ => outcome(byte),
    };
    run_each_byte(&format!("{front}Transfer"), &format!("Encoding: chunked\r\n{END}"), outcome);
}

/// Only white space and the comma of an empty list member may stand around `chunked`.
#[test]
fn every_byte_around_a_transfer_coding() {
    const END: &str = "\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let outcome = |byte| if matches!(byte, b' ' | b'\t' | b',') { (&["200 hi"][..], Open) } else { (BAD, Errs) };
    let front = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:";
    run_each_byte(front, &format!("chunked{END}"), outcome);
    run_each_byte(&format!("{front} chunked"), END, outcome);
}

/// A digit changes the length; anything else but white space is refused.
#[test]
fn every_byte_around_a_content_length() {
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
