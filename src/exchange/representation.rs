//! Content that is there already, mostly a file, and what of it a request gets: all, parts, or the word that the client
//! has it (RFC 9110 §13 to §15).

use std::fmt;
use std::fmt::Write as _;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::{Reply, Response, Sent};
use crate::buffer::{Content, FileRange, OutputQueue};
use crate::http::conditional::{Conditions, Validators, Verdict};
use crate::http::range::{self, Part, Wanted};
use crate::http::{Error, Method, Result, http_date, parse_http_date};
use crate::wire::reply::{BodyLength, ContentType};

/// What can be sent for a file: its bytes, and the field lines that describe them (RFC 9110 §3.2).
pub(crate) struct Representation {
    /// The opaque tag, with its quotes.
    tag: String,
    weak: bool,
    modified: u64,
    /// In the order in which they are sent.
    lines: Vec<Line>,
    length: u64,
    stored: Stored,
    /// The lines, the length and the blank line as they stand in a 200.
    rendered: String,
}

/// A field line.
struct Line {
    name: &'static str,
    value: String,
    /// It stands in a 304, too (RFC 9110 §15.4.5).
    kept: bool,
}

/// Where the bytes lie.
enum Stored {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl Representation {
    /// A representation of bytes in memory, of which only the validators are said.
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
        new.with("Last-Modified", http_date(modified)).with("Accept-Ranges", "bytes".to_owned())
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

    /// Renders the lines; nothing is added from here on.
    pub(crate) fn render(mut self) -> Self {
        for Line { name, value, .. } in &self.lines {
            let _ = write!(self.rendered, "{name}: {value}\r\n");
        }
        let _ = write!(self.rendered, "Content-Length: {}\r\n\r\n", self.length);
        self
    }

    /// Bytes that it takes in memory, about.
    pub(crate) fn footprint(&self) -> usize {
        let stored = match &self.stored {
            Stored::Memory(bytes) => bytes.len(),
            Stored::File(_) => 0,
        };
        3 * self.rendered.len() + stored
    }

    /// The open file, if it is not in memory.
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.stored {
            Stored::File(file) => Some(file),
            Stored::Memory(_) => None,
        }
    }

    /// Adds to an error what the choice of this representation depended on.
    fn refuse(&self, error: Error) -> Error {
        let vary = self.lines.iter().filter(|line| line.name == "Vary");
        vary.fold(error, |error, line| error.with_header(line.name, &*line.value))
    }

    /// Whether a descriptor is closed when this goes.
    pub(crate) fn holds_alone(&self) -> bool {
        matches!(&self.stored, Stored::File(file) if Arc::strong_count(file) == 1)
    }

    fn validators(&self) -> Validators<'_> {
        Validators { tag: &self.tag, weak: self.weak, modified: self.modified }
    }

    /// Appends a part of the content.
    fn push(&self, part: Part, output: &mut OutputQueue) {
        match &self.stored {
            Stored::Memory(bytes) => output.push(Content::Borrowed(&bytes[part.start as usize..part.end as usize])),
            Stored::File(file) => output.push_file(FileRange::new(Arc::clone(file), part.start, part.len())),
        }
    }

    fn whole(&self) -> Part {
        Part { start: 0, end: self.length }
    }
}

impl Response<'_> {
    /// Finishes with a representation, or as much of it as `conditions` ask for. Field lines that were set before stay.
    ///
    /// # Errors
    /// 412 and 416, or a mistake that was made with the head.
    #[inline]
    pub(crate) fn represent(self, conditions: &Conditions<'_>, selected: &Representation) -> Result<Sent> {
        if !conditions.is_plain() || !self.reply.is_ordinary() || self.reply.names_any(&selected.lines) {
            return self.represent_in_part(conditions, selected);
        }
        let Self { reply, output } = self;
        let inline = output.inline();
        reply.head().encode_ordinary_opening(inline);
        inline.extend_from_slice(selected.rendered.as_bytes());
        selected.push(selected.whole(), output);
        Ok(reply.finish(selected.length))
    }

    fn represent_in_part(self, conditions: &Conditions<'_>, selected: &Representation) -> Result<Sent> {
        let Self { reply, output } = self;
        reply.seal()?;
        let own = reply.own_validators();
        let validators = own.as_ref().map_or(selected.validators(), |own| own.over(selected.validators()));
        // Conditions are for a request that would succeed without them (§13.2.1), and parts are of a 200. What another
        // method does is done by now, and was not done to this representation.
        let method = reply
            .request
            .method
            .filter(|method| reply.rare.status == 200 && matches!(method, Method::Get | Method::Head));
        match method.map_or(Verdict::Perform, |method| conditions.evaluate(method, &validators)) {
            Verdict::Perform => {}
            Verdict::NotModified => return Ok(reply.not_modified(selected, output)),
            Verdict::Failed => return Err(selected.refuse(Error::new(412, "Precondition failed"))),
        }
        let wanted = match method {
            Some(Method::Get) if conditions.allow_range(&validators) => {
                range::wanted(&conditions.range, selected.length)
            }
            _ => Wanted::Whole,
        };
        match wanted {
            Wanted::Whole => reply.send_parts(selected, &[(String::new(), selected.whole())], "", output),
            Wanted::Nothing => {
                let error = selected.refuse(Error::new(416, "Range not satisfiable"));
                Err(error.with_header("Content-Range", format!("bytes */{}", selected.length)))
            }
            Wanted::Parts(parts) => {
                reply.rare.status = 206;
                // What was said of the whole does not hold for a part.
                reply.fields.remove("content-length");
                reply.fields.remove("content-range");
                match parts[..] {
                    [part] => {
                        reply.set_field("Content-Range", &content_range(part, selected.length), true);
                        reply.send_parts(selected, &[(String::new(), part)], "", output)
                    }
                    _ => reply.send_multipart(selected, parts, output),
                }
            }
        }
    }

    /// The time of day in seconds of Unix time, at most a second behind.
    pub(crate) const fn unix_second(&self) -> u64 {
        self.reply.unix_second()
    }

    /// Leaves a representation to be finished when the handler has returned, as the request asks for it.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    pub(crate) fn leave_file(self, selected: Representation) -> Result<Sent> {
        self.reply.seal()?;
        self.reply.set_rest(super::Rest::File(Box::new(selected)));
        Ok(Sent::new())
    }
}

