//! What a request costs: allocations, readings of the clock, and what is left behind. The server and its client share a
//! thread here, the server being turned by hand, so every number is exact.
//!
//! Naming the crate `allocation_counter` puts its counting allocator into this test program.

mod support;

use std::cell::{Cell, RefCell};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use monoloop::exchange::{Output, Protocol};
use monoloop::http::Moment;
use monoloop::middleware::Cors;
use monoloop::router::Routes;
use monoloop::server::{Clock, CloseReason, ConnectionId, Observer, Running, Tick};
use monoloop::sse::{self, Broadcast, Event, Slow};
use monoloop::{Config, Endpoint, Error, Router, Server};
use support::{LIMIT, get, test_config};

/// Turns of the loop that may bring nothing, while the kernel carries bytes from one socket to the other.
const PATIENCE: usize = 1_000_000;

// ---- a server and its client in one thread --------------------------------------------------------------------------

struct Pair {
    running: Running<()>,
    address: SocketAddr,
    client: TcpStream,
}

impl Pair {
    #[track_caller]
    fn new(setup: impl FnOnce(&mut Router<()>, Server) -> Server) -> Self {
        let mut app = Router::new(());
        let server = setup(&mut app, Server::bind("127.0.0.1:0").expect("a port is free").config(test_config()));
        let running = server.start(app).expect("a poll");
        let address = running.local_addr().expect("it listens").to_string().parse().expect("an address");
        let client = connect(address);
        Self { running, address, client }
    }

    #[track_caller]
    fn turn(&mut self) {
        assert!(self.running.turn(Some(Duration::ZERO)).expect("the poll works"), "the server goes on");
    }

    /// Sends `request` and reads one reply, to learn its length.
    #[track_caller]
    fn first_reply(&mut self, request: &[u8]) -> Vec<u8> {
        self.client.write_all(request).expect("the kernel takes it");
        let mut reply = Vec::new();
        let mut room = [0; 4096];
        for _ in 0..PATIENCE {
            self.turn();
            match self.client.read(&mut room) {
                Ok(count) => reply.extend_from_slice(&room[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            if let Some(end) = whole(&reply, request.starts_with(b"HEAD ")) {
                assert_eq!(end, reply.len(), "nothing stands behind the reply");
                return reply;
            }
        }
        panic!("no reply");
    }

    /// Sends `bytes` and takes `expected` bytes of replies. Allocates nothing itself.
    #[track_caller]
    fn exchange(&mut self, bytes: &[u8], expected: usize) {
        self.client.write_all(bytes).expect("the kernel takes it");
        let (mut room, mut got) = ([0; 16 * 1024], 0);
        for _ in 0..PATIENCE {
            self.turn();
            match self.client.read(&mut room) {
                Ok(count) => {
                    assert!(count > 0, "the connection is kept");
                    got += count;
                }
                Err(error) => assert!(error.kind() == ErrorKind::WouldBlock),
            }
            if got >= expected {
                assert!(got == expected, "each reply is as long as the first");
                return;
            }
        }
        panic!("the replies do not come");
    }
}

#[track_caller]
fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, LIMIT).expect("the server can be reached");
    stream.set_nodelay(true).expect("TCP_NODELAY can be set");
    stream.set_nonblocking(true).expect("it can be made so");
    stream
}

/// Where the first reply ends, if it is whole.
fn whole(reply: &[u8], is_to_head: bool) -> Option<usize> {
    let head = reply.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    if is_to_head {
        return Some(head);
    }
    let text = std::str::from_utf8(&reply[..head]).expect("a head is text");
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .map_or(0, |length| length.parse().expect("a length is a number"));
    (reply.len() >= head + length).then_some(head + length)
}

// ---- allocations ----------------------------------------------------------------------------------------------------

fn routes(app: &mut Router<()>) {
    app.get("/plaintext", |_, _, res| res.text("Hello, World!"));
    app.get("/numbers/:number", |_, req, res| {
        let number: u32 = req.param("number")?;
        assert!(number == 42);
        res.text("a number")
    });
    app.get("/names/:name/of/*rest", |_, req, res| {
        assert!(req.param_str("rest").is_some_and(|rest| rest == "the/great"));
        res.text(req.param_str("name").unwrap_or_default())
    });
    app.get("/field", |_, _, res| res.header("X-Field", "a value").text("with a field"));
    app.get("/fields", |_, _, res| {
        res.status(200).append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2").text("with fields")
    });
    app.get("/pieces", |_, _, res| {
        let mut body = res.start()?;
        for _ in 0..10 {
            body.write("a piece of the content, ")?;
        }
        body.end()
    });
    app.post("/echo", |_, req, res| res.send(req.body()));
    for i in 0..500 {
        app.get(&format!("/resource{i}/:id"), |_, _, res| res.text("one of many"));
    }
}

/// Requests that are measured.
const REQUESTS: usize = 2000;

/// Counts the allocations of so many requests on a kept connection, each batch of `depth` sent at once.
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
    // The clock stands still: what a new second costs is counted below.
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

/// What each of these requests may allocate, and no more.
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

/// Measures the rows, each with both set-ups, and reports those that allocate otherwise than they say.
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

/// Scanners and bots ask for what is not there, again and again.
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
    ];
    check_rows(&rows, |app| {
        let mut part = Routes::new();
        part.with(|_, _, res| ControlFlow::Continue(res.header("X-Part", "yes")));
        part.get("/x", |_, _, res| res.text("x"));
        app.mount("/mounted", part);
        app.upgrade("/protocol", "proto", |_, _, res| Ok((res, Silent)));
    });
}

