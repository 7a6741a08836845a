//! A recording that is being written.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Map, Value};

use super::line::Line;
use super::scribe::{Lines, Shared};
use super::settings;
use super::tape::{Taped, TapedClock, beginning};
use crate::config::Config;
use crate::exchange::{Clock, Endpoint, Observer};
use crate::limits::RECORDING_BYTES;
use crate::sessions::{Transport, Witness};

/// The number of the format that is written, and the only one that is read.
pub(super) const FORMAT: u64 = 1;

type Filter = Box<dyn FnMut(&Endpoint) -> bool>;

/// Writes down what a server does, so that a [`Recording`](super::Recording) can be replayed:
/// [`Server::record`](crate::Server::record) takes it.
///
/// It writes every byte in and out, what the kernel says of the sockets, every reading of the clock that a connection
/// decides by, and what came of each turn. `docs/RECORDING.md` in the repository describes the format. The values of
/// the fields `Authorization`, `Proxy-Authorization`, `Cookie` and `Set-Cookie` are replaced by `*` before they are
/// written. Targets and content are written as they are, so a recording can hold other secrets.
///
/// The loop writes the file itself and waits for the disk meanwhile. If writing fails, an error is logged, the
/// recording ends, and the server goes on.
///
/// ```
/// use monoloop::recording::Recorder;
/// use monoloop::{Router, Server};
///
/// # fn main() -> monoloop::server::Result<()> {
/// # let path = std::env::temp_dir().join(format!("monoloop-doc-{}.jsonl", std::process::id()));
/// let recorder = Recorder::create(&path)?.about("application", "example").only(|peer| peer.ip().is_some());
/// let running = Server::bind("127.0.0.1:0")?.record(recorder).start(Router::new(()))?;
/// # drop(running);
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
pub struct Recorder {
    out: Box<dyn Write>,
    max_bytes: u64,
    masks: bool,
    about: Map<String, Value>,
    only: Option<Filter>,
}

impl Recorder {
    /// Records to a writer. It is buffered, and flushed when a connection ends and about once a second.
    pub fn new(out: impl Write + 'static) -> Self {
        Self { out: Box::new(out), max_bytes: RECORDING_BYTES, masks: true, about: Map::new(), only: None }
    }

    /// Records to a file, which is emptied if there is one. If not, it is made, and only its owner may read it: what
    /// clients send is private.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        File::options().write(true).create(true).truncate(true).mode(0o600).open(path).map(Self::new)
    }

    /// The largest size in bytes. When it is reached, the recording ends, and the server goes on. Default 16 MiB.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Writes secrets as they are, too. Default off.
    #[must_use]
    pub fn secrets(mut self, on: bool) -> Self {
        self.masks = !on;
        self
    }

    /// Writes something about the application into the first line, by which a replay knows what to run:
    /// [`Recording::about`](super::Recording::about) reads it.
    #[must_use]
    pub fn about(mut self, name: &str, value: &str) -> Self {
        self.about.insert(name.to_owned(), value.into());
        self
    }

    /// Records only the connections of some peers. If connections share state, a replay of some of them may differ from
    /// what was recorded.
    #[must_use]
    pub fn only(mut self, only: impl FnMut(&Endpoint) -> bool + 'static) -> Self {
        self.only = Some(Box::new(only));
        self
    }

    /// Begins: writes the first line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn begin(self, config: &Config, clock: &mut dyn Clock) -> io::Result<Tape> {
        let Self { out, max_bytes, masks, about, only } = self;
        let mut writer = Writer { out: Some(BufWriter::new(out)), left: max_bytes, line: String::new(), behind: false };
        let first = Line::new("recording")
            .with("format", FORMAT)
            .with("monoloop", env!("CARGO_PKG_VERSION"))
            .with("masked", masks)
            .with("all", only.is_none())
            .with("about", about)
            .with("config", settings::to_json(config));
        let first = beginning(clock).into_iter().fold(first, |line, (name, value)| line.with(name, value));
        writer.begin(&first)?;
        Ok(Tape { scribe: Shared::new(writer, masks, false), only })
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("max_bytes", &self.max_bytes)
            .field("masks", &self.masks)
            .finish_non_exhaustive()
    }
}

/// A recording that has begun, as a loop has it.
pub(crate) struct Tape {
    scribe: Shared,
    only: Option<Filter>,
}

impl Tape {
    /// Whether the connections of this peer are recorded.
    pub(crate) fn wants(&mut self, peer: &Endpoint) -> bool {
        self.only.as_mut().is_none_or(|only| only(peer))
    }

    pub(crate) fn transport<T: Transport>(&self, inner: T) -> Taped<T> {
        Taped::new(inner, self.scribe.clone())
    }

    pub(crate) fn clock(&self, inner: Box<dyn Clock>) -> Box<dyn Clock> {
        Box::new(TapedClock { inner, scribe: self.scribe.clone() })
    }

    pub(crate) fn witness(&self) -> Box<dyn Witness> {
        Box::new(self.scribe.clone())
    }

    pub(crate) fn observer(&self) -> Box<dyn Observer> {
        Box::new(self.scribe.clone())
    }
}

/// Writes lines, up to a limit or an error.
struct Writer {
    /// `None` once the recording has ended.
    out: Option<BufWriter<Box<dyn Write>>>,
    /// Bytes that may still be written.
    left: u64,
    line: String,
    /// Something is in the buffer.
    behind: bool,
}

/// The last line when the recording has reached its limit, and when it is whole. Room is kept for one of them.
const FULL: &str = "{\"event\":\"full\"}\n";
const DONE: &str = "{\"event\":\"done\"}\n";

impl Writer {
    fn begin(&mut self, first: &Line) -> io::Result<()> {
        first.encode(&mut self.line);
        self.left = self.left.saturating_sub((self.line.len() + FULL.len()) as u64);
        match &mut self.out {
            Some(out) => out.write_all(self.line.as_bytes()).and_then(|()| out.flush()),
            None => Ok(()),
        }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let Some(out) = &mut self.out else { return Ok(()) };
        self.line.clear();
        line.encode(&mut self.line);
        if let Some(left) = self.left.checked_sub(self.line.len() as u64) {
            self.left = left;
            self.behind = true;
            return out.write_all(self.line.as_bytes());
        }
        log::warn!("the recording is full: it ends here, and the server goes on");
        let ended = out.write_all(FULL.as_bytes()).and_then(|()| out.flush());
        self.end();
        ended
    }

    fn end(&mut self) {
        self.behind = false;
        if let Some(out) = self.out.take() {
            // What is left in the buffer could not be written.
            drop(out.into_parts());
        }
    }

    fn give_up(&mut self, error: &io::Error) {
        fault!("the recording ends here, since it cannot be written: {error}");
        self.end();
    }
}

impl Lines for Writer {
    fn put(&mut self, line: Line) {
        if let Err(error) = self.write(&line) {
            self.give_up(&error);
        }
    }

    fn settle(&mut self) {
        if std::mem::take(&mut self.behind)
            && let Some(Err(error)) = self.out.as_mut().map(Write::flush)
        {
            self.give_up(&error);
        }
    }

    fn is_behind(&self) -> bool {
        self.behind
    }
}

/// A server that has ended without a panic has written everything.
impl Drop for Writer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if let Some(Err(error)) = self.out.as_mut().map(|out| out.write_all(DONE.as_bytes()).and_then(|()| out.flush()))
        {
            self.give_up(&error);
        }
    }
}
