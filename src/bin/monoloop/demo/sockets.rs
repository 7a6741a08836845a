//! WebSockets: an echo, and the chat of the page.

use monoloop::websocket::{Closed, Message, Offer, Room, Slow, Socket, WebSocket};
use monoloop::{Request, Result};
use serde::Serialize;

use super::Demo;

// ---- /ws/echo -------------------------------------------------------------------------------------------------------

/// The longest message that is echoed, in bytes.
pub(super) const MAX_ECHO: usize = 16 << 20;

/// The frames of a message that is echoed, at most. The Autobahn test suite sends 4 MiB in frames of 64 bytes, and then
/// an empty one.
pub(super) const MAX_FRAGMENTS: usize = 1 << 17;

/// Sends each message back.
pub(super) struct Echo;

impl<S> WebSocket<S> for Echo {
    fn message(&mut self, _: &mut S, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        ws.send(message)
    }
}

// ---- /ws/chat -------------------------------------------------------------------------------------------------------

/// The room of the chat.
#[derive(Debug)]
pub(super) struct Chat {
    room: Room,
    /// How many guests without a name have come so far.
    guests: u64,
}

/// One client of the chat.
pub(super) struct Guest {
    name: String,
}

/// What the server says, as JSON.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Notice<'a> {
    /// To a newcomer: the name that it has, and how many are in the room.
    Welcome {
        name: &'a str,
        here: usize,
    },
    Joined {
        name: &'a str,
        here: usize,
    },
    Left {
        name: &'a str,
        here: usize,
    },
    Said {
        name: &'a str,
        text: &'a str,
    },
}

/// The longest name and the longest message, in characters.
const MAX_NAME: usize = 24;
const MAX_TEXT: usize = 1000;

/// The code for a message that the room does not take (RFC 6455 §7.4.1: a policy is violated).
const POLICY: u16 = 1008;

impl Default for Chat {
    fn default() -> Self {
        Self { room: Room::new(Slow::Drop), guests: 0 }
    }
}

/// Lets a client in, under the name that it asks for.
pub(super) fn enter<'r>(demo: &mut Demo, req: &Request<'_>, offer: Offer<'r>) -> Result<(Offer<'r>, Guest)> {
    let asked = req.query("name").unwrap_or_default();
    let visible = asked.chars().filter(|character| !character.is_control()).take(MAX_NAME);
    let mut name = visible.collect::<String>().trim().to_owned();
    if name.is_empty() {
        demo.chat.guests += 1;
        name = format!("guest {}", demo.chat.guests);
    }
    Ok((offer, Guest { name }))
}

impl WebSocket<Demo> for Guest {
    fn open(&mut self, demo: &mut Demo, ws: &mut Socket<'_>) -> Result<()> {
        let room = &mut demo.chat.room;
        room.join(ws);
        let (name, here) = (&*self.name, room.len());
        ws.send_json(&Notice::Welcome { name, here })?;
        room.send_json_to_others(&Notice::Joined { name, here }, ws)?;
        Ok(())
    }

    fn message(&mut self, demo: &mut Demo, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        match message.as_text() {
            None => return ws.close(POLICY, "The chat takes text only"),
            Some(text) if text.chars().nth(MAX_TEXT).is_some() => return ws.close(POLICY, "The message is too long"),
            Some("") => {}
            Some(text) => _ = demo.chat.room.send_json(&Notice::Said { name: &self.name, text })?,
        }
        Ok(())
    }

    fn close(self: Box<Self>, demo: &mut Demo, end: Closed<'_>) {
        let room = &mut demo.chat.room;
        if end.was_open
            && let Err(error) = room.send_json(&Notice::Left { name: &self.name, here: room.len() })
        {
            log::error!("cannot say that a guest has left: {error:?}");
        }
    }
}
