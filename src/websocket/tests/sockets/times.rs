//! Pings, pongs, and the deadlines of a socket.

use std::time::Duration;

use super::probe::{all, calls, client, client_of, client_with, closed, millis, open, secs, text};
use crate::Config;
use crate::exchange::CloseReason;
use crate::limits::WHEEL_SLOT;
use crate::testing::TestMessage;

fn ping() -> TestMessage {
    TestMessage::Ping(Vec::new())
}

#[test]
fn a_silent_client_is_pinged_when_it_was_silent_for_the_time_and_not_before() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    client.advance(millis(29_900));
    assert_eq!(all(&mut socket), []);
    client.advance(millis(100) + WHEEL_SLOT);
    assert_eq!(all(&mut socket), [ping()]);
}

#[test]
fn a_client_that_sends_is_not_pinged() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    for _ in 0..10 {
        client.advance(secs(20));
        socket.send(&mut client, "echo here");
        assert_eq!(all(&mut socket), [text("here")]);
    }
    client.advance(secs(30) + WHEEL_SLOT);
    assert_eq!(all(&mut socket), [ping()]);
}

#[test]
fn a_client_that_answers_each_ping_is_kept_for_ever() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    for round in 0..100 {
        client.advance(secs(30) + WHEEL_SLOT);
        assert_eq!(all(&mut socket), [ping()], "round {round}");
        socket.pong(&mut client, b"");
        assert_eq!(socket.ended(), None);
    }
    let calls = calls(&mut client);
    assert_eq!((calls.len(), &calls[1][..]), (101, "a pong "));
}

#[test]
fn a_long_time_for_pongs_does_not_put_off_the_next_ping() {
    let mut client = client_with(|route| route.ping_after(secs(10)).pong_within(secs(100)));
    let mut socket = open(&mut client, "a");
    for round in 0..5 {
        client.advance(secs(10) + WHEEL_SLOT);
        assert_eq!(all(&mut socket), [ping()], "round {round}");
        socket.pong(&mut client, b"");
    }
}

/// An alarm comes up to a slot of the wheel late, and the pong may have come in the first moment.
#[test]
fn a_pong_in_time_is_in_time_whenever_it_comes() {
    for start in [0, 1, 77, 125, 249] {
        for after in [0, 1, 100, 249, 250, 251, 1_000, 9_000, 9_999] {
            let mut client = client();
            client.advance(millis(start));
            let mut socket = open(&mut client, "a");
            client.advance(secs(29));
            while all(&mut socket).is_empty() {
                client.advance(millis(1));
            }
            client.advance(millis(after));
            socket.pong(&mut client, b"");
            client.advance(secs(20));
            assert_eq!(socket.ended(), None, "a pong after {after} ms, begun at {start} ms");
        }
    }
}

#[test]
fn any_byte_is_an_answer() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    client.advance(secs(30) + WHEEL_SLOT);
    // The first byte of a frame.
    socket.write(&mut client, b"\x81");
    client.advance(secs(29));
    assert_eq!((all(&mut socket), socket.ended()), (vec![ping()], None));
    client.advance(secs(1) + WHEEL_SLOT);
    assert_eq!(all(&mut socket), [ping()]);
}

#[test]
fn a_client_that_does_not_answer_is_given_up() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    client.advance(secs(30) + WHEEL_SLOT);
    client.advance(secs(9));
    assert_eq!((all(&mut socket), socket.ended()), (vec![ping()], None));
    client.advance(secs(1) + WHEEL_SLOT);
    assert_eq!(socket.ended(), Some(CloseReason::IdleTimeout));
    assert_eq!(calls(&mut client), ["a open", "a close 1006 \"\" unclean IdleTimeout"]);
}

#[test]
fn the_times_can_be_set_also_so_that_the_pong_takes_longer_than_the_silence() {
    let mut client = client_with(|route| route.ping_after(secs(2)).pong_within(secs(7)));
    let mut socket = open(&mut client, "a");
    client.advance(secs(2) + WHEEL_SLOT);
    assert_eq!(all(&mut socket), [ping()]);
    client.advance(secs(6));
    assert_eq!((all(&mut socket), socket.ended()), (vec![], None), "one ping at a time");
    socket.pong(&mut client, b"");
    client.advance(secs(3) + WHEEL_SLOT);
    assert_eq!((all(&mut socket), socket.ended()), (vec![ping()], None));
    client.advance(secs(7) + WHEEL_SLOT);
    assert_eq!(socket.ended(), Some(CloseReason::IdleTimeout));
}

#[test]
fn without_pings_the_idle_timeout_ends_a_silent_socket() {
    let mut client = client_with(|route| route.ping_after(Duration::MAX));
    let mut socket = open(&mut client, "a");
    client.advance(secs(29));
    assert_eq!(socket.ended(), None);
    client.advance(secs(1) + WHEEL_SLOT);
    assert_eq!((all(&mut socket), socket.ended()), (vec![], Some(CloseReason::IdleTimeout)));
    assert_eq!(calls(&mut client), ["a open", "a close 1006 \"\" unclean IdleTimeout"]);
}

#[test]
fn the_idle_timeout_does_not_end_a_socket_that_answers_pings() {
    let config = Config { idle_timeout: secs(3), ..Config::default() };
    let mut client = client_of(config);
    let mut socket = open(&mut client, "a");
    client.advance(secs(30) + WHEEL_SLOT);
    assert_eq!((all(&mut socket), socket.ended()), (vec![ping()], None));
}

