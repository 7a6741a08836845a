//! A route that ends in `*rest` answers for another route of its paths that does not have the method.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use proptest::prelude::*;

use super::{answer, ask, field};
use crate::exchange::{BodySink, ConnectionId, FinishedReply, Intake, Observer, Output, Protocol, Trailers};
use crate::http::{Error, Method};
use crate::router::{Registered, Router, Routes};
use crate::{Response, Result, Sent, TestClient};

/// Adds a route that says by which pattern and with which parameters it answers.
fn say<'a>(routes: &'a mut Routes<()>, method: Method, pattern: &'static str) -> Registered<'a, ()> {
    let names: Vec<&str> = pattern.split('/').filter_map(|part| part.strip_prefix([':', '*'])).collect();
    routes.on(method.as_str(), pattern, move |(), req, res| {
        let values = names.iter().map(|name| req.param_str(name).expect("it has the parameter"));
        res.text(format!("{pattern} {}", values.collect::<Vec<_>>().join(",")))
    })
}

const NOT_ALLOWED: &str = "405 {\"error\":\"Method not allowed\"}";

#[track_caller]
fn check(app: &mut Router<()>, cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(answer(app, line), *expected, "{line}");
    }
}

#[track_caller]
fn allow(app: &mut Router<()>, line: &str) -> (u16, String) {
    let reply = ask(app, line, &[]);
    (reply.status(), field(&reply, "Allow").join("; "))
}

#[test]
fn a_route_for_one_method_does_not_hide_the_rest_from_others() {
    let routes = [
        (Method::Delete, "/files/:name"),
        (Method::Get, "/files/*path"),
        (Method::Post, "/*page"),
        (Method::Put, "/x"),
    ];
    for order in [[0, 1, 2, 3], [1, 0, 3, 2], [3, 2, 1, 0], [2, 3, 0, 1]] {
        let mut app = Router::new(());
        for (method, pattern) in order.map(|at| routes[at]) {
            say(&mut app, method, pattern);
        }
        check(
            &mut app,
            &[
                ("DELETE /files/a", "200 /files/:name a"),
                ("GET /files/a", "200 /files/*path a"),
                ("HEAD /files/a", "200 "),
                ("GET /%66iles/a%20b", "200 /files/*path a b"),
                ("POST /files/a", "200 /*page files/a"),
                ("GET /files/a/b", "200 /files/*path a/b"),
                ("DELETE /files/a/b", NOT_ALLOWED),
                ("DELETE /files/", NOT_ALLOWED),
                // `/files` is not a path of `/files/*path`.
                ("GET /files", NOT_ALLOWED),
                ("PUT /x", "200 /x "),
                ("POST /x", "200 /*page x"),
                ("GET /x", NOT_ALLOWED),
                ("TRACE /files/a", NOT_ALLOWED),
            ],
        );
        for line in ["PUT /files/a", "PATCH /files/%61", "TRACE /files/a"] {
            assert_eq!(allow(&mut app, line), (405, "GET, HEAD, POST, DELETE, OPTIONS".to_owned()), "{line}");
        }
        assert_eq!(allow(&mut app, "OPTIONS /files/a"), (204, "GET, HEAD, POST, DELETE, OPTIONS".to_owned()));
        assert_eq!(allow(&mut app, "OPTIONS /x"), (204, "POST, PUT, OPTIONS".to_owned()));
        assert_eq!(allow(&mut app, "DELETE /y"), (405, "POST, OPTIONS".to_owned()));
    }
}

/// A protocol that is never begun.
struct Silent;

