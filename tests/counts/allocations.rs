//! How many allocations a request costs.

use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::Duration;

use monoloop::exchange::{Output, Protocol};
use monoloop::middleware::Cors;
use monoloop::router::Routes;
use monoloop::sse::{self, Broadcast, Event, Slow};
use monoloop::{Error, Router, Server};

use crate::support::{get, test_config};
use crate::{Counts, PATIENCE, Pair, Steps, connect, patient, routes};

/// The number of requests that are measured.
const REQUESTS: usize = 2000;

/// Counts the allocations of this many requests on a kept connection, in batches of `depth` requests.
#[track_caller]
fn allocations(setup: impl FnOnce(&mut Router<()>, Server) -> Server, request: &str, depth: usize) -> u64 {
    allocations_with(setup, request, 200, depth)
}

/// [`allocations`] of requests that are answered with this status.
#[track_caller]
fn allocations_with(
    setup: impl FnOnce(&mut Router<()>, Server) -> Server,
    request: &str,
    status: u16,
    depth: usize,
) -> u64 {
    let mut pair = Pair::new(setup);
    let reply = pair.first_reply(request.as_bytes());
    let expected = format!("HTTP/1.1 {status} ");
    assert!(reply.starts_with(expected.as_bytes()), "{request}: {}", String::from_utf8_lossy(&reply));
    let batch = request.repeat(depth);
    let rounds = REQUESTS / depth;
    for _ in 0..rounds / 4 {
        pair.exchange(batch.as_bytes(), depth * reply.len());
    }
    let measured = allocation_counter::measure(|| {
        for _ in 0..rounds {
            pair.exchange(batch.as_bytes(), depth * reply.len());
        }
    });
    measured.count_total
}

#[test]
fn a_request_in_steady_state_allocates_nothing() {
    // The clock does not move here: another test counts what a new second costs.
    let plain = |app: &mut Router<()>, server: Server| {
        routes(app);
        server.clock(Steps::default())
    };
    let cors = |app: &mut Router<()>, server: Server| {
        routes(app);
        app.with(Cors::any().middleware());
        server.clock(Steps::default())
    };
    let requests = [
        ("plaintext", get("/plaintext")),
        ("a parameter that is parsed", get("/numbers/42")),
        ("parameters that are text", get("/names/alexander/of/the/great")),
        ("a route among many", get("/resource250/1")),
        ("a field line", get("/field")),
        ("two field lines", get("/fields")),
        ("content in pieces", get("/pieces")),
        ("a query and many fields", fields()),
        (
            "cookies, a media type and text",
            "POST /asked HTTP/1.1\r\nHost: test\r\nCookie: a=\"b\"; c=d\r\nCookie: session=31d4\r\nAccept: */*;q=0.1, \
             text/*;q=0.5\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 7\r\n\r\ncontent"
                .to_owned(),
        ),
        ("content", "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\ncontent".to_owned()),
        (
            "chunks",
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned(),
        ),
    ];
    let mut found = Vec::new();
    for (name, request) in &requests {
        for depth in [1, 16] {
            let both =
                [("no middleware", allocations(plain, request, depth)), ("CORS", allocations(cors, request, depth))];
            let dear = both.into_iter().filter(|(_, count)| *count > 0);
            found.extend(dear.map(|(with, count)| format!("{name}, {with}, {depth} at a time: {count} of {REQUESTS}")));
        }
    }
    assert!(found.is_empty(), "allocations: {found:#?}");
}

/// The number of allocations that each of these requests may cost.
struct Row {
    name: &'static str,
    request: String,
    status: u16,
    each: u64,
}

fn row(name: &'static str, request: impl Into<String>, status: u16, each: u64) -> Row {
    Row { name, request: request.into(), status, each }
}

fn ask(method: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: test\r\n\r\n")
}

/// Measures the rows, each with both set-ups, and reports those with a different number of allocations.
#[track_caller]
fn check_rows(rows: &[Row], more: impl Fn(&mut Router<()>)) {
    let mut found = Vec::new();
    for Row { name, request, status, each } in rows {
        for cors in [false, true] {
            let setup = |app: &mut Router<()>, server: Server| {
                routes(app);
                more(app);
                if cors {
                    app.with(Cors::any().middleware());
                }
                server.clock(Steps::default())
            };
            for depth in [1, 16] {
                let (count, requests) = (allocations_with(setup, request, *status, depth), REQUESTS / depth * depth);
                if count != each * requests as u64 {
                    found.push(format!(
                        "{name}, CORS: {cors}, {depth} at a time: {count} of {requests}, not {each} each"
                    ));
                }
            }
        }
    }
    assert!(found.is_empty(), "allocations: {found:#?}");
}

