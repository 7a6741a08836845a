//! Request heads: found by a search that resumes, parsed in place by httparse, and checked for everything that httparse
//! lets through. This is the only place that calls it.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::authority::KnownAuthority;
use super::error::ProtocolError;
use super::framing::{self, Expectation, Framing, FramingFields};
use super::request_line::{self, RequestLine};
use super::target;
use crate::config::Config;
use crate::exchange::Head;
use crate::http::{Fields, Method, Version, is_name};
use crate::limits::{MAX_FIELDS, MAX_METHOD};

/// Room for the field lines of nearly every head, on the stack.
pub(super) type FewSlots<'a> = [httparse::Header<'a>; FEW_FIELDS];

/// Room for those of every head that is taken. It is not initialised.
pub(super) type ManySlots<'a> = [MaybeUninit<httparse::Header<'a>>; MAX_FIELDS];

/// httparse takes room that is not initialised only together with the request line, and its way with the line costs more
/// than to write so many.
const FEW_FIELDS: usize = 24;

#[inline(always)]
pub(super) const fn few_slots<'a>() -> FewSlots<'a> {
    [httparse::EMPTY_HEADER; FEW_FIELDS]
}

#[inline(always)]
pub(super) const fn many_slots<'a>() -> ManySlots<'a> {
    [const { MaybeUninit::uninit() }; MAX_FIELDS]
}

/// A whole, valid head, and what it says of the message behind it.
#[derive(Debug)]
pub(super) struct Message<'a> {
    pub(super) head: Head<'a>,
    /// Bytes of the head, blank line included.
    pub(super) len: usize,
    pub(super) framing: Framing,
    pub(super) persistent: bool,
    /// The client asked for `keep-alive` in so many words.
    pub(super) asked_keep_alive: bool,
    pub(super) expectation: Expectation,
    /// The client offers another protocol (RFC 9110 §7.8).
    pub(super) offers_upgrade: bool,
    /// Bytes of another request stand behind this one already.
    pub(super) followed: bool,
}

impl Message<'_> {
    /// Whether the client takes trailers. Asked only where there may be some.
    pub(super) fn takes_trailers(&self) -> bool {
        self.head.fields.all("te").any(framing::takes_trailers)
    }
}

#[cfg(test)]
thread_local! {
    /// How many times [`parse`] was called, for the test that counts.
    pub(super) static PARSES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// [`parse`] for the rare second look at a head.
#[cold]
#[inline(never)]
pub(super) fn parse_again<'a>(
    bytes: &'a [u8],
    few: &'a mut FewSlots<'a>,
    many: &'a mut ManySlots<'a>,
    known: &mut KnownAuthority,
    config: &Config,
) -> Result<Option<Message<'a>>, ProtocolError> {
    parse(bytes, few, many, known, config)
}

/// Parses the head at the front of `bytes`, which is not an empty line; `None` if its end has not come. `known` saves
/// work and changes nothing.
///
/// Inlined where each request passes, so that its large result is built in place.
#[inline(always)]
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    few: &'a mut FewSlots<'a>,
    many: &'a mut ManySlots<'a>,
    known: &mut KnownAuthority,
    config: &Config,
) -> Result<Option<Message<'a>>, ProtocolError> {
    #[cfg(test)]
    PARSES.with(|parses| parses.set(parses.get() + 1));
    let (mut head, len) = match ordinary(bytes, few) {
        Some(found) => found,
        None => match unusual(bytes, many, config)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    check_size(head.target.len(), len, config)?;
    let mut read = FieldsRead::default();
    read.look_through(bytes, len, head.fields)?;
    match (read.host, head.version) {
        (Some(host), _) => known.check(host)?,
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
        persistent: read.framing.persistent(head.version),
        asked_keep_alive: read.framing.keep_alive,
        // "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
        offers_upgrade: read.framing.upgrade && head.version == Version::Http11,
        expectation: match read.expectation {
            // "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore it."
            Expectation::Continue if head.version == Version::Http10 => Expectation::None,
            expectation => expectation,
        },
        head,
    }))
}

/// Reads a head whose request line is ordinary; gives its length too. `None` if it is not, or if anything else is wrong
/// or missing: then [`unusual`] says what.
#[inline(always)]
pub(super) fn ordinary<'a>(bytes: &'a [u8], slots: &'a mut FewSlots<'a>) -> Option<(Head<'a>, usize)> {
    let RequestLine { method, target, path, query, rest } = request_line::recognise(bytes)?;
    let Ok(httparse::Status::Complete((fields_len, fields))) = httparse::parse_headers(rest, slots) else {
        return None;
    };
    let len = bytes.len() - rest.len() + fields_len;
    let (version, fields) = (Version::Http11, Fields::new(fields));
    Some((Head { method, version, target, raw_path: path, decoded_path: None, query, authority: None, fields }, len))
}

