//! How WebSockets share the time of the loop with others, with handlers that take as long as the test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::probe::millis;
use crate::exchange::Clock;
use crate::http::{Moment, Result};
use crate::limits::{HIGH_WATER, TICK_TIME};
use crate::testing::{Connected, VirtualLoop};
use crate::websocket::{Message, Room, Slow, Socket, WebSocket};
use crate::{Config, Router};

/// A clock that the handlers move on, as if they had worked, and each reading of it, if the test says so.
#[derive(Clone)]
struct Worked {
    nanos: Arc<AtomicU64>,
    reading: Duration,
}

impl Worked {
    fn work(&self, time: Duration) {
        self.nanos.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    fn time(&self) -> Moment {
        Moment::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

impl Clock for Worked {
    fn now(&mut self) -> Moment {
        self.work(self.reading);
        self.time()
    }

    fn wall_clock(&mut self) -> SystemTime {
        UNIX_EPOCH
    }
}

/// What the handlers have done.
struct Done {
    /// The length of each message that came; 0 for a GET.
    calls: Vec<usize>,
    writable: usize,
    room: Room,
}

/// A handler that works for a time.
struct Worker {
    clock: Worked,
    /// For each message.
    works: Duration,
    /// Bytes that it sends for each message.
    sends: usize,
    /// It closes the socket when it is told that it may go on.
    closes: bool,
}

impl WebSocket<Done> for Worker {
    fn open(&mut self, done: &mut Done, ws: &mut Socket<'_>) -> Result<()> {
        done.room.join(ws);
        Ok(())
    }

    fn message(&mut self, done: &mut Done, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        done.calls.push(message.as_bytes().len());
        self.clock.work(self.works);
        match message {
            // What is said once, and then again and again, for the room.
            Message::Text(text) => {
                let count = text.parse().unwrap_or(0);
                (0..count).for_each(|_| _ = done.room.send(&[b'r'; 1024]));
                Ok(())
            }
            Message::Binary(_) if self.sends > 0 => ws.send(&vec![b's'; self.sends]),
            Message::Binary(_) => Ok(()),
        }
    }

    fn writable(&mut self, done: &mut Done, ws: &mut Socket<'_>) -> Result<()> {
        done.writable += 1;
        self.clock.work(self.works);
        if self.closes { ws.close(1000, "") } else { Ok(()) }
    }
}

/// A loop with a WebSocket, whose handler takes some time for each message and sends some bytes.
struct Bench {
    virtual_loop: VirtualLoop,
    app: Router<Done>,
    clock: Worked,
}

impl Bench {
    fn new(works: Duration, sends: usize) -> Self {
        Self::with_readings(Duration::ZERO, works, sends)
    }

    /// Each reading of the clock takes time, too: so every turn of a millisecond is over after one step.
    fn with_readings(reading: Duration, works: Duration, sends: usize) -> Self {
        let clock = Worked { nanos: Arc::new(AtomicU64::new(1_000_000_000)), reading };
        let mut app = Router::new(Done { calls: Vec::new(), writable: 0, room: Room::new(Slow::Drop) });
        let works_on = clock.clone();
        app.websocket("/ws", move |_, req, offer| {
            let closes = req.query("closes").is_some();
            Ok((offer, Worker { clock: works_on.clone(), works, sends, closes }))
        });
        app.get("/", |done, _, res| {
            done.calls.push(0);
            res.empty()
        });
        let virtual_loop = VirtualLoop::with_clock(Config::default(), Box::new(clock.clone()));
        Self { virtual_loop, app, clock }
    }

    fn open(&mut self) -> Connected {
        self.open_at("/ws")
    }

    fn open_at(&mut self, target: &str) -> Connected {
        let connected = self.virtual_loop.connect();
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        self.virtual_loop.act(&connected, &mut self.app, |wire| wire.inbound.extend(head.bytes()));
        connected.link.wire_mut().outbound.clear();
        connected
    }

    /// Lets bytes arrive.
    fn deliver(&mut self, to: &Connected, bytes: &[u8]) {
        self.virtual_loop.deliver(to, |wire| wire.inbound.extend(bytes));
    }

    /// A tick of the loop, at the time that the clock says. Returns how long it took.
    fn tick(&mut self) -> Duration {
        let before = self.clock.time();
        let sessions = self.virtual_loop.sessions_mut();
        sessions.set_now(before);
        sessions.pump_runnable(&mut self.app);
        if sessions.has_letters() || sessions.mailbox().is_rung() {
            sessions.deliver(&mut self.app);
        }
        self.clock.time().since(before)
    }

    /// Ticks until nothing is left to do.
    fn finish(&mut self) {
        self.virtual_loop.turn(&mut self.app);
    }
}

/// A masked frame. The key of zeros changes nothing.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    assert!(payload.len() < 126);
    [&[0x80 | opcode, 0x80 | payload.len() as u8, 0, 0, 0, 0][..], payload].concat()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn many_messages_of_one_read_do_not_keep_others_waiting() {
    let mut bench = Bench::new(Duration::from_micros(300), 0);
    let [busy, other] = [bench.open(), bench.virtual_loop.connect()];
    bench.deliver(&busy, &frame(2, b"m").repeat(100));
    bench.deliver(&other, GET);
    bench.tick();
    assert_eq!(bench.app.state().calls, [1, 1, 0], "a turn has half a millisecond, and the call in which it ends");
    bench.finish();
    assert_eq!(bench.app.state().calls.len(), 101);
}

#[test]
fn http_waits_for_one_tick_however_many_sockets_are_busy() {
    const WORK: Duration = Duration::from_millis(2);
    let mut bench = Bench::new(WORK, 0);
    let busy: Vec<_> = (0..100).map(|_| bench.open()).collect();
    let polite = bench.virtual_loop.connect();
    busy.iter().for_each(|socket| bench.deliver(socket, &frame(2, b"m").repeat(50)));
    // All of them use up a turn.
    while bench.app.state().calls.len() < busy.len() * 3 / 2 {
        bench.tick();
    }
    for _ in 0..20 {
        bench.app.state_mut().calls.clear();
        bench.deliver(&polite, GET);
        let took = bench.tick();
        assert_eq!(bench.app.state().calls[0], 0);
        assert!(took < TICK_TIME + 2 * WORK, "the tick took {took:?}");
    }
}

#[test]
fn bytes_wait_while_a_room_has_something_for_others() {
    let mut bench = Bench::new(millis(0), 0);
    let members: Vec<_> = (0..3_000).map(|_| bench.open()).collect();
    bench.deliver(&members[0], &frame(1, b"1"));
    bench.tick();
    assert!(bench.virtual_loop.sessions().has_letters(), "not all could be told in one tick");
    bench.deliver(&members[1], &frame(1, b"1"));
    bench.deliver(&members[2], &frame(1, b"1"));
    bench.tick();
    assert_eq!(bench.app.state().calls, [1], "what comes waits until the room has been heard");
    bench.finish();
    assert_eq!(bench.app.state().calls, [1, 1, 1]);
    let len = |member: &Connected| member.link.wire().outbound.len();
    assert!(members.iter().all(|member| len(member) == 3 * (1024 + 4)));
}

/// The turn was over before the loop had noted that so much was owed, so nobody was told when it had left.
#[test]
fn a_handler_that_is_slow_and_sends_much_is_told_when_it_may_go_on() {
    for (works, count) in [(millis(0), 1), (millis(5), 1), (millis(5), 3)] {
        let mut bench = Bench::new(works, HIGH_WATER);
        let socket = bench.open();
        for round in 1..=count {
            bench.deliver(&socket, &frame(2, b"m"));
            bench.finish();
            assert_eq!(bench.app.state().writable, round, "with a handler that takes {works:?}");
        }
    }
}

/// The same for what a room has given: the rest waited for ever.
#[test]
fn a_room_sends_all_to_a_member_whose_turn_is_over() {
    for reading in [millis(0), millis(1)] {
        let mut bench = Bench::with_readings(reading, millis(0), 0);
        let socket = bench.open();
        bench.deliver(&socket, &frame(1, b"300"));
        bench.finish();
        assert_eq!(socket.link.wire().outbound.len(), 300 * (1024 + 4));
    }
}

/// Its client takes all, as fast as the loop gives it.
#[test]
fn a_member_that_waits_for_its_turn_is_not_slow() {
    for reading in [Duration::ZERO, Duration::from_micros(100), millis(1)] {
        let mut bench = Bench::with_readings(reading, millis(0), 0);
        let all: Vec<_> = (0..5).map(|_| bench.open()).collect();
        bench.deliver(&all[0], &frame(1, b"1024"));
        for at in 0..20 {
            bench.deliver(&all[at % 5], &frame(1, b"1"));
            bench.tick();
        }
        bench.finish();
        assert_eq!((bench.app.state().room.len(), bench.app.state().room.dropped()), (5, 0), "{reading:?}");
        for socket in all {
            assert_eq!(socket.link.wire().outbound.len(), 1044 * (1024 + 4));
        }
    }
}

/// An alarm that was due meanwhile came after the close, when the turn of a slow handler was over.
#[test]
fn no_ping_follows_a_close_frame() {
    let mut bench = Bench::new(millis(5), 2 * HIGH_WATER);
    let socket = bench.open_at("/ws?closes");
    bench.virtual_loop.deliver(&socket, |wire| wire.window = 0);
    bench.deliver(&socket, &frame(2, b"m"));
    bench.finish();
    bench.virtual_loop.wait(&mut bench.app, Duration::from_secs(40));
    bench.clock.work(Duration::from_secs(40));
    bench.virtual_loop.act(&socket, &mut bench.app, |wire| wire.window = usize::MAX);
    let wire = socket.link.wire();
    assert_eq!(bench.app.state().writable, 1);
    assert!(wire.outbound.ends_with(b"s\x88\x02\x03\xe8"), "{}", wire.outbound[2 * HIGH_WATER..].escape_ascii());
}
