use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// The most bytes that are thrown away after the last reply.
pub const MOST: usize = 64 * 1024;

/// How a connection has ended.
#[derive(Debug, PartialEq)]
pub enum Ended {
    /// The client has closed its side, too.
    ByClient,
    /// The client was given its time and has not closed its side, or has sent too much.
    GivenUp,
}

/// Sends the last reply of a connection and ends it, so that the client gets the whole reply, whatever it has sent or
/// still sends. That takes no longer than `patience` after the reply is sent.
///
/// The socket blocks, to keep the exercise small: `set_read_timeout` bounds a read.
///
/// # Errors
///
/// If the socket fails before the reply is sent.
pub fn send_last(mut socket: TcpStream, reply: &[u8], patience: Duration) -> io::Result<Ended> {
    socket.write_all(reply)?;
    // Here the socket is dropped, and so closed. What becomes of the reply if the client has sent something that nobody
    // has read?
    Ok(Ended::ByClient)
}
