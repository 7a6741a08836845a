//! Step 6: writing when the kernel takes no more.
//!
//!     cargo run --bin 06_backpressure [ADDRESS [CLIENTS]]
//!
//! New: an output queue with a high-water and a low-water mark, and `GET /big/NUMBER`, whose content has so many bytes.
//! One file would be too long now. From here on a step is a folder, with the files of `src/` in small: the loop, which
//! knows the kernel (this file and `session.rs`), and the connection, which does not (`connection.rs` and below).

mod connection;
mod head;
mod output;
mod session;

use std::{env, io, mem};

use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use slab::Slab;

use session::{After, Session};

const LISTENER: Token = Token(usize::MAX);

struct EventLoop {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    sessions: Slab<Session>,
    /// Sessions that have ended.
    served: usize,
}

impl EventLoop {
    fn new(mut listener: TcpListener) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Self { poll, events: Events::with_capacity(256), listener, sessions: Slab::new(), served: 0 })
    }

    /// Sleeps once, and then does all the work that the events bring.
    fn tick(&mut self) -> io::Result<()> {
        match self.poll.poll(&mut self.events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let events = mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(key) = event.token();
            if event.token() == LISTENER {
                self.accept()?;
            } else if let Some(session) = self.sessions.get_mut(key) {
                session.readiness.readable |= event.is_readable();
                session.readiness.writable |= event.is_writable();
                if session.pump() == After::Closed {
                    self.close(key);
                }
            }
        }
        self.events = events;
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut socket, _)) => {
                    let entry = self.sessions.vacant_entry();
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    self.poll.registry().register(&mut socket, Token(entry.key()), interest)?;
                    entry.insert(Session::new(socket));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn close(&mut self, key: usize) {
        let session = self.sessions.remove(key);
        self.served += 1;
        println!("session {key}: closed; at most {} bytes were owed", session.connection.output().most());
    }
}

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into()).parse().expect("ADDRESS is like 127.0.0.1:7000");
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let mut event_loop = EventLoop::new(listener)?;
    while event_loop.served < clients {
        event_loop.tick()?;
    }
    Ok(())
}
