//! Protocols whose sessions always have work: their alarms, their wake-ups and their bytes have their turns, too.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::{Worked, ticks, working};
use crate::Router;
use crate::exchange::{CloseReason, LocalWaker, Output, Protocol};
use crate::http::Moment;
use crate::limits::{POSTED_BUDGET, TURN_TIME, WHEEL_SLOT};
use crate::testing::{Connected, VirtualLoop};

const UP: &str = "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

const SECOND: Duration = Duration::from_secs(1);

/// What happened, and when.
type Log = Rc<RefCell<Vec<(&'static str, Moment)>>>;

/// A protocol that works for a whole turn for each byte, and logs its calls.
struct Busy {
    clock: Worked,
    log: Log,
    says_goodbye: bool,
}

impl Busy {
    fn log(&self, what: &'static str) {
        self.log.borrow_mut().push((what, self.clock.now()));
    }
}

impl Protocol<Vec<u64>> for Busy {
    fn on_data(&mut self, _: &mut Vec<u64>, _: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        self.clock.work(TURN_TIME);
        Ok(1)
    }

    fn on_writable(&mut self, _: &mut Vec<u64>, out: &mut Output<'_>) -> io::Result<()> {
        self.log("begin");
        if self.says_goodbye {
            out.close_when(SECOND)
        } else {
            out.set_alarm(SECOND)
        }
        Ok(())
    }

    fn on_alarm(&mut self, _: &mut Vec<u64>, out: &mut Output<'_>) -> io::Result<()> {
        // Bytes wait for it, and more of them in the socket.
        self.log(if out.silence() == Duration::ZERO { "alarm" } else { "silence" });
        Ok(())
    }

    fn on_close(self: Box<Self>, _: &mut Vec<u64>, why: CloseReason) {
        assert_eq!(why, CloseReason::ProtocolEnded);
        self.log("end");
    }
}

/// A session that is always in a queue is looked at in each of its turns, so its alarm need not wait for an end.
#[test]
fn a_client_that_always_sends_does_not_put_off_an_alarm_or_a_goodbye() {
    for (says_goodbye, what) in [(false, "alarm"), (true, "end")] {
        let (mut virtual_loop, mut app, clock) = working();
        let (log, works) = (Log::default(), clock.clone());
        let noted = Rc::clone(&log);
        app.upgrade("/up", "echo", move |_, _, res| {
            Ok((res, Busy { clock: works.clone(), log: Rc::clone(&noted), says_goodbye }))
        });
        let client = virtual_loop.connect();
        virtual_loop.deliver(&client, |wire| wire.inbound.extend(UP.bytes().chain(std::iter::repeat_n(b'x', 100_000))));
        ticks(&mut virtual_loop, &clock, 60, |sessions| {
            clock.work(Duration::from_millis(50));
            sessions.pump_runnable(&mut app);
            sessions.expire_deadlines(&mut app);
            assert!(sessions.runnable() > 0 || sessions.has_ended() || sessions.is_empty());
            sessions.reap(&mut app);
        });
        let log = log.borrow();
        let [("begin", began), (then, at)] = log[..] else { panic!("{log:?}") };
        let after = at.since(began);
        assert!(then == what && after >= SECOND && after <= SECOND + 3 * WHEEL_SLOT, "{then} after {after:?}");
    }
}

/// What a [`Woken`] has been told, and the wakers for it.
#[derive(Default)]
struct Calls {
    writable: usize,
    data: usize,
    wakers: Vec<LocalWaker>,
    /// Each wake-up causes another one.
    goes_on: bool,
}

struct Woken(Rc<RefCell<Calls>>);

impl Protocol<Vec<u64>> for Woken {
    fn on_data(&mut self, _: &mut Vec<u64>, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        self.0.borrow_mut().data += bytes.len();
        Ok(bytes.len())
    }

    fn on_writable(&mut self, _: &mut Vec<u64>, out: &mut Output<'_>) -> io::Result<()> {
        let mut calls = self.0.borrow_mut();
        if calls.writable == 0 {
            calls.wakers.push(out.local_waker());
        } else if calls.goes_on {
            calls.wakers[0].wake();
        }
        calls.writable += 1;
        Ok(())
    }
}

fn woken() -> (VirtualLoop, Router<Vec<u64>>, Worked, Connected, Rc<RefCell<Calls>>) {
    let (mut virtual_loop, mut app, clock) = working();
    let calls = Rc::<RefCell<Calls>>::default();
    let noted = Rc::clone(&calls);
    app.upgrade("/up", "echo", move |_, _, res| Ok((res, Woken(Rc::clone(&noted)))));
    let client = virtual_loop.connect();
    virtual_loop.act(&client, &mut app, |wire| wire.inbound.extend(UP.bytes()));
    (virtual_loop, app, clock, client, calls)
}

#[test]
fn bytes_wait_while_letters_wait_from_an_earlier_tick() {
    let (mut virtual_loop, mut app, clock, client, calls) = woken();
    (0..2 * POSTED_BUDGET + 1).for_each(|_| calls.borrow().wakers[0].wake());
    virtual_loop.sessions_mut().deliver(&mut app);
    virtual_loop.deliver(&client, |wire| wire.inbound.extend(b"data"));
    let mut told = Vec::new();
    ticks(&mut virtual_loop, &clock, 4, |sessions| {
        sessions.pump_runnable(&mut app);
        told.push((calls.borrow().writable, calls.borrow().data, sessions.runnable()));
        sessions.deliver(&mut app);
    });
    let budget = POSTED_BUDGET;
    let after = 2 * budget + 2;
    assert_eq!(told, [(budget + 1, 0, 1), (2 * budget + 1, 0, 1), (after, 4, 0), (after, 4, 0)]);
}

/// Counts bytes and takes no wake-ups. A byte `w` makes it wake all the others.
struct Speaker(Rc<RefCell<Calls>>, Rc<RefCell<usize>>);

impl Protocol<Vec<u64>> for Speaker {
    fn on_data(&mut self, _: &mut Vec<u64>, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        *self.1.borrow_mut() += bytes.len();
        if bytes.contains(&b'w') {
            self.0.borrow().wakers.iter().for_each(LocalWaker::wake);
        }
        Ok(bytes.len())
    }
}

#[test]
fn a_protocol_without_wake_ups_does_not_wait_for_those_of_others_until_it_makes_some() {
    let (mut virtual_loop, mut app, clock, _, calls) = woken();
    let said = Rc::<RefCell<usize>>::default();
    let (noted, counted) = (Rc::clone(&calls), Rc::clone(&said));
    app.upgrade("/speak", "echo", move |_, _, res| Ok((res, Speaker(Rc::clone(&noted), Rc::clone(&counted)))));
    let speaker = virtual_loop.connect();
    let speak = UP.replace("/up", "/speak");
    virtual_loop.act(&speaker, &mut app, |wire| wire.inbound.extend(speak.bytes()));
    let mut say = |bytes: &[u8]| {
        (0..2 * POSTED_BUDGET).for_each(|_| calls.borrow().wakers[0].wake());
        virtual_loop.sessions_mut().deliver(&mut app);
        virtual_loop.deliver(&speaker, |wire| wire.inbound.extend(bytes));
        let mut told = Vec::new();
        ticks(&mut virtual_loop, &clock, 3, |sessions| {
            sessions.pump_runnable(&mut app);
            told.push(*said.borrow());
            sessions.deliver(&mut app);
        });
        virtual_loop.turn(&mut app);
        told
    };
    assert_eq!(say(b"quiet"), [5, 5, 5], "it does not wait");
    assert_eq!(say(b"w"), [6, 6, 6]);
    assert_eq!(say(b"again")[0], 6, "it has left wake-ups, so it waits for those of others");
}

#[test]
fn bytes_are_passed_however_many_letters_follow_one_another() {
    for count in [1, POSTED_BUDGET, 5 * POSTED_BUDGET] {
        let (mut virtual_loop, mut app, clock, client, calls) = woken();
        calls.borrow_mut().goes_on = true;
        (0..count).for_each(|_| calls.borrow().wakers[0].wake());
        for round in 1..=3 {
            virtual_loop.deliver(&client, |wire| wire.inbound.extend(b"data"));
            ticks(&mut virtual_loop, &clock, 6, |sessions| {
                sessions.pump_runnable(&mut app);
                sessions.deliver(&mut app);
            });
            assert_eq!(calls.borrow().data, 4 * round, "{count} letters that go on");
        }
        assert!(virtual_loop.sessions().mailbox().is_rung(), "there are always more");
    }
}

#[test]
fn all_of_ten_thousand_protocols_are_woken() {
    const ALL: usize = 10_000;
    let (mut virtual_loop, mut app, _) = working();
    let all = Rc::<RefCell<Vec<Rc<RefCell<Calls>>>>>::default();
    let noted = Rc::clone(&all);
    app.upgrade("/up", "echo", move |_, _, res| {
        noted.borrow_mut().push(Rc::default());
        Ok((res, Woken(Rc::clone(noted.borrow().last().expect("it is there")))))
    });
    let clients: Vec<_> = (0..ALL).map(|_| virtual_loop.connect()).collect();
    clients.iter().for_each(|client| virtual_loop.deliver(client, |wire| wire.inbound.extend(UP.bytes())));
    virtual_loop.turn(&mut app);
    let wake_all = |times: usize| {
        all.borrow().iter().for_each(|calls| calls.borrow().wakers[0].wake());
        move |calls: &Rc<RefCell<Calls>>| calls.borrow().writable == times
    };
    let woken = wake_all(2);
    virtual_loop.turn(&mut app);
    assert!(all.borrow().iter().all(woken));
    // Half of them are gone: wake-ups for those are dropped.
    clients[..ALL / 2].iter().for_each(|client| virtual_loop.deliver(client, |wire| wire.reset = true));
    virtual_loop.turn(&mut app);
    assert_eq!(virtual_loop.sessions().len(), ALL / 2);
    let woken = wake_all(3);
    virtual_loop.turn(&mut app);
    assert_eq!(all.borrow().iter().filter(|calls| woken(calls)).count(), ALL / 2);
}

/// A protocol that works for so long before it looks at its bytes that it leaves all of them.
struct Thoughtful(Worked, Rc<RefCell<Vec<bool>>>);

impl Protocol<Vec<u64>> for Thoughtful {
    fn on_data(&mut self, _: &mut Vec<u64>, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        if self.1.borrow().len() < 3 {
            self.0.work(TURN_TIME);
        }
        let is_over = out.is_time_over();
        self.1.borrow_mut().push(is_over);
        Ok(if is_over { 0 } else { bytes.len() })
    }
}

#[test]
fn bytes_that_are_left_for_want_of_time_are_passed_in_the_next_turn() {
    let (mut virtual_loop, mut app, clock) = working();
    let calls = Rc::<RefCell<Vec<bool>>>::default();
    let (noted, works) = (Rc::clone(&calls), clock.clone());
    app.upgrade("/up", "echo", move |_, _, res| Ok((res, Thoughtful(works.clone(), Rc::clone(&noted)))));
    let client = virtual_loop.connect();
    // As many as the receive buffer may hold: they are no error, because the protocol has no time.
    let bytes = std::iter::repeat_n(b'x', virtual_loop.sessions().config.max_head);
    virtual_loop.deliver(&client, |wire| wire.inbound.extend(UP.bytes()));
    virtual_loop.turn(&mut app);
    virtual_loop.deliver(&client, |wire| wire.inbound.extend(bytes));
    let mut counts = Vec::new();
    ticks(&mut virtual_loop, &clock, 5, |sessions| {
        sessions.pump_runnable(&mut app);
        counts.push((calls.borrow().len(), sessions.runnable()));
    });
    assert_eq!(counts[..3], [(1, 1), (2, 1), (3, 1)]);
    let calls = calls.borrow();
    assert!(calls[..3] == [true; 3] && calls.len() > 3 && !calls[3..].contains(&true), "{calls:?}");
    assert_eq!((counts[3].1, client.link.wire().closed, client.link.wire().inbound.len()), (0, None, 0));
}

/// A protocol that waits for a full stop. Each of its calls uses up a turn, and it always wakes itself.
struct Slow(Worked, Rc<RefCell<Vec<u8>>>);

impl Protocol<Vec<u64>> for Slow {
    fn on_data(&mut self, _: &mut Vec<u64>, bytes: &mut [u8], _: &mut Output<'_>) -> io::Result<usize> {
        self.0.work(TURN_TIME);
        if !bytes.ends_with(b".") {
            return Ok(0);
        }
        self.1.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn on_writable(&mut self, _: &mut Vec<u64>, out: &mut Output<'_>) -> io::Result<()> {
        self.0.work(TURN_TIME);
        out.local_waker().wake();
        Ok(())
    }
}

#[test]
fn bytes_that_wait_for_more_do_not_keep_a_busy_session_from_reading() {
    let (mut virtual_loop, mut app, clock) = working();
    let came = Rc::<RefCell<Vec<u8>>>::default();
    let (noted, works) = (Rc::clone(&came), clock.clone());
    app.upgrade("/up", "echo", move |_, _, res| Ok((res, Slow(works.clone(), Rc::clone(&noted)))));
    let client = virtual_loop.connect();
    for bytes in [UP, "hal", "f", "."] {
        virtual_loop.deliver(&client, |wire| wire.inbound.extend(bytes.bytes()));
        ticks(&mut virtual_loop, &clock, 4, |sessions| {
            sessions.pump_runnable(&mut app);
            sessions.deliver(&mut app);
        });
        assert_eq!(client.link.wire().inbound.len(), 0, "{bytes:?} was not read");
    }
    assert_eq!(*came.borrow(), b"half.");
}
