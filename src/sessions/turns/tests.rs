//! Tests of how the time of a tick is shared out, with handlers that take as long as the test says.

mod protocols;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exchange::{Clock, CloseReason, Draining, Output, Protocol, Responder};
use crate::http::Moment;
use crate::limits::{HIGH_WATER, TICK_TIME};
use crate::sessions::{Polled, Sessions};
use crate::testing::{Connected, Pipe, VirtualLoop};
use crate::{Config, Router};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";

/// A clock that the handlers move on, as if they had worked.
#[derive(Clone)]
struct Worked(Arc<AtomicU64>);

impl Worked {
    fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_000_000_000)))
    }

    fn now(&self) -> Moment {
        Moment::from_nanos(self.0.load(Ordering::Relaxed))
    }

    fn work(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }
}

impl Clock for Worked {
    fn now(&mut self) -> Moment {
        Self::now(self)
    }

    fn wall_clock(&mut self) -> SystemTime {
        UNIX_EPOCH
    }
}

/// A loop whose handlers take time: `/MICROS` takes that long. The state lists the targets in the order of the calls.
fn working() -> (VirtualLoop, Router<Vec<u64>>, Worked) {
    let clock = Worked::new();
    let mut app = Router::new(Vec::new());
    let works = clock.clone();
    app.get("/:micros", move |calls: &mut Vec<u64>, req, res| {
        let micros = req.param_str("micros").and_then(|text| text.parse().ok()).unwrap_or_default();
        calls.push(micros);
        works.work(Duration::from_micros(micros));
        res.text("done")
    });
    (VirtualLoop::with_clock(Config::default(), Box::new(clock.clone())), app, clock)
}

