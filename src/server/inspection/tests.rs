//! Real sockets, on the thread of the loop. The clock is the test's, so each time is exact.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{DrainStage, Inspection};
use crate::exchange::{
    Abort, BodySink, Clock, CloseReason, ConnectionId, DrainCause, Endpoint, FinishedReply, Intake, Observer,
    Responder, Timeout, Trailers,
};
use crate::h1::PhaseName;
use crate::http::{Method, Moment};
use crate::server::{Decision, Running, Server};
use crate::{Config, Request, Response, Result, Router, Sent};

const SECOND: Duration = Duration::from_secs(1);

/// A clock whose time changes only when the test or the application adds some.
#[derive(Clone, Default)]
struct Hand {
    nanos: Arc<AtomicU64>,
    /// What each reading adds.
    step: u64,
    /// What the hook for connections adds.
    accept: Duration,
}

impl Hand {
    fn add(&self, time: Duration) {
        self.nanos.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&mut self) -> Moment {
        Moment::from_nanos(self.nanos.fetch_add(self.step, Ordering::Relaxed) + self.step)
    }
}

/// The responders of the deferred requests.
type State = Vec<Responder>;

struct Bench {
    running: Running<State>,
    clock: Hand,
    address: String,
}

/// A sink that counts.
struct Count(usize);

impl BodySink<State> for Count {
    fn data(&mut self, _: &mut State, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        self.0 += piece.len();
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut State, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text(self.0.to_string())
    }

    fn abort(self: Box<Self>, _: &mut State, _: Abort) {}
}

fn config() -> Config {
    Config { signals: false, ..Config::default() }
}

