//! A server is told to drain while a request is on its way, and another client is idle.
//!
//!     cargo run -q --bin see_drain -- [abrupt | many]
//!
//! The server is stopped (`GET /pause`) until all that has come before the order is in its sockets. With `many`, so
//! many requests are on their way that one poll does not bring the events of all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use course::{Server, build, read_reply};

/// More than the 256 events that a poll of the server brings.
const MANY: usize = 300;

fn main() {
    let manner = std::env::args().nth(1).unwrap_or("polite".into());
    let mut command = Command::new(build("09_ends"));
    command.args(["127.0.0.1:0", "1000", &manner]);
    let server = Server::spawn(command);
    match &*manner {
        "many" => drain_many(server),
        _ => drain_three(server),
    }
}

fn drain_many(mut server: Server) {
    let mut asking: Vec<TcpStream> = (0..MANY).map(|_| connect(&server)).collect();
    let mut at_work = connect(&server);
    at_work.write_all(b"GET /pause HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    println!("a handler is at work: {}", server.line());
    for client in &mut asking {
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    }
    println!("{MANY} other clients have sent a request each");
    server.close_input();
    println!("the server is told to drain, and the handler ends");
    let answered = asking.iter_mut().map(outcome).filter(|outcome| outcome.starts_with("HTTP/1.1 200 OK")).count();
    println!("{answered} of these requests have got a reply");
    drop((at_work, asking));
    server.finish();
}

fn drain_three(mut server: Server) {
    let [mut at_work, mut asking, mut idle] = [(); 3].map(|()| connect(&server));
    at_work.write_all(b"GET /pause HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    println!("a handler is at work: {}", server.line());
    asking.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    println!("another client has sent a request: it is in its socket, and the server has not looked");
    server.close_input();
    println!("the server is told to drain, and the handler ends");

    println!("the request at work:    {}", outcome(&mut at_work));
    println!("the request on its way: {}", outcome(&mut asking));
    println!("the idle client:        {}", outcome(&mut idle));
    let address = server.address();
    drop((at_work, asking, idle));
    let mut lines = server.finish();
    lines.sort();
    lines.iter().for_each(|line| println!("  server: {line}"));
    println!(
        "a new client: {:?}",
        TcpStream::connect(address).map_err(|error| error.kind()).expect_err("nobody listens")
    );
}

/// Connects a client that has had a reply, so that the server has accepted it.
fn connect(server: &Server) -> TcpStream {
    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("the kernel takes it");
    read_reply(&mut client).expect("the server answers");
    client
}

/// What a client gets.
fn outcome(client: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let end = match client.read_to_end(&mut bytes) {
        Ok(_) => "the end".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    let reply = String::from_utf8_lossy(&bytes);
    let status = reply.split("\r\n").next().filter(|line| !line.is_empty()).unwrap_or("no reply");
    let close = if reply.contains("Connection: close") { ", with Connection: close" } else { "" };
    format!("{status}{close}, then {end}")
}
