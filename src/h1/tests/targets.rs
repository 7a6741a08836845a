//! Request targets, in all their forms (RFC 9112 §3.2, RFC 3986).

use super::bench::bench;
use super::table::After::{Errs, Open};
use super::table::{Row, run};

#[test]
fn good_targets() {
    let good: &[(&str, &str)] = &[
        ("/", "200 hello"),
        ("/users/7", "200 user 7"),
        ("/users/%37", "200 user 7"),
        ("/%75sers/7", "200 user 7"),
        ("/users/7?x", "200 user 7"),
        ("/users/seven", "400"),
        ("/users/7%2F8", "400"),
        ("/query", "200 none"),
        ("/query?", "200 "),
        ("/query?a=b&c=%20d?", "200 a=b&c=%20d?"),
        ("/query?{|}^`\"<>\\", "200 {|}^`\"<>\\"),
        ("/query?100%", "200 100%"),
        ("/users/7/", "404"),
        ("//", "404"),
        ("/users//7", "404"),
        ("/users/%252F", "400"),
        ("/..", "404"),
        ("/%2e%2e/", "404"),
        ("/|[]^", "404"),
        ("/;a=b,c:@!$&'()*+", "404"),
        ("http://b", "200 hello"),
        ("http://b/", "200 hello"),
        ("HTTP://b/users/7", "200 user 7"),
        ("https://b:443/users/7?x", "200 user 7"),
        ("http://b?x", "200 hello"),
        ("http://[::1]:80/host", "200 [::1]:80"),
        ("http://other:81/host", "200 other:81"),
        ("http://other:/host", "200 other:"),
    ];
    let input = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let inputs: Vec<Vec<u8>> = good.iter().map(|(target, _)| input(target)).collect();
    let rows = good.iter().zip(&inputs);
    let table: Vec<Row<'_>> =
        rows.map(|((target, reply), input)| (*target, &input[..], std::slice::from_ref(reply), Open)).collect();
    run(&table);
}

#[test]
fn bad_targets() {
    let bad: &[&[u8]] = &[
        b"*",
        b"*x",
        b"index.html",
        b"host:80",
        b"users/7",
        b"?x",
        b"/a#b",
        b"/a?b#c",
        b"#",
        b"/a\"b",
        b"/<script>",
        b"/a\\b",
        b"/{a}",
        b"/a`b",
        b"/\xc3\xa9",
        b"/?\xc3\xa9",
        b"/\xff",
        b"/\x7f",
        b"/a\x01b",
        b"/?\x1f",
        b"/\0",
        b"/%",
        b"/%4",
        b"/%4g",
        b"/%g4",
        b"/%+1",
        b"/%00",
        b"/a%00b",
        b"/%ff",
        b"/%c0%ae",
        b"/%ed%a0%80",
        b"http://",
        b"http:///a",
        b"http://:80/",
        b"http://u@b/",
        b"http://u:p@b/",
        b"http://b:x/",
        b"http://b:65536/",
        b"http://b#c",
        b"http://b /",
        b"http:/b/",
        b"http:b",
        b"ftp://b/",
        b"file:///etc/passwd",
        b"://b/",
        b"//\xe2\x80\xae",
    ];
    let input = |target: &&[u8]| [b"GET ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let inputs: Vec<(String, Vec<u8>)> =
        bad.iter().map(|target| (target.escape_ascii().to_string(), input(target))).collect();
    let table: Vec<Row<'_>> = inputs.iter().map(|(name, input)| (&name[..], &input[..], &["400"][..], Errs)).collect();
    run(&table);
}

#[test]
fn other_forms() {
    let table: &[Row<'_>] = &[
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("OPTIONS of a path", b"OPTIONS /users/7 HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("OPTIONS of no path", b"OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404"], Open),
        ("OPTIONS *x", b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("HEAD *", b"HEAD * HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("absolute form without Host", b"GET http://b/ HTTP/1.1\r\n\r\n", &["400"], Errs),
        ("absolute form and a bad Host", b"GET http://b/ HTTP/1.1\r\nHost: b/\r\n\r\n", &["400"], Errs),
    ];
    run(table);
}

#[test]
fn allow_names_the_methods() {
    let cases: &[(&str, u16, &str)] = &[
        ("OPTIONS * HTTP/1.1", 204, "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"),
        ("OPTIONS / HTTP/1.1", 204, "GET, HEAD, OPTIONS"),
        ("OPTIONS /echo HTTP/1.1", 204, "POST, OPTIONS"),
        ("DELETE / HTTP/1.1", 405, "GET, HEAD, OPTIONS"),
        ("TRACE / HTTP/1.1", 405, "GET, HEAD, OPTIONS"),
        ("TRACE /any HTTP/1.1", 405, "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH"),
        ("GET /echo HTTP/1.1", 405, "POST, OPTIONS"),
        ("HEAD /echo HTTP/1.1", 405, "POST, OPTIONS"),
    ];
    for &(line, status, allow) in cases {
        let mut bench = bench();
        let reply = bench.send(format!("{line}\r\nHost: a\r\n\r\n")).only_reply();
        assert_eq!((reply.status, reply.field("Allow")), (status, Some(allow)), "{line}");
    }
}

#[test]
fn what_the_handler_sees_of_a_target() {
    let cases = [
        ("GET /a%20b?c%20d HTTP/1.1\r\nHost: h", "/a%20b?c%20d", "/a b", Some("h")),
        ("GET http://o:1/x?y HTTP/1.1\r\nHost: h", "http://o:1/x?y", "/x", Some("o:1")),
        ("GET http://o HTTP/1.1\r\nHost: h", "http://o", "/", Some("o")),
        ("GET /%2525 HTTP/1.0", "/%2525", "/%25", None),
        ("OPTIONS * HTTP/1.1\r\nHost: h", "*", "*", Some("h")),
    ];
    for (head, target, path, host) in cases {
        let mut bench = bench();
        bench.send(format!("{head}\r\n\r\n"));
        let seen = &bench.seen()[0];
        assert_eq!((&*seen.target, &*seen.path, seen.host.as_deref()), (target, path, host), "{head}");
    }
}
