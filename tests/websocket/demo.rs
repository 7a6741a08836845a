//! `monoloop demo` in a process.

use std::net::SocketAddr;
use std::process::Command;

use rustix::process::{Signal, kill_process};

use crate::support::process::Process;

pub(crate) struct Demo {
    process: Process,
    pub(crate) address: SocketAddr,
}

impl Demo {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
        command.env_clear().args(["demo", "--port", "0"]);
        let mut process = Process::start(command);
        let address = loop {
            if let Some(address) = process.line().strip_prefix("listening on http://") {
                break address.parse().expect("an address");
            }
        };
        Self { process, address }
    }

    /// Tells it to stop, as an operator would.
    #[track_caller]
    pub(crate) fn tell_to_stop(&self) {
        kill_process(self.process.pid(), Signal::TERM).expect("it is alive");
    }

    /// Waits for the end of a demo that was told to stop. No connection was cut, and nothing went wrong.
    #[track_caller]
    pub(crate) fn expect_end(mut self) {
        let end = self.process.end();
        assert!(end.clean().contains("All connections closed"), "{}", end.text());
    }
}
