//! A form whose files go to the disk while they come, and whose fields are kept in memory.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::fault::Fault;
use super::{Form, FormFile, Limits, Part};
use crate::exchange::{Intake, Response, Sent};
use crate::http::Result;

/// Where [`Routes::upload`](crate::router::Routes::upload) stores files, and which forms it takes.
///
/// ```
/// use monoloop::Error;
/// use monoloop::multipart::{Limits, Uploads};
///
/// # fn main() -> std::io::Result<()> {
/// let pictures = Uploads::to(std::env::temp_dir())?.limits(Limits::new().max_file(10 << 20)).check(|part| {
///     match (part.is_file(), part.content_type()) {
///         (true, Some("image/png" | "image/jpeg")) | (false, _) => Ok(()),
///         _ => Err(Error::new(415, "Send a PNG or a JPEG")),
///     }
/// });
/// # drop(pictures);
/// # Ok(())
/// # }
/// ```
pub struct Uploads {
    directory: PathBuf,
    pub(super) limits: Limits,
    check: Option<Check>,
}

type Check = Box<dyn Fn(&Part<'_>) -> Result<()>>;

impl Uploads {
    /// Files are written to `directory`, which is made if it is not there. They are temporary, and their names begin
    /// with `.upload-`, until the handler keeps them.
    ///
    /// # Errors
    /// If the directory cannot be made.
    #[doc(alias("dest", "multer"))]
    pub fn to(directory: impl AsRef<Path>) -> io::Result<Self> {
        let directory = directory.as_ref().to_owned();
        fs::create_dir_all(&directory)?;
        Ok(Self { directory, limits: Limits::new(), check: None })
    }

    /// Sets the limits of a form.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Sets a function that sees the header of each part before its content is taken. If it returns an error, that is
    /// the reply, and the rest of the form is not taken.
    #[doc(alias("filter", "fileFilter"))]
    #[must_use]
    pub fn check(self, check: impl Fn(&Part<'_>) -> Result<()> + 'static) -> Self {
        Self { check: Some(Box::new(check)), ..self }
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uploads").field("directory", &self.directory).field("limits", &self.limits).finish()
    }
}

/// A form that has come as a whole: its fields in memory, and its files on the disk. A file that is not kept is removed
/// when this is dropped.
#[derive(Debug, Default)]
pub struct Uploaded {
    fields: Vec<(String, String)>,
    files: Vec<FormFile>,
}

impl Uploaded {
    /// The text of the first field of this name that is no file.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The texts of all fields of this name that are no files, in order.
    pub fn all<'s, 'n>(&'s self, name: &'n str) -> impl Iterator<Item = &'s str> + use<'s, 'n> {
        self.fields().filter(move |(field, _)| *field == name).map(|(_, text)| text)
    }

    /// All fields that are no files: their names and texts, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Takes the first file of this name out of the form. `None` also if the user of a browser has chosen no file.
    pub fn take_file(&mut self, name: &str) -> Option<FormFile> {
        let at = self.files.iter().position(|file| file.name() == name)?;
        Some(self.files.remove(at))
    }

    /// The files, in order, without those that a browser sends where its user has chosen none.
    pub fn files(&self) -> &[FormFile] {
        &self.files
    }

    /// The files, in order, to be kept.
    pub fn into_files(self) -> Vec<FormFile> {
        self.files
    }
}

/// A form in the making.
pub(super) struct Uploading<T, H> {
    uploads: Rc<Uploads>,
    handler: Rc<H>,
    /// What was learned at the head of the request.
    begun: T,
    uploaded: Uploaded,
    /// The content of this part.
    current: Current,
}

/// Where the content of a part goes.
enum Current {
    Nowhere,
    Field(String, Vec<u8>),
    File(FormFile),
}

impl<T, H> Uploading<T, H> {
    pub(super) fn new(uploads: Rc<Uploads>, handler: Rc<H>, begun: T) -> Self {
        Self { uploads, handler, begun, uploaded: Uploaded::default(), current: Current::Nowhere }
    }
}

impl<S, T, H> Form<S> for Uploading<T, H>
where
    H: Fn(&mut S, T, Uploaded, Response<'_>) -> Result<Sent>,
{
    fn part(&mut self, _: &mut S, part: &Part<'_>) -> Result<()> {
        if let Some(check) = &self.uploads.check {
            check(part)?;
        }
        self.current = match part.is_file() {
            true => Current::File(FormFile::create(&self.uploads.directory, part)?),
            false => Current::Field(part.name().to_owned(), Vec::new()),
        };
        Ok(())
    }

    fn data(&mut self, _: &mut S, piece: &[u8], _: &mut Intake<'_>) -> Result<()> {
        match &mut self.current {
            Current::File(file) => file.write(piece),
            Current::Field(_, text) => {
                text.extend_from_slice(piece);
                Ok(())
            }
            Current::Nowhere => Ok(()),
        }
    }

    fn part_end(&mut self, _: &mut S) -> Result<()> {
        match std::mem::replace(&mut self.current, Current::Nowhere) {
            // Where a user has chosen no file, a browser sends an empty one without a name.
            Current::File(file) if file.is_empty() && file.file_name().is_empty() => {}
            Current::File(mut file) => {
                file.finish();
                self.uploaded.files.push(file);
            }
            Current::Field(name, text) => {
                let text = String::from_utf8(text).map_err(|_| Fault::Text)?;
                self.uploaded.fields.push((name, text));
            }
            Current::Nowhere => {}
        }
        Ok(())
    }

    fn end(self: Box<Self>, state: &mut S, res: Response<'_>) -> Result<Sent> {
        let Self { handler, begun, uploaded, .. } = *self;
        handler(state, begun, uploaded, res)
    }
}
