//! Single streams from head to end, and broadcasts to many streams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::reader::read;
use crate::exchange::{CloseReason, SendError};
use crate::limits::{CHANNEL_BYTES, EVENT_HEARTBEAT, HIGH_WATER, WHEEL_SLOT};
use crate::sse::{self, Broadcast, Event, EventSender, Slow};
use crate::testing::{Connected, VirtualLoop};
use crate::{Config, Error, Router, TestClient};

// ---- one stream -------------------------------------------------------------------------------------------------

/// An application that keeps the senders of its streams.
fn app() -> Router<Vec<EventSender>> {
    let mut app = Router::new(Vec::new());
    app.get("/events", |senders: &mut Vec<EventSender>, _, res| {
        let (sent, sender) = sse::start(res)?;
        senders.push(sender);
        Ok(sent)
    });
    app.get("/own", |_, _, res| {
        let res = res.header("content-type", "text/event-stream; charset=utf-8").header("Cache-Control", "no-cache");
        Ok(sse::start(res)?.0)
    });
    app.get("/fails", |senders, _, res| {
        let (_, sender) = sse::start(res)?;
        sender.send(&Event::new("never seen"))?;
        senders.push(sender);
        Err(Error::new(418, "no stream"))
    });
    app.get("/last", |_, req, res| res.text(sse::last_event_id(req).unwrap_or("none")));
    app
}

/// A client with an open stream, and the head of its reply.
fn client() -> (TestClient<Router<Vec<EventSender>>>, String) {
    let mut client = TestClient::new(app());
    client.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = text(&mut client);
    (client, head)
}

fn text<A: crate::exchange::Service>(client: &mut TestClient<A>) -> String {
    String::from_utf8(client.read()).expect("it is text")
}

fn sender(client: &TestClient<Router<Vec<EventSender>>>) -> &EventSender {
    client.app().state().last().expect("there is a stream")
}

/// A step of time in which the loop delivers what was sent from outside of it.
const TURN: Duration = Duration::ZERO;

/// The content of a chunked reply so far, and whether its end has come.
#[track_caller]
fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut content = Vec::new();
    while let Some(end) = memchr::memmem::find(bytes, b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).expect("the size of a chunk");
        if size == 0 {
            assert_eq!(&bytes[end + 2..], b"\r\n");
            return (content, true);
        }
        let chunk = &bytes[end + 2..end + 2 + size];
        content.extend_from_slice(chunk);
        bytes = bytes[end + 2 + size..].strip_prefix(b"\r\n").expect("the end of a chunk");
    }
    (content, false)
}

#[test]
fn the_head_announces_a_stream_of_events() {
    let (mut client, head) = client();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    for line in ["Content-Type: text/event-stream", "Cache-Control: no-store", "Transfer-Encoding: chunked"] {
        assert_eq!(head.matches(line).count(), 1, "{line} in {head}");
    }
    let own = client.reconnect().get("/own").send();
    let values: Vec<_> = own.header_all("Content-Type").chain(own.header_all("Cache-Control")).collect();
    assert_eq!(values, ["text/event-stream; charset=utf-8", "no-cache"]);
}

#[test]
fn events_leave_as_they_are_sent() {
    let (mut client, _) = client();
    assert!(sender(&client).send(&Event::new("one").id("1")).unwrap());
    assert!(sender(&client).send(&Event::new("two")).unwrap());
    client.advance(TURN);
    assert_eq!(text(&mut client), "1c\r\nid: 1\ndata: one\n\ndata: two\n\n\r\n");
    assert!(sender(&client).send(&Event::new("three")).unwrap());
    client.advance(TURN);
    assert_eq!(text(&mut client), "d\r\ndata: three\n\n\r\n");
}

#[test]
fn an_event_with_a_mistake_is_not_sent_and_the_stream_goes_on() {
    let (mut client, _) = client();
    assert!(sender(&client).send(&Event::new("a").event("b\ndata: c")).is_err());
    client.advance(TURN);
    assert_eq!(text(&mut client), "");
    assert!(sender(&client).send(&Event::new("a")).unwrap());
    client.advance(TURN);
    assert_eq!(text(&mut client), "9\r\ndata: a\n\n\r\n");
}

