//! Step 1: a server that does one thing at a time, and waits for it.
//!
//!     cargo run --bin 01_blocking [ADDRESS [CLIENTS]]
//!
//! It sends back what a client sends. It ends when it has served `CLIENTS` clients; without that number it never ends.

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into());
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for number in 1..=clients {
        // The thread sleeps here until a client comes.
        let (client, _) = listener.accept()?;
        println!("client {number}: accepted");
        match echo(client) {
            Ok(bytes) => println!("client {number}: left after {bytes} bytes"),
            Err(error) => println!("client {number}: {error}"),
        }
    }
    Ok(())
}

/// Sends back what the client sends, until it closes its side. Returns the number of bytes.
fn echo(mut client: TcpStream) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let mut total = 0;
    loop {
        // The thread sleeps here until this client sends something, however long that takes.
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Ok(total);
        }
        // It sleeps here, too, if this client does not read what it is sent.
        client.write_all(&buffer[..count])?;
        total += count;
    }
}
