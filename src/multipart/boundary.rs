//! The boundary, as the `Content-Type` of a request names it.

use super::fault::Fault;
use super::parameters::Parameters;
use crate::exchange::Request;

/// The most characters of a boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What begins each boundary line but the first: CRLF, two hyphens, and the boundary.
///
/// The boundary has no CR. So a CR can only be the first byte of a delimiter, and a search that fails within one never
/// has to look at the same bytes again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Delimiter(Box<[u8]>);

impl Delimiter {
    /// Reads it from the head of a request.
    ///
    /// # Errors
    /// If the content is no form of this kind, or its boundary is missing or malformed.
    pub(super) fn of(request: &Request<'_>) -> Result<Self, Fault> {
        let mut lines = request.headers().all("content-type");
        match (lines.next(), lines.next()) {
            (Some(value), None) => Self::read(std::str::from_utf8(value).map_err(|_| Fault::Boundary)?),
            (None, _) => Err(Fault::OtherType),
            (Some(_), Some(_)) => Err(Fault::Boundary),
        }
    }

    /// Reads it from the value of a `Content-Type`.
    pub(super) fn read(content_type: &str) -> Result<Self, Fault> {
        let (media_type, parameters) = Parameters::split(content_type);
        if !media_type.eq_ignore_ascii_case("multipart/form-data") {
            return Err(Fault::OtherType);
        }
        let mut boundary = None;
        for parameter in parameters {
            let (name, value) = parameter.ok_or(Fault::Boundary)?;
            if name.eq_ignore_ascii_case("boundary") && boundary.replace(value.raw()).is_some() {
                return Err(Fault::Boundary);
            }
        }
        boundary.filter(|boundary| is_boundary(boundary.as_bytes())).map(Self::new).ok_or(Fault::Boundary)
    }

    fn new(boundary: &str) -> Self {
        Self(["\r\n--", boundary].concat().into_bytes().into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// `boundary` in RFC 2046 §5.1.1: up to 70 of these characters, and the last one is no space.
fn is_boundary(bytes: &[u8]) -> bool {
    let is_allowed = |&byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    matches!(bytes.len(), 1..=MAX_BOUNDARY) && bytes.iter().all(is_allowed) && !bytes.ends_with(b" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_is_that_of_the_content_type() {
        for (value, boundary) in [
            ("multipart/form-data; boundary=a", "a"),
            ("multipart/form-data;boundary=a", "a"),
            ("Multipart/Form-DATA ; BOUNDARY=\"a\"", "a"),
            ("multipart/form-data; charset=utf-8 ; boundary=x ", "x"),
            (
                "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
                "----WebKitFormBoundary7MA4YWxkTrZu0gW",
            ),
            (
                "multipart/form-data; boundary=\"gc0p4Jq0M2Yt08j34c0p/a b='()+_,-./:=?\"",
                "gc0p4Jq0M2Yt08j34c0p/a b='()+_,-./:=?",
            ),
            (&format!("multipart/form-data; boundary={}", "b".repeat(70)), &"b".repeat(70)),
        ] {
            assert_eq!(Delimiter::read(value), Ok(Delimiter::new(boundary)), "{value}");
        }
    }

    #[test]
    fn what_names_no_boundary_is_refused() {
        for (value, fault) in [
            ("", Fault::OtherType),
            ("multipart/mixed; boundary=a", Fault::OtherType),
            ("application/x-www-form-urlencoded", Fault::OtherType),
            ("multipart/form-data", Fault::Boundary),
            ("multipart/form-data; boundary=", Fault::Boundary),
            ("multipart/form-data; boundary=\"\"", Fault::Boundary),
            ("multipart/form-data; boundary=a/b", Fault::Boundary),
            ("multipart/form-data; boundary=\"a\\b\"", Fault::Boundary),
            ("multipart/form-data; boundary=\"a ", Fault::Boundary),
            ("multipart/form-data; boundary=\"a \"", Fault::Boundary),
            ("multipart/form-data; boundary=a b", Fault::Boundary),
            ("multipart/form-data; boundary=a, multipart/form-data; boundary=b", Fault::Boundary),
            ("multipart/form-data; boundary=a; boundary=a", Fault::Boundary),
            ("multipart/form-data; boundary=\"a\u{e9}\"", Fault::Boundary),
            (&format!("multipart/form-data; boundary={}", "b".repeat(71)), Fault::Boundary),
        ] {
            assert_eq!(Delimiter::read(value), Err(fault), "{value}");
        }
    }
}
