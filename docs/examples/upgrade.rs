//! Another protocol on the connection, after 101: an echo, line by line, until the client says `bye`.
//!
//! ```text
//! cargo run --example upgrade
//! printf 'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello\nbye\n' |
//!     nc localhost 3000
//! ```

use std::io;
use std::time::Duration;

use monoloop::exchange::{Output, Protocol};
use monoloop::server::CloseReason;
use monoloop::{Error, Router, Server};

/// How many speak it now.
#[derive(Default)]
struct Room {
    speakers: usize,
}

/// Most that speak it at a time.
const MAX_SPEAKERS: usize = 100;

/// Longest line in bytes.
const MAX_LINE: usize = 1024;

/// The protocol of one connection.
struct Echo;

impl Protocol<Room> for Echo {
    fn on_data(&mut self, _: &mut Room, bytes: &mut [u8], out: &mut Output<'_>) -> io::Result<usize> {
        let mut understood = 0;
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            match line {
                b"bye\n" => {
                    out.write(line);
                    out.close();
                    return Ok(bytes.len());
                }
                [.., b'\n'] => out.write(line),
                part if part.len() > MAX_LINE => return Err(io::Error::other("a line without end")),
                // The rest of it is still to come: it is given again with that.
                _ => break,
            }
            understood += line.len();
        }
        Ok(understood)
    }

    fn on_close(self: Box<Self>, room: &mut Room, why: CloseReason) {
        room.speakers -= 1;
        println!("a speaker left: {why}");
    }
}

fn main() -> monoloop::server::Result<()> {
    let mut app = Router::new(Room::default());
    app.upgrade("/echo", "echo", |room, _, res| {
        if room.speakers == MAX_SPEAKERS {
            return Err(Error::new(503, "The room is full"));
        }
        room.speakers += 1;
        // What stands in the head of the 101; and a speaker may think for five minutes.
        Ok((res.header("X-Speakers", room.speakers.to_string()).idle_timeout(Duration::from_secs(300)), Echo))
    });
    let server = Server::bind("127.0.0.1:3000")?;
    println!("listening on http://{}", server.local_addr());
    server.run(app)
}
