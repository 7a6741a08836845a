//! The router as a client sees it: requests go in and replies come out through the protocol core.

mod beside;
mod changed;
mod hosts;
mod replies;
mod tables;

use std::ops::ControlFlow;
use std::time::Duration;

use super::{Router, Routes};
use crate::TestClient;
use crate::http::{Error, Method};
use crate::middleware::Cors;
use crate::testing::TestReply;

/// Returns the reply to one request without content; `line` is method and target, `fields` are field lines.
#[track_caller]
fn ask<S>(app: &mut Router<S>, line: &str, fields: &[&str]) -> TestReply {
    let (method, target) = line.split_once(' ').unwrap();
    let mut client = TestClient::new(app);
    let request = client.request(Method::from_token(method).unwrap(), target);
    let fields = fields.iter().map(|line| line.split_once(": ").unwrap());
    fields.fold(request, |request, (name, value)| request.header(name, value)).send()
}

/// Status code and content.
#[track_caller]
fn answer<S>(app: &mut Router<S>, line: &str) -> String {
    let reply = ask(app, line, &[]);
    format!("{} {}", reply.status(), reply.text())
}

fn field<'r>(reply: &'r TestReply, name: &str) -> Vec<&'r str> {
    reply.header_all(name).collect()
}

#[test]
fn methods_of_a_path() {
    let mut app = Router::new(());
    app.get("/x", |_, _, res| res.text("got"));
    app.post("/x", |_, _, res| res.text("posted"));
    app.head("/own", |_, _, res| res.header("X-Own", "yes").empty());
    app.get("/own", |_, _, res| res.text("got"));
    app.any("/any", |_, req, res| res.text(req.method().as_str()));
    app.put("/any", |_, _, res| res.text("put itself"));
    assert_eq!(answer(&mut app, "GET /x"), "200 got");
    assert_eq!(answer(&mut app, "POST /x"), "200 posted");
    assert_eq!(answer(&mut app, "DELETE /x"), "405 {\"error\":\"Method not allowed\"}");
    assert_eq!(field(&ask(&mut app, "DELETE /x", &[]), "Allow"), ["GET, HEAD, POST, OPTIONS"]);
    let head = ask(&mut app, "HEAD /x", &[]);
    assert_eq!((head.status(), head.text()), (200, ""));
    assert_eq!(field(&head, "Content-Length"), ["3"]);
    assert_eq!(field(&ask(&mut app, "HEAD /own", &[]), "X-Own"), ["yes"]);
    assert_eq!(answer(&mut app, "PATCH /any"), "200 PATCH");
    assert_eq!(answer(&mut app, "PUT /any"), "200 put itself");
    assert_eq!(field(&ask(&mut app, "OPTIONS /x", &[]), "Allow"), ["GET, HEAD, POST, OPTIONS"]);
    assert_eq!(answer(&mut app, "OPTIONS /any"), "200 OPTIONS");
    assert_eq!(answer(&mut app, "OPTIONS *"), "204 ");
    assert_eq!(answer(&mut app, "OPTIONS /nowhere"), "404 {\"error\":\"Not found\"}");
    assert_eq!(answer(&mut app, "TRACE /any"), "405 {\"error\":\"Method not allowed\"}");
    assert_eq!(answer(&mut app, "TRACE /nowhere"), "405 {\"error\":\"Method not allowed\"}");
}

#[test]
fn parameters_are_decoded_once_and_parsed() {
    let mut app = Router::new(());
    app.get("/n/:n", |_, req, res| res.text(req.param::<i8>("n")?.to_string()));
    app.get("/s/:a/:b", |_, req, res| {
        res.text(format!("{}+{}", req.param::<String>("a")?, req.param_str("b").unwrap()))
    });
    app.get("/r/*rest", |_, req, res| res.text(req.param::<String>("rest")?));
    app.get("/typo/:id", |_, req, res| res.text(req.param::<String>("ID")?));
    assert_eq!(answer(&mut app, "GET /n/-128"), "200 -128");
    assert_eq!(answer(&mut app, "GET /n/128"), "400 {\"error\":\"Invalid parameter: n\"}");
    assert_eq!(answer(&mut app, "GET /n/%31"), "200 1");
    assert_eq!(answer(&mut app, "GET /s/a%2Fb/c%2520d"), "200 a/b+c%20d");
    assert_eq!(answer(&mut app, "GET /r/a/b%20c/"), "200 a/b c/");
    assert_eq!(answer(&mut app, "GET /r/"), "200 ");
    assert_eq!(answer(&mut app, "GET /typo/1"), "500 {\"error\":\"Internal server error\"}");
}

