//! Who may change something, by what browsers send. The cases are those of Go's `http.CrossOriginProtection`, and more.

use std::panic::catch_unwind;

use crate::http::Method;
use crate::middleware::SameOrigin;
use crate::{Router, TestClient};

/// What the guard makes of a request to `app.example`.
fn status(guard: &SameOrigin, method: Method, fields: &[(&str, &str)]) -> u16 {
    let mut app = Router::new(());
    app.guard(guard.clone().guard());
    app.any("/", |_, _, res| res.text("done"));
    app.on("PURGE", "/", |_, _, res| res.text("done"));
    app.options("/", |_, _, res| res.text("done"));
    let mut client = TestClient::new(app);
    let request = client.request(method, "/").header("Host", "app.example");
    fields.iter().fold(request, |request, (name, value)| request.header(name, value)).send().status()
}

const SITE: &str = "Sec-Fetch-Site";

#[test]
fn a_request_of_another_origin_changes_nothing() {
    let cases: &[(&[(&str, &str)], u16)] = &[
        // Browsers of today.
        (&[(SITE, "same-origin")], 200),
        (&[(SITE, "none")], 200),
        (&[(SITE, "same-site")], 403),
        (&[(SITE, "cross-site")], 403),
        (&[(SITE, "")], 403),
        (&[(SITE, "SAME-ORIGIN")], 403),
        (&[(SITE, "same-origin, none")], 403),
        (&[(SITE, "same-origin"), ("Origin", "https://evil.example")], 200),
        (&[(SITE, "cross-site"), ("Origin", "https://app.example")], 403),
        (&[(SITE, "cross-site"), ("Origin", "null")], 403),
        // Older ones, and HTTP without TLS.
        (&[("Origin", "https://app.example")], 200),
        (&[("Origin", "http://app.example")], 200),
        (&[("Origin", "http://app.example:80")], 200),
        (&[("Origin", "https://app.example:8443")], 403),
        (&[("Origin", "https://evil.example")], 403),
        (&[("Origin", "https://app.example.evil.example")], 403),
        (&[("Origin", "https://evil.example/app.example")], 403),
        (&[("Origin", "app://app.example")], 403),
        (&[("Origin", "app.example")], 403),
        (&[("Origin", "null")], 403),
        (&[("Origin", "")], 403),
        (&[("Origin", "https://\u{e4}pp.example")], 403),
        // Programs.
        (&[], 200),
        (&[("Cookie", "session=1"), ("Referer", "https://evil.example/")], 200),
    ];
    let guard = SameOrigin::new();
    for (fields, expected) in cases {
        for method in [Method::Post, Method::Put, Method::Patch, Method::Delete, Method::extension("PURGE")] {
            assert_eq!(status(&guard, method, fields), *expected, "{method} with {fields:?}");
        }
        for method in [Method::Get, Method::Head, Method::Options] {
            assert_eq!(status(&guard, method, fields), 200, "{method} with {fields:?}");
        }
    }
}

#[test]
fn an_origin_that_is_listed_may_change_something() {
    let guard = SameOrigin::new().allow(["https://admin.example:443", "https://*.app.example"]);
    for (origin, expected) in [
        ("https://admin.example", 200),
        ("https://a.app.example", 200),
        ("http://admin.example", 403),
        ("https://admin.example:8443", 403),
        ("https://evil-app.example", 403),
        ("null", 403),
    ] {
        for fields in [&[("Origin", origin)][..], &[("Origin", origin), (SITE, "cross-site")]] {
            assert_eq!(status(&guard, Method::Post, fields), expected, "{fields:?}");
        }
    }
    assert_eq!(status(&guard, Method::Post, &[(SITE, "cross-site")]), 403);
}

/// The host of an absolute-form target counts, and HTTP/1.0 may have none.
#[test]
fn the_host_is_that_of_the_target() {
    for (head, expected) in [
        ("POST http://app.example/ HTTP/1.1\r\nHost: app.example\r\nOrigin: https://app.example", 200),
        ("POST http://app.example/ HTTP/1.1\r\nHost: app.example\r\nOrigin: https://other.example", 403),
        ("POST / HTTP/1.1\r\nHost: app.example:3000\r\nOrigin: http://APP.example:3000", 200),
        ("POST / HTTP/1.0\r\nOrigin: https://app.example", 403),
        ("POST / HTTP/1.0", 200),
    ] {
        let mut app = Router::new(());
        app.guard(SameOrigin::new().guard());
        app.post("/", |_, _, res| res.text("done"));
        let mut client = TestClient::new(app);
        client.write(format!("{head}\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(client.read_reply().expect("a reply").status(), expected, "{head}");
    }
}

#[test]
fn what_is_no_origin_fails_at_the_start() {
    for text in ["null", "*", "app.example", "https://a/b", ""] {
        assert!(catch_unwind(|| SameOrigin::new().allow([text])).is_err(), "{text:?}");
    }
}
