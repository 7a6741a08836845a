//! What goes through an open socket: messages, parts, pings, pauses, and what an observer learns of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread;

use super::probe::{all, app_with, calls, client, client_of, client_with, closed, join, open, secs, text};
use crate::exchange::{CloseReason, ConnectionId, MessageRecord, Observer, ProtocolClose};
use crate::http::Error;
use crate::limits::HIGH_WATER;
use crate::testing::TestMessage;
use crate::{Config, TestClient};

#[test]
fn messages_of_all_lengths_come_back_in_order() {
    let mut client = client_with(|route| route.max_message(1 << 20));
    let mut socket = open(&mut client, "a");
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 20] {
        let message: Vec<u8> = (0..len).map(|at| at as u8).collect();
        socket.send(&mut client, &message);
        assert_eq!(all(&mut socket), [TestMessage::Binary(message)], "{len} bytes");
    }
    assert_eq!(calls(&mut client)[3], "a 125 bytes");
}

#[test]
fn pings_are_answered_also_between_the_frames_of_a_message() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.ping(&mut client, b"1");
    socket.frame(&mut client, false, 1, b"echo ");
    socket.ping(&mut client, &[7; 125]);
    socket.frame(&mut client, false, 0, b"who");
    socket.pong(&mut client, b"unasked");
    socket.frame(&mut client, true, 0, b"le");
    let pong = |payload: &[u8]| TestMessage::Pong(payload.to_vec());
    assert_eq!(all(&mut socket), [pong(b"1"), pong(&[7; 125]), text("whole")]);
    assert_eq!(calls(&mut client), ["a open", "a pong unasked", "a message echo whole"]);
}

#[test]
fn a_handler_can_ping() {
    let mut client = client();
    let mut socket = client.websocket("/ws?open=ping+there%3F&pong=echo+yes").open();
    assert_eq!(all(&mut socket), [TestMessage::Ping(b"there?".to_vec())]);
    socket.pong(&mut client, b"there?");
    assert_eq!((all(&mut socket), calls(&mut client)), (vec![text("yes")], vec!["open".into(), "pong there?".into()]));
    socket.send(&mut client, &format!("ping {}", "x".repeat(126)));
    assert_eq!(all(&mut socket), [closed(1011, "Internal error")]);
}

#[test]
fn what_is_sent_after_the_close_does_nothing() {
    let mut client = client();
    let mut socket = join(&mut client, "a");
    let script =
        "note before;close 1000 end;note after;echo x;ping x;part x;last x;bytes 10;close 1001 y;join 0;say 0 x";
    socket.send(&mut client, script);
    assert_eq!(all(&mut socket), [closed(1000, "end")]);
    assert_eq!(calls(&mut client)[2..], ["before true false", "after false false", "0 have taken it"]);
}

// ---- parts ----------------------------------------------------------------------------------------------------------

#[test]
fn a_message_can_be_sent_in_parts() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "part one, ;ping between;part ;last two");
    assert_eq!(all(&mut socket), [TestMessage::Ping(b"between".to_vec()), text("one, two")]);
    socket.send(&mut client, "last all at once;echo next");
    assert_eq!(all(&mut socket), [text("all at once"), text("next")]);
    socket.send(&mut client, "part begun");
    socket.ping(&mut client, b"!");
    assert_eq!(all(&mut socket), [TestMessage::Pong(b"!".to_vec())]);
    socket.send(&mut client, "part , gone on;close 1000");
    assert_eq!(all(&mut socket), [closed(1000, "")], "the message has no end");
}

#[test]
fn a_message_in_parts_is_not_torn() {
    for script in ["part x;echo y", "part x;binary-part y", "part x;bytes 1"] {
        let mut client = client();
        let mut socket = open(&mut client, "a");
        socket.send(&mut client, script);
        assert_eq!(all(&mut socket), [closed(1011, "Internal error")], "{script}");
    }
}

/// After the close, nothing is an error either: the handler need not know.
#[test]
fn a_message_in_parts_may_go_on_after_the_close() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "part x;close 1000;echo y;binary-part z;last w;note still");
    assert_eq!(all(&mut socket), [closed(1000, "")]);
    assert_eq!(calls(&mut client).last().unwrap(), "still false false");
}

// ---- backpressure ---------------------------------------------------------------------------------------------------

