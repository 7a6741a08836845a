//! Two clients: one has sent two hundred requests at once, the other sends one. How long does the second one wait?
//!
//!     cargo run -q --bin see_turns -- [none|requests|time|queues|monoloop]
//!
//! No clock decides: the first request of the greedy client stops the server until the polite one has sent its request.

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use course::{Server, build, read_reply};

fn main() {
    let rules = std::env::args().nth(1).unwrap_or("queues".into());
    let mut command = match &*rules {
        "monoloop" => Command::new(build("paused_monoloop")),
        _ => Command::new(build("08_fairness")),
    };
    command.args(["127.0.0.1:0", "2", &rules]);
    let mut server = Server::spawn(command);

    let (greedy, mut polite) = (server.connect(), server.connect());
    let mut greedy = BufReader::new(greedy);
    // Each has had a reply, so the server knows both.
    for client in [greedy.get_mut(), &mut polite] {
        send(client, &["/"]);
        read_reply(client).expect("the server answers");
    }

    // Each of the others takes a millisecond.
    send(greedy.get_mut(), &[&["/pause"][..], &["/block/1"; 199]].concat());
    println!("the greedy client has sent 200 requests; the server says: {}", server.line());
    send(&mut polite, &["/count"]);
    println!("the polite client has sent 1 request");
    // The first request of the greedy one takes some time.
    thread::sleep(Duration::from_millis(20));
    server.say("go on");

    let at_the_end = count(&read_reply(&mut polite).expect("the server answers").text());
    let at_the_pause = count(&read_reply(&mut greedy).expect("the server answers").text());
    // Both counts include their own request.
    println!("between the two replies the server has answered {} others", at_the_end - at_the_pause - 1);
    for _ in 0..199 {
        read_reply(&mut greedy).expect("the server answers");
    }
    println!("the greedy client has got its 200 replies");
    drop((greedy, polite));
    server.finish();
}

fn send(client: &mut TcpStream, targets: &[&str]) {
    let requests: String = targets.iter().map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.write_all(requests.as_bytes()).expect("the kernel takes it");
}

/// The number of requests, at the beginning of the text.
fn count(text: &str) -> u64 {
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("it begins with a number")
}
