//! A chat over WebSocket: rooms by path, names, and the last messages for those who come later.
//!
//! ```text
//! cargo run --example chat
//! python3 -m websockets 'ws://localhost:3000/rooms/tea?name=Ann'      in two terminals, with two names; then type
//!     {"kind":"say","text":"hello"}
//! curl localhost:3000/rooms                                           shows the guests of each room
//! ```
//!
//! A connection can vanish without a word, and the server notices that only when a ping is not answered. A guest who
//! comes back before that gets the name all the same, if it has the same `session`: a random text that its page has
//! made.

use std::collections::{BTreeMap, VecDeque};

use monoloop::server::ConnectionId;
use monoloop::websocket::{Closed, Message, Room, Slow, Socket, WebSocket};
use monoloop::{Result, Router, Server};
use serde::{Deserialize, Serialize};

/// How many messages a newcomer gets to see.
const KEPT: usize = 20;

/// Largest message of a client in bytes. A larger one closes its socket with the code 1009.
const MAX_MESSAGE: usize = 4096;

// The codes from 4000 on are for applications. A page sees them as `event.code`. Of a handshake that is refused it sees
// nothing, so a guest who cannot stay is let in first, and told why then.
const NOT_UNDERSTOOD: u16 = 4000;
const NAME_TAKEN: u16 = 4001;
const TAKEN_OVER: u16 = 4002;

/// The state: the chats that have guests. Every call gets it as `&mut`, and no two calls ever run at once.
type Chats = BTreeMap<String, Chat>;

struct Chat {
    room: Room,
    guests: BTreeMap<String, Place>,
    last: VecDeque<Line>,
}

/// The place of a guest in a chat. The sockets that it had before may still live.
struct Place {
    session: String,
    /// The socket that has the place now.
    id: ConnectionId,
    /// A room with this one socket. Whatever has the state can close the socket by it.
    own: Room,
}

#[derive(Serialize)]
struct Line {
    name: String,
    text: String,
}

/// What a guest sends.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Wish {
    Say { text: String },
    Typing,
}

