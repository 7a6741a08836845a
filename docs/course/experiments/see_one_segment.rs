//! What an event says to a client when the last bytes and the FIN come in one segment.
//!
//!     cargo run -q --bin see_one_segment

use std::io::{ErrorKind, Read, Write};

use course::{PATIENCE, Server};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

fn main() {
    let server = Server::start("09_ends", 2);
    for field in ["", "Connection: close\r\n"] {
        let socket = server.connect();
        socket.set_nonblocking(true).expect("it is a socket");
        let mut socket = TcpStream::from_std(socket);
        let (mut poll, mut events) = (Poll::new().expect("there are descriptors"), Events::with_capacity(8));
        poll.registry().register(&mut socket, Token(0), Interest::READABLE).expect("it can be watched");
        socket.write_all(format!("GET / HTTP/1.1\r\n{field}\r\n").as_bytes()).expect("the kernel takes it");
        println!("the client asks with {field:?}");

        poll.poll(&mut events, Some(PATIENCE)).expect("no signal comes");
        let event = events.iter().next().expect("a reply comes");
        println!("  the first event: readable {}, read-closed {}", event.is_readable(), event.is_read_closed());
        let mut reads = Vec::new();
        loop {
            match socket.read(&mut [0; 4096]) {
                Ok(0) => break reads.push("the end".to_owned()),
                Ok(count) => reads.push(format!("{count} bytes")),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break reads.push("WouldBlock".to_owned()),
                Err(error) => panic!("{error}"),
            }
        }
        println!("  the reads: {}", reads.join(", "));
    }
    server.finish();
}
