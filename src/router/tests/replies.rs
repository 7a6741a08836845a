//! What happens to a reply after its handler: errors are rendered, and functions look at it.

use std::ops::ControlFlow;

use super::{answer, ask, field};
use crate::exchange::{BodySink, Intake, Outgoing, Responder, Trailers, from_iter};
use crate::http::{Error, Method};
use crate::router::{Router, Routes};
use crate::{Request, Response, Result, Sent, TestClient};

/// What the functions after a handler note.
#[derive(Default)]
struct Notes {
    lines: Vec<String>,
    responder: Option<Responder>,
}

/// Notes a reply: status, path, content, error.
fn note(notes: &mut Notes, req: &Request<'_>, reply: &mut Outgoing<'_>) {
    let content = reply.content().map(|content| String::from_utf8_lossy(content).into_owned());
    let error = reply.error().map_or(String::new(), |error| format!(" {}", error.message()));
    let kind = reply.get_header("content-type").unwrap_or("-");
    let line = format!("{} {} {kind} {}{error}", reply.status(), req.target(), content.as_deref().unwrap_or("?"));
    notes.lines.push(line);
    reply.header("X-Seen", "yes");
}

struct Sink;

impl BodySink<Notes> for Sink {
    fn data(&mut self, _: &mut Notes, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        if piece == b"fail" { Err(Error::new(422, "no")) } else { Ok(()) }
    }

    fn end(self: Box<Self>, _: &mut Notes, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text("taken")
    }
}

fn app() -> Router<Notes> {
    let mut app = Router::new(Notes::default());
    app.get("/text", |_, _, res| res.text("hello"));
    app.get("/empty", |_, _, res| res.empty());
    app.get("/none", |_, _, res| res.status(204).empty());
    app.get("/large", |_, _, res| res.html("x".repeat(100_000)));
    app.get("/written", |_, _, res| {
        let mut body = res.header("Content-Type", "text/x-written").start()?;
        body.write("piece ")?;
        body.write("by piece")?;
        body.end()
    });
    app.get("/stream", |_, _, res| res.stream(from_iter(["a", "b"])));
    app.get("/late/:id", |notes: &mut Notes, req, res| {
        req.set(7_u8);
        let (sent, responder) = res.header("X-Early", "yes").defer();
        notes.responder = Some(responder);
        Ok(sent)
    });
    app.get("/fail", |_, _, _| Err(Error::new(409, "taken")));
    app.get("/panic", |_, _, _| std::panic::resume_unwind(Box::new("as asked")));
    app.sink(Method::Post, "/sink", |_, _| Ok(Sink));
    app.post("/post", |_, req, res| res.send(req.body()));
    app
}

#[test]
fn a_function_after_the_handler_sees_and_changes_each_reply() {
    let mut app = app();
    app.with(|_, req, res| match req.query_string() {
        Some("stop") => ControlFlow::Break(res.text("by middleware")),
        _ => ControlFlow::Continue(res),
    });
    app.after(note);
    let large = "x".repeat(100_000);
    let text = "text/plain; charset=utf-8";
    let cases = [
        ("GET /text", 200, "hello", format!("200 /text {text} hello")),
        ("GET /text?stop", 200, "by middleware", format!("200 /text?stop {text} by middleware")),
        ("GET /empty", 200, "", "200 /empty - ".to_owned()),
        ("GET /none", 204, "", "204 /none - ".to_owned()),
        ("GET /large", 200, &*large, format!("200 /large text/html; charset=utf-8 {large}")),
        ("GET /written", 200, "piece by piece", "200 /written text/x-written piece by piece".to_owned()),
        ("GET /stream", 200, "ab", "200 /stream application/octet-stream ?".to_owned()),
        ("GET /fail", 409, "{\"error\":\"taken\"}", {
            "409 /fail application/json {\"error\":\"taken\"} taken".to_owned()
        }),
        ("GET /panic", 500, "{\"error\":\"Internal server error\"}", {
            "500 /panic application/json {\"error\":\"Internal server error\"} Internal server error".to_owned()
        }),
        ("GET /no", 404, "{\"error\":\"Not found\"}", {
            "404 /no application/json {\"error\":\"Not found\"} Not found".to_owned()
        }),
        ("OPTIONS /text", 204, "", "204 /text - ".to_owned()),
        ("HEAD /text", 200, "", format!("200 /text {text} ")),
        ("POST /sink", 200, "taken", format!("200 /sink {text} taken")),
    ];
    for (line, status, content, noted) in cases {
        app.state_mut().lines.clear();
        let reply = ask(&mut app, line, &[]);
        assert_eq!((reply.status(), reply.text()), (status, content), "{line}");
        assert_eq!(field(&reply, "X-Seen"), ["yes"], "{line}");
        assert_eq!(app.state().lines, [noted], "{line}");
    }
    // Without a change, the length is what it would be without the function.
    assert_eq!(field(&ask(&mut app, "HEAD /text", &[]), "Content-Length"), ["5"]);
    assert_eq!(field(&ask(&mut app, "GET /written", &[]), "Content-Length"), ["14"]);
    assert_eq!(field(&ask(&mut app, "GET /stream", &[]), "Transfer-Encoding"), ["chunked"]);
    // What was refused at its head is seen, and what was not understood is not.
    app.state_mut().lines.clear();
    assert_eq!(ask(&mut app, "POST /post", &["Content-Length: 99999999"]).status(), 413);
    assert_eq!(app.state().lines.len(), 1);
    let mut client = TestClient::new(&mut app);
    client.write("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_reply().map(|reply| reply.status()), Some(400));
    assert_eq!(app.state().lines.len(), 1);
}

#[test]
fn replies_in_a_pipeline_keep_their_order_and_their_contents() {
    let mut app = app();
    app.after(note);
    let mut client = TestClient::new(app);
    let targets = ["/text", "/large", "/stream", "/written", "/fail", "/none", "/text"];
    client.write(targets.map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).concat());
    let lengths = targets.map(|_| client.read_reply().expect("a reply").body().len());
    assert_eq!(lengths, [5, 100_000, 2, 14, 17, 0, 5]);
}

