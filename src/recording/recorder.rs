//! A recording that is being written.

use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::line::Line;
use super::place;
use super::scribe::Shared;
use super::settings;
use super::tape::{Taped, TapedClock, beginning};
use super::writer::{Outlet, Writer};
use crate::config::Config;
use crate::exchange::{Clock, Endpoint, Observer, guard};
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
/// The loop never waits for the disk: a thread writes what the loop hands over. If more than 4 MiB wait for the thread,
/// the recording ends, and its last line says so. If writing fails or the writer panics, an error is logged, and the
/// recording ends. The server goes on in both cases. At its end it waits for at most five seconds until everything is
/// written.
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
    out: Box<dyn Write + Send>,
    /// What an error names.
    name: Option<PathBuf>,
    max_bytes: u64,
    masks: bool,
    about: Map<String, Value>,
    only: Option<Filter>,
}

impl Recorder {
    /// Records to a writer. A thread of its own writes to it: at once when a connection ends, and about once a second.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        let (out, about) = (Box::new(out), Map::new());
        Self { out, name: None, max_bytes: RECORDING_BYTES, masks: true, about, only: None }
    }

    /// Records to a file, which is emptied if there is one. If not, it is made, and only its owner may read it: what
    /// clients send is private. It may be a named pipe (fifo(7)).
    ///
    /// # Errors
    /// When the file cannot be made, and when nobody has opened a named pipe to read it.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        Ok(Self { name: Some(path.to_owned()), ..Self::new(place::create(path)?) })
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
    /// what was recorded. If `only` panics, the connection is served, but not recorded.
    #[must_use]
    pub fn only(mut self, only: impl FnMut(&Endpoint) -> bool + 'static) -> Self {
        self.only = Some(Box::new(only));
        self
    }

    /// Begins. `open` makes the outlet that writes to the writer, and writes the first line.
    ///
    /// # Errors
    /// Those of `open`.
    pub(crate) fn begin(
        self,
        config: &Config,
        clock: &mut dyn Clock,
        open: impl FnOnce(Box<dyn Write + Send>, String) -> io::Result<Box<dyn Outlet>>,
    ) -> io::Result<Tape> {
        let Self { out, name, max_bytes, masks, about, only } = self;
        let first = Line::new("recording")
            .with("format", FORMAT)
            .with("monoloop", env!("CARGO_PKG_VERSION"))
            .with("masked", masks)
            .with("all", only.is_none())
            .with("about", about)
            .with("config", settings::to_json(config));
        let first = beginning(clock).into_iter().fold(first, |line, (name, value)| line.with(name, value));
        let mut text = String::new();
        first.encode(&mut text);
        let left = max_bytes.saturating_sub(text.len() as u64);
        let outlet = open(out, text).map_err(|error| match name {
            Some(name) => io::Error::new(error.kind(), format!("{}: {error}", name.display())),
            None => error,
        })?;
        let writer = Writer::new(outlet, left);
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
        let Some(only) = &mut self.only else { return true };
        guard(|| only(peer)).unwrap_or_else(|panic| {
            fault!("the function that says which connections are recorded {panic}");
            false
        })
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
