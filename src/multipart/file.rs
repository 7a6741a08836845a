//! A file of a form, on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Part, safe_name};
use crate::http::{Error, Result};

/// How the names of files begin that are not whole, or not kept yet. `Files` does not serve hidden files.
const PREFIX: &str = ".upload-";

/// How many names are tried for a file whose name is taken.
const MOST_NAMES: u32 = 1000;

const TAKEN: &str = "A file of this name exists already";

/// A file of a form, which is written to the disk while it comes. It is temporary: when this is dropped, the file is
/// removed. [`save`](Self::save), [`save_in`](Self::save_in) and [`replace`](Self::replace) keep it.
///
/// A [`Form`](super::Form) makes one in `part`, writes to it in `data`, and [finishes](Self::finish) it in `part_end`.
/// [`Routes::upload`](crate::router::Routes::upload) does all that by itself.
///
/// ```
/// use monoloop::exchange::Intake;
/// use monoloop::multipart::{Form, FormFile, Part};
/// use monoloop::{Error, Response, Result, Sent};
///
/// /// Takes one file, and nothing else.
/// #[derive(Default)]
/// struct OneFile(Option<FormFile>);
///
/// impl<S> Form<S> for OneFile {
///     fn part(&mut self, _: &mut S, part: &Part<'_>) -> Result<()> {
///         if self.0.is_some() || !part.is_file() {
///             return Err(Error::bad_request("Send one file, and nothing else"));
///         }
///         self.0 = Some(FormFile::create("uploads", part)?);
///         Ok(())
///     }
///
///     fn data(&mut self, _: &mut S, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
///         self.0.as_mut().unwrap().write(piece)
///     }
///
///     fn end(self: Box<Self>, _: &mut S, res: Response<'_>) -> Result<Sent> {
///         let file = self.0.ok_or_else(|| Error::bad_request("Send a file"))?;
///         let path = file.save_in("uploads")?;
///         res.text(path.to_string_lossy())
///     }
/// }
/// # let mut app = monoloop::Router::new(());
/// # app.multipart(monoloop::Method::Post, "/", monoloop::multipart::Limits::new(), |_, _| Ok(OneFile::default()));
/// # let mut client = monoloop::TestClient::new(app);
/// # assert_eq!(client.post("/").multipart([("a", None, "no file")]).send().status(), 400);
/// ```
///
/// The functions call the file system on the thread of the loop. With a local disk this is fine in practice, since the
/// kernel only takes the bytes and writes them later. Where a write can take long, such as on a network disk or on a
/// disk that is busy, all clients wait for it.
///
/// If the process ends by force, the file stays in its directory. Its name begins with `.upload-`.
#[doc(alias("TempFile", "tempfile"))]
#[derive(Debug)]
pub struct FormFile {
    name: String,
    file_name: String,
    content_type: Option<String>,
    len: u64,
    path: PathBuf,
    /// Where it is written to; `None` when it is whole.
    file: Option<File>,
    is_kept: bool,
}

impl FormFile {
    /// Makes an empty temporary file for `part`. To keep the file is only possible on the file system of `directory`,
    /// so it is best the directory in which the file shall be kept, or one beside it.
    ///
    /// # Errors
    /// A 507 if the disk is full, a 503 if the system is out of descriptors, or else a 500 that tells the log what the
    /// system has said.
    pub fn create(directory: impl AsRef<Path>, part: &Part<'_>) -> Result<Self> {
        let (file, path) = make(directory.as_ref()).map_err(disk_error)?;
        Ok(Self {
            name: part.name().to_owned(),
            file_name: part.file_name().unwrap_or_default().to_owned(),
            content_type: part.content_type().map(str::to_owned),
            len: 0,
            path,
            file: Some(file),
            is_kept: false,
        })
    }

    /// Appends a piece of content.
    ///
    /// # Errors
    /// As [`create`](Self::create), and a 500 if the file was [finished](Self::finish).
    pub fn write(&mut self, piece: &[u8]) -> Result<()> {
        let file = self.file.as_mut().ok_or_else(|| Error::internal("the file was finished"))?;
        file.write_all(piece).map_err(disk_error)?;
        self.len += piece.len() as u64;
        Ok(())
    }

    /// Closes the file. Otherwise each file of a form would take a descriptor to its end.
    pub fn finish(&mut self) {
        self.file = None;
    }

    /// The name of the field.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file at the client. It may be a path: see [`safe_name`](Self::safe_name).
    #[doc(alias = "filename")]
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// A name under which the file can be stored: [`safe_name`](super::safe_name) of its file name.
    pub fn safe_name(&self) -> String {
        safe_name(&self.file_name)
    }

