//! What the frames say.

use serde_json::json;

use crate::support::serve::memory;
use crate::{Demo, says, slots};

#[test]
fn a_frame_shows_connections_with_their_phases_and_deadlines() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    let mut client = demo.connect();
    let peer = client.local().to_string();
    feed.slot("fresh connection", |slot| slot["peer"] == *peer && slot["phase"] == "fresh");
    client.send("GET /us");
    let slot = feed.slot("head", |slot| slot["peer"] == *peer && slot["phase"] == "head");
    assert_eq!((&slot["received"], &slot["deadline"][0]), (&json!(7), &json!("head")));
    assert!(slot["deadline"][1].as_u64().is_some_and(|left| left <= 10_000), "{slot}");
    client.send("ers/1 HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(client.reply().status, 200);
    let slot = feed.slot("idle connection", |slot| slot["peer"] == *peer && slot["phase"] == "idle");
    assert_eq!((&slot["slot"], &slot["deadline"][0], slot.get("owed")), (&json!(0), &json!("idle"), None));
    drop(client);
    let frame = feed.wait("end of the connection", |message| says(message, " ended: "));
    assert_eq!((slots(&frame).len(), &frame["slots"]["open"]), (0, &json!(0)));
}

#[test]
fn a_reply_is_told_in_a_sentence() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.wait("frame", |message| message["kind"] == "frame");
    let mut client = demo.connect();
    client.ask("/users/1?secret=1");
    let (mut was_told, mut replies) = (false, 0);
    feed.wait("sentence", |message| {
        was_told |= says(message, "GET /users/1 on connection 1 was answered with 200 in ");
        assert!(!message.to_string().contains("secret"), "a query may be secret: {message}");
        replies = message["counts"]["replies"].as_u64().unwrap_or_default();
        was_told
    });
    assert_eq!(replies, 1);
    client.ask("/fail");
    feed.wait("failure", |message| says(message, "A request on connection 1 failed with 500."));
}

#[test]
fn the_parts_of_a_tick_are_timed() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    let names = ["waiting", "events", "accept", "pump", "post", "timers", "expire", "drain", "reap"];
    let mut client = demo.connect();
    client.ask("/users");
    feed.wait("time of the pump", |message| {
        let parts = message["parts"].as_array().expect("each frame has parts");
        assert_eq!(parts.iter().map(|part| part["name"].as_str().unwrap_or_default()).collect::<Vec<_>>(), names);
        parts[3]["total"].as_f64().is_some_and(|micros| micros > 0.0)
    });
}

#[test]
fn a_slow_reader_is_held_and_a_dripping_client_has_the_deadline_of_its_head() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.start("slow");
    feed.start("drip");
    let slot = feed.slot("held connection", |slot| slot["held"] == true);
    assert_eq!((&slot["phase"], &slot["deadline"][0]), (&json!("exchange"), &json!("send")), "{slot}");
    assert!(slot["owed"].as_u64().is_some_and(|owed| owed >= 16 * 1024), "{slot}");
    let dripping = |slot: &serde_json::Value| slot["phase"] == "head" && slot["deadline"][0] == "head";
    let first = feed.slot("dripping head", dripping);
    let later = feed.slot("byte of the same head", |slot| dripping(slot) && slot["received"] != first["received"]);
    assert_eq!(later["id"], first["id"]);
    assert!(later["deadline"][1].as_u64() <= first["deadline"][1].as_u64(), "a byte moves it no further away");
    feed.order(&json!({ "order": "stop" }));
    feed.wait("end of both", |message| message["slots"]["open"] == 0);
    assert_eq!(demo.end().code, Some(0));
}

