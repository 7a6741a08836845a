//! A handler blocks the loop for longer than a head may take. What becomes of a client that was in the middle of one?
//!
//!     cargo run -q --bin see_blocked

use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use course::Server;

fn main() {
    let server = Server::start("07_deadlines", 2);
    let (mut client, mut blocker) = (server.connect(), server.connect());
    client.write_all(b"GET / HTTP/1.1\r\n").expect("the server listens");
    println!("client: has sent the first line of a head, and has a second for the rest");
    thread::sleep(Duration::from_millis(200));
    blocker.write_all(b"GET /block/1500 HTTP/1.1\r\nConnection: close\r\n\r\n").expect("the server listens");
    println!("another: has made the loop block for one and a half seconds");
    thread::sleep(Duration::from_millis(200));
    client.write_all(b"Connection: close\r\n\r\n").expect("the kernel takes it");
    println!("client: has sent the rest, in time");
    let mut reply = Vec::new();
    // A reply may come although the connection is reset after it.
    let _ = client.read_to_end(&mut reply);
    println!("client: {}", String::from_utf8_lossy(&reply).lines().next().unwrap_or("nothing"));
    drop(blocker);
    server.finish();
}
