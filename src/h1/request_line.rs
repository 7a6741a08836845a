//! The request line that nearly every request has: a known method, a path, perhaps a query, `HTTP/1.1`.
//!
//! It is recognised by hand, in one look at each byte, because httparse and the checks behind it look three times. Only
//! what they would take is taken here, and with the same meaning; whatever is unusual is left to them.

use super::target::{CLASS, class};
use crate::http::Method;

/// A request line that holds nothing unusual.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Method,
    pub(super) target: &'a [u8],
    /// The target without its query. Nothing in it is percent-encoded.
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    /// What stands behind its CRLF.
    pub(super) rest: &'a [u8],
}

/// Recognises the line at the front of `bytes`; `None` if it is unusual, not valid, or not all there.
#[inline(always)]
pub(super) fn recognise(bytes: &[u8]) -> Option<RequestLine<'_>> {
    let (method, line) = method(bytes)?;
    if line.first() != Some(&b'/') {
        return None;
    }
    let path_len = find(line, !class::PATH)?;
    let (target_len, query) = match line[path_len] {
        b' ' => (path_len, None),
        b'?' => {
            let query = &line[path_len + 1..];
            let query_len = find(query, class::NEVER)?;
            (path_len + 1 + query_len, Some(&query[..query_len]))
        }
        _ => return None,
    };
    let (version, rest) = line[target_len..].split_first_chunk()?;
    if version != b" HTTP/1.1\r\n" {
        return None;
    }
    Some(RequestLine { method, target: &line[..target_len], path: &line[..path_len], query, rest })
}

/// Where the first byte of one of these classes stands.
#[inline(always)]
fn find(bytes: &[u8], classes: u8) -> Option<usize> {
    let is_one = |&byte: &u8| CLASS[usize::from(byte)] & classes != 0;
    let mut rest = bytes;
    // The compiler unrolls a loop of known length.
    while let Some((eight, behind)) = rest.split_first_chunk::<8>() {
        if let Some(at) = eight.iter().position(is_one) {
            return Some(bytes.len() - rest.len() + at);
        }
        rest = behind;
    }
    rest.iter().position(is_one).map(|at| bytes.len() - rest.len() + at)
}

/// The method, and what stands behind its space.
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
    fn what_is_ordinary() {
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
    fn what_is_left_to_httparse() {
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