    /// The media type, as the client says. It is not checked against the content.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// How many bytes have been written.
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file is empty.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where the temporary file is. The application may read it before it decides.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the file at `path`, if nothing is there yet. The file appears there as a whole. Only on a file system
    /// without hard links, such as FAT, it is empty for a moment.
    ///
    /// It is not flushed to the disk (`fsync`), so a crash of the machine can lose it.
    ///
    /// # Errors
    /// A 409 if there is something at `path`, a 507 if the disk is full, or else a 500 that tells the log what the
    /// system has said. The temporary file is removed.
    #[doc(alias("persist", "persist_noclobber", "mv"))]
    pub fn save(self, path: impl AsRef<Path>) -> Result<()> {
        match self.save_if_free(path.as_ref()) {
            Ok(()) => Ok(()),
            Err((_, error)) => Err(error),
        }
    }

    /// Keeps the file in `directory` under its [safe name](Self::safe_name), and returns its path. If the name is
    /// taken, a number is added to it: `photo-2.jpg`.
    ///
    /// # Errors
    /// As [`save`](Self::save); a 409 if the first thousand names are taken.
    pub fn save_in(mut self, directory: impl AsRef<Path>) -> Result<PathBuf> {
        let name = self.safe_name();
        let mut failure = Error::new(409, TAKEN);
        for number in 1..=MOST_NAMES {
            let path = directory.as_ref().join(numbered(&name, number));
            match self.save_if_free(&path) {
                Ok(()) => return Ok(path),
                Err((Some(this), error)) => (self, failure) = (this, error),
                Err((None, error)) => return Err(error),
            }
        }
        Err(failure)
    }

    /// Keeps the file at `path`. If that is taken, the file is returned.
    fn save_if_free(mut self, path: &Path) -> Result<(), (Option<Self>, Error)> {
        self.finish();
        // A second name, unlike a rename, never replaces what is there. The first one is removed when this is dropped.
        let linked = match fs::hard_link(&self.path, path) {
            Err(error) if has_no_links(&error) => self.save_without_link(path),
            linked => linked,
        };
        match linked {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err((Some(self), Error::new(409, TAKEN).with_source(error)))
            }
            Err(error) => Err((None, disk_error(error))),
        }
    }

    /// Keeps the file at `path`, if that is free. First an empty file takes the name, because a rename alone would
    /// replace what is there.
    pub(super) fn save_without_link(&mut self, path: &Path) -> io::Result<()> {
        OpenOptions::new().write(true).create_new(true).open(path)?;
        fs::rename(&self.path, path).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })?;
        self.is_kept = true;
        Ok(())
    }

    /// Keeps the file at `path`, in place of the file that may be there.
    ///
    /// # Errors
    /// As [`save`](Self::save), but no 409.
    pub fn replace(mut self, path: impl AsRef<Path>) -> Result<()> {
        self.finish();
        fs::rename(&self.path, path).map_err(disk_error)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for FormFile {
    fn drop(&mut self) {
        self.finish();
        if self.is_kept {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path) {
            log::warn!("a temporary file stays: {}: {error}", self.path.display());
        }
    }
}

/// Makes a file of a new name.
fn make(directory: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut failure = None;
    // A process of the same number may have left files when it was ended by force.
    for _ in 0..MOST_NAMES {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("{PREFIX}{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => failure = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
}

/// Whether a file system may have said that its files have one name only, as those of FAT.
fn has_no_links(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported)
}

/// The name with a number before its extension; the first one is the name itself.
fn numbered(name: &str, number: u32) -> String {
    let (stem, extension) = name.split_at(name.rfind('.').unwrap_or(name.len()));
    if number == 1 { name.to_owned() } else { format!("{stem}-{number}{extension}") }
}

/// What a client is told of an error of the file system.
pub(super) fn disk_error(error: io::Error) -> Error {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    // EMFILE and ENFILE, which have no `ErrorKind`. Their numbers are those of every Unix.
    let is_out_of_descriptors = matches!(error.raw_os_error(), Some(23 | 24));
    match error.kind() {
        StorageFull | QuotaExceeded | FileTooLarge => Error::new(507, "The server has no room for this file"),
        _ if is_out_of_descriptors => Error::new(503, "Try again later"),
        _ => Error::new(500, "The file could not be stored"),
    }
    .with_source(error)
}

#[cfg(test)]
impl FormFile {
    /// A file that is written to a device instead.
    pub(super) fn on_device(directory: &Path, part: &Part<'_>, device: &str) -> Self {
        let mut this = Self::create(directory, part).expect("a file can be made");
        this.file = Some(OpenOptions::new().write(true).open(device).expect("the device is there"));
        this
    }
}