impl Bench {
    fn new(config: Config, clock: Hand) -> Self {
        // Zero means "never" in some places.
        clock.add(SECOND);
        let works = clock.clone();
        let mut app = Router::new(Vec::new());
        app.get("/", |_, _, res| res.text("hi"));
        app.get("/large", |_, _, res| res.send(vec![b'x'; 16 << 20]));
        app.get("/busy/:millis", move |_, req: &Request<'_>, res| {
            works.add(Duration::from_millis(req.param("millis")?));
            res.text("worked")
        });
        app.get("/deferred", |kept: &mut State, _, res| {
            let (sent, responder) = res.defer();
            kept.push(responder);
            Ok(sent)
        });
        app.sink(Method::Post, "/sink", |_, _| Ok(Count(0)));
        let server = Server::bind("127.0.0.1:0").unwrap().config(config).clock(clock.clone());
        let hook = clock.clone();
        let server = server.on_connection(move |_| {
            hook.add(hook.accept);
            Decision::Accept
        });
        let address = server.local_addr().to_string();
        Self { running: server.start(app).unwrap(), clock, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(10 * SECOND)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Turns the loop until something is so.
    #[track_caller]
    fn turn_until(&mut self, mut is_so: impl FnMut(Inspection<'_>) -> bool) {
        for _ in 0..1000 {
            if is_so(self.running.inspect()) {
                return;
            }
            self.running.turn(Some(Duration::from_millis(10))).unwrap();
        }
        panic!("it does not become so: {:#?}", self.running.inspect());
    }

    /// Turns the loop until its only connection is in a phase.
    #[track_caller]
    fn turn_until_phase(&mut self, phase: PhaseName) {
        self.turn_until(|inspection| inspection.connections().map(|view| view.phase).eq([phase]));
    }

    /// Lets time pass, without work.
    fn wait(&mut self, time: Duration) {
        self.clock.add(time);
        self.running.turn(Some(Duration::ZERO)).unwrap();
    }

    /// Phase, what more there is to say, and the next timeout with the time until then.
    #[track_caller]
    fn only(&self) -> (PhaseName, Option<String>, Option<(Duration, Timeout)>) {
        let views: Vec<_> = self.running.inspect().connections().collect();
        let [view] = &views[..] else { panic!("{views:#?}") };
        (view.phase, view.detail().map(|detail| detail.to_string()), view.deadline)
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[test]
fn a_head_has_four_faces_and_each_says_which_timeout_is_next() {
    let mut bench = Bench::new(config(), Hand::default());
    let Config { idle_timeout, head_timeout, .. } = config();
    let mut client = bench.connect();
    bench.turn_until_phase(PhaseName::Fresh);
    assert_eq!(bench.only().2, Some((idle_timeout, Timeout::Idle)));
    bench.wait(2 * SECOND);
    assert_eq!(bench.only().2, Some((idle_timeout - 2 * SECOND, Timeout::Idle)));

    client.write_all(b"GET / HT").unwrap();
    bench.turn_until_phase(PhaseName::Head);
    assert_eq!(bench.only(), (PhaseName::Head, None, Some((head_timeout, Timeout::Head))));
    bench.wait(SECOND);
    client.write_all(b"TP/1.1\r\n").unwrap();
    bench.turn_until(|inspection| inspection.connections().all(|view| view.received == 16));
    assert_eq!(bench.only().2, Some((head_timeout - SECOND, Timeout::Head)), "a dripped head wins no time");
    let view = bench.running.inspect().connections().next().unwrap();
    assert_eq!((view.slot, view.id.get(), view.owed, view.held, view.queue), (0, 1, 0, false, None));
    assert_eq!(view.peer, client.local_addr().unwrap().into());
    assert_eq!(view.idle_for, Duration::ZERO);
    assert!(view.memory > 0 && view.writable, "{view:?}");

    client.write_all(b"Host: a\r\n\r\n").unwrap();
    bench.turn_until_phase(PhaseName::Idle);
    assert_eq!(bench.only().2, Some((idle_timeout, Timeout::Idle)));
    bench.wait(SECOND);
    let view = bench.running.inspect().connections().next().unwrap();
    assert_eq!((view.received, view.memory, view.idle_for), (0, 0, SECOND));

    client.write_all(get("/large").as_bytes()).unwrap();
    bench.turn_until_phase(PhaseName::Sending);
}

#[test]
fn a_slow_reader_is_owed_much_and_is_held() {
    let mut bench = Bench::new(config(), Hand::default());
    let mut client = bench.connect();
    client.write_all(get("/large").as_bytes()).unwrap();
    bench.turn_until(|inspection| inspection.connections().any(|view| view.held && view.queue.is_none()));
    let view = bench.running.inspect().connections().next().unwrap();
    assert_eq!((view.phase, view.writable), (PhaseName::Sending, false));
    assert!(view.owed > 1 << 20 && view.memory >= view.owed, "{view:?}");
    assert!(matches!(view.deadline, Some((_, Timeout::Send))), "{view:?}");
    let owed = view.owed;
    let (used, _) = bench.running.inspect().memory();
    assert!(used >= owed);
    // The kernel has room again, and says so.
    let mut taken = vec![0; 8 << 20];
    let reader = std::thread::spawn(move || client.read_exact(&mut taken).map(|()| client));
    while !reader.is_finished() {
        bench.running.turn(Some(Duration::from_millis(10))).unwrap();
    }
    let _client = reader.join().unwrap().unwrap();
    let view = bench.running.inspect().connections().next().unwrap();
    assert!(view.owed < owed, "{view:?}");
}

#[test]
fn an_exchange_says_how_far_content_and_reply_are() {
    let mut bench = Bench::new(config(), Hand::default());
    let Config { reply_timeout, content_timeout, linger_timeout, .. } = config();
    let mut client = bench.connect();
    client.write_all(get("/deferred").as_bytes()).unwrap();
    bench.turn_until_phase(PhaseName::Exchange);
    let deferred = Some("content Done, reply Awaited".to_owned());
    assert_eq!(bench.only(), (PhaseName::Exchange, deferred, Some((reply_timeout, Timeout::Reply))));
    bench.wait(2 * SECOND);
    assert_eq!(bench.only().2, Some((reply_timeout - 2 * SECOND, Timeout::Reply)));
    assert_eq!(bench.running.inspect().queues().letters, 0);
    bench.running.app_mut().state_mut().pop().unwrap().text("late");
    assert_eq!(bench.running.inspect().queues().letters, 1);
    bench.turn_until_phase(PhaseName::Idle);

    client.write_all(b"POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").unwrap();
    bench.turn_until_phase(PhaseName::Exchange);
    let taken = Some("content Taken, reply Awaited".to_owned());
    assert_eq!(bench.only(), (PhaseName::Exchange, taken, Some((content_timeout, Timeout::Content))));
    client.write_all(b"nine byte").unwrap();
    bench.turn_until_phase(PhaseName::Idle);

    client.write_all(b"GET / HTTP/9\r\n\r\n").unwrap();
    bench.turn_until_phase(PhaseName::HalfClosed);
    let reason = Some(CloseReason::BadRequest.to_string());
    assert_eq!(bench.only(), (PhaseName::HalfClosed, reason, Some((linger_timeout, Timeout::Linger))));
    drop(client);
    bench.turn_until(|inspection| inspection.connections().count() == 0);
}

#[test]
fn the_wheel_has_each_connection_once_and_the_pools_what_was_given_back() {
    let limit = 64 << 20;
    let mut bench = Bench::new(Config { max_memory: Some(limit), ..config() }, Hand::default());
    assert_eq!(bench.running.inspect().wheel().count(), 0);
    let mut clients: Vec<_> = (0..5).map(|_| bench.connect()).collect();
    bench.turn_until(|inspection| inspection.connections().count() == 5);
    clients[0].write_all(b"GET").unwrap();
    bench.turn_until(|inspection| inspection.connections().any(|view| view.phase == PhaseName::Head));
    let inspection = bench.running.inspect();
    let wheel: Vec<_> = inspection.wheel().collect();
    assert_eq!(wheel.iter().map(|(_, count)| count).sum::<usize>(), 5, "{wheel:?}");
    assert!(wheel.is_sorted() && wheel.len() >= 2, "the head has a slot before the others: {wheel:?}");
    let Config { head_timeout, idle_timeout, .. } = config();
    let close = |due: Duration, timeout: Duration| due >= timeout && due <= timeout + crate::limits::WHEEL_SLOT;
    assert!(close(wheel[0].0, head_timeout) && wheel[0].1 == 1, "{wheel:?}");
    assert!(wheel[1].0 >= idle_timeout - SECOND, "{wheel:?}");
    assert!(inspection.slots() >= 5 && inspection.connections().all(|view| view.slot < inspection.slots()));

    let pools: Vec<_> = inspection.pools().collect();
    assert_eq!(pools.iter().map(|pool| pool.name).collect::<Vec<_>>(), ["receive", "output", "exchange", "collecting"]);
    assert_eq!(pools.iter().map(|pool| pool.lent).collect::<Vec<_>>(), [1, 0, 0, 0]);
    clients[0].write_all(b" / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    bench.turn_until(|inspection| inspection.connections().any(|view| view.phase == PhaseName::Idle));
    let pools: Vec<_> = bench.running.inspect().pools().collect();
    assert!(pools[..2].iter().all(|pool| pool.lent == 0 && pool.kept == 1 && pool.bytes > 0), "{pools:?}");
    assert_eq!(bench.running.inspect().memory().1, Some(limit));
}

#[test]
fn a_drain_is_seen_stage_by_stage() {
    let config = Config { drain_delay: SECOND, drain_grace: SECOND, drain_timeout: 3 * SECOND, ..config() };
    let mut bench = Bench::new(config, Hand::default());
    let _client = bench.connect();
    bench.turn_until_phase(PhaseName::Fresh);
    assert_eq!(bench.running.inspect().stage(), DrainStage::Serving);
    bench.running.handle().shutdown();
    bench.turn_until(|inspection| inspection.stage() == DrainStage::Delayed);
    assert_eq!(bench.running.inspect().cut_in(), None);
    bench.wait(SECOND);
    let inspection = bench.running.inspect();
    assert_eq!((inspection.stage(), inspection.cut_in()), (DrainStage::Grace, Some(3 * SECOND)));
    bench.wait(SECOND);
    let inspection = bench.running.inspect();
    assert_eq!((inspection.stage(), inspection.cut_in()), (DrainStage::Closing, Some(2 * SECOND)));
    assert_eq!(bench.only().1, Some(CloseReason::Drained.to_string()));
    assert_eq!(DrainStage::Grace.to_string(), "Grace");
}

#[test]
fn each_part_of_a_tick_has_the_time_of_its_work() {
    let millis = Duration::from_millis;
    let mut bench = Bench::new(config(), Hand { accept: millis(1), ..Hand::default() });
    bench.running.time_parts(true);
    let mut client = bench.connect();
    client.write_all(get("/busy/7").as_bytes()).unwrap();
    let (task, timer) = (bench.clock.clone(), bench.clock.clone());
    bench.running.app_mut().once(Duration::ZERO, move |_| timer.add(millis(2)));
    bench.running.handle().post(move |_| task.add(millis(3)));
    let before = bench.clock.now();
    bench.turn_until(|inspection| inspection.parts().pump.total > Duration::ZERO);
    let parts = *bench.running.inspect().parts();
    let four = [parts.accept, parts.pump, parts.post, parts.timers].map(|part| part.total.as_millis());
    assert_eq!(four, [1, 7, 3, 2]);
    assert_eq!(parts.pump.last, millis(7));
    let all: Duration = parts.iter().map(|(_, part)| part.total).sum();
    assert_eq!(all, bench.clock.now().since(before), "no time is lost, and none counts twice");
    assert!(parts.ticks > 0 && parts.ticks <= bench.running.inspect().ticks());
    // Nothing is noted while it is off, and the sums begin anew.
    bench.running.time_parts(false);
    bench.wait(SECOND);
    assert_eq!(*bench.running.inspect().parts(), parts);
    bench.running.time_parts(true);
    assert_eq!(bench.running.inspect().parts().iter().map(|(_, part)| part.total).max(), Some(Duration::ZERO));
}

#[test]
fn the_parts_are_the_whole_tick() {
    let mut bench = Bench::new(config(), Hand { step: 1000, ..Hand::default() });
    bench.running.time_parts(true);
    let mut client = bench.connect();
    client.write_all(get("/").repeat(3).as_bytes()).unwrap();
    for _ in 0..20 {
        // The clock goes on at each reading: the first one of the tick counts, and the last one ends it.
        let before = bench.clock.nanos.load(Ordering::Relaxed) + 1000;
        bench.running.turn(Some(Duration::from_millis(1))).unwrap();
        let took = Duration::from_nanos(bench.clock.nanos.load(Ordering::Relaxed) - before);
        let parts = bench.running.inspect().parts();
        assert_eq!(parts.iter().map(|(_, part)| part.last).sum::<Duration>(), took);
        assert!(parts.iter().all(|(_, part)| part.last > Duration::ZERO), "{parts:?}");
    }
}

/// An observer that writes down what it is told.
#[derive(Clone, Default)]
struct Told(Rc<RefCell<Vec<String>>>);

impl Told {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    fn note(&self, text: impl Into<String>) {
        self.0.borrow_mut().push(text.into());
    }
}

impl Observer for Told {
    fn listening(&mut self, local: &Endpoint) {
        self.note(format!("listening on {local}"));
    }

    fn connection_opened(&mut self, id: ConnectionId, _: &Endpoint) {
        self.note(format!("opened {id}"));
    }

    fn reply_finished(&mut self, id: ConnectionId, reply: &FinishedReply<'_>) {
        self.note(format!("{} to {id}", reply.status));
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        self.note(format!("held {id}: {on}"));
    }

    fn connection_closed(&mut self, id: ConnectionId, _: CloseReason) {
        self.note(format!("closed {id}"));
    }

    fn draining(&mut self, cause: DrainCause) {
        self.note(format!("{cause:?}"));
    }
}

#[test]
fn an_observer_that_comes_late_is_told_what_it_has_missed() {
    let mut bench = Bench::new(Config { drain_delay: SECOND, ..config() }, Hand::default());
    let (mut idle, mut slow) = (bench.connect(), bench.connect());
    bench.turn_until(|inspection| inspection.connections().count() == 2);
    slow.write_all(get("/large").as_bytes()).unwrap();
    bench.turn_until(|inspection| inspection.connections().any(|view| view.held));
    bench.running.handle().shutdown();
    bench.turn_until(|inspection| inspection.stage() == DrainStage::Delayed);
    let (told, other) = (Told::default(), Told::default());
    let first = bench.running.observe(told.clone());
    let listening = format!("listening on {}", bench.address);
    let held = bench.running.inspect().connections().find(|view| view.held).unwrap().id;
    let mut expected = vec![listening, "opened 1".to_owned(), "opened 2".to_owned(), "Handle".to_owned()];
    expected.insert(1 + held.get() as usize, format!("held {held}: true"));
    assert_eq!(told.take(), expected);
    let second = bench.running.observe(other.clone());
    assert_eq!(other.take(), expected);
    assert_ne!(first, second);

    idle.write_all(get("/").as_bytes()).unwrap();
    bench.turn_until(|_| !other.0.borrow().is_empty());
    assert_eq!(told.take(), other.take());
    assert!(bench.running.unobserve(first));
    assert!(!bench.running.unobserve(first), "it is not there any more");
    assert_eq!(Rc::strong_count(&told.0), 1, "it is dropped");
    idle.write_all(get("/").as_bytes()).unwrap();
    bench.turn_until(|_| !other.0.borrow().is_empty());
    assert_eq!((told.take(), other.take().len()), (Vec::new(), 1));
    assert!(bench.running.unobserve(second) && !bench.running.unobserve(second));
}

/// An observer that checks that what it is told fits together. It panics at the end of each call if it is told to.
#[derive(Clone, Default)]
struct Checked {
    open: Rc<RefCell<BTreeMap<ConnectionId, bool>>>,
    panics: bool,
}

impl Checked {
    fn end(&self) {
        assert!(!self.panics, "it panics, as it was told to");
    }
}

impl Observer for Checked {
    fn connection_opened(&mut self, id: ConnectionId, _: &Endpoint) {
        assert_eq!(self.open.borrow_mut().insert(id, false), None, "{id} is new");
        self.end();
    }

    fn backpressure(&mut self, id: ConnectionId, on: bool) {
        assert_eq!(self.open.borrow_mut().insert(id, on), Some(!on), "{id} is known, and was not so before");
        self.end();
    }

    fn reply_finished(&mut self, id: ConnectionId, _: &FinishedReply<'_>) {
        assert!(self.open.borrow().contains_key(&id), "{id} is known");
        self.end();
    }

    fn connection_closed(&mut self, id: ConnectionId, _: CloseReason) {
        assert!(self.open.borrow_mut().remove(&id).is_some(), "{id} is known");
        self.end();
    }
}

#[test]
fn observers_come_and_go_at_any_moment() {
    let mut bench = Bench::new(config(), Hand::default());
    let (mut clients, mut observers) = (Vec::new(), Vec::new());
    let mut random = 1_u64;
    let mut below = |most: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % most.max(1)
    };
    for step in 0..600 {
        match below(8) {
            0 if clients.len() < 12 => clients.push(bench.connect()),
            1 if clients.len() > 3 => drop(clients.swap_remove(below(clients.len()))),
            2 if observers.len() < 4 => {
                let checked = Checked { panics: step % 3 == 0, ..Checked::default() };
                observers.push((bench.running.observe(checked.clone()), checked));
            }
            3 if !observers.is_empty() => {
                let (id, _) = observers.swap_remove(below(observers.len()));
                assert!(bench.running.unobserve(id));
            }
            4 => drop(bench.running.app_mut().state_mut().pop().map(|responder| responder.text("late"))),
            kind if !clients.is_empty() => {
                let paths = ["/", "/large", "/deferred", "/none"];
                let text = get(paths[below(paths.len())]);
                let all = if kind == 5 { 10 } else { text.len() };
                let mut client = &clients[below(clients.len())];
                // Some are held, so that their sockets are full, and some were closed by the server.
                client.set_nonblocking(true).unwrap();
                let _ = client.write(&text.as_bytes()[..all]);
                if kind == 6 {
                    let _ = client.read(&mut vec![0; 4 << 20]);
                }
            }
            _ => {}
        }
        bench.running.turn(Some(Duration::ZERO)).unwrap();
        let views: BTreeMap<_, _> = bench.running.inspect().connections().map(|view| (view.id, view.held)).collect();
        for (_, Checked { open, .. }) in &observers {
            assert_eq!(*open.borrow(), views, "step {step}: an observer knows what is there");
        }
    }
    bench.running.app_mut().state_mut().clear();
    drop(clients);
    bench.turn_until(|inspection| inspection.connections().count() == 0);
    assert!(observers.iter().all(|(_, checked)| checked.open.borrow().is_empty()));
}
