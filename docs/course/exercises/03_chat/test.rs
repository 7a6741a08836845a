//! Exercise 3: a chat. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/03_chat.rs"]
mod exercise;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(5);

fn start(clients: usize) -> (SocketAddr, Receiver<()>) {
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || {
        exercise::serve(listener, clients).unwrap();
        sender.send(())
    });
    (address, ended)
}

fn connect(address: SocketAddr) -> TcpStream {
    let client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

#[track_caller]
fn expect(client: &mut TcpStream, text: &str) {
    let mut bytes = vec![0; text.len()];
    client.read_exact(&mut bytes).unwrap_or_else(|error| panic!("{text:?} does not come: {error}"));
    assert_eq!(String::from_utf8(bytes).unwrap(), text);
}

/// Three clients of which the server knows: a connection is in the kernel's queue before the server accepts it, and a
/// message that comes before that is not for it.
fn three(address: SocketAddr) -> [TcpStream; 3] {
    let mut first = connect(address);
    let rest = [(); 2].map(|()| {
        let mut next = connect(address);
        // The server has accepted a client when a message reaches it.
        next.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut heard = [0; 64];
        for _ in 0..50 {
            first.write_all(b".").unwrap();
            if next.read(&mut heard).is_ok_and(|count| count > 0) {
                break;
            }
        }
        // Nothing of this may come later, into the middle of what the test expects.
        while next.read(&mut heard).is_ok_and(|count| count > 0) {}
        next.set_read_timeout(Some(PATIENCE)).unwrap();
        next
    });
    let [mut second, third] = rest;
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    while second.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    [first, second, third]
}

#[test]
fn the_others_hear_it_and_the_speaker_does_not() {
    let (address, ended) = start(3);
    let [mut one, mut two, mut three] = three(address);
    one.write_all(b"hello").unwrap();
    expect(&mut two, "hello");
    expect(&mut three, "hello");
    three.write_all(b"good day").unwrap();
    expect(&mut one, "good day");
    expect(&mut two, "good day");
    three.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let heard = three.read(&mut [0; 64]).map_err(|error| error.kind());
    assert!(matches!(heard, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "it hears itself: {heard:?}");
    drop((one, two, three));
    ended.recv_timeout(PATIENCE).expect("the server ends when all have left");
}

#[test]
fn a_client_that_reads_late_gets_all_of_it() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let (address, ended) = start(3);
    let [mut one, mut two, mut three] = three(address);
    // More than the kernel holds, while nobody reads yet. So the server has to wait for room, and go on then.
    one.write_all(&vec![b'x'; LENGTH]).expect("the server reads although nobody takes it yet");
    for listener in [&mut two, &mut three] {
        let mut bytes = vec![0; LENGTH];
        listener.read_exact(&mut bytes).expect("all of it comes");
        assert!(bytes.iter().all(|&byte| byte == b'x'));
    }
    drop((one, two, three));
    ended.recv_timeout(PATIENCE).expect("the server ends when all have left");
}
