//! A client sends more than the server will read, and begins to read its reply only when the server is done with it.
//!
//!     cargo run -q --bin see_last_reply -- [abrupt]

use std::io::{Read, Write};
use std::process::Command;

use course::{Server, build, read_reply};

const BIG: usize = 200_000;

fn main() {
    let manner = std::env::args().nth(1).unwrap_or("polite".into());
    let mut command = Command::new(build("09_ends"));
    command.args(["127.0.0.1:0", "2", &manner]);
    let mut server = Server::spawn(command);

    // What the client's kernel does not take stays in the server's.
    let (mut client, mut other) = (server.connect_with_small_buffer(), server.connect());
    let last = format!("GET /big/{BIG} HTTP/1.1\r\nConnection: close\r\n\r\n");
    let more = "GET / HTTP/1.1\r\n\r\n".repeat(1000);
    client.write_all((last + &more).as_bytes()).expect("the kernel takes it");
    println!("the client has sent its last request, and a thousand more that nobody will answer");
    match &*manner {
        "abrupt" => println!("the server says: {}", server.line()),
        // It waits for the client. When another one is answered twice, it has done all that it does before.
        _ => (0..2).for_each(|_| {
            other.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("the kernel takes it");
            read_reply(&mut other).expect("the server answers");
        }),
    }

    let mut reply = Vec::new();
    let end = client.read_to_end(&mut reply);
    let content = reply.iter().filter(|&&byte| byte == b'x').count();
    println!("{content} of {BIG} bytes");
    match end {
        Ok(_) => println!("and then the end"),
        Err(error) => println!("and then an error: {:?}", error.kind()),
    }
    drop((client, other));
    server.finish().iter().for_each(|line| println!("the server says: {line}"));
}
