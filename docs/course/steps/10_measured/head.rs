//! Reading a head: the rules of step 5. New: a request borrows its head from the receive buffer.

use std::str;

/// The longest head in bytes.
pub const MAX_HEAD: usize = 8 * 1024;
/// The longest content in bytes.
pub const MAX_CONTENT: usize = 64 * 1024;
/// The largest number of field lines in a head.
const MAX_FIELDS: usize = 64;

/// The head of a request, as far as this server cares.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    pub target: &'a str,
    /// The length of the content in bytes.
    pub length: usize,
    /// Whether the client may send another request after this one.
    pub persists: bool,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    BadRequest,
    ContentTooLarge,
    HeadTooLarge,
    NotImplemented,
}

impl Refusal {
    pub fn status(self) -> &'static str {
        match self {
            Refusal::BadRequest => "400 Bad Request",
            Refusal::ContentTooLarge => "413 Content Too Large",
            Refusal::HeadTooLarge => "431 Request Header Fields Too Large",
            Refusal::NotImplemented => "501 Not Implemented",
        }
    }
}

/// Reads a head that has come whole.
pub fn parse(head: &[u8]) -> Result<Request<'_>, Refusal> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    // For httparse a bare LF ends a line. For another program on the way it may be a byte of a value.
    if head.split_inclusive(|&byte| byte == b'\n').any(|line| !line.ends_with(b"\r\n")) {
        return Err(Refusal::BadRequest);
    }
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        _ => return Err(Refusal::BadRequest),
    }
    let mut request = Request {
        method: parsed.method.unwrap_or_default(),
        target: parsed.path.unwrap_or_default(),
        length: 0,
        persists: parsed.version == Some(1),
    };
    let mut length = None;
    for field in parsed.headers.iter() {
        if field.name.eq_ignore_ascii_case("Content-Length") {
            // RFC 9112 §6.3: two lengths that differ are two messages for two readers.
            let value = content_length(field.value)?;
            if length.replace(value).is_some_and(|before| before != value) {
                return Err(Refusal::BadRequest);
            }
        } else if field.name.eq_ignore_ascii_case("Transfer-Encoding") {
            // RFC 9112 §6.1: a server that does not understand the coding says so.
            return Err(Refusal::NotImplemented);
        } else if field.name.eq_ignore_ascii_case("Connection") {
            let options = str::from_utf8(field.value).map_err(|_| Refusal::BadRequest)?;
            request.persists &= !options.split(',').any(|option| option.trim().eq_ignore_ascii_case("close"));
        }
    }
    request.length = length.unwrap_or(0);
    match request.length {
        0..=MAX_CONTENT => Ok(request),
        _ => Err(Refusal::ContentTooLarge),
    }
}

/// RFC 9110 §8.6: only digits. `usize::from_str` would take a `+`, too.
fn content_length(value: &[u8]) -> Result<usize, Refusal> {
    let digits = str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    match digits {
        None | Some("") => Err(Refusal::BadRequest),
        // A number that is too large for the machine is too large for us.
        Some(digits) => digits.parse().map_err(|_| Refusal::ContentTooLarge),
    }
}
