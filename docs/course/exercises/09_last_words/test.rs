//! Exercise 9: the last reply of a connection. Your file is `exercise.rs`.

#[cfg(not(feature = "solutions"))]
#[path = "exercise.rs"]
mod exercise;
#[cfg(feature = "solutions")]
#[path = "../solutions/09_last_words.rs"]
mod exercise;

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use exercise::{Ended, send_last};
use exercises::{Cost, Threads};

/// No test waits longer for anything.
const LIMIT: Duration = Duration::from_secs(10);
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(300);
/// For a client that floods. It has filled all buffers, and read its reply, before this is over.
const FLOOD: Duration = Duration::from_millis(700);
/// More than the kernel takes while the client reads nothing.
const LONG_REPLY: usize = 16 << 20;

/// A client, and the server's end of its connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (server, _) = listener.accept().unwrap();
    for socket in [&client, &server] {
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        socket.set_write_timeout(Some(LIMIT)).unwrap();
    }
    (client, server)
}

/// What has become of a connection.
struct Served {
    ended: io::Result<Ended>,
    /// Since when, and for how long.
    began: Instant,
    took: Duration,
    cost: Option<(Cost, Cost)>,
}

impl Served {
    /// The client was waited for as long as it has a right to, and nobody span meanwhile. A busy machine can make it
    /// longer, but not shorter. (The kernel counts in ticks of up to 10 ms, and may be early by one of them.)
    fn has_waited(&self, patience: Duration) {
        let ended = self.ended.as_ref().unwrap();
        assert_eq!(*ended, Ended::GivenUp, "the client has not closed its side, as far as anybody has read");
        assert!(self.took >= patience - SHORT / 10, "of {patience:?} the client had only {:?}", self.took);
        if let Some((before, after)) = self.cost {
            let busy = after.busy - before.busy;
            assert!(busy < patience / 10, "in {patience:?} of patience the thread was at work for {busy:?}: it spins");
        }
    }
}

/// Serves the last reply in a thread of its own.
fn serve(server: TcpStream, length: usize, patience: Duration) -> JoinHandle<Served> {
    serve_as("serving", server, length, patience)
}

fn serve_as(name: &str, server: TcpStream, length: usize, patience: Duration) -> JoinHandle<Served> {
    let serving = move || {
        let reply = vec![b'r'; length];
        let (began, before) = (Instant::now(), Cost::so_far());
        let ended = send_last(server, &reply, patience);
        Served { ended, began, took: began.elapsed(), cost: before.zip(Cost::so_far()) }
    };
    thread::Builder::new().name(name.to_owned()).spawn(serving).unwrap()
}

/// One of four attempts must succeed. The first has this patience, and each other one twice that of the one before. On
/// a busy machine a good solution may be late in one of them, and a wrong one is wrong in all.
fn in_time(patience: Duration, attempt: impl Fn(Duration) -> Result<(), String>) {
    let end = Instant::now() + LIMIT;
    let mut outcome = attempt(patience);
    for factor in [2, 4, 8] {
        if outcome.is_ok() || Instant::now() >= end {
            break;
        }
        outcome = attempt(patience * factor);
    }
    outcome.unwrap();
}

fn check(good: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if good { Ok(()) } else { Err(problem()) }
}

/// Reads to the end. A reset would take the reply away.
fn read_all(client: &mut TcpStream, length: usize) -> Result<(), String> {
    let mut reply = Vec::new();
    client.read_to_end(&mut reply).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "the end has not come: our side was not closed".to_owned(),
        _ => format!("in place of the end has come: {error}"),
    })?;
    check(reply.len() == length, || format!("{} of {length} bytes have come", reply.len()))
}

/// The kernel takes all of a long reply only when the client has read most of it. The patience begins then.
#[test]
fn a_slow_taker_has_its_patience_after_the_reply() {
    in_time(SHORT, |patience| {
        let (mut client, server) = pair();
        client.write_all(&[b'x'; 10_000]).unwrap();
        let serving = serve(server, LONG_REPLY, patience);
        // So long that the kernel takes nothing for more than the patience: a write must not be bounded by it either.
        thread::sleep(patience * 7 / 2);
        read_all(&mut client, LONG_REPLY)?;
        drop(client);
        let ended = serving.join().unwrap().ended;
        check(matches!(ended, Ok(Ended::ByClient)), || format!("{ended:?}"))
    });
}

/// What the client has sent waits unread in the server's socket.
#[test]
fn the_reply_survives_what_nobody_has_read() {
    let (mut client, server) = pair();
    client.write_all(&[b'x'; 10_000]).unwrap();
    let serving = serve(server, 7, LONG);
    read_all(&mut client, 7).unwrap();
    drop(client);
    assert_eq!(serving.join().unwrap().ended.unwrap(), Ended::ByClient);
}

#[test]
fn the_reply_survives_what_comes_after_it() {
    let (mut client, server) = pair();
    let serving = serve(server, 7, LONG);
    client.read_exact(&mut [0; 7]).unwrap();
    for _ in 0..10 {
        client.write_all(&[b'x'; 1000]).expect("the server still reads");
    }
    read_all(&mut client, 0).unwrap();
    drop(client);
    assert_eq!(serving.join().unwrap().ended.unwrap(), Ended::ByClient);
}

/// Waiting for such a client would be a waste.
#[test]
fn a_client_that_has_closed_is_not_waited_for() {
    let (client, server) = pair();
    client.shutdown(Shutdown::Write).unwrap();
    let served = serve(server, 7, LONG).join().unwrap();
    assert_eq!(served.ended.unwrap(), Ended::ByClient);
    assert!(served.took < LIMIT);
}

