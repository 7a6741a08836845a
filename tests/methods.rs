//! Methods beside the eight that the server knows by itself.
//!
//! The names that a program adds belong to its process. So these tests are a process of their own: in that of the unit
//! tests, `PROPFIND` and its like must stay unknown. Each test here has names that no other one adds, if it needs them
//! to be unknown at first.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use monoloop::exchange::{BodySink, Duplex, Intake, Trailers};
use monoloop::middleware::Cors;
use monoloop::router::Routes;
use monoloop::server::{AccessLog, LogFormat};
use monoloop::{Error, Method, Response, Result, Router, Sent, TestClient};

/// What WebDAV, its relatives, UPnP and caches send; a name of our own; and one of each length that matters.
const NAMES: [&str; 18] = [
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "QUERY",
    "PURGE",
    "M-SEARCH",
    "VERSION-CONTROL",
    "UPDATEREDIRECTREF",
    "Mixed-Case",
    "!#$%&'*+-.^_`|~09azAZ",
    "X",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEF",
];

fn request(method: &str, path: &str, content: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{content}", content.len())
}

/// Sends bytes on a new connection. Returns the statuses of all replies, and whether the server has closed its side.
#[track_caller]
fn statuses(client: &mut TestClient<Router<()>>, bytes: &str) -> (Vec<u16>, bool) {
    client.reconnect().write(bytes);
    let replies = std::iter::from_fn(|| client.read_reply()).map(|reply| reply.status()).collect();
    (replies, client.is_half_closed())
}

