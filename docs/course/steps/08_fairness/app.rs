//! The application: what the server answers. It is called on the thread of the loop, with `&mut`, and needs no lock.
//!
//! New: a file of its own, because it has a state now.

use std::io::{self, BufRead};
use std::thread;
use std::time::Duration;

use crate::head::Request;

/// The state of the application: what has been done so far.
#[derive(Debug, Default)]
pub struct App {
    /// Requests that were answered.
    pub requests: u64,
    /// Turns that sessions have had.
    pub turns: u64,
}

impl App {
    /// Answers a request. Returns the status and the content of the reply.
    pub fn answer(&mut self, request: &Request, content: Vec<u8>) -> (&'static str, Vec<u8>) {
        self.requests += 1;
        let (target, number) = split_number(&request.target);
        match (&*request.method, target, number) {
            ("GET", "/", None) => ("200 OK", b"hello\n".to_vec()),
            ("POST", "/echo", None) => ("200 OK", content),
            ("GET", "/big/", Some(count @ ..=1_000_000)) => ("200 OK", vec![b'x'; count]),
            ("GET", "/block/", Some(millis @ ..=5_000)) => {
                thread::sleep(Duration::from_millis(millis as u64));
                ("200 OK", b"the others have waited\n".to_vec())
            }
            ("GET", "/count", None) => ("200 OK", self.count()),
            ("GET", "/pause", None) => {
                let count = self.count();
                pause();
                ("200 OK", count)
            }
            _ => ("404 Not Found", b"not found\n".to_vec()),
        }
    }

    fn count(&self) -> Vec<u8> {
        format!("{} requests in {} turns\n", self.requests, self.turns).into_bytes()
    }
}

/// Blocks the loop until a line comes from standard input. No handler should do that. Here it lets an experiment stop
/// the time for all sessions, and prepare what they find when it goes on.
fn pause() {
    println!("paused");
    io::stdin().lock().read_line(&mut String::new()).expect("standard input can be read");
}

/// Splits a target at the number at its end, if there is one.
fn split_number(target: &str) -> (&str, Option<usize>) {
    let (name, digits) = target.split_at(target.trim_end_matches(|last: char| last.is_ascii_digit()).len());
    (name, digits.parse().ok())
}
