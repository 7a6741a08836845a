//! Exercise 1: many clients on one thread, without a poll. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/01_no_threads.rs"]
mod exercise;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use exercises::Threads;

const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the server in a thread of that name. Returns its address, and where its result comes.
fn start(name: &str, clients: usize) -> (SocketAddr, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, result) = mpsc::channel();
    let serve = move || sender.send(exercise::serve(&listener, clients).unwrap());
    thread::Builder::new().name(name.into()).spawn(serve).unwrap();
    (address, result)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

#[track_caller]
fn expect_echo(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
    let mut bytes = vec![0; text.len()];
    client.read_exact(&mut bytes).expect("the server sends back what it got, whatever another client does");
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

#[test]
fn a_silent_client_keeps_nobody_waiting() {
    let (address, result) = start("silent", 4);
    let silent = connect(address);
    let mut one = connect(address);
    expect_echo(&mut one, "one");
    // The others come when the server is at work already.
    let (mut two, mut three) = (connect(address), connect(address));
    expect_echo(&mut three, "three");
    expect_echo(&mut two, "two");
    expect_echo(&mut one, "one again");
    drop((silent, one, two, three));
    let in_vain = result.recv_timeout(PATIENCE).expect("the server ends when all clients have left");
    assert!(in_vain > 0, "it has tried the silent client in vain, so it counts that");
}

#[test]
fn one_thread_asks_again_and_again_and_sleeps_in_between() {
    let (address, result) = start("quiet", 2);
    let mut clients = [connect(address), connect(address)];
    clients.iter_mut().for_each(|client| expect_echo(client, "hello"));
    let threads = Threads::named("quiet");
    let before = threads.as_ref().map_or(0, Threads::sleeps);
    thread::sleep(Duration::from_millis(300));
    if let Some(threads) = threads {
        assert_eq!(threads.count(), 1, "the server has as many threads");
        assert!(threads.sleeps() > before, "the server takes a whole processor while nobody says anything");
    }
    drop(clients);
    let in_vain = result.recv_timeout(PATIENCE).expect("the server ends when all clients have left");
    println!("in vain: {in_vain}");
    // With a millisecond of sleep these are hundreds.
    assert!(in_vain >= 10, "in 0.3 seconds of silence only {in_vain} calls have found nothing to do");
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting_and_loses_nothing() {
    // The kernel's buffers never hold as much.
    const LENGTH: usize = 32 * 1024 * 1024;
    let (address, result) = start("full", 2);
    let (mut full, mut other) = (connect(address), connect(address));
    let bytes = (0..251).collect::<Vec<u8>>().repeat(LENGTH / 251);
    let mut sent = 0;
    // It sends until nobody takes any more.
    full.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    while sent < bytes.len() {
        match full.write(&bytes[sent..]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
    }
    expect_echo(&mut other, "hello");
    let mut back = vec![0; sent];
    full.read_exact(&mut back).expect("all of it comes back");
    assert!(back == bytes[..sent], "what comes back is not what was sent");
    expect_echo(&mut full, "and that was all");
    drop((full, other));
    result.recv_timeout(PATIENCE).expect("the server ends when its clients have left");
}

#[test]
fn a_client_that_breaks_off_ends_only_itself() {
    let (address, result) = start("broken", 2);
    let (mut broken, mut other) = (connect(address), connect(address));
    broken.write_all(b"x").unwrap();
    // Its answer has come. If it closes its socket now and has not read that, the server's next call fails.
    assert_eq!(broken.peek(&mut [0]).expect("the server sends back what it got"), 1);
    drop(broken);
    expect_echo(&mut other, "hello");
    drop(other);
    result.recv_timeout(PATIENCE).expect("the server ends when both have left");
}
