//! The request target: its four forms (RFC 9112 §3.2) and the bytes that a URI may hold (RFC 3986 §2).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::authority;
use super::error::ProtocolError;
use crate::http::{Method, classes};

/// A request target, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub(super) raw_path: &'a str,
    /// The path, percent-decoded once.
    pub(super) path: Cow<'a, str>,
    pub(super) query: Option<&'a str>,
    /// The authority of an absolute-form target.
    pub(super) authority: Option<&'a [u8]>,
}

/// What a byte of a target means; a set of them says what a stretch of bytes holds.
pub(super) mod class {
    /// Allowed in path and query.
    pub(in crate::h1) const PATH: u8 = 0;
    /// Allowed in the query only.
    pub(in crate::h1) const QUERY: u8 = 1;
    /// Ends the path.
    pub(in crate::h1) const QUESTION_MARK: u8 = 8;
    /// A percent sign: in a path, two hexadecimal digits must follow.
    pub(in crate::h1) const PERCENT: u8 = 2;
    pub(in crate::h1) const NEVER: u8 = 4;
}

/// Stricter than what httparse lets through, and wider than RFC 3986 where browsers are: they send `|`, `[`, `]` and
/// `^` raw in a path, and nearly everything printable in a query (WHATWG URL).
pub(super) const CLASS: [u8; 256] = {
    let mut table = [class::NEVER; 256];
    let mut byte = 0x21;
    while byte < 0x7f {
        table[byte] = match byte as u8 {
            b'#' => class::NEVER,
            b'"' | b'<' | b'>' | b'\\' | b'{' | b'}' | b'`' => class::QUERY,
            b'%' => class::PERCENT,
            b'?' => class::QUESTION_MARK,
            _ => class::PATH,
        };
        byte += 1;
    }
    table
};

/// Takes `target` apart and checks each of its bytes.
#[inline(always)]
pub(super) fn parse(method: Method, target: &str) -> Result<Target<'_>, ProtocolError> {
    match target.as_bytes() {
        [b'/', ..] => origin_form(target, None),
        b"*" if method == Method::Options => {
            Ok(Target { raw_path: "*", path: Cow::Borrowed("*"), query: None, authority: None })
        }
        _ => absolute_form(target),
    }
}

#[inline(always)]
fn origin_form<'a>(target: &'a str, authority: Option<&'a [u8]>) -> Result<Target<'a>, ProtocolError> {
    match classes(&CLASS, target.as_bytes()) {
        class::PATH => Ok(Target { raw_path: target, path: Cow::Borrowed(target), query: None, authority }),
        _ => origin_form_with_more(target, authority),
    }
}

/// There is a query, or something is encoded or forbidden.
fn origin_form_with_more<'a>(target: &'a str, authority: Option<&'a [u8]>) -> Result<Target<'a>, ProtocolError> {
    let (raw_path, query) = match target.split_once('?') {
        Some((raw_path, query)) => (raw_path, Some(query)),
        None => (target, None),
    };
    // A percent sign that begins no triplet is left to the WHATWG rules by which the query will be decoded.
    if query.is_some_and(|query| classes(&CLASS, query.as_bytes()) & class::NEVER != 0) {
        return Err(ProtocolError::Target);
    }
    let path = match classes(&CLASS, raw_path.as_bytes()) {
        class::PATH => Cow::Borrowed(raw_path),
        class::PERCENT => decode(raw_path)?,
        _ => return Err(ProtocolError::Target),
    };
    Ok(Target { raw_path, path, query, authority })
}

/// `http://authority/path?query`, scheme in any case; an empty path is `/`.
#[cold]
fn absolute_form(target: &str) -> Result<Target<'_>, ProtocolError> {
    let (scheme, rest) = target.split_once("://").ok_or(ProtocolError::Target)?;
    // "A request for an https resource MUST be rejected unless it has been received over a connection that has been
    // secured" (RFC 9110 §7.4).
    if scheme.eq_ignore_ascii_case("https") {
        return Err(ProtocolError::NotSecured);
    }
    if !scheme.eq_ignore_ascii_case("http") {
        return Err(ProtocolError::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let authority = &rest.as_bytes()[..end];
    authority::check(authority).map_err(|_| ProtocolError::Target)?;
    let parsed = origin_form(&rest[end..], Some(authority))?;
    if parsed.raw_path.is_empty() {
        return Ok(Target { raw_path: "/", path: Cow::Borrowed("/"), ..parsed });
    }
    Ok(parsed)
}

/// Decodes once. What a path must not hold: a percent sign without its two digits, and after decoding NUL, and bytes
/// that are no UTF-8.
#[cold]
fn decode(raw_path: &str) -> Result<Cow<'_, str>, ProtocolError> {
    let mut stretches = raw_path.split('%');
    stretches.next();
    let is_digits =
        |bytes: &[u8]| matches!(bytes, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    if !stretches.all(|stretch| is_digits(stretch.as_bytes())) {
        return Err(ProtocolError::Target);
    }
    let path = percent_decode_str(raw_path).decode_utf8().map_err(|_| ProtocolError::Target)?;
    if path.contains('\0') { Err(ProtocolError::Target) } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: &str, raw_path: &str, path: &str, query: Option<&str>, authority: Option<&str>) {
        let expected = Target { raw_path, path: path.into(), query, authority: authority.map(str::as_bytes) };
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
        check("http://[::1]/a?q", "/a", "/a", Some("q"), Some("[::1]"));
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
        assert_eq!(parse(Method::Get, "HTTPS://h/"), Err(ProtocolError::NotSecured));
    }
}
