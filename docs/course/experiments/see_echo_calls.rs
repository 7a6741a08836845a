//! Which system calls does the smallest loop make for one message? strace writes them down.
//!
//!     cargo run -q --bin see_echo_calls

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use course::Server;

fn main() {
    let trace = std::env::temp_dir().join(format!("course-calls-{}", std::process::id()));
    let mut command = Command::new("strace");
    command.args(["-e", "trace=epoll_wait,epoll_pwait,read,recvfrom,write,sendto", "-e", "signal=none", "-o"]);
    command.arg(&trace).arg(course::build("03_echo")).args(["127.0.0.1:0", "1"]);
    let server = Server::spawn(command);
    let mut client = server.connect();
    // The loop has accepted the client, and sleeps in the poll once more.
    wait_for_sleep(&trace, "session 0: accepted");
    client.write_all(b"hello").expect("the kernel takes five bytes");
    client.read_exact(&mut [0; 5]).expect("the server sends them back");
    wait_for_sleep(&trace, "\"hello\"");
    let text = fs::read_to_string(&trace).expect("strace writes its file");
    fs::remove_file(&trace).expect("it was there");
    let from = text.find("\"hello\"").expect("the message was read");
    // The poll that returned with the event is the line before the read.
    let from = text[..from].rfind("epoll_").expect("the loop was in the poll");
    for line in text[from..].lines() {
        println!("{}", meaning(line));
    }
    drop(client);
    server.finish();
}

/// Waits until the last line is a poll that has not returned, after a line with `mark`.
fn wait_for_sleep(trace: &Path, mark: &str) {
    for _ in 0..1000 {
        let text = fs::read_to_string(trace).unwrap_or_default();
        let last = text.lines().last().unwrap_or_default();
        if text.contains(mark) && last.starts_with("epoll_") && !last.contains(" = ") {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the loop does not go to sleep after {mark}");
}

/// Says what a line of strace means. The names of the calls differ between processors.
fn meaning(line: &str) -> String {
    let (call, _) = line.split_once('(').expect("strace writes calls");
    let result = line.rsplit_once(" = ").map(|(_, result)| result.split_whitespace().find(|word| *word != "-1"));
    match (call, result.flatten()) {
        ("epoll_wait" | "epoll_pwait", Some(_)) => "the poll reports an event".into(),
        ("epoll_wait" | "epoll_pwait", None) => "the loop sleeps in the poll".into(),
        ("read" | "recvfrom", Some(result)) => format!("read or recvfrom: {result}"),
        ("write" | "sendto", Some(result)) => format!("write or sendto: {result}"),
        _ => line.into(),
    }
}
