//! A multipart body, decoded piece by piece as it arrives (RFC 2046 §5.1, RFC 7578). It knows no connection and no
//! form: bytes go in, and the header and the content of each part come out. No content is kept here.

use memchr::memmem::Finder;
use memchr::memrchr;

use super::boundary::Delimiter;
use super::fault::Fault;
use crate::limits::{MAX_AROUND_PARTS, MAX_PART_HEADER};

/// Takes the boundaries off a body, and knows where in the body the input is.
///
/// It holds the header of one part at most. If a piece ends with what may be the beginning of a boundary line, only the
/// number of these bytes is kept, since they are known.
#[derive(Debug)]
pub(super) struct Decoder {
    at: At,
    /// Looks for a [`Delimiter`].
    finder: Finder<'static>,
    /// How many bytes of a delimiter the input has ended with.
    matched: usize,
    /// How many of these bytes are not content in any case, because they end the header before it.
    not_content: usize,
    /// The header of a part, as far as it has come.
    header: Vec<u8>,
    /// Bytes that belong to no part.
    around: usize,
}

/// What the next byte is. After a boundary come spaces and tabs that mean nothing (`transport-padding`), and CRLF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the first boundary line.
    Preamble,
    /// After a boundary: the first of the hyphens that mark the last one, or the rest of the line.
    Boundary,
    /// The second of these hyphens.
    Hyphen,
    Padding,
    BoundaryLf,
    Header,
    Content,
    /// After the last boundary. The body may end here, or in the epilogue.
    Last,
    LastLf,
    Epilogue,
}

/// What has come of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'a> {
    /// A part begins. This is its header: whole lines, and the empty line that ends it.
    Header(&'a [u8]),
    /// Content of this part; it is not empty.
    Content(&'a [u8]),
    /// This part is whole.
    PartEnd,
}

/// The CRLF with which a delimiter begins.
const CRLF: usize = 2;

impl Decoder {
    pub(super) fn new(delimiter: &Delimiter) -> Self {
        Self {
            at: At::Preamble,
            finder: Finder::new(delimiter.as_bytes()).into_owned(),
            // The first boundary line is the first line: it needs no CRLF before it.
            matched: CRLF,
            not_content: CRLF,
            header: Vec::new(),
            around: 0,
        }
    }

    /// Whether the body may end here.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self.at, At::Last | At::Epilogue)
    }

    /// Takes the next step. Returns how many bytes at the front of `input` it has used, and what has come. The caller
    /// calls again with the rest until all of the input is used.
    ///
    /// # Errors
    /// After a fault the decoder must not be used any more.
    pub(super) fn decode<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        match self.at {
            At::Preamble | At::Content if self.matched > 0 => self.go_on_matching(input),
            At::Preamble | At::Content => self.search(input),
            At::Header => self.header(input),
            _ => self.boundary_line(input).map(|used| (used, None)),
        }
    }

    /// Compares the input with the rest of a delimiter that has begun.
    fn go_on_matching<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        let rest = &self.finder.needle()[self.matched..];
        let same = rest.iter().zip(input).take_while(|(a, b)| a == b).count();
        if same == rest.len() {
            return Ok((same, self.delimiter_found()));
        }
        if same == input.len() {
            self.matched += same;
            return Ok((same, None));
        }
        // What was matched before is content, and the search begins anew with this input: no delimiter begins within
        // another one.
        let held = self.not_content..self.matched;
        (self.matched, self.not_content) = (0, 0);
        if self.at == At::Preamble {
            self.skip(held.len())?;
            return Ok((0, None));
        }
        let event = (!held.is_empty()).then(|| Event::Content(&self.finder.needle()[held]));
        Ok((0, event))
    }

    /// Looks for the next delimiter.
    fn search<'a>(&'a mut self, input: &'a [u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        let needle = self.finder.needle();
        let (content, used) = match self.finder.find(input) {
            Some(0) => return Ok((needle.len(), self.delimiter_found())),
            Some(at) => (at, at),
            None => {
                let tail = input.len().saturating_sub(needle.len() - 1);
                let begun = memrchr(b'\r', &input[tail..]).map(|at| tail + at);
                let content = begun.filter(|&at| needle.starts_with(&input[at..])).unwrap_or(input.len());
                self.matched = input.len() - content;
                (content, input.len())
            }
        };
        if self.at == At::Preamble {
            self.skip(content)?;
            return Ok((used, None));
        }
        Ok((used, (content > 0).then(|| Event::Content(&input[..content]))))
    }

    fn delimiter_found(&mut self) -> Option<Event<'static>> {
        let is_part = self.at == At::Content;
        (self.at, self.matched, self.not_content) = (At::Boundary, 0, 0);
        is_part.then_some(Event::PartEnd)
    }

    /// Collects the header of a part, line by line, until an empty line has come.
    fn header<'a>(&'a mut self, input: &[u8]) -> Result<(usize, Option<Event<'a>>), Fault> {
        let line_end = memchr::memchr(b'\n', input);
        let used = line_end.map_or(input.len(), |at| at + 1);
        if self.header.len() + used > MAX_PART_HEADER {
            return Err(Fault::HeaderTooLarge(MAX_PART_HEADER));
        }
        self.header.extend_from_slice(&input[..used]);
        if line_end.is_none() || !(self.header.ends_with(b"\r\n\r\n") || self.header == b"\r\n") {
            return Ok((used, None));
        }
        self.at = At::Content;
        // If the part has no content, its empty line can be the CRLF of the next boundary line (RFC 2046 §5.1.1).
        (self.matched, self.not_content) = (CRLF, CRLF);
        Ok((used, Some(Event::Header(&self.header))))
    }

    /// Reads the rest of a boundary line, or what comes after the last one. A line that only begins with the boundary
    /// is no content: a sender has to choose a boundary that no line begins with (RFC 2046 §5.1.1).
    fn boundary_line(&mut self, input: &[u8]) -> Result<usize, Fault> {
        for (at, &byte) in input.iter().enumerate() {
            self.at = match (self.at, byte) {
                (At::Boundary, b'-') => At::Hyphen,
                (At::Hyphen, b'-') => At::Last,
                (At::Boundary | At::Padding, b' ' | b'\t') => At::Padding,
                (At::Boundary | At::Padding, b'\r') => At::BoundaryLf,
                (At::BoundaryLf, b'\n') => {
                    self.header.clear();
                    self.at = At::Header;
                    return Ok(at + 1);
                }
                (At::Last, b' ' | b'\t') => At::Last,
                (At::Last, b'\r') => At::LastLf,
                (At::LastLf, b'\n') | (At::Epilogue, _) => At::Epilogue,
                _ => return Err(Fault::BoundaryLine),
            };
            if matches!((self.at, byte), (At::Padding | At::Last, b' ' | b'\t') | (At::Epilogue, _)) {
                self.skip(1)?;
            }
        }
        Ok(input.len())
    }

    /// Counts bytes that belong to no part.
    fn skip(&mut self, count: usize) -> Result<(), Fault> {
        self.around += count;
        if self.around > MAX_AROUND_PARTS { Err(Fault::Around) } else { Ok(()) }
    }
}