#[test]
fn each_experiment_can_be_started_and_ends() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.start("polite");
    feed.wait("50 idle connections", |message| {
        slots(message).iter().filter(|slot| slot["phase"] == "idle").count() == 50
    });
    feed.start("broadcast");
    feed.wait("24 members", |message| slots(message).iter().filter(|slot| slot["phase"] == "upgraded").count() == 24);
    feed.start("pipeline");
    feed.wait("last reply of the pipeline", |message| {
        says(message, "/users/1 on connection ") || message["left_out"].as_u64() > Some(0)
    });
    // While a handler blocks, no frame comes. The next one tells.
    feed.start("block");
    feed.wait("reply of the blocking handler", |message| {
        says(message, "POST /_live/block on connection ") && says(message, " was answered with 200 in 2.")
    });
    feed.order(&json!({ "order": "stop" }));
    feed.wait("end of all", |message| message["slots"]["open"] == 0);
}

#[test]
fn polite_clients_end_without_a_reset() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.start("polite");
    feed.start("broadcast");
    feed.wait("replies to all", |message| message["counts"]["replies"].as_u64() > Some(200));
    // These members are still joining.
    feed.start("broadcast");
    feed.wait("newcomer", |message| slots(message).iter().filter(|slot| slot["phase"] == "upgraded").count() > 24);
    feed.order(&json!({ "order": "stop" }));
    let last = feed.wait("end of all", |message| message["slots"]["open"] == 0);
    let reasons = &last["counts"]["reasons"];
    assert_eq!(reasons.get("the socket failed"), None, "{reasons}");
}

#[test]
fn experiments_are_bounded() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    for _ in 0..9 {
        feed.start("drip");
    }
    let refused = feed.wait("refusal", |message| message["kind"] == "refused");
    assert!(refused["why"].as_str().is_some_and(|why| why.starts_with("8 experiments run already.")), "{refused}");
    assert_eq!(demo.end().code, Some(0), "the clients of the page do not hold up the end");
}

#[test]
fn experiments_that_were_stopped_are_bounded_too() {
    // A full backlog keeps them in connect(2) until they give up.
    let demo = Demo::start_with(&["--backlog=1"]);
    let mut feed = demo.feed();
    feed.order(&json!({ "order": "pause" }));
    feed.wait("pause", |message| message["speed"]["paused"] == true);
    let mut is_refused = false;
    for _ in 0..20 {
        for _ in 0..8 {
            feed.start("polite");
            let answer = feed.wait("answer", |message| message["kind"] == "started" || message["kind"] == "refused");
            is_refused |= answer["why"] == "Experiments that were stopped have not ended yet. Wait for them.";
        }
        feed.order(&json!({ "order": "stop" }));
    }
    assert!(is_refused);
    let threads = format!("/proc/{}/task", demo.process.pid().as_raw_nonzero());
    let threads = std::fs::read_dir(threads).expect("it is alive").count();
    assert!(threads <= 2 + 16, "{threads} threads");
    assert_eq!(demo.end().code, Some(0));
}

#[test]
fn a_drain_says_when_it_cuts_what_is_left_and_refuses_experiments() {
    let demo = Demo::start_with(&["--drain-timeout=30s"]);
    let mut feed = demo.feed();
    // It holds up the drain, but the listener is closed.
    let mut client = demo.connect();
    client.get("/big?mib=64");
    let frame = feed.wait("held connection", |message| slots(message).iter().any(|slot| slot["held"] == true));
    assert_eq!(frame.get("cut"), None);
    feed.order(&json!({ "order": "drain" }));
    let first = feed.wait("drain", |message| message["stage"] == "grace");
    feed.start("pipeline");
    let answer = feed.wait("answer", |message| message["kind"] != "frame");
    assert_eq!(answer, json!({ "kind": "refused", "why": "The server drains, so it accepts no client any more." }));
    let later = feed.wait("end of the grace", |message| message["stage"] == "closing");
    let cut = |frame: &serde_json::Value| frame["cut"].as_u64().expect("a drain has it");
    assert!(cut(&first) <= 30_000 && cut(&later) < cut(&first), "{first} {later}");
}

