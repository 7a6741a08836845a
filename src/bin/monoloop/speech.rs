//! What the command says, and how: to people at a terminal, and to scripts that wait for a line.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// Writes a line to standard output. Whoever read it may be gone: that is no reason to stop serving.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Writes a line to standard error, likewise.
pub(crate) fn complain(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Says things while the loop runs. Whoever reads standard output may have stopped, and the pipe be full (an access log
/// sees to that): the loop does not wait for it, and the end not for long.
#[derive(Default)]
pub(crate) struct Speaker(Option<(Sender<String>, Receiver<()>)>);

/// How long the end waits for what was said.
const PATIENCE: Duration = Duration::from_secs(1);

impl Speaker {
    /// Says a line, in time.
    pub(crate) fn say(&mut self, line: impl Display) {
        let (lines, _) = self.0.get_or_insert_with(|| {
            let (lines, queue) = channel::<String>();
            let (tell_done, done) = channel();
            // Without a thread nothing is said: the queue is gone.
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

/// Text that should catch the eye of who reads on a terminal. What goes to a pipe or a file is plain.
pub(crate) fn strong(text: &str) -> String {
    match is_wanted() {
        true => format!("\x1b[1;36m{text}\x1b[0m"),
        false => text.to_owned(),
    }
}

/// On a terminal that knows colours, unless its user does not want them (no-color.org).
fn is_wanted() -> bool {
    let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !is_set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}