/// Scanners and bots ask again and again for paths that do not exist.
#[test]
fn what_the_router_answers_itself_allocates_nothing() {
    let post = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\ncontent");
    let rows = [
        row("404", get("/none"), 404, 0),
        row("404 to HEAD", ask("HEAD", "/none"), 404, 0),
        row("404 to POST", ask("POST", "/none"), 404, 0),
        row("404 to POST with content", post("/none"), 404, 0),
        row("404 below a route", get("/numbers/42/none"), 404, 0),
        row("404 of an encoded path", get("/n%6Fne/%C3%A4"), 404, 0),
        row("404 of a path with dot segments", get("/x/../none//./%2e%2e/y"), 404, 0),
        row("404 of a long encoded path", get(&format!("/none/{}", "%C3%A4".repeat(200))), 404, 0),
        row("404 of an encoded path below a middleware", get("/mounted/n%6Fne"), 404, 0),
        row("405 to POST", ask("POST", "/plaintext"), 405, 0),
        row("405 to POST with content", post("/plaintext"), 405, 0),
        row("405 to GET", get("/echo"), 405, 0),
        row("405 to HEAD", ask("HEAD", "/echo"), 405, 0),
        row("405 of an encoded path", ask("DELETE", "/pl%61intext"), 405, 0),
        row("405 to TRACE of what is not there", ask("TRACE", "/none"), 405, 0),
        row("426", get("/protocol"), 426, 0),
        row("OPTIONS", ask("OPTIONS", "/plaintext"), 204, 0),
        row("OPTIONS of all", ask("OPTIONS", "*"), 204, 0),
        row("404 to OPTIONS", ask("OPTIONS", "/none"), 404, 0),
        row("405 beside a rest that does not have the method either", ask("PATCH", "/files/a"), 405, 0),
        row("OPTIONS beside a rest with the same methods", ask("OPTIONS", "/files/a"), 204, 0),
    ];
    check_rows(&rows, |app| {
        let mut part = Routes::new();
        part.with(|_, _, res| ControlFlow::Continue(res.header("X-Part", "yes")));
        part.get("/x", |_, _, res| res.text("x"));
        app.mount("/mounted", part);
        app.upgrade("/protocol", "proto", |_, _, res| Ok((res, Silent)));
        app.get("/files/:name", |_, _, res| res.text("file"));
        app.get("/files/*path", |_, _, res| res.text("rest"));
    });
}

/// Another protocol, on which neither side sends anything.
struct Silent;

