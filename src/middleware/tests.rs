//! CORS as browsers see it. The behaviours are those that the tests of the npm package `cors` ask for, and more; where
//! this one differs, the test says why.

mod same_origin;

use std::time::Duration;

use crate::http::Method;
use crate::middleware::Cors;
use crate::testing::TestReply;
use crate::{Error, Router, TestClient};

const PAGE: &str = "http://example.com";

/// What a reply says of CORS, in the order of the field lines.
fn said(reply: &TestReply) -> Vec<String> {
    let is_of_cors = |name: &str| name == "Vary" || name.starts_with("Access-Control-");
    let lines = reply.headers().filter(|(name, _)| is_of_cors(name));
    lines.map(|(name, value)| format!("{}: {value}", name.trim_start_matches("Access-Control-"))).collect()
}

/// The reply to a request of a page of `origin`.
#[track_caller]
fn ask(cors: &Cors, method: Method, origin: Option<&str>, fields: &[(&str, &str)]) -> TestReply {
    let mut app = Router::new(());
    cors.clone().apply(&mut app);
    app.get("/", |_, _, res| res.text("content"));
    app.put("/", |_, _, _| Err(Error::new(409, "on purpose")));
    let mut client = TestClient::new(app);
    let fields = origin.map(|origin| ("Origin", origin)).into_iter().chain(fields.iter().copied());
    fields.fold(client.request(method, "/"), |request, (name, value)| request.header(name, value)).send()
}

/// What is said to a page that sends a simple request.
#[track_caller]
fn to_get(cors: &Cors, origin: &str) -> Vec<String> {
    let reply = ask(cors, Method::Get, Some(origin), &[]);
    assert_eq!((reply.status(), reply.text()), (200, "content"), "CORS does not keep a request from its handler");
    said(&reply)
}