/// Validators that the handler has set in place of those of the file: what is sent is what counts.
struct OwnValidators {
    /// And whether it is weak.
    tag: Option<(String, bool)>,
    modified: Option<u64>,
}

impl OwnValidators {
    fn over<'a>(&'a self, file: Validators<'a>) -> Validators<'a> {
        let (tag, weak) = self.tag.as_ref().map_or((file.tag, file.weak), |(tag, weak)| (tag, *weak));
        Validators { tag, weak, modified: self.modified.unwrap_or(file.modified) }
    }
}

impl Reply {
    fn own_validators(&self) -> Option<OwnValidators> {
        let (tag, modified) = (self.fields.get("etag"), self.fields.get("last-modified").and_then(parse_http_date));
        let tag = tag.map(|tag| tag.strip_prefix("W/").map_or((tag.to_owned(), false), |tag| (tag.to_owned(), true)));
        (tag.is_some() || modified.is_some()).then_some(OwnValidators { tag, modified })
    }

    /// Whether a line with one of these names was set.
    #[inline]
    fn names_any(&self, lines: &[Line]) -> bool {
        !self.fields.text.is_empty() && lines.iter().any(|line| self.fields.get(line.name).is_some())
    }

    /// Takes over the lines of a representation, but for those that the handler has set itself.
    fn take_lines(&mut self, selected: &Representation, only_kept: bool) {
        for Line { name, value, kept } in &selected.lines {
            let is_list = *name == "Vary";
            if (*kept || !only_kept) && (is_list || self.fields.get(name).is_none()) {
                self.fields.push(name, value);
            }
        }
    }

    fn not_modified(&mut self, selected: &Representation, output: &mut OutputQueue) -> Sent {
        self.rare.status = 304;
        self.fields.remove("content-length");
        self.take_lines(selected, true);
        self.head().encode(output.inline(), ContentType::NONE, BodyLength::Known(0));
        self.finish(0)
    }

    /// Sends parts, each with a head of its own, and `end` behind them.
    fn send_parts(
        &mut self,
        selected: &Representation,
        parts: &[(String, Part)],
        end: &str,
        output: &mut OutputQueue,
    ) -> Result<Sent> {
        let length = parts.iter().map(|(head, part)| head.len() as u64 + part.len()).sum::<u64>() + end.len() as u64;
        self.check_length(length)?;
        self.take_lines(selected, false);
        let announced = if self.rare.status == 205 { 0 } else { length };
        self.head().encode(output.inline(), ContentType::NONE, BodyLength::Known(announced));
        if !self.has_content() {
            return Ok(self.finish(0));
        }
        for (head, part) in parts {
            output.inline().extend_from_slice(head.as_bytes());
            selected.push(*part, output);
        }
        output.inline().extend_from_slice(end.as_bytes());
        Ok(self.finish(length))
    }

    /// `multipart/byteranges` (RFC 9110 §14.6).
    fn send_multipart(
        &mut self,
        selected: &Representation,
        parts: Vec<Part>,
        output: &mut OutputQueue,
    ) -> Result<Sent> {
        // Nobody can know it before, so nobody can have put it into the file.
        let random = RandomState::new();
        let boundary = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
        let stored = selected.lines.iter().find(|line| line.name == "Content-Type").map(|line| line.value.as_str());
        let content_type = self
            .fields
            .get("content-type")
            .or(stored)
            .map_or(String::new(), |value| format!("Content-Type: {value}\r\n"));
        let head = |part: Part| {
            let range = content_range(part, selected.length);
            (format!("\r\n--{boundary}\r\n{content_type}Content-Range: {range}\r\n\r\n"), part)
        };
        let parts: Vec<_> = parts.into_iter().map(head).collect();
        self.set_field("Content-Type", &format!("multipart/byteranges; boundary={boundary}"), true);
        self.send_parts(selected, &parts, &format!("\r\n--{boundary}--\r\n"), output)
    }
}

fn content_range(part: Part, length: u64) -> String {
    format!("bytes {}-{}/{length}", part.start, part.end - 1)
}

impl fmt::Debug for Representation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Representation({}, {} bytes)", self.tag, self.length)
    }
}