#[test]
fn a_silent_stream_has_a_heartbeat_and_does_not_idle_out() {
    let (mut client, _) = client();
    client.advance(EVENT_HEARTBEAT - Duration::from_millis(1));
    assert_eq!(text(&mut client), "");
    client.advance(WHEEL_SLOT);
    assert_eq!(text(&mut client), "3\r\n:\n\n\r\n");
    client.advance(Duration::from_secs(300));
    let beats = text(&mut client);
    assert_eq!(client.ended(), None);
    assert_eq!(beats, "3\r\n:\n\n\r\n".repeat(beats.len() / 8));
    assert!((19..=20).contains(&(beats.len() / 8)), "{} beats", beats.len() / 8);
    // After an event, too, the silence is counted again from zero.
    client.advance(EVENT_HEARTBEAT);
    client.read();
    sender(&client).send(&Event::new("a")).unwrap();
    client.advance(EVENT_HEARTBEAT - WHEEL_SLOT);
    assert_eq!(text(&mut client), "9\r\ndata: a\n\n\r\n");
}

#[test]
fn the_heartbeat_can_be_set_and_without_one_the_stream_idles_out() {
    let (mut client, _) = client();
    sender(&client).set_heartbeat(Duration::from_secs(2));
    client.advance(Duration::from_secs(2) + WHEEL_SLOT);
    assert_eq!(text(&mut client), "3\r\n:\n\n\r\n");
    sender(&client).set_heartbeat(Duration::MAX);
    client.advance(Duration::from_secs(31));
    assert_eq!((text(&mut client), client.ended()), (String::new(), Some(CloseReason::IdleTimeout)));
    assert!(sender(&client).is_closed());
}

#[test]
fn dropping_the_sender_ends_the_stream_and_keeps_the_connection() {
    for finish in [|sender: EventSender| sender.finish(), |sender| drop(sender)] {
        let (mut client, _) = client();
        let last = client.app_mut().state_mut().pop().unwrap();
        last.send(&Event::new("last")).unwrap();
        finish(last);
        client.advance(TURN);
        assert_eq!(text(&mut client), "c\r\ndata: last\n\n\r\n0\r\n\r\n");
        assert_eq!(client.get("/last").send().text(), "none");
        assert_eq!(client.ended(), None);
    }
}

#[test]
fn dropping_the_inner_sender_aborts_the_reply() {
    let (mut client, _) = client();
    drop(client.app_mut().state_mut().pop().unwrap().into_inner());
    client.advance(TURN);
    assert_eq!((text(&mut client), client.ended()), (String::new(), Some(CloseReason::StreamFailed)));
}

#[test]
fn the_reply_to_head_has_no_events() {
    let mut client = TestClient::new(app());
    let head = client.head("/events").send();
    assert_eq!((head.status(), head.header("Content-Type")), (200, Some("text/event-stream")));
    assert!(sender(&client).is_closed());
    assert!(!sender(&client).send(&Event::new("a")).unwrap());
    assert!(matches!(sender(&client).as_ref().send("a"), Err(SendError::Closed)));
    client.advance(Duration::from_secs(20));
    assert_eq!(text(&mut client), "");
    assert_eq!(client.get("/last").send().text(), "none");
}

#[test]
fn a_client_of_http_1_0_gets_events_until_the_end_of_the_connection() {
    let mut client = TestClient::new(app());
    client.write("GET /events HTTP/1.0\r\n\r\n");
    let head = text(&mut client);
    assert!(head.contains("Content-Type: text/event-stream\r\n") && !head.contains("chunked"), "{head}");
    sender(&client).send(&Event::new("a")).unwrap();
    client.advance(EVENT_HEARTBEAT + WHEEL_SLOT);
    assert_eq!(text(&mut client), "data: a\n\n:\n\n");
    client.app_mut().state_mut().clear();
    client.advance(TURN);
    assert!(client.is_half_closed());
    assert_eq!((text(&mut client), client.ended()), (String::new(), Some(CloseReason::NotPersistent)));
}

#[test]
fn a_client_that_leaves_is_noticed() {
    let (mut client, _) = client();
    let calls = Arc::new(AtomicU32::new(0));
    let count = || {
        let calls = Arc::clone(&calls);
        move || {
            calls.fetch_add(1, Ordering::Relaxed);
        }
    };
    sender(&client).on_close(count());
    assert!(!sender(&client).is_closed());
    client.reset();
    assert!(sender(&client).is_closed());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(!sender(&client).send(&Event::new("a")).unwrap());
    sender(&client).on_close(count());
    assert_eq!(calls.load(Ordering::Relaxed), 2, "the sender was already closed");
}