/// What is said to a preflight for a PUT with two field lines.
#[track_caller]
fn to_preflight(cors: &Cors, origin: &str) -> Vec<String> {
    let fields = [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-one,x-two")];
    let reply = ask(cors, Method::Options, Some(origin), &fields);
    assert_eq!((reply.status(), reply.text()), (204, ""));
    // RFC 9110 §8.6 forbids a length here, which the npm package sends for old versions of Safari.
    assert_eq!(reply.header("Content-Length"), None);
    said(&reply)
}

const METHODS: &str = "Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
const AGE: &str = "Max-Age: 7200";
const ASKED: &str = "Allow-Headers: x-one,x-two";
const VARY_ASKED: &str = "Vary: Access-Control-Request-Headers";

#[test]
fn the_defaults_allow_what_a_page_asks_for() {
    let any = Cors::any();
    assert_eq!(to_get(&any, PAGE), ["Allow-Origin: *"]);
    assert_eq!(to_get(&any, "null"), ["Allow-Origin: *"]);
    assert_eq!(to_preflight(&any, PAGE), ["Allow-Origin: *", METHODS, AGE, VARY_ASKED, ASKED]);
    // A preflight without field lines gets none: an empty value helps nobody.
    let reply = ask(&any, Method::Options, Some(PAGE), &[("Access-Control-Request-Method", "DELETE")]);
    assert_eq!(said(&reply), ["Allow-Origin: *", METHODS, AGE, VARY_ASKED]);
}

#[test]
fn each_setting_is_in_the_answer_that_needs_it() {
    let origin = &format!("Allow-Origin: {PAGE}")[..];
    let list = || Cors::list([PAGE]);
    let table: [(&str, Cors, &[&str], &[&str]); 9] = [
        ("one origin", list(), &["Vary: Origin", origin], &["Vary: Origin", origin, METHODS, AGE, VARY_ASKED, ASKED]),
        (
            "methods",
            Cors::any().methods([Method::Get, Method::Patch]),
            &["Allow-Origin: *"],
            &["Allow-Origin: *", "Allow-Methods: GET, PATCH", AGE, VARY_ASKED, ASKED],
        ),
        // These do not depend on what is asked for, so they need no Vary.
        (
            "field names",
            Cors::any().headers(["header1", "header2"]),
            &["Allow-Origin: *"],
            &["Allow-Origin: *", METHODS, AGE, "Allow-Headers: header1, header2"],
        ),
        ("no field name", Cors::any().headers([]), &["Allow-Origin: *"], &["Allow-Origin: *", METHODS, AGE]),
        (
            "all field names again",
            Cors::any().headers(["header1"]).any_headers(),
            &["Allow-Origin: *"],
            &["Allow-Origin: *", METHODS, AGE, VARY_ASKED, ASKED],
        ),
        // The answer to a preflight exposes nothing, since no script reads it. The npm package sends it there, too.
        (
            "exposed field names",
            Cors::any().expose(["custom1", "custom2"]).headers([]),
            &["Allow-Origin: *", "Expose-Headers: custom1, custom2"],
            &["Allow-Origin: *", METHODS, AGE],
        ),
        (
            "nothing exposed",
            Cors::any().expose([]).headers([]),
            &["Allow-Origin: *"],
            &["Allow-Origin: *", METHODS, AGE],
        ),
        (
            "credentials",
            list().credentials(),
            &["Vary: Origin", origin, "Allow-Credentials: true"],
            &["Vary: Origin", origin, "Allow-Credentials: true", METHODS, AGE, VARY_ASKED, ASKED],
        ),
        (
            "a time of zero",
            Cors::any().max_age(Duration::from_millis(999)),
            &["Allow-Origin: *"],
            &["Allow-Origin: *", METHODS, "Max-Age: 0", VARY_ASKED, ASKED],
        ),
    ];
    for (name, cors, simple, preflight) in table {
        assert_eq!(to_get(&cors, PAGE), simple, "{name}");
        assert_eq!(to_preflight(&cors, PAGE), preflight, "{name}");
    }
}

/// Nobody but a page of a listed origin learns anything, and caches learn that there is something to learn.
#[test]
fn an_origin_is_allowed_as_it_is_listed() {
    let table: [(&[&str], &[&str], &[&str]); 6] = [
        (
            &["https://app.example", "HTTP://LocalHost:3000"],
            &["https://app.example", "http://localhost:3000"],
            &[
                "http://app.example",
                "https://app.example:8443",
                "https://app.example.evil.com",
                "https://www.app.example",
                "https://evilapp.example",
                "http://localhost",
                "null",
                "",
                "app.example",
                "https://app.example/",
                "https://app.example, https://evil.example",
            ],
        ),
        (
            &["https://app.example:443", "http://app.example:80"],
            &["https://app.example", "http://app.example"],
            &["https://app.example:80"],
        ),
        (
            &["https://*.example.org"],
            &["https://a.example.org", "https://a-1.b_2.example.org", "https://xn--bcher-kva.example.org"],
            &[
                "https://example.org",
                "https://.example.org",
                "https://a..example.org",
                "http://a.example.org",
                "https://a.example.org:8443",
                "https://aexample.org",
                "https://a.example.org.evil.com",
                "https://evil.com/.example.org",
                "https://evil.com:1.example.org",
                "https://evil.com#.example.org",
                "https://me@evil.example.org",
                "https://*.example.org",
                "null",
            ],
        ),
        (
            &["http://*.localhost:3000"],
            &["http://a.localhost:3000"],
            &["http://a.localhost", "http://a.localhost:30000"],
        ),
        (&["null"], &["null"], &["NULL", "https://null"]),
        (&[], &[], &["https://app.example", "null"]),
    ];
    for (listed, allowed, refused) in table {
        let cors = Cors::list(listed);
        for origin in allowed {
            assert_eq!(to_get(&cors, origin), ["Vary: Origin", &format!("Allow-Origin: {origin}")], "{listed:?}");
        }
        for origin in refused {
            assert_eq!(to_get(&cors, origin), ["Vary: Origin"], "{listed:?} and {origin:?}");
            assert_eq!(to_preflight(&cors, origin), ["Vary: Origin"], "{listed:?} and {origin:?}");
        }
        assert_eq!(said(&ask(&cors, Method::Get, None, &[])), ["Vary: Origin"], "without an origin");
    }
}

#[test]
fn a_function_decides() {
    let cors = Cors::matching(|origin| origin == PAGE || origin == "null").credentials().expose(["X-Total"]);
    for origin in [PAGE, "null"] {
        let allowed = &format!("Allow-Origin: {origin}")[..];
        let expected = ["Vary: Origin", allowed, "Allow-Credentials: true", "Expose-Headers: X-Total"];
        assert_eq!(to_get(&cors, origin), expected);
    }
    assert_eq!(to_get(&cors, "http://localhost"), ["Vary: Origin"]);
    assert_eq!(to_preflight(&cors, "http://localhost"), ["Vary: Origin"]);
    // It is not asked about a request that no page has sent.
    let cors = Cors::matching(|origin| panic!("{origin}"));
    assert_eq!(said(&ask(&cors, Method::Get, None, &[])), ["Vary: Origin"]);
}

/// A script must be able to read why its request has failed.
#[test]
fn an_error_is_readable_too() {
    let reply = ask(&Cors::any().expose(["X-Total"]), Method::Put, Some(PAGE), &[]);
    // An error is HTML or JSON, as the client prefers.
    let expected = ["Allow-Origin: *", "Expose-Headers: X-Total", "Vary: Accept"];
    assert_eq!((reply.status(), said(&reply)), (409, expected.map(str::to_owned).to_vec()));
}

/// The npm package ends every OPTIONS. Here only a preflight is one, and any other goes to the routes.
#[test]
fn an_options_that_is_no_preflight_goes_to_the_routes() {
    let asks = ("Access-Control-Request-Method", "PUT");
    for (origin, fields) in [(None, &[asks][..]), (Some(PAGE), &[]), (None, &[])] {
        let reply = ask(&Cors::any(), Method::Options, origin, fields);
        assert_eq!(reply.header("Allow"), Some("GET, HEAD, PUT, OPTIONS"), "{origin:?}, {fields:?}");
        assert_eq!(said(&reply), ["Allow-Origin: *"]);
    }
}

/// What a page asks for comes back, so it must not be able to write anything else.
#[test]
fn what_is_asked_for_comes_back_as_it_is() {
    for asked in ["content-type", "x-requested-with, authorization", "a b", "x-\u{fc}", "\"", "*"] {
        let fields = [("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", asked)];
        let reply = ask(&Cors::any(), Method::Options, Some(PAGE), &fields);
        assert_eq!(reply.header("Access-Control-Allow-Headers"), Some(asked));
    }
}

#[test]
fn a_setting_that_no_browser_could_follow_fails_at_the_start() {
    let message = |make: fn() -> Cors| {
        let panic = std::panic::catch_unwind(make).expect_err("it is a mistake");
        panic.downcast_ref::<String>().cloned().or(panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap()
    };
    assert_eq!(message(|| Cors::list(["*"])), "\"*\" is no origin: use Cors::any");
    assert!(message(|| Cors::any().credentials()).contains("name the origins by Cors::list"));
    assert!(message(|| Cors::list(["https://a.example", "null"]).credentials()).contains("leave it out of the list"));
    assert!(message(|| Cors::list(["app.example"])).contains("no origin like https://example.com"));
    let no_origins = [
        "",
        "*",
        "app.example",
        "*.app.example",
        "https://",
        "https://a/",
        "https://a/b",
        "https://a?b",
        "https://a b",
        "https://u@a",
        "://a",
        "1http://a",
        "https://a*.b",
        "https://*",
        "https://*.",
        "https://a.*.b",
        "https://*.*.b",
        "https://a\r\nX: y",
        "https://*.a/",
        // The first would allow every host that ends with a dot, and the others none.
        "https://*.:443",
        "https://:443",
        "https://.a",
        "https://a..b",
        "https://a:b",
        "https://a:80:80",
        "https://a:65536",
        "https://a;b",
        "https://[::1",
        "https://[a]",
    ];
    for text in no_origins {
        assert!(!Cors::can_list(text), "{text:?}");
    }
    for text in [
        "null",
        "https://a",
        "https://a_b.c.:65535",
        "http://127.0.0.1:3000",
        "http://[::1]",
        "http://[::1]:3000",
        "moz-extension://a-b",
        "https://*.a",
        "https://*.a:8443",
    ] {
        assert!(Cors::can_list(text), "{text:?}");
    }
}
