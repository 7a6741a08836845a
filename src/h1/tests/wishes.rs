//! What a protocol may wish for its connection, beside output: alarms, a goodbye, pauses, wake-ups, memory.

mod input;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::bench::{Bench, Fate};
use super::live::Told::{self, Alarm, Closed, Data, End, Writable};
use super::live::{How, bench, bench_with};
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::server::{ConnectionId, MessageRecord, Observer, ProtocolClose, Timeout};

const UP: &str = "GET /obedient HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// More than the output of a protocol may be before it is full.
const FILL: &str = "write 70000\n";

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A connection with a protocol that has obeyed these lines, and was told nothing else yet.
fn after(lines: &str) -> Bench {
    after_with(Config::default(), lines)
}

fn after_with(config: Config, lines: &str) -> Bench {
    let mut bench = bench_with(config);
    begin(&mut bench, lines);
    bench
}

fn begin(bench: &mut Bench, lines: &str) {
    bench.send(UP);
    assert!(bench.sent.starts_with(b"HTTP/1.1 101 "));
    bench.sent.clear();
    bench.send(lines);
    bench.router.state_mut().live.told.clear();
}

#[track_caller]
fn told(bench: &Bench) -> &[Told] {
    &bench.router.state().live.told
}

/// Ends a test: the protocol was told of its end once and last.
#[track_caller]
fn end(mut bench: Bench) {
    bench.restart();
}

fn count(bench: &Bench, what: &Told) -> usize {
    told(bench).iter().filter(|told| *told == what).count()
}

#[track_caller]
fn assert_ended(bench: &Bench, reason: CloseReason, case: &str) {
    assert_eq!((bench.fate(), bench.reason()), (Fate::Closed, Some(reason)), "{case}: {:?}", told(bench));
    assert_eq!(count(bench, &Closed(reason)), 1, "{case}: {:?}", told(bench));
}

fn data(bytes: &str) -> Told {
    Data(bytes.as_bytes().to_vec())
}

// ---- alarms ---------------------------------------------------------------------------------------------------------

#[test]
fn an_alarm_is_due_once_and_never_early() {
    for time in [1, 100, 250, 5_000, 20_100] {
        let mut bench = after(&format!("alarm {time}\n"));
        bench.wait(millis(time - 1));
        assert_eq!(told(&bench), [], "{time} ms");
        bench.wait(millis(251));
        assert_eq!(told(&bench), [Alarm], "{time} ms");
        bench.wait(millis(29_000 - time));
        assert_eq!((told(&bench), bench.fate()), (&[Alarm][..], Fate::Open), "{time} ms");
        end(bench);
    }
}

#[test]
fn an_alarm_replaces_the_one_before() {
    for (second, from, to) in [(10_000, 13_000, 13_251), (1_000, 4_000, 4_251)] {
        let mut bench = after("alarm 5000\n");
        bench.wait(millis(3_000)).send(format!("alarm {second}\n")).wait(millis(from - 3_001));
        assert_eq!(count(&bench, &Alarm), 0, "{second} ms");
        bench.wait(millis(to - from + 1));
        assert_eq!(count(&bench, &Alarm), 1, "{second} ms");
        bench.wait(millis(15_000));
        assert_eq!(count(&bench, &Alarm), 1, "{second} ms");
        end(bench);
    }
}

#[test]
fn an_alarm_can_be_set_again_and_the_idle_timeout_waits_for_the_last_one() {
    let mut bench = after("alarm 60000\n");
    bench.wait(millis(59_999));
    assert_eq!((told(&bench), bench.fate()), (&[][..], Fate::Open));
    bench.router.state_mut().live.at_alarm = vec!["alarm 1000"];
    bench.wait(millis(60_000));
    let count = count(&bench, &Alarm);
    assert!((48..=60).contains(&count) && bench.fate() == Fate::Open, "{count} alarms");
    bench.router.state_mut().live.at_alarm.clear();
    bench.send("a byte\n").wait(millis(29_999));
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(millis(252));
    assert_ended(&bench, CloseReason::IdleTimeout, "no alarm is set");
    end(bench);
}

#[test]
fn an_alarm_without_end_is_no_alarm_and_one_of_no_time_does_not_spin() {
    let mut bench = after("alarm 18446744073709551615\n");
    bench.wait(millis(3_600_000));
    assert_eq!((told(&bench), bench.fate()), (&[][..], Fate::Open));
    end(bench);
    let mut bench = after("");
    bench.router.state_mut().live.at_alarm = vec!["alarm 0"];
    bench.send("alarm 0\n").router.state_mut().live.told.clear();
    bench.wait(millis(10_000));
    assert!((39..=40).contains(&count(&bench, &Alarm)), "one in each slot of the wheel: {}", count(&bench, &Alarm));
    end(bench);
}

