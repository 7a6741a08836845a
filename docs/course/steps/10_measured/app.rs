//! The application: what the server answers. It is called on the thread of the loop, with `&mut`, and needs no lock.
//!
//! New: the loop knows it only as a `Service`, and it writes its reply straight into the output queue.

use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;

use crate::head::Request;
use crate::output::OutputQueue;

/// What answers requests.
pub trait Service {
    /// Answers a request whose content has come whole.
    fn call(&mut self, request: &Request<'_>, content: &[u8], response: Response<'_>);
}

/// The reply to a request, before it is given.
pub struct Response<'a> {
    output: &'a mut OutputQueue,
    persists: bool,
}

impl<'a> Response<'a> {
    pub fn new(output: &'a mut OutputQueue, persists: bool) -> Self {
        Self { output, persists }
    }

    /// Gives the reply.
    pub fn send(self, status: &str, content: &[u8]) {
        self.output.push_reply(status, content, self.persists);
    }
}

/// The application of the course.
#[derive(Debug)]
pub struct App {
    /// Requests that were answered.
    pub requests: u64,
    /// A line of standard input each. They end when standard input does.
    pub lines: Receiver<()>,
}

static BIG: [u8; 1_000_000] = [b'x'; 1_000_000];

impl Service for App {
    fn call(&mut self, request: &Request<'_>, content: &[u8], response: Response<'_>) {
        self.requests += 1;
        let (target, number) = split_number(request.target);
        match (request.method, target, number) {
            ("GET", "/", None) => response.send("200 OK", b"hello\n"),
            ("POST", "/echo", None) => response.send("200 OK", content),
            ("GET", "/big/", Some(count @ ..=1_000_000)) => response.send("200 OK", &BIG[..count]),
            ("GET", "/block/", Some(millis @ ..=5_000)) => {
                thread::sleep(Duration::from_millis(millis as u64));
                response.send("200 OK", b"the others have waited\n");
            }
            ("GET", "/count", None) => response.send("200 OK", format!("{} requests\n", self.requests).as_bytes()),
            ("GET", "/pause", None) => {
                println!("paused");
                let _ = self.lines.recv();
                response.send("200 OK", format!("{} requests\n", self.requests).as_bytes());
            }
            _ => response.send("404 Not Found", b"not found\n"),
        }
    }
}

/// Splits a target at the number at its end, if there is one.
fn split_number(target: &str) -> (&str, Option<usize>) {
    let (name, digits) = target.split_at(target.trim_end_matches(|last: char| last.is_ascii_digit()).len());
    (name, digits.parse().ok())
}