#[test]
fn a_client_that_has_only_closed_its_side_still_gets_events() {
    let (mut client, _) = client();
    client.half_close();
    assert!(!sender(&client).is_closed());
    sender(&client).send(&Event::new("a")).unwrap();
    client.advance(EVENT_HEARTBEAT + WHEEL_SLOT);
    assert_eq!(text(&mut client), "9\r\ndata: a\n\n\r\n3\r\n:\n\n\r\n");
    client.app_mut().state_mut().clear();
    client.advance(TURN);
    assert_eq!(text(&mut client), "0\r\n\r\n");
    assert!(client.ended().is_some());
}

#[test]
fn the_drain_ends_a_stream_after_what_was_sent() {
    let (mut client, _) = client();
    sender(&client).send(&Event::new("last")).unwrap();
    client.drain();
    assert_eq!(text(&mut client), "c\r\ndata: last\n\n\r\n0\r\n\r\n");
    assert!(sender(&client).is_closed() && client.is_half_closed());
    client.half_close();
    assert_eq!(client.ended(), Some(CloseReason::Drained));
}

#[test]
fn a_stream_that_begins_while_the_server_drains_ends_at_once() {
    let mut client = TestClient::new(app());
    client.write("GET /events HTTP/1.1\r\n");
    client.drain();
    client.write("Host: x\r\n\r\n");
    let reply = text(&mut client);
    assert!(reply.contains("text/event-stream") && reply.ends_with("\r\n\r\n0\r\n\r\n"), "{reply}");
    assert!(sender(&client).is_closed());
}

#[test]
fn a_handler_that_fails_after_it_started_a_stream_cancels_it() {
    let mut client = TestClient::new(app());
    assert_eq!(client.get("/fails").send().status(), 418);
    assert!(sender(&client).is_closed());
    client.app_mut().state_mut().clear();
    client.advance(TURN);
    assert_eq!(client.get("/last").send().text(), "none");
}

#[test]
fn requests_after_a_stream_wait_for_its_end() {
    let mut client = TestClient::new(app());
    client.write("GET /events HTTP/1.1\r\nHost: x\r\n\r\nGET /last HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 7\r\n\r\n");
    assert!(text(&mut client).ends_with("\r\n\r\n"));
    client.app_mut().state_mut().clear();
    client.advance(TURN);
    let rest = text(&mut client);
    assert!(rest.starts_with("0\r\n\r\nHTTP/1.1 200 OK\r\n") && rest.ends_with("\r\n\r\n7"), "{rest}");
}

#[test]
fn the_id_of_the_last_event_is_read_from_the_request() {
    let mut client = TestClient::new(app());
    for (sent, expected) in [("7", "7"), ("é 7", "é 7"), ("", "none"), ("  ", "none")] {
        assert_eq!(client.get("/last").header("last-event-id", sent).send().text(), expected, "{sent:?}");
    }
    client.write(b"GET /last HTTP/1.1\r\nHost: x\r\nLast-Event-ID: \xff\r\n\r\n");
    assert_eq!(client.read_reply().unwrap().text(), "none");
}

