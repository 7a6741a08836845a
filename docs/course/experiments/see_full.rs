//! A socket that nobody reads at the other end: how much the kernel takes, and when it says that it takes more.
//!
//!     cargo run -q --bin see_full

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};

/// How long no event must come until we say that none comes.
const QUIET: Duration = Duration::from_millis(300);

fn main() -> io::Result<()> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let mut reader = TcpStream::connect(listener.local_addr()?)?;
    reader.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (writer, _) = listener.accept()?;
    writer.set_nonblocking(true)?;
    let mut writer = mio::net::TcpStream::from_std(writer);
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(8));
    poll.registry().register(&mut writer, Token(0), Interest::WRITABLE)?;
    poll.poll(&mut events, Some(QUIET))?;

    let (mut taken, mut last) = (0, 0);
    let piece = [b'x'; 64 * 1024];
    loop {
        match writer.write(&piece) {
            Ok(count) => (taken, last) = (taken + count, count),
            // What is on its way may make room once more. That ends when the buffers of both sides are full.
            Err(error) if error.kind() == ErrorKind::WouldBlock => match is_told(&mut poll, &mut events)? {
                true => continue,
                false => break,
            },
            Err(error) => return Err(error),
        }
    }
    println!("writer: the kernel has taken {taken} bytes, of the last piece {last} of {}", piece.len());
    println!("writer: WouldBlock");

    reader.read_exact(&mut [0])?;
    println!("reader: has read 1 byte");
    println!("writer: is told that there is room: {}", is_told(&mut poll, &mut events)?);
    reader.read_exact(&mut vec![0; taken - 1])?;
    println!("reader: has read all");
    println!("writer: is told that there is room: {}", is_told(&mut poll, &mut events)?);
    Ok(())
}

/// Whether an event comes.
fn is_told(poll: &mut Poll, events: &mut Events) -> io::Result<bool> {
    poll.poll(events, Some(QUIET))?;
    Ok(!events.is_empty())
}
