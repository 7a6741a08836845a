//! Four clients that take their time, and one that does not.
//!
//!     cargo run -q --bin see_slow -- STEP

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use course::Server;

/// How long the clients do what they do.
const TIME: Duration = Duration::from_secs(4);
/// Requests for a megabyte each.
const BIG: usize = 12;

fn main() {
    let step = std::env::args().nth(1).unwrap_or("07_deadlines".into());
    let server = Server::start(&step, 5);
    let (silent, head, content, reader) = (server.connect(), server.connect(), server.connect(), server.connect());
    let clients = [
        ("says nothing", thread::spawn(|| drip(silent, "", ""))),
        ("drips a head", thread::spawn(|| drip(head, "", "GET / HTTP/1.1\r\nHost: a-name-that-is-rather-long\r\n"))),
        (
            "drips content",
            thread::spawn(|| drip(content, "POST /echo HTTP/1.1\r\nContent-Length: 1000\r\n\r\n", &"x".repeat(100))),
        ),
        ("takes nothing", thread::spawn(|| take_nothing(reader))),
    ];
    thread::sleep(TIME / 2);
    println!("is polite:     {}", polite(server.connect()));
    for (name, client) in clients {
        println!("{:14} {}", format!("{name}:"), client.join().expect("the client does not panic"));
    }
    server.finish();
}

fn polite(mut client: TcpStream) -> String {
    client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").expect("the server listens");
    let mut reply = String::new();
    client.read_to_string(&mut reply).expect("the server answers");
    reply.lines().next().unwrap_or_default().to_owned()
}

/// Sends the beginning at once, and then a byte of the rest every 200 ms. Returns what the server did.
fn drip(mut client: TcpStream, beginning: &str, rest: &str) -> String {
    let begun = Instant::now();
    client.write_all(beginning.as_bytes()).expect("the server listens");
    client.set_read_timeout(Some(Duration::from_millis(200))).expect("the time is not zero");
    let (mut rest, mut reply) = (rest.bytes(), String::new());
    let mut buffer = [0; 1024];
    while begun.elapsed() < TIME {
        if let Some(byte) = rest.next() {
            // If the server has closed meanwhile, the next read says so.
            let _ = client.write_all(&[byte]);
        }
        match client.read(&mut buffer) {
            Ok(count) if count > 0 => reply.push_str(&String::from_utf8_lossy(&buffer[..count])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(_) | Err(_) => {
                let status = reply.lines().next().map(|line| format!("{line}, ")).unwrap_or_default();
                return format!("{status}closed");
            }
        }
    }
    "still open".to_owned()
}

/// Asks for much, reads nothing until the time is over, and then all that there is.
fn take_nothing(mut client: TcpStream) -> String {
    let requests = "GET /big/1000000 HTTP/1.1\r\n\r\n".repeat(BIG);
    client.write_all(requests.as_bytes()).expect("the server listens");
    thread::sleep(TIME);
    let _ = client.shutdown(Shutdown::Write);
    let mut bytes = Vec::new();
    let _ = client.read_to_end(&mut bytes);
    match bytes.len() {
        all if all > BIG * 1_000_000 => "still open, and gets all".to_owned(),
        _ => "closed, before all was sent".to_owned(),
    }
}