/// Reads any head; `None` if its end has not come.
#[cold]
#[inline(never)]
pub(super) fn unusual<'a>(
    bytes: &'a [u8],
    slots: &'a mut ManySlots<'a>,
    config: &Config,
) -> Result<Option<(Head<'a>, usize)>, ProtocolError> {
    let mut parsed = httparse::Request::new(&mut []);
    let len = match parsed.parse_with_uninit_headers(bytes, slots) {
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
    let fields = Fields::new(parsed.headers);
    // The errors of the fields come before those of the target.
    FieldsRead::default().look_through(bytes, len, fields)?;
    let parts = target::parse(method, target)?;
    let head = Head {
        method,
        version,
        target: target.as_bytes(),
        raw_path: parts.raw_path.as_bytes(),
        decoded_path: match parts.path {
            Cow::Borrowed(_) => None,
            Cow::Owned(path) => Some(path.into()),
        },
        query: parts.query.map(str::as_bytes),
        authority: parts.authority,
        fields,
    };
    Ok(Some((head, len)))
}

/// What the one pass over the field lines finds.
#[derive(Default)]
struct FieldsRead<'a> {
    host: Option<&'a [u8]>,
    expectation: Expectation,
    framing: FramingFields,
}

impl<'a> FieldsRead<'a> {
    /// Looks once at each line: does the line before it end in CRLF, and is it one of the few that concern us?
    ///
    /// httparse takes a bare LF for the end of a line. But every line is followed by a field name or by the blank line;
    /// so it is enough to look at the byte two before each name, and at the last four bytes of the head
    /// (RFC 9112 §2.2).
    #[inline(always)]
    fn look_through(&mut self, bytes: &[u8], len: usize, fields: Fields<'a>) -> Result<(), ProtocolError> {
        if !bytes[..len].ends_with(b"\r\n\r\n") {
            return Err(ProtocolError::BareLf);
        }
        for (name, value) in fields.iter() {
            let at = name.as_ptr() as usize - bytes.as_ptr() as usize;
            if bytes[at - 2] != b'\r' {
                return Err(ProtocolError::BareLf);
            }
            // The length tells nearly all names apart from ours.
            match name.len() {
                4 if is_name(name, b"host") && self.host.replace(value).is_some() => {
                    return Err(ProtocolError::Host);
                }
                6 if is_name(name, b"expect") => self.expectation = self.expectation.and(value),
                10 if is_name(name, b"connection") => self.framing.connection(value),
                14 if is_name(name, b"content-length") => self.framing.content_length(value)?,
                17 if is_name(name, b"transfer-encoding") => self.framing.transfer_encoding(value)?,
                _ => {}
            }
        }
        Ok(())
    }
}

pub(super) fn check_size(target: usize, head: usize, config: &Config) -> Result<(), ProtocolError> {
    if target > config.max_target {
        return Err(ProtocolError::TargetTooLong);
    }
    if head > config.max_head {
        return Err(ProtocolError::HeadTooLarge);
    }
    Ok(())
}

/// Decides the limits before the line has ended; tells whether it has.
#[cold]
pub(super) fn check_partial(bytes: &[u8], config: &Config) -> Result<bool, ProtocolError> {
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

/// httparse's errors in our words; `Ok` when it was hasty and the line has not ended.
#[cold]
fn explain(error: httparse::Error, bytes: &[u8], config: &Config) -> Result<(), ProtocolError> {
    match error {
        httparse::Error::Version => explain_version(bytes, config),
        httparse::Error::TooManyHeaders => Err(ProtocolError::TooManyFields),
        httparse::Error::HeaderName | httparse::Error::HeaderValue => Err(ProtocolError::Field),
        httparse::Error::NewLine | httparse::Error::Token | httparse::Error::Status => Err(ProtocolError::RequestLine),
    }
}

/// A version that is well-formed and not ours is a 505; anything else is a malformed line (RFC 9112 §2.3).
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
/// So a head that drips costs one look at each byte, and is parsed again only when it is whole.
pub(super) fn search_end(bytes: &[u8], searched: usize) -> Result<bool, ProtocolError> {
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
