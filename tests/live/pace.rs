//! Slow motion, pause and single steps; and the end of the server in all of them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Demo, Feed, says};

#[track_caller]
fn pause(feed: &mut Feed) -> u64 {
    feed.order(&json!({ "order": "pause" }));
    tick(&feed.wait("pause", |message| message["speed"]["paused"] == true))
}

fn tick(frame: &Value) -> u64 {
    frame["tick"].as_u64().expect("each frame has it")
}

#[test]
fn a_paused_loop_serves_nobody_and_a_step_is_one_tick() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    let mut client = demo.connect();
    client.ask("/users");
    let paused_at = pause(&mut feed);
    client.get("/users/2");
    client.wait_delivered();
    assert!(!client.is_readable(), "the loop is paused");
    // One tick may be that of a timer.
    for last in paused_at..paused_at + 5 {
        feed.order(&json!({ "order": "step" }));
        let frame = feed.wait("next tick", |message| message["tick"].as_u64().is_some_and(|tick| tick > last));
        assert_eq!(tick(&frame), last + 1);
        assert_eq!(frame["speed"], json!({ "paused": true, "delay": 0, "single": true }));
        if says(&frame, "GET /users/2 on connection 1 was answered with 200") {
            break;
        }
    }
    assert_eq!(client.reply().status, 200);
    client.get("/users/3");
    client.wait_delivered();
    assert!(!client.is_readable(), "the loop is paused again");
    feed.order(&json!({ "order": "resume" }));
    assert_eq!(client.reply().status, 200);
    feed.wait("full speed", |message| message["speed"]["single"] == false);
}

#[test]
fn the_clock_of_the_loop_stands_still_while_it_is_paused() {
    let demo = Demo::start_with(&["--head-timeout=1s"]);
    let mut feed = demo.feed();
    let mut client = demo.connect();
    client.send("GET /us");
    feed.slot("head", |slot| slot["phase"] == "head");
    let before = Instant::now();
    pause(&mut feed);
    // The other side of the timeout is the proof, so this waits for it in reality.
    client.socket().set_read_timeout(Some(Duration::from_millis(1500))).expect("a timeout can be set");
    assert!(client.read_some(&mut [0]).is_err(), "nothing comes while the loop is paused");
    assert!(before.elapsed() > Duration::from_secs(1));
    client.send("ers/1 HTTP/1.1\r\nHost: test\r\n\r\n");
    client.wait_delivered();
    feed.order(&json!({ "order": "resume" }));
    assert_eq!(client.reply().status, 200, "the pause is not held against the client");
}

#[test]
fn in_slow_motion_each_tick_is_a_frame() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.order(&json!({ "order": "speed", "delay": 20 }));
    let first = tick(&feed.wait("slow motion", |message| message["speed"]["delay"] == 20));
    let mut client = demo.connect();
    for last in first..first + 20 {
        client.ask("/users");
        let frame = feed.wait("next tick", |message| message["tick"].as_u64().is_some_and(|tick| tick > last));
        assert_eq!(tick(&frame), last + 1);
    }
}

#[test]
fn the_loop_goes_on_when_the_last_page_has_gone() {
    let demo = Demo::start();
    let mut client = demo.connect();
    client.ask("/users");
    let (mut first, second) = (demo.feed(), demo.feed());
    pause(&mut first);
    drop(second);
    client.get("/users");
    client.wait_delivered();
    assert!(!client.is_readable(), "one page is left");
    drop(first);
    assert_eq!(client.reply().status, 200);
    // The next page begins afresh.
    let frame = demo.feed().wait("frame", |message| message["kind"] == "frame");
    assert_eq!((&frame["speed"]["paused"], &frame["counts"]["replies"]), (&json!(false), &json!(0)));
}

#[test]
fn a_signal_ends_a_paused_server() {
    let demo = Demo::start();
    let mut client = demo.connect();
    client.ask("/users");
    let mut feed = demo.feed();
    pause(&mut feed);
    client.get("/users/1");
    client.wait_delivered();
    let end = demo.end();
    assert_eq!((end.code, end.errors.as_str()), (Some(0), ""));
    assert_eq!(end.text(), "SIGTERM received. Shutting down gracefully...\nAll connections closed. Goodbye.\n");
    assert_eq!(client.reply().status, 200, "a request in a socket is served");
    feed.wait("end", |message| message["kind"] == "ended");
}

#[test]
fn a_signal_ends_slow_motion() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.order(&json!({ "order": "speed", "delay": 2000 }));
    feed.wait("slow motion", |message| message["speed"]["delay"] == 2000);
    let clients: Vec<_> = (0..20).map(|_| demo.connect()).collect();
    let begin = Instant::now();
    assert_eq!(demo.end().code, Some(0));
    assert!(begin.elapsed() < Duration::from_secs(9), "it takes less than a few slow ticks and the drain timeout");
    drop(clients);
}

#[test]
fn after_a_signal_no_client_of_the_page_holds_up_a_drain() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.start("slow");
    feed.slot("held connection", |slot| slot["held"] == true);
    feed.order(&json!({ "order": "drain" }));
    feed.wait("drain", |message| message["stage"] == "closing");
    let end = demo.end();
    assert_eq!((end.code, end.errors.as_str()), (Some(0), ""));
}

#[test]
fn a_drain_goes_on_while_the_loop_is_paused() {
    let mut demo = Demo::start();
    let mut client = demo.connect();
    client.ask("/users");
    let mut feed = demo.feed();
    pause(&mut feed);
    feed.order(&json!({ "order": "drain" }));
    feed.order(&json!({ "order": "pause" }));
    feed.wait("grace", |message| message["stage"] == "grace");
    feed.wait("end", |message| message["kind"] == "ended" && message["how"].as_str().is_some());
    assert_eq!(demo.process.end().code, Some(0));
}
