//! Observers that come and go in the middle of an exchange.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::exchange::observer::ObserverId;
use crate::exchange::{
    Abort, BodySender, BodySink, ConnectionId, FinishedReply, Intake, MessageRecord, Observer, Responder, Trailers,
    Watch,
};
use crate::http::Method;
use crate::limits::HIGH_WATER;
use crate::testing::{Connected, VirtualLoop};
use crate::websocket::{Message, Offer, Socket, WebSocket};
use crate::{Config, Request, Response, Result, Router, Sent};

const LATER: Duration = Duration::from_secs(3);

/// An observer that writes down what it is told.
#[derive(Clone, Default)]
struct Ear(Rc<RefCell<Vec<String>>>);

impl Ear {
    fn note(&self, text: String) {
        self.0.borrow_mut().push(text);
    }

    fn told(&self) -> Vec<String> {
        std::mem::take(&mut self.0.borrow_mut())
    }

    fn note_reply(&self, what: &str, reply: &FinishedReply<'_>) {
        let path = reply.path.unwrap_or("?");
        assert!(reply.duration <= LATER && reply.deferred <= LATER, "{path}: {reply:?}");
        self.note(format!("{what} {} {path}", reply.status));
    }
}

impl Observer for Ear {
    fn request(&mut self, _: ConnectionId, request: &Request<'_>) {
        self.note(format!("asked {}", request.path()));
    }

    fn reply_finished(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        self.note_reply("finished", reply);
    }

    fn reply_cut(&mut self, _: ConnectionId, reply: &FinishedReply<'_>) {
        self.note_reply("cut", reply);
    }

    fn upgraded(&mut self, _: ConnectionId) {
        self.note("upgraded".to_owned());
    }

    fn backpressure(&mut self, _: ConnectionId, on: bool) {
        self.note(format!("held {on}"));
    }

    fn message(&mut self, _: ConnectionId, message: &MessageRecord) {
        self.note(format!("{} bytes {}", message.bytes, if message.received { "came" } else { "left" }));
    }
}

/// What goes on of the last reply.
#[derive(Default)]
struct Kept {
    responder: Option<Responder>,
    sender: Option<BodySender>,
}

struct Sink;

impl BodySink<Kept> for Sink {
    fn data(&mut self, _: &mut Kept, _: &[u8], _: &mut Intake<'_>) -> Result<()> {
        Ok(())
    }

    fn end(self: Box<Self>, _: &mut Kept, _: Trailers<'_>, res: Response<'_>) -> Result<Sent> {
        res.text("taken")
    }

    fn abort(self: Box<Self>, _: &mut Kept, _: Abort) {}
}

struct Echo;

impl WebSocket<Kept> for Echo {
    fn message(&mut self, _: &mut Kept, message: Message<'_>, socket: &mut Socket<'_>) -> Result<()> {
        socket.send(message)
    }
}

struct Bench {
    virtual_loop: VirtualLoop,
    app: Router<Kept>,
    client: Connected,
}

