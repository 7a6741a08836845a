use std::fmt;
use std::io;

#[cfg(feature = "files")]
use crate::files::DirectoryError;
use crate::http::Count;

/// The result of starting and running a server.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server could not start, or why it failed.
///
/// ```
/// use monoloop::{Server, server::Error};
///
/// let first = Server::bind("127.0.0.1:0").unwrap();
/// let taken = Server::bind(first.local_addr().to_string()).unwrap_err();
/// assert!(matches!(&taken, Error::Bind { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse));
/// assert_eq!(taken.to_string(), format!("{} is already in use", first.local_addr()));
/// ```
///
/// `Debug` prints the same text as `Display`, so that `fn main() -> monoloop::server::Result<()>` prints a sentence.
#[non_exhaustive]
pub enum Error {
    /// The server cannot listen on an address.
    Bind {
        /// The address that the caller asked for.
        address: String,
        /// The error of the system.
        source: io::Error,
    },
    /// The system refused something that the event loop needs.
    Io(io::Error),
    /// A recording cannot be begun.
    #[cfg(feature = "live")]
    #[cfg_attr(docsrs, doc(cfg(feature = "live")))]
    Recording(io::Error),
    /// A directory whose files the application would serve is not there, or cannot be opened.
    #[cfg(feature = "files")]
    #[cfg_attr(docsrs, doc(cfg(feature = "files")))]
    Directory(DirectoryError),
    /// The drain was cut short, by its deadline or by a second signal.
    Forced {
        /// The number of connections that were cut off.
        connections: usize,
        /// Whether a second signal was the cause.
        signalled: bool,
    },
    /// A worker of [`Workers`](super::Workers) could not be set up, or its loop failed. All others were stopped.
    Worker {
        /// The index of the worker, counted from 0.
        worker: usize,
        /// The error of the worker.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind { address, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "{address} is already in use")
            }
            Self::Bind { address, source } => write!(f, "cannot listen on {address}: {source}"),
            Self::Io(source) => write!(f, "the event loop failed: {source}"),
            #[cfg(feature = "live")]
            Self::Recording(source) => write!(f, "cannot begin the recording: {source}"),
            #[cfg(feature = "files")]
            Self::Directory(source) => source.fmt(f),
            Self::Forced { connections, signalled: true } => {
                write!(f, "the second signal cut off {}", Count(*connections, "connection"))
            }
            Self::Forced { connections, signalled: false } => {
                write!(f, "the drain took too long and cut off {}", Count(*connections, "connection"))
            }
            Self::Worker { worker, source } => write!(f, "worker {worker}: {source}"),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Bind { source, .. } | Self::Io(source) => Some(source),
            #[cfg(feature = "live")]
            Self::Recording(source) => Some(source),
            Self::Worker { source, .. } => Some(&**source),
            // The text of this error is that of its source.
            #[cfg(feature = "files")]
            Self::Directory(source) => source.source(),
            Self::Forced { .. } => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        Self::Io(source)
    }
}

#[cfg(feature = "files")]
#[cfg_attr(docsrs, doc(cfg(feature = "files")))]
impl From<DirectoryError> for Error {
    fn from(source: DirectoryError) -> Self {
        Self::Directory(source)
    }
}
