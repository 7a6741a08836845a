//! Sends what no honest client sends, and shows what comes back.
//!
//!     cargo run -q --bin see_lies -- STEP

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use course::Server;

fn main() {
    let step = std::env::args().nth(1).unwrap_or("05_parsing".into());
    let endless = format!("GET / HTTP/1.1\r\nA: {}", "a".repeat(8 * 1024 + 1 - 19));
    let hidden = "GET / HTTP/1.1\r\n\r\n";
    let lies = [
        ("a head without an end", endless),
        ("a length with a sign", "POST /echo HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc".to_owned()),
        ("no version", "GET /\r\n\r\n".to_owned()),
        ("a length of 10^19", "POST /echo HTTP/1.1\r\nContent-Length: 10000000000000000000\r\n\r\n".to_owned()),
        ("a coding that it does not know", "POST /echo HTTP/1.1\r\nTransfer-Encoding: x\r\n\r\n".to_owned()),
        (
            "two lengths, and a request in the content",
            format!("POST /echo HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: {}\r\n\r\n{hidden}", hidden.len()),
        ),
    ];
    let server = Server::start(&step, lies.len());
    for (name, bytes) in &lies {
        println!("{name}:");
        let mut client = server.connect();
        client.write_all(bytes.as_bytes()).expect("the kernel takes so little at once");
        let replies = answers(&mut client);
        if replies.is_empty() {
            println!("    nothing");
        }
        replies.iter().for_each(|reply| println!("    {reply}"));
    }
    server.finish();
}

/// The status lines that come, and how the connection goes on.
fn answers(client: &mut TcpStream) -> Vec<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    // No reply within this time is taken for no reply. Where there is one, it comes in far less.
    client.set_read_timeout(Some(Duration::from_millis(500))).expect("the time is not zero");
    let end = loop {
        match client.read(&mut buffer) {
            Ok(0) => break Some("(the server has closed)"),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break None,
            Err(error) => panic!("{error}"),
        }
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // Content has no end of its own line here, so a status line is looked for anywhere.
    let lines = text.split("HTTP/1.1 ").skip(1).map(|reply| reply.lines().next().unwrap_or_default().to_owned());
    lines.chain(end.map(str::to_owned)).collect()
}