/// Both are timed: the alarm, and the client that takes nothing.
#[test]
fn alarms_do_not_put_off_the_end_of_a_client_that_takes_nothing() {
    for (again, alarms) in [("alarm 10000", 5), ("alarm 100", 239), ("alarm 3600000", 0)] {
        let mut bench = after("");
        bench.router.state_mut().live.at_alarm = vec![again];
        bench.set_window(0).send(format!("{again}\nwrite 1000\n")).wait(millis(59_750));
        assert_eq!((bench.fate(), count(&bench, &Alarm)), (Fate::Open, alarms), "{again}");
        bench.wait(millis(252));
        assert_ended(&bench, CloseReason::SendTimeout, again);
        end(bench);
    }
}

#[test]
fn an_alarm_waits_while_the_output_is_full_and_the_client_is_not_silent_meanwhile() {
    let mut bench = after("");
    bench.router.state_mut().live.at_alarm = vec!["silence"];
    bench.set_window(0).send(["alarm 5000\n", FILL].concat()).send("not read\n").wait(millis(10_000));
    assert!(bench.is_held() && count(&bench, &Alarm) == 0);
    bench.router.state_mut().live.told.clear();
    bench.read(1 << 20);
    assert_eq!(told(&bench), [Writable, Alarm, data("not read\n")]);
    assert!(bench.sent.ends_with(b"x0 ms\nnot read\n"), "nobody listened until now");
    end(bench);
}

#[test]
fn an_alarm_that_waits_is_replaced_too() {
    for (name, again, how) in [
        ("at room", "alarm 7000", (|_| {}) as How),
        ("at the drain", "goodbye 7000", |bench| bench.set_draining()),
        ("at room, by a goodbye", "goodbye 7000", |_| {}),
    ] {
        let mut bench = after("");
        bench.set_window(0).send(["alarm 5000\n", FILL].concat()).wait(millis(10_000));
        let live = &mut bench.router.state_mut().live;
        let waits = if name == "at the drain" { &mut live.at_drain } else { &mut live.at_room };
        waits.push(again);
        how(&mut bench);
        bench.read(1 << 20);
        bench.router.state_mut().live.at_room.clear();
        bench.wait(millis(6_999));
        assert_eq!((count(&bench, &Alarm), bench.fate()), (0, Fate::Open), "{name}: {:?}", told(&bench));
        bench.wait(millis(252));
        let is_goodbye = again.starts_with("goodbye");
        assert_eq!((count(&bench, &Alarm), bench.fate() == Fate::Closed), (usize::from(!is_goodbye), is_goodbye));
        end(bench);
    }
}

#[test]
fn a_loop_that_was_blocked_does_not_hold_it_against_the_client() {
    let mut bench = after("alarm 5000\n");
    bench.router.state_mut().live.at_alarm = vec!["silence"];
    bench.block(millis(3_000)).wait(millis(7_999));
    assert_eq!(count(&bench, &Alarm), 0);
    bench.wait(millis(252));
    let text = String::from_utf8(bench.sent.clone()).unwrap();
    let silence: u64 = text.strip_suffix(" ms\n").and_then(|text| text.parse().ok()).expect("a number");
    assert!((5_000..=5_250).contains(&silence), "{silence} ms");
    end(bench);
    let mut bench = after("pause\n");
    bench.block(millis(3_000)).wait(millis(62_999));
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(millis(252));
    assert_ended(&bench, CloseReason::ReplyTimeout, "paused");
    end(bench);
}

/// An observer that notes what it is told of a protocol.
#[derive(Clone, Default)]
struct Notes(Rc<RefCell<Vec<String>>>);

impl Notes {
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

impl Observer for Notes {
    fn message(&mut self, _: ConnectionId, message: &MessageRecord) {
        let MessageRecord { received, is_text, bytes } = message;
        self.0.borrow_mut().push(format!("message {received} {is_text} {bytes}"));
    }

    fn protocol_closed(&mut self, _: ConnectionId, close: &ProtocolClose<'_>) {
        self.0.borrow_mut().push(format!("close {} {} {}", close.code, close.reason, close.by_client));
    }

    fn timed_out(&mut self, _: ConnectionId, timeout: Timeout) {
        self.0.borrow_mut().push(format!("{timeout:?}"));
    }

