//! The programs of `docs/examples` that people copy. Each runs as its user runs it, with curl as the client.
#![cfg(all(feature = "cli", target_os = "linux"))]

#[path = "../support/built.rs"]
mod built;
#[path = "../support/mod.rs"]
mod support;

mod embed;
mod login;
mod site;
mod todo;

use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::{Signal, kill_process};

use built::folder_of_examples;
use support::LIMIT;
use support::process::Process;

/// An example on a free port. It is killed at the end of the test, also if the test fails.
struct Example {
    process: Process,
    url: String,
}

impl Example {
    /// Starts an example, which takes its address from the first argument. `None` without curl: a run of CI must have
    /// it.
    #[track_caller]
    fn start(name: &str, set: impl FnOnce(&mut Command) -> &mut Command) -> Option<Self> {
        Self::start_with(name, set, Stdio::null())
    }

    /// As [`start`](Self::start), with something that the example can read.
    #[track_caller]
    fn start_with(name: &str, set: impl FnOnce(&mut Command) -> &mut Command, input: impl Into<Stdio>) -> Option<Self> {
        let curl = Command::new("curl").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if curl.is_err() {
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "curl is not installed");
            eprintln!("skipped: curl is not installed");
            return None;
        }
        let mut command = Command::new(folder_of_examples().join(name));
        command.env_clear().arg("127.0.0.1:0");
        set(&mut command);
        let mut process = Process::start_with(command, input);
        let line = process.line();
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{name} does not listen: {line}"));
        Some(Self { url: url.to_owned(), process })
    }

    /// What curl prints for a path of the example.
    #[track_caller]
    fn curl(&self, options: &[&str], path: &str) -> String {
        let mut curl = Command::new("curl");
        // A little shorter than our own limit, since curl says more about what it waited for.
        curl.args(["-sS", "-m", "25"]).args(options).arg(format!("{}{path}", self.url));
        Process::start(curl).end().clean().to_owned()
    }

    /// Ends it by SIGTERM: it is still alive, drains, and has printed no error.
    #[track_caller]
    fn stop(self) {
        kill_process(self.process.pid(), Signal::TERM).expect("it is alive");
        self.end();
    }

    /// Waits until it has ended by itself, without an error.
    #[track_caller]
    fn end(mut self) {
        self.process.end().clean();
    }
}

/// Asks again until it is so.
#[track_caller]
fn wait_until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < until, "it is not so in time");
    }
}
