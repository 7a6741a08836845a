//! Paths of request targets: segments, percent-decoded, without what leads nowhere.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// A part of a request's path, percent-decoded. The head was checked: it decodes to UTF-8.
#[inline]
pub(crate) fn decode_segment(segment: &[u8]) -> Cow<'_, str> {
    percent_decode(segment).decode_utf8_lossy()
}

/// A path whose dot segments are resolved (RFC 3986 §5.2.4), and whose empty segments are left out.
///
/// It is split first and decoded then, once: so an encoded slash divides nothing, and `%2e%2e` climbs as `..` does (a dot
/// need not be encoded, so it means the same, RFC 3986 §6.2.2.2).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResolvedPath<'a> {
    pub(crate) segments: Vec<Cow<'a, str>>,
    /// It ends in a slash, or in a dot segment, which comes to the same.
    pub(crate) is_directory: bool,
    /// It tried to leave by `..` what it began in.
    pub(crate) climbed: bool,
}

impl<'a> ResolvedPath<'a> {
    pub(crate) fn of(raw: &'a [u8]) -> Self {
        let (mut segments, mut is_directory, mut climbed) = (Vec::new(), true, false);
        for segment in raw.split(|&byte| byte == b'/') {
            let segment = decode_segment(segment);
            is_directory = matches!(&*segment, "" | "." | "..");
            match &*segment {
                "" | "." => {}
                ".." => climbed |= segments.pop().is_none(),
                _ => segments.push(segment),
            }
        }
        Self { segments, is_directory, climbed }
    }
}

/// Whether a path may be written otherwise than it is resolved: it has dot segments, empty segments, or something encoded.
pub(crate) fn may_resolve(raw: &[u8]) -> bool {
    let mut before = b'/';
    raw.iter().any(|&byte| {
        let odd = byte == b'%' || (before == b'/' && (byte == b'/' || byte == b'.'));
        before = byte;
        odd
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: &[&str], is_directory: bool, climbed: bool) {
        let resolved = ResolvedPath::of(raw.as_bytes());
        assert_eq!(resolved.segments, expected, "{raw}");
        assert_eq!((resolved.is_directory, resolved.climbed), (is_directory, climbed), "{raw}");
    }

    #[test]
    fn a_path_is_split_then_decoded_then_resolved() {
        check("", &[], true, false);
        check("a/b", &["a", "b"], false, false);
        check("a/b/", &["a", "b"], true, false);
        check("/a//b", &["a", "b"], false, false);
        check("a/./b/.", &["a", "b"], true, false);
        check("a/../b", &["b"], false, false);
        check("a/b/..", &["a"], true, false);
        check("..", &[], true, true);
        check("../../etc/passwd", &["etc", "passwd"], false, true);
        check("a/%2e%2E/b", &["b"], false, false);
        check("%252e%252e/b", &["%2e%2e", "b"], false, false);
        check("a%2fb", &["a/b"], false, false);
        check("...", &["..."], false, false);
        check(".hidden/x.", &[".hidden", "x."], false, false);
    }

    #[test]
    fn what_is_written_plainly_needs_no_second_look() {
        assert!(["a/b", "a/b/", "", "a.b/c.d", "x..y/z."].iter().all(|path| !may_resolve(path.as_bytes())));
        for path in ["/a", "a//b", ".", "..", "a/.", "a/../b", ".a", "a%62"] {
            assert!(may_resolve(path.as_bytes()), "{path}");
        }
    }
}