    fn connection_closed(&mut self, _: ConnectionId, reason: CloseReason) {
        self.0.borrow_mut().push(format!("{reason:?}"));
    }
}

/// A protocol that gives a silent client up says so by the kind of its error.
#[test]
fn a_protocol_that_has_waited_too_long_ends_by_an_idle_timeout() {
    for (how, alarms) in [("at once", 0), ("at the alarm", 1)] {
        let (mut bench, notes) = (bench(), Notes::default());
        bench.watch(notes.clone());
        bench.router.state_mut().live.at_alarm = vec!["late"];
        begin(&mut bench, "alarm 1000\n");
        match alarms {
            0 => bench.send("late\n"),
            _ => bench.wait(millis(1_250)),
        };
        assert_ended(&bench, CloseReason::IdleTimeout, how);
        assert_eq!((count(&bench, &Alarm), notes.take()), (alarms, vec!["Idle".into(), "IdleTimeout".into()]));
        end(bench);
    }
}

#[test]
fn a_protocol_knows_its_connection_and_tells_the_observer_of_messages_and_of_its_end() {
    let (mut bench, notes) = (bench(), Notes::default());
    bench.watch(notes.clone());
    begin(&mut bench, "");
    bench.send("who\nreport 7\nclose\n");
    let who = String::from_utf8(bench.sent.clone()).unwrap();
    assert!(who.starts_with("1 127.0.0.1:"), "{who}");
    assert_eq!(notes.take(), ["message true false 7", "close 1001 as asked true"]);
    bench.fin();
    assert_eq!(notes.take(), ["ProtocolEnded"]);
    end(bench);
}

// ---- the goodbye ----------------------------------------------------------------------------------------------------

#[test]
fn a_goodbye_goes_on_reading_until_the_client_has_closed_its_side() {
    for stays in [false, true] {
        let mut bench = after("goodbye 5000\nbye\n");
        bench.router.state_mut().live.stays = stays;
        bench.wait(millis(1_000)).send("one\n").send("half").send_last(" and half\n");
        assert_eq!(told(&bench)[..4], [data("one\n"), data("half"), data("half and half\n"), End], "stays: {stays}");
        assert_ended(&bench, CloseReason::ProtocolEnded, "the client has closed its side");
        assert_eq!(bench.sent, b"bye\none\nhalf and half\n");
        end(bench);
    }
}

#[test]
fn a_goodbye_ends_at_its_deadline_whatever_happens_until_then() {
    let all: [(&str, &str, How); 8] = [
        ("silence", "", |bench| _ = bench.wait(millis(4_998))),
        ("a client that goes on", "", |bench| (0..4).for_each(|_| _ = bench.send("x\n").wait(millis(1_249)))),
        ("no alarm replaces it", "alarm 60000\n", |bench| _ = bench.wait(millis(4_998))),
        ("output is owed", "write 1000\n", |bench| _ = bench.wait(millis(4_998))),
        ("the output is full", FILL, |bench| _ = bench.wait(millis(4_998))),
        ("input is paused", "pause\n", |bench| _ = bench.send("x\n").wait(millis(4_998))),
        ("input is paused, and the client closes", "pause\n", |bench| _ = bench.fin().wait(millis(4_998))),
        ("the idle timeout", "idle 1000\n", |bench| _ = bench.wait(millis(4_998))),
    ];
    for (name, lines, how) in all {
        for min_send_rate in [0, 500] {
            let mut bench = after_with(Config { min_send_rate, ..Config::default() }, "");
            if lines.starts_with("write") {
                bench.set_window(0);
            }
            bench.send(format!("goodbye 5000\n{lines}"));
            how(&mut bench);
            assert_eq!((bench.fate(), count(&bench, &Alarm)), (Fate::Open, 0), "{name}");
            bench.wait(millis(253));
            assert_ended(&bench, CloseReason::ProtocolEnded, name);
            assert_eq!((count(&bench, &Alarm), count(&bench, &End)), (0, 0), "{name}");
            end(bench);
        }
    }
}

#[test]
fn a_goodbye_can_be_put_off_shortened_and_closed() {
    let mut bench = after("goodbye 5000\n");
    bench.wait(millis(4_000)).send("goodbye 5000\n").wait(millis(4_999));
    assert_eq!(bench.fate(), Fate::Open);
    bench.send("goodbye 100\n").wait(millis(351));
    assert_ended(&bench, CloseReason::ProtocolEnded, "shortened");
    end(bench);
    let mut bench = after("goodbye 5000\n");
    bench.send("close\nnot passed\n");
    assert_eq!(count(&bench, &Closed(CloseReason::ProtocolEnded)), 1, "the client need not close first");
    end(bench);
}

#[test]
fn a_goodbye_after_the_client_has_closed_its_side_ends_at_once() {
    let mut bench = after("local\n");
    bench.router.state_mut().live.stays = true;
    bench.fin();
    assert_eq!((told(&bench), bench.fate()), (&[End][..], Fate::Open));
    bench.router.state_mut().live.at_room = vec!["goodbye 5000"];
    bench.router.state().live.locals[0].wake();
    bench.turn();
    assert_ended(&bench, CloseReason::ProtocolEnded, "nothing more can come");
    end(bench);
}
