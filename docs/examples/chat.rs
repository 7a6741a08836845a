//! A chat over WebSocket: rooms by path, names, and the last messages for those who come later.
//!
//! ```text
//! cargo run --example chat
//! python3 -m websockets 'ws://localhost:3000/rooms/tea?name=Ann'      in two terminals, with two names; then type
//!     {"kind":"say","text":"hello"}
//! curl localhost:3000/rooms                                           who is where
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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

/// The state: the chats that have guests. Every call gets it as `&mut`, and no two calls ever run at once.
type Chats = BTreeMap<String, Chat>;

struct Chat {
    room: Room,
    names: BTreeSet<String>,
    last: VecDeque<Line>,
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
    Welcome { here: &'a BTreeSet<String>, last: &'a VecDeque<Line> },
    Joined { name: &'a str },
    Said(&'a Line),
    Typing { name: &'a str },
    Left { name: &'a str },
}

/// One guest, which is one socket.
struct Guest {
    chat: String,
    name: String,
    is_in: bool,
}

impl WebSocket<Chats> for Guest {
    fn open(&mut self, chats: &mut Chats, ws: &mut Socket<'_>) -> Result<()> {
        let chat = chats.entry(self.chat.clone()).or_default();
        self.is_in = chat.names.insert(self.name.clone());
        if !self.is_in {
            return ws.close(NAME_TAKEN, "Somebody here has that name");
        }
        ws.send_json(&Notice::Welcome { here: &chat.names, last: &chat.last })?;
        chat.room.send_json(&Notice::Joined { name: &self.name })?;
        chat.room.join(ws);
        Ok(())
    }

    fn message(&mut self, chats: &mut Chats, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        let Ok(wish) = message.json() else {
            return ws.close(NOT_UNDERSTOOD, r#"Send {"kind":"say","text":"..."} or {"kind":"typing"}"#);
        };
        let (chat, name) = (chats.entry(self.chat.clone()).or_default(), &*self.name);
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

    /// The socket has left the room already. A chat without guests is forgotten.
    fn close(self: Box<Self>, chats: &mut Chats, end: Closed<'_>) {
        let Some(chat) = chats.get_mut(&self.chat).filter(|_| self.is_in) else { return };
        println!("{:?} has left {:?} with the code {}", self.name, self.chat, end.code);
        chat.names.remove(&self.name);
        if chat.names.is_empty() {
            chats.remove(&self.chat);
        } else if let Err(error) = chat.room.send_json(&Notice::Left { name: &self.name }) {
            println!("cannot say so: {error:?}");
        }
    }
}

impl Chat {
    fn remember(&mut self, line: Line) {
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        self.last.push_back(line);
    }
}

impl Default for Chat {
    fn default() -> Self {
        // A guest who is too slow to get every message is sent away with 1013, and can come back for the last ones.
        Self { room: Room::new(Slow::Drop), names: BTreeSet::new(), last: VecDeque::new() }
    }
}

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(Chats::new());
    app.websocket("/rooms/:room", |_, req, offer| {
        let name = req.query("name").unwrap_or("somebody".into()).into_owned();
        Ok((offer, Guest { chat: req.param("room")?, name, is_in: false }))
    })
    .max_message(MAX_MESSAGE);
    app.get("/rooms", |chats, _, res| {
        res.json(&chats.iter().map(|(name, chat)| (name, &chat.names)).collect::<BTreeMap<_, _>>())
    });
    println!("listening on http://127.0.0.1:3000");
    Server::bind("127.0.0.1:3000")?.run(app)
}
