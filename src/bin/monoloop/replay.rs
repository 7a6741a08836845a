//! `monoloop replay`: does once more what a server has recorded, and shows each step.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use monoloop::exchange::Service;
use monoloop::recording::{Ending, Mismatch, Outcome, Recording, Step};

use crate::cli::{self, Command};
use crate::speech::complain;
use crate::{USAGE, demo, health, serve};

/// The values of the options of `replay`.
#[derive(Debug, Default)]
pub(crate) struct ReplaySettings {
    /// Waits for Enter after each step of a connection.
    pub(crate) step: bool,
    /// Shows no step, only what came of all of them.
    pub(crate) quiet: bool,
    /// The last step that is done.
    pub(crate) to: Option<usize>,
    pub(crate) json: bool,
    /// The directory that is served instead of the one that was recorded.
    pub(crate) dir: Option<String>,
}

/// Replays a file. The exit code is 0 if everything happened as it was recorded, 1 if not, and 2 if the file is no
/// recording that can be replayed.
pub(crate) fn run(file: &OsString, settings: &ReplaySettings) -> ExitCode {
    let name = Path::new(file).display();
    let recording = match Recording::open(file) {
        Ok(recording) => recording,
        Err(problem) => {
            complain(format_args!("Cannot replay {name}: {problem}"));
            return ExitCode::from(USAGE);
        }
    };
    match application(&recording, settings.dir.as_deref()) {
        Ok(mut app) => {
            let mut shown = Shown { out: io::stdout().lock(), settings, is_read: true };
            match shown.replay(&recording, &mut *app) {
                true => ExitCode::SUCCESS,
                false => ExitCode::FAILURE,
            }
        }
        Err(problem) => {
            complain(format_args!("Cannot replay {name}: {problem}"));
            ExitCode::from(USAGE)
        }
    }
}

/// Makes the application that was recorded, as it was at its start.
fn application(recording: &Recording, dir: Option<&str>) -> Result<Box<dyn Service>, String> {
    let command = recording.about("command").unwrap_or_default();
    let options = recording.about("options").unwrap_or_default().split_terminator('\0');
    let directory = dir.or(recording.about("directory")).unwrap_or(".");
    let arguments: Vec<&str> = match command {
        "demo" => [command].into_iter().chain(options).collect(),
        "serve" => [command, directory].into_iter().chain(options).collect(),
        _ => return Err("line 1: it was not made by `monoloop demo` or `monoloop serve`".to_owned()),
    };
    let arguments: Vec<_> = arguments.into_iter().map(OsString::from).collect();
    match cli::parse(arguments, |_| None).map_err(|problem| format!("line 1: {problem}"))? {
        Command::Demo(settings) => {
            let mut app = demo::connected();
            health::add(&mut app, settings.health.as_deref());
            Ok(Box::new(app))
        }
        Command::Serve(directory, settings) => Ok(Box::new(serve::Site::new(directory, &settings)?.app())),
        _ => Err("line 1: it names no application".to_owned()),
    }
}

/// A replay that is shown on standard output.
struct Shown<'a, W> {
    out: W,
    settings: &'a ReplaySettings,
    /// Standard output can be written. If not, the rest is compared all the same, since the exit code tells of it.
    is_read: bool,
}

impl<W: Write> Shown<'_, W> {
    /// Replays, and returns whether everything happened as it was recorded.
    fn replay(&mut self, recording: &Recording, app: &mut dyn Service) -> bool {
        self.is_read = self.begin(recording).is_ok();
        let result = recording.replay(app, &mut |step| self.show(step));
        let _ = self.end(recording, &result).and_then(|()| self.out.flush());
        result.is_ok()
    }

    fn begin(&mut self, recording: &Recording) -> io::Result<()> {
        if self.settings.json || self.settings.quiet {
            return Ok(());
        }
        let secrets = if recording.is_masked() { "secrets are masked" } else { "secrets are in it" };
        let whose = if recording.has_all_connections() { "all connections" } else { "some connections" };
        let command = recording.about("command").unwrap_or_default();
        writeln!(self.out, "A recording of monoloop {} {command}: {whose}; {secrets}\n", recording.version())
    }

    fn show(&mut self, step: &Step) -> ControlFlow<()> {
        self.is_read = self.is_read && (self.settings.quiet || self.write(step).is_ok());
        if self.settings.to.is_some_and(|last| step.number() >= last) {
            return ControlFlow::Break(());
        }
        // What the loop does between two turns has nothing to be studied line by line.
        if self.settings.step && !self.settings.quiet && self.is_read && step.connection().is_some() {
            let _ = self.out.flush();
            // At the end of the input, it goes on.
            let _ = io::stdin().lock().read_line(&mut String::new());
        }
        ControlFlow::Continue(())
    }

    fn write(&mut self, step: &Step) -> io::Result<()> {
        match self.settings.json {
            true => writeln!(self.out, "{}", step.to_json()),
            // An empty line follows each paragraph. What the loop does in between has one line only.
            false if step.connection().is_some() => writeln!(self.out, "{step}"),
            false => write!(self.out, "{step}"),
        }
    }

    fn end(&mut self, recording: &Recording, result: &Result<Outcome, Mismatch>) -> io::Result<()> {
        match (result, self.settings.json) {
            (Ok(outcome), true) => {
                writeln!(
                    self.out,
                    "{}",
                    serde_json::json!({ "same": true, "steps": outcome.steps, "all": outcome.all })
                )
            }
            (Err(mismatch), true) => {
                let json = serde_json::json!({
                    "same": false,
                    "step": mismatch.step(),
                    "line": mismatch.line(),
                    "expected": mismatch.expected(),
                    "got": mismatch.got(),
                });
                writeln!(self.out, "{json}")
            }
            (Ok(outcome), false) => {
                let all = if outcome.all { "" } else { ", and there are more" };
                match outcome.steps {
                    1 => writeln!(self.out, "1 step, as it was recorded{all}.")?,
                    steps => writeln!(self.out, "{steps} steps, all as they were recorded{all}.")?,
                }
                self.tell_ending(recording)
            }
            (Err(mismatch), false) => writeln!(self.out, "{mismatch}"),
        }
    }

    fn tell_ending(&mut self, recording: &Recording) -> io::Result<()> {
        match recording.ending() {
            Ending::Full => writeln!(self.out, "The recording was cut here: it had reached its largest size."),
            Ending::Slow => writeln!(self.out, "The recording was cut here: its file took it too slowly."),
            Ending::Broken => {
                writeln!(self.out, "The recording has no end: the server did not end, or could not write it.")
            }
            _ => Ok(()),
        }
    }
}