impl<S> Protocol<S> for Silent {
    fn on_data(&mut self, _: &mut S, bytes: &mut [u8], _: &mut Output<'_>) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
}

#[test]
fn any_and_options_of_the_rest_answer_and_a_path_with_a_protocol_keeps_its_426() {
    let mut app = Router::new(());
    app.get("/proxy/own", |_, _, res| res.text("own"));
    app.any("/proxy/*path", |_, req, res| res.text(format!("passed on {}", req.method())));
    app.upgrade("/site/chat", "chat", |_, _, _| -> Result<(_, Silent)> { Err(Error::new(403, "no")) });
    app.post("/site/room/1", |_, _, res| res.text("said"));
    app.upgrade("/site/room/*name", "chat", |_, _, _| -> Result<(_, Silent)> { Err(Error::new(403, "no room")) });
    app.get("/site/*page", |_, _, res| res.text("page"));
    check(
        &mut app,
        &[
            ("GET /proxy/own", "200 own"),
            ("HEAD /proxy/own", "200 "),
            ("POST /proxy/own", "200 passed on POST"),
            ("OPTIONS /proxy/own", "200 passed on OPTIONS"),
            ("TRACE /proxy/own", NOT_ALLOWED),
            ("POST /site/room/1", "200 said"),
        ],
    );
    // A path with a protocol says that it has one. So does the longer one of the two rests.
    for line in ["GET /site/chat", "HEAD /site/chat", "GET /site/room/1"] {
        assert_eq!(ask(&mut app, line, &[]).status(), 426, "{line}");
    }
    let offer = ["Connection: upgrade", "Upgrade: chat"];
    assert_eq!(ask(&mut app, "GET /site/chat", &offer).text(), "{\"error\":\"no\"}");
    assert_eq!(ask(&mut app, "GET /site/room/1", &offer).text(), "{\"error\":\"no room\"}");
}

/// A table with a guard, which the name of the table passes.
fn guarded(name: &'static str) -> Routes<()> {
    let mut table = Routes::new();
    table.guard(move |(), req| match req.header("x-pass") {
        Some(passes) if passes.contains(name) => Ok(()),
        _ => Err(Error::new(401, name)),
    });
    table.after(move |(), _, reply| {
        reply.append_header("X-Seen-By", name);
    });
    table
}

#[test]
fn the_guards_of_the_route_that_answers_see_the_request() {
    let mut edits = guarded("edits");
    say(&mut edits, Method::Delete, "/:name");
    let mut reads = guarded("reads");
    say(&mut reads, Method::Get, "/*path").guard(|(), req| match req.header("x-pass") {
        Some(passes) if passes.contains("own") => Ok(()),
        _ => Err(Error::new(403, "own")),
    });
    let mut inner = guarded("inner");
    say(&mut inner, Method::Delete, "/:name");
    let mut outer = guarded("outer");
    say(&mut outer, Method::Get, "/*path");
    outer.mount("/in", inner);
    let mut app = Router::new(());
    app.mount("/files", edits);
    app.mount("/files", reads);
    app.mount("/tree", outer);
    say(&mut app, Method::Put, "/*all");
    for (line, passes, expected, seen) in [
        ("DELETE /files/a", "edits", "200 /:name a", "edits"),
        ("DELETE /files/a", "reads own", "401 {\"error\":\"edits\"}", "edits"),
        ("GET /files/a", "reads own", "200 /*path a", "reads"),
        ("GET /files/a", "reads", "403 {\"error\":\"own\"}", "reads"),
        ("GET /files/a", "edits own", "401 {\"error\":\"reads\"}", "reads"),
        // A 405 is the answer of the table to whose route the path leads.
        ("PATCH /files/a", "edits", NOT_ALLOWED, "edits"),
        ("PATCH /files/a", "reads own", "401 {\"error\":\"edits\"}", "edits"),
        // A route around a mounted table does not lead past its guard.
        ("GET /tree/in/a", "outer inner", "200 /*path in/a", "inner outer"),
        ("GET /tree/in/a", "outer", "401 {\"error\":\"inner\"}", "inner outer"),
        ("GET /tree/in/a", "inner", "401 {\"error\":\"outer\"}", "inner outer"),
        ("PUT /tree/in/a", "", "401 {\"error\":\"outer\"}", "inner outer"),
        ("PUT /tree/in/a", "inner outer", "200 /*all tree/in/a", "inner outer"),
    ] {
        let reply = ask(&mut app, line, &[&format!("X-Pass: {passes}")]);
        assert_eq!(format!("{} {}", reply.status(), reply.text()), expected, "{line} {passes}");
        assert_eq!(field(&reply, "X-Seen-By").join(" "), seen, "{line} {passes}");
    }
}

#[test]
fn the_answer_of_a_mounted_table_comes_before_the_rest_of_a_shorter_prefix_here_too() {
    let mut api = Routes::new();
    api.not_found(|(), _, res| res.text("no such call"));
    say(&mut api, Method::Delete, "/items/:id");
    say(&mut api, Method::Post, "/old/*path");
    let mut app = Router::new(());
    app.mount("/api", api);
    say(&mut app, Method::Get, "/*page");
    say(&mut app, Method::Delete, "/apis");
    check(
        &mut app,
        &[
            ("GET /api/items/1", NOT_ALLOWED),
            ("GET /api/old/1", NOT_ALLOWED),
            ("GET /api/items", "404 no such call"),
            ("GET /apis", "200 /*page apis"),
        ],
    );
    assert_eq!(allow(&mut app, "OPTIONS /api/items/1"), (204, "DELETE, OPTIONS".to_owned()));
    assert_eq!(allow(&mut app, "PUT /apis"), (405, "GET, HEAD, DELETE, OPTIONS".to_owned()));
}

#[test]
fn the_routes_of_another_host_do_not_answer() {
    let mut app = Router::new(());
    let mut host = Routes::new();
    say(&mut host, Method::Delete, "/files/:name");
    app.host("a.example", host);
    say(&mut app, Method::Get, "/*path");
    let line = |method: &str| format!("{method} http://a.example/files/x");
    assert_eq!(answer(&mut app, &line("GET")), NOT_ALLOWED);
    assert_eq!(allow(&mut app, &line("OPTIONS")), (204, "DELETE, OPTIONS".to_owned()));
    let mut more = Routes::new();
    say(&mut more, Method::Get, "/files/*path");
    app.host("a.example", more);
    assert_eq!(answer(&mut app, &line("GET")), "200 /files/*path x");
    assert_eq!(allow(&mut app, &line("OPTIONS")), (204, "GET, HEAD, DELETE, OPTIONS".to_owned()));
    assert_eq!(answer(&mut app, "DELETE /files/x"), NOT_ALLOWED);
}

/// Counts its content.
struct Counting(usize);

impl<S> BodySink<S> for Counting {
    fn data(&mut self, _: &mut S, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.0 += piece.len();
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut S, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text(format!("{} bytes", self.0))
    }
}

/// The patterns of the routes that answered.
#[derive(Clone, Default)]
struct Patterns(Rc<RefCell<Vec<String>>>);

impl Observer for Patterns {
    fn reply_finished(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        self.0.borrow_mut().push(reply.route.unwrap_or("-").to_owned());
    }
}

#[test]
fn content_goes_to_the_route_that_answers_and_obeys_its_limit() {
    let mut app = Router::new(());
    app.get("/up/:name", |(), _, res| res.text("got"));
    app.sink(Method::Post, "/up/*path", |(), req| {
        (req.param_str("path").as_deref() != Some("no"))
            .then_some(Counting(0))
            .ok_or_else(|| Error::new(403, "not this one"))
    });
    app.put("/up/*path", |(), req, res| res.text(format!("{} buffered", req.body().len()))).max_content(10);
    app.with(|(), req, res| ControlFlow::Continue(res.header("X-Path", req.param_str("path").unwrap_or_default())));
    let seen = Patterns::default();
    let mut client = TestClient::new(&mut app).observer(seen.clone());
    let reply = client.post("/up/a").body("content").send();
    assert_eq!((reply.text(), reply.header("x-path")), ("7 bytes", Some("a")));
    assert_eq!(client.post("/up/a").send().text(), "0 bytes");
    assert_eq!(client.put("/up/b").body("content").send().text(), "7 buffered");
    let reply = client.put("/up/b").body("more than that").send();
    assert_eq!((reply.status(), reply.header("x-path")), (413, Some("b")));
    let mut client = TestClient::new(&mut app).observer(seen.clone());
    assert_eq!(client.get("/up/a").send().text(), "got");
    assert_eq!(client.patch("/up/a").send().status(), 405);
    let expected = ["/up/*path", "/up/*path", "/up/*path", "/up/*path", "/up/:name", "/up/:name"];
    assert_eq!(*seen.0.borrow(), expected);
    // The sink refuses the content before it comes.
    client.write("POST /up/no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 900000\r\n\r\n");
    assert_eq!(client.read_reply().expect("it does not wait for the content").status(), 403);
}

#[test]
fn an_error_handler_sees_the_parameters_of_the_route_that_answers() {
    let mut app = Router::new(());
    app.delete("/files/:name", |(), _, res| res.empty());
    app.get("/files/*path", |(), _, _| Err(Error::new(503, "later")));
    app.on_error(|(), _, req, res| res.text(format!("{:?}", req.and_then(|req| req.param_str("path")))));
    assert_eq!(answer(&mut app, "GET /files/a"), "503 Some(\"a\")");
}

/// The others cost a request one check.
#[test]
fn only_an_endpoint_that_lacks_a_method_of_a_rest_beside_it_may_yield() {
    let yielding = |app: &Router<()>| -> Vec<String> {
        let endpoints = app.routes.endpoints.iter().filter(|endpoint| endpoint.may_yield);
        endpoints.map(|endpoint| endpoint.pattern.as_str().to_owned()).collect()
    };
    let mut app = Router::new(());
    for (method, pattern, expected) in [
        (Method::Post, "/echo", &[][..]),
        (Method::Get, "/files", &[]),
        (Method::Get, "/files/*path", &[]),
        (Method::Get, "/files/:name", &[]),
        (Method::Delete, "/files/:name/old", &["/files/:name/old"]),
        (Method::Get, "/files/:name/old", &[]),
        (Method::Put, "/*all", &["/echo", "/files", "/files/*path", "/files/:name", "/files/:name/old"]),
        (Method::Put, "/files/:name", &["/echo", "/files", "/files/*path", "/files/:name/old"]),
        (Method::Get, "/*all", &["/echo", "/files", "/files/*path", "/files/:name/old"]),
    ] {
        say(&mut app, method, pattern);
        assert_eq!(yielding(&app), expected, "{method} {pattern}");
    }
}

const PATTERNS: [&str; 12] = [
    "/*r", "/a/*r", "/:p/*r", "/a/b/*r", "/a/:p/*r", "/:p/b/*r", "/a/b", "/a/:p", "/:p/b", "/a/b/c", "/:p/:q/c", "/a/",
];

const PARTS: [&str; 5] = ["", "a", "b", "c", "%61"];

/// The kinds of a pattern's segments, if it matches this path: 0 for a literal, 1 for a parameter, 2 for the rest.
fn kinds(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let mut parts = path.split('/').skip(1);
    let mut kinds = Vec::new();
    for segment in pattern.split('/').skip(1) {
        let part = parts.next()?.replace("%61", "a");
        match segment.as_bytes() {
            [b'*', ..] => return Some([&kinds[..], &[2]].concat()),
            [b':', ..] if !part.is_empty() => kinds.push(1),
            literal if part.as_bytes() == literal => kinds.push(0),
            _ => return None,
        }
    }
    parts.next().is_none().then_some(kinds)
}

/// Which of these routes answers, by a trial of each.
fn expected(routes: &[(usize, bool)], is_post: bool, path: &str) -> String {
    let matching = || routes.iter().filter_map(|&(at, post)| Some((kinds(PATTERNS[at], path)?, at, post)));
    let Some((_, leads_to, _)) = matching().min() else { return "404".to_owned() };
    let has = matching().any(|(_, at, post)| at == leads_to && post == is_post);
    let rests = matching().filter(|(kinds, _, post)| kinds.ends_with(&[2]) && *post == is_post);
    let longest = rests.min_by_key(|(kinds, ..)| (usize::MAX - kinds.len(), kinds.clone())).map(|(_, at, _)| at);
    match (has, longest) {
        (true, _) => format!("200 {}", PATTERNS[leads_to]),
        (false, Some(at)) => format!("200 {}", PATTERNS[at]),
        (false, None) => "405".to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_request_is_answered_as_a_trial_of_every_route_says(
        routes in prop::collection::hash_set((0..PATTERNS.len(), any::<bool>()), 1..9),
        paths in prop::collection::vec(prop::collection::vec(0..PARTS.len(), 1..5), 1..20),
    ) {
        let routes: Vec<(usize, bool)> = routes.into_iter().collect();
        let mut app = Router::new(());
        for &(at, is_post) in &routes {
            say(&mut app, if is_post { Method::Post } else { Method::Get }, PATTERNS[at]);
        }
        for path in paths.iter().map(|parts| parts.iter().map(|&at| format!("/{}", PARTS[at])).collect::<String>()) {
            for (method, is_post) in [("GET", false), ("POST", true)] {
                let reply = ask(&mut app, &format!("{method} {path}"), &[]);
                let by = if reply.status() == 200 { reply.text().split(' ').next() } else { None };
                let found = by.map_or_else(|| reply.status().to_string(), |by| format!("200 {by}"));
                prop_assert_eq!(found, expected(&routes, is_post, &path), "{} {} among {:?}", method, path, routes);
            }
        }
    }
}
