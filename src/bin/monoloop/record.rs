//! The recording of a server that the command runs: `--record` and its like.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use monoloop::recording::{Recorder, SECRET_FIELDS};
use monoloop::{Endpoint, Server, server};

use crate::options::Settings;

/// The values of the options.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordSettings {
    pub(crate) file: Option<String>,
    pub(crate) peer: Option<Peer>,
    pub(crate) max: u64,
    pub(crate) secrets: bool,
}

/// Whose connections are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// Those from this address, from any port.
    Host(IpAddr),
    /// The one from this address and port.
    Socket(SocketAddr),
    /// Those of unix sockets.
    Unix,
}

impl Peer {
    fn is(self, peer: &Endpoint) -> bool {
        match self {
            Self::Host(address) => peer.ip() == Some(address),
            Self::Socket(address) => *peer == Endpoint::Tcp(address),
            Self::Unix => *peer == Endpoint::Unix,
        }
    }
}

/// What a replay has to know to run the same application.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) command: &'static str,
    /// The directory whose files are served.
    pub(crate) directory: Option<String>,
    /// The options that change what the application answers, as they are given to the command. Each ends with a NUL.
    pub(crate) options: String,
}

impl About {
    pub(crate) fn new(command: &'static str, directory: Option<&Path>, settings: &Settings) -> Self {
        let directory = directory.map(|directory| directory.display().to_string());
        Self { command, directory, options: settings.of_application.clone() }
    }
}

/// The options without the values of secrets, such as `--header 'Set-Cookie: a=b'`. They are masked as replies are.
fn without_secrets(options: &str) -> String {
    let without = |option: &str| {
        let line = option.strip_prefix("--header=").and_then(|line| line.trim_end_matches('\0').split_once(':'));
        match line {
            Some((name, value)) if SECRET_FIELDS.iter().any(|secret| secret.eq_ignore_ascii_case(name.trim())) => {
                format!("--header={name}: {}\0", "*".repeat(value.trim().len()))
            }
            _ => option.to_owned(),
        }
    };
    options.split_inclusive('\0').map(without).collect()
}

/// Makes a server record, if that was asked for.
///
/// # Errors
/// When the file cannot be made.
pub(crate) fn add(server: Server, settings: &RecordSettings, about: &About) -> server::Result<Server> {
    let Some(file) = &settings.file else { return Ok(server) };
    let failed = |error| server::Error::Recording(io::Error::other(format!("{file}: {error}")));
    let recorder = Recorder::create(file).map_err(failed)?.max_bytes(settings.max).secrets(settings.secrets);
    let options = if settings.secrets { about.options.clone() } else { without_secrets(&about.options) };
    let recorder = recorder.about("command", about.command).about("options", &options);
    let recorder = match &about.directory {
        Some(directory) => recorder.about("directory", directory),
        None => recorder,
    };
    Ok(server.record(match settings.peer {
        Some(wanted) => recorder.only(move |peer| wanted.is(peer)),
        None => recorder,
    }))
}