#[test]
fn a_mounted_part_keeps_its_routes_and_its_middleware_below_the_prefix() {
    let mut part = Routes::new();
    part.with(|seen: &mut Vec<String>, req, res| {
        seen.push(format!("part {}", req.path()));
        ControlFlow::Continue(res.header("X-Part", "yes"))
    });
    part.get("/", |_, _, res| res.text("root of the part"));
    part.get("/:id", |_, req, res| res.text(req.param::<String>("id")?));
    let mut app = Router::new(Vec::new());
    app.with(|seen, req, res| {
        seen.push(format!("app {}", req.path()));
        ControlFlow::Continue(res)
    });
    app.get("/", |_, _, res| res.text("root"));
    app.mount("/part/", part);
    assert_eq!(answer(&mut app, "GET /part"), "200 root of the part");
    assert_eq!(answer(&mut app, "GET /part/7"), "200 7");
    assert_eq!(answer(&mut app, "GET /%70art/7"), "200 7");
    assert_eq!(answer(&mut app, "GET /"), "200 root");
    assert_eq!(field(&ask(&mut app, "GET /part/no/where", &[]), "X-Part"), ["yes"]);
    assert_eq!(field(&ask(&mut app, "GET /party", &[]), "X-Part"), [""; 0]);
    let expected = [
        "app /part",
        "part /part",
        "app /part/7",
        "part /part/7",
        "app /part/7",
        "part /part/7",
        "app /",
        "app /part/no/where",
        "part /part/no/where",
        "app /party",
    ];
    assert_eq!(*app.state(), expected);
    let listed: Vec<String> = app.routes().map(|route| route.to_string()).collect();
    assert_eq!(listed, ["GET    /", "GET    /part", "GET    /part/:id"]);
}

/// Each spelling of a path that reaches the route passes through the middleware of its mount.
#[test]
fn no_spelling_of_a_mount_bypasses_its_middleware() {
    // The prefix, spellings of the same path in a request, and spellings of other paths.
    let cases: [(&str, &[&str], &[&str]); 7] = [
        ("/caf%C3%A9", &["/caf%C3%A9", "/caf%c3%a9", "/%63af%C3%A9"], &["/caf%25C3%25A9", "/cafe", "/caf%2543"]),
        ("/caf\u{e9}", &["/caf%C3%A9", "/caf%c3%a9", "/%63af%C3%A9"], &["/caf%25C3%25A9", "/cafe"]),
        ("/a%2Fb", &["/a%2Fb", "/a%2fb", "/%61%2Fb"], &["/a/b", "/a%252Fb"]),
        ("/100%", &["/100%25", "/%3100%25"], &["/100", "/100%2525"]),
        ("/100%25", &["/100%25", "/10%30%25"], &["/100", "/100%2525"]),
        ("/%3Aid", &["/:id", "/%3Aid", "/%3aid"], &["/7"]),
        ("/plain", &["/plain", "/%70lain", "/plai%6E"], &["/plain%20"]),
    ];
    for (prefix, same, others) in cases {
        let mut part = Routes::new();
        part.with(|(), _, _| ControlFlow::Break(Err(Error::new(401, "guarded"))));
        part.get("/", |_, _, res| res.text("secret"));
        part.get("/x", |_, _, res| res.text("secret"));
        let mut app = Router::new(());
        app.mount(prefix, part);
        let mut open = Router::new(());
        open.get(prefix, |_, _, res| res.text("found"));
        open.get(&format!("{prefix}/x"), |_, _, res| res.text("found"));
        for path in same.iter().flat_map(|path| [(*path).to_owned(), format!("{path}/x")]) {
            let line = format!("GET {path}");
            assert_eq!(answer(&mut open, &line), "200 found", "{prefix} as {path}");
            assert_eq!(answer(&mut app, &line), "401 {\"error\":\"guarded\"}", "{prefix} as {path}");
        }
        for path in others.iter().flat_map(|path| [(*path).to_owned(), format!("{path}/x")]) {
            let line = format!("GET {path}");
            assert_eq!(&answer(&mut open, &line)[..3], "404", "{prefix} is not {path}");
            assert_eq!(&answer(&mut app, &line)[..3], "404", "{prefix} is not {path}");
        }
    }
}

