use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);

/// Sends what a client sends to all others, until `clients` of them have connected and left. Its last words count, too.
pub fn serve(mut listener: TcpListener, clients: usize) -> io::Result<()> {
    // This is the echo of step 3. What has to change, and whose turn is it then?
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(256);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut sessions = Slab::new();
    let mut served = 0;
    while served < clients {
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
                        sessions.remove(key);
                        served += 1;
                    }
                }
            }
        }
    }
    Ok(())
}

/// Accepts until the kernel has no more connections.
fn accept(listener: &TcpListener, poll: &Poll, sessions: &mut Slab<Session>) -> io::Result<()> {
    loop {
        match listener.accept() {
            Ok((mut socket, _)) => {
                let entry = sessions.vacant_entry();
                let interest = Interest::READABLE | Interest::WRITABLE;
                poll.registry().register(&mut socket, Token(entry.key()), interest)?;
                entry.insert(Session { socket, owed: Vec::new() });
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

struct Session {
    socket: TcpStream,
    /// What is to be sent to this client.
    owed: Vec<u8>,
}

enum After {
    Exhausted,
    Closed,
}

impl Session {
    /// Runs a turn: reads and writes until the kernel has no more, or takes no more.
    fn pump(&mut self) -> After {
        let mut buffer = [0; 4096];
        loop {
            let result = match self.owed.is_empty() {
                true => self.socket.read(&mut buffer),
                false => self.socket.write(&self.owed),
            };
            match result {
                Ok(0) => return After::Closed,
                Ok(count) if self.owed.is_empty() => self.owed.extend_from_slice(&buffer[..count]),
                Ok(count) => drop(self.owed.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return After::Exhausted,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return After::Closed,
            }
        }
    }
}
