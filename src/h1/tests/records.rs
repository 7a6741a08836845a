//! What observers are told of each reply: how long it took, where the time went, and how many bytes it was.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exchange::{Abort, BodySink, Clock, ConnectionId, FinishedReply, Intake, Observer, Responder, Trailers};
use crate::http::{Method, Moment};
use crate::testing::{Connected, VirtualLoop};
use crate::{Config, Request, Response, Result, Router, Sent};

const SECOND: Duration = Duration::from_secs(1);

/// A clock that the handlers move on, as if they had worked.
#[derive(Clone)]
struct Worked(Rc<Cell<u64>>);

impl Worked {
    fn work(&self, millis: u64) {
        self.0.set(self.0.get() + millis * 1_000_000);
    }
}

impl Clock for Worked {
    fn now(&mut self) -> Moment {
        Moment::from_nanos(self.0.get())
    }

    fn wall_clock(&mut self) -> SystemTime {
        UNIX_EPOCH
    }
}

/// A record, with all that it borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    method: Option<Method>,
    path: Option<String>,
    route: Option<String>,
    status: u16,
    received: u64,
    content: u64,
    sent: u64,
    /// Duration, handler and deferred, in milliseconds.
    millis: [u128; 3],
    whole: bool,
}

#[derive(Clone, Default)]
struct Ear(Rc<RefCell<Vec<Told>>>);

impl Ear {
    fn note(&self, reply: &FinishedReply<'_>, whole: bool) {
        self.0.borrow_mut().push(Told {
            method: reply.method,
            path: reply.path.map(str::to_owned),
            route: reply.route.map(str::to_owned),
            status: reply.status,
            received: reply.received,
            content: reply.content,
            sent: reply.sent,
            millis: [reply.duration, reply.handler, reply.deferred].map(|time| time.as_millis()),
            whole,
        });
    }

    fn told(&self) -> Vec<Told> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    #[track_caller]
    fn only(&self) -> Told {
        let told = self.told();
        assert_eq!(told.len(), 1, "{told:#?}");
        told[0].clone()
    }
}

impl Observer for Ear {
    fn reply_finished(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        self.note(reply, true);
    }

    fn reply_cut(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        self.note(reply, false);
    }
}

/// The responder of the last deferred request.
type State = Option<Responder>;

struct Loop {
    virtual_loop: VirtualLoop,
    app: Router<State>,
    client: Connected,
    ear: Ear,
}

/// A sink that works for a time at each piece.
struct Slow(Worked);

impl BodySink<State> for Slow {
    fn data(&mut self, _: &mut State, _: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.0.work(10);
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut State, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        self.0.work(5);
        res.text("taken")
    }

    fn abort(self: Box<Self>, _: &mut State, _: Abort) {}
}

