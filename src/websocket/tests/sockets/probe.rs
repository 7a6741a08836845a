//! The application of these tests: a handler that notes its calls, and does what its client tells it to do.

use std::time::Duration;

use crate::exchange::{Request, Resumer};
use crate::http::{Error, Result};
use crate::testing::{TestMessage, TestSocket};
use crate::websocket::{Closed, Message, Offer, Room, Slow, Socket, WebSocket, WebSocketRoute};
use crate::{Config, Router, TestClient};

/// The state of the application.
#[derive(Debug)]
pub(super) struct World {
    /// All calls of handlers, in order: the socket's name, and what was called.
    pub(super) calls: Vec<String>,
    /// The first one drops slow members, the second one skips them, and the third one drops them, too.
    pub(super) rooms: [Room; 3],
    pub(super) resumers: Vec<Resumer>,
}

impl World {
    /// How many sockets are in each room.
    pub(super) fn sizes(&self) -> [usize; 3] {
        self.rooms.each_ref().map(Room::len)
    }
}

/// The handler. Each text message is a script for it; the query has those for its other methods.
#[derive(Debug)]
pub(super) struct Probe {
    name: String,
    open: String,
    writable: String,
    pong: String,
    close: String,
}

impl Probe {
    pub(super) fn new(req: &Request<'_>) -> Self {
        let text = |name| req.query(name).unwrap_or_default().into_owned();
        Self {
            name: text("name"),
            open: text("open"),
            writable: text("writable"),
            pong: text("pong"),
            close: text("close"),
        }
    }

    fn note(&self, world: &mut World, call: &str) {
        world.calls.push(format!("{} {call}", self.name).trim_start().to_owned());
    }
}

impl WebSocket<World> for Probe {
    fn open(&mut self, world: &mut World, ws: &mut Socket<'_>) -> Result<()> {
        self.note(world, "open");
        run(&self.open, world, ws)
    }

    fn message(&mut self, world: &mut World, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        match message {
            Message::Text(text) => {
                self.note(world, &format!("message {}", shortened(text)));
                run(text, world, ws)
            }
            Message::Binary(bytes) => {
                self.note(world, &format!("{} bytes", bytes.len()));
                ws.send(bytes)
            }
        }
    }

    fn writable(&mut self, world: &mut World, ws: &mut Socket<'_>) -> Result<()> {
        self.note(world, "writable");
        run(&self.writable, world, ws)
    }

    fn pong(&mut self, world: &mut World, payload: &[u8], ws: &mut Socket<'_>) -> Result<()> {
        self.note(world, &format!("pong {}", payload.escape_ascii()));
        run(&self.pong, world, ws)
    }

    fn close(self: Box<Self>, world: &mut World, end: Closed<'_>) {
        let Closed { code, reason, is_clean, connection, .. } = end;
        let clean = if is_clean { "clean" } else { "unclean" };
        self.note(world, &format!("close {code} {reason:?} {clean} {connection:?}"));
        match self.close.split_once(' ') {
            Some(("say", text)) => _ = world.rooms[0].send(text),
            _ if self.close == "panic" => panic!("as the test wants"),
            _ => {}
        }
    }
}

fn shortened(text: &str) -> &str {
    text.get(..40).unwrap_or(text)
}

/// Does what a script says: commands, separated by `;`.
fn run(script: &str, world: &mut World, ws: &mut Socket<'_>) -> Result<()> {
    for command in script.split(';') {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let number = || rest.parse().unwrap_or(0);
        match verb {
            "" => {}
            "echo" => ws.send(rest)?,
            "bytes" => ws.send(&vec![b'x'; number()])?,
            "fill" => {
                while !ws.is_full() {
                    ws.send(&vec![b'f'; 1024])?;
                }
            }
            "part" => ws.send_part(rest, false)?,
            "last" => ws.send_part(rest, true)?,
            "binary-part" => ws.send_part(rest.as_bytes(), false)?,
            "ping" => ws.ping(rest.as_bytes())?,
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                ws.close(code.parse().unwrap_or(0), reason)?;
            }
            "fail" => return Err(Error::internal("a secret")),
            "refuse" => return Err(Error::bad_request(rest.to_owned())),
            "panic" => panic!("as the test wants"),
            "join" => world.rooms[number()].join(ws),
            "leave" => world.rooms[number()].leave(ws),
            "pause" => world.resumers.push(ws.pause()),
            "blink" => drop(ws.pause()),
            "resume" => world.resumers.clear(),
            "note" => world.calls.push(format!("{rest} {} {}", ws.is_open(), ws.is_full())),
            "say" | "others" => {
                let (room, text) = rest.split_once(' ').unwrap_or((rest, ""));
                let room = &mut world.rooms[room.parse().unwrap_or(0)];
                let taken = if verb == "say" { room.send(text) } else { room.send_to_others(text, ws) };
                world.calls.push(format!("{taken} have taken it"));
            }
            "shut" => {
                let mut words = rest.splitn(3, ' ').map(|word| (word, word.parse().unwrap_or(0)));
                let mut next = || words.next().unwrap_or_default();
                let ((_, room), (_, code), (reason, _)) = (next(), next(), next());
                world.rooms[usize::from(room)].close(code, reason)?;
            }
            "burst" => {
                let text = "b".repeat(1024);
                for _ in 0..number() {
                    world.rooms[0].send(&text);
                }
            }
            other => return Err(Error::internal(format!("no such command: {other}"))),
        }
    }
    Ok(())
}

// ---- clients --------------------------------------------------------------------------------------------------------

pub(super) type Client = TestClient<Router<World>>;

/// The application with the probe at `/ws`, set as `set` says.
pub(super) fn app_with(set: impl FnOnce(WebSocketRoute<'_, World>) -> WebSocketRoute<'_, World>) -> Router<World> {
    let rooms = [Slow::Drop, Slow::Skip, Slow::Drop].map(Room::new);
    let mut app = Router::new(World { calls: Vec::new(), rooms, resumers: Vec::new() });
    set(app.websocket("/ws", |_, req, offer: Offer<'_>| Ok((offer, Probe::new(req)))));
    app
}

pub(super) fn client() -> Client {
    client_with(|route| route)
}

pub(super) fn client_with(set: impl FnOnce(WebSocketRoute<'_, World>) -> WebSocketRoute<'_, World>) -> Client {
    TestClient::new(app_with(set))
}

pub(super) fn client_of(config: Config) -> Client {
    TestClient::with_config(app_with(|route| route), config)
}

/// Opens a socket of a client with this name.
#[track_caller]
pub(super) fn open(client: &mut Client, name: &str) -> TestSocket {
    client.websocket(&format!("/ws?name={name}")).open()
}

/// Opens a socket that joins the first room.
#[track_caller]
pub(super) fn join(client: &mut Client, name: &str) -> TestSocket {
    client.websocket(&format!("/ws?name={name}&open=join+0")).open()
}

/// Takes the calls that were noted.
pub(super) fn calls(client: &mut Client) -> Vec<String> {
    std::mem::take(&mut client.app_mut().state_mut().calls)
}

/// Takes all that the client has got.
pub(super) fn all(socket: &mut TestSocket) -> Vec<TestMessage> {
    std::iter::from_fn(|| socket.next()).collect()
}

pub(super) fn text(text: &str) -> TestMessage {
    TestMessage::Text(text.to_owned())
}

pub(super) fn closed(code: u16, reason: &str) -> TestMessage {
    TestMessage::Close(Some(code), reason.to_owned())
}

pub(super) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