#[test]
fn a_handler_is_told_when_its_client_has_taken_what_it_was_owed() {
    let mut client = client();
    let mut socket = client.websocket("/ws?writable=echo+more").open();
    socket.set_window(&mut client, 0);
    socket.send(&mut client, "fill;note full");
    assert_eq!(calls(&mut client).last().unwrap(), "full true true");
    // While it is full, nothing is read.
    socket.send(&mut client, "note later");
    assert_eq!(calls(&mut client), [""; 0]);
    socket.set_window(&mut client, HIGH_WATER / 2);
    assert_eq!(calls(&mut client), [""; 0]);
    socket.set_window(&mut client, HIGH_WATER / 2);
    assert_eq!(calls(&mut client), ["writable", "message note later", "later true false"]);
    socket.set_window(&mut client, usize::MAX);
    let got = all(&mut socket);
    assert_eq!((got.len(), got.last()), (65, Some(&text("more"))));
    socket.send(&mut client, "echo no more");
    assert_eq!((all(&mut socket).len(), calls(&mut client).len()), (1, 1), "it is told once");
}

#[test]
fn one_message_that_is_larger_than_all_marks_is_sent_whole() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.set_window(&mut client, 7);
    socket.send(&mut client, "bytes 3000000");
    for _ in 0..40 {
        socket.set_window(&mut client, 100_000);
    }
    assert_eq!(all(&mut socket), [TestMessage::Binary(vec![b'x'; 3_000_000])]);
    assert_eq!(calls(&mut client), ["a open", "a message bytes 3000000", "a writable"]);
}

#[test]
fn a_client_that_pings_and_takes_nothing_is_not_read_any_more() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.set_window(&mut client, 0);
    let mut ping = vec![0x89, 0x80 | 125, 0, 0, 0, 0];
    ping.extend([b'p'; 125]);
    socket.write(&mut client, &ping.repeat(10_000));
    socket.set_window(&mut client, usize::MAX);
    assert_eq!(all(&mut socket).len(), 10_000);
    assert_eq!(socket.ended(), None);
}

// ---- pauses ---------------------------------------------------------------------------------------------------------

#[test]
fn messages_wait_while_the_socket_is_paused_and_come_in_order_then() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    // All of it comes at once.
    let frame = |text: &str| [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0][..], text.as_bytes()].concat();
    socket.write(&mut client, &["echo 1;pause;echo 2", "echo 3", "pause", "echo 4"].map(frame).concat());
    socket.send(&mut client, "echo 5");
    assert_eq!(all(&mut socket), ["1", "2"].map(text));
    client.app_mut().state_mut().resumers.clear();
    client.advance(secs(0));
    assert_eq!(all(&mut socket), [text("3")], "up to the next pause");
    let resumers = std::mem::take(&mut client.app_mut().state_mut().resumers);
    thread::spawn(move || drop(resumers)).join().unwrap();
    client.advance(secs(0));
    assert_eq!(all(&mut socket), ["4", "5"].map(text));
}

#[test]
fn two_pauses_end_with_the_second_resumption() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "pause;pause");
    socket.send(&mut client, "echo 1");
    for wanted in [0, 1] {
        client.app_mut().state_mut().resumers.pop();
        client.advance(secs(0));
        assert_eq!(all(&mut socket).len(), wanted);
    }
}

#[test]
fn a_pause_that_is_over_within_its_call_changes_nothing() {
    let mut client = client();
    let mut socket = client.websocket("/ws?open=blink;echo+open&pong=pause;resume&writable=blink").open();
    socket.send(&mut client, "blink;echo 1;blink");
    socket.send(&mut client, "echo 2");
    socket.pong(&mut client, b"");
    socket.send(&mut client, "fill;blink");
    socket.send(&mut client, "echo 3");
    let got = all(&mut socket);
    assert_eq!((&got[..3], got.last()), (&["open", "1", "2"].map(text)[..], Some(&text("3"))));
}

#[test]
fn a_paused_socket_still_gets_what_rooms_send() {
    let mut client = client();
    let [mut paused, mut other] = ["paused", "other"].map(|name| join(&mut client, name));
    paused.send(&mut client, "pause");
    other.send(&mut client, "say 0 heard");
    assert_eq!(all(&mut paused), [text("heard")]);
}

#[test]
fn a_paused_socket_notices_a_reset_at_once_and_a_close_later() {
    let mut client = client();
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "pause");
    socket.close(&mut client, 1000, "bye");
    socket.half_close(&mut client);
    assert_eq!(socket.ended(), None);
    client.app_mut().state_mut().resumers.clear();
    client.advance(secs(0));
    assert_eq!(calls(&mut client).last().unwrap(), "a close 1000 \"bye\" clean ProtocolEnded");
    let mut socket = open(&mut client, "b");
    socket.send(&mut client, "pause");
    socket.cut(&mut client);
    assert_eq!(socket.ended(), Some(CloseReason::SocketError));
    assert_eq!(calls(&mut client).last().unwrap(), "b close 1006 \"\" unclean SocketError");
}

#[test]
fn a_paused_socket_is_told_of_a_drain() {
    let config = Config { reply_timeout: secs(600), ..Config::default() };
    let mut client = client_of(config);
    let mut socket = open(&mut client, "a");
    socket.send(&mut client, "pause");
    client.drain();
    assert_eq!(all(&mut socket), [closed(1001, "the server is stopping")]);
    client.advance(secs(6));
    assert_eq!(socket.ended(), Some(CloseReason::ProtocolEnded));
}