impl Bench {
    fn new() -> Self {
        let mut app = Router::new(Kept::default());
        app.get("/plain", |_, _, res| res.text("plain"));
        app.get("/whole", |_, _, res| res.send(vec![b'x'; 300_000]));
        app.get("/deferred", |kept: &mut Kept, _, res| {
            let (sent, responder) = res.defer();
            kept.responder = Some(responder);
            Ok(sent)
        });
        app.get("/stream", |kept: &mut Kept, _, res| {
            let (sent, sender) = res.channel()?;
            kept.sender = Some(sender);
            Ok(sent)
        });
        app.sink(Method::Post, "/sink", |_, _| Ok(Sink));
        app.post("/collected", |_, _, res| res.text("collected"));
        app.websocket("/ws", |_, _, offer: Offer<'_>| Ok((offer, Echo)));
        let mut virtual_loop = VirtualLoop::new(Config::default());
        let client = virtual_loop.connect();
        Self { virtual_loop, app, client }
    }

    fn add(&mut self, ear: &Ear) -> ObserverId {
        let sessions = self.virtual_loop.sessions_mut();
        let mut new = Watch::new(vec![Box::new(ear.clone())]);
        sessions.introduce(&mut new);
        sessions.watch.lend(new)
    }

    fn remove(&mut self, id: ObserverId) {
        assert!(self.virtual_loop.sessions_mut().remove_observer(id));
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.virtual_loop.act(&self.client, &mut self.app, |wire| wire.inbound.extend(bytes.as_ref()));
    }

    fn set_window(&mut self, bytes: usize) {
        self.virtual_loop.act(&self.client, &mut self.app, |wire| wire.window = bytes);
    }

    /// What the client got since the last call.
    fn taken(&self) -> Vec<u8> {
        std::mem::take(&mut self.client.link.wire_mut().outbound)
    }

    /// Begins an exchange that goes on.
    fn begin(&mut self, path: &str) {
        match path {
            "/whole" => self.set_window(1000),
            "/sink" | "/collected" => {
                return self.send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab"));
            }
            _ => {}
        }
        self.send(get(path));
        if path == "/stream" {
            let sender = self.app.state().sender.as_ref().expect("it streams");
            sender.send("the beginning").expect("it is awaited");
            self.virtual_loop.turn(&mut self.app);
        }
    }

    /// Ends what [`begin`](Self::begin) has begun, after a time.
    fn end(&mut self, path: &str) {
        self.virtual_loop.wait(&mut self.app, LATER);
        match path {
            "/whole" => self.set_window(usize::MAX),
            "/sink" | "/collected" => self.send("cd"),
            "/deferred" => self.app.state_mut().responder.take().expect("it is deferred").text("late"),
            "/stream" => self.app.state_mut().sender.take().expect("it streams").finish(),
            _ => unreachable!("{path} does not go on"),
        }
        self.virtual_loop.turn(&mut self.app);
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Each reply that goes on, with what its client gets at the end of it. The last field says that the handler is called
/// only then.
const LASTING: [(&str, &str, bool); 5] = [
    ("/deferred", "late", false),
    ("/stream", "0\r\n\r\n", false),
    ("/sink", "taken", false),
    ("/whole", "xxx", false),
    ("/collected", "collected", true),
];

/// Ends a reply and asks for another one. Returns what an observer was told.
#[track_caller]
fn told_of_the_rest(bench: &mut Bench, path: &str, last: &str, ear: &Ear) -> Vec<String> {
    ear.told();
    bench.end(path);
    let taken = bench.taken();
    assert!(taken.ends_with(last.as_bytes()), "{path}: {:?}", String::from_utf8_lossy(&taken));
    bench.send(get("/plain"));
    assert!(bench.taken().ends_with(b"plain"), "{path}: the connection goes on");
    ear.told()
}

fn plain() -> [String; 2] {
    ["asked /plain".to_owned(), "finished 200 /plain".to_owned()]
}

#[test]
fn an_observer_that_comes_in_the_middle_is_told_only_of_requests_that_follow() {
    for (path, last, called_late) in LASTING {
        let (mut bench, ear) = (Bench::new(), Ear::default());
        bench.begin(path);
        bench.add(&ear);
        let mut told = told_of_the_rest(&mut bench, path, last, &ear);
        told.retain(|event| !event.starts_with("held"));
        let mut expected = Vec::new();
        if called_late {
            expected.extend([format!("asked {path}"), format!("finished 200 {path}")]);
        }
        expected.extend(plain());
        assert_eq!(told, expected, "{path}");
    }
}

#[test]
fn an_observer_that_goes_in_the_middle_is_told_of_nothing_and_the_exchange_goes_on() {
    for (path, last, _) in LASTING {
        let (mut bench, ear) = (Bench::new(), Ear::default());
        let id = bench.add(&ear);
        bench.begin(path);
        bench.remove(id);
        assert_eq!(told_of_the_rest(&mut bench, path, last, &ear), [""; 0], "{path}");
    }
}

#[test]
fn an_observer_that_takes_the_place_of_another_is_as_one_that_comes_in_the_middle() {
    for (path, last, called_late) in LASTING {
        let (mut bench, old, new) = (Bench::new(), Ear::default(), Ear::default());
        let id = bench.add(&old);
        bench.begin(path);
        bench.remove(id);
        bench.add(&new);
        let mut told = told_of_the_rest(&mut bench, path, last, &new);
        told.retain(|event| !event.starts_with("held"));
        assert_eq!(told.len(), if called_late { 4 } else { 2 }, "{path}: {told:?}");
        assert!(told.ends_with(&plain()), "{path}: {told:?}");
    }
}

#[test]
fn an_observer_that_comes_beside_another_is_told_the_same_from_then_on() {
    for (path, last, _) in LASTING {
        let (mut bench, first, second) = (Bench::new(), Ear::default(), Ear::default());
        bench.add(&first);
        bench.begin(path);
        let id = bench.add(&second);
        first.told();
        let told = told_of_the_rest(&mut bench, path, last, &second);
        assert_eq!(told, first.told(), "{path}");
        assert!(told.contains(&format!("finished 200 {path}")), "{path}: {told:?}");
        // The first one stays when the second one goes.
        bench.begin(path);
        bench.remove(id);
        let told = told_of_the_rest(&mut bench, path, last, &first);
        assert!(told.contains(&format!("finished 200 {path}")) && told.ends_with(&plain()), "{path}: {told:?}");
        assert!(!second.told().iter().any(|event| event.starts_with("finished")), "{path}");
    }
}

#[test]
fn a_reply_that_is_cut_after_the_observers_have_changed_is_reported_to_those_who_knew_it() {
    for (path, ..) in LASTING {
        for (before, comes) in [(false, true), (true, false), (true, true)] {
            let (mut bench, old, new) = (Bench::new(), Ear::default(), Ear::default());
            let id = before.then(|| bench.add(&old));
            bench.begin(path);
            if comes {
                bench.add(&new);
            } else {
                bench.remove(id.expect("it was added"));
            }
            old.told();
            new.told();
            bench.virtual_loop.act(&bench.client, &mut bench.app, |wire| wire.reset = true);
            let cuts = |ear: &Ear| ear.told().iter().filter(|event| event.starts_with("cut")).count();
            let known = usize::from(before && comes && matches!(path, "/stream" | "/whole"));
            assert_eq!([cuts(&old), cuts(&new)], [known; 2], "{path}, {before}, {comes}");
        }
    }
}

#[test]
fn a_client_is_not_held_for_what_was_kept_for_an_observer_that_has_gone() {
    let (mut bench, ear) = (Bench::new(), Ear::default());
    let id = bench.add(&ear);
    bench.set_window(0);
    // The heads that the observer may keep are more than the replies.
    let request = format!("GET /plain HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(7000));
    let count = HIGH_WATER / 7000 + 20;
    bench.send(request.repeat(count));
    assert!(ear.told().contains(&"held true".to_owned()));
    let view = |bench: &Bench| bench.virtual_loop.sessions().views().next().map(|view| (view.held, view.owed));
    assert!(view(&bench).is_some_and(|(held, owed)| held && owed < HIGH_WATER / 2));
    bench.remove(id);
    bench.set_window(usize::MAX);
    assert_eq!(view(&bench), Some((false, 0)));
    let taken = String::from_utf8(bench.taken()).unwrap();
    assert_eq!(taken.matches("HTTP/1.1 200 OK").count(), count, "all requests are answered");
    assert_eq!(ear.told(), [""; 0]);
}

#[test]
fn a_websocket_goes_on_and_is_shown_to_an_observer_that_comes() {
    const FRAME: &[u8] = b"\x81\x82\0\0\0\0hi";
    let (mut bench, first, second) = (Bench::new(), Ear::default(), Ear::default());
    bench.send(
        "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(bench.taken().starts_with(b"HTTP/1.1 101"));
    let id = bench.add(&first);
    assert_eq!(first.told(), ["upgraded"]);
    bench.send(FRAME);
    assert_eq!(first.told(), ["2 bytes came", "2 bytes left"]);
    bench.add(&second);
    bench.remove(id);
    bench.send(FRAME);
    assert_eq!(second.told(), ["upgraded", "2 bytes came", "2 bytes left"]);
    assert_eq!((first.told().len(), bench.taken()), (0, b"\x81\x02hi\x81\x02hi".to_vec()));
}
