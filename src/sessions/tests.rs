//! Tests that run the turns of sessions one by one.

use std::io;
use std::time::Duration;

use crate::exchange::{Output, Protocol, Responder};
use crate::http::Moment;
use crate::limits::{EXPIRE_BUDGET, HIGH_WATER, LINGER_BYTES, MAX_READ, TURN_BYTES, TURN_OUTPUT, TURN_REQUESTS};
use crate::sessions::Polled;
use crate::testing::{Connected, VirtualLoop};
use crate::{Config, Router};

/// A loop with a router that counts requests, and two connections.
fn two() -> (VirtualLoop, Router<u32>, [Connected; 2]) {
    let mut app = Router::new(0);
    app.get("/", |count, _, res| {
        *count += 1;
        res.text(count.to_string())
    });
    app.post("/", |_, req, res| res.text(req.body().len().to_string()));
    let mut virtual_loop = VirtualLoop::new(Config { max_content: 10 << 20, ..Config::default() });
    let both = [virtual_loop.connect(), virtual_loop.connect()];
    (virtual_loop, app, both)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_turn_ends_after_its_budget_of_requests_and_the_neighbour_has_its_own() {
    let (mut virtual_loop, mut app, [busy, other]) = two();
    virtual_loop.deliver(&busy, |wire| wire.inbound.extend(GET.repeat(5 * TURN_REQUESTS).bytes()));
    virtual_loop.deliver(&other, |wire| wire.inbound.extend(GET.bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    assert_eq!(*app.state() as usize, TURN_REQUESTS + 1);
    assert!(!other.link.wire().outbound.is_empty(), "the neighbour did not wait for more than a turn");
    assert_eq!(virtual_loop.sessions().runnable(), 1);
    virtual_loop.turn(&mut app);
    assert_eq!(*app.state() as usize, 5 * TURN_REQUESTS + 1);
}

#[test]
fn a_turn_ends_after_its_budget_of_bytes_and_the_neighbour_has_its_own() {
    const LENGTH: usize = 4 << 20;
    let (mut virtual_loop, mut app, [busy, other]) = two();
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {LENGTH}\r\n\r\n");
    virtual_loop.deliver(&busy, |wire| {
        wire.inbound.extend(head.bytes());
        wire.inbound.extend(std::iter::repeat_n(b'x', LENGTH));
    });
    virtual_loop.deliver(&other, |wire| wire.inbound.extend(GET.bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    let taken = busy.link.wire().taken;
    assert!((TURN_BYTES..TURN_BYTES + MAX_READ).contains(&taken), "{taken} bytes in a turn");
    assert!(!other.link.wire().outbound.is_empty(), "the neighbour did not wait for more than a turn");
    virtual_loop.turn(&mut app);
    assert!(busy.link.wire().outbound.ends_with(LENGTH.to_string().as_bytes()));
}

#[test]
fn a_turn_writes_no_more_than_its_budget_of_memory() {
    const LENGTH: usize = 5 << 20;
    let (mut virtual_loop, mut app, [busy, other]) = two();
    // One reply in a single piece, and one in many that are spliced in.
    app.get("/whole", |_, _, res| {
        let mut body = res.start()?;
        body.write(vec![b'x'; LENGTH])?;
        body.end()
    });
    app.get("/spliced", |_, _, res| res.send(vec![b'y'; LENGTH]));
    for target in ["/whole", "/spliced"] {
        let request = GET.replace("/ ", &format!("{target} "));
        let mut before = busy.link.wire().outbound.len();
        virtual_loop.deliver(&busy, |wire| wire.inbound.extend(request.bytes()));
        virtual_loop.deliver(&other, |wire| wire.inbound.extend(GET.bytes()));
        for turn in 0..3 {
            virtual_loop.sessions_mut().pump_runnable(&mut app);
            let written = busy.link.wire().outbound.len() - before;
            assert!(if turn < 2 { written == TURN_OUTPUT } else { written > 0 }, "{target}: {written} in a turn");
            before += written;
        }
        assert!(!other.link.wire().outbound.is_empty(), "the neighbour did not wait for more than a turn");
        assert_eq!(virtual_loop.sessions().runnable(), 0, "all of {target} has left");
    }
    assert!(busy.link.wire().outbound.len() > 2 * LENGTH);
}

/// A protocol that writes whenever the connection has room.
struct Flood;

impl Protocol<u32> for Flood {
    fn on_data(&mut self, _: &mut u32, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        // It consumes one byte at a time, although many have come.
        Ok(bytes.len().min(1))
    }

    fn on_writable(&mut self, _: &mut u32, out: &mut Output<'_>) -> io::Result<()> {
        out.write(vec![b'x'; HIGH_WATER]);
        Ok(())
    }
}

#[test]
fn the_turn_of_a_protocol_that_never_stops_writing_ends_and_the_neighbour_has_its_own() {
    let (mut virtual_loop, mut app, [busy, other]) = two();
    app.upgrade("/flood", "flood", |_, _, res| Ok((res, Flood)));
    let head = "GET /flood HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n";
    virtual_loop.deliver(&busy, |wire| wire.inbound.extend(head.bytes()));
    virtual_loop.deliver(&other, |wire| wire.inbound.extend(GET.bytes()));
    virtual_loop.sessions_mut().pump_runnable(&mut app);
    let written = busy.link.wire().outbound.len();
    assert!((TURN_BYTES..TURN_BYTES + 2 * HIGH_WATER).contains(&written), "{written} bytes in a turn");
    assert!(!other.link.wire().outbound.is_empty(), "the neighbour did not wait for more than a turn");
    assert_eq!(virtual_loop.sessions().runnable(), 1);
}

#[test]
fn a_protocol_that_consumes_a_byte_at_a_time_is_not_closed_for_leaving_the_rest() {
    let (mut virtual_loop, mut app, [busy, _]) = two();
    app.upgrade("/flood", "flood", |_, _, res| Ok((res, Flood)));
    let head = "GET /flood HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n";
    virtual_loop.deliver(&busy, |wire| {
        wire.window = 1000;
        wire.inbound.extend(head.bytes());
    });
    virtual_loop.turn(&mut app);
    for _ in 0..10 {
        // The session reads from this client only while the client takes its output.
        virtual_loop.act(&busy, &mut app, |wire| {
            wire.window = 3 * HIGH_WATER;
            wire.inbound.extend(std::iter::repeat_n(b'x', 100_000));
        });
        assert_eq!(busy.link.wire().closed, None);
    }
}

#[test]
fn the_trace_log_says_what_a_session_that_lingers_waits_for() {
    let (mut virtual_loop, mut app, [client, _]) = two();
    let awaited = |virtual_loop: &VirtualLoop| virtual_loop.sessions().slab[client.key].awaited_event();
    virtual_loop.act(&client, &mut app, |wire| wire.inbound.extend(b"no request\r\n\r\n"));
    assert!(client.link.wire().outbound.starts_with(b"HTTP/1.1 400 "));
    assert_eq!(awaited(&virtual_loop), "it can read");
    virtual_loop.act(&client, &mut app, |wire| wire.inbound.extend(vec![b'x'; LINGER_BYTES as usize]));
    assert_eq!(awaited(&virtual_loop), "its deadline passes");
    assert_eq!(client.link.wire().closed, None, "a close over unread bytes would be a reset");
}

#[test]
fn room_for_many_sessions_is_given_back_when_few_are_left() {
    let (mut virtual_loop, mut app, [first, _]) = two();
    let many: Vec<_> = (0..5_000).map(|_| virtual_loop.connect()).collect();
    let room = virtual_loop.sessions().slab.capacity();
    assert!(room >= many.len());
    many.iter().for_each(|client| virtual_loop.act(client, &mut app, |wire| wire.fin = true));
    virtual_loop.sessions_mut().trim();
    assert_eq!(virtual_loop.sessions().len(), 2);
    let left = virtual_loop.sessions().slab.capacity();
    assert!(left < room / 4, "{left} of {room}");
    virtual_loop.act(&first, &mut app, |wire| wire.inbound.extend(GET.bytes()));
    assert!(!first.link.wire().outbound.is_empty(), "the others go on");
}

#[test]
fn many_deadlines_that_pass_together_expire_over_several_ticks() {
    let (mut virtual_loop, mut app, _both) = two();
    let _more: Vec<Connected> = (0..2 * EXPIRE_BUDGET).map(|_| virtual_loop.connect()).collect();
    let all = virtual_loop.sessions().len();
    let sessions = virtual_loop.sessions_mut();
    sessions.set_now(Moment::ZERO + Duration::from_secs(60));
    sessions.note_poll(Polled::All, sessions.now());
    for left in [all - EXPIRE_BUDGET, all - 2 * EXPIRE_BUDGET, 0] {
        assert!(sessions.next_deadline().is_some_and(|due| due <= sessions.now()), "the loop does not sleep");
        sessions.expire_deadlines(&mut app);
        sessions.reap(&mut app);
        assert_eq!(sessions.len(), left);
    }
    assert_eq!(sessions.next_deadline(), None);
}

#[test]
fn the_idle_timeout_begins_again_when_a_deferred_reply_is_given() {
    let mut app = Router::new(Vec::new());
    app.get("/", |kept: &mut Vec<Responder>, _, res| {
        let (sent, responder) = res.defer();
        kept.push(responder);
        Ok(sent)
    });
    let config = Config { idle_timeout: Duration::from_secs(1), min_send_rate: 0, ..Config::default() };
    let mut virtual_loop = VirtualLoop::new(config);
    let client = virtual_loop.connect();
    client.link.wire_mut().window = 0;
    virtual_loop.act(&client, &mut app, |wire| wire.inbound.extend(GET.bytes()));
    virtual_loop.wait(&mut app, Duration::from_secs(5));
    app.state_mut().pop().expect("it was called").send("x".repeat(100_000));
    virtual_loop.wait(&mut app, Duration::from_millis(900));
    assert_eq!(client.link.wire().closed, None, "the client waited for the reply, and has a second to take it");
    virtual_loop.wait(&mut app, Duration::from_secs(2));
    assert!(client.link.wire().closed.is_some());
}