impl Loop {
    fn new() -> Self {
        let clock = Worked(Rc::new(Cell::new(1_000_000_000)));
        let (works, works_too, works_later) = (clock.clone(), clock.clone(), clock.clone());
        let mut app = Router::new(None);
        app.get("/busy/:millis", move |_, req: &Request<'_>, res| {
            works.work(req.param("millis")?);
            res.text("worked")
        });
        app.post("/echo", |_, req, res| res.send(req.body()));
        app.sink(Method::Post, "/sink", move |_, _| Ok(Slow(works_too.clone())));
        app.get("/deferred", move |kept, _, res| {
            works_later.work(7);
            let (sent, responder) = res.defer();
            *kept = Some(responder);
            Ok(sent)
        });
        app.get("/stream", |_, _, res| res.stream(crate::exchange::from_iter(["one", "two"])));
        app.get("/long", |_, _, res| res.send(vec![b'x'; 100_000]));
        let mut virtual_loop = VirtualLoop::with_clock(Config::default(), Box::new(clock));
        let (client, ear) = (virtual_loop.connect(), Ear::default());
        virtual_loop.watch(Box::new(ear.clone()));
        Self { virtual_loop, app, client, ear }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.virtual_loop.act(&self.client, &mut self.app, |wire| wire.inbound.extend(bytes.as_ref()));
    }

    fn set_window(&mut self, bytes: usize) {
        self.virtual_loop.act(&self.client, &mut self.app, |wire| wire.window = bytes);
    }

    fn sent(&self) -> u64 {
        self.client.link.wire().outbound.len() as u64
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_handler_that_blocks_shows_in_the_duration_of_its_reply() {
    let mut bench = Loop::new();
    let request = get("/busy/300?x=1");
    bench.send(&request);
    let told = bench.ear.only();
    assert_eq!((told.method, told.path.as_deref(), told.status), (Some(Method::Get), Some("/busy/300"), 200));
    assert_eq!(told.millis, [300, 300, 0]);
    assert_eq!((told.received, told.content, told.sent), (request.len() as u64, 6, bench.sent()));
}

#[test]
fn a_reply_has_the_pattern_of_its_route() {
    let mut bench = Loop::new();
    let post = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    // The handler that must parse a number fails for another text.
    let requests = [get("/busy/1"), get("/none"), get("/busy/x?y"), post("/busy/1"), post("/echo"), post("/sink")];
    bench.send(requests.concat());
    let told = bench.ear.told();
    let routes: Vec<_> = told.iter().map(|told| (told.status, told.route.as_deref())).collect();
    let busy = Some("/busy/:millis");
    let expected = [(200, busy), (404, None), (400, busy), (405, busy), (200, Some("/echo")), (200, Some("/sink"))];
    assert_eq!(routes, expected);
}

#[test]
fn pipelined_requests_wait_for_those_before_them_and_each_has_its_own_time_in_the_handler() {
    let mut bench = Loop::new();
    bench.send(get("/busy/100") + &get("/busy/20") + &get("/b%75sy/3"));
    let told = bench.ear.told();
    let millis: Vec<_> = told.iter().map(|told| told.millis).collect();
    // All three came at once. Each handler uses up a turn, so each reply leaves before the next handler is called.
    assert_eq!(millis, [[100, 100, 0], [120, 20, 0], [123, 3, 0]]);
    let paths: Vec<_> = told.iter().filter_map(|told| told.path.as_deref()).collect();
    assert_eq!(paths, ["/busy/100", "/busy/20", "/b%75sy/3"]);
    assert_eq!(told.iter().map(|told| told.sent).sum::<u64>(), bench.sent());
}

#[test]
fn a_slow_client_shows_in_the_duration_and_not_in_the_time_of_the_handler() {
    let mut bench = Loop::new();
    bench.set_window(1000);
    bench.send(get("/long"));
    assert!(bench.ear.told().is_empty());
    bench.virtual_loop.wait(&mut bench.app, 2 * SECOND);
    bench.set_window(usize::MAX);
    let told = bench.ear.only();
    assert_eq!((told.millis, told.content, told.sent), ([2000, 0, 0], 100_000, bench.sent()));
}

#[test]
fn the_time_in_which_another_thread_is_to_answer_is_told_apart() {
    let mut bench = Loop::new();
    bench.send(get("/deferred"));
    assert!(bench.ear.told().is_empty());
    bench.virtual_loop.wait(&mut bench.app, 3 * SECOND);
    bench.app.state_mut().take().expect("it was deferred").text("late");
    bench.virtual_loop.turn(&mut bench.app);
    let told = bench.ear.only();
    assert_eq!((told.path.as_deref(), told.route.as_deref()), (Some("/deferred"), Some("/deferred")));
    assert_eq!((told.status, told.content), (200, 4));
    // The clock of the handlers was seven milliseconds ahead of the loop, which went on by three seconds.
    assert_eq!(told.millis, [3000, 7, 2993]);
    assert_eq!(told.sent, bench.sent());
}

#[test]
fn the_calls_of_a_sink_count_and_so_does_its_content() {
    let mut bench = Loop::new();
    let head = "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
    bench.send(head);
    bench.send("four");
    bench.send("fives");
    let told = bench.ear.only();
    assert_eq!((told.millis[1], told.received, told.content), (25, head.len() as u64 + 9, 5));
    assert_eq!(told.sent, bench.sent());
}

#[test]
fn collected_content_counts_without_its_chunk_sizes() {
    let mut bench = Loop::new();
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    bench.send(format!("{head}5\r\nhello\r\n"));
    bench.send("1\r\n!\r\n0\r\n\r\n");
    let told = bench.ear.only();
    assert_eq!((told.received, told.content, told.sent), (head.len() as u64 + 6, 6, bench.sent()));
}

#[test]
fn a_stream_counts_its_head_and_its_content() {
    let mut bench = Loop::new();
    bench.send(get("/stream"));
    let told = bench.ear.only();
    let chunking = "6\r\n\r\n0\r\n\r\n".len() as u64;
    assert_eq!((told.path.as_deref(), told.content, told.sent), (Some("/stream"), 6, bench.sent() - chunking));
}

#[test]
fn a_reply_that_is_cut_tells_what_has_left_of_it() {
    for window in [0, 10, 1000] {
        let mut bench = Loop::new();
        bench.set_window(window);
        bench.send(get("/long"));
        bench.virtual_loop.act(&bench.client, &mut bench.app, |wire| wire.reset = true);
        let told = bench.ear.only();
        assert_eq!((told.whole, told.sent, told.path.as_deref()), (false, window as u64, Some("/long")));
        assert!(told.content <= told.sent);
    }
}

#[test]
fn a_message_that_is_not_understood_has_no_path() {
    let mut bench = Loop::new();
    bench.send(get("/busy/1"));
    bench.send("GET / HTTP/1.1\r\n\r\n");
    let told = bench.ear.told();
    let known = |told: &Told| (told.status, told.method, told.path.is_some(), told.received > 0, told.millis[1]);
    assert_eq!(
        told.iter().map(known).collect::<Vec<_>>(),
        [(200, Some(Method::Get), true, true, 1), (400, None, false, false, 0)]
    );
}

/// An observer that panics at each reply.
struct Panics;

impl Observer for Panics {
    fn reply_finished(&mut self, _: ConnectionId, _: &FinishedReply<'_>) {
        std::panic::resume_unwind(Box::new("as asked"));
    }
}

#[test]
fn each_observer_is_told_everything_also_if_another_one_panics() {
    let (mut bench, second) = (Loop::new(), Ear::default());
    bench.virtual_loop.watch(Box::new(Panics));
    bench.virtual_loop.watch(Box::new(second.clone()));
    bench.send(get("/busy/1").repeat(3));
    let told = bench.ear.told();
    assert_eq!(told.len(), 3);
    assert_eq!(second.told(), told);
}

#[test]
fn what_each_observer_may_keep_of_a_head_is_charged() {
    let charged = |observers: usize| {
        let mut bench = Loop::new();
        (1..observers).for_each(|_| bench.virtual_loop.watch(Box::new(Ear::default())));
        bench.send(format!("GET /deferred HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(5000)));
        let session = bench.virtual_loop.session(&bench.client).expect("it waits");
        session.connection.charged()
    };
    let more = charged(3) - charged(1);
    assert!((10_000..10_400).contains(&more), "{more} bytes more for two more observers");
}
