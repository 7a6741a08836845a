//! The header of a part: which field of the form it is, and what it contains (RFC 7578 §4).

use std::borrow::Cow;
use std::fmt;

use percent_encoding::percent_decode_str;

use super::fault::Fault;
use super::file_name::safe_name;
use super::parameters::{Escapes, Parameters, Value, trim};
use crate::http::{is_field_value, is_token};

/// A part of a `multipart/form-data` request: a field of the form, or a file.
///
/// All of it is the client's word. In particular, [`content_type`](Self::content_type) is not checked against the
/// content, and [`file_name`](Self::file_name) may be a path: use [`safe_name`](Self::safe_name).
#[derive(Clone)]
pub struct Part<'a> {
    header: &'a str,
    name: Cow<'a, str>,
    file_name: Option<Cow<'a, str>>,
    content_type: Option<&'a str>,
}

impl<'a> Part<'a> {
    /// Reads the header of a part: lines that end with CRLF, and an empty line.
    pub(super) fn read(header: &'a [u8]) -> Result<Self, Fault> {
        let header = std::str::from_utf8(header).map_err(|_| Fault::Header)?;
        let header = header.strip_suffix("\r\n").ok_or(Fault::Header)?;
        let (mut disposition, mut content_type) = (None, None);
        for line in header.split_inclusive("\r\n") {
            let (name, value) = field_line(line).ok_or(Fault::Header)?;
            if name.eq_ignore_ascii_case("content-disposition") {
                if disposition.replace(value).is_some() {
                    return Err(Fault::Disposition);
                }
            } else if name.eq_ignore_ascii_case("content-type") {
                content_type = content_type.or(Some(value));
            } else if name.eq_ignore_ascii_case("content-transfer-encoding") && !is_plain(value) {
                return Err(Fault::TransferEncoding);
            }
        }
        let (name, file_name) = disposition.and_then(names).ok_or(Fault::Disposition)?;
        Ok(Self { header, name, file_name, content_type })
    }

    /// The name of the field, decoded.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name that the file has at the client, decoded; `None` if the part is no file. It may be a path, and may hold
    /// any character. A browser sends an empty name if its user has chosen no file.
    #[doc(alias = "filename")]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// Whether the part is a file.
    pub const fn is_file(&self) -> bool {
        self.file_name.is_some()
    }

    /// A name under which the file can be stored in a directory: [`safe_name`] of its file name.
    pub fn safe_name(&self) -> String {
        safe_name(self.file_name().unwrap_or_default())
    }

    /// The media type of the content, as the client says. Without one, it is `text/plain` (RFC 7578 §4.4).
    #[doc(alias = "mime")]
    pub const fn content_type(&self) -> Option<&'a str> {
        self.content_type
    }

    /// The value of the first field line of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers().find(|(line, _)| line.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All field lines of the header: each name as the client wrote it, and each value without the white space around
    /// it.
    #[doc(alias = "fields")]
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.header.split_inclusive("\r\n").filter_map(field_line)
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("file_name", &self.file_name)
            .field("content_type", &self.content_type)
            .finish()
    }
}

/// Splits a field line. A line that continues the one before it is none (RFC 9112 §5.2 lets a server refuse it).
fn field_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_suffix("\r\n")?.split_once(':')?;
    (is_token(name.as_bytes()) && is_field_value(value.as_bytes())).then_some((name, trim(value)))
}

/// Whether the content of the part is sent as it is.
fn is_plain(transfer_encoding: &str) -> bool {
    ["7bit", "8bit", "binary"].iter().any(|plain| transfer_encoding.eq_ignore_ascii_case(plain))
}

/// The name and the file name of a part.
type Names<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// Reads the names of a `Content-Disposition`.
///
/// To a browser a backslash is an ordinary character, and a name may end with one: `filename="a\"`. Read with escapes,
/// that has no end, so it is read once more without them. Browsers write no other quote within a name, so it cannot
/// have both meanings.
fn names(value: &str) -> Option<Names<'_>> {
    read_disposition(value, Escapes::Backslash).or_else(|| read_disposition(value, Escapes::Nothing))
}

/// Reads the name and the file name of a `Content-Disposition` (RFC 7578 §4.2).
///
/// `filename*` does not belong in a form, but some clients send it for a name that is not ASCII, with nothing beside it
/// or with a `filename` that a browser would not understand: that of .NET is encoded as in mail (RFC 2047). So it
/// counts before `filename` (RFC 6266 §4.3).
fn read_disposition(value: &str, escapes: Escapes) -> Option<Names<'_>> {
    let (kind, parameters) = Parameters::split_by(value, escapes);
    if !kind.eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut file_name, mut extended) = (None, None, None);
    for parameter in parameters {
        let (key, value) = parameter?;
        let (slot, text) = match key {
            _ if key.eq_ignore_ascii_case("name") => (&mut name, form_text(value, escapes)),
            _ if key.eq_ignore_ascii_case("filename") => (&mut file_name, form_text(value, escapes)),
            _ if key.eq_ignore_ascii_case("filename*") => (&mut extended, extended_text(value)?),
            _ => continue,
        };
        // Two readers could take different ones.
        if slot.replace(text).is_some() {
            return None;
        }
    }
    Some((name?, extended.or(file_name)))
}

/// Decodes a name as browsers encode it: `%22`, `%0D` and `%0A` for a quote and a line break, and nothing else (WHATWG
/// HTML §4.10.21.8). Other clients put a backslash before a quote and before a backslash.
fn form_text(value: Value<'_>, escapes: Escapes) -> Cow<'_, str> {
    let raw = value.raw();
    if !raw.contains(['%', '\\']) {
        return raw.into();
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['%', '\\']) {
        let (plain, from) = rest.split_at(at);
        text.push_str(plain);
        let (decoded, len) = match from.as_bytes() {
            [b'\\', quoted @ (b'"' | b'\\'), ..] if escapes == Escapes::Backslash => (char::from(*quoted), 2),
            [b'%', b'2', b'2', ..] => ('"', 3),
            [b'%', b'0', b'D' | b'd', ..] => ('\r', 3),
            [b'%', b'0', b'A' | b'a', ..] => ('\n', 3),
            [b'%', ..] => ('%', 1),
            _ => ('\\', 1),
        };
        text.push(decoded);
        rest = &from[len..];
    }
    text.push_str(rest);
    text.into()
}

/// Decodes a value of RFC 8187: `UTF-8'language'percent-encoded`.
fn extended_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    let Value::Token(raw) = value else { return None };
    let mut halves = raw.splitn(3, '\'');
    let (charset, _language, text) = (halves.next()?, halves.next()?, halves.next()?);
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}