/// Another protocol, in which nothing is said.
struct Silent;

impl<S> Protocol<S> for Silent {
    fn on_data(&mut self, _: &mut S, bytes: &[u8], _: &mut Output<'_>) -> std::io::Result<usize> {
        Ok(bytes.len())
    }
}

/// A request target with twenty pairs, of which the first `encoded` have an encoded name and an encoded value.
fn twenty_pairs(path: &str, encoded: usize) -> String {
    let pair = |i| if i < encoded { format!("n%61me{i}=a+v%61lue") } else { format!("name{i}=value{i}") };
    format!("{path}?{}", (0..20).map(pair).collect::<Vec<_>>().join("&"))
}

#[test]
fn what_is_encoded_allocates_once_if_it_is_asked_for() {
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
fn few_but_common_replies_allocate_no_more_than_they_must() {
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
    check_rows(&rows, |app| app.mount("/files", monoloop::files::Files::new(&directory)));
}

/// So many clients hear what is broadcast.
const LISTENERS: usize = 10;

#[test]
fn an_event_is_encoded_once_for_all_who_hear_it() {
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
    // Until each has had this much; allocates nothing itself.
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
    // Two texts of the handler's, and the bytes that all share.
    assert_eq!(measured.count_total, 3 * REQUESTS as u64);
}

/// The head comes first and the content later, so that the request is kept aside in the meantime.
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

/// Like what a browser sends.
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

/// A new second may allocate a little, whatever happens in it.
#[test]
fn a_new_second_allocates_a_few_times_at_most() {
    let clock = Steps { step: Duration::from_millis(700), ..Steps::default() };
    let wall_readings = Rc::clone(&clock.wall_readings);
    let setup = |app: &mut Router<()>, server: Server| {
        routes(app);
        // A tick lasts 700 ms here, so no timeout may be near.
        server.config(patient()).clock(clock)
    };
    let count = allocations(setup, &get("/plaintext"), 16);
    assert!(count <= 4 * wall_readings.get(), "{count} in less than {} seconds", wall_readings.get());
}

fn patient() -> Config {
    let mut config = test_config();
    config.idle_timeout = Duration::from_secs(1_000_000);
    config
}

// ---- the clock ------------------------------------------------------------------------------------------------------

/// A clock that goes on by `step` at each reading, and counts them.
#[derive(Clone, Default)]
struct Steps {
    step: Duration,
    readings: Rc<Cell<u64>>,
    wall_readings: Rc<Cell<u64>>,
    now: Rc<Cell<Duration>>,
}

/// The time of day at the start of the made-up clock: not a whole second.
const START: Duration = Duration::from_millis(1_700_000_000_250);

impl Clock for Steps {
    fn now(&mut self) -> Moment {
        self.readings.set(self.readings.get() + 1);
        self.now.set(self.now.get() + self.step);
        Moment::from_nanos(self.now.get().as_nanos() as u64)
    }

    fn wall_clock(&mut self) -> SystemTime {
        self.wall_readings.set(self.wall_readings.get() + 1);
        UNIX_EPOCH + START + self.now.get()
    }
}

/// An observer that counts.
#[derive(Clone, Default)]
struct Counts {
    ticks: Rc<Cell<u64>>,
    opened: Rc<Cell<u64>>,
    closed: Rc<RefCell<Vec<(CloseReason, u64)>>>,
    open_now: Rc<Cell<usize>>,
}

impl Counts {
    fn closed(&self) -> u64 {
        self.closed.borrow().iter().map(|(_, count)| count).sum()
    }
}

impl Observer for Counts {
    fn connection_opened(&mut self, _: ConnectionId, _: &Endpoint) {
        self.opened.set(self.opened.get() + 1);
    }

    fn connection_closed(&mut self, _: ConnectionId, reason: CloseReason) {
        let mut closed = self.closed.borrow_mut();
        match closed.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += 1,
            None => closed.push((reason, 1)),
        }
    }

    fn ticked(&mut self, tick: &Tick) {
        self.ticks.set(self.ticks.get() + 1);
        self.open_now.set(tick.connections);
    }
}

