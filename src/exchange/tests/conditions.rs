use std::time::{Duration, UNIX_EPOCH};

use super::{all, reply_of};
use crate::http::Method;
use crate::{Router, TestClient};

const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const SECOND: u64 = 784_111_777;
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";

/// Routes with validators; the state counts how often content was made.
fn app() -> Router<u32> {
    let mut app = Router::new(0);
    let at = UNIX_EPOCH + Duration::from_secs(SECOND);
    app.any("/tag", |made, req, res| {
        res.etag("a").if_changed(req, |res| {
            *made += 1;
            res.text("content")
        })
    });
    app.any("/weak", |_, req, res| res.etag("W/\"a\"").if_changed(req, |res| res.text("content")));
    app.any("/date", move |_, req, res| res.last_modified(at).if_changed(req, |res| res.text("content")));
    app.any("/both", move |_, req, res| res.etag("a").last_modified(at).if_changed(req, |res| res.text("content")));
    app.any("/none", |_, req, res| res.if_changed(req, |res| res.status(201).text("content")));
    app.any("/404", |_, req, res| res.status(404).etag("a").if_changed(req, |res| res.text("content")));
    app
}

/// Path, field lines, the status for a GET and that for a PUT.
type Row = (&'static str, &'static [(&'static str, &'static str)], u16, u16);

/// RFC 9110 §13.1, §13.2.2.
#[test]
fn conditions_are_evaluated_in_their_order() {
    let table: &[Row] = &[
        ("/tag", &[], 200, 200),
        ("/tag", &[("If-None-Match", "\"a\"")], 304, 412),
        ("/tag", &[("If-None-Match", "W/\"a\"")], 304, 412),
        ("/tag", &[("If-None-Match", "\"x\", \"a\"")], 304, 412),
        ("/tag", &[("If-None-Match", "\"x\""), ("If-None-Match", "\"a\"")], 304, 412),
        ("/tag", &[("If-None-Match", "*")], 304, 412),
        ("/tag", &[("If-None-Match", "\"b\"")], 200, 200),
        ("/tag", &[("If-None-Match", "a")], 200, 200),
        ("/tag", &[("If-None-Match", "")], 200, 200),
        ("/tag", &[("If-Match", "\"a\"")], 200, 200),
        ("/tag", &[("If-Match", "*")], 200, 200),
        ("/tag", &[("If-Match", "\"b\"")], 412, 412),
        ("/tag", &[("If-Match", "W/\"a\"")], 412, 412),
        ("/tag", &[("If-Match", "")], 412, 412),
        ("/tag", &[("If-Match", "\"a\""), ("If-None-Match", "\"a\"")], 304, 412),
        ("/tag", &[("If-Modified-Since", DATE)], 200, 200),
        ("/tag", &[("If-Unmodified-Since", BEFORE)], 200, 200),
        ("/weak", &[("If-None-Match", "\"a\"")], 304, 412),
        ("/weak", &[("If-Match", "\"a\"")], 412, 412),
        ("/weak", &[("If-Match", "*")], 200, 200),
        ("/date", &[("If-Modified-Since", DATE)], 304, 200),
        ("/date", &[("If-Modified-Since", BEFORE)], 200, 200),
        ("/date", &[("If-Modified-Since", "yesterday")], 200, 200),
        ("/date", &[("If-Unmodified-Since", DATE)], 200, 200),
        ("/date", &[("If-Unmodified-Since", BEFORE)], 412, 412),
        ("/date", &[("If-None-Match", "\"a\"")], 200, 200),
        ("/date", &[("If-None-Match", "\"\"")], 200, 200),
        ("/date", &[("If-None-Match", "*")], 304, 412),
        ("/date", &[("If-Match", "*")], 200, 200),
        ("/date", &[("If-Match", "\"a\"")], 412, 412),
        ("/both", &[("If-None-Match", "\"b\""), ("If-Modified-Since", DATE)], 200, 200),
        ("/both", &[("If-None-Match", "\"a\""), ("If-Modified-Since", BEFORE)], 304, 412),
        ("/both", &[("If-Match", "\"a\""), ("If-Unmodified-Since", BEFORE)], 200, 200),
        ("/none", &[], 201, 201),
        ("/none", &[("If-None-Match", "*")], 201, 201),
        ("/none", &[("If-None-Match", "\"a\"")], 201, 201),
        ("/none", &[("If-Match", "*")], 412, 412),
        ("/none", &[("If-Match", "\"a\"")], 412, 412),
        ("/none", &[("If-Unmodified-Since", BEFORE)], 201, 201),
        ("/404", &[("If-None-Match", "\"a\"")], 404, 404),
        ("/404", &[("If-Match", "\"b\"")], 404, 404),
    ];
    let mut client = TestClient::new(app());
    for (path, fields, read, change) in table {
        for (method, expected) in [
            (Method::Get, *read),
            (Method::Head, *read),
            (Method::Put, *change),
            (Method::Delete, *change),
            (Method::Post, *change),
        ] {
            let request = client.request(method, path);
            let reply = fields.iter().fold(request, |request, (name, value)| request.header(name, value)).send();
            assert_eq!(reply.status(), expected, "{method} {path} with {fields:?}");
            let content = if method == Method::Head || expected == 304 { "" } else { "content" };
            assert_eq!(reply.text().starts_with("{\"error\""), expected == 412 && method != Method::Head);
            if expected != 412 {
                assert_eq!(reply.text(), content, "{method} {path} with {fields:?}");
            }
        }
    }
}

