//! A program with a loop of its own, and the server inside it: a heating control that is set from the terminal and over
//! HTTP. Everything runs on one thread.
//!
//! ```text
//! cargo run --example embed                     then type a temperature, or "quit"
//! curl localhost:3000                           what is, and what is wanted
//! curl -X PUT -d 21.5 localhost:3000/target     the same as typing it
//! ```

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use monoloop::server::{self, Running};
use monoloop::{Error, Router, Server};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often the control does its own work.
const STEP: Duration = Duration::from_millis(100);

/// The longest line of the terminal, in bytes.
const MAX_LINE: usize = 1024;

struct Heating {
    temperature: f64,
    target: f64,
}

fn main() -> server::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:3000".into());
    let server = Server::bind(address.as_str())?;
    println!("listening on http://{}", server.local_addr());
    // As a file, the terminal has no buffer in this process, so `poll` tells all that there is.
    let terminal = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    control(server.start(app())?, terminal)
}

fn app() -> Router<Heating> {
    let mut app = Router::new(Heating { temperature: 15.0, target: 20.0 });
    app.get("/", |heating, _, res| res.text(format!("{:.1} of {:.1}\n", heating.temperature, heating.target)));
    app.put("/target", |heating, req, res| {
        heating.target = parse(req.text()?).ok_or_else(|| Error::new(422, "A target is between 5 and 30"))?;
        res.status(204).empty()
    });
    app
}

/// The loop of the program. It ends when the server has drained: after SIGTERM, SIGINT or `quit`.
fn control(mut running: Running<Heating>, mut terminal: File) -> server::Result<()> {
    let mut next_step = Instant::now();
    let mut typed = Some(Vec::new());
    loop {
        let now = Instant::now();
        while next_step <= now {
            running.app_mut().state_mut().step();
            next_step += STEP;
        }
        // The server has timeouts of its own: it says how long it can wait for a turn.
        let wait = running.next_deadline().unwrap_or(STEP).min(next_step - now);
        if wait_for_input(&running, typed.is_some().then_some(&terminal), wait)? {
            typed = read_commands(&mut running, &mut terminal, typed.unwrap_or_default())?;
        }
        // A turn without work is one system call. It needs no timeout: `poll` has waited already.
        if !running.turn(Some(Duration::ZERO))? {
            return Ok(());
        }
    }
}

/// Sleeps until the server or the terminal has input, but not longer than `wait`. Returns whether it is the terminal.
fn wait_for_input(running: &Running<Heating>, terminal: Option<&File>, wait: Duration) -> io::Result<bool> {
    let server = running.as_fd();
    let mut fds = vec![PollFd::new(&server, PollFlags::IN)];
    fds.extend(terminal.map(|terminal| PollFd::new(terminal, PollFlags::IN)));
    let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: i64::from(wait.subsec_nanos()) };
    match poll(&mut fds, Some(&wait)) {
        // A signal has interrupted it. The server has its own way to learn of signals.
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(fds.get(1).is_some_and(|fd| !fd.revents().is_empty())),
        Err(error) => Err(error.into()),
    }
}

/// Obeys the lines that are whole. Returns the rest, or `None` when the terminal is closed.
fn read_commands(running: &mut Running<Heating>, input: &mut File, mut typed: Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    let mut piece = [0; 256];
    let length = input.read(&mut piece)?;
    typed.extend_from_slice(&piece[..length]);
    while let Some(end) = typed.iter().position(|&byte| byte == b'\n') {
        let line: Vec<u8> = typed.drain(..=end).collect();
        match (line.trim_ascii(), parse(&String::from_utf8_lossy(&line))) {
            (b"quit", _) => running.handle().shutdown(),
            (_, Some(target)) => running.app_mut().state_mut().target = target,
            _ => println!("a temperature between 5 and 30, or quit"),
        }
    }
    typed.truncate(MAX_LINE);
    Ok((length > 0).then_some(typed))
}

impl Heating {
    fn step(&mut self) {
        self.temperature += (self.target - self.temperature) * 0.05;
    }
}

fn parse(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|target| (5.0..=30.0).contains(target))
}
