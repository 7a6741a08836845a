//! Request targets, in all their forms (RFC 9112 §3.2, RFC 3986).

use super::bench::bench;
use super::bytes::run_each_byte;
use super::table::After::{Closes, Errs, Open};
use super::table::{Row, run};

#[test]
fn valid_targets_are_served() {
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
        ("http://b:443/users/7?x", "200 user 7"),
        ("http://b?x", "200 hello"),
        ("http://[::1]:80/host", "200 [::1]:80"),
        ("http://other:81/host", "200 other:81"),
        ("http://other:/host", "200 other:"),
        ("/query??", "200 ?"),
        ("/query?%", "200 %"),
        ("/query?%zz", "200 %zz"),
        ("/query?%00", "200 %00"),
        ("/query?//[]:@!$&'()*+,;=", "200 //[]:@!$&'()*+,;="),
        ("/?http://b/nowhere", "200 hello"),
        ("/%0d%0aX:%20y", "404"),
        ("/%C3%A9", "404"),
        ("/%7f", "404"),
        ("/.", "404"),
        ("/a/../users/7", "404"),
        ("/..;/users/7", "404"),
        ("///", "404"),
        ("//b/users/7", "404"),
        ("/*", "404"),
        ("/users/*", "400"),
        ("/http://b/", "404"),
        ("/USERS/7", "404"),
        ("http://B:80/host", "200 B:80"),
        ("http://127.0.0.1/host", "200 127.0.0.1"),
        ("http://b./host", "200 b."),
        ("http://a%20b/host", "200 a%20b"),
        ("hTTp://b", "200 hello"),
        ("http://b:/", "200 hello"),
        ("http://b?", "200 hello"),
        ("http://b/query?{|}", "200 {|}"),
        ("http://b//", "404"),
        ("http://b/http://c/", "404"),
    ];
    let input = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes();
    let inputs: Vec<Vec<u8>> = good.iter().map(|(target, _)| input(target)).collect();
    let rows = good.iter().zip(&inputs);
    let table: Vec<Row<'_>> =
        rows.map(|((target, reply), input)| (*target, &input[..], std::slice::from_ref(reply), Open)).collect();
    run(&table);
}

#[test]
fn invalid_targets_are_refused() {
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
        b"!",
        b"**",
        b"*/",
        b"*?x",
        b"./users/7",
        b"../users/7",
        b"%2fusers/7",
        b"\\users\\7",
        b"[::1]:80",
        b"b:80/users/7",
        b"HTTP/1.1",
        b"s://]ufd/:",
        b"/a\\..\\b",
        b"/\"a\"",
        b"/a>b",
        b"/a}b",
        b"/\x80",
        b"/\xc0\xaf",
        b"/?\xff",
        b"/?a\x7fb",
        b"/?\0",
        b"/a\tb",
        b"/%u0041",
        b"/%%20",
        b"/%2",
        b"/a%20%",
        b"/%-1",
        b"/% 41",
        b"/%C0%AF",
        b"/%f4%90%80%80",
        b"/%80",
        b"/%2500%00",
        b"/a%0",
        b"http://?x",
        b"http://@b/",
        b"http://b@/",
        b"http://b,c/",
        b"http://b\\c/",
        b"http://b%/",
        b"http://b:80:80/",
        b"http://b:-1/",
        b"http://b:+80/",
        b"http://[::1/",
        b"http://[::g]/",
        b"http://::1/",
        b"http://[::1]b/",
        b"http://\xc3\xa9/",
        b"http://b/{a}",
        b"http://b/%",
        b"http://b/%00",
        b"http://b/\xc3\xa9",
        b"http://b/a#b",
        b"http://b?x#y",
        b"http//b/",
        b"http:",
        b"http",
        b"xhttp://b/",
        b"httpx://b/",
        b"ws://b/",
        b"mailto:a@b",
        b"data:,x",
        b"urn:a:b",
    ];
    let input = |target: &&[u8]| [b"GET ", *target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let inputs: Vec<(String, Vec<u8>)> =
        bad.iter().map(|target| (target.escape_ascii().to_string(), input(target))).collect();
    let table: Vec<Row<'_>> = inputs.iter().map(|(name, input)| (&name[..], &input[..], &["400"][..], Errs)).collect();
    run(&table);
}

