use std::ops::ControlFlow;
use std::time::{Duration, UNIX_EPOCH};

use super::{all, reply_of};
use crate::exchange::{Cookie, SameSite};
use crate::{Error, Router, TestClient};

fn a() -> Cookie<'static> {
    Cookie::new("a", "1")
}

fn named(name: &'static str) -> Cookie<'static> {
    Cookie::new(name, "1")
}

/// The `Set-Cookie` of a reply with this cookie, or `None` if the reply is a 500.
#[track_caller]
fn line_of(cookie: Cookie<'static>) -> Option<String> {
    let reply = reply_of(move |res| res.cookie(cookie.clone()).text("content"));
    match reply.status() {
        200 => Some(all(&reply, "set-cookie").concat()),
        500 => {
            assert_eq!(all(&reply, "set-cookie"), [""; 0], "a 500 has nothing of the handler");
            None
        }
        other => panic!("{other}"),
    }
}

#[test]
fn each_attribute_is_written_as_browsers_read_it() {
    let day = Duration::from_secs(86_400);
    let table = [
        (a(), "a=1; Path=/; HttpOnly; SameSite=Lax"),
        (a().path("/app/"), "a=1; Path=/app/; HttpOnly; SameSite=Lax"),
        (a().domain("Example.org"), "a=1; Path=/; Domain=Example.org; HttpOnly; SameSite=Lax"),
        (a().max_age(day), "a=1; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"),
        (a().max_age(Duration::from_millis(1)), "a=1; Path=/; Max-Age=1; HttpOnly; SameSite=Lax"),
        (a().max_age(Duration::ZERO), "a=1; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"),
        (a().max_age(Duration::MAX), "a=1; Path=/; Max-Age=18446744073709551615; HttpOnly; SameSite=Lax"),
        (
            a().expires(UNIX_EPOCH + Duration::from_secs(784_111_777)),
            "a=1; Path=/; Expires=Sun, 06 Nov 1994 08:49:37 GMT; HttpOnly; SameSite=Lax",
        ),
        (a().expires(UNIX_EPOCH - day), "a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"),
        (a().secure(true), "a=1; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (a().secure(false).http_only(false), "a=1; Path=/; SameSite=Lax"),
        (a().same_site(SameSite::Strict), "a=1; Path=/; HttpOnly; SameSite=Strict"),
        (a().same_site(SameSite::None), "a=1; Path=/; Secure; HttpOnly; SameSite=None"),
        (a().partitioned(), "a=1; Path=/; Secure; HttpOnly; SameSite=Lax; Partitioned"),
        (named("__Secure-a").path("/x"), "__Secure-a=1; Path=/x; Secure; HttpOnly; SameSite=Lax"),
        (named("__host-a"), "__host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (named("__Http-a").domain("a.b"), "__Http-a=1; Path=/; Domain=a.b; Secure; HttpOnly; SameSite=Lax"),
        (named("__Host-Http-a"), "__Host-Http-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"),
        (named("__Hosta").http_only(false), "__Hosta=1; Path=/; SameSite=Lax"),
        (("b", String::new()).into(), "b=; Path=/; HttpOnly; SameSite=Lax"),
        (Cookie::new("b", "\"quoted\""), "b=\"quoted\"; Path=/; HttpOnly; SameSite=Lax"),
        (Cookie::new("b", "\"\""), "b=\"\"; Path=/; HttpOnly; SameSite=Lax"),
        (
            Cookie::new("!#$%&'*+-.^_`|~", "!#$%&'()*+-./:<=>?@[]^_`{|}~"),
            "!#$%&'*+-.^_`|~=!#$%&'()*+-./:<=>?@[]^_`{|}~; Path=/; HttpOnly; SameSite=Lax",
        ),
    ];
    for (cookie, expected) in table {
        assert_eq!(line_of(cookie.clone()).as_deref(), Some(expected), "{cookie:?}");
    }
}

/// RFC 6265 §4.1.1; and what browsers would silently ignore.
#[test]
fn a_cookie_that_browsers_would_not_take_is_a_500() {
    for name in ["", " ", "a b", "a=b", "a;b", "a,b", "a\r\nX: y", "\u{fc}", "a\t", "a\0", "\"a\"", "(a)", "a/b", "[a]"]
    {
        assert_eq!(line_of(Cookie::new(name, "1")), None, "{name:?}");
    }
    for value in [
        " ",
        "a b",
        "a;b",
        "a,b",
        "a\\b",
        "a\"b",
        "\"",
        "\"a",
        "a\"",
        "\"a\"b\"",
        "a\r\nX: y",
        "\u{fc}",
        "\0",
        "\x7f",
        "\"a b\"",
    ] {
        assert_eq!(line_of(Cookie::new("a", value)), None, "{value:?}");
    }
    let long = |length: usize| Cookie::new("a", "x".repeat(length - 1));
    assert!(line_of(long(4096)).is_some_and(|line| line.len() > 4096));
    let table = [
        long(4097),
        a().path(""),
        a().path("app"),
        a().path("/a;b"),
        a().path("/a b"),
        a().path("/ "),
        a().path("/a\r\nX: y"),
        a().path("/\u{fc}"),
        a().path(format!("/{}", "x".repeat(1024))),
        a().domain(""),
        a().domain(".example.org"),
        a().domain("example.org."),
        a().domain("a..b"),
        a().domain("-a.b"),
        a().domain("a-.b"),
        a().domain("a b"),
        a().domain("example.org; Secure"),
        a().domain("example.org:80"),
        a().domain("*.example.org"),
        a().domain("b\u{fc}cher.example"),
        a().domain(format!("{}.org", "x".repeat(64))),
        a().domain(["x"; 128].join(".")),
        a().secure(false).same_site(SameSite::None),
        a().secure(false).partitioned(),
        named("__Secure-a").secure(false),
        named("__Host-a").secure(false),
        named("__HOST-a").path("/x"),
        named("__Host-a").domain("example.org"),
        named("__Http-a").http_only(false),
        named("__Host-Http-a").http_only(false),
        named("__Host-Http-a").path("/x"),
    ];
    for cookie in table {
        assert_eq!(line_of(cookie.clone()), None, "{cookie:?}");
    }
}

#[test]
fn the_last_cookie_of_a_name_path_and_domain_counts() {
    let reply = reply_of(|res| {
        let res = res.append_header("Set-Cookie", "raw=0; path=/").append_header("set-cookie", "other; HttpOnly");
        let res = res.cookie(("a", "1")).cookie(("b", "1")).cookie(Cookie::new("a", "2").path("/x"));
        let res = res.cookie(Cookie::new("a", "3").domain("Example.org")).cookie(("A", "4"));
        let res = res.cookie(Cookie::new("a", "5").domain("example.ORG")).cookie(("raw", "5"));
        res.cookie(("a", "6")).remove_cookie("b").text("")
    });
    let set = all(&reply, "Set-Cookie");
    let expected = [
        "other; HttpOnly",
        "a=2; Path=/x; HttpOnly; SameSite=Lax",
        "A=4; Path=/; HttpOnly; SameSite=Lax",
        "a=5; Path=/; Domain=example.ORG; HttpOnly; SameSite=Lax",
        "raw=5; Path=/; HttpOnly; SameSite=Lax",
        "a=6; Path=/; HttpOnly; SameSite=Lax",
        "b=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax",
    ];
    assert_eq!(set, expected);
}

#[test]
fn a_removal_keeps_what_the_cookie_needs() {
    let removal = Cookie::removal("__Host-a").partitioned().same_site(SameSite::None);
    let expected = "__Host-a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Secure; HttpOnly; \
        SameSite=None; Partitioned";
    assert_eq!(line_of(removal).as_deref(), Some(expected));
}

/// As with all field lines: what the middleware has set survives an error of the handler.
#[test]
fn the_cookies_of_the_middleware_survive_an_error() {
    let mut app = Router::new(());
    app.with(|_, _, res| ControlFlow::Continue(res.cookie(("seen", "yes")).cookie(("visits", "1"))));
    app.get("/fine", |_, _, res| res.cookie(("visits", "2")).text("fine"));
    app.get("/fails", |_, _, res| {
        drop(res.cookie(("visits", "2")).cookie(("mine", "1")).start()?);
        Err(Error::not_found("no"))
    });
    let mut client = TestClient::new(app);
    let mut names = |path: &str| {
        let reply = client.get(path).send();
        reply.header_all("set-cookie").map(|line| line.split(';').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("/fine"), ["seen=yes", "visits=2"]);
    assert_eq!(names("/fails"), ["seen=yes", "visits=1"]);
    assert_eq!(names("/fine"), ["seen=yes", "visits=2"]);
}
