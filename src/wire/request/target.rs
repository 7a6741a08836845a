//! The request target: its four forms (RFC 9112 §3.2) and the bytes that a URI may contain (RFC 3986 §2).

use percent_encoding::percent_decode_str;

use super::authority;
use crate::http::{Method, classes};
use crate::wire::ProtocolError;

/// A request target, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The path, still encoded: it decodes to UTF-8 without NUL.
    pub(crate) raw_path: &'a str,
    pub(crate) query: Option<&'a str>,
    /// The authority of an absolute-form target.
    pub(crate) authority: Option<&'a [u8]>,
}

/// The class of a byte of a target. The classes of a stretch of bytes are combined by OR.
pub(crate) mod class {
    /// Allowed in path and query.
    pub(in crate::wire) const PATH: u8 = 0;
    /// Allowed in the query only.
    pub(in crate::wire) const QUERY: u8 = 1;
    /// Ends the path.
    pub(in crate::wire) const QUESTION_MARK: u8 = 8;
    /// A percent sign. In a path, two hexadecimal digits must follow it.
    pub(in crate::wire) const PERCENT: u8 = 2;
    /// Not allowed.
    pub(in crate::wire) const NEVER: u8 = 4;
}

/// The class of each byte. This is stricter than httparse, and wider than RFC 3986 where browsers are. They send `|`,
/// `[`, `]` and `^` unencoded in a path, and nearly everything printable in a query (WHATWG URL).
pub(crate) const CLASS: [u8; 256] = {
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
pub(crate) fn parse(method: Method, target: &str) -> Result<Target<'_>, ProtocolError> {
    match target.as_bytes() {
        [b'/', ..] => origin_form(target, None),
        b"*" if method == Method::Options => Ok(Target { raw_path: "*", query: None, authority: None }),
        _ => absolute_form(target),
    }
}

#[inline(always)]
fn origin_form<'a>(target: &'a str, authority: Option<&'a [u8]>) -> Result<Target<'a>, ProtocolError> {
    match classes(&CLASS, target.as_bytes()) {
        class::PATH => Ok(Target { raw_path: target, query: None, authority }),
        _ => origin_form_with_more(target, authority),
    }
}

/// Takes apart a target that has a query, or something encoded or forbidden.
fn origin_form_with_more<'a>(target: &'a str, authority: Option<&'a [u8]>) -> Result<Target<'a>, ProtocolError> {
    let (raw_path, query) = match target.split_once('?') {
        Some((raw_path, query)) => (raw_path, Some(query)),
        None => (target, None),
    };
    // In a query, any percent sign may stay: the WHATWG rules, by which it will be decoded, allow it.
    if query.is_some_and(|query| classes(&CLASS, query.as_bytes()) & class::NEVER != 0) {
        return Err(ProtocolError::Target);
    }
    match classes(&CLASS, raw_path.as_bytes()) {
        class::PATH => {}
        class::PERCENT => check_encoded(raw_path)?,
        _ => return Err(ProtocolError::Target),
    }
    Ok(Target { raw_path, query, authority })
}

/// Takes apart `http://authority/path?query`. The scheme may be in any case, and an empty path is `/`.
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
        return Ok(Target { raw_path: "/", ..parsed });
    }
    Ok(parsed)
}

/// Refuses a path with a percent sign that is not followed by two digits, and one that decodes to NUL or to bytes that
/// are not UTF-8.
#[cold]
fn check_encoded(raw_path: &str) -> Result<(), ProtocolError> {
    let mut stretches = raw_path.split('%');
    stretches.next();
    let is_digits =
        |bytes: &[u8]| matches!(bytes, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
    if !stretches.all(|stretch| is_digits(stretch.as_bytes())) || !is_text(percent_decode_str(raw_path)) {
        return Err(ProtocolError::Target);
    }
    Ok(())
}

/// The number of bytes that [`is_text`] checks at once.
const ROOM: usize = 128;

/// Whether these bytes are UTF-8 without NUL. They are checked in pieces, so that nothing is allocated for a path that
/// no handler may ask for.
fn is_text(mut bytes: impl Iterator<Item = u8>) -> bool {
    let (mut room, mut begun) = ([0; ROOM], 0);
    loop {
        let mut len = begun;
        for (place, byte) in room[begun..].iter_mut().zip(bytes.by_ref()) {
            *place = byte;
            len += 1;
        }
        if len == begun {
            // The last character must be whole.
            return begun == 0;
        }
        let text = match std::str::from_utf8(&room[..len]) {
            Ok(_) => len,
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return false,
        };
        if memchr::memchr(0, &room[..text]).is_some() {
            return false;
        }
        room.copy_within(text..len, 0);
        begun = len - text;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::decode_segment;

    #[track_caller]
    fn check(target: &str, raw_path: &str, path: &str, query: Option<&str>, authority: Option<&str>) {
        let expected = Target { raw_path, query, authority: authority.map(str::as_bytes) };
        assert_eq!(parse(Method::Get, target), Ok(expected), "{target}");
        assert_eq!(decode_segment(raw_path.as_bytes()), path, "{target}");
    }

    #[test]
    fn each_form_of_a_target_is_taken_apart() {
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
    fn any_other_target_is_refused() {
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

    #[test]
    fn a_text_of_any_length_is_checked() {
        // Characters of each length, so that one of each kind crosses the end of a piece.
        for c in ["a", "\u{e4}", "\u{20ac}", "\u{1f600}"] {
            for before in 0..4 {
                let text = "x".repeat(before) + &c.repeat(ROOM);
                assert!(is_text(text.bytes()), "{c} after {before}");
                assert!(!is_text(text.bytes().chain([0])) && !is_text(text.bytes().chain([0xff])));
                for begun in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98"] {
                    assert!(!is_text(text.bytes().chain(begun.iter().copied())));
                }
            }
        }
        for len in [0, 1, ROOM - 1, ROOM, ROOM + 1] {
            assert!(is_text(std::iter::repeat_n(b'x', len)));
            assert!(!is_text(std::iter::repeat_n(b'x', len).chain([0xe4])));
        }
    }
}
