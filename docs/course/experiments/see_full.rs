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
        match try_to_write(&mut writer, &piece)? {
            Some(count) => (taken, last) = (taken + count, count),
            // What is on its way may make room once more. That ends when the buffers of both sides are full.
            None if is_told(&mut poll, &mut events)? => {}
            None => break,
        }
    }
    println!("writer: the kernel has taken {taken} bytes, of the last piece {last} of {}", piece.len());
    println!("writer: WouldBlock");

    reader.read_exact(&mut [0])?;
    println!("reader: has read 1 byte");
    println!("writer: is told that there is room: {}", is_told(&mut poll, &mut events)?);

    println!("reader: reads 1000 bytes at a time, and the writer tries to write after each time");
    let (mut in_vain, mut most, mut read) = (0, 0, 1);
    while read < 600_000 {
        reader.read_exact(&mut [0; 1000])?;
        read += 1000;
        let before = taken;
        while let Some(count) = try_to_write(&mut writer, &piece)? {
            taken += count;
        }
        in_vain = if taken == before { in_vain + 1 } else { 0 };
        most = most.max(in_vain);
    }
    println!("writer: {most} tries in a row have got WouldBlock; more than ten: {}", most > 10);
    is_told(&mut poll, &mut events)?;

    reader.read_exact(&mut vec![0; taken - read])?;
    println!("reader: has read all");
    println!("writer: is told that there is room: {}", is_told(&mut poll, &mut events)?);
    Ok(())
}

/// Returns how many bytes the kernel has taken, or `None` for `WouldBlock`.
fn try_to_write(writer: &mut impl Write, piece: &[u8]) -> io::Result<Option<usize>> {
    match writer.write(piece) {
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an event comes.
fn is_told(poll: &mut Poll, events: &mut Events) -> io::Result<bool> {
    poll.poll(events, Some(QUIET))?;
    Ok(!events.is_empty())
}
