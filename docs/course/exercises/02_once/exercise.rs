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
    // This reads once. When is that too little? What may `read` return besides a count?
    let mut buffer = [0; 16];
    let count = socket.read(&mut buffer)?;
    into.extend_from_slice(&buffer[..count]);
    Ok(State::Exhausted)
}