#[test]
fn events_come_from_any_thread() {
    let (mut client, _) = client();
    let sender = client.app_mut().state_mut().pop().unwrap();
    let numbers = move || (0..100).for_each(|number| assert!(sender.send(&Event::new(number.to_string())).unwrap()));
    std::thread::spawn(numbers).join().unwrap();
    client.advance(TURN);
    let (stream, ended) = dechunk(&client.read());
    let seen: Vec<String> = read(&stream).seen.into_iter().map(|seen| seen.data).collect();
    assert_eq!(seen, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(ended);
}

// ---- many streams -----------------------------------------------------------------------------------------------

/// An application with a broadcast, and clients that each have a stream.
struct Hall {
    app: Router<Broadcast>,
    virtual_loop: VirtualLoop,
    clients: Vec<Connected>,
}

impl Hall {
    fn new(slow: Slow, clients: usize) -> Self {
        let mut app = Router::new(Broadcast::new(slow));
        app.get("/events", |listeners: &mut Broadcast, _, res| {
            let (sent, sender) = sse::start(res)?;
            listeners.add(sender);
            Ok(sent)
        });
        let mut hall = Self { app, virtual_loop: VirtualLoop::new(Config::default()), clients: Vec::new() };
        (0..clients).for_each(|_| hall.join("GET"));
        hall
    }

    /// Adds a client, and discards the head of its reply.
    fn join(&mut self, method: &str) {
        let client = self.virtual_loop.connect();
        let request = format!("{method} /events HTTP/1.1\r\nHost: x\r\n\r\n");
        self.virtual_loop.act(&client, &mut self.app, |wire| wire.inbound.extend(request.bytes()));
        client.link.wire_mut().outbound.clear();
        self.clients.push(client);
    }

    fn listeners(&mut self) -> &mut Broadcast {
        self.app.state_mut()
    }

    fn say(&mut self, text: impl Into<String>) -> usize {
        let heard = self.app.state_mut().send(&Event::new(text)).expect("there is no mistake");
        self.virtual_loop.turn(&mut self.app);
        heard
    }

    fn set_window(&mut self, client: usize, window: usize) {
        self.virtual_loop.act(&self.clients[client], &mut self.app, |wire| wire.window = window);
    }

    fn reset(&mut self, client: usize) {
        self.virtual_loop.act(&self.clients[client], &mut self.app, |wire| wire.reset = true);
    }

    /// The data that a client has seen since the last call, and whether its stream has ended.
    #[track_caller]
    fn read(&mut self, client: usize) -> (Vec<String>, bool) {
        let (stream, ended) = dechunk(&std::mem::take(&mut self.clients[client].link.wire_mut().outbound));
        (read(&stream).seen.into_iter().map(|seen| seen.data).collect(), ended)
    }
}

/// An event of a little more than a KiB.
fn long(number: usize) -> String {
    format!("{number} {}", "x".repeat(1024))
}

/// More long events than can wait for one client.
const TOO_MANY: usize = 2 * (HIGH_WATER + CHANNEL_BYTES) / 1024;

#[test]
fn all_clients_get_the_same_events() {
    let mut hall = Hall::new(Slow::Drop, 3);
    assert!(hall.listeners().len() == 3 && !hall.listeners().is_empty());
    assert_eq!(hall.say("one"), 3);
    hall.join("GET");
    assert_eq!(hall.say("two"), 4);
    assert_eq!(hall.read(0), (vec!["one".to_owned(), "two".to_owned()], false));
    assert_eq!(hall.read(3), (vec!["two".to_owned()], false));
    assert!(hall.listeners().send(&Event::new("a").id("\n")).is_err());
    assert_eq!(hall.listeners().len(), 4);
}

#[test]
fn clients_that_have_left_are_removed() {
    let mut hall = Hall::new(Slow::Drop, 3);
    hall.reset(1);
    assert_eq!((hall.listeners().len(), hall.listeners().kept()), (2, 3));
    assert_eq!(hall.say("one"), 2);
    assert_eq!(hall.listeners().kept(), 2);
    assert_eq!(hall.read(2), (vec!["one".to_owned()], false));
    hall.reset(0);
    hall.reset(2);
    assert!(hall.listeners().is_empty());
    assert_eq!(hall.say("two"), 0);
    assert_eq!((hall.listeners().dropped(), hall.listeners().kept()), (0, 0));
}

#[test]
fn a_head_request_adds_no_client() {
    let mut hall = Hall::new(Slow::Drop, 0);
    hall.join("HEAD");
    assert!(hall.listeners().is_empty() && hall.listeners().kept() == 0);
    assert_eq!(hall.say("one"), 0);
}

/// Closed senders are removed even if nothing is ever sent.
#[test]
fn clients_that_come_and_go_do_not_pile_up() {
    let mut hall = Hall::new(Slow::Drop, 10);
    for _ in 0..1_000 {
        hall.join("GET");
        let last = hall.clients.len() - 1;
        hall.reset(last);
        hall.clients.pop();
        assert!(hall.listeners().kept() <= 32);
    }
    assert_eq!(hall.listeners().len(), 10);
}

#[test]
fn a_slow_client_is_dropped_after_the_events_that_wait_for_it() {
    let mut hall = Hall::new(Slow::Drop, 2);
    hall.set_window(0, 0);
    let counts: Vec<usize> = (0..TOO_MANY).map(|number| hall.say(long(number))).collect();
    let taken = counts.iter().take_while(|count| **count == 2).count();
    assert!(counts[taken..].iter().all(|count| *count == 1));
    let least = (HIGH_WATER + CHANNEL_BYTES) / 1100;
    assert!((least - 8..least + 8).contains(&taken), "{taken}");
    assert_eq!((hall.listeners().dropped(), hall.listeners().skipped(), hall.listeners().len()), (1, 0, 1));
    hall.set_window(0, usize::MAX);
    assert_eq!(hall.read(0), ((0..taken).map(long).collect(), true));
    assert_eq!(hall.read(1), ((0..TOO_MANY).map(long).collect(), false));
}

#[test]
fn a_slow_client_that_takes_nothing_is_removed_after_the_send_timeout() {
    let mut hall = Hall::new(Slow::Skip, 1);
    hall.set_window(0, 0);
    for number in 0..TOO_MANY {
        hall.say(long(number));
    }
    assert_eq!(hall.listeners().len(), 1);
    hall.virtual_loop.wait(&mut hall.app, Duration::from_secs(300));
    assert!(hall.listeners().is_empty());
    assert_eq!(hall.clients[0].link.wire().closed, Some(CloseReason::SendTimeout));
}

#[test]
fn a_slow_client_that_skips_gets_events_again_when_it_has_caught_up() {
    let mut hall = Hall::new(Slow::Skip, 2);
    hall.set_window(0, 0);
    let counts: Vec<usize> = (0..TOO_MANY).map(|number| hall.say(long(number))).collect();
    let taken = counts.iter().filter(|count| **count == 2).count();
    let skipped = (TOO_MANY - taken) as u64;
    assert_eq!((hall.listeners().dropped(), hall.listeners().skipped(), hall.listeners().len()), (0, skipped, 2));
    hall.set_window(0, usize::MAX);
    assert_eq!(hall.say("again"), 2);
    let mut expected: Vec<String> = (0..taken).map(long).collect();
    expected.push("again".to_owned());
    assert_eq!(hall.read(0), (expected, false));
    assert_eq!(hall.listeners().skipped(), skipped);
}

#[test]
fn all_clients_share_the_bytes_of_an_event() {
    const CLIENTS: usize = 5;
    let mut hall = Hall::new(Slow::Drop, CLIENTS);
    (0..CLIENTS).for_each(|client| hall.set_window(client, 0));
    let event = Event::new("x".repeat(100_000)).encode().unwrap();
    assert_eq!(hall.listeners().send_encoded(&event), CLIENTS);
    assert_eq!(Arc::strong_count(&event), 1 + CLIENTS, "in the senders");
    hall.virtual_loop.turn(&mut hall.app);
    assert_eq!(Arc::strong_count(&event), 1 + CLIENTS, "in the connections");
    (0..CLIENTS).for_each(|client| hall.set_window(client, usize::MAX));
    assert_eq!(Arc::strong_count(&event), 1, "sent");
    assert_eq!(hall.read(4).0[0].len(), 100_000);
}

#[test]
fn close_ends_all_streams() {
    let mut hall = Hall::new(Slow::Skip, 3);
    hall.listeners().send(&Event::new("bye")).unwrap();
    hall.listeners().close();
    assert!(hall.listeners().is_empty());
    hall.virtual_loop.turn(&mut hall.app);
    for client in 0..3 {
        assert_eq!(hall.read(client), (vec!["bye".to_owned()], true));
        assert_eq!(hall.clients[client].link.wire().closed, None, "the connection goes on");
    }
    hall.join("GET");
    assert_eq!(hall.say("again"), 1);
}

#[test]
fn the_drain_ends_all_streams() {
    let mut hall = Hall::new(Slow::Drop, 3);
    hall.listeners().send(&Event::new("bye")).unwrap();
    hall.virtual_loop.drain(&mut hall.app);
    assert!(hall.listeners().is_empty());
    for client in 0..3 {
        assert_eq!(hall.read(client), (vec!["bye".to_owned()], true));
    }
}

#[test]
fn a_broadcast_may_outlive_the_loop() {
    let Hall { mut app, virtual_loop, .. } = Hall::new(Slow::Drop, 3);
    drop(virtual_loop);
    assert!(app.state().is_empty());
    assert_eq!(app.state_mut().send(&Event::new("a")).unwrap(), 0);
}
