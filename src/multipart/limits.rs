//! How much a form may have.

use super::Part;
use super::fault::Fault;
use crate::limits::{MAX_FORM, MAX_FORM_FIELDS, MAX_PARTS};

/// The limits of a form. A form that exceeds one is refused with a 413 as soon as that shows.
///
/// ```
/// use monoloop::multipart::Limits;
///
/// let limits = Limits::new().max_content(4 << 30).max_file(2 << 30).max_parts(20);
/// assert_ne!(limits, Limits::new());
/// ```
///
/// Other limits are fixed: the header of a part has at most 8 KiB, and what comes before, between and after the parts
/// has at most 8 KiB together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(super) content: u64,
    file: u64,
    fields: u64,
    parts: usize,
}

impl Limits {
    /// The defaults.
    pub const fn new() -> Self {
        Self { content: MAX_FORM, file: u64::MAX, fields: MAX_FORM_FIELDS, parts: MAX_PARTS }
    }

    /// Sets the largest form, in bytes, boundaries and headers included; by default 50 MiB
    /// ([`limits::MAX_FORM`](MAX_FORM)). If the client announces a longer one, no content is read.
    #[must_use]
    pub const fn max_content(self, bytes: u64) -> Self {
        Self { content: bytes, ..self }
    }

    /// Sets the largest file, in bytes; by default as much as the form may have.
    #[doc(alias = "fileSize")]
    #[must_use]
    pub const fn max_file(self, bytes: u64) -> Self {
        Self { file: bytes, ..self }
    }

    /// Sets how many bytes all parts together may have that are no files, with their names; by default 1 MiB
    /// ([`limits::MAX_FORM_FIELDS`](MAX_FORM_FIELDS)).
    #[doc(alias = "fieldSize")]
    #[must_use]
    pub const fn max_fields(self, bytes: u64) -> Self {
        Self { fields: bytes, ..self }
    }

    /// Sets how many parts a form may have, files included; by default 1000 ([`limits::MAX_PARTS`](MAX_PARTS)).
    #[must_use]
    pub const fn max_parts(self, parts: usize) -> Self {
        Self { parts, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// How much of a form has come.
#[derive(Debug)]
pub(super) struct Tally {
    limits: Limits,
    parts: usize,
    fields: u64,
    /// Bytes of this part, if it is a file.
    file: Option<u64>,
}

impl Tally {
    pub(super) const fn new(limits: Limits) -> Self {
        Self { limits, parts: 0, fields: 0, file: None }
    }

    /// Counts a part that begins.
    pub(super) fn part(&mut self, part: &Part<'_>) -> Result<(), Fault> {
        self.parts += 1;
        self.file = part.is_file().then_some(0);
        if self.parts > self.limits.parts {
            return Err(Fault::TooManyParts(self.limits.parts));
        }
        // A form that keeps a field keeps its name, too, which can be longer than its text.
        if part.is_file() { Ok(()) } else { self.field_bytes(part.name().len()) }
    }

    /// Counts content of this part.
    pub(super) fn content(&mut self, piece: &[u8]) -> Result<(), Fault> {
        match &mut self.file {
            Some(file) => {
                *file += piece.len() as u64;
                if *file > self.limits.file { Err(Fault::FileTooLarge(self.limits.file)) } else { Ok(()) }
            }
            None => self.field_bytes(piece.len()),
        }
    }

    fn field_bytes(&mut self, count: usize) -> Result<(), Fault> {
        self.fields += count as u64;
        if self.fields > self.limits.fields { Err(Fault::FieldsTooLarge(self.limits.fields)) } else { Ok(()) }
    }
}
