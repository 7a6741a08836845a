//! The head of a request: a search finds its end and can resume, and a parser reads it in place.
//!
//! There are two readings of a head. The *quick* one ([`request_line`], [`field_section`]) accepts only what nearly
//! every client sends, and costs half of what httparse does. The *general* one is httparse, followed by checks for
//! everything that httparse accepts and this server does not. This file is the only one that calls httparse.
//!
//! The general reading decides what a head is. The quick one declines what it does not know, and must otherwise come to
//! the same result. The tables of the tests run through both, and `fuzzing::readings` compares them.

use std::cell::OnceCell;
use std::mem::MaybeUninit;

use super::authority::KnownAuthority;
use super::field_section;
use super::fields_read::FieldsRead;
use super::framing::{Expectation, Framing};
use super::message::{Head, Message};
use super::request_line::{self, RequestLine};
use super::target;
use crate::config::Config;
use crate::http::{Fields, LineShape, Method, Version, lines};
use crate::limits::{MAX_FIELDS, MAX_METHOD};
use crate::wire::ProtocolError;

#[cfg(test)]
thread_local! {
    /// How many times [`parse`] was called.
    pub(crate) static PARSES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    /// Whether every head goes to the general reading.
    pub(crate) static ONLY_GENERAL: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// What the parser works with. One serves all connections, because a head is parsed in one go.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// Room for the shapes of the field lines of any head that is accepted.
    shapes: Box<[LineShape]>,
    /// The authority that was checked last, which most heads repeat.
    known_authority: KnownAuthority,
}

impl Default for Scratch {
    fn default() -> Self {
        Self { shapes: vec![LineShape::default(); MAX_FIELDS].into(), known_authority: KnownAuthority::default() }
    }
}

/// Parses the head at the front of `bytes`, which does not begin with an empty line. Returns `None` if the end of the
/// head has not arrived.
///
/// What earlier heads left in `scratch` does not change the result.
#[inline(never)]
pub(crate) fn parse<'a>(
    bytes: &'a [u8],
    scratch: &'a mut Scratch,
    config: &Config,
) -> Result<Option<Message<'a>>, ProtocolError> {
    #[cfg(test)]
    {
        PARSES.set(PARSES.get() + 1);
        if ONLY_GENERAL.get() {
            return parse_general(bytes, scratch, config);
        }
    }
    let mut read = FieldsRead::default();
    match read_quickly(bytes, &mut scratch.shapes, &mut read) {
        // `check` is inlined here a second time, so that the compiler knows the values that the quick reading always
        // gives.
        Some(parts) => check(parts, &read, bytes, scratch, config),
        None => parse_general(bytes, scratch, config),
    }
}

/// Does the same as [`parse`], by the general reading alone.
#[cold]
#[inline(never)]
pub(crate) fn parse_general<'a>(
    bytes: &'a [u8],
    scratch: &'a mut Scratch,
    config: &Config,
) -> Result<Option<Message<'a>>, ProtocolError> {
    let mut read = FieldsRead::default();
    match read_any(bytes, &mut scratch.shapes, &mut read, config)? {
        Some(parts) => check(parts, &read, bytes, scratch, config),
        None => Ok(None),
    }
}

/// Checks what the parts of a head say together, and makes the message of them.
#[inline(always)]
fn check<'a>(
    (mut head, section): Parts<'a>,
    read: &FieldsRead<'a>,
    bytes: &'a [u8],
    Scratch { shapes, known_authority }: &'a mut Scratch,
    config: &Config,
) -> Result<Option<Message<'a>>, ProtocolError> {
    head.fields = Fields::new(section.text, &shapes[..section.lines]);
    let len = section.head_len;
    check_size(head.target.len(), len, config)?;
    match (read.host, head.version) {
        (Some(host), _) => known_authority.check(host)?,
        (None, Version::Http10) => {}
        (None, Version::Http11) => return Err(ProtocolError::Host),
    }
    head.authority = head.authority.or(read.host);
    let framing = read.framing.framing(head.version)?;
    Ok(Some(Message {
        len,
        framing,
        followed: match framing {
            Framing::None => bytes.len() > len,
            Framing::Length(length) => (bytes.len() - len) as u64 > length,
            Framing::Chunked => false,
        },
        options: read.framing.options,
        expectation: match read.expectation {
            // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore it."
            Expectation::Continue if head.version == Version::Http10 => Expectation::None,
            expectation => expectation,
        },
        head,
    }))
}