#[test]
fn each_method_reaches_its_own_handler_with_its_content() {
    let mut app = Router::new(());
    for name in NAMES {
        let answer = move |_: &mut (), req: &monoloop::Request<'_>, res: Response<'_>| {
            assert_eq!(req.method().to_string(), name);
            res.header("X-Handler", name).send(req.body())
        };
        app.on(name, "/each/:id", answer);
    }
    app.post("/each/:id", |_, _, res| res.text("POST"));
    let mut client = TestClient::new(app);
    for name in NAMES {
        let method = Method::from_token(name).expect("it was registered");
        assert_eq!((method.as_str(), Method::extension(name)), (name, method));
        let reply = client.request(method, "/each/1").body("<propfind/>").send();
        assert_eq!((reply.status(), reply.header("x-handler"), reply.text()), (200, Some(name), "<propfind/>"));
        let chunked =
            format!("{name} /each/1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
        // Byte by byte, and another request after the content.
        for byte in (chunked + &request(name, "/each/2", "d")).bytes() {
            client.write([byte]);
        }
        let texts = [client.read_reply(), client.read_reply()].map(|reply| reply.expect("a reply").text().to_owned());
        assert_eq!(texts, ["abc", "d"], "{name}");
        let empty = format!("{name} /each/1 HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(statuses(&mut client, &empty.repeat(3)), (vec![200; 3], false), "{name}");
    }
    assert_eq!(client.post("/each/1").send().text(), "POST");
}

/// What the parser says of any other token does not depend on what was registered.
#[test]
fn a_name_changes_nothing_for_other_tokens() {
    let rows = [
        ("NEIGHBOUR", 501),
        ("neighbour-", 501),
        ("NEIGHBOUR-", 501),
        ("NEIGHBOUR-X-", 501),
        ("Neighbour-X", 501),
        ("neighbour-x", 501),
        ("XNEIGHBOUR-X", 501),
        ("NEIGHBOUR-XNEIGHBOUR-X", 501),
        ("NEIGHBOUR-X\0", 400),
        ("NEIGHBOUR-X\t", 400),
        ("NEIGHBOUR-X(", 400),
        ("NEIGHBOUR\u{e9}", 400),
        ("get", 501),
        ("GETX", 501),
        ("CONNECT", 501),
        ("PRI", 501),
        ("ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFG", 501),
    ];
    let all = |client: &mut TestClient<Router<()>>| {
        let preface = statuses(client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        assert_eq!(preface, (vec![505], true), "the preface of HTTP/2");
        for (token, status) in rows {
            for content in ["", "x"] {
                let (seen, closed) = statuses(client, &request(token, "/", content).repeat(2));
                assert_eq!((seen, closed), (vec![status], true), "{token:?}");
            }
        }
    };
    let mut app = Router::new(());
    app.get("/", |_, _, res| res.empty());
    let mut client = TestClient::new(app);
    all(&mut client);
    assert_eq!(statuses(&mut client, &request("NEIGHBOUR-X", "/", "")), (vec![501], true), "before it is registered");
    let mut app = Router::new(());
    app.on("NEIGHBOUR-X", "/", |_, _, res| res.empty());
    let mut client = TestClient::new(app);
    all(&mut client);
    assert_eq!(statuses(&mut client, &request("NEIGHBOUR-X", "/", "")), (vec![200], false), "after that");
}

/// A router answers a method that only another one has as the parser answers an unknown one. But the request was
/// understood, so the connection goes on.
#[test]
fn the_table_of_each_router_says_what_is_501_405_and_404() {
    let mut dav = Router::new(());
    dav.on("TABLE-FIND", "/a", |_, _, res| res.text("found"));
    dav.on("TABLE-LOCK", "/b", |_, _, res| res.text("locked"));
    dav.get("/a", |_, _, res| res.text("GET"));
    let mut dav = TestClient::new(dav);
    let mut other = Router::new(());
    other.get("/a", |_, _, res| res.text("other"));
    let mut other = TestClient::new(other);
    let [find, lock] = ["TABLE-FIND", "TABLE-LOCK"].map(Method::extension);

    for (method, path, status, allow) in [
        (find, "/a", 200, None),
        (lock, "/b", 200, None),
        (find, "/b", 405, Some("OPTIONS, TABLE-LOCK")),
        (lock, "/a", 405, Some("GET, HEAD, OPTIONS, TABLE-FIND")),
        (Method::Put, "/a", 405, Some("GET, HEAD, OPTIONS, TABLE-FIND")),
        (Method::Options, "/a", 204, Some("GET, HEAD, OPTIONS, TABLE-FIND")),
        (Method::Options, "/b", 204, Some("OPTIONS, TABLE-LOCK")),
        (Method::Options, "*", 204, Some("GET, HEAD, OPTIONS, TABLE-FIND, TABLE-LOCK")),
        (find, "/c", 404, None),
        (Method::Trace, "/b", 405, Some("OPTIONS, TABLE-LOCK")),
    ] {
        let reply = dav.request(method, path).send();
        assert_eq!((reply.status(), reply.header("allow")), (status, allow), "{method} {path}");
    }
    for path in ["/a", "/c"] {
        for content in ["", "<x/>"] {
            let bytes = request("TABLE-FIND", path, content) + &request("GET", "/a", "");
            assert_eq!(statuses(&mut other, &bytes), (vec![501, 200], false), "{path}");
        }
    }
    let reply = other.request(find, "/a").send();
    assert_eq!((reply.text(), reply.header("allow")), (r#"{"error":"Unknown method"}"#, None));
}

#[test]
fn a_route_of_any_method_takes_extension_methods_too() {
    let mut app = Router::new(());
    app.any("/any", |_, req, res| res.text(req.method().as_str()));
    app.on("ANY-OWN", "/any", |_, _, res| res.text("its own"));
    let mut client = TestClient::new(app);
    assert_eq!(client.request(Method::extension("ANY-OTHER"), "/any").send().text(), "ANY-OTHER");
    assert_eq!(client.request(Method::extension("ANY-OWN"), "/any").send().text(), "its own");
    assert_eq!(client.request(Method::extension("ANY-OTHER"), "/nowhere").send().status(), 404);
}

#[test]
fn content_obeys_its_limits_whatever_the_method() {
    let mut app = Router::new(());
    app.on("LIMITED", "/", |_, req, res| res.send(req.body())).max_content(4);
    let mut client = TestClient::new(app);
    assert_eq!(statuses(&mut client, &request("LIMITED", "/", "four")), (vec![200], false));
    assert_eq!(statuses(&mut client, &request("LIMITED", "/", "fives")), (vec![413], true));
    let expects = "LIMITED / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    client.reconnect().write(expects);
    assert!(client.read().starts_with(b"HTTP/1.1 100 "));
    client.write("four");
    assert_eq!(client.read_reply().expect("a reply").text(), "four");
    // No handler wants it, so no 100 is sent.
    assert_eq!(statuses(&mut client, &expects.replace("LIMITED / ", "LIMITED /nowhere ")), (vec![404], true));
}

/// Counts the bytes that it gets.
struct Count(usize);

impl BodySink<()> for Count {
    fn data(&mut self, _: &mut (), piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.0 += piece.len();
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text(self.0.to_string())
    }
}

impl Duplex<()> for Count {
    fn data(&mut self, _: &mut (), _: &[u8], _: &mut Intake<'_>) -> Result<()> {
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut (), _: Trailers<'_>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn content_flows_to_sinks_of_extension_methods() {
    let method = Method::extension("IMPORT");
    let mut app = Router::new(());
    app.sink(method, "/sink", |_, _| Ok(Count(0)));
    app.duplex(method, "/duplex", |_, _, res| Ok((res.text("at once")?, Count(0))));
    let mut client = TestClient::new(app);
    for (path, text) in [("/sink", "300000"), ("/duplex", "at once")] {
        assert_eq!(client.request(method, path).body(vec![b'x'; 300_000]).send().text(), text);
    }
    assert_eq!(client.request(method, "/sink").send().text(), "0", "without content");
    assert_eq!(client.post("/sink").send().header("allow"), Some("OPTIONS, IMPORT"));
}

#[test]
fn routes_are_listed_and_mounted_whatever_their_method() {
    let mut part = Routes::<()>::new();
    part.on("MOUNTED", "/", |_, _, res| res.text("mounted"));
    let mut app = Router::new(());
    app.mount("/part", part);
    app.on("GET", "/get", |_, _, res| res.text("by name"));
    app.with(Cors::any().methods([Method::Get, Method::extension("MOUNTED")]).middleware());
    let listed: Vec<String> = app.routes().map(|route| route.to_string()).collect();
    assert_eq!(listed, ["MOUNTED /part", "GET    /get"]);
    assert_eq!(app.routes().next().and_then(|route| route.method()), Some(Method::extension("MOUNTED")));
    let mut client = TestClient::new(app);
    assert_eq!(client.request(Method::extension("MOUNTED"), "/part").send().text(), "mounted");
    assert_eq!(client.get("/get").send().text(), "by name");
    let asks = client.options("/part").header("Origin", "http://b").header("Access-Control-Request-Method", "MOUNTED");
    assert_eq!(asks.send().header("access-control-allow-methods"), Some("GET, MOUNTED"));
}

#[test]
fn an_error_of_a_handler_is_a_reply_whatever_the_method() {
    let mut app = Router::new(());
    app.on("FAILING", "/", |_, _, _| Err(Error::new(423, "Locked")));
    let reply = TestClient::new(app).request(Method::extension("FAILING"), "/").send();
    assert_eq!((reply.status(), reply.text()), (423, r#"{"error":"Locked"}"#));
}

/// A file in memory.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn the_access_log_names_the_method() {
    let mut app = Router::new(());
    app.on("LOGGED", "/", |_, _, res| res.text("hello"));
    let paper = Paper::default();
    let log = AccessLog::new(LogFormat::Common, paper.clone()).expect("a thread for the log");
    let mut client = TestClient::new(app).observer(log);
    client.reconnect();
    assert_eq!(client.request(Method::extension("LOGGED"), "/?q").send().status(), 200);
    drop(client);
    let text = String::from_utf8(paper.0.lock().unwrap().clone()).expect("a line is UTF-8");
    assert!(text.ends_with("] \"LOGGED /?q HTTP/1.1\" 200 5\n"), "{text:?}");
}

#[test]
fn what_cannot_be_routed_is_refused_when_it_is_registered() {
    for (name, why) in [
        ("TRACE", "TRACE is always a 405"),
        ("CONNECT", "this server makes none"),
        ("PRI", "the preface of HTTP/2"),
        ("get", "the case of a method matters"),
        ("PROP FIND", "is not a token"),
        ("", "is not a token"),
    ] {
        let refused = std::panic::catch_unwind(|| {
            Router::new(()).on(name, "/", |_, _, res| res.empty());
        });
        let refused = refused.expect_err(name);
        let text = refused.downcast_ref::<String>().expect("a text");
        assert!(text.contains(why), "{name:?}: {text}");
    }
}
