//! Pauses of input, wake-ups on the loop's own thread, and memory.

use super::{FILL, Notes, after, after_with, assert_ended, begin, data, end, millis, told};
use crate::config::Config;
use crate::exchange::CloseReason;
use crate::h1::tests::bench::{Bench, Fate};
use crate::h1::tests::live::Told::{Alarm, Drain, End, Writable};
use crate::h1::tests::live::{bench, router};
use crate::limits::{HIGH_WATER, LOW_WATER};

// ---- pauses ---------------------------------------------------------------------------------------------------------

#[test]
fn nothing_is_read_or_passed_while_input_is_paused() {
    let mut bench = after("one\npause\ntwo\n");
    bench.send("three\n").fin();
    assert_eq!((told(&bench), bench.unread()), (&[][..], 6));
    bench.wait(millis(31_000));
    assert_eq!((told(&bench), bench.fate()), (&[][..], Fate::Open), "the client cannot send, so it is not idle");
    let resumer = bench.router.state_mut().live.resumers.pop().expect("it is paused");
    std::thread::spawn(move || drop(resumer)).join().unwrap();
    bench.turn();
    assert_eq!(told(&bench)[..3], [data("two\n"), data("three\n"), End]);
    assert_eq!(bench.sent, b"one\ntwo\nthree\n");
    end(bench);
}

/// The protocol pauses and uses nothing: after the pause it is given the same bytes again, although no others came.
#[test]
fn bytes_that_were_not_used_before_a_pause_are_given_again_after_it() {
    let mut bench = after("half");
    bench.router.state_mut().live.at_room = vec!["pause"];
    bench.send("\nlocal\nhal");
    bench.router.state_mut().live.locals[0].wake();
    bench.turn();
    bench.router.state_mut().live.told.clear();
    bench.router.state_mut().live.resumers.clear();
    bench.turn();
    assert_eq!(told(&bench), [data("hal")]);
    end(bench);
}

#[test]
fn each_of_several_pauses_must_be_resumed_and_their_time_is_that_of_the_first() {
    let mut bench = after("local\npause\n");
    bench.router.state_mut().live.at_room = vec!["pause", "pause"];
    bench.wait(millis(20_000)).router.state().live.locals[0].wake();
    bench.send("x\n");
    let mut resumers = std::mem::take(&mut bench.router.state_mut().live.resumers);
    assert_eq!(resumers.len(), 3);
    resumers.truncate(1);
    bench.wait(millis(39_999));
    assert_eq!((told(&bench), bench.fate()), (&[Writable][..], Fate::Open));
    bench.wait(millis(252));
    assert_ended(&bench, CloseReason::ReplyTimeout, "one is left");
    end(bench);

    let mut bench = after("local\npause\n");
    bench.router.state_mut().live.at_room = vec!["pause", "pause"];
    bench.router.state().live.locals[0].wake();
    bench.send("x\n").router.state_mut().live.resumers.clear();
    bench.turn();
    assert_eq!(told(&bench), [Writable, data("x\n")]);
    end(bench);
}

#[test]
fn more_pauses_than_sixteen_bits_can_count_are_pauses() {
    let mut bench = after("local\n");
    bench.router.state_mut().live.at_room = vec!["pause"; 1 << 16];
    bench.router.state().live.locals[0].wake();
    bench.turn().send("x\n");
    assert_eq!(told(&bench), [Writable], "65,536 pauses");
    bench.router.state_mut().live.resumers.clear();
    bench.turn();
    assert_eq!(told(&bench), [Writable, data("x\n")]);
    end(bench);
}

#[test]
fn a_pause_that_is_too_long_is_the_fault_of_the_application() {
    let notes = Notes::default();
    let mut bench = bench();
    bench.watch(notes.clone());
    begin(&mut bench, "pause\n");
    bench.send("x\n").wait(millis(59_999));
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(millis(252));
    assert_ended(&bench, CloseReason::ReplyTimeout, "paused");
    assert_eq!(notes.take(), ["Reply", "ReplyTimeout"]);
    end(bench);
}

#[test]
fn an_alarm_is_due_while_input_is_paused_and_the_client_is_not_silent_then() {
    let mut bench = after("alarm 5000\npause\n");
    bench.router.state_mut().live.at_alarm = vec!["silence", "alarm 100"];
    bench.wait(millis(5_000));
    assert_eq!(told(&bench), [Alarm]);
    assert_eq!(bench.sent, b"0 ms\n");
    // The alarms do not put off the end of the pause.
    bench.wait(millis(54_750));
    assert_eq!(bench.fate(), Fate::Open);
    bench.wait(millis(252));
    assert_ended(&bench, CloseReason::ReplyTimeout, "one alarm after the other");
    end(bench);
}

