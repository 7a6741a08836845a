//! Routes that belong to a host.

use std::ops::ControlFlow;

use super::{ask, field};
use crate::http::Error;
use crate::router::{Router, Routes};

/// Status and content of the reply to a request for a host.
#[track_caller]
fn at<S>(app: &mut Router<S>, host: &str, line: &str) -> String {
    let reply = ask(app, line, &[&format!("Host: {host}")]);
    format!("{} {}", reply.status(), reply.text())
}

fn saying(text: &'static str) -> Routes<Vec<&'static str>> {
    let mut routes = Routes::new();
    routes.with(move |seen: &mut Vec<_>, _, res| {
        seen.push(text);
        ControlFlow::Continue(res)
    });
    routes.get("/", move |_, _, res| res.text(text));
    routes
}

#[test]
fn a_request_finds_the_routes_of_its_host_alone() {
    let mut app = Router::new(Vec::new());
    app.host("*.example.org", saying("any"));
    app.host("api.example.org", saying("api"));
    app.host("*.deep.example.org", saying("deep"));
    app.get("/", |_, _, res| res.text("others"));
    app.get("/health", |_, _, res| res.text("well"));
    app.with(|seen, _, res| {
        seen.push("app");
        ControlFlow::Continue(res)
    });
    app.not_found(|_, _, res| res.text("nowhere"));
    let cases = [
        ("api.example.org", "GET /", "200 api", "app api"),
        ("API.EXAMPLE.ORG:8080", "GET /", "200 api", "app api"),
        ("b.example.org", "GET /", "200 any", "app any"),
        ("a.deep.example.org", "GET /", "200 deep", "app deep"),
        ("example.org", "GET /", "200 others", "app"),
        ("localhost", "GET /", "200 others", "app"),
        ("localhost", "GET /health", "200 well", "app"),
        // The routes of no host are not those of a host.
        ("api.example.org", "GET /health", "404 nowhere", "app api"),
        ("localhost", "GET /no", "404 nowhere", "app"),
        ("api.example.org", "DELETE /", "405 {\"error\":\"Method not allowed\"}", "app api"),
    ];
    for (host, line, expected, seen) in cases {
        app.state_mut().clear();
        assert_eq!(at(&mut app, host, line), expected, "{host} {line}");
        assert_eq!(app.state().join(" "), seen, "{host} {line}");
    }
    // The authority of an absolute target replaces `Host`.
    assert_eq!(at(&mut app, "localhost", "GET http://api.example.org/"), "200 api");
    let listed: Vec<String> = app.routes().map(|route| route.to_string()).collect();
    let expected = [
        "GET    *.example.org/",
        "GET    api.example.org/",
        "GET    *.deep.example.org/",
        "GET    /",
        "GET    /health",
    ];
    assert_eq!(listed, expected);
}

#[test]
fn tables_of_a_host_keep_to_themselves() {
    let mut guarded = Routes::new();
    guarded.with(|(), _, _| ControlFlow::Break(Err(Error::new(401, "guarded"))));
    guarded.get("/secret", |(), _, res| res.text("secret"));
    let mut site = Routes::new();
    site.mount("/private", guarded);
    site.get("/*path", |(), _, res| res.text("file"));
    site.not_found(|(), _, res| res.text("not on this site"));
    let mut app = Router::new(());
    app.host("site.example", site);
    app.get("/*path", |(), _, res| res.text("other"));
    let mut more = Routes::new();
    more.post("/form", |(), _, res| res.text("posted"));
    app.host("SITE.example", more);
    for (host, line, expected) in [
        ("site.example", "GET /private/secret", "401 {\"error\":\"guarded\"}"),
        ("site.example", "GET /x/../private/secret", "401 {\"error\":\"guarded\"}"),
        ("site.example.", "GET //private/none", "401 {\"error\":\"guarded\"}"),
        ("site.example", "GET /x", "200 file"),
        ("site.example", "POST /form", "200 posted"),
        ("elsewhere.example", "GET /private/secret", "200 other"),
        ("elsewhere.example", "POST /form", "405 {\"error\":\"Method not allowed\"}"),
    ] {
        assert_eq!(at(&mut app, host, line), expected, "{host} {line}");
    }
    assert_eq!(field(&ask(&mut app, "OPTIONS *", &[]), "Allow"), ["GET, HEAD, POST, OPTIONS"]);
}

/// A host can get its routes in several parts.
#[test]
fn no_part_of_a_host_leads_past_the_guard_of_another() {
    let part = |of: &str| {
        let mut part = Routes::new();
        if of == "files" {
            part.get("/*path", |(), _, res| res.text("file"));
        } else {
            let mut private = Routes::new();
            private.with(|(), _, _| ControlFlow::Break(Err(Error::new(401, "guarded"))));
            private.get("/secret", |(), _, res| res.text("secret"));
            part.mount("/private", private);
        }
        part
    };
    for parts in [["files", "admin"], ["admin", "files"]] {
        let mut app = Router::new(());
        parts.iter().for_each(|of| app.host("a.example", part(of)));
        for path in ["/private/secret", "/private/none", "/x/../private/none"] {
            assert_eq!(at(&mut app, "a.example", &format!("GET {path}")), "401 {\"error\":\"guarded\"}", "{path}");
            assert_eq!(&at(&mut app, "b.example", &format!("GET {path}"))[..3], "404", "{path}");
        }
        assert_eq!(at(&mut app, "a.example", "GET /other"), "200 file");
    }
}

#[test]
fn a_host_that_has_a_route_already_panics() {
    let twice = std::panic::catch_unwind(|| {
        let mut app = Router::new(Vec::new());
        app.host("a.example", saying("one"));
        app.host("A.example", saying("two"));
    });
    assert!(twice.is_err());
}
