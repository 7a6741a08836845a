//! Recordings: those in this folder are replayed, and what a live server records replays with the same result. Every
//! wait has an end.
#![cfg(all(feature = "cli", feature = "live", target_os = "linux"))]

#[path = "../support/mod.rs"]
mod support;

mod command;
mod limits;
mod masks;
mod places;
mod round_trips;
mod shipped;
mod slow;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use monoloop::recording::{Mismatch, Outcome, Recorder, Recording};
use monoloop::{Config, Router, Server};
use support::TestServer;
use support::process::{End, Process};

/// The command, without the environment variables of the tests.
fn monoloop(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
    command.env_clear().args(args);
    command
}

/// Replays a file by the command.
#[track_caller]
fn replay(file: &Path, options: &[&str]) -> End {
    let file = file.to_str().expect("the path is text");
    Process::start(monoloop(&[&["replay", file], options].concat())).end()
}

/// A recording in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().expect("no writer panics").clone()
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes()).expect("a recording is text")
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Setup = fn(&mut Router<()>, &mut Config);

/// A server that records into memory.
#[track_caller]
fn recorded(setup: Setup, how: impl FnOnce(Recorder) -> Recorder + Send + 'static) -> (TestServer, Memory) {
    let memory = Memory::default();
    let out = memory.clone();
    let bind = move || Ok(Server::bind("127.0.0.1:0")?.record(how(Recorder::new(out))));
    (TestServer::start_on(bind, setup), memory)
}

/// Replays a recording with an application that is as it was at the start.
fn again(recording: &[u8], setup: Setup) -> Result<Outcome, Mismatch> {
    let recording = Recording::read(recording).expect("it is a recording");
    let mut app = Router::new(());
    setup(&mut app, &mut Config::new());
    recording.replay(&mut app, &mut |step| {
        assert!(!step.to_string().is_empty() && step.to_json().starts_with('{'));
        ControlFlow::Continue(())
    })
}

/// Lets clients meet a server that records, and replays what it has recorded.
#[track_caller]
fn round_trip(setup: Setup, clients: impl FnOnce(&TestServer)) -> String {
    let (server, memory) = recorded(setup, |recorder| recorder);
    clients(&server);
    drop(server);
    let outcome = again(&memory.bytes(), setup);
    let outcome = outcome.unwrap_or_else(|mismatch| panic!("{mismatch}\n\n{}", memory.text()));
    assert!(outcome.all && outcome.steps > 2, "{outcome:?}");
    memory.text()
}

/// Whether a line of this event with these words is in a recording.
#[track_caller]
fn assert_has(recording: &str, event: &str, words: &str) {
    let event = format!("{{\"event\":\"{event}\"");
    let has = recording.lines().any(|line| line.starts_with(&event) && line.contains(words));
    assert!(has, "no line {event} with {words} in\n{recording}");
}
