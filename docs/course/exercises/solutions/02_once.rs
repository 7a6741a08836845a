use std::io::{self, ErrorKind, Read};

/// What is known of a socket after it was read.
#[derive(Debug, PartialEq)]
pub enum State {
    /// The kernel has said `WouldBlock`: it will report an event when more has come.
    Exhausted,
    /// The client has closed its side.
    Ended,
}

/// Reads what has come from an edge-triggered socket, after an event has said that it is readable. Puts the bytes at
/// the end of `into`.
///
/// # Errors
///
/// If the socket fails. What was read before that is in `into`.
pub fn take(socket: &mut impl Read, into: &mut Vec<u8>) -> io::Result<State> {
    let mut buffer = [0; 16];
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(State::Ended),
            Ok(count) => into.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(State::Exhausted),
            // A signal came while the thread was in the system call. That says nothing of the socket.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