/// A time that is always the same would be wrong for one of the two.
#[test]
fn a_client_that_never_closes_costs_the_patience_and_no_more() {
    in_time(SHORT, |shorter| {
        for patience in [shorter, shorter * 2] {
            let (_client, server) = pair();
            let served = serve(server, 7, patience).join().unwrap();
            served.has_waited(patience);
            if let Some((before, after)) = served.cost {
                let sleeps = after.sleeps - before.sleeps;
                assert!(
                    sleeps <= patience.as_millis() as u64 / 10,
                    "nothing has come, and it has woken up {sleeps} times"
                );
            }
            check(served.took < patience * 3 / 2, || format!("{patience:?} have become {:?}", served.took))?;
        }
        Ok(())
    });
}

/// Each byte comes in time for its own read.
#[test]
fn a_client_that_drips_costs_no_more_than_the_patience() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let (mut client, server) = pair();
    let dripping = thread::spawn(move || {
        let end = Instant::now() + LIMIT / 2;
        while !DONE.load(Ordering::Relaxed) && Instant::now() < end && client.write_all(b"x").is_ok() {
            thread::sleep(SHORT / 10);
        }
        !DONE.load(Ordering::Relaxed) && Instant::now() >= end
    });
    serve(server, 7, SHORT).join().unwrap().has_waited(SHORT);
    DONE.store(true, Ordering::Relaxed);
    assert!(!dripping.join().unwrap(), "the server listened to each drop");
}

/// Bytes that come late buy no more time: neither a single one, nor so many that nothing more is read.
#[test]
fn late_bytes_do_not_buy_more_patience() {
    for count in [1, 200_000] {
        in_time(SHORT, |patience| {
            let (mut client, server) = pair();
            let serving = serve(server, 7, patience);
            client.read_exact(&mut [0; 7]).unwrap();
            thread::sleep(patience * 6 / 10);
            let sent = client.write_all(&vec![b'x'; count]);
            let at = Instant::now();
            let served = serving.join().unwrap();
            // Otherwise the bytes have come too late to buy anything.
            check(sent.is_ok() && at < served.began + patience, || "the machine is busy".to_owned())?;
            served.has_waited(patience);
            check(served.took < patience * 13 / 10, || format!("{count} bytes: {patience:?} became {:?}", served.took))
        });
    }
}

/// The client closes its socket over a reply that it has not read, and that is a reset.
#[test]
fn a_reset_after_the_reply_is_no_error_and_no_orderly_end() {
    let (client, server) = pair();
    let serving = serve_as("reset", server, 7, LONG);
    while client.peek(&mut [0; 7]).unwrap() < 7 {}
    // Now it reads. Before that, the half-close would have failed.
    Threads::named("reset").iter().for_each(|thread| assert!(thread.fall_asleep(), "it spins"));
    drop(client);
    assert_eq!(serving.join().unwrap().ended.expect("the reply was sent before the reset"), Ended::Failed);
}

#[test]
fn a_reset_before_the_reply_is_sent_is_an_error() {
    let (client, server) = pair();
    let serving = serve(server, LONG_REPLY, LONG);
    client.peek(&mut [0]).unwrap();
    drop(client);
    serving.join().unwrap().ended.expect_err("not all of the reply was sent");
}

/// Sends as fast as it can, until the server takes no more. Returns how many bytes the kernel has taken.
fn flood(client: &mut TcpStream) -> Result<usize, String> {
    client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut sent = 0;
    // So many bytes that no kernel holds them.
    while sent < 100_000_000 {
        match client.write(&[b'x'; 20_000]) {
            Ok(count) => sent += count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(sent),
            Err(error) => return Err(format!("the client is not stopped, but cut: {error}")),
        }
    }
    panic!("the server has read a hundred million bytes");
}

/// It is stopped: the server reads no more, and does not close yet. Then it reads its reply.
#[test]
fn a_client_that_floods_is_stopped_and_gets_its_reply() {
    in_time(FLOOD, |patience| {
        let (mut client, server) = pair();
        let serving = serve(server, 7, patience);
        flood(&mut client)?;
        read_all(&mut client, 7)?;
        serving.join().unwrap().has_waited(patience);
        Ok(())
    });
}

/// The test keeps the server's socket, and counts what is left in it.
#[test]
fn what_a_client_floods_is_read_up_to_the_limit() {
    in_time(FLOOD, |patience| {
        let (mut client, server) = pair();
        let mut rest = server.try_clone().unwrap();
        // One byte less than the limit, so that one more read is due. It must not take all that it finds.
        client.write_all(&[b'x'; 65_535]).unwrap();
        let serving = serve_as("flooded", server, 7, patience);
        read_all(&mut client, 7).unwrap();
        // It waits for more now.
        Threads::named("flooded").iter().for_each(|thread| assert!(thread.fall_asleep(), "it spins"));
        let sent = 65_535 + flood(&mut client)?;
        serving.join().unwrap().has_waited(patience);
        client.shutdown(Shutdown::Write).unwrap();
        rest.set_nonblocking(false).unwrap();
        rest.set_read_timeout(Some(LIMIT)).unwrap();
        let read = sent - io::copy(&mut rest, &mut io::sink()).unwrap() as usize;
        let (least, most) = (65_536, 65_536 + 4096);
        assert!(
            (least..most).contains(&read),
            "{read} bytes were read: it must be {least} or more, and less than {most}"
        );
        Ok(())
    });
}