#[test]
fn middleware_sees_the_parameters_of_a_refused_request() {
    let mut app = Router::new(());
    app.with(|_, req, res| match req.param::<String>("id") {
        Ok(id) => ControlFlow::Continue(res.header("X-Id", id)),
        Err(error) => ControlFlow::Break(Err(error)),
    });
    app.post("/users/:id", |_, _, res| res.empty());
    let cases: [(u16, &[&str]); 3] =
        [(413, &["Content-Length: 9999999"]), (417, &["Expect: tea"]), (417, &["Content-Length: 3", "Expect: tea"])];
    for (status, fields) in cases {
        let reply = ask(&mut app, "POST /users/a%2Fb", fields);
        assert_eq!((reply.status(), field(&reply, "X-Id")), (status, vec!["a/b"]), "{fields:?}");
    }
}

#[test]
fn an_error_keeps_the_fields_of_middleware_and_drops_those_of_the_handler() {
    let mut app = Router::new(());
    app.with(|_, _, res| ControlFlow::Continue(res.header("X-Kept", "1").header("Content-Language", "en")));
    app.with(|_, req, res| match req.path() {
        "/denied" => ControlFlow::Break(Err(Error::new(403, "No").with_header("X-Why", "because"))),
        "/answered" => ControlFlow::Break(res.text("by middleware")),
        _ => ControlFlow::Continue(res),
    });
    app.get("/fails", |_, _, res| {
        let mut body = res.header("X-Lost", "1").header("X-Kept", "2").remove_header("content-language").start()?;
        body.write("half a reply")?;
        Err(Error::bad_request("no"))
    });
    let reply = ask(&mut app, "GET /fails", &[]);
    assert_eq!(reply.text(), "{\"error\":\"no\"}");
    assert_eq!(field(&reply, "X-Kept"), ["1"]);
    assert_eq!(field(&reply, "Content-Language"), ["en"]);
    assert_eq!(field(&reply, "X-Lost"), [""; 0]);
    let reply = ask(&mut app, "GET /denied", &[]);
    assert_eq!(reply.status(), 403);
    assert_eq!((field(&reply, "X-Why"), field(&reply, "X-Kept")), (vec!["because"], vec!["1"]));
    assert_eq!(answer(&mut app, "GET /answered"), "200 by middleware");
    assert_eq!(field(&ask(&mut app, "GET /nowhere", &[]), "X-Kept"), ["1"]);
}

#[test]
fn an_application_can_render_errors_and_a_failing_renderer_gives_a_500() {
    let mut app = Router::new(());
    app.get("/fails", |_, _, _| Err(Error::new(409, "twice")));
    app.on_error(|(), error, _, res| res.text(format!("sorry: {}", error.message())));
    assert_eq!(answer(&mut app, "GET /fails"), "409 sorry: twice");
    assert_eq!(answer(&mut app, "GET /nowhere"), "404 sorry: Not found");
    app.on_error(|_, _, _, _| Err(Error::internal("the renderer is broken")));
    assert_eq!(answer(&mut app, "GET /fails"), "500 {\"error\":\"Internal server error\"}");
    app.on_error(|_, _, _, _| panic!("the renderer is more than broken"));
    assert_eq!(answer(&mut app, "GET /fails"), "500 {\"error\":\"Internal server error\"}");
}

#[test]
fn a_route_that_is_added_twice_panics() {
    let twice = |second: &'static str| {
        std::panic::catch_unwind(move || {
            let mut app = Router::new(());
            app.get("/a/:x", |_, _, res| res.empty());
            app.get(second, |_, _, res| res.empty());
        })
        .is_err()
    };
    assert!(twice("/a/:x") && twice("/a/:y"));
    assert!(!twice("/a/x") && !twice("/a/*x"));
}

// ---- CORS -----------------------------------------------------------------------------------------------------------

fn with_cors(cors: Cors) -> Router<()> {
    let mut app = Router::new(());
    app.with(cors.middleware());
    app.get("/", |_, _, res| res.text("hello"));
    app.get("/fails", |_, _, _| Err(Error::internal("on purpose")));
    app.get("/panics", |_, _, _| panic!("on purpose"));
    app
}

