//! Eleven kilobytes of requests for forty megabytes of replies, from a client that reads slowly.
//!
//!     cargo run -q --bin see_held

use std::io::{Read, Write};
use std::net::Shutdown;

use course::Server;

const BIG: usize = 100_000;
const REQUESTS: usize = 400;

fn main() {
    let server = Server::start("06_backpressure", 1);
    let mut client = server.connect();
    let requests = format!("GET /big/{BIG} HTTP/1.1\r\n\r\n").repeat(REQUESTS);
    client.write_all(requests.as_bytes()).expect("the kernel takes so little at once");
    client.shutdown(Shutdown::Write).expect("the connection is open");
    println!("client: has sent {} bytes", requests.len());
    let (mut received, mut buffer) = (0, [0; 1000]);
    loop {
        match client.read(&mut buffer).expect("the server sends") {
            0 => break,
            count => received += count,
        }
    }
    println!("client: has got {received} bytes");
    for line in server.finish() {
        println!("server: {line}");
    }
}
