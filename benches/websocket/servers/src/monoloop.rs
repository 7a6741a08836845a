//! monoloop: an echo and a room, as its users would write them.

use std::time::Duration;

use monoloop::websocket::{Message, Room, Slow, Socket, WebSocket};
use monoloop::{Config, Result, Router, Server};

/// The longest message, in bytes.
const LONGEST: usize = 16 << 20;

struct Echo;

impl WebSocket<Room> for Echo {
    fn message(&mut self, _: &mut Room, message: Message<'_>, ws: &mut Socket<'_>) -> Result<()> {
        ws.send(message)
    }
}

struct Member;

impl WebSocket<Room> for Member {
    fn open(&mut self, room: &mut Room, ws: &mut Socket<'_>) -> Result<()> {
        room.join(ws);
        Ok(())
    }

    fn message(&mut self, room: &mut Room, message: Message<'_>, _: &mut Socket<'_>) -> Result<()> {
        room.send(message);
        Ok(())
    }
}

/// The other servers of this comparison send no pings either, and let sockets be silent for as long as they like.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(Room::new(Slow::Drop));
    app.websocket("/echo", |_, _, offer| Ok((offer, Echo))).max_message(LONGEST).ping_after(FOREVER);
    app.websocket("/room", |_, _, offer| Ok((offer, Member))).max_message(LONGEST).ping_after(FOREVER);
    let server = Server::bind("127.0.0.1:0")?.config(Config::new().idle_timeout(FOREVER));
    println!("listening on http://{}", server.local_addr());
    server.run(app)
}
