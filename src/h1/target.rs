//! The request target: its four forms (RFC 9112 §3.2) and the bytes that a URI may hold (RFC 3986 §2).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::authority;
use super::error::ProtocolError;
use crate::http::Method;

/// A request target, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) raw_path: &'a str,
    /// The path, percent-decoded once.
    pub(super) path: Cow<'a, str>,
    pub(super) query: Option<&'a str>,
    /// The authority of an absolute-form target.
    pub(super) authority: Option<&'a str>,
}

/// What a byte of a target means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Allowed in path and query.
    Path,
    /// Allowed in the query only.
    Query,
    Percent,
    QuestionMark,
    Never,
}

/// Stricter than what httparse lets through, and wider than RFC 3986 where browsers are: they send `|`, `[`, `]` and
/// `^` raw in a path, and nearly everything printable in a query (WHATWG URL).
const CLASS: [Class; 256] = {
    let mut table = [Class::Never; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = match byte as u8 {
            b'#' => Class::Never,
            b'"' | b'<' | b'>' | b'\\' | b'{' | b'}' | b'`' => Class::Query,
            b'%' => Class::Percent,
            b'?' => Class::QuestionMark,
            _ => Class::Path,
        };
        byte += 1;
    }
    table
};

/// Takes `target` apart and checks each of its bytes.
#[inline]
pub(super) fn parse(method: Method, target: &str) -> Result<Target<'_>, ProtocolError> {
    match target.as_bytes() {
        [b'/', ..] => origin_form(target, None),
        b"*" if method == Method::Options => {
            Ok(Target { raw_path: "*", path: Cow::Borrowed("*"), query: None, authority: None })
        }
        _ => absolute_form(target),
    }
}

fn origin_form<'a>(target: &'a str, authority: Option<&'a str>) -> Result<Target<'a>, ProtocolError> {
    let bytes = target.as_bytes();
    let mut encoded = false;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match CLASS[byte as usize] {
            Class::Path => at += 1,
            Class::Percent if is_triplet(&bytes[at..]) => {
                encoded = true;
                at += 3;
            }
            Class::QuestionMark => break,
            Class::Percent | Class::Query | Class::Never => return Err(ProtocolError::Target),
        }
    }
    let (raw_path, rest) = target.split_at(at);
    let query = rest.get(1..);
    // A percent sign that begins no triplet is left to the WHATWG rules by which the query will be decoded.
    if query.is_some_and(|query| query.bytes().any(|byte| CLASS[byte as usize] == Class::Never)) {
        return Err(ProtocolError::Target);
    }
    let path = if encoded { decode(raw_path)? } else { Cow::Borrowed(raw_path) };
    Ok(Target { raw_path, path, query, authority })
}

/// `http://authority/path?query`, scheme in any case; an empty path is `/`.
#[cold]
fn absolute_form(target: &str) -> Result<Target<'_>, ProtocolError> {
    let (scheme, rest) = target.split_once("://").ok_or(ProtocolError::Target)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(ProtocolError::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = authority::parse(&rest.as_bytes()[..end]).map_err(|_| ProtocolError::Target)?;
    let parsed = origin_form(&rest[end..], Some(authority))?;
    if parsed.raw_path.is_empty() {
        return Ok(Target { raw_path: "/", path: Cow::Borrowed("/"), ..parsed });
    }
    Ok(parsed)
}

fn is_triplet(bytes: &[u8]) -> bool {
    matches!(bytes, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// Decodes once. What a path must not hold after that: NUL, and bytes that are no UTF-8.
#[cold]
fn decode(raw_path: &str) -> Result<Cow<'_, str>, ProtocolError> {
    let path = percent_decode_str(raw_path).decode_utf8().map_err(|_| ProtocolError::Target)?;
    if path.contains('\0') { Err(ProtocolError::Target) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, raw_path: &str, path: &str, query: Option<&str>, authority: Option<&str>) {
        let expected = Target { raw_path, path: path.into(), query, authority };
        assert_eq!(parse(Method::Get, target), Ok(expected), "{target}");
    }

    #[test]
    fn the_forms_of_a_target() {
        check("/", "/", "/", None, None);
        check("/a/b?x=1&y=2?z", "/a/b", "/a/b", Some("x=1&y=2?z"), None);
        check("/?", "/", "/", Some(""), None);
        check("/a%20b%2Fc", "/a%20b%2Fc", "/a b/c", None, None);
        check("/a%2520", "/a%2520", "/a%20", None, None);
        check("//a//", "//a//", "//a//", None, None);
        check("/a|b[c]^", "/a|b[c]^", "/a|b[c]^", None, None);
        check("/?{|}^`\\\"<>[]%zz%", "/", "/", Some("{|}^`\\\"<>[]%zz%"), None);
        check("http://h", "/", "/", None, Some("h"));
        check("HTTP://h:80?q", "/", "/", Some("q"), Some("h:80"));
        check("https://[::1]/a?q", "/a", "/a", Some("q"), Some("[::1]"));
        assert!(parse(Method::Options, "*").is_ok());
    }

    #[test]
    fn what_is_no_target() {
        let bad = [
            "*",
            "*x",
            "index.html",
            "host:80",
            "",
            "/a#b",
            "/a?b#c",
            "/a\"",
            "/<a>",
            "/a\\b",
            "/{a}",
            "/a`",
            "/%",
            "/%4",
            "/%zz",
            "/%00",
            "/a%00b",
            "/%ff",
            "/%c0%af",
            "/\u{e9}",
            "/?\u{e9}",
            "/\x7f",
            "/?\x01",
            "/a b",
            "ftp://h/",
            "http://",
            "http:///a",
            "http://u@h/",
            "http://h:x/",
            "http://h#f",
            "://h",
            "http:/a",
        ];
        for target in bad {
            assert_eq!(parse(Method::Get, target), Err(ProtocolError::Target), "{target}");
        }
        assert!(parse(Method::Options, "*x").is_err());
    }
}
