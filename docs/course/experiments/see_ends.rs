//! Five clients, and five ways in which a connection ends.
//!
//!     cargo run -q --bin see_ends

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use course::{Server, read_reply};
use rustix::net::sockopt::set_socket_linger;

fn main() {
    let mut server = Server::start("09_ends", 5);

    println!("A sends two requests, closes its side, and reads");
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\nGET /big/100000 HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    client.shutdown(Shutdown::Write).expect("it is connected");
    let lengths =
        [read_reply(&mut client), read_reply(&mut client)].map(|reply| reply.expect("it comes").content.len());
    println!("A has got {lengths:?} bytes, and then {}", rest(&mut client));
    println!("  server: {}", server.line());

    println!("B says that its request is the last one, and reads");
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").expect("the kernel takes it");
    println!("B has got {:?}, and then {}", read_reply(&mut client).expect("it comes").text(), rest(&mut client));
    println!("B closes its side");
    drop(client);
    println!("  server: {}", server.line());

    println!("C does the same, and never closes its side");
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").expect("the kernel takes it");
    println!("C has got {:?}, and then {}", read_reply(&mut client).expect("it comes").text(), rest(&mut client));
    println!("  server: {}", server.line());

    println!("D sends half a request, and goes");
    let mut client = server.connect();
    client.write_all(b"GET / HT").expect("the kernel takes it");
    drop(client);
    println!("  server: {}", server.line());

    println!("E asks for a lot, reads a little, and resets the connection");
    let mut client = server.connect_with_small_buffer();
    client.write_all(b"GET /big/1000000 HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    client.read_exact(&mut [0; 100]).expect("it comes");
    // With a linger time of zero, close(2) sends a reset (tcp(7)).
    set_socket_linger(&client, Some(Duration::ZERO)).expect("it is a socket");
    drop(client);
    println!("  server: {}", server.line());
    server.finish();
}

/// What comes after the replies.
fn rest(client: &mut TcpStream) -> String {
    match client.read_to_end(&mut Vec::new()) {
        Ok(0) => "the end".to_owned(),
        Ok(count) => format!("{count} bytes more"),
        Err(error) => format!("an error: {:?}", error.kind()),
    }
}
