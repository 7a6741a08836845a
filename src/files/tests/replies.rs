//! A file as the reply of a handler, a middleware, a sink, a deferred answer or an error renderer.

use std::ops::ControlFlow;
use std::os::unix::fs::symlink;

use super::{Folder, app, ask};
use crate::exchange::{BodySink, Intake, Response, Sent, Trailers};
use crate::files::Files;
use crate::http::{Error, Method, Result};
use crate::router::Routes;
use crate::testing::TestReply;
use crate::{Router, TestClient};

const LARGE: usize = 100_000;

fn folder() -> Folder {
    let folder = Folder::new("replies");
    folder.write("small.txt", "0123456789");
    folder.write("large.bin", vec![b'x'; LARGE]);
    folder.write("dir/x", "x");
    folder.fifo("fifo");
    symlink("small.txt", folder.path("link.txt")).unwrap();
    symlink("nowhere", folder.path("dangling")).unwrap();
    folder
}

fn field<'r>(reply: &'r TestReply, name: &str) -> Vec<&'r str> {
    reply.header_all(name).collect()
}

/// An application whose route `/` answers with this function.
fn answering(answer: impl Fn(Response<'_>) -> Result<Sent> + 'static) -> Router<()> {
    let mut app = Router::new(());
    app.any("/", move |_, _, res| answer(res));
    app
}

#[test]
fn a_file_is_sent_with_its_type_length_and_validators() {
    let folder = folder();
    for (name, content, media_type) in [
        ("small.txt", b"0123456789".to_vec(), "text/plain; charset=utf-8"),
        ("large.bin", vec![b'x'; LARGE], "application/octet-stream"),
        ("link.txt", b"0123456789".to_vec(), "text/plain; charset=utf-8"),
    ] {
        let path = folder.path(name);
        let mut app = answering(move |res| res.file(&path));
        let reply = ask(&mut app, "GET /", &[]);
        assert!(reply.status() == 200 && reply.body() == content, "{name}: {reply:?}");
        assert_eq!(field(&reply, "Content-Type"), [media_type]);
        assert_eq!(field(&reply, "Content-Length"), [content.len().to_string()]);
        for name in ["ETag", "Last-Modified", "Accept-Ranges", "X-Content-Type-Options", "Date"] {
            assert_eq!(field(&reply, name).len(), 1, "{name}");
        }
        let head = ask(&mut app, "HEAD /", &[]);
        assert!(head.headers().eq(reply.headers()) && head.body().is_empty(), "{head:?}");
        let none_match = format!("If-None-Match: {}", reply.header("ETag").unwrap());
        assert_eq!(ask(&mut app, "GET /", &[&none_match]).status(), 304);
        assert_eq!(ask(&mut app, "GET /", &["If-Match: \"x\""]).status(), 412);
        let part = ask(&mut app, "GET /", &["Range: bytes=1-2"]);
        assert_eq!((part.status(), part.body()), (206, &content[1..=2]));
        let error = ask(&mut app, "GET /", &["Range: bytes=200000-"]);
        assert_eq!(
            (error.status(), field(&error, "Content-Range")),
            (416, vec![&*format!("bytes */{}", content.len())])
        );
    }
}

#[test]
fn a_path_that_is_no_regular_file_is_a_404() {
    let folder = folder();
    for (name, expected) in [
        ("nothing", 404),
        ("nothing/x", 404),
        ("small.txt/x", 404),
        ("dir", 404),
        ("fifo", 404),
        ("dangling", 404),
        ("", 404),
        ("nul\0", 404),
        (&"a".repeat(300), 404),
    ] {
        let path = folder.path(name);
        let mut app = answering(move |res| res.header("X-Mine", "1").file(&path));
        let reply = ask(&mut app, "GET /", &[]);
        assert_eq!((reply.status(), reply.header("X-Mine")), (expected, None), "{name:?}");
        assert_eq!(field(&reply, "ETag"), [""; 0], "{name:?}");
    }
}

#[test]
fn fields_that_the_handler_has_set_are_kept() {
    let folder = folder();
    let path = folder.path("small.txt");
    let mut app = answering(move |res| {
        let res = res.header("Content-Type", "text/x-mine").header("Cache-Control", "private");
        let res = res.header("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT").header("Vary", "Cookie");
        res.header("X-Content-Type-Options", "mine").header("Content-Disposition", "inline").file(&path)
    });
    for (fields, status) in [(&[][..], 200), (&["Range: bytes=0-1"], 206), (&["Range: bytes=-1"], 206)] {
        let reply = ask(&mut app, "GET /", fields);
        assert_eq!(reply.status(), status);
        for (name, expected) in [
            ("Content-Type", "text/x-mine"),
            ("Cache-Control", "private"),
            ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("Vary", "Cookie"),
            ("X-Content-Type-Options", "mine"),
            ("Content-Disposition", "inline"),
            ("Accept-Ranges", "bytes"),
        ] {
            assert_eq!(field(&reply, name), [expected], "{name}");
        }
    }
    let reply = ask(&mut app, "GET /", &["If-None-Match: *"]);
    assert_eq!(
        (reply.status(), field(&reply, "Cache-Control"), field(&reply, "Vary")),
        (304, vec!["private"], vec!["Cookie"])
    );
}

#[test]
fn an_svgz_is_sent_as_gzip_unless_the_handler_sets_another_type_or_coding() {
    let folder = folder();
    folder.write("a.svgz", "drawing");
    for (name, set, coding) in [
        ("small.txt", None, &[][..]),
        ("a.svgz", None, &["gzip"]),
        ("a.svgz", Some(("Content-Type", "image/svg+xml")), &["gzip"]),
        ("a.svgz", Some(("Content-Type", "application/gzip")), &[]),
        ("a.svgz", Some(("Content-Encoding", "x-gzip")), &["x-gzip"]),
        ("a.svgz", Some(("Content-Disposition", "attachment")), &["gzip"]),
    ] {
        let path = folder.path(name);
        let mut app = answering(move |res| match set {
            Some((name, value)) => res.header(name, value).file(&path),
            None => res.file(&path),
        });
        for line in ["GET /", "HEAD /"] {
            let reply = ask(&mut app, line, &[]);
            assert_eq!((reply.status(), field(&reply, "Content-Encoding")), (200, coding.to_vec()), "{name}, {set:?}");
            assert_eq!(field(&reply, "Content-Type").len(), 1, "{name}, {set:?}");
        }
    }
}

#[test]
fn the_parts_of_a_file_have_the_type_that_the_handler_gave_it() {
    let folder = folder();
    let path = folder.path("large.bin");
    let mut app = answering(move |res| res.header("Content-Type", "text/x-mine").file(&path));
    let reply = ask(&mut app, "GET /", &["Range: bytes=0-0,500-500"]);
    assert!(reply.header("Content-Type").is_some_and(|value| value.starts_with("multipart/byteranges; boundary=")));
    assert_eq!(reply.text().matches("\r\nContent-Type: text/x-mine\r\nContent-Range: bytes ").count(), 2);
}

#[test]
fn the_tag_of_the_handler_replaces_the_tag_of_the_file() {
    let folder = folder();
    let path = folder.path("small.txt");
    let mut app = answering(move |res| res.header("ETag", "\"mine\"").file(&path));
    assert_eq!(field(&ask(&mut app, "GET /", &[]), "ETag"), ["\"mine\""]);
    assert_eq!(field(&ask(&mut app, "HEAD /", &[]), "ETag"), ["\"mine\""]);
}

/// Conditions and ranges apply only to a 200.
#[test]
fn another_status_is_sent_with_the_whole_file() {
    let folder = folder();
    for status in [201, 203, 400, 404, 410, 500, 503] {
        let path = folder.path("small.txt");
        let mut app = answering(move |res| res.status(status).file(&path));
        for fields in [&[][..], &["Range: bytes=0-1"], &["If-None-Match: *"], &["If-Match: \"x\""]] {
            let reply = ask(&mut app, "GET /", fields);
            assert_eq!((reply.status(), reply.text()), (status, "0123456789"), "{fields:?}");
        }
    }
    for status in [204, 304] {
        let path = folder.path("small.txt");
        let mut app = answering(move |res| res.status(status).file(&path));
        let mut client = TestClient::new(&mut app);
        client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let bytes = client.read();
        assert!(
            bytes.ends_with(b"\r\n\r\n") && bytes.starts_with(format!("HTTP/1.1 {status} ").as_bytes()),
            "{status}"
        );
        assert!(status != 204 || memchr::memmem::find(&bytes, b"Content-Length").is_none(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn another_method_gets_the_whole_file() {
    let folder = folder();
    let path = folder.path("small.txt");
    let mut app = answering(move |res| res.file(&path));
    for method in ["POST", "PUT", "DELETE"] {
        let reply = ask(&mut app, &format!("{method} /"), &["Range: bytes=0-1"]);
        assert_eq!((reply.status(), reply.text()), (200, "0123456789"), "{method}");
        // The handler has already acted, so a condition on the file comes too late (RFC 9110 §13.2.1).
        for condition in [
            "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT",
            "If-Match: \"x\"",
            "If-None-Match: *",
            "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(ask(&mut app, &format!("{method} /"), &[condition]).status(), 200, "{method}, {condition}");
        }
    }
}

#[test]
fn the_length_and_range_of_a_part_replace_those_of_the_handler() {
    let folder = folder();
    let path = folder.path("small.txt");
    let mut app = answering(move |res| res.header("Content-Length", "10").header("Content-Range", "x").file(&path));
    assert_eq!(ask(&mut app, "GET /", &[]).status(), 200);
    let part = ask(&mut app, "GET /", &["Range: bytes=2-3"]);
    assert_eq!((part.status(), part.text(), field(&part, "Content-Range")), (206, "23", vec!["bytes 2-3/10"]));
    let path = folder.path("large.bin");
    let mut app = answering(move |res| res.header("Content-Range", "x").file(&path));
    let parts = ask(&mut app, "GET /", &["Range: bytes=0-0,9000-9000"]);
    assert_eq!((parts.status(), field(&parts, "Content-Range").len()), (206, 0));
}

/// Conditions are compared with the validators that are sent.
#[test]
fn conditions_are_compared_with_the_validators_of_the_handler() {
    let folder = folder();
    let path = folder.path("small.txt");
    let date = "Tue, 01 Jan 1980 00:00:00 GMT";
    for (tag, rows) in [
        ("\"mine\"", [("If-None-Match: \"mine\"", 304), ("If-Match: \"mine\"", 200), ("If-Match: \"other\"", 412)]),
        ("W/\"mine\"", [("If-None-Match: \"mine\"", 304), ("If-Match: \"mine\"", 412), ("If-Match: *", 200)]),
    ] {
        let path = path.clone();
        let mut app = answering(move |res| res.header("ETag", tag).header("Last-Modified", date).file(&path));
        for (condition, expected) in rows {
            assert_eq!(ask(&mut app, "GET /", &[condition]).status(), expected, "{tag}, {condition}");
        }
        let (since, before) =
            (format!("If-Modified-Since: {date}"), "If-Modified-Since: Mon, 31 Dec 1979 00:00:00 GMT");
        assert_eq!(
            (ask(&mut app, "GET /", &[&since]).status(), ask(&mut app, "GET /", &[before]).status()),
            (304, 200)
        );
        let if_range = format!("If-Range: {tag}");
        let expected = if tag.starts_with('W') { 200 } else { 206 };
        assert_eq!(ask(&mut app, "GET /", &["Range: bytes=0-1", &if_range]).status(), expected);
    }
}

#[test]
fn a_deferred_reply_can_be_a_file() {
    let folder = folder();
    for (name, content) in [("small.txt", b"0123456789".to_vec()), ("large.bin", vec![b'x'; LARGE])] {
        let (path, missing) = (folder.path(name), folder.path("nothing"));
        let mut app = Router::new(());
        app.get("/", move |_, _, res| {
            let (sent, responder) = res.header("X-Mine", "1").defer();
            let path = path.clone();
            responder.respond(move |res| res.file(path));
            Ok(sent)
        });
        app.get("/nothing", move |_, _, res| {
            let (sent, responder) = res.defer();
            let missing = missing.clone();
            responder.respond(move |res| res.file(missing));
            Ok(sent)
        });
        for method in ["GET", "HEAD"] {
            let reply = ask(&mut app, &format!("{method} /"), &[]);
            assert_eq!((reply.status(), field(&reply, "ETag").len()), (200, 1), "{reply:?}");
            assert_eq!(field(&reply, "Content-Length"), [content.len().to_string()]);
            assert!(reply.body() == content || method == "HEAD");
        }
        assert_eq!(ask(&mut app, "GET /nothing", &[]).status(), 404);
    }
}

#[test]
fn the_error_renderer_can_send_a_file() {
    let folder = folder();
    for (name, content) in [("small.txt", b"0123456789".to_vec()), ("large.bin", vec![b'x'; LARGE])] {
        let (page, file) = (folder.path(name), folder.path("small.txt"));
        let mut app = Router::new(());
        app.get("/fails", |_, _, _| Err(Error::new(503, "Later").with_header("Retry-After", "7")));
        app.get("/panics", |_, _, _| panic!("on purpose"));
        app.get("/file", move |_, _, res| res.file(&file));
        app.on_error(move |_, _, _, res| res.header("Content-Type", "text/x-error").file(&page));
        for (line, fields, expected) in [
            ("GET /fails", &[][..], 503),
            ("GET /fails", &["Range: bytes=0-1"], 503),
            ("GET /fails", &["If-None-Match: *"], 503),
            ("GET /nothing", &[], 404),
            ("DELETE /fails", &[], 405),
            ("GET /panics", &[], 500),
            ("GET /file", &["If-Match: \"x\""], 412),
            ("GET /file", &["Range: bytes=99-"], 416),
            ("GET /%ff", &[], 400),
        ] {
            let reply = ask(&mut app, line, fields);
            assert!(
                reply.status() == expected && reply.body() == content,
                "{line} with {fields:?}: {}",
                reply.status()
            );
            assert_eq!(field(&reply, "Content-Type"), ["text/x-error"], "{line}");
            assert_eq!(field(&reply, "Retry-After").len(), usize::from(expected == 503), "{line}");
            assert_eq!(field(&reply, "Content-Range").len(), usize::from(expected == 416), "{line}");
        }
        let head = ask(&mut app, "HEAD /nothing", &[]);
        assert_eq!((head.status(), field(&head, "Content-Length")), (404, vec![&*content.len().to_string()]));
    }
    // If the page is missing, the client still gets a reply.
    let page = folder.path("gone");
    let mut app = Router::new(());
    app.on_error(move |_, _, _, res| res.file(&page));
    assert_eq!(ask(&mut app, "GET /nothing", &[]).status(), 500);
}

/// A sink that ignores the content and answers with a file.
struct Swallow(std::path::PathBuf);

impl BodySink<()> for Swallow {
    fn data(&mut self, (): &mut (), _: &[u8], _: &mut Intake<'_>) -> Result<()> {
        Ok(())
    }

    fn end(self: Box<Self>, (): &mut (), _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.file(self.0)
    }
}

#[test]
fn a_sink_can_answer_with_a_file() {
    let folder = folder();
    let path = folder.path("large.bin");
    let mut app = Router::new(());
    app.sink(Method::Post, "/", move |_, _| Ok(Swallow(path.clone())));
    let mut client = TestClient::new(app);
    for content in [0, 10, 100_000] {
        let reply = client.post("/").body(vec![b'a'; content]).send();
        assert!(reply.status() == 200 && reply.body() == [b'x'; LARGE], "{content} bytes: {}", reply.status());
    }
}

#[test]
fn a_middleware_can_answer_with_a_file_and_its_fields_are_kept() {
    let folder = folder();
    let (path, mut app) =
        (folder.path("small.txt"), app("/", Files::new(folder.path("")).unwrap().cache_control("*", "no-cache")));
    app.with(move |(), req, res| {
        let res = res.header("X-Mine", "1").append_header("Vary", "Origin").header("Cache-Control", "private");
        match req.path() {
            "/closed" => ControlFlow::Break(res.status(503).file(&path)),
            _ => ControlFlow::Continue(res),
        }
    });
    let reply = ask(&mut app, "GET /closed", &["Range: bytes=0-1"]);
    assert_eq!((reply.status(), reply.text()), (503, "0123456789"));
    folder.write("small.txt.gz", "gz");
    for (line, fields, expected) in [
        ("GET /small.txt", &[][..], 200),
        ("HEAD /small.txt", &[], 200),
        ("GET /small.txt", &["Accept-Encoding: gzip"], 200),
        ("GET /small.txt", &["Range: bytes=0-1"], 206),
        ("GET /small.txt", &["If-None-Match: *"], 304),
        ("GET /small.txt", &["Range: bytes=100-"], 416),
        ("GET /dir", &[], 301),
        ("GET /nothing", &[], 404),
    ] {
        let reply = ask(&mut app, line, fields);
        assert_eq!((reply.status(), field(&reply, "X-Mine")), (expected, vec!["1"]), "{line} with {fields:?}");
        assert_eq!(field(&reply, "Cache-Control"), ["private"], "{line} with {fields:?}");
        let vary = field(&reply, "Vary").join(", ");
        assert!(vary.starts_with("Origin"), "{line} with {fields:?}: {vary}");
        let varies = matches!(expected, 200 | 206 | 304 | 416);
        assert_eq!(vary.contains("Accept-Encoding"), varies, "{line} with {fields:?}: {vary}");
    }
}

#[test]
fn a_vary_that_the_middleware_has_set_is_not_repeated_for_a_file() {
    let folder = folder();
    folder.write("small.txt.gz", "gz");
    let mut app = app("/", Files::new(folder.path("")).unwrap());
    app.with(|(), _, res| ControlFlow::Continue(res.header("Vary", "origin, accept-encoding")));
    for fields in [&[][..], &["Range: bytes=0-1"], &["If-None-Match: *"], &["Range: bytes=100-"]] {
        let reply = ask(&mut app, "GET /small.txt", fields);
        // An error reply depends on what its client prefers, too.
        let expected: &[&str] =
            if reply.status() >= 400 { &["origin, accept-encoding", "Accept"] } else { &["origin, accept-encoding"] };
        assert_eq!(field(&reply, "Vary"), expected, "{} with {fields:?}", reply.status());
    }
}

#[test]
fn replies_of_files_keep_their_order_on_a_connection() {
    let folder = folder();
    let mut client = TestClient::new(app("/", Files::new(folder.path("")).unwrap()));
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    for _ in 0..2 {
        let paths = ["/small.txt", "/large.bin", "/nothing", "/small.txt", "/dir", "/large.bin", "/small.txt"];
        client.write(paths.map(request).concat());
        for path in paths {
            let reply = client.read_reply().expect("a whole reply");
            let expected: &[u8] = match path {
                "/small.txt" => b"0123456789",
                "/large.bin" => &[b'x'; LARGE],
                _ => continue,
            };
            assert!(reply.status() == 200 && reply.body() == expected, "{path}");
        }
        assert!(client.read().is_empty() && client.ended().is_none());
    }
}

#[test]
fn a_client_that_reads_slowly_gets_every_byte() {
    let folder = folder();
    let mut client = TestClient::new(app("/", Files::new(folder.path("")).unwrap()));
    client.set_window(0).write("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    // The server sends the file that was requested, even if its path is removed meanwhile.
    std::fs::remove_file(folder.path("large.bin")).unwrap();
    for _ in 0..LARGE {
        client.set_window(997);
        if let Some(reply) = client.read_reply() {
            return assert!(reply.status() == 200 && reply.body() == [b'x'; LARGE]);
        }
    }
    panic!("the reply does not end");
}

/// The server cannot send as many bytes as it announced, so it must end the connection.
#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let folder = folder();
    let mut client = TestClient::new(app("/", Files::new(folder.path("")).unwrap()));
    client.set_window(1000).write("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    std::fs::File::options().write(true).open(folder.path("large.bin")).unwrap().set_len(1).unwrap();
    client.set_window(1 << 20);
    assert!(client.ended().is_some(), "{client:?}");
    assert!(client.read_reply().is_none());
}

/// A part that has files at its root redirects from its prefix, as files do that are mounted there themselves.
#[test]
fn files_at_the_root_of_a_part_redirect_from_the_prefix_of_the_part() {
    let folder = folder();
    let mut part = Routes::new();
    part.guard(|(), req| if req.header("x-pass").is_some() { Ok(()) } else { Err(Error::new(401, "guarded")) });
    part.mount("/", Files::new(folder.path("")).unwrap());
    let mut outer = Routes::new();
    outer.mount("/", part);
    let mut own = Routes::new();
    own.mount("/", Files::new(folder.path("")).unwrap());
    own.get("/", |(), _, res| res.text("own"));
    let mut app = Router::new(());
    app.mount("/two/", outer);
    app.mount("/own", own);
    app.get("/taken", |(), _, res| res.text("taken"));
    let mut taken = Routes::new();
    taken.mount("/", Files::new(folder.path("")).unwrap());
    app.mount("/taken", taken);
    for (target, status, location) in [
        ("/two", 301, Some("/two/")),
        ("/two?a=b", 301, Some("/two/?a=b")),
        ("/two/small.txt", 200, None),
        ("/own", 200, None),
        ("/own/small.txt", 200, None),
        ("/taken", 200, None),
        ("/taken/small.txt", 200, None),
    ] {
        let reply = ask(&mut app, &format!("GET {target}"), &["X-Pass: yes"]);
        assert_eq!((reply.status(), reply.header("Location")), (status, location), "{target}");
    }
    assert_eq!(ask(&mut app, "GET /two", &[]).status(), 401);
}