const ORIGIN: &str = "Origin: https://app.example";
const ASKS: &str = "Access-Control-Request-Method: PUT";

#[test]
fn any_origin_is_allowed_on_every_reply() {
    let mut app = with_cors(Cors::any());
    for line in ["GET /", "GET /fails", "GET /panics", "GET /nowhere", "DELETE /", "OPTIONS /"] {
        let reply = ask(&mut app, line, &[ORIGIN]);
        assert_eq!(field(&reply, "Access-Control-Allow-Origin"), ["*"], "{line}");
        // An error reply depends on what its client prefers, and on nothing of CORS.
        assert_eq!(field(&reply, "Vary"), if reply.status() >= 400 { &["Accept"][..] } else { &[] }, "{line}");
    }
    let preflight = ask(&mut app, "OPTIONS /nowhere", &[ORIGIN, ASKS]);
    assert_eq!(preflight.status(), 204);
    assert_eq!(field(&preflight, "Access-Control-Allow-Methods"), ["GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"]);
    assert_eq!(field(&preflight, "Access-Control-Allow-Headers"), [""; 0], "it asks for none");
    assert_eq!(field(&preflight, "Content-Length"), [""; 0]);
}

#[test]
fn an_origin_that_is_not_listed_gets_no_permission_but_vary() {
    let mut app = with_cors(Cors::list(["https://app.example"]));
    let allowed = ask(&mut app, "GET /", &[ORIGIN]);
    assert_eq!(field(&allowed, "Access-Control-Allow-Origin"), ["https://app.example"]);
    for fields in [&["Origin: https://app.example.evil"][..], &["Origin: null"], &[]] {
        let reply = ask(&mut app, "GET /", fields);
        assert_eq!(field(&reply, "Access-Control-Allow-Origin"), [""; 0], "{fields:?}");
        assert_eq!(field(&reply, "Vary"), ["Origin"], "{fields:?}");
    }
    assert_eq!(field(&allowed, "Vary"), ["Origin"]);
}

#[test]
fn replies_with_credentials_name_the_origin() {
    let mut app = with_cors(Cors::matching(|_| true).credentials().expose(["X-Total", "X-Page"]));
    let reply = ask(&mut app, "GET /", &[ORIGIN]);
    assert_eq!(field(&reply, "Access-Control-Allow-Origin"), ["https://app.example"]);
    assert_eq!(field(&reply, "Access-Control-Allow-Credentials"), ["true"]);
    assert_eq!(field(&reply, "Access-Control-Expose-Headers"), ["X-Total, X-Page"]);
    assert_eq!(field(&reply, "Vary"), ["Origin"]);
}

#[test]
fn a_preflight_is_answered_as_configured() {
    let cors = Cors::list(["https://app.example"]).methods([Method::Get, Method::Put]);
    let mut app = with_cors(cors.any_headers().max_age(Duration::from_secs(600)));
    let asks = [ORIGIN, ASKS, "Access-Control-Request-Headers: x-one,x-two"];
    let reply = ask(&mut app, "OPTIONS /", &asks);
    assert_eq!(field(&reply, "Access-Control-Allow-Methods"), ["GET, PUT"]);
    assert_eq!(field(&reply, "Access-Control-Allow-Headers"), ["x-one,x-two"]);
    assert_eq!(field(&reply, "Access-Control-Max-Age"), ["600"]);
    assert_eq!(field(&reply, "Vary"), ["Origin", "Access-Control-Request-Headers"]);
}

