//! A client that sends and sends, and reads none of the replies. It ends after 24 MiB.
//!
//!     cargo run -q --bin see_greedy -- STEP
//!
//! It reads the memory of the server from `/proc`, so it needs Linux.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use course::{PATIENCE, Server};

const CONTENT: usize = 60_000;
const REQUESTS: usize = 400;
const MIB: usize = 1024 * 1024;

fn main() {
    let step = std::env::args().nth(1).unwrap_or("06_backpressure".into());
    let server = Server::start(&step, 1);
    let before = memory(server.pid());
    let mut client = server.connect();
    let mut request = format!("POST /echo HTTP/1.1\r\nContent-Length: {CONTENT}\r\n\r\n").into_bytes();
    request.extend_from_slice(&[b'x'; CONTENT]);
    let total = request.len() * REQUESTS;

    let mut sent = 0;
    send(&mut client, &request, &mut sent, total);
    let all = if sent == total { "all" } else { "not all" };
    println!("client: has sent {all} of its 400 requests, and read nothing");
    let grown = memory(server.pid()).saturating_sub(before);
    match grown {
        ..MIB => println!("server: its memory has grown by less than 1 MiB"),
        // The rest of the 24 MiB is in the kernel.
        _ if grown > 12 * MIB => println!("server: its memory has grown by more than 12 MiB"),
        _ => panic!("the memory of the server has grown by {grown} bytes"),
    }

    let reader = client.try_clone().expect("a descriptor is free");
    let reading = thread::spawn(move || count_replies(reader));
    client.set_nonblocking(false).expect("the socket is open");
    let last = sent % request.len();
    let mut rest = request[last..].to_vec();
    while sent < total {
        client.write_all(&rest).expect("the server reads again");
        sent += rest.len();
        rest.clone_from(&request);
    }
    client.shutdown(Shutdown::Write).expect("the connection is open");
    println!(
        "client: reads now; it has sent all, and got {} replies",
        reading.join().expect("the reader does not panic")
    );
    for line in server.finish() {
        println!("server: {line}");
    }
}

/// Sends until all is sent, or until the kernel has taken nothing for a second.
fn send(client: &mut TcpStream, request: &[u8], sent: &mut usize, total: usize) {
    client.set_nonblocking(true).expect("the socket is open");
    let mut progress = Instant::now();
    while *sent < total && progress.elapsed() < Duration::from_secs(1) {
        match client.write(&request[*sent % request.len()..]) {
            Ok(count) => (*sent, progress) = (*sent + count, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
    }
    // The server may be at work with the last of it.
    thread::sleep(Duration::from_millis(200));
}

/// Reads to the end. Returns how many replies came whole.
fn count_replies(mut client: TcpStream) -> usize {
    let mut bytes = Vec::new();
    client.set_read_timeout(Some(PATIENCE)).expect("the time is not zero");
    client.read_to_end(&mut bytes).expect("the server sends and closes");
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {CONTENT}\r\n\r\n");
    assert_eq!(bytes.len() % (head.len() + CONTENT), 0, "no reply is cut");
    bytes.chunks(head.len() + CONTENT).filter(|reply| reply.starts_with(head.as_bytes())).count()
}

/// The resident memory of a process in bytes.
fn memory(pid: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("this is Linux, and the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("each process has this line");
    line.trim().trim_end_matches(" kB").parse::<usize>().expect("it is a number") * 1024
}
