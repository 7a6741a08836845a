use std::io::{self, ErrorKind, Read, Write};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

const LISTENER: Token = Token(usize::MAX);

/// Sends what a client sends to all others, until `clients` of them have connected and left. Its last words count, too.
pub fn serve(mut listener: TcpListener, clients: usize) -> io::Result<()> {
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
                    let (said, after) = session.read();
                    // What the others are owed must be tried at once. Their sockets have been writable for a long
                    // time, and no event will say so again.
                    for (_, other) in sessions.iter_mut().filter(|(other, _)| *other != key) {
                        other.owed.extend_from_slice(&said);
                        other.write();
                    }
                    if let After::Closed = after {
                        sessions.remove(key);
                        served += 1;
                    } else {
                        sessions[key].write();
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
    /// Reads until the kernel has no more.
    fn read(&mut self) -> (Vec<u8>, After) {
        let (mut said, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return (said, After::Closed),
                Ok(count) => said.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return (said, After::Exhausted),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return (said, After::Closed),
            }
        }
    }

    /// Writes until nothing is owed, or the kernel takes no more. If the socket has failed, the next read says so.
    fn write(&mut self) {
        while !self.owed.is_empty() {
            match self.socket.write(&self.owed) {
                Ok(count) => drop(self.owed.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}
