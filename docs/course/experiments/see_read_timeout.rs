//! A blocking socket with a read timeout, and a client that sends a byte now and then.
//!
//!     cargo run -q --bin see_read_timeout

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut client = TcpStream::connect(listener.local_addr()?)?;
    let (mut socket, _) = listener.accept()?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    println!("the read timeout is {TIMEOUT:?}");

    let dripping = thread::spawn(move || {
        for _ in 0..20 {
            thread::sleep(TIMEOUT / 5);
            client.write_all(b"x").expect("the server reads");
        }
        client
    });
    let (begun, mut bytes) = (Instant::now(), 0);
    loop {
        match socket.read(&mut [0; 100]) {
            Ok(count) => bytes += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    println!("{bytes} bytes have come, and then the timeout");
    println!("that took more than four times the timeout: {}", begun.elapsed() > 4 * TIMEOUT);
    drop(dripping.join());
    Ok(())
}
