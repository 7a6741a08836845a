use std::fmt;
use std::io;
use std::path::{self, Path, PathBuf};

/// Why the files of a directory cannot be served: [`Files::new`](super::Files::new) did not find it, or may not open
/// it.
///
/// `Debug` prints the same sentence as `Display`, so that `main` prints it if it returns this error.
pub struct DirectoryError {
    directory: PathBuf,
    source: io::Error,
}

impl DirectoryError {
    pub(super) fn new(directory: &Path, source: io::Error) -> Self {
        // The whole path says where a relative one began.
        Self { directory: path::absolute(directory).unwrap_or_else(|_| directory.to_owned()), source }
    }

    /// The directory, as an absolute path.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kind of the system's error.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot serve {}: {}", self.directory.display(), self.source)
    }
}

impl fmt::Debug for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for DirectoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// For programs whose functions return errors of the standard library.
impl From<DirectoryError> for io::Error {
    fn from(error: DirectoryError) -> Self {
        Self::new(error.kind(), error)
    }
}
