//! The quick reading of a request line, as nearly every request has it: a known method, a path, perhaps a query,
//! `HTTP/1.1`.
//!
//! It looks at each byte once; httparse and the checks after it look three times. Only lines that they would accept are
//! accepted here, with the same meaning. The general reading (`head.rs`) gets all others.

use super::scan::skip_until;
use super::target::{CLASS, class};
use crate::http::Method;

/// A request line without anything unusual.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: &'a [u8],
    /// The target without its query. Nothing in it is percent-encoded.
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    /// The bytes after its CRLF.
    pub(super) rest: &'a [u8],
}

/// Recognises the line at the front of `bytes`. Returns `None` if it is unusual, invalid or not whole.
#[inline(always)]
pub(super) fn recognise(bytes: &[u8]) -> Option<RequestLine<'_>> {
    let (method, line) = method(bytes)?;
    if line.first() != Some(&b'/') {
        return None;
    }
    let after_path = skip_until_class(line, !class::PATH);
    let path_len = line.len() - after_path.len();
    let (query, after_target) = match after_path {
        [b' ', ..] => (None, after_path),
        [b'?', query @ ..] => {
            let after_query = skip_until_class(query, class::NEVER);
            (Some(&query[..query.len() - after_query.len()]), after_query)
        }
        _ => return None,
    };
    let rest = after_target.strip_prefix(b" HTTP/1.1\r\n")?;
    let target_len = line.len() - after_target.len();
    Some(RequestLine { method, target: &line[..target_len], path: &line[..path_len], query, rest })
}

/// The bytes from the first one on that is in one of these classes.
#[inline(always)]
fn skip_until_class(bytes: &[u8], classes: u8) -> &[u8] {
    skip_until(bytes, |byte| CLASS[usize::from(byte)] & classes != 0)
}

/// The method, and the bytes after the space that ends it.
#[inline(always)]
fn method(bytes: &[u8]) -> Option<(Method, &[u8])> {
    Some(match bytes {
        [b'G', b'E', b'T', b' ', line @ ..] => (Method::Get, line),
        [b'P', b'O', b'S', b'T', b' ', line @ ..] => (Method::Post, line),
        [b'H', b'E', b'A', b'D', b' ', line @ ..] => (Method::Head, line),
        [b'P', b'U', b'T', b' ', line @ ..] => (Method::Put, line),
        [b'D', b'E', b'L', b'E', b'T', b'E', b' ', line @ ..] => (Method::Delete, line),
        [b'P', b'A', b'T', b'C', b'H', b' ', line @ ..] => (Method::Patch, line),
        [b'O', b'P', b'T', b'I', b'O', b'N', b'S', b' ', line @ ..] => (Method::Options, line),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_lines_are_recognised() {
        let line = |text: &'static str| {
            recognise(text.as_bytes()).map(|line| (line.method.as_str(), line.path, line.query, line.rest))
        };
        assert_eq!(line("GET / HTTP/1.1\r\nx"), Some(("GET", &b"/"[..], None, &b"x"[..])));
        assert_eq!(
            line("POST /a/b?c=%20?d HTTP/1.1\r\n"),
            Some(("POST", &b"/a/b"[..], Some(&b"c=%20?d"[..]), &b""[..]))
        );
        for method in Method::ALL.into_iter().filter(|&method| method != Method::Trace) {
            let text = format!("{method} /x? HTTP/1.1\r\n");
            let line = recognise(text.as_bytes()).unwrap();
            assert_eq!((line.method, line.target, line.query), (method, &b"/x?"[..], Some(&b""[..])));
        }
    }

    #[test]
    fn unusual_lines_are_left_to_httparse() {
        for text in [
            "",
            "GET",
            "GET ",
            "GET /",
            "GET / HTTP/1.1\r",
            "GET / HTTP/1.0\r\n",
            "GET / HTTP/1.1\n\n",
            "GET  / HTTP/1.1\r\n",
            "GET /  HTTP/1.1\r\n",
            "GET /%41 HTTP/1.1\r\n",
            "GET /\\ HTTP/1.1\r\n",
            "GET /#x HTTP/1.1\r\n",
            "GET /?\u{e9} HTTP/1.1\r\n",
            "GET * HTTP/1.1\r\n",
            "GET http://h/ HTTP/1.1\r\n",
            "get / HTTP/1.1\r\n",
            "GETX / HTTP/1.1\r\n",
            "TRACE / HTTP/1.1\r\n",
        ] {
            assert_eq!(recognise(text.as_bytes()), None, "{text:?}");
        }
    }
}
