//! A recording that was read.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;

use super::line::{Problem, Stored};
use super::recorder::FORMAT;
use super::shapes::check_shape;
use crate::config::Config;

/// A recording that was read. [`replay`](Self::replay) does once more what it says.
///
/// ```
/// use monoloop::recording::{Recorder, Recording};
/// use monoloop::{Router, Server};
/// use std::io::{Read, Write};
/// use std::net::TcpStream;
/// use std::ops::ControlFlow;
///
/// fn app() -> Router<u32> {
///     let mut app = Router::new(0);
///     app.get("/", |count, _, res| {
///         *count += 1;
///         res.text(format!("request {count}"))
///     });
///     app
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("monoloop-doc-replay-{}.jsonl", std::process::id()));
/// let mut running = Server::bind("127.0.0.1:0")?.record(Recorder::create(&path)?).start(app())?;
/// let mut client = TcpStream::connect(running.local_addr().unwrap().to_string())?;
/// client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")?;
/// let client = std::thread::spawn(move || client.read_to_end(&mut Vec::new()));
/// while !client.is_finished() {
///     running.turn(Some(std::time::Duration::from_millis(1)))?;
/// }
/// drop(running);
///
/// let recording = Recording::open(&path)?;
/// let outcome = recording.replay(&mut app(), &mut |step| {
///     println!("{step}");
///     ControlFlow::Continue(())
/// })?;
/// assert!(outcome.steps > 2);
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
pub struct Recording {
    pub(super) first: Stored,
    pub(super) config: Config,
    pub(super) lines: Rc<[Stored]>,
    pub(super) ending: Ending,
}

/// How a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// The server has ended, and everything was recorded.
    Whole,
    /// The recording had reached its largest size.
    Full,
    /// The file took the recording too slowly, so it was cut.
    Slow,
    /// The last line is missing or incomplete: the server still runs, or did not end as it should, or the file could
    /// not be written.
    Broken,
}

/// Why a file is no recording that can be replayed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Unusable {
    /// It cannot be read.
    Io(io::Error),
    /// A line is not as it should be.
    Line {
        /// The number of the line, from 1.
        number: usize,
        /// The byte of the line at which it is wrong, from 1, if that is known.
        column: Option<usize>,
        /// What is wrong with it.
        problem: String,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Line { number, column: None, problem } => write!(f, "line {number}: {problem}"),
            Self::Line { number, column: Some(column), problem } => {
                write!(f, "line {number}, column {column}: {problem}")
            }
        }
    }
}

impl std::error::Error for Unusable {}

impl Unusable {
    fn of_line(number: usize, problem: impl Into<String>) -> Self {
        Self::Line { number, column: None, problem: problem.into() }
    }
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The longest line, in bytes. A read of the largest socket buffer fits, whatever its bytes are.
const MAX_LINE: u64 = 256 << 20;

impl Recording {
    /// Reads a recording from a file. It may be a named pipe (fifo(7)), whose writer has five seconds to open it.
    ///
    /// # Errors
    /// When the file cannot be read, is no recording, or has another format.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Unusable> {
        Self::read(super::place::open(path.as_ref())?)
    }

    /// Reads a recording to its end. All of it is kept in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn read(reader: impl Read) -> Result<Self, Unusable> {
        let (mut reader, mut lines) = (BufReader::new(reader), Vec::new());
        loop {
            let (mut text, number) = (Vec::new(), lines.len() + 1);
            reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut text)?;
            if text.is_empty() {
                break;
            }
            if text.len() as u64 == MAX_LINE {
                return Err(Unusable::of_line(number, "it is too long"));
            }
            match parse(number, &text) {
                Ok(line) => lines.push(line),
                // The last line may have been cut off when the process ended.
                Err(_) if !text.ends_with(b"\n") && number > 1 => break,
                Err(Problem { column, what }) => return Err(Unusable::Line { number, column, problem: what }),
            }
        }
        Self::of(lines)
    }

    fn of(mut lines: Vec<Stored>) -> Result<Self, Unusable> {
        let unusable = |problem: String| Unusable::of_line(1, problem);
        if lines.first().is_none_or(|first| first.event != "recording") {
            return Err(Unusable::of_line(1, "this is no recording: it does not begin with the line `recording`"));
        }
        let first = lines.remove(0);
        match first.number("format").map_err(unusable)? {
            FORMAT => {}
            other => return Err(unusable(format!("the format is {other}, and this version reads only {FORMAT}"))),
        }
        check_shape(&first).map_err(unusable)?;
        let config = match first.fields.get("config") {
            Some(Value::Object(config)) => super::settings::from_json(config),
            _ => Err("config"),
        };
        let config = config.map_err(|name| unusable(format!("the setting `{name}` has no such value")))?;
        let ending = lines.last().map_or(Ending::Broken, ending);
        // The line that says so is no step.
        if ending != Ending::Broken {
            lines.pop();
        }
        Ok(Self { first, config, lines: lines.into(), ending })
    }

    /// What [`Recorder::about`](super::Recorder::about) has written.
    pub fn about(&self, name: &str) -> Option<&str> {
        self.first.fields.get("about")?.get(name)?.as_str()
    }

    /// The version of the server that has made it.
    pub fn version(&self) -> &str {
        self.first.text("monoloop").unwrap_or("?")
    }

    /// The settings of the server that has made it.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether the values of secrets were replaced by `*`.
    pub fn is_masked(&self) -> bool {
        self.first.flag("masked").unwrap_or(true)
    }

    /// Whether all connections were recorded, not only those of some peers.
    pub fn has_all_connections(&self) -> bool {
        self.first.flag("all").unwrap_or(true)
    }

    /// How it ends.
    pub const fn ending(&self) -> Ending {
        self.ending
    }
}

/// How a recording ends whose last line is this.
fn ending(last: &Stored) -> Ending {
    match &*last.event {
        "done" => Ending::Whole,
        "full" if last.text("why").is_ok_and(|why| why == "slow") => Ending::Slow,
        "full" => Ending::Full,
        _ => Ending::Broken,
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("lines", &self.lines.len()).field("ending", &self.ending).finish()
    }
}

fn parse(number: usize, text: &[u8]) -> Result<Stored, Problem> {
    let text = std::str::from_utf8(text)
        .map_err(|error| Problem { column: Some(error.valid_up_to() + 1), what: "it is not UTF-8".to_owned() })?;
    let line = Stored::parse(number, text)?;
    // The first line says whether this format is known at all.
    if number > 1 {
        check_shape(&line).map_err(Problem::of_line)?;
    }
    Ok(line)
}