fn takes(micros: u64) -> String {
    format!("GET /{micros} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A tick of the loop, at the time that the clock says.
fn tick(virtual_loop: &mut VirtualLoop, app: &mut Router<Vec<u64>>, clock: &Worked) -> Duration {
    let before = clock.now();
    virtual_loop.sessions_mut().set_now(before);
    virtual_loop.sessions_mut().pump_runnable(app);
    clock.now().since(before)
}

#[test]
fn a_turn_ends_when_its_time_is_over() {
    let (mut virtual_loop, mut app, clock) = working();
    let [busy, other] = [virtual_loop.connect(), virtual_loop.connect()];
    virtual_loop.deliver(&busy, |wire| wire.inbound.extend(takes(300).repeat(20).bytes()));
    virtual_loop.deliver(&other, |wire| wire.inbound.extend(takes(1).bytes()));
    tick(&mut virtual_loop, &mut app, &clock);
    assert_eq!(*app.state(), [300, 300, 1], "a turn has half a millisecond, and the call in which it ends");
    virtual_loop.turn(&mut app);
    assert_eq!(app.state().len(), 21);
}

#[test]
fn a_polite_client_waits_for_one_tick_and_one_call_however_many_others_pipeline() {
    const GREEDY: usize = 200;
    const CALL: Duration = Duration::from_millis(2);
    let (mut virtual_loop, mut app, clock) = working();
    let greedy: Vec<_> = (0..GREEDY).map(|_| virtual_loop.connect()).collect();
    let polite = virtual_loop.connect();
    let asks = takes(CALL.as_micros() as u64).repeat(1000);
    greedy.iter().for_each(|client| virtual_loop.deliver(client, |wire| wire.inbound.extend(asks.bytes())));
    // All of them use up their first turn.
    while greedy.iter().any(|client| client.link.wire().outbound.is_empty()) {
        assert!(tick(&mut virtual_loop, &mut app, &clock) < TICK_TIME + 2 * CALL);
    }
    for _ in 0..20 {
        app.state_mut().clear();
        virtual_loop.deliver(&polite, |wire| wire.inbound.extend(takes(1).bytes()));
        let time = tick(&mut virtual_loop, &mut app, &clock);
        let calls = app.state();
        assert_eq!(calls[0], 1, "it comes before all that have used up their turns: {calls:?}");
        assert!(calls.len() > 1, "the others go on meanwhile");
        assert!(time < TICK_TIME + 2 * CALL, "the next tick comes soon, after {time:?}");
    }
}

#[test]
fn a_client_that_has_been_polite_comes_before_new_ones_and_a_new_one_before_the_greedy() {
    let (mut virtual_loop, mut app, clock) = working();
    let [known, greedy] = [virtual_loop.connect(), virtual_loop.connect()];
    virtual_loop.deliver(&greedy, |wire| wire.inbound.extend(takes(2_000).repeat(20).bytes()));
    virtual_loop.deliver(&known, |wire| wire.inbound.extend(takes(1).bytes()));
    tick(&mut virtual_loop, &mut app, &clock);
    app.state_mut().clear();
    let new: Vec<_> = (0..10).map(|_| virtual_loop.connect()).collect();
    new.iter().for_each(|client| virtual_loop.deliver(client, |wire| wire.inbound.extend(takes(1_500).bytes())));
    for _ in 0..3 {
        virtual_loop.deliver(&known, |wire| wire.inbound.extend(takes(1).bytes()));
        tick(&mut virtual_loop, &mut app, &clock);
    }
    // A tick has time for four of the new ones. The greedy one is not left out.
    let (new, greedy) = (1_500, 2_000);
    let first = [1, new, new, new, new, greedy];
    assert_eq!(*app.state(), [&first[..], &first, &[1, new, new, greedy]].concat());
}

#[test]
fn sessions_that_have_used_up_their_turns_have_the_next_ones_in_order() {
    let (mut virtual_loop, mut app, clock) = working();
    let all: Vec<_> = (0..5).map(|_| virtual_loop.connect()).collect();
    for (number, client) in all.iter().enumerate() {
        let asks = takes(1_000 + number as u64).repeat(3);
        virtual_loop.deliver(client, |wire| wire.inbound.extend(asks.bytes()));
    }
    while app.state().len() < 15 {
        tick(&mut virtual_loop, &mut app, &clock);
    }
    let turns: Vec<_> = app.state().iter().map(|micros| micros - 1_000).collect();
    assert_eq!(turns, [0, 1, 2, 3, 4].repeat(3));
}

#[test]
fn a_client_that_is_polite_again_comes_first_again() {
    let (mut virtual_loop, mut app, clock) = working();
    let [slow, greedy] = [virtual_loop.connect(), virtual_loop.connect()];
    virtual_loop.deliver(&greedy, |wire| wire.inbound.extend(takes(2_000).repeat(50).bytes()));
    virtual_loop.deliver(&slow, |wire| wire.inbound.extend(takes(5_000).bytes()));
    tick(&mut virtual_loop, &mut app, &clock);
    // Five milliseconds are ten times the time of a turn.
    for turn in 1..=12 {
        app.state_mut().clear();
        virtual_loop.deliver(&slow, |wire| wire.inbound.extend(takes(7).bytes()));
        tick(&mut virtual_loop, &mut app, &clock);
        assert_eq!(*app.state(), if turn <= 10 { [2_000, 7] } else { [7, 2_000] }, "turn {turn}");
    }
}

/// The responders of deferred replies.
type Deferred = Arc<Mutex<Vec<Responder>>>;

/// How long the application works in each call of these tests.
const WORK: Duration = Duration::from_millis(2);

/// Enough calls for several ticks.
const CALLS: usize = 40;

/// Does one part of a tick again and again, as long as it says that there is more. None of them may be long.
fn in_parts(virtual_loop: &mut VirtualLoop, clock: &Worked, mut part: impl FnMut(&mut Sessions<Pipe>) -> bool) {
    let began = clock.now();
    for count in 1.. {
        let before = clock.now();
        let sessions = virtual_loop.sessions_mut();
        sessions.set_now(before);
        sessions.note_poll(Polled::All, before);
        let more = part(sessions);
        let time = clock.now().since(before);
        assert!(time < TICK_TIME + WORK, "a part of a tick took {time:?}");
        if !more {
            assert!(count > 1 && clock.now().since(began) >= CALLS as u32 * WORK, "there was work for several ticks");
            return;
        }
        assert!(time >= TICK_TIME, "it ended after {time:?}, and there was more to do");
    }
}

#[test]
fn answers_of_other_threads_are_taken_for_a_part_of_a_tick() {
    let (mut virtual_loop, mut app, clock) = working();
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&waiting);
    app.post("/", move |_, _, res| {
        let (sent, responder) = res.defer();
        kept.lock().unwrap().push(responder);
        Ok(sent)
    });
    let clients: Vec<_> = (0..CALLS).map(|_| virtual_loop.connect()).collect();
    for client in &clients {
        virtual_loop.act(client, &mut app, |wire| wire.inbound.extend(POST.bytes()));
    }
    for responder in std::mem::take(&mut *waiting.lock().unwrap()) {
        let clock = clock.clone();
        responder.respond(move |res| {
            clock.work(WORK);
            res.text("late")
        });
    }
    in_parts(&mut virtual_loop, &clock, |sessions| {
        sessions.deliver(&mut app);
        sessions.has_letters()
    });
    assert!(clients.iter().all(|client| client.link.wire().outbound.ends_with(b"late")));
}

#[test]
fn deadlines_expire_for_a_part_of_a_tick() {
    let (mut virtual_loop, mut app, clock) = working();
    let works = clock.clone();
    app.when_not_understood(move |_, res| {
        works.work(WORK);
        res
    });
    let clients: Vec<_> = (0..CALLS).map(|_| virtual_loop.connect()).collect();
    for client in &clients {
        virtual_loop.act(client, &mut app, |wire| wire.inbound.extend(b"GET /unfinished"));
    }
    clock.work(Duration::from_secs(60));
    in_parts(&mut virtual_loop, &clock, |sessions| {
        sessions.expire_deadlines(&mut app);
        sessions.next_deadline().is_some_and(|due| due <= sessions.looked_until())
    });
    assert!(clients.iter().all(|client| client.link.wire().outbound.starts_with(b"HTTP/1.1 408 ")));
}

/// A protocol that works when its connection ends.
struct Parting(Worked);

impl Protocol<Vec<u64>> for Parting {
    fn on_data(&mut self, _: &mut Vec<u64>, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn on_close(self: Box<Self>, ended: &mut Vec<u64>, _: CloseReason) {
        ended.push(0);
        self.0.work(WORK);
    }
}

/// A loop with as many connections of [`Parting`] as there shall be calls. The state has an entry for each that ended.
fn parting() -> (VirtualLoop, Router<Vec<u64>>, Worked) {
    let (mut virtual_loop, mut app, clock) = working();
    let works = clock.clone();
    app.upgrade("/part", "part", move |_, _, res| Ok((res, Parting(works.clone()))));
    let head = "GET /part HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: part\r\n\r\n";
    for _ in 0..CALLS {
        let client = virtual_loop.connect();
        virtual_loop.act(&client, &mut app, |wire| wire.inbound.extend(head.bytes()));
    }
    (virtual_loop, app, clock)
}

#[test]
fn sessions_are_reaped_for_a_part_of_a_tick() {
    let (mut virtual_loop, mut app, clock) = parting();
    virtual_loop.sessions_mut().cut();
    in_parts(&mut virtual_loop, &clock, |sessions| {
        sessions.reap(&mut app);
        sessions.has_ended()
    });
    assert_eq!((app.state().len(), virtual_loop.sessions().len()), (CALLS, 0));
}

#[test]
fn a_loop_that_is_abandoned_releases_all_sessions_however_long_that_takes() {
    let (mut virtual_loop, mut app, _) = parting();
    virtual_loop.sessions_mut().abandon(&mut app);
    assert_eq!((app.state().len(), virtual_loop.sessions().len()), (CALLS, 0));
}

#[test]
fn a_turn_of_large_replies_that_are_taken_at_once_ends_when_its_time_is_over() {
    let (mut virtual_loop, mut app, clock) = working();
    let works = clock.clone();
    app.get("/large", move |calls: &mut Vec<u64>, _, res| {
        calls.push(0);
        works.work(WORK);
        res.text("x".repeat(HIGH_WATER))
    });
    let [busy, other] = [virtual_loop.connect(), virtual_loop.connect()];
    let asks = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20);
    virtual_loop.deliver(&busy, |wire| wire.inbound.extend(asks.bytes()));
    virtual_loop.deliver(&other, |wire| wire.inbound.extend(takes(1).bytes()));
    tick(&mut virtual_loop, &mut app, &clock);
    assert_eq!(*app.state(), [0, 1], "each of them is owed and taken before the next one is made");
}

/// Has each POST answered later, by the responders that this returns.
fn defer_posts(app: &mut Router<Vec<u64>>) -> Deferred {
    let deferred = Deferred::default();
    let kept = Arc::clone(&deferred);
    app.post("/", move |_, _, res| {
        let (sent, responder) = res.defer();
        kept.lock().unwrap().push(responder);
        Ok(sent)
    });
    deferred
}

/// The only session that is runnable has a slow turn, which nobody times.
fn after_a_slow_turn_alone(request: &str) -> (VirtualLoop, Router<Vec<u64>>, Worked, Vec<Connected>, Deferred) {
    let (mut virtual_loop, mut app, clock) = working();
    let deferred = defer_posts(&mut app);
    let slow = virtual_loop.connect();
    virtual_loop.act(&slow, &mut app, |wire| wire.inbound.extend(takes(1).bytes()));
    let clients: Vec<_> = (0..CALLS).map(|_| virtual_loop.connect()).collect();
    for client in &clients {
        virtual_loop.act(client, &mut app, |wire| wire.inbound.extend(request.bytes()));
    }
    clock.work(Duration::from_secs(60));
    virtual_loop.deliver(&slow, |wire| wire.inbound.extend(takes(6_000).bytes()));
    virtual_loop.sessions_mut().note_poll(Polled::All, clock.now());
    (virtual_loop, app, clock, clients, deferred)
}

#[test]
fn letters_are_not_charged_for_the_turn_before_them() {
    let (mut virtual_loop, mut app, clock, clients, deferred) = after_a_slow_turn_alone(POST);
    for responder in std::mem::take(&mut *deferred.lock().unwrap()) {
        responder.respond(|res| res.text("late"));
    }
    tick(&mut virtual_loop, &mut app, &clock);
    virtual_loop.sessions_mut().deliver(&mut app);
    let answered = |client: &&Connected| client.link.wire().outbound.ends_with(b"late");
    assert_eq!(clients.iter().filter(answered).count(), CALLS, "they take no time");
}

#[test]
fn expiries_are_not_charged_for_the_turn_before_them() {
    let (mut virtual_loop, mut app, clock, clients, _) = after_a_slow_turn_alone("GET /unfinished");
    tick(&mut virtual_loop, &mut app, &clock);
    virtual_loop.sessions_mut().expire_deadlines(&mut app);
    let expired = |client: &&Connected| !client.link.wire().outbound.is_empty();
    assert_eq!(clients.iter().filter(expired).count(), CALLS, "they take no time");
}

/// Ticks of the loop without new events; `each` does what else the test wants done in one.
fn ticks(virtual_loop: &mut VirtualLoop, clock: &Worked, count: usize, mut each: impl FnMut(&mut Sessions<Pipe>)) {
    let mut before = clock.now();
    for _ in 0..count {
        let now = clock.now();
        virtual_loop.sessions_mut().set_now(now);
        virtual_loop.sessions_mut().note_poll(Polled::All, before);
        before = now;
        each(virtual_loop.sessions_mut());
    }
}

#[test]
fn answers_that_wait_in_the_loop_are_not_late() {
    let (_, mut app, clock) = working();
    let deferred = defer_posts(&mut app);
    let config = Config { reply_timeout: Duration::from_secs(1), ..Config::default() };
    let mut virtual_loop = VirtualLoop::with_clock(config, Box::new(clock.clone()));
    let clients: Vec<_> = (0..CALLS).map(|_| virtual_loop.connect()).collect();
    clients.iter().for_each(|client| virtual_loop.act(client, &mut app, |wire| wire.inbound.extend(POST.bytes())));
    for responder in std::mem::take(&mut *deferred.lock().unwrap()) {
        let clock = clock.clone();
        responder.respond(move |res| {
            clock.work(Duration::from_millis(50));
            res.text("in time")
        });
    }
    ticks(&mut virtual_loop, &clock, 100, |sessions| {
        sessions.pump_runnable(&mut app);
        sessions.deliver(&mut app);
        sessions.expire_deadlines(&mut app);
    });
    assert!(clients.iter().all(|client| client.link.wire().outbound.ends_with(b"in time")));
}

#[test]
fn sessions_that_wait_for_their_turns_do_not_hold_up_the_deadlines_of_others() {
    let (mut virtual_loop, mut app, clock) = working();
    let waiting: Vec<_> = (0..2_000).map(|_| virtual_loop.connect()).collect();
    waiting.iter().for_each(|client| virtual_loop.deliver(client, |wire| wire.inbound.extend(takes(200_000).bytes())));
    // They are overdue, all of them.
    clock.work(Duration::from_secs(31));
    let began = clock.now();
    virtual_loop.sessions_mut().set_now(began);
    let drip = virtual_loop.connect();
    virtual_loop.deliver(&drip, |wire| wire.inbound.extend(b"GET /unfinished"));
    virtual_loop.sessions_mut().timed_turn(drip.key, &mut app, &mut |session, _| session.queued = false);
    ticks(&mut virtual_loop, &clock, 60, |sessions| {
        clock.work(Duration::from_millis(100));
        sessions.pump_runnable(&mut app);
        sessions.expire_deadlines(&mut app);
    });
    assert!(clock.now().since(began) < Duration::from_secs(20));
    assert!(drip.link.wire().outbound.starts_with(b"HTTP/1.1 408 "), "its head has 10 seconds");
}

#[test]
fn a_drain_that_is_cut_counts_what_lies_unread_in_the_sockets() {
    let (mut virtual_loop, mut app, clock) = working();
    let clients: Vec<_> = (0..6).map(|_| virtual_loop.connect()).collect();
    clients.iter().for_each(|client| virtual_loop.act(client, &mut app, |wire| wire.inbound.extend(takes(1).bytes())));
    let asks = takes(20_000);
    clients[..3].iter().for_each(|client| virtual_loop.deliver(client, |wire| wire.inbound.extend(asks.bytes())));
    let sessions = virtual_loop.sessions_mut();
    sessions.draining = Draining::Grace;
    sessions.look_at_all();
    // The time of this tick is enough for one of them.
    sessions.set_now(clock.now());
    sessions.pump_runnable(&mut app);
    assert_eq!(sessions.cut(), 2, "two lose their requests; the idle ones lose nothing");
}
