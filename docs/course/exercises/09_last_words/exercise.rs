use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// After so many bytes that were read and thrown away, nothing more is read. Only the last read may go beyond it.
pub const MOST: usize = 64 * 1024;
/// Most bytes of one read.
pub const READ: usize = 4096;

/// How a connection has ended.
#[derive(Debug, PartialEq)]
pub enum Ended {
    /// The client has closed its side, too.
    ByClient,
    /// The client was given its time, and has not closed its side in it, as far as was read.
    GivenUp,
    /// The socket has failed after the reply was sent, by a reset, for example. The client may have the reply or not.
    Failed,
}

/// Sends the last reply of a connection and ends it, so that the client gets the whole reply, whatever it has sent or
/// still sends. That takes no longer than `patience` after the reply is sent, and as long if the client does not close.
///
/// After [`MOST`] bytes it reads nothing more, and keeps the socket until the patience is over: the client is stopped,
/// and has time to read the reply.
///
/// The socket blocks, to keep the exercise small: `set_read_timeout` bounds a read. A thread that waits sleeps.
///
/// # Errors
///
/// If the socket fails before the reply is sent. What fails after that is [`Ended::Failed`].
pub fn send_last(mut socket: TcpStream, reply: &[u8], patience: Duration) -> io::Result<Ended> {
    socket.write_all(reply)?;
    // Here the socket is dropped, and so closed. What becomes of the reply if the client has sent something that nobody
    // has read?
    Ok(Ended::ByClient)
}