#[test]
fn a_function_can_replace_status_fields_and_content() {
    type Change = fn(&mut Outgoing<'_>);
    let cases: &[(&str, Change, u16, &str, &str)] = &[
        ("GET /text", |reply| reply.set_content("other content"), 200, "other content", "13"),
        ("GET /large", |reply| reply.set_content("small"), 200, "small", "5"),
        ("GET /text", |reply| reply.set_content("y".repeat(20_000)), 200, &"y".repeat(20_000), "20000"),
        ("GET /stream", |reply| reply.set_content("no stream"), 200, "no stream", "9"),
        ("GET /empty", |reply| reply.set_content("not empty"), 200, "not empty", "9"),
        ("GET /none", |reply| reply.set_status(200), 200, "", "0"),
        ("GET /text", |reply| reply.set_status(204), 204, "", ""),
        ("GET /stream", |reply| reply.set_status(304), 304, "", ""),
        ("GET /text", |reply| reply.set_status(205), 205, "", "0"),
        ("GET /fail", |reply| reply.set_status(200), 200, "{\"error\":\"taken\"}", "17"),
        ("HEAD /text", |reply| reply.set_content("longer than before"), 200, "", "18"),
        ("GET /late/1", |reply| reply.set_content("never asked"), 200, "never asked", "11"),
    ];
    for (line, change, status, content, length) in cases {
        let change = *change;
        let mut app = app();
        app.after(move |_, _, reply| change(reply));
        let (method, target) = line.split_once(' ').unwrap();
        let mut client = TestClient::new(app);
        client.write(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        if let Some(responder) = client.app_mut().state_mut().responder.take() {
            responder.text("late");
            client.advance(std::time::Duration::ZERO);
        }
        let bytes = String::from_utf8(client.read()).unwrap();
        let (head, body) = bytes.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {head}");
        assert_eq!(body, *content, "{line}");
        let lengths: Vec<_> = head.lines().filter_map(|line| line.strip_prefix("Content-Length: ")).collect();
        assert_eq!(lengths.concat(), *length, "{line}: {head}");
        assert_eq!((client.ended(), client.is_half_closed()), (None, false), "{line}");
    }
}

#[test]
fn a_function_that_fails_gives_a_500_and_the_connection_goes_on() {
    type Change = fn(&mut Outgoing<'_>);
    let cases: [Change; 4] = [
        |_| std::panic::resume_unwind(Box::new("as asked")),
        |reply| reply.set_status(99),
        |reply| {
            reply.header("X-Bad", "line\nbreak");
        },
        |reply| {
            reply.header("Content-Length", "3");
        },
    ];
    for change in cases {
        for target in ["/text", "/large", "/written", "/fail", "/nowhere"] {
            let mut app = app();
            app.after(move |_, _, reply| change(reply));
            let mut client = TestClient::new(app);
            for _ in 0..2 {
                let reply = client.get(target).send();
                assert_eq!((reply.status(), reply.text()), (500, "{\"error\":\"Internal server error\"}"), "{target}");
            }
        }
    }
}

#[test]
fn functions_of_inner_tables_come_first_and_those_of_a_route_before_them() {
    let push = |name: &'static str| {
        move |notes: &mut Notes, _: &Request<'_>, _: &mut Outgoing<'_>| {
            notes.lines.push(name.to_owned());
        }
    };
    let mut inner = Routes::new();
    inner.get("/x", |_, _, res| res.text("x")).after(push("route"));
    inner.get("/y", |_, _, res| res.text("y"));
    inner.after(push("inner"));
    let mut app = app();
    app.mount("/inner", inner);
    app.after(push("first"));
    app.after(push("second"));
    for (line, expected) in [
        ("GET /inner/x", "route inner first second"),
        ("GET /inner/y", "inner first second"),
        ("GET /inner/no", "inner first second"),
        ("GET /text", "first second"),
    ] {
        app.state_mut().lines.clear();
        answer(&mut app, line);
        assert_eq!(app.state().lines.join(" "), expected, "{line}");
    }
}

/// A reply that is put off is seen when it is given, with its request, its parameters and what was handed on.
#[test]
fn a_reply_that_is_put_off_is_seen_with_its_request() {
    let mut app = app();
    app.after(|notes, req, reply| {
        let id = req.param_str("id").unwrap_or_default();
        notes.lines.push(format!("{id} {:?} {:?} {}", req.get::<u8>(), req.header("x-more"), reply.status()));
        reply.header("X-Id", id);
    });
    app.on_error(|notes, error, req, res| {
        notes.lines.push(format!("error for {:?}", req.map(|req| req.target())));
        res.text(error.message())
    });
    let mut client = TestClient::new(app);
    client.write("GET /late/a%20b HTTP/1.1\r\nHost: a\r\nX-More: yes\r\n\r\n");
    assert!(client.read().is_empty() && client.app().state().lines.is_empty());
    client.app_mut().state_mut().responder.take().unwrap().text("done");
    client.advance(std::time::Duration::ZERO);
    let reply = client.read_reply().expect("the reply");
    assert_eq!((reply.text(), reply.header("X-Id"), reply.header("X-Early")), ("done", Some("a b"), Some("yes")));
    client.write("GET /late/2?q HTTP/1.1\r\nHost: a\r\n\r\n");
    client.app_mut().state_mut().responder.take().unwrap().error(Error::new(418, "tea"));
    client.advance(std::time::Duration::ZERO);
    let reply = client.read_reply().expect("the reply");
    assert_eq!((reply.status(), reply.text(), reply.header("X-Id")), (418, "tea", Some("2")));
    // A sink that fails within its content.
    client.write("POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n").write("fail");
    assert_eq!(client.read_reply().expect("the reply").text(), "no");
    let lines = &client.app().state().lines;
    let expected = [
        "a b Some(7) Some(\"yes\") 200",
        "error for Some(\"/late/2?q\")",
        "2 Some(7) None 418",
        "error for Some(\"/sink\")",
        " None None 422",
    ];
    assert_eq!(*lines, expected);
}

#[test]
fn an_error_is_html_for_browsers_and_json_for_programs() {
    let browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let cases = [
        (browser, true),
        ("Accept: text/html", true),
        ("Accept: application/json, text/html;q=0.9", false),
        ("Accept: */*", false),
        ("Accept: image/png", false),
        ("X-No-Accept: none", false),
    ];
    for (accept, html) in cases {
        for (line, status) in [("GET /fail", 409), ("GET /no", 404), ("DELETE /text", 405), ("GET /panic", 500)] {
            let reply = ask(&mut app(), line, &[accept]);
            assert_eq!((reply.status(), field(&reply, "Vary")), (status, vec!["Accept"]), "{line}, {accept}");
            let kind = if html { "text/html; charset=utf-8" } else { "application/json" };
            assert_eq!(field(&reply, "Content-Type"), [kind], "{line}, {accept}");
            assert_eq!(reply.text().starts_with("<!DOCTYPE html>"), html, "{line}, {accept}");
        }
        // A reply that is put off remembers what its client prefers.
        let mut client = TestClient::new(app());
        client.write(format!("GET /late/1 HTTP/1.1\r\nHost: a\r\n{accept}\r\n\r\n"));
        drop(client.app_mut().state_mut().responder.take());
        client.advance(std::time::Duration::ZERO);
        let reply = client.read_reply().expect("the reply");
        assert_eq!((reply.status(), reply.text().starts_with("<!DOCTYPE html>")), (500, html), "{accept}");
        // A cache must not give the page to a program, nor the JSON to a browser.
        assert_eq!(field(&reply, "Vary"), ["Accept"], "{accept}");
    }
    let mut app = Router::new(());
    app.get("/", |_, _, _| Err(Error::bad_request("<script>alert(\"&\")</script>")));
    let page = ask(&mut app, "GET /", &[browser]);
    assert!(page.text().contains("<title>400 Bad Request</title>\n<h1>400 Bad Request</h1>\n"), "{}", page.text());
    assert!(page.text().contains("<p>&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;</p>"), "{}", page.text());
}

#[test]
fn a_renderer_of_errors_gets_the_state_and_the_request_with_its_parameters() {
    let mut app = Router::new(0_u32);
    app.get("/users/:id", |_, req, _| {
        req.set("handed on");
        Err(Error::new(410, "gone"))
    });
    app.on_error(|count, error, req, res| {
        *count += 1;
        let asked = req.map(|req| (req.param_str("id").unwrap_or_default(), req.get::<&str>()));
        res.text(format!("{count}: {} {asked:?}", error.message()))
    });
    assert_eq!(answer(&mut app, "GET /users/7"), "410 1: gone Some((\"7\", Some(\"handed on\")))");
    assert_eq!(answer(&mut app, "GET /no"), "404 2: Not found Some((\"\", None))");
    let mut client = TestClient::new(app);
    client.write("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(client.read_reply().expect("a reply").text(), "3: Missing, repeated or malformed Host None");
}
