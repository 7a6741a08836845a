//! The server of the tour in `docs/TOUR.md`. It tells each step of its loop on standard error, at once, so that the
//! lines are in the right order among the system calls that strace shows:
//!
//! ```text
//! cargo build --example tour
//! strace -f -s 1000 target/debug/examples/tour
//! curl localhost:3000/hello        a small reply
//! curl localhost:3000/big          a reply that the kernel does not take at once
//! curl localhost:3000/later        a reply that comes when you press Enter in the terminal of the server
//! ```
//!
//! With a second argument, `still`, its clock never moves on: no deadline passes, and the speed of the machine decides
//! nothing. So every run is the same, and a test can compare it with the document.

use std::env;
use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{LevelFilter, Log, Metadata, Record};
use monoloop::exchange::Responder;
use monoloop::http::Moment;
use monoloop::server::{self, Clock};
use monoloop::{Config, Router, Server};
use rustix::net::sockopt::set_socket_send_buffer_size;

/// The state of the application.
struct Tour {
    /// The content of `/big`.
    big: Arc<[u8]>,
    /// A thread waits there for the requests that it is to answer.
    waiting: Sender<Responder>,
}

fn main() -> server::Result<()> {
    log::set_logger(&AtOnce).expect("no other logger was set");
    log::set_max_level(LevelFilter::Trace);
    let address = env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let listener = TcpListener::bind(address)?;
    set_socket_send_buffer_size(&listener, SEND_BUFFER).map_err(io::Error::from)?;
    // With a limit, the server does not ask the system how much memory there is.
    let server = Server::from_listener(listener)?.config(Config::new().max_memory(64 << 20));
    println!("listening on http://{}", server.local_addr());
    let (waiting, queue) = mpsc::channel();
    thread::spawn(|| answer_on_enter(queue));
    match env::args().nth(2).as_deref() {
        Some("still") => server.clock(Still).run(app(waiting)),
        _ => server.run(app(waiting)),
    }
}

fn app(waiting: Sender<Responder>) -> Router<Tour> {
    let mut app = Router::new(Tour { big: vec![b'.'; BIG].into(), waiting });
    app.get("/hello", |_, _, res| res.text("Hello, World!"));
    app.get("/big", |tour, _, res| res.send(Arc::clone(&tour.big)));
    app.get("/later", |tour, _, res| {
        let (sent, responder) = res.defer();
        // If the thread has ended, the responder is dropped here, and the client gets an error.
        let _ = tour.waiting.send(responder);
        Ok(sent)
    });
    app
}

/// Bytes of `/big`: many times what the kernel keeps for a client that does not read.
const BIG: usize = 4 << 20;

/// Bytes that the kernel keeps of what is sent and not read. (It doubles this number for its own purposes.) By itself
/// it would choose some megabytes on the loopback, and no small reply would ever have to wait.
const SEND_BUFFER: usize = 64 << 10;

/// Takes the place of a slow database: each line of standard input answers one request.
fn answer_on_enter(queue: Receiver<Responder>) {
    for _ in io::stdin().lines().map_while(Result::ok) {
        let Ok(responder) = queue.recv() else { return };
        responder.text("Here you are.");
    }
}

/// A logger that writes each line before the loop goes on. A slow reader of the log would stop this server, so the
/// command `monoloop` has a thread for its log.
struct AtOnce;

impl Log for AtOnce {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("monoloop")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // One line is one write(2).
            let line = format!("{}\n", record.args());
            let _ = io::stderr().write_all(line.as_bytes());
        }
    }

    fn flush(&self) {}
}

/// A clock that stands still at the time of the example in RFC 9110, section 5.6.7.
struct Still;

impl Clock for Still {
    fn now(&mut self) -> Moment {
        Moment::ZERO
    }

    fn wall_clock(&mut self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(784_111_777)
    }
}