#[test]
fn a_client_whose_head_took_too_long_is_seen_to_linger() {
    let demo = Demo::start_with(&["--head-timeout=1s"]);
    let mut feed = demo.feed();
    feed.start("drip");
    let slot = feed.slot("lingering connection", |slot| slot["phase"] == "halfclosed");
    assert_eq!(slot["deadline"][0], "linger");
    // It stays for longer than the linger timeout.
    feed.wait("end of the linger", |message| message["counts"]["timeouts"]["linger"] == 1);
}

#[test]
fn clients_measure_the_wait_that_the_server_cannot_see() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    feed.start("polite");
    feed.wait("replies to all", |message| message["counts"]["replies"].as_u64() > Some(50));
    feed.start("block");
    let (mut is_rare, mut text) = (false, String::new());
    feed.wait("measured wait and rare sentence", |message| {
        let sentences = message["sentences"].as_array().map_or(&[][..], Vec::as_slice);
        let blocked = |said: &serde_json::Value| said["text"].as_str().is_some_and(|text| text.starts_with("POST "));
        is_rare |= sentences.iter().any(|said| blocked(said) && said["rare"] == true);
        text.push_str(message["text"].as_str().filter(|_| message["kind"] == "measured").unwrap_or_default());
        is_rare && !text.is_empty()
    });
    let wait = text.strip_prefix("The polite clients had to wait for up to ").expect("a sentence");
    let wait = wait.strip_suffix(" s, as they measured it.").and_then(|wait| wait.parse::<f64>().ok());
    assert!(wait.is_some_and(|wait| wait >= 1.0), "{text}");
}

#[test]
fn a_page_that_is_one_too_many_learns_why() {
    let demo = Demo::start();
    let mut pages: Vec<_> = (0..16).map(|_| demo.feed()).collect();
    pages.iter_mut().for_each(|page| drop(page.wait("frame", |message| message["kind"] == "frame")));
    assert_eq!(demo.feed().end(), (1013, "16 pages are open already".to_owned()));
    pages.pop();
    pages[0].order(&json!({ "order": "pause" }));
    pages[0].wait("pause", |message| message["speed"]["paused"] == true);
}

#[test]
fn a_second_page_sees_the_same_and_one_that_does_not_read_costs_little() {
    let demo = Demo::start();
    let (mut feed, idle) = (demo.feed(), demo.feed());
    let mut second = demo.feed();
    let clients: Vec<_> = (0..200).map(|_| demo.connect()).collect();
    feed.wait("200 connections", |message| message["slots"]["open"] == 200);
    second.wait("200 connections", |message| message["slots"]["open"] == 200);
    // Each tick is a frame of some 30 KiB now, unless the last one is still on its way.
    second.order(&json!({ "order": "speed", "delay": 1 }));
    feed.wait("slow motion", |message| message["speed"]["delay"] == 1);
    let before = memory(demo.process.pid(), "VmRSS");
    let mut bytes = 0;
    let mut client = demo.connect();
    while bytes < 30_000_000 {
        client.ask("/users");
        bytes += feed.wait("frame", |message| message["kind"] == "frame").to_string().len();
        second.next();
    }
    let after = memory(demo.process.pid(), "VmRSS");
    assert!(after < before + 8_000_000, "{before} bytes have become {after}");
    drop((clients, idle));
}

#[test]
fn an_order_that_is_not_known_is_refused() {
    let demo = Demo::start();
    let mut feed = demo.feed();
    for order in [json!({ "order": "dance" }), json!(1), json!({ "order": "speed", "delay": 99999 })] {
        feed.order(&order);
        let refused = feed.wait("refusal", |message| message["kind"] == "refused");
        assert!(!refused["why"].as_str().unwrap_or_default().is_empty(), "{order}: {refused}");
    }
    // The feed goes on.
    let mut client = demo.connect();
    client.ask("/users");
    feed.wait("sentence", |message| says(message, "GET /users "));
}