/// RFC 9110 §13.2.1: a method that neither selects content nor changes it has no conditions.
#[test]
fn options_has_no_conditions() {
    let mut client = TestClient::new(app());
    assert_eq!(client.options("/tag").header("If-Match", "\"b\"").send().status(), 200);
}

#[test]
fn the_content_is_not_made_for_a_client_that_has_it() {
    let mut client = TestClient::new(app());
    for (fields, expected) in [("\"b\"", 1), ("\"a\"", 1), ("*", 1), ("\"c\"", 2)] {
        client.get("/tag").header("If-None-Match", fields).send();
        assert_eq!(*client.app().state(), expected, "{fields}");
    }
    client.put("/tag").header("If-Match", "\"b\"").send();
    assert_eq!(*client.app().state(), 2, "nothing is done after a 412");
}

/// RFC 9110 §15.4.5.
#[test]
fn a_304_has_the_lines_of_the_200_but_those_of_its_content() {
    let mut app = Router::new(());
    app.get("/", |_, req, res| {
        let res = res.header("Cache-Control", "no-cache").header("Vary", "Accept").cookie(("seen", "yes"));
        let res = res.header("Content-Type", "text/csv").header("Content-Language", "en").attachment("a.csv");
        let res = res.header("Content-Length", "7").header("Content-Security-Policy", "sandbox");
        res.last_modified(UNIX_EPOCH).etag(7).if_changed(req, |res| res.send("content"))
    });
    let mut client = TestClient::new(app);
    let names = |reply: &crate::testing::TestReply| {
        let names = reply.headers().map(|(name, _)| name.to_owned());
        names.filter(|name| !["Server", "Date"].contains(&name.as_str())).collect::<Vec<_>>()
    };
    let same = ["Cache-Control", "Vary", "Set-Cookie"];
    let whole = client.get("/").send();
    let of_content = ["Content-Type", "Content-Language", "Content-Disposition", "Content-Length"];
    let mut expected = [&same[..], &of_content, &["Content-Security-Policy", "Last-Modified", "ETag"]].concat();
    let mut found = names(&whole);
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!((whole.status(), found), (200, expected.into_iter().map(str::to_owned).collect()));
    let short = client.get("/").header("If-None-Match", "\"7\"").send();
    assert_eq!(short.status(), 304);
    assert_eq!(names(&short), [&same[..], &["Content-Security-Policy", "ETag"]].concat());
}

/// RFC 9110 §9.3.4: the tag of the old content must not come with the new one.
#[test]
fn a_change_is_not_answered_with_the_validators_of_what_it_has_changed() {
    let mut client = TestClient::new(app());
    assert_eq!(all(&client.get("/both").send(), "etag"), ["\"a\""]);
    let reply = client.put("/both").header("If-Match", "\"a\"").send();
    assert_eq!((reply.status(), reply.header("etag"), reply.header("last-modified")), (200, None, None));
}

#[test]
fn a_tag_is_quoted_and_checked() {
    for (tag, expected) in [
        ("abc", Some("\"abc\"")),
        ("\"abc\"", Some("\"abc\"")),
        ("W/\"abc\"", Some("W/\"abc\"")),
        ("W/abc", Some("\"W/abc\"")),
        ("", Some("\"\"")),
        ("\"\"", Some("\"\"")),
        ("a,b;c\\d'", Some("\"a,b;c\\d'\"")),
        ("\u{fc}", Some("\"\u{fc}\"")),
        ("a b", None),
        ("\"", None),
        ("a\"b", None),
        ("\"a", None),
        ("W/\"a", None),
        ("\"a\", \"b\"", None),
        ("a\r\nX: y", None),
        ("\x7f", None),
    ] {
        let reply = reply_of(move |res| res.etag(tag).text("content"));
        let status = if expected.is_some() { 200 } else { 500 };
        assert_eq!((reply.status(), reply.header("etag")), (status, expected), "{tag:?}");
    }
    let mut client = TestClient::new({
        let mut app = Router::new(0);
        app.get("/", |calls, req, res| {
            res.etag("a b").if_changed(req, |res| {
                *calls += 1;
                res.text("")
            })
        });
        app
    });
    assert_eq!((client.get("/").send().status(), *client.app().state()), (500, 0));
}

/// RFC 9110 §8.8.2.1.
#[test]
fn a_date_in_the_future_becomes_the_present() {
    let now = UNIX_EPOCH + Duration::from_secs(SECOND);
    for (time, expected) in [
        (now + Duration::from_secs(1), DATE),
        (now, DATE),
        (now - Duration::from_millis(1), BEFORE),
        (UNIX_EPOCH - Duration::from_secs(1), "Thu, 01 Jan 1970 00:00:00 GMT"),
    ] {
        let mut app = Router::new(());
        app.get("/", move |_, _, res| res.last_modified(time).text(""));
        let mut client = TestClient::new(app);
        client.set_date(now);
        assert_eq!(client.get("/").send().header("last-modified"), Some(expected));
    }
}