/// The middleware and the handler do not know of each other's names.
#[test]
fn a_vary_of_the_handler_is_merged_with_that_of_the_middleware() {
    let mut app = Router::new(());
    app.with(Cors::list(["https://app.example"]).middleware());
    app.get("/set", |_, _, res| res.header("Vary", "Accept-Language").text("hello"));
    app.get("/added", |_, _, res| res.append_header("vary", "accept-language, ORIGIN").text("hello"));
    app.get("/twice", |_, _, res| res.header("Vary", "Cookie").header("Vary", "cookie, Origin").text("hello"));
    app.get("/fails", |_, _, _| Err(Error::not_found("no").with_header("Vary", "Accept, origin")));
    app.get("/fails-late", |_, _, res| {
        drop(res.header("Vary", "Cookie").start()?);
        Err(Error::not_found("no").with_header("Vary", "Accept"))
    });
    app.get("/head", |_, _, res| res.write_head(200, [("Vary", "Cookie"), ("vary", "origin, Accept")]).text("hello"));
    app.get("/removed", |_, _, res| res.remove_header("Vary").text("hello"));
    for (path, expected) in [
        ("/set", &["Origin", "Accept-Language"][..]),
        ("/added", &["Origin", "accept-language"]),
        ("/twice", &["Origin", "Cookie"]),
        ("/head", &["Origin", "Cookie", "Accept"]),
        ("/fails", &["Origin", "Accept"]),
        ("/fails-late", &["Origin", "Accept"]),
        ("/removed", &[]),
    ] {
        let reply = ask(&mut app, &format!("GET {path}"), &[ORIGIN]);
        assert_eq!(field(&reply, "Vary"), expected, "{path}");
    }
}

/// What a client sends, how long it waits then, and the status code of the reply: messages of which no request is made.
const NOT_UNDERSTOOD: [(&str, u64, u16); 8] = [
    ("GET / HTTP/1.1\r\n\r\n", 0, 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 0, 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx", 11, 408),
    ("GET / HTTP/1.1\r\nHost", 11, 408),
    ("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n", 0, 414),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: {long}{long}\r\n\r\n", 0, 431),
    ("DANCE / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 501),
    ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 0, 505),
];

/// The replies of an application to these messages: their status codes and their heads.
fn replies_to_what_is_not_understood(app: &mut Router<u32>) -> Vec<(u16, String)> {
    app.post("/", |_, _, res| res.empty());
    let reply = |(bytes, seconds, status): (&str, u64, u16)| {
        let mut client = TestClient::new(&mut *app);
        client.write(bytes.replace("{long}", &"x".repeat(9000)));
        client.advance(Duration::from_secs(seconds));
        let reply = String::from_utf8(client.read()).expect("it is text");
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{bytes}: {reply}");
        (status, reply)
    };
    NOT_UNDERSTOOD.map(reply).to_vec()
}

#[test]
fn a_reply_that_no_request_belongs_to_has_the_fields_that_the_application_sets_for_it() {
    let mut app = Router::new(0);
    app.with(|_, _, _| panic!("there is no request"));
    app.when_not_understood(|count, res| {
        *count += 1;
        res.header("X-Count", count.to_string())
    });
    app.when_not_understood(|_, res| res.append_header("X-Second", "kept").status(200));
    for (count, (status, reply)) in (1..).zip(replies_to_what_is_not_understood(&mut app)) {
        assert!(reply.contains(&format!("\r\nX-Count: {count}\r\nX-Second: kept\r\n")), "{status}: {reply}");
        assert!(reply.contains("\r\nConnection: close\r\n") && reply.contains("\r\n\r\n{\"error\":\""), "{reply}");
    }
    // A mistake in it does not take the reply from the client.
    app.when_not_understood(|_, res| res.header("no name", "x"));
    app.when_not_understood(|_, _| panic!("on purpose"));
    let mut client = TestClient::new(&mut app);
    client.write("GET / HTTP/1.1\r\n\r\n");
    assert!(client.read().starts_with(b"HTTP/1.1 500 Internal Server Error\r\n"));
}

/// A script on another page could not read why its request has failed.
#[test]
fn cors_says_of_a_message_that_was_not_understood_what_it_can_say_without_an_origin() {
    let any = "\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: X-Total\r\n";
    for (cors, expected) in [
        (Cors::any(), any),
        (Cors::matching(|_| true).credentials(), "\r\nVary: Origin\r\n"),
        (Cors::list(["https://app.example"]), "\r\nVary: Origin\r\n"),
    ] {
        let mut app = Router::new(0);
        cors.expose(["X-Total"]).apply(&mut app);
        for (status, reply) in replies_to_what_is_not_understood(&mut app) {
            assert!(reply.contains(expected), "{status}: {reply}");
            assert_eq!(reply.contains("Access-Control-"), expected == any, "{status}: {reply}");
        }
        // Requests are answered as by the middleware alone.
        assert_eq!(ask(&mut app, "OPTIONS /", &[ORIGIN, ASKS]).status(), 204);
    }
}