#[test]
fn the_clock_is_read_once_per_tick_and_the_time_of_day_once_per_second() {
    let clock = Steps { step: Duration::from_millis(100), ..Steps::default() };
    let counts = Counts::default();
    let (clocks, observer) = (clock.clone(), counts.clone());
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        server.config(patient()).clock(clocks).observer(observer)
    });
    assert_eq!((clock.readings.get(), clock.wall_readings.get()), (1, 1), "one reading of each at the start");

    let request = get("/plaintext");
    let length = pair.first_reply(request.as_bytes()).len();
    for round in 0..500 {
        match round % 3 {
            0 => pair.exchange(request.as_bytes(), length),
            1 => pair.exchange(request.repeat(70).as_bytes(), 70 * length),
            _ => pair.turn(),
        }
        assert_eq!(clock.readings.get(), counts.ticks.get() + 1);
    }

    // Whenever the `Date` field changes and at no other time: the time of each tick is known.
    let ticks = counts.ticks.get();
    let second = |tick: u64| (START + clock.step * (tick as u32 + 1)).as_secs();
    let mut seconds: Vec<_> = (1..=ticks).map(second).collect();
    seconds.dedup();
    assert!(seconds.len() > 15, "{ticks} ticks");
    assert_eq!(clock.wall_readings.get(), 1 + seconds.len() as u64);
}

#[test]
fn the_date_is_that_of_the_tick() {
    let clock = Steps { step: Duration::from_millis(400), ..Steps::default() };
    let clocks = clock.clone();
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        server.config(patient()).clock(clocks)
    });
    for _ in 0..20 {
        let reply = String::from_utf8(pair.first_reply(get("/plaintext").as_bytes())).expect("text");
        let date = reply.lines().find_map(|line| line.strip_prefix("Date: ")).expect("a Date");
        let date = httpdate::parse_http_date(date).expect("an IMF-fixdate");
        // The reply was written in this tick or an earlier one.
        let now = UNIX_EPOCH + START + clock.now.get();
        let past = now.duration_since(date).expect("it is not in the future");
        assert!(past < Duration::from_secs(1) + clock.step, "{past:?}");
    }
}

// ---- what is left behind --------------------------------------------------------------------------------------------

