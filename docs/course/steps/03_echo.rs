//! Step 3: the smallest event loop. One thread serves all clients, and sleeps in one place only.
//!
//!     cargo run --bin 03_echo [ADDRESS [CLIENTS]]

use std::env;
use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

/// Sessions use their slab keys as tokens, which count up from 0.
const LISTENER: Token = Token(usize::MAX);

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse().expect("ADDRESS is like 127.0.0.1:7000");
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    let mut listener = TcpListener::bind(address)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on {}", listener.local_addr()?);

    let mut sessions = Slab::new();
    let mut served = 0;
    while served < clients {
        // This is the only call in the program that may sleep. A signal can end the sleep early, which is no failure.
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result?,
        }
        for event in &events {
            match event.token() {
                LISTENER => accept(&listener, &poll, &mut sessions)?,
                Token(key) => {
                    let Some(session) = sessions.get_mut(key) else { continue };
                    if let After::Closed = session.pump() {
                        // Dropping the socket closes it, and the poll forgets it.
                        println!("session {key}: closed after {} bytes", session.total);
                        sessions.remove(key);
                        served += 1;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Accepts until the kernel has no more connections, because no other event will tell of those that wait now.
fn accept(listener: &TcpListener, poll: &Poll, sessions: &mut Slab<Session>) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut socket, _)) => {
                let entry = sessions.vacant_entry();
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut socket, Token(entry.key()), interest)?;
                println!("session {}: accepted", entry.key());
                entry.insert(Session { socket, owed: Vec::new(), total: 0 });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// A client, and what the loop has to remember of it between two events.
struct Session {
    socket: TcpStream,
    /// What was read from the client and not yet sent back.
    owed: Vec<u8>,
    /// All bytes that were sent back.
    total: usize,
}

/// What becomes of a session after its turn.
enum After {
    /// The kernel has said `WouldBlock`, so it owes an event for what the session waits for.
    Exhausted,
    Closed,
}

impl Session {
    /// Runs a turn: reads and writes until the kernel has no more, or takes no more.
    fn pump(&mut self) -> After {
        let mut buffer = [0; 4096];
        loop {
            // What is owed goes first. As long as something is owed, nothing is read.
            let result = match self.owed.is_empty() {
                true => self.socket.read(&mut buffer),
                false => self.socket.write(&self.owed),
            };
            match result {
                Ok(0) => return After::Closed,
                Ok(count) if self.owed.is_empty() => self.owed.extend_from_slice(&buffer[..count]),
                Ok(count) => {
                    self.owed.drain(..count);
                    self.total += count;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return After::Exhausted,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return After::Closed,
            }
        }
    }
}