// ---- JSON -----------------------------------------------------------------------------------------------------------

#[cfg(feature = "json")]
#[test]
fn json_is_sent_and_read() {
    use crate::websocket::{Message, Room, Slow, Socket, WebSocket};

    struct Sums;

    impl WebSocket<Room> for Sums {
        fn open(&mut self, room: &mut Room, ws: &mut Socket<'_>) -> crate::Result<()> {
            room.join(ws);
            Ok(())
        }

        fn message(&mut self, room: &mut Room, message: Message<'_>, ws: &mut Socket<'_>) -> crate::Result<()> {
            let numbers: Vec<i32> = message.json()?;
            ws.send_json(&numbers.len())?;
            assert_eq!(room.send_json(&numbers.iter().sum::<i32>())?, 2);
            assert_eq!(room.send_json_to_others("others", ws)?, 1);
            Ok(())
        }
    }

    let mut app = crate::Router::new(Room::new(Slow::Drop));
    app.websocket("/ws", |_, _, offer| Ok((offer, Sums)));
    let mut client = TestClient::new(app);
    let [mut ann, mut bob] = [(); 2].map(|()| client.websocket("/ws").open());
    ann.send(&mut client, "[1, 2, 4]");
    assert_eq!((all(&mut ann), all(&mut bob)), (["3", "7"].map(text).to_vec(), ["7", "\"others\""].map(text).to_vec()));
    ann.send(&mut client, "{}");
    match ann.next() {
        Some(TestMessage::Close(Some(1011), reason)) => {
            assert!(reason.starts_with("Not the JSON that is expected here: "), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

// ---- what an observer learns ----------------------------------------------------------------------------------------

#[derive(Clone, Default)]
struct Log(Rc<RefCell<Vec<String>>>);

impl Observer for Log {
    fn upgraded(&mut self, id: ConnectionId) {
        self.0.borrow_mut().push(format!("{id} upgraded"));
    }

    fn message(&mut self, id: ConnectionId, message: &MessageRecord) {
        let MessageRecord { received, is_text, bytes } = message;
        let way = if *received { "got" } else { "sent" };
        self.0.borrow_mut().push(format!("{id} {way} {bytes} {}", if *is_text { "text" } else { "bytes" }));
    }

    fn protocol_closed(&mut self, id: ConnectionId, close: &ProtocolClose<'_>) {
        let ProtocolClose { code, reason, by_client } = close;
        self.0.borrow_mut().push(format!("{id} closed {code} {reason:?} {by_client}"));
    }

    fn request_failed(&mut self, id: ConnectionId, error: &Error) {
        self.0.borrow_mut().push(format!("{id} failed: {error:?}"));
    }

    fn connection_closed(&mut self, id: ConnectionId, reason: CloseReason) {
        self.0.borrow_mut().push(format!("{id} {reason:?}"));
    }
}

#[test]
fn an_observer_learns_of_messages_and_of_ends() {
    let log = Log::default();
    let mut client = TestClient::new(app_with(|route| route)).observer(log.clone());
    let mut ann = join(&mut client, "ann");
    let mut bob = join(&mut client, "bob");
    let taken = || std::mem::take(&mut *log.0.borrow_mut());
    assert_eq!(taken(), ["2 upgraded", "3 upgraded"]);
    ann.send(&mut client, "echo hé;bytes 3");
    assert_eq!(taken(), ["2 got 16 text", "2 sent 3 text", "2 sent 3 bytes"]);
    ann.send(&mut client, "others 0 hello");
    assert_eq!(taken(), ["2 got 14 text", "3 sent 5 text"]);
    ann.ping(&mut client, b"not a message");
    ann.frame(&mut client, false, 1, b"ec");
    ann.frame(&mut client, true, 0, b"ho");
    assert_eq!(taken(), ["2 got 4 text", "2 sent 0 text"]);
    ann.close(&mut client, 1000, "bye");
    ann.half_close(&mut client);
    assert_eq!(taken(), ["2 closed 1000 \"bye\" true", "2 ProtocolEnded"]);
    bob.send(&mut client, "close 4000 go");
    bob.close(&mut client, 4000, "ok");
    bob.half_close(&mut client);
    assert_eq!(taken(), ["3 got 13 text", "3 closed 4000 \"go\" false", "3 ProtocolEnded"]);
    let mut carl = join(&mut client, "carl");
    carl.cut(&mut client);
    assert_eq!(taken(), ["4 upgraded", "4 SocketError"]);
    let mut dora = join(&mut client, "dora");
    dora.send(&mut client, "fail");
    let failure = &taken()[2];
    assert!(failure.starts_with("5 failed: ") && failure.contains("a secret"), "{failure}");
}