/// A head without its fields, and the place of the field lines.
type Parts<'a> = (Head<'a>, Section<'a>);

/// The quick reading. It writes the shapes of the field lines to `shapes`, and their meaning to `read`. It returns
/// `None` if anything is unusual, wrong or missing. Then [`read_any`] finds out what.
#[inline(always)]
fn read_quickly<'a>(bytes: &'a [u8], shapes: &mut [LineShape], read: &mut FieldsRead<'a>) -> Option<Parts<'a>> {
    let RequestLine { method, target, path, query, rest } = request_line::recognise(bytes)?;
    let (lines, after_head) = field_section::recognise(rest, shapes, read)?;
    let section = Section { text: rest, lines, head_len: bytes.len() - after_head.len() };
    let (version, fields) = (Version::Http11, Fields::default());
    let head =
        Head { method, version, target, raw_path: path, decoded_path: OnceCell::new(), query, authority: None, fields };
    Some((head, section))
}

/// The general reading. It returns `None` if the end of the head has not arrived.
fn read_any<'a>(
    bytes: &'a [u8],
    shapes: &mut [LineShape],
    read: &mut FieldsRead<'a>,
    config: &Config,
) -> Result<Option<Parts<'a>>, ProtocolError> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let len = match parsed.parse_with_uninit_headers(bytes, &mut slots) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return check_partial(bytes, config).map(|_| None),
        Err(error) => return explain(error, bytes, config).map(|()| None),
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Err(ProtocolError::RequestLine);
    };
    check_size(target.len(), len, config)?;
    let method = Method::from_token(method).ok_or(ProtocolError::UnknownMethod)?;
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let section = section(bytes, len, parsed.headers, shapes)?;
    // If a field and the target are wrong, the error of the field is reported.
    lines(section.text, &shapes[..section.lines]).try_for_each(|line| read.line(line))?;
    let parts = target::parse(method, target)?;
    let head = Head {
        method,
        version,
        target: target.as_bytes(),
        raw_path: parts.raw_path.as_bytes(),
        decoded_path: OnceCell::new(),
        query: parts.query.map(str::as_bytes),
        authority: parts.authority,
        fields: Fields::default(),
    };
    Ok(Some((head, section)))
}

/// Finds the place and the shapes of the field lines that httparse has parsed.
///
/// httparse accepts a bare LF as the end of a line. RFC 9112 §2.2 allows that, but this server refuses it. After each
/// line comes a field name or the blank line. So two checks are enough: the byte two before each name, and the last
/// four bytes of the head.
fn section<'a>(
    bytes: &'a [u8],
    len: usize,
    fields: &[httparse::Header<'_>],
    shapes: &mut [LineShape],
) -> Result<Section<'a>, ProtocolError> {
    if !bytes[..len].ends_with(b"\r\n\r\n") {
        return Err(ProtocolError::BareLf);
    }
    let mut end = len - 2;
    for (shape, field) in shapes.iter_mut().zip(fields).rev() {
        let at = field.name.as_ptr() as usize - bytes.as_ptr() as usize;
        if bytes[at - 2] != b'\r' {
            return Err(ProtocolError::BareLf);
        }
        *shape = LineShape { name_len: field.name.len() as u32, len: (end - at) as u32 };
        end = at;
    }
    Ok(Section { text: &bytes[end..], lines: fields.len(), head_len: len })
}

/// The place of the field lines of a head.
#[derive(Debug)]
struct Section<'a> {
    /// The bytes from the first line on, also those after the lines.
    text: &'a [u8],
    /// The number of lines.
    lines: usize,
    /// The length of the whole head, blank line included.
    head_len: usize,
}

