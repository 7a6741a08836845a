//! The output of the command: for people at a terminal, and for scripts that wait for a line.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use monoloop::server::LogWriter;

/// Writes a line to standard output. An error is ignored: the server goes on serving even if the reader is gone.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes a line to standard error. An error is ignored here too.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints lines while the event loop runs. If the reader of standard output has stopped, the pipe may be full, since an
/// access log fills it. So a thread prints the lines: the loop does not wait for it, and the end waits for at most a
/// second.
#[derive(Default)]
pub(crate) struct Speaker(Option<LogWriter>);

impl Speaker {
    /// Passes a line to the thread that prints it. If the system denies the thread, nothing is printed.
    pub(crate) fn say(&mut self, line: impl Display) {
        if self.0.is_none() {
            self.0 = LogWriter::new(io::stdout(), |_| String::new()).ok();
        }
        if let Some(printer) = &self.0 {
            printer.push(format!("{line}\n"));
        }
    }
}

/// Highlights a text on a terminal. Text that goes to a pipe or a file stays plain.
pub(crate) fn strong(text: &str) -> String {
    match is_wanted() {
        true => format!("\x1b[1;36m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// Whether to use colours: on a terminal that has them, unless the user has set `NO_COLOR` (no-color.org).
fn is_wanted() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
