//! Step 2: what does a poll say of a socket, and how often does it say so?
//!
//!     cargo run --bin 02_edges
//!
//! It asks two polls about the same socket after each act. poll(2) is level-triggered: it says how things are. mio is
//! edge-triggered: it says what has changed since it last said something.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use rustix::event::{PollFd, PollFlags, Timespec};

fn main() -> io::Result<()> {
    let mut ends = Ends::connected()?;
    println!("{:<50} {:<20} edge", "what happened", "level");

    ends.ask("the socket is new")?;
    ends.ask("nothing")?;

    ends.client.write_all(b"ten bytes!")?;
    ends.wait_for_bytes()?;
    ends.ask("the client sent 10 bytes")?;
    ends.ask("nothing: all 10 are still unread")?;

    let mut some = [0; 4];
    ends.socket.read_exact(&mut some)?;
    ends.ask("we read 4 of them")?;

    ends.client.write_all(b"more!")?;
    ends.wait_for_bytes()?;
    ends.ask("the client sent 5 more")?;

    let count = ends.read_until_would_block()?;
    ends.ask(&format!("we read {count}, until WouldBlock"))?;

    let count = ends.write_until_would_block()?;
    // How much fits depends on the kernel; that it is more than nothing and ends does not.
    assert!(count > 0);
    ends.ask("we wrote until WouldBlock")?;

    ends.take_all(count)?;
    ends.ask("the client took all of it")?;

    ends.client.shutdown(Shutdown::Write)?;
    ends.wait_for_bytes()?;
    ends.ask("the client closed its side")?;
    ends.ask("nothing")
}

/// Both ends of a connection, and a poll for the server's end.
struct Ends {
    client: std::net::TcpStream,
    socket: mio::net::TcpStream,
    poll: Poll,
    events: Events,
}

impl Ends {
    fn connected() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (socket, _) = listener.accept()?;
        socket.set_nonblocking(true)?;
        let mut socket = mio::net::TcpStream::from_std(socket);
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self { client, socket, poll, events: Events::with_capacity(8) })
    }

    /// Asks both polls, without waiting, and prints what they say.
    fn ask(&mut self, what: &str) -> io::Result<()> {
        let level = self.ask_level(Duration::ZERO)?;
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let edge = match self.events.iter().next() {
            Some(event) => words(event.is_readable(), event.is_writable()),
            None => "-",
        };
        println!("{what:<50} {:<20} {edge}", words(level.contains(PollFlags::IN), level.contains(PollFlags::OUT)));
        Ok(())
    }

    fn ask_level(&self, wait: Duration) -> io::Result<PollFlags> {
        self.ask_level_for(PollFlags::IN | PollFlags::OUT, wait)
    }

    fn ask_level_for(&self, wanted: PollFlags, wait: Duration) -> io::Result<PollFlags> {
        let mut asked = [PollFd::new(&self.socket, wanted)];
        let timeout = Timespec::try_from(wait).expect("the times here are short");
        rustix::event::poll(&mut asked, Some(&timeout))?;
        Ok(asked[0].revents())
    }

    /// Waits until what the client did has arrived.
    fn wait_for_bytes(&self) -> io::Result<()> {
        let level = self.ask_level_for(PollFlags::IN, Duration::from_secs(10))?;
        assert!(level.contains(PollFlags::IN), "nothing has come within 10 s");
        Ok(())
    }

    fn read_until_would_block(&mut self) -> io::Result<usize> {
        let (mut total, mut buffer) = (0, [0; 4096]);
        loop {
            match self.socket.read(&mut buffer) {
                Ok(count) => total += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(total),
                Err(error) => return Err(error),
            }
        }
    }

    fn write_until_would_block(&mut self) -> io::Result<usize> {
        let mut total = 0;
        loop {
            match self.socket.write(&[b'x'; 4096]) {
                Ok(count) => total += count,
                // What the kernel has just taken may still be on its way to the client's end, and then there is room
                // once more.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if !self.ask_level_for(PollFlags::OUT, Duration::from_millis(200))?.contains(PollFlags::OUT) {
                        return Ok(total);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads `count` bytes at the client's end, and waits until the server's end has room again.
    fn take_all(&mut self, count: usize) -> io::Result<()> {
        self.client.read_exact(&mut vec![0; count])?;
        let level = self.ask_level_for(PollFlags::OUT, Duration::from_secs(10))?;
        assert!(level.contains(PollFlags::OUT), "there is no room after 10 s");
        Ok(())
    }
}

fn words(readable: bool, writable: bool) -> &'static str {
    match (readable, writable) {
        (true, true) => "readable, writable",
        (true, false) => "readable",
        (false, true) => "writable",
        (false, false) => "-",
    }
}
