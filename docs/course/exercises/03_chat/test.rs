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

use exercises::Threads;

const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the server in a thread of that name. Returns its address, and where its end is told.
fn start(name: &str, clients: usize) -> (SocketAddr, Receiver<()>) {
    let listener = mio::net::TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, ended) = mpsc::channel();
    let serve = move || {
        exercise::serve(listener, clients).unwrap();
        sender.send(())
    };
    thread::Builder::new().name(name.into()).spawn(serve).unwrap();
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

/// Whether one byte is there, or comes before the client's time limit.
fn hears(client: &mut TcpStream) -> bool {
    client.peek(&mut [0]).is_ok_and(|count| count == 1)
}

/// Reads what a client hears, up to the bar with which it ends.
#[track_caller]
fn hear_to_the_bar(client: &mut TcpStream) {
    let mut byte = [0];
    while byte != *b"|" {
        client
            .read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("what one client says does not come to another one: {error}"));
    }
}

/// Three clients of which the server knows: a connection is in the kernel's queue before the server accepts it, and a
/// message that comes before that is not for it.
#[track_caller]
fn three(address: SocketAddr) -> [TcpStream; 3] {
    let (mut first, mut second) = (connect(address), connect(address));
    introduce(&mut first, &mut second);
    hear_to_the_bar(&mut second);
    let mut third = connect(address);
    introduce(&mut first, &mut third);
    hear_to_the_bar(&mut third);
    hear_to_the_bar(&mut second);
    [first, second, third]
}

/// Lets one client speak until the other hears it: then the server has accepted both. A bar ends what it says.
#[track_caller]
fn introduce(speaker: &mut TcpStream, next: &mut TcpStream) {
    next.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let is_heard = (0..100).any(|_| {
        speaker.write_all(b".").unwrap();
        hears(next)
    });
    assert!(is_heard, "what one client says does not come to another one");
    next.set_read_timeout(Some(PATIENCE)).unwrap();
    speaker.write_all(b"|").unwrap();
}

#[test]
fn the_others_hear_it_and_the_speaker_does_not() {
    let (address, ended) = start("speaker", 3);
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
fn a_client_that_reads_late_gets_all_of_it_in_order() {
    const LENGTH: usize = 8 * 1024 * 1024;
    let (address, ended) = start("late", 3);
    let [mut one, mut two, mut three] = three(address);
    // More than the kernel holds, while nobody reads yet. So the server has to wait for room, and go on then.
    let mut said = (0..251).collect::<Vec<u8>>().repeat(LENGTH / 251);
    one.write_all(&said).expect("the server reads although nobody takes it yet");
    // What is said later must not overtake what waits, although there is some room again.
    let mut heard = vec![0; said.len()];
    for chunk in heard.chunks_mut(64 * 1024) {
        two.read_exact(chunk).expect("all of it comes");
        one.write_all(b"later").unwrap();
        said.extend_from_slice(b"later");
    }
    let later = heard.len();
    heard.resize(said.len(), 0);
    two.read_exact(&mut heard[later..]).expect("what was said later comes, too");
    assert!(heard == said, "what the second client hears is not what the first one said");
    three.read_exact(&mut heard).expect("all of it comes");
    assert!(heard == said, "what the third client hears is not what the first one said");
    drop((one, two, three));
    ended.recv_timeout(PATIENCE).expect("the server ends when all have left");
}

#[test]
fn the_last_words_of_a_client_are_heard() {
    const LEAVING: usize = 20;
    let (address, ended) = start("words", 3 + LEAVING);
    let clients = three(address);
    for _ in 0..LEAVING {
        // When the server looks, the bytes and the end are there already, at least nearly always.
        let mut leaving = connect(address);
        leaving.write_all(b"good bye").unwrap();
        drop(leaving);
        clients.each_ref().map(|mut client| {
            let mut bytes = [0; 8];
            client.read_exact(&mut bytes).expect("a client that has left at once is heard");
            assert_eq!(&bytes, b"good bye");
        });
    }
    drop(clients);
    ended.recv_timeout(PATIENCE).expect("the server ends when all have left");
}

#[test]
fn a_client_that_breaks_off_is_counted_and_ends_only_itself() {
    let (address, ended) = start("broken", 3);
    let [mut one, mut two, mut three] = three(address);
    one.write_all(b"hello").unwrap();
    expect(&mut two, "hello");
    // The third one has the word, and closes its socket without having read it. So its connection is broken.
    assert!(hears(&mut three), "\"hello\" does not come");
    drop(three);
    for word in ["is", "anybody", "there"] {
        one.write_all(word.as_bytes()).unwrap();
        expect(&mut two, word);
    }
    drop((one, two));
    ended.recv_timeout(PATIENCE).expect("the server ends when all have left");
}

#[test]
fn the_loop_sleeps_while_nobody_speaks() {
    let (address, ended) = start("quiet", 3);
    let clients = three(address);
    if let Some(threads) = Threads::named("quiet") {
        assert!(threads.fall_asleep(), "nobody speaks, and the loop does not sleep");
        let before = threads.sleeps();
        thread::sleep(Duration::from_millis(200));
        assert_eq!(threads.sleeps(), before, "nobody speaks, and the loop wakes up again and again");
    }
    drop(clients);
    ended.recv_timeout(PATIENCE).expect("the server ends when all have left");
}
