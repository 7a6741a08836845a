//! Exercise 1: many clients on one thread, without a poll. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/01_no_threads.rs"]
mod exercise;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the server in a thread of the test. Returns its address, and where its result comes.
fn start(clients: usize) -> (SocketAddr, Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, result) = mpsc::channel();
    thread::spawn(move || sender.send(exercise::serve(&listener, clients).unwrap()));
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
    client.read_exact(&mut bytes).expect("the server sends back what it got, although another client is silent");
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

#[test]
fn a_silent_client_keeps_nobody_waiting() {
    let (address, result) = start(3);
    let silent = connect(address);
    let (mut one, mut two) = (connect(address), connect(address));
    expect_echo(&mut one, "one");
    expect_echo(&mut two, "two");
    expect_echo(&mut one, "one again");
    drop((silent, one, two));
    let in_vain = result.recv_timeout(PATIENCE).expect("the server ends when all clients have left");
    println!("in vain: {in_vain}");
    assert!(in_vain > 0, "it has tried the silent client in vain, so it counts that");
}

#[test]
fn what_does_not_fit_is_not_lost() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let (address, result) = start(1);
    let mut client = connect(address);
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || sender.write_all(&vec![b'x'; LENGTH]));
    let mut bytes = vec![0; LENGTH];
    client.read_exact(&mut bytes).expect("all of it comes back");
    assert!(bytes.iter().all(|&byte| byte == b'x'));
    sending.join().unwrap().unwrap();
    drop(client);
    result.recv_timeout(PATIENCE).expect("the server ends when its client has left");
}
