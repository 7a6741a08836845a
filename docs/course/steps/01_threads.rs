//! Step 1, once more: a thread for each client.
//!
//!     cargo run --bin 01_threads [ADDRESS [CLIENTS]]
//!
//! `echo` is the same as in `01_blocking.rs`. Now only the thread of its own client waits in it.

use std::env;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:0".into());
    let clients = arguments.next().map_or(usize::MAX, |count| count.parse().expect("CLIENTS is a number"));

    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    // The scope waits for all of its threads at its end.
    thread::scope(|threads| {
        for number in 1..=clients {
            let (client, _) = listener.accept()?;
            threads.spawn(move || match echo(client) {
                Ok(bytes) => println!("client {number}: left after {bytes} bytes"),
                Err(error) => println!("client {number}: {error}"),
            });
        }
        Ok(())
    })
}

/// Sends back what the client sends, until it closes its side. Returns the number of bytes.
fn echo(mut client: TcpStream) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let mut total = 0;
    loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            return Ok(total);
        }
        client.write_all(&buffer[..count])?;
        total += count;
    }
}
