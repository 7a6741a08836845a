//! Stored content, such as a file, with the field lines that describe it.

use std::fmt;
use std::fmt::Write as _;
use std::fs::File;
use std::sync::Arc;

use crate::buffer::{Content, FileRange, OutputQueue};
use crate::http::conditional::Validators;
use crate::http::range::Part;
use crate::http::{Error, http_date};
use crate::wire::reply::FieldLines;

/// What can be sent for a file: its bytes, and the field lines that describe them (RFC 9110 §3.2).
pub(crate) struct Representation {
    /// The opaque tag, with its quotes.
    tag: String,
    weak: bool,
    modified: Option<u64>,
    /// In the order in which they are sent.
    pub(super) lines: Vec<Line>,
    pub(super) length: u64,
    stored: Stored,
    /// The lines, the length and the blank line, as the head of a 200 ends.
    pub(super) rendered: String,
}

/// A field line.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) value: String,
    /// Whether a 304 has the line, too (RFC 9110 §15.4.5).
    kept: bool,
}

/// Where the bytes lie.
enum Stored {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl Representation {
    /// A representation of bytes in memory, with the field lines of its validators alone.
    pub(crate) fn in_memory(bytes: Arc<[u8]>, validators: &Validators<'_>) -> Self {
        let length = bytes.len() as u64;
        Self::new(Stored::Memory(bytes), length, validators)
    }

    /// As [`in_memory`](Self::in_memory), but of the first `length` bytes of an open file.
    pub(crate) fn of_file(file: Arc<File>, length: u64, validators: &Validators<'_>) -> Self {
        Self::new(Stored::File(file), length, validators)
    }

    fn new(stored: Stored, length: u64, validators: &Validators<'_>) -> Self {
        let &Validators { tag, weak, modified } = validators;
        let shown = if weak { format!("W/{tag}") } else { tag.to_owned() };
        let lines = Vec::with_capacity(8);
        let new = Self { tag: tag.to_owned(), weak, modified, lines, length, stored, rendered: String::new() };
        let new = new.with_kept("ETag", shown);
        let new = match modified {
            Some(modified) => new.with("Last-Modified", http_date(modified)),
            None => new,
        };
        new.with("Accept-Ranges", "bytes".to_owned())
    }

    /// Adds a field line. It must be a valid one.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        self.lines.push(Line { name, value, kept: false });
        self
    }

    /// Adds a field line that a 304 has as well.
    pub(crate) fn with_kept(mut self, name: &'static str, value: String) -> Self {
        self.lines.push(Line { name, value, kept: true });
        self
    }

    /// Renders the lines; none is added from here on.
    pub(crate) fn render(mut self) -> Self {
        for Line { name, value, .. } in &self.lines {
            let _ = write!(self.rendered, "{name}: {value}\r\n");
        }
        let _ = write!(self.rendered, "Content-Length: {}\r\n\r\n", self.length);
        self
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn footprint(&self) -> usize {
        let stored = match &self.stored {
            Stored::Memory(bytes) => bytes.len(),
            Stored::File(_) => 0,
        };
        3 * self.rendered.len() + stored
    }

    /// The open file, if the content is not in memory.
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.stored {
            Stored::File(file) => Some(file),
            Stored::Memory(_) => None,
        }
    }

    /// Adds to an error what the choice of this representation depended on.
    pub(super) fn refuse(&self, error: Error) -> Error {
        let vary = self.lines.iter().filter(|line| line.name == "Vary");
        vary.fold(error, |error, line| error.with_header(line.name, &*line.value))
    }

    /// Whether dropping this closes a descriptor.
    pub(crate) fn holds_alone(&self) -> bool {
        matches!(&self.stored, Stored::File(file) if Arc::strong_count(file) == 1)
    }

    pub(super) fn validators(&self) -> Validators<'_> {
        Validators { tag: &self.tag, weak: self.weak, modified: self.modified }
    }

    /// Adds the lines to those of a reply, without those that the handler has set itself.
    pub(super) fn give_lines(&self, fields: &mut FieldLines, only_kept: bool) {
        for Line { name, value, kept } in &self.lines {
            match *name {
                _ if only_kept && !*kept => {}
                "Vary" => fields.add_vary(value),
                name if fields.get(name).is_none() => fields.push(name, value),
                _ => {}
            }
        }
    }

    /// Appends a part of the content.
    pub(super) fn push(&self, part: Part, output: &mut OutputQueue) {
        match &self.stored {
            Stored::Memory(bytes) => output.push(Content::Borrowed(&bytes[part.start as usize..part.end as usize])),
            Stored::File(file) => output.push_file(FileRange::new(Arc::clone(file), part.start, part.len())),
        }
    }

    pub(super) fn whole(&self) -> Part {
        Part { start: 0, end: self.length }
    }
}

impl fmt::Debug for Representation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Representation({}, {} bytes)", self.tag, self.length)
    }
}