/// Opens connections, uses them in each way that a client can, and closes them; until the server has seen the end of all.
#[track_caller]
fn storm(pair: &mut Pair, counts: &Counts) {
    let before = counts.opened.get();
    let expected = before + 300;
    let requests = [
        &b""[..],
        b"GET /plaintext HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /plaintext HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
        b"GET /large HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /none HTTP/1.1\r\nHost: test\r\n\r\nGET /pl",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\nthe beginning",
        b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"no request\r\n\r\n",
        b"POST /none HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\n\r\nhalf",
        b"GET /panic HTTP/1.1\r\nHost: test\r\n\r\n",
    ];
    for group in 0..30 {
        let mut clients: Vec<_> = requests.iter().map(|_| connect(pair.address)).collect();
        for (client, request) in clients.iter_mut().zip(requests) {
            client.write_all(request).expect("the kernel takes it");
        }
        // Some are left before the server has seen them, some in the middle, some after.
        for _ in 0..group % 4 {
            pair.turn();
        }
    }
    let limit = Instant::now() + LIMIT;
    while counts.opened.get() < expected || counts.closed() < expected - 1 {
        pair.turn();
        let (opened, closed) = (counts.opened.get(), counts.closed());
        assert!(Instant::now() < limit, "of {expected} connections, {opened} were opened and {closed} closed");
    }
}

#[test]
fn what_is_opened_is_closed_and_nothing_stays() {
    let counts = Counts::default();
    let observer = counts.clone();
    let mut pair = Pair::new(move |app, server| {
        routes(app);
        let large: std::sync::Arc<[u8]> = vec![7; 1 << 20].into();
        app.get("/large", move |_, _, res| res.send(large.clone()));
        app.get("/panic", |_, _, _| panic!("this test panics on purpose"));
        server.observer(observer)
    });
    // The first connection is the pair's own, and stays.
    pair.first_reply(get("/plaintext").as_bytes());
    for _ in 0..3 {
        storm(&mut pair, &counts);
    }
    let measured = allocation_counter::measure(|| {
        for _ in 0..3 {
            storm(&mut pair, &counts);
        }
    });
    assert_eq!(counts.opened.get(), counts.closed() + 1);
    assert_eq!(counts.open_now.get(), 1);
    // The pool may keep other buffers than before, but no more than it may.
    assert!(measured.bytes_current.unsigned_abs() <= monoloop::limits::POOL_BYTES as u64, "{measured:?}");
    pair.first_reply(get("/plaintext").as_bytes());
}

// ---- TCP_NODELAY ----------------------------------------------------------------------------------------------------

/// The accepted socket is found by its addresses, and a duplicate of it asked.
#[cfg(target_os = "linux")]
#[test]
fn accepted_sockets_have_tcp_nodelay() {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

    for nodelay in [true, false] {
        let mut config = test_config();
        config.nodelay = nodelay;
        let mut pair = Pair::new(move |app, server| {
            routes(app);
            server.config(config)
        });
        pair.first_reply(get("/plaintext").as_bytes());
        let remote = pair.client.local_addr().expect("it is connected");
        let entries = support::proc_net_tcp().into_iter();
        let accepted = entries.filter(|entry| entry.local == pair.address && entry.remote == remote);
        let inode = accepted.map(|entry| entry.inode).next().expect("the kernel knows it");
        let name = format!("socket:[{inode}]");
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("Linux has it");
        let descriptor = descriptors
            .filter_map(|entry| entry.ok())
            .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == &*name))
            .and_then(|entry| entry.file_name().to_str()?.parse().ok())
            .expect("it is a descriptor of this process");
        let process = pidfd_open(getpid(), PidfdFlags::empty()).expect("one may look at oneself");
        let Ok(duplicate) = pidfd_getfd(process, descriptor, PidfdGetfdFlags::empty()) else {
            return eprintln!("skipped: this machine does not let a process duplicate its own descriptor");
        };
        assert_eq!(rustix::net::sockopt::tcp_nodelay(&duplicate).expect("it is a TCP socket"), nodelay);
    }
}
