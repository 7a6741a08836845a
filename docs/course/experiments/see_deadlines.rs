//! The connection of step 7 without a socket and without a clock: what happens, and the deadline after it.
//!
//!     cargo run -q --bin see_deadlines

#![allow(dead_code, reason = "the files of the step have more than this needs")]

#[path = "../steps/07_deadlines/connection.rs"]
mod connection;
#[path = "../steps/07_deadlines/deadlines.rs"]
mod deadlines;
#[path = "../steps/06_backpressure/head.rs"]
mod head;
#[path = "../steps/06_backpressure/output.rs"]
mod output;

use connection::Connection;
use deadlines::Moment;

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn tell(now: u64, what: &str, connection: &Connection, activity: u64) {
    let deadline = connection.deadline(at(activity)).as_secs_f32();
    println!("{:>5.1} s  {what:<44} {deadline:>5.1} s", at(now).as_secs_f32());
}

/// Bytes come, and the connection does what it can. The time of their coming is that of the last activity.
fn receive(connection: &mut Connection, now: u64, bytes: &str) {
    connection.received(bytes.as_bytes(), at(now));
    connection.advance(at(now));
    tell(now, &format!("{bytes:?} comes"), connection, now);
}

fn send(connection: &mut Connection, now: u64, count: usize) {
    connection.sent(count, at(now));
    connection.advance(at(now));
    tell(now, &format!("the kernel takes {count} bytes"), connection, now);
}

fn main() {
    println!("   time  what happens                              deadline then");
    let mut connection = Connection::new();
    tell(0, "the connection begins", &connection, 0);
    receive(&mut connection, 1500, "G");
    receive(&mut connection, 2000, "ET /big/90 HTTP/1.1\r\n");
    receive(&mut connection, 2400, "\r\n");
    send(&mut connection, 2400, 100);
    send(&mut connection, 3000, 29);
    receive(&mut connection, 4500, "POST /echo HTTP/1.1\r\n");
    receive(&mut connection, 5000, "Content-Length: 2\r\n\r\n");
    receive(&mut connection, 6900, "a");
    receive(&mut connection, 8800, "b");

    println!();
    println!("Another connection, in a tick that begins at 10.0");
    println!("and that a handler then blocks for three seconds:");
    let mut connection = Connection::new();
    receive(&mut connection, 10_000, "GET / HTTP/1.1\r\n\r\n");
    let owed = connection.output().len();
    send(&mut connection, 10_000, owed);
    connection.forgive(at(3000));
    tell(13_000, "the loop forgives three seconds", &connection, 13_000);
}