/// What a guest gets.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Notice<'a> {
    Welcome { here: Vec<&'a str>, last: &'a VecDeque<Line> },
    Joined { name: &'a str },
    Said(&'a Line),
    Typing { name: &'a str },
    Left { name: &'a str },
}

/// One guest, which is one socket.
struct Guest {
    chat: String,
    name: String,
    session: String,
    /// The number of its connection, if it was let in.
    id: Option<ConnectionId>,
}

impl WebSocket<Chats> for Guest {
    fn open(&mut self, chats: &mut Chats, ws: &mut Socket<'_>) -> Result<()> {
        let chat = chats.entry(self.chat.clone()).or_default();
        let mut own = Room::new(Slow::Drop);
        own.join(ws);
        let place = Place { session: self.session.clone(), id: ws.id(), own };
        match chat.guests.get_mut(&self.name) {
            None => {
                chat.room.send_json(&Notice::Joined { name: &self.name })?;
                chat.guests.insert(self.name.clone(), place);
            }
            Some(old) if old.session == self.session && !self.session.is_empty() => {
                old.own.close(TAKEN_OVER, "You have come back on another connection")?;
                *old = place;
            }
            Some(_) => return ws.close(NAME_TAKEN, "Somebody here has that name"),
        }
        self.id = Some(ws.id());
        chat.room.join(ws);
        ws.send_json(&Notice::Welcome { here: chat.names(), last: &chat.last })
    }

    fn message(&mut self, chats: &mut Chats, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        let Ok(wish) = message.json() else {
            return ws.close(NOT_UNDERSTOOD, r#"Send {"kind":"say","text":"..."} or {"kind":"typing"}"#);
        };
        let Some(chat) = chats.get_mut(&self.chat) else { return Ok(()) };
        let name = &*self.name;
        match wish {
            Wish::Say { text } => {
                let line = Line { name: name.to_owned(), text };
                chat.room.send_json(&Notice::Said(&line))?; // to its author, too: all see the same order
                chat.remember(line);
            }
            Wish::Typing => _ = chat.room.send_json_to_others(&Notice::Typing { name }, ws)?,
        }
        Ok(())
    }

    /// The socket has left the room already. If another one has taken its place, nobody has left the chat. A chat
    /// without guests is forgotten.
    fn close(self: Box<Self>, chats: &mut Chats, end: Closed<'_>) {
        let Some(chat) = chats.get_mut(&self.chat) else { return };
        if chat.guests.get(&self.name).map(|place| place.id) != self.id || self.id.is_none() {
            return;
        }
        println!("{:?} has left {:?} with the code {}", self.name, self.chat, end.code);
        chat.guests.remove(&self.name);
        if chat.guests.is_empty() {
            chats.remove(&self.chat);
        } else if let Err(error) = chat.room.send_json(&Notice::Left { name: &self.name }) {
            println!("cannot say so: {error:?}");
        }
    }
}

impl Chat {
    fn names(&self) -> Vec<&str> {
        self.guests.keys().map(String::as_str).collect()
    }

    fn remember(&mut self, line: Line) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

impl Default for Chat {
    fn default() -> Self {
        // The room closes the socket of a slow guest with 1013. The guest can come back for the last messages.
        Self { room: Room::new(Slow::Drop), guests: BTreeMap::new(), last: VecDeque::new() }
    }
}

fn app() -> Router<Chats> {
    let mut app = Router::new(Chats::new());
    app.websocket("/rooms/:room", |_, req, offer| {
        let name = req.query("name").unwrap_or("somebody".into()).into_owned();
        // An access log has the query. Where a name is worth something, take the session from a cookie.
        let session = req.query("session").unwrap_or_default().into_owned();
        Ok((offer, Guest { chat: req.param("room")?, name, session, id: None }))
    })
    .max_message(MAX_MESSAGE);
    app.get("/rooms", |chats, _, res| {
        res.json(&chats.iter().map(|(name, chat)| (name, chat.names())).collect::<BTreeMap<_, _>>())
    });
    app
}

fn main() -> monoloop::server::Result<()> {
    let server = Server::bind("127.0.0.1:3000")?;
    println!("listening on http://{}", server.local_addr());
    server.run(app())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use monoloop::TestClient;
    use monoloop::testing::TestMessage;

    use super::*;

    const ANN: &str = "/rooms/tea?name=Ann&session=s3cret";

    fn closed(code: u16, reason: &str) -> Option<TestMessage> {
        Some(TestMessage::Close(Some(code), reason.to_owned()))
    }

    #[test]
    fn a_guest_who_comes_back_takes_the_place_of_the_old_socket() {
        let mut client = TestClient::new(app());
        let mut bob = client.websocket("/rooms/tea?name=Bob").open();
        let mut old = client.websocket(ANN).open();
        assert!(old.text().contains(r#""here":["Ann","Bob"]"#));
        let mut new = client.websocket(ANN).open();
        assert!(new.text().contains(r#""here":["Ann","Bob"]"#));
        client.advance(Duration::ZERO);
        assert_eq!(old.next(), closed(TAKEN_OVER, "You have come back on another connection"));
        old.cut(&mut client); // its `close` comes after the `open` of the new one
        assert_eq!(client.get("/rooms").send().text(), r#"{"tea":["Ann","Bob"]}"#);

        new.send(&mut client, r#"{"kind":"say","text":"back"}"#);
        new.close(&mut client, 1000, "");
        let heard: Vec<_> = std::iter::from_fn(|| bob.next()).skip(1).collect();
        let notices = [
            r#"{"kind":"joined","name":"Ann"}"#,
            r#"{"kind":"said","name":"Ann","text":"back"}"#,
            r#"{"kind":"left","name":"Ann"}"#,
        ];
        assert_eq!(heard, notices.map(|text| TestMessage::Text(text.to_owned())));
    }

    #[test]
    fn another_guest_does_not_get_the_name() {
        for other in ["/rooms/tea?name=Ann", "/rooms/tea?name=Ann&session=guess"] {
            let mut client = TestClient::new(app());
            let mut ann = client.websocket(ANN).open();
            let mut thief = client.websocket(other).open();
            assert_eq!(thief.next(), closed(NAME_TAKEN, "Somebody here has that name"));
            thief.cut(&mut client);
            ann.send(&mut client, r#"{"kind":"say","text":"still here"}"#);
            assert!(ann.text().contains("welcome") && ann.text().contains("still here"));
        }
        // Two without a session are two guests.
        let mut client = TestClient::new(app());
        let _ann = client.websocket("/rooms/tea?name=Ann").open();
        let mut other = client.websocket("/rooms/tea?name=Ann").open();
        assert_eq!(other.next(), closed(NAME_TAKEN, "Somebody here has that name"));
    }
}
