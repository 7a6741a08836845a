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
    // The client sees the end after the reply, and can close its side.
    socket.shutdown(Shutdown::Write)?;
    let end = Instant::now() + patience;
    let (mut left, mut buffer) = (MOST, [0; 4096]);
    while left > 0 {
        // Each read has only what is left of the time. Otherwise a client that drips would be waited for without end.
        let time = end.saturating_duration_since(Instant::now());
        if time.is_zero() {
            return Ok(Ended::GivenUp);
        }
        socket.set_read_timeout(Some(time))?;
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(Ended::ByClient),
            Ok(count) => left = left.saturating_sub(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Ok(Ended::GivenUp);
            }
            // A reset: the client is gone.
            Err(_) => return Ok(Ended::ByClient),
        }
    }
    Ok(Ended::GivenUp)
}