#[test]
fn the_form_of_a_target_must_fit_the_method_and_the_host() {
    let table: &[Row<'_>] = &[
        ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("OPTIONS of a path", b"OPTIONS /users/7 HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("OPTIONS of no path", b"OPTIONS /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404"], Open),
        ("OPTIONS *x", b"OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("HEAD *", b"HEAD * HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("https, which this connection is not", b"GET https://b/ HTTP/1.1\r\nHost: b\r\n\r\n", &["421"], Errs),
        ("https in any case", b"GET HTTPS://b/ HTTP/1.1\r\nHost: b\r\n\r\n", &["421"], Errs),
        ("https on 1.0", b"GET https://b/ HTTP/1.0\r\n\r\n", &["421"], Errs),
        ("absolute form without Host", b"GET http://b/ HTTP/1.1\r\n\r\n", &["400"], Errs),
        ("absolute form and a bad Host", b"GET http://b/ HTTP/1.1\r\nHost: b/\r\n\r\n", &["400"], Errs),
        ("OPTIONS * on 1.0", b"OPTIONS * HTTP/1.0\r\n\r\n", &["204 "], Closes),
        ("OPTIONS * without Host", b"OPTIONS * HTTP/1.1\r\n\r\n", &["400"], Errs),
        ("OPTIONS * with a query", b"OPTIONS *?x HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("OPTIONS of a host without a path", b"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", &["204 "], Open),
        ("OPTIONS in authority form", b"OPTIONS b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n", &["400"], Errs),
        ("POST *", b"POST * HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", &["400"], Errs),
        ("DELETE *", b"DELETE * HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("TRACE *", b"TRACE * HTTP/1.1\r\nHost: a\r\n\r\n", &["400"], Errs),
        ("absolute form on 1.0 without Host", b"GET http://b/host HTTP/1.0\r\n\r\n", &["200 b"], Closes),
        ("absolute form and two Hosts", b"GET http://b/ HTTP/1.1\r\nHost: b\r\nHost: b\r\n\r\n", &["400"], Errs),
        ("absolute form and an empty Host", b"GET http://b/ HTTP/1.1\r\nHost:\r\n\r\n", &["400"], Errs),
        ("absolute form and the same Host", b"GET http://b/host HTTP/1.1\r\nHost: b\r\n\r\n", &["200 b"], Open),
        ("absolute form to HEAD", b"HEAD http://b/host HTTP/1.1\r\nHost: a\r\n\r\n", &["200 "], Open),
        (
            "absolute form with content",
            b"POST http://b/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            &["200 hi"],
            Open,
        ),
        ("absolute form of no path", b"GET http://b/nowhere HTTP/1.1\r\nHost: a\r\n\r\n", &["404"], Open),
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
fn a_handler_sees_a_target_decoded_once() {
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

/// A path may hold the bytes of RFC 3986's `pchar`, and the few more that browsers send.
#[test]
fn a_path_contains_only_allowed_bytes() {
    run_each_byte("GET /a", "b HTTP/1.1\r\nHost: a\r\n\r\n", |byte| match byte {
        b'"' | b'#' | b'%' | b'<' | b'>' | b'\\' | b'`' | b'{' | b'}' => (&["400"], Errs),
        b'!'..=b'~' => (&["404"], Open),
        _ => (&["400"], Errs),
    });
}

/// A query may hold every printable byte except `#`, which would begin a fragment.
#[test]
fn a_query_contains_only_allowed_bytes() {
    run_each_byte("GET /?a", "b HTTP/1.1\r\nHost: a\r\n\r\n", |byte| match byte {
        b'#' => (&["400"], Errs),
        b'!'..=b'~' => (&["200 hello"], Open),
        _ => (&["400"], Errs),
    });
}