#[test]
fn the_silence_of_a_client_counts_from_when_the_server_listens() {
    let mut bench = after("hello\n");
    bench.wait(millis(7_000)).router.state_mut().live.at_room = vec!["silence"];
    bench.send("local\n").sent.clear();
    bench.wait(millis(3_000)).router.state().live.locals[0].wake();
    bench.turn();
    assert_eq!(bench.sent, b"3000 ms\n");
    bench.send("pause\n").wait(millis(9_000)).router.state_mut().live.resumers.clear();
    bench.turn().wait(millis(2_000)).sent.clear();
    bench.router.state().live.locals[0].wake();
    bench.turn();
    assert_eq!(bench.sent, b"2000 ms\n");
    // What the client takes is no sign of life.
    bench.wait(millis(1_000)).router.state().live.locals[0].wake();
    bench.turn();
    assert_eq!(bench.sent, b"2000 ms\n3000 ms\n");
    end(bench);
}

#[test]
fn a_reset_is_noticed_while_input_is_paused() {
    for lines in ["pause\n", "pause\nalarm 3600000\n", "pause\ngoodbye 60000\n"] {
        let mut bench = after(lines);
        bench.send("not read\n").reset();
        assert_ended(&bench, CloseReason::SocketError, lines);
        assert!(!told(&bench).contains(&data("not read\n")));
        // A late resumption does no harm.
        bench.router.state_mut().live.resumers.clear();
        bench.turn();
        end(bench);
    }
}

// ---- wake-ups -------------------------------------------------------------------------------------------------------

#[test]
fn a_local_waker_calls_the_protocol_while_it_lives() {
    let mut bench = after("local\n");
    bench.router.state().live.locals[0].wake();
    bench.turn();
    assert_eq!(told(&bench), [Writable]);
    let late = bench.router.state().live.locals[0].clone();
    // `on_close` wakes it, too.
    bench.reset();
    late.wake();
    bench.turn().restart();
    begin(&mut bench, "");
    late.wake();
    bench.turn();
    assert_eq!(told(&bench), [], "the slot is another's");
    end(bench);
}

#[test]
fn a_timer_wakes_a_protocol() {
    let mut app = router();
    app.every(millis(1_000), |app| app.live.locals.iter().for_each(|waker| waker.wake()));
    let mut bench = Bench::of(app, Config::default());
    begin(&mut bench, "local\n");
    bench.wait(millis(10_500));
    assert_eq!(told(&bench), vec![Writable; 10]);
    end(bench);
}

#[test]
fn a_local_wake_waits_while_the_output_is_full() {
    let mut bench = after("local\n");
    bench.set_window(0).send(FILL);
    bench.router.state_mut().live.told.clear();
    bench.router.state().live.locals[0].wake();
    bench.turn();
    assert_eq!(told(&bench), []);
    bench.read(70_000 - LOW_WATER);
    assert_eq!(told(&bench), []);
    bench.read(HIGH_WATER);
    assert_eq!(told(&bench), [Writable]);
    end(bench);
}

// ---- memory, and the drain ------------------------------------------------------------------------------------------

#[test]
fn what_a_protocol_says_that_it_holds_is_charged() {
    let mut bench = after("");
    let before = bench.charged();
    bench.send("memory 100000\n");
    assert!((100_000..100_100).contains(&(bench.charged() - before)));
    bench.send("memory 1000\n");
    assert!((1_000..1_100).contains(&(bench.charged() - before)));
    bench.send("memory 0\n");
    assert_eq!(bench.charged(), before);
    bench.send("memory 100000\nclose\n");
    end(bench);
}

#[test]
fn a_protocol_that_wants_more_memory_than_there_is_ends() {
    let mut bench = after_with(Config { max_memory: Some(1 << 20), ..Config::default() }, "memory 500000\n");
    assert_eq!(bench.fate(), Fate::Open);
    bench.send("memory 2000000\n");
    assert_ended(&bench, CloseReason::OutOfMemory, "at once");
    end(bench);
}

/// Another client wants more than what is left. Then those end that hold much and say nothing, but not one that the
/// application has paused.
#[test]
fn a_silent_holder_ends_when_memory_is_short_unless_it_is_paused() {
    for (lines, reason) in [("", Some(CloseReason::OutOfMemory)), ("pause\n", None)] {
        let mut app = router();
        app.get("/larger", |_, _, res| res.send(vec![b'x'; 500_000]));
        let mut bench = Bench::of(app, Config { max_memory: Some(1 << 20), ..Config::default() });
        begin(&mut bench, &format!("memory 600000\n{lines}"));
        bench.wait(millis(3_000));
        assert_eq!(bench.reason(), None, "memory is not short");
        let other = bench.other();
        let refused = bench.act_as(&other, |wire| {
            wire.inbound.extend(b"GET /larger HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        });
        assert!(refused.starts_with(b"HTTP/1.1 503 "), "{}", refused.escape_ascii());
        bench.wait(millis(3_000));
        assert_eq!(bench.reason(), reason, "{lines}");
        end(bench);
    }
}

#[test]
fn a_protocol_says_goodbye_at_the_drain() {
    let mut bench = after("");
    bench.router.state_mut().live.at_drain = vec!["goodbye 2000", "going away"];
    bench.drain().send("later\n").wait(millis(1_900));
    assert_eq!((told(&bench), bench.fate()), (&[Drain, data("later\n")][..], Fate::Open));
    assert_eq!(bench.sent, b"going away\nlater\n");
    bench.fin();
    assert_ended(&bench, CloseReason::ProtocolEnded, "the client has closed its side");
    end(bench);
}
