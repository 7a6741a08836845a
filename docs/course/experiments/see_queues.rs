//! Ten clients pipeline thousands of requests, and an eleventh sends one. How many turns come before its own?
//!
//!     cargo run -q --bin see_queues -- [time|queues]

use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use course::{Server, build, read_reply};

fn main() {
    let rules = std::env::args().nth(1).unwrap_or("queues".into());
    let mut command = Command::new(build("08_fairness"));
    command.args(["127.0.0.1:0", "11", &rules]);
    let mut server = Server::spawn(command);

    let mut greedy: Vec<TcpStream> = (0..10).map(|_| server.connect()).collect();
    let mut polite = server.connect();
    for client in greedy.iter_mut().chain([&mut polite]) {
        send(client, &["/"]);
        read_reply(client).expect("the server answers");
    }

    // While the server is stopped, all ten send. So they begin together.
    send(&mut greedy[0], &["/pause"]);
    assert_eq!(server.line(), "paused");
    let long = [&["/"; 300][..], &["/pause"], &["/"; 1500]].concat();
    send(&mut greedy[0], &long);
    for client in &mut greedy[1..] {
        send(client, &["/"; 1800]);
    }
    server.say("go on");

    // In the middle of it, the eleventh sends.
    assert_eq!(server.line(), "paused");
    send(&mut polite, &["/count"]);
    thread::sleep(Duration::from_millis(20));
    server.say("go on");

    let at_the_end = turns(&read_reply(&mut polite).expect("the server answers").text());
    let mut first = BufReader::new(greedy[0].try_clone().expect("there are descriptors"));
    let replies = (0..302).map(|_| read_reply(&mut first).expect("the server answers").text());
    let at_the_pause = turns(&replies.last().expect("there are some"));
    println!("the polite client was served after {} turns of the others", at_the_end - at_the_pause - 1);
    drop((greedy, polite, first));
    server.finish();
}

fn send(client: &mut TcpStream, targets: &[&str]) {
    let requests: String = targets.iter().map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    client.write_all(requests.as_bytes()).expect("the kernel takes it");
}

/// The number of turns, from a text such as `5 requests in 3 turns`.
fn turns(text: &str) -> u64 {
    text.split(' ').nth(3).and_then(|word| word.parse().ok()).expect("the fourth word is a number")
}
