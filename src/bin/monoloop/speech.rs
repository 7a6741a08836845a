//! The output of the command: for people at a terminal, and for scripts that wait for a line.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

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
/// access log fills it. So a thread prints the lines: the loop does not wait for it, and the end waits at most
/// [`PATIENCE`].
#[derive(Default)]
pub(crate) struct Speaker(Option<(Sender<String>, Receiver<()>)>);

/// How long the end waits until all lines are printed.
const PATIENCE: Duration = Duration::from_secs(1);

impl Speaker {
    /// Passes a line to the thread that prints it.
    pub(crate) fn say(&mut self, line: impl Display) {
        let (lines, _) = self.0.get_or_insert_with(|| {
            let (lines, queue) = channel::<String>();
            let (tell_done, done) = channel();
            // If the system denies the thread, nothing is printed, because the queue is dropped.
            let _ = thread::Builder::new().spawn(move || {
                queue.iter().for_each(say);
                let _ = tell_done.send(());
            });
            (lines, done)
        });
        let _ = lines.send(line.to_string());
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        if let Some((lines, done)) = self.0.take() {
            drop(lines);
            let _ = done.recv_timeout(PATIENCE);
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
