//! A request in pieces, and two requests in one piece: what does the client get?
//!
//!     cargo run -q --bin see_pieces

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use course::Server;

fn main() {
    let server = Server::start("04_states", 3);

    let mut client = server.connect();
    for piece in ["GE", "T / HTT", "P/1.1\r\nHost: a\r", "\n\r", "\n"] {
        client.write_all(piece.as_bytes()).expect("the kernel takes it");
        // So that each piece is a packet, and probably a read, of its own. The result does not depend on that.
        thread::sleep(Duration::from_millis(20));
    }
    println!("five pieces: {}", text(&mut client, 44));

    drop(client);
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    println!("two at once: {}", text(&mut client, 88));

    drop(client);
    let mut client = server.connect();
    client.write_all(b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n").expect("as above");
    println!("content and the next request: {}", text(&mut client, 85));

    drop(client);
    server.finish();
}

/// Reads so many bytes and makes the ends of lines visible.
fn text(client: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    client.read_exact(&mut bytes).expect("the server answers");
    String::from_utf8_lossy(&bytes).replace("\r\n", "|").replace('\n', "|")
}