#[test]
fn a_client_that_is_owed_something_is_not_pinged() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.set_window(&mut client, 10);
    socket.send(&mut client, "bytes 1000");
    client.advance(secs(45));
    socket.set_window(&mut client, usize::MAX);
    assert_eq!(all(&mut socket), [TestMessage::Binary(vec![b'x'; 1000])]);
    // It was pinged as soon as the alarm came that followed.
    client.advance(secs(30) + WHEEL_SLOT);
    assert_eq!(all(&mut socket), [ping()]);
}

#[test]
fn a_client_has_some_seconds_to_answer_a_close_frame() {
    let mut client = client_with(|route| route.close_within(secs(3)));
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "close 4000 over");
    client.advance(secs(2));
    assert_eq!((all(&mut socket), socket.ended()), (vec![closed(4000, "over")], None));
    client.advance(secs(1) + WHEEL_SLOT);
    assert_eq!(socket.ended(), Some(CloseReason::ProtocolEnded));
    let end = "a close 4000 \"over\" unclean ProtocolEnded";
    assert_eq!(calls(&mut client), ["a open", "a message close 4000 over", end]);
}

#[test]
fn what_the_client_sends_does_not_move_the_deadline_of_the_close() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "close 1000");
    for _ in 0..5 {
        client.advance(millis(900));
        socket.send(&mut client, "echo more");
        socket.ping(&mut client, b"more");
    }
    assert_eq!((all(&mut socket), socket.ended()), (vec![closed(1000, "")], None));
    client.advance(millis(500) + WHEEL_SLOT);
    assert_eq!(socket.ended(), Some(CloseReason::ProtocolEnded));
}

/// The alarm of the close was noted, and no step was taken while the connection was held.
#[test]
fn a_client_that_takes_nothing_has_no_longer_to_answer_a_close_frame() {
    for rate in [0, 500] {
        let config = Config { min_send_rate: rate, idle_timeout: secs(600), ..Config::default() };
        let mut client = client_of(config);
        let mut socket = open(&mut client, "a");
        socket.set_window(&mut client, 0);
        socket.send(&mut client, "bytes 100000;close 1000");
        client.advance(secs(5) + WHEEL_SLOT);
        assert_eq!(socket.ended(), Some(CloseReason::ProtocolEnded), "at a rate of {rate}");
        assert_eq!(calls(&mut client).last().unwrap(), "a close 1000 \"\" unclean ProtocolEnded");
    }
}

/// The alarm for a ping was due while the connection was held. It was taken for that of the close.
#[test]
fn a_close_after_an_alarm_that_was_held_up_has_its_time() {
    let mut client = client();
    let mut socket = client.websocket("/ws?writable=close+1000").open();
    socket.set_window(&mut client, 0);
    socket.send(&mut client, "bytes 100000");
    client.advance(secs(40));
    socket.set_window(&mut client, usize::MAX);
    assert_eq!((all(&mut socket).last(), socket.ended()), (Some(&closed(1000, "")), None));
    client.advance(secs(4));
    socket.close(&mut client, 1000, "");
    assert_eq!(calls(&mut client).last().unwrap(), "close 1000 \"\" clean ProtocolEnded");
}

#[test]
fn a_socket_that_is_paused_and_closed_ends_in_time() {
    for bytes in [0, 100_000] {
        let mut client = client();
        let mut socket = open(&mut client, "a");
        socket.set_window(&mut client, 1000);
        socket.send(&mut client, &format!("pause;bytes {bytes};close 1000"));
        client.advance(secs(5) + WHEEL_SLOT);
        assert_eq!(socket.ended(), Some(CloseReason::ProtocolEnded), "with {bytes} bytes owed");
        assert_eq!(calls(&mut client).last().unwrap(), "a close 1000 \"\" unclean ProtocolEnded");
    }
}

#[test]
fn a_pause_that_is_not_taken_back_ends_the_socket() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "pause");
    client.advance(secs(59));
    assert_eq!((all(&mut socket), socket.ended()), (vec![], None), "who is not heard is not pinged");
    client.advance(secs(1) + WHEEL_SLOT);
    assert_eq!(socket.ended(), Some(CloseReason::ReplyTimeout));
    assert_eq!(calls(&mut client), ["a open", "a message pause", "a close 1006 \"\" unclean ReplyTimeout"]);
}

#[test]
fn after_a_pause_the_client_has_all_its_time_again() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "pause");
    client.advance(secs(50));
    client.app_mut().state_mut().resumers.clear();
    client.advance(secs(29));
    assert_eq!((all(&mut socket), socket.ended()), (vec![], None));
    client.advance(secs(1) + WHEEL_SLOT);
    assert_eq!((all(&mut socket), socket.ended()), (vec![ping()], None));
}

#[test]
fn a_client_that_takes_nothing_at_all_is_given_up() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.set_window(&mut client, 0);
    socket.send(&mut client, "bytes 100000");
    client.advance(secs(60) + WHEEL_SLOT);
    assert_eq!(socket.ended(), Some(CloseReason::SendTimeout));
    assert_eq!(calls(&mut client).last().unwrap(), "a close 1006 \"\" unclean SendTimeout");
}

/// Its message is larger than what it can take until the deadline of the goodbye.
#[test]
fn a_client_that_reads_slowly_gets_all_that_was_sent_before_the_close() {
    let mut client = client();
    let mut slow = open(&mut client, "slow");
    slow.set_window(&mut client, 0);
    slow.send(&mut client, "bytes 1000000;close 1000 bye");
    for _ in 0..11 {
        client.advance(secs(1));
        slow.set_window(&mut client, 100_000);
    }
    assert_eq!(all(&mut slow), [TestMessage::Binary(vec![b'x'; 1_000_000]), closed(1000, "bye")]);
    client.advance(secs(3));
    assert_eq!(slow.ended(), Some(CloseReason::ProtocolEnded));
}
