//! The recording of a server that the command runs: `--record` and its like.

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

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

/// Why a file cannot take the recording, although it could be written.
fn objection(file: &Path, directory: Option<&Path>) -> Option<&'static str> {
    let found = fs::metadata(file);
    let kind = found.as_ref().ok().map(fs::Metadata::file_type);
    if let Ok(found) = &found
        && !found.file_type().is_char_device()
        && [io::stdout().as_fd(), io::stderr().as_fd()].into_iter().any(|stream| is_same(found, stream))
    {
        return Some("the command writes other lines to it, too");
    }
    let may_be_served = kind.is_none_or(|kind| kind.is_file());
    if may_be_served && directory.is_some_and(|directory| is_within(file, directory)) {
        return Some("it is in the directory that is served, so clients could read it");
    }
    None
}

fn is_same(file: &fs::Metadata, stream: BorrowedFd<'_>) -> bool {
    let stream = stream.try_clone_to_owned().and_then(|stream| File::from(stream).metadata());
    stream.is_ok_and(|stream| (stream.dev(), stream.ino()) == (file.dev(), file.ino()))
}

/// Whether a file is, or would be made, somewhere in a directory. Symbolic links are followed.
fn is_within(file: &Path, directory: &Path) -> bool {
    let file = target_of(file);
    let place = file.canonicalize().or_else(|_| folder_of(&file).canonicalize());
    matches!((place, directory.canonicalize()), (Ok(place), Ok(directory)) if place.starts_with(&directory))
}

/// The file that open(2) would make: a link can lead to one that is not there yet.
fn target_of(file: &Path) -> PathBuf {
    /// As many links as Linux follows (path_resolution(7)).
    const MOST: usize = 40;
    let mut file = file.to_owned();
    for _ in 0..MOST {
        let Ok(target) = fs::read_link(&file) else { break };
        file = folder_of(&file).join(target);
    }
    file
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a server record, if that was asked for.
///
/// # Errors
/// When the file cannot be made, or is not fit for a recording.
pub(crate) fn add(server: Server, settings: &RecordSettings, about: &About) -> server::Result<Server> {
    let Some(file) = &settings.file else { return Ok(server) };
    let failed = |error| server::Error::Recording(io::Error::other(format!("{file}: {error}")));
    let directory = about.directory.as_deref().map(Path::new);
    if let Some(problem) = objection(Path::new(file), directory) {
        return Err(failed(io::Error::other(problem)));
    }
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