pub(crate) fn check_size(target: usize, head: usize, config: &Config) -> Result<(), ProtocolError> {
    if target > config.max_target {
        return Err(ProtocolError::TargetTooLong);
    }
    if head > config.max_head {
        return Err(ProtocolError::HeadTooLarge);
    }
    Ok(())
}

/// Checks the limits although the head has not ended. Returns whether the request line has.
#[cold]
pub(crate) fn check_partial(bytes: &[u8], config: &Config) -> Result<bool, ProtocolError> {
    let end = memchr::memchr(b'\n', bytes);
    let line = &bytes[..end.unwrap_or(bytes.len())];
    match memchr::memchr(b' ', line) {
        None if line.len() > MAX_METHOD => Err(ProtocolError::UnknownMethod),
        None => check_size(0, bytes.len(), config),
        Some(space) => {
            let target = &line[space + 1..];
            let len = memchr::memchr(b' ', target).unwrap_or(target.len());
            check_size(len, bytes.len(), config)
        }
    }?;
    Ok(end.is_some())
}

/// Translates an error of httparse. Returns `Ok` if httparse reported it before the line had ended.
#[cold]
fn explain(error: httparse::Error, bytes: &[u8], config: &Config) -> Result<(), ProtocolError> {
    match error {
        httparse::Error::Version => explain_version(bytes, config),
        httparse::Error::TooManyHeaders => Err(ProtocolError::TooManyFields),
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Err(ProtocolError::Field),
        httparse::Error::NewLine | httparse::Error::Token | httparse::Error::Status => Err(ProtocolError::RequestLine),
    }
}

/// A well-formed version that is not supported is a 505. Anything else is a malformed line (RFC 9112 §2.3).
fn explain_version(bytes: &[u8], config: &Config) -> Result<(), ProtocolError> {
    let Some(end) = memchr::memchr(b'\n', bytes) else { return check_partial(bytes, config).map(drop) };
    let Some(line) = bytes[..end].strip_suffix(b"\r") else { return Err(ProtocolError::BareLf) };
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(ProtocolError::Version)
        }
        _ => Err(ProtocolError::RequestLine),
    }
}

/// Looks for the end of a head that was partial when it was parsed, in the bytes from `searched` on.
///
/// So if a client sends a head byte by byte, each byte is looked at once, and the head is parsed again only when it is
/// whole.
pub(crate) fn search_end(bytes: &[u8], searched: usize) -> Result<bool, ProtocolError> {
    for offset in memchr::memchr_iter(b'\n', &bytes[searched..]) {
        let line = &bytes[..searched + offset];
        if !line.ends_with(b"\r") {
            return Err(ProtocolError::BareLf);
        }
        if line.ends_with(b"\r\n\r") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads_quickly(head: &str) -> bool {
        read_quickly(head.as_bytes(), &mut Scratch::default().shapes, &mut FieldsRead::default()).is_some()
    }

    #[test]
    fn the_quick_reading_takes_what_browsers_and_programs_send() {
        let browser = include_str!("../../../benches/browser-fields.txt").replace('\n', "\r\n");
        assert!(reads_quickly(&format!("GET / HTTP/1.1\r\nHost: a\r\n{browser}\r\n")));
        assert!(reads_quickly("POST /a?b=%20 HTTP/1.1\r\nhost:a\r\nContent-Length:  2 \r\n\r\n{}"));
        let full = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "a:\r\n".repeat(MAX_FIELDS - 1));
        assert!(reads_quickly(&full));
    }

    #[test]
    fn the_quick_reading_declines_what_is_unusual() {
        let too_many = "a:\r\n".repeat(MAX_FIELDS);
        for lines in
            ["a:\tb\r\n", "a: \u{e9}\r\n", "a: \u{7f}\r\n", "a : b\r\n", " a: b\r\n", "a\r\n", ": b\r\n", "a: b\n"]
        {
            assert!(!reads_quickly(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")), "{lines:?}");
        }
        for lines in ["Host: b\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n", &too_many] {
            assert!(!reads_quickly(&format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")), "{lines:?}");
        }
        assert!(!reads_quickly("GET / HTTP/1.1\r\nHost: a\r\n"), "the blank line is missing");
    }
}
