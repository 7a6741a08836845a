//! Many sockets and one poll loop. It counts bytes and does not look at them: what a server answers is compared before.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream as Blocking;
use std::ops::Range;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::{PATIENCE, Result};

pub(crate) struct Crowd {
    poll: Poll,
    events: Events,
    sockets: Vec<TcpStream>,
    room: Box<[u8]>,
}

impl Crowd {
    pub(crate) fn new(opened: Vec<Blocking>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut sockets = Vec::with_capacity(opened.len());
        for (index, stream) in opened.into_iter().enumerate() {
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry().register(&mut stream, Token(index), Interest::READABLE)?;
            sockets.push(stream);
        }
        Ok(Self { poll, events: Events::with_capacity(1024), sockets, room: vec![0; 1 << 18].into() })
    }

    pub(crate) fn send(&mut self, index: usize, bytes: &[u8]) -> Result<()> {
        send(&mut self.sockets[index], bytes)
    }

    /// Waits for bytes, and tells how many came for each socket. The caller may send something on it then.
    ///
    /// # Errors
    ///
    /// If nothing comes for a long time, a socket ends, or `heard` fails.
    pub(crate) fn turn(&mut self, mut heard: impl FnMut(usize, &mut TcpStream, usize) -> Result<()>) -> Result<()> {
        match self.poll.poll(&mut self.events, Some(PATIENCE)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        if self.events.is_empty() {
            return Err(format!("nothing comes for {} s", PATIENCE.as_secs()).into());
        }
        for event in &self.events {
            let Token(index) = event.token();
            let socket = &mut self.sockets[index];
            loop {
                let length = match socket.read(&mut self.room) {
                    Ok(0) => return Err("the server closes a socket".into()),
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                };
                heard(index, socket, length)?;
                // If the socket had less than there was room for, it is empty; epoll reports it when more comes.
                if length < self.room.len() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// No longer looks at a socket.
    pub(crate) fn leave(&mut self, index: usize) -> Result<()> {
        Ok(self.poll.registry().deregister(&mut self.sockets[index])?)
    }

    /// Reads what sockets that were left still get, until nothing has come for `wait` or each has ended. Returns how
    /// many bytes each has got.
    pub(crate) fn rest_of(&mut self, left: Range<usize>, wait: Duration) -> Result<Vec<usize>> {
        let (mut poll, mut events, first) = (Poll::new()?, Events::with_capacity(1024), left.start);
        let mut received = vec![0; left.len()];
        for index in left {
            poll.registry().register(&mut self.sockets[index], Token(index), Interest::READABLE)?;
        }
        loop {
            poll.poll(&mut events, Some(wait))?;
            if events.is_empty() {
                return Ok(received);
            }
            for event in &events {
                let Token(index) = event.token();
                let socket = &mut self.sockets[index];
                loop {
                    match socket.read(&mut self.room) {
                        Ok(length @ 1..) => received[index - first] += length,
                        Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                        // It has ended, in whichever way.
                        _ => {
                            poll.registry().deregister(socket)?;
                            break;
                        }
                    }
                }
            }
        }
    }
}

/// Sends bytes that the kernel takes at once, since its buffer is empty and larger.
pub(crate) fn send(socket: &mut TcpStream, bytes: &[u8]) -> Result<()> {
    let taken = socket.write(bytes)?;
    if taken == bytes.len() { Ok(()) } else { Err(format!("the kernel takes {taken} bytes of {}", bytes.len()).into()) }
}