impl<S> Protocol<S> for Silent {
    fn on_data(&mut self, _: &mut S, bytes: &mut [u8], _: &mut Output<'_>) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
}

/// A request target with twenty pairs. The names and values of the first `encoded` pairs are encoded.
fn twenty_pairs(path: &str, encoded: usize) -> String {
    let pair = |i| if i < encoded { format!("n%61me{i}=a+v%61lue") } else { format!("name{i}=value{i}") };
    format!("{path}?{}", (0..20).map(pair).collect::<Vec<_>>().join("&"))
}

#[test]
fn an_encoded_value_allocates_once_if_the_handler_reads_it() {
    let rows = [
        row("a plain pair of 20 plain ones", get(&twenty_pairs("/pair", 0)), 200, 0),
        row("a plain pair of 20, 19 of them encoded", get(&twenty_pairs("/pair", 19)), 200, 0),
        row("an encoded pair of 20 encoded ones", get(&twenty_pairs("/pair", 20)), 200, 1),
        row("an encoded pair that is looked for twice", get("/twice?n%61me19=%7E"), 200, 2),
        row("a pair that is not there", get(&twenty_pairs("/pair/none", 20)), 200, 0),
        row("all of 20 plain pairs", get(&twenty_pairs("/pairs", 0)), 200, 0),
        row("all of 20 pairs, 7 of them encoded", get(&twenty_pairs("/pairs", 7)), 200, 14),
        row("all of 20 encoded pairs", get(&twenty_pairs("/pairs", 20)), 200, 40),
        row("four plain parameters", get("/four/a/b/c/d"), 200, 0),
        row("four encoded parameters", get("/four/%61/%C3%A4/c%20/%64%64%64%64%64%64"), 200, 4),
        row("one of four encoded parameters", get("/one/%61/%C3%A4/c%20/%64"), 200, 1),
        row("no parameter of four encoded ones", get("/no/%61/%C3%A4/c%20/%64"), 200, 0),
        row("an encoded number", get("/numbers/%342"), 200, 1),
        row("the decoded path", get("/p%61th"), 200, 1),
    ];
    check_rows(&rows, |app| {
        app.get("/pair", |_, req, res| res.text(req.query("name19").unwrap_or_default()));
        app.get("/pair/none", |_, req, res| res.text(req.query("name20").unwrap_or("none".into())));
        app.get("/twice", |_, req, res| {
            assert!(req.query("name19").is_some_and(|value| value == "~"));
            res.text(req.query("name19").unwrap_or_default())
        });
        app.get("/pairs", |_, req, res| {
            let length: usize = req.query_pairs().iter().map(|(name, value)| name.len() + value.len()).sum();
            assert!(length > 0);
            res.text("pairs")
        });
        app.get("/four/:a/:b/:c/:d", |_, req, res| {
            let length: usize =
                ["a", "b", "c", "d"].map(|name| req.param_str(name).map_or(0, |it| it.len())).iter().sum();
            assert!(length >= 4);
            res.text("four")
        });
        app.get("/one/:a/:b/:c/:d", |_, req, res| res.text(req.param_str("b").unwrap_or_default()));
        app.get("/no/:a/:b/:c/:d", |_, _, res| res.text("no"));
        app.get("/path", |_, req, res| {
            assert_eq!((req.path(), req.path()), ("/path", "/path"));
            res.text("path")
        });
    });
}

#[test]
fn common_replies_that_allocate_do_so_as_little_as_possible() {
    let rows = [
        row("a redirect", get("/redirect"), 302, 0),
        row("a redirect to what must be encoded", get("/redirect/encoded"), 302, 1),
        row("304", get("/not-modified"), 304, 0),
        row("a handler's 404", get("/missing"), 404, 1),
        row("a handler's 400 with a text of its own", get("/bad"), 400, 2),
        row("a handler's 401 with a field line", get("/who"), 401, 3),
        row("an error that must be escaped", get("/escaped"), 409, 2),
        row("a parameter that does not parse", get("/numbers/x"), 400, 2),
        row("a connection field", get("/connection"), 200, 0),
    ];
    check_rows(&rows, |app| {
        app.get("/redirect", |_, _, res| res.redirect("/plaintext?page=2"));
        app.get("/redirect/encoded", |_, _, res| res.redirect("/a b"));
        app.get("/not-modified", |_, _, res| res.status(304).header("ETag", "\"1\"").empty());
        app.get("/missing", |_, _, _| Err(Error::not_found("No such thing")));
        app.get("/bad", |_, _, _| Err(Error::bad_request("x".repeat(20))));
        app.get("/who", |_, _, _| Err(Error::new(401, "Who?").with_header("WWW-Authenticate", "Basic")));
        app.get("/escaped", |_, _, _| Err(Error::new(409, "That \"name\" is taken")));
        app.get("/connection", |_, _, res| res.header("Connection", "X-Hop, x-other").text("hop"));
    });
}

#[cfg(feature = "files")]
#[test]
fn a_file_that_is_kept_allocates_only_for_an_encoded_name() {
    let directory = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("counts");
    std::fs::create_dir_all(directory.join("a b")).expect("it can be made");
    for name in ["a b/c d.txt", "plain.txt"] {
        std::fs::write(directory.join(name), "content").expect("it can be written");
    }
    let rows = [
        row("a file", get("/files/plain.txt"), 200, 0),
        row("a file with an encoded name", get("/files/a%20b/c%20d.txt"), 200, 1),
    ];
    check_rows(&rows, |app| {
        app.mount("/files", monoloop::files::Files::new(&directory).expect("the directory is there"))
    });
}

/// The number of clients that receive each broadcast.
const LISTENERS: usize = 10;

#[test]
fn an_event_is_encoded_once_for_all_clients() {
    let mut app = Router::new(Broadcast::new(Slow::Drop));
    app.get("/events", |listeners, _, res| {
        let (sent, sender) = sse::start(res)?;
        listeners.add(sender);
        Ok(sent)
    });
    app.post("/say", |listeners: &mut Broadcast, _, res| {
        let event = Event::new("something has happened").event("news").retry(Duration::from_millis(2500));
        assert!(listeners.send(&event)? == LISTENERS);
        res.text("said")
    });
    let server = Server::bind("127.0.0.1:0").expect("a port is free").config(test_config()).clock(Steps::default());
    let mut running = server.start(app).expect("a poll");
    let address = running.local_addr().expect("it listens").to_string().parse().expect("an address");
    let mut listeners: Vec<_> = (0..LISTENERS).map(|_| connect(address)).collect();
    let mut speaker = connect(address);
    let said = Cell::new(0_u64);
    // Reads until each client has received this much; allocates nothing itself.
    let mut drive = |speaker: &mut TcpStream, listeners: &mut [TcpStream], least: usize| {
        let (mut got, mut replied, mut room) = (0, 0, [0; 4096]);
        for _ in 0..PATIENCE {
            assert!(running.turn(Some(Duration::ZERO)).expect("the poll works"));
            listeners.iter_mut().for_each(|listener| got += listener.read(&mut room).unwrap_or(0));
            replied += speaker.read(&mut room).unwrap_or(0);
            if got >= least && (replied > 0 || said.get() == 0) {
                return got;
            }
        }
        panic!("the events do not come");
    };
    for listener in &mut listeners {
        listener.write_all(get("/events").as_bytes()).expect("the kernel takes it");
    }
    drive(&mut speaker, &mut listeners, LISTENERS * 100);
    let request = ask("POST", "/say");
    let mut rounds = |count: usize| {
        for _ in 0..count {
            said.set(said.get() + 1);
            speaker.write_all(request.as_bytes()).expect("the kernel takes it");
            let event = "event: news\nretry: 2500\ndata: something has happened\n\n".len();
            drive(&mut speaker, &mut listeners, LISTENERS * event);
        }
    };
    rounds(REQUESTS / 4);
    let measured = allocation_counter::measure(|| rounds(REQUESTS));
    // Two texts of the handler, and the bytes that all clients share.
    assert_eq!(measured.count_total, 3 * REQUESTS as u64);
}

/// The head comes first and the content later, so the server keeps the request in the meantime.
#[test]
fn content_that_comes_later_allocates_nothing() {
    let requests = [
        ("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 7\r\n\r\ncon", "tent"),
        (
            "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncon\r\n",
            "4\r\ntent\r\n0\r\n\r\n",
        ),
    ];
    for (first, second) in requests {
        let mut pair = Pair::new(|app, server| {
            routes(app);
            server.clock(Steps::default())
        });
        let length = pair.first_reply((first.to_owned() + second).as_bytes()).len();
        let mut rounds = |count| {
            for _ in 0..count {
                pair.exchange(first.as_bytes(), 0);
                pair.exchange(second.as_bytes(), length);
            }
        };
        rounds(REQUESTS / 4);
        let measured = allocation_counter::measure(|| rounds(REQUESTS));
        assert_eq!(measured.count_total, 0, "{first:?}, then {second:?}");
    }
}

/// The fields that a browser sends.
fn fields() -> String {
    let fields: String = (0..20).map(|i| format!("X-Field-{i}: the value of field {i}\r\n")).collect();
    format!("GET /plaintext?page=2&limit=10 HTTP/1.1\r\nHost: test\r\nOrigin: https://app.example\r\n{fields}\r\n")
}

#[test]
fn an_observer_does_not_make_requests_allocate() {
    let setup = |app: &mut Router<()>, server: Server| {
        routes(app);
        server.observer(Counts::default()).clock(Steps::default())
    };
    assert_eq!(allocations(setup, &get("/plaintext"), 1), 0);
    assert_eq!(allocations(setup, &get("/plaintext"), 16), 0);
}

/// A new second may cost a few allocations, whatever happens in it.
#[test]
fn a_new_second_allocates_a_few_times_at_most() {
    let clock = Steps { step: Duration::from_millis(700), ..Steps::default() };
    let wall_readings = Rc::clone(&clock.wall_readings);
    let setup = |app: &mut Router<()>, server: Server| {
        routes(app);
        // A tick lasts 700 ms here, so the timeouts must be long.
        server.config(patient()).clock(clock)
    };
    let count = allocations(setup, &get("/plaintext"), 16);
    assert!(count <= 4 * wall_readings.get(), "{count} in less than {} seconds", wall_readings.get());
}

/// Its request is kept only if something wants to see it again.
#[test]
fn a_reply_that_is_put_off_costs_no_more_where_tables_are_mounted() {
    let handler = |_: &mut (), _: &monoloop::Request<'_>, res: monoloop::Response<'_>| {
        let (sent, responder) = res.defer();
        responder.text("later");
        Ok(sent)
    };
    let plain = allocations(
        |app, server| {
            app.get("/part/later", handler);
            server.clock(Steps::default())
        },
        &get("/part/later"),
        1,
    );
    let mounted = allocations(
        |app, server| {
            let mut part = Routes::new();
            part.with(|(), _, res| ControlFlow::Continue(res));
            part.get("/later", handler);
            app.mount("/part", part);
            server.clock(Steps::default())
        },
        &get("/part/later"),
        1,
    );
    assert_eq!(mounted, plain);
}
