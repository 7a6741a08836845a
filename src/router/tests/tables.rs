//! Which middleware sees a request, and what answers where no route does.

use std::ops::ControlFlow;

use super::{answer, ask, field};
use crate::http::{Error, Method};
use crate::router::{Next, Router, Routes};
use crate::{Request, Response, TestClient};

/// A table whose middleware notes each request under a name, with one route.
fn noting(name: &'static str, path: &str) -> Routes<Vec<&'static str>> {
    let mut table = Routes::new();
    table.with(note(name));
    table.get(path, move |_, _, res| res.text(name));
    table
}

/// A middleware that notes each request under a name.
fn note(name: &'static str) -> impl for<'r> Fn(&mut Vec<&'static str>, &Request<'_>, Response<'r>) -> Next<'r> {
    move |seen, _, res| {
        seen.push(name);
        ControlFlow::Continue(res)
    }
}

/// The answer to a request, and the tables that saw it.
#[track_caller]
fn seen(app: &mut Router<Vec<&'static str>>, line: &str) -> (String, String) {
    app.state_mut().clear();
    let answer = answer(app, line);
    (answer, app.state().join(" "))
}

fn guard<'r, S>(_: &mut S, req: &Request<'_>, res: Response<'r>) -> Next<'r> {
    match req.header("authorization") {
        Some("Bearer s3cret") => ControlFlow::Continue(res),
        _ => ControlFlow::Break(Err(Error::new(401, "guarded"))),
    }
}

#[test]
fn two_tables_at_one_prefix_keep_to_themselves() {
    for guarded_first in [true, false] {
        let mut open = Routes::<()>::new();
        open.get("/news", |(), _, res| res.text("open"));
        open.get("/both", |(), _, res| res.text("open"));
        let mut guarded = Routes::new();
        guarded.with(guard);
        guarded.get("/mail", |(), _, res| res.text("secret"));
        guarded.post("/both", |(), _, res| res.text("secret"));
        let mut app = Router::new(());
        if guarded_first {
            app.mount("/api", guarded);
            app.mount("/api", open);
        } else {
            app.mount("/api", open);
            app.mount("/api", guarded);
        }
        assert_eq!(answer(&mut app, "GET /api/news"), "200 open");
        assert_eq!(answer(&mut app, "GET /api/both"), "200 open");
        assert_eq!(answer(&mut app, "GET /api/mail"), "401 {\"error\":\"guarded\"}");
        assert_eq!(answer(&mut app, "POST /api/both"), "401 {\"error\":\"guarded\"}");
        assert_eq!(ask(&mut app, "GET /api/mail", &["Authorization: Bearer s3cret"]).text(), "secret");
    }
}

#[test]
fn a_request_is_seen_by_the_tables_around_its_route_and_by_those_whose_prefix_it_is_below() {
    let mut inner = noting("inner", "/x");
    inner.mount("/deep", noting("deep", "/y"));
    let mut app = Router::new(Vec::new());
    app.mount("/a", inner);
    app.mount("/a", noting("other", "/z"));
    app.mount("/a/b", noting("longer", "/c"));
    app.get("/a/outer", |_, _, res| res.text("outer"));
    app.get("/*rest", |_, _, res| res.text("rest"));
    // It was added last, and still it is called first.
    app.with(note("app"));
    let cases = [
        ("/a/x", "inner", "app inner"),
        ("/%61/x", "inner", "app inner"),
        ("/a/deep/y", "deep", "app inner deep"),
        ("/a/z", "other", "app other"),
        ("/a/b/c", "longer", "app longer"),
        ("/other", "rest", "app"),
        // Routes of the outermost table do not lead past the tables that are mounted in it.
        ("/a/outer", "outer", "app inner other"),
        ("/a/deep/no", "rest", "app inner deep other"),
        ("/x/../a/x", "rest", "app inner other"),
        ("//a/x", "rest", "app inner other"),
    ];
    for (path, by, tables) in cases {
        assert_eq!(seen(&mut app, &format!("GET {path}")), (format!("200 {by}"), tables.to_owned()), "{path}");
    }
    // A method that a path does not have is the business of the table that has the path.
    assert_eq!(seen(&mut app, "DELETE /a/z").1, "app other");
}

#[test]
fn a_path_without_a_route_belongs_to_the_longest_prefix_and_to_the_first_of_two() {
    let mut app = Router::new(Vec::new());
    app.mount("/a", noting("one", "/x"));
    app.mount("/a", noting("two", "/y"));
    let mut deep = noting("deep", "/z");
    deep.not_found(|_, req, res| res.text(format!("not below deep: {}", req.path())));
    app.mount("/a/deep", deep);
    app.mount("/bare", Routes::new());
    assert_eq!(seen(&mut app, "GET /a/no"), ("404 {\"error\":\"Not found\"}".to_owned(), "one".to_owned()));
    assert_eq!(seen(&mut app, "GET /a/deep/no"), ("404 not below deep: /a/deep/no".to_owned(), "deep".to_owned()));
    assert_eq!(seen(&mut app, "GET /no"), ("404 {\"error\":\"Not found\"}".to_owned(), String::new()));
    app.not_found(|_, _, res| res.status(410).text("gone"));
    for (path, tables) in [("/no", ""), ("/a/no", "one"), ("/bare/no", "")] {
        assert_eq!(seen(&mut app, &format!("PUT {path}")), ("410 gone".to_owned(), tables.to_owned()), "{path}");
    }
    assert_eq!(seen(&mut app, "GET /a/deep/no").0, "404 not below deep: /a/deep/no");
    assert_eq!(answer(&mut app, "DELETE /a/x"), "405 {\"error\":\"Method not allowed\"}");
    assert_eq!(ask(&mut app, "OPTIONS *", &[]).status(), 204);
    assert_eq!(ask(&mut app, "TRACE /no", &[]).status(), 405);
}

/// An API beside a site: what the API does not have is not the page.
#[test]
fn a_table_with_an_answer_of_its_own_comes_before_the_rest_of_a_shorter_prefix() {
    let mut api = noting("api", "/x");
    api.not_found(|_, _, res| res.text("no such call"));
    api.mount("/deep", noting("deep", "/y"));
    api.get("/files/*path", |_, _, res| res.text("files of the api"));
    let mut app = Router::new(Vec::new());
    app.mount("/api", api);
    app.mount("/other", noting("other", "/x"));
    app.get("/*path", |_, _, res| res.text("page"));
    app.sink(Method::Post, "/*path", |_, _| Ok(Discards));
    app.get("/api/health", |_, _, res| res.text("well"));
    app.get("/api/v1/*path", |_, _, res| res.text("old"));
    for (path, expected) in [
        ("/", "200 page"),
        ("/apis", "200 page"),
        ("/other/y", "200 page"),
        ("/api/x", "200 api"),
        ("/api", "404 no such call"),
        ("/api/", "404 no such call"),
        ("/api/y", "404 no such call"),
        ("/api/x/y", "404 no such call"),
        ("/api/deep/y", "200 deep"),
        ("/api/deep/z", "404 no such call"),
        ("/x/../api/y", "404 no such call"),
        ("//%61pi/y", "404 no such call"),
        // Routes that say more than the prefix still count.
        ("/api/health", "200 well"),
        ("/api/v1/y", "200 old"),
        ("/api/files/y", "200 files of the api"),
    ] {
        assert_eq!(answer(&mut app, &format!("GET {path}")), expected, "{path}");
    }
    assert_eq!(answer(&mut app, "POST /api/y"), "404 no such call");
    // Each host has tables of its own.
    let mut host = Routes::new();
    host.get("/*path", |_, _, res| res.text("page of the host"));
    let mut inner = noting("inner", "/x");
    inner.not_found(|_, _, res| res.text("not inside"));
    host.mount("/inner", inner);
    app.host("b.example", host);
    for (path, expected) in [("/api/y", "page of the host"), ("/inner/y", "not inside"), ("/inner/x", "inner")] {
        assert_eq!(ask(&mut app, &format!("GET http://b.example{path}"), &[]).text(), expected, "{path}");
    }
    assert_eq!(answer(&mut app, "GET /inner/y"), "200 page");
    assert_eq!(answer(&mut app, "DELETE /api/x"), "405 {\"error\":\"Method not allowed\"}");
}

/// A handler for paths without a route does not make the server read their content.
#[test]
fn the_content_of_a_request_without_a_route_is_not_read() {
    let mut app = Router::new(());
    app.not_found(|_, req, res| res.text(format!("{} bytes", req.body().len())));
    let mut client = TestClient::new(app);
    client.write("POST /no HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\n");
    let reply = client.read_reply().expect("it does not wait for the content");
    assert_eq!((reply.status(), reply.text()), (404, "0 bytes"));
}

#[test]
fn the_middleware_of_a_route_sees_its_requests_alone_and_after_that_of_its_table() {
    let mut table = noting("table", "/other");
    table.get("/x", |_, _, res| res.text("x")).with(note("first")).with(note("second"));
    table.post("/x", |_, _, res| res.text("posted"));
    table.sink(Method::Put, "/x", |_, _| Ok(Discards)).with(note("sink"));
    let mut app = Router::new(Vec::new());
    app.mount("/t", table);
    app.get("/y", |_, _, res| res.text("y")).with(note("own"));
    let cases = [
        ("GET /t/x", "200 x", "table first second"),
        ("HEAD /t/x", "200 ", "table first second"),
        ("POST /t/x", "200 posted", "table"),
        ("PUT /t/x", "200 taken", "table sink"),
        ("DELETE /t/x", "405 {\"error\":\"Method not allowed\"}", "table"),
        ("GET /t/other", "200 table", "table"),
        ("GET /y", "200 y", "own"),
    ];
    for (line, expected, tables) in cases {
        assert_eq!(seen(&mut app, line), (expected.to_owned(), tables.to_owned()), "{line}");
    }
}

struct Discards;

impl<S> crate::exchange::BodySink<S> for Discards {
    fn data(&mut self, _: &mut S, _: &[u8], _: &mut crate::exchange::Intake<'_>) -> crate::Result<()> {
        Ok(())
    }

    fn end(
        self: Box<Self>,
        _: &mut S,
        _: crate::exchange::Trailers<'_>,
        res: Response<'_>,
    ) -> crate::Result<crate::Sent> {
        res.text("taken")
    }
}

/// A guard for one route refuses content before it is read, and a larger limit does not help.
#[test]
fn the_middleware_of_a_route_answers_before_its_content_comes() {
    let mut app = Router::new(());
    app.sink(Method::Post, "/upload", |(), _| Ok(Discards)).with(guard);
    let mut client = TestClient::new(app);
    client.write("POST /upload HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n");
    assert_eq!(client.read_reply().expect("it does not wait for the content").status(), 401);
}

#[test]
fn what_middleware_sets_on_a_request_is_there_for_the_handler_and_for_no_other_request() {
    #[derive(Debug, PartialEq)]
    struct User(u32);
    let mut app = Router::new(());
    app.with(|(), req, res| {
        if let Some(id) = req.header("x-user").and_then(|id| id.parse().ok()) {
            req.set(User(id));
        }
        ControlFlow::Continue(res)
    });
    app.get("/", |(), req, res| res.text(format!("{:?}", req.get::<User>())));
    app.post("/", |(), req, res| res.text(format!("{:?}", req.get::<User>())));
    let mut client = TestClient::new(app);
    assert_eq!(client.get("/").header("X-User", "7").send().text(), "Some(User(7))");
    assert_eq!(client.get("/").send().text(), "None");
    assert_eq!(client.post("/").header("X-User", "8").body("in pieces").send().text(), "Some(User(8))");
}

/// Each spelling of a path below a guarded prefix, whatever answers it.
#[test]
fn no_spelling_of_a_path_leads_past_a_guard() {
    let mut private = Routes::new();
    private.with(guard);
    private.get("/secret", |(), _, res| res.text("secret"));
    private.get("/dir/", |(), _, res| res.text("secret"));
    private.post("/secret", |(), _, res| res.text("secret"));
    let mut app = Router::new(());
    app.mount("/private", private);
    app.get("/open", |(), _, res| res.text("open"));
    // It is in the place of files: it answers what it finds when dot segments and empty segments are resolved.
    app.get("/*path", |(), req, res| res.text(format!("the files have {}", req.path())));
    let spellings = [
        "/private/secret",
        "/private/secret?x",
        "/private/secret/",
        "/private/secret//",
        "/private//secret",
        "//private/secret",
        "///private///secret",
        "/./private/secret",
        "/private/./secret",
        "/private/x/../secret",
        "/open/../private/secret",
        "/open/x/../../private/secret",
        "/../private/secret",
        "/%2e/private/secret",
        "/%2E%2e/private/secret",
        "/open/%2e%2e/private/secret",
        "/open/.%2e/private/secret",
        "/%70rivate/secret",
        "/%70%72%69%76%61%74%65/%73ecret",
        "/privat%65/secret",
        "/private/%73ecret",
        "/private/secret/.",
        "/private/secret/..",
        "/private/secret/x/..",
        "/private/",
        "/private",
        "/private/.",
        "/private/..",
        "/private/../private/secret",
        "/open//../private/secret",
        "/private/dir",
        "/private/dir/",
        "/private/dir/..",
        "/private/dir/%2e%2e/secret",
        "/private/none",
        "/private/%20",
        "http://localhost/private/secret",
        "http://localhost//private/secret",
        "HTTP://localhost/%70rivate/secret",
    ];
    assert_eq!(spellings.len(), 39);
    for path in spellings {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"] {
            let reply = ask(&mut app, &format!("{method} {path}"), &[]);
            assert_eq!(reply.status(), 401, "{method} {path}: {}", reply.text());
        }
        assert_ne!(ask(&mut app, &format!("GET {path}"), &["Authorization: Bearer s3cret"]).status(), 401, "{path}");
    }
    for path in ["/open", "/privat", "/privatee/secret", "/Private/secret", "/private%2Fsecret", "/x/private/secret"] {
        assert_eq!(field(&ask(&mut app, &format!("GET {path}"), &[]), "content-length").len(), 1);
        assert_eq!(ask(&mut app, &format!("GET {path}"), &[]).status(), 200, "{path}");
    }
}

/// A guard that checks a signature of the content must not judge a request whose content is not there.
#[test]
fn what_the_server_refuses_itself_no_middleware_answers() {
    let mut app = Router::new(Vec::new());
    app.with(note("app"));
    app.with(|_, req, res| match req.body() {
        b"signed" => ControlFlow::Continue(res.header("X-App", "yes")),
        _ => ControlFlow::Break(Err(Error::new(401, "not signed").with_header("X-Lost", "yes"))),
    });
    app.post("/", |_, _, res| res.text("taken")).with(note("own")).max_content(10);
    for (fields, status) in [
        (&["Content-Length: 11"][..], 413),
        (&["Content-Length: 99999999999"], 413),
        (&["Content-Length: 3", "Expect: tea"], 417),
    ] {
        app.state_mut().clear();
        let reply = ask(&mut app, "POST /", fields);
        assert_eq!((reply.status(), field(&reply, "X-Lost").len()), (status, 0), "{fields:?}");
        assert_eq!(*app.state(), ["app"], "{fields:?}");
    }
    let mut client = TestClient::new(app);
    assert_eq!(client.post("/").body("signed").send().status(), 200);
    assert_eq!(client.post("/").body("forged").send().status(), 401);
}

/// The files may be in a table of their own, which is mounted before that of the guard or after it.
#[test]
fn no_table_with_a_shorter_prefix_leads_past_a_guard() {
    for guard_first in [true, false] {
        let mut private = Routes::new();
        private.with(guard);
        private.get("/secret", |(), _, res| res.text("secret"));
        private.after(|(), _, reply| _ = reply.header("X-Private", "yes"));
        let mut site = Routes::new();
        site.get("/*path", |(), _, res| res.text("file"));
        let mut app = Router::new(());
        if guard_first {
            app.mount("/private", private);
            app.mount("/", site);
        } else {
            app.mount("/", site);
            app.mount("/private", private);
        }
        for path in ["/private/secret", "/private/none", "/x/../private/none", "//private/none", "/%70rivate/none"] {
            let reply = ask(&mut app, &format!("GET {path}"), &[]);
            assert_eq!((reply.status(), reply.header("X-Private")), (401, Some("yes")), "{path}");
        }
        assert_eq!(answer(&mut app, "GET /other"), "200 file");
    }
}
