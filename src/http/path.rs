//! Paths of request targets. They are split into segments and percent-decoded; dot segments are resolved, and empty
//! ones are left out.

use std::borrow::Cow;

use memchr::{memchr, memrchr};
use percent_encoding::percent_decode;

/// Percent-decodes a part of a request's path. The parser has checked that it decodes to UTF-8.
#[inline]
pub(crate) fn decode_segment(segment: &[u8]) -> Cow<'_, str> {
    match memchr(b'%', segment) {
        None => plain_text(segment),
        Some(_) => Cow::Owned(collect_text(segment.len(), percent_decode(segment))),
    }
}

/// Converts bytes without percent-encoding to text. Invalid UTF-8 is replaced.
#[inline]
pub(crate) fn plain_text(bytes: &[u8]) -> Cow<'_, str> {
    // `from_utf8` looks at many bytes at a time, `from_utf8_lossy` does not.
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// Converts bytes of a request target to text. The parser has checked that they are ASCII.
pub(crate) fn target_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// Collects decoded bytes, at most `most` of them, into text. That takes one allocation. Invalid UTF-8 is replaced,
/// which takes a second one.
pub(crate) fn collect_text(most: usize, bytes: impl Iterator<Item = u8>) -> String {
    let mut decoded = Vec::with_capacity(most);
    decoded.extend(bytes);
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// Whether a part of a request's path equals `text` when it is percent-decoded. The comparison allocates nothing.
#[inline]
pub(crate) fn decodes_to(part: &[u8], text: &[u8]) -> bool {
    match memchr(b'%', part) {
        None => part == text,
        Some(_) => percent_decode(part).eq(text.iter().copied()),
    }
}

/// What a segment does to the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing: the segment is empty, or a single dot.
    Stay,
    Up,
    Down,
}

impl Step {
    fn of(segment: &[u8]) -> Self {
        let mut decoded = percent_decode(segment);
        match [decoded.next(), decoded.next(), decoded.next()] {
            [None, ..] | [Some(b'.'), None, _] => Self::Stay,
            [Some(b'.'), Some(b'.'), None] => Self::Up,
            _ => Self::Down,
        }
    }
}

/// Iterates over the segments that remain when dot segments are resolved (RFC 3986 §5.2.4) and empty ones are left out.
///
/// The segments are raw, and the last one comes first. In this direction a `..` comes before the segment that it
/// removes, so no stack is needed.
#[derive(Clone, Debug)]
pub(crate) struct Remaining<'a> {
    rest: Option<&'a [u8]>,
    /// How many segments are still to be removed.
    climbs: usize,
}

impl<'a> Remaining<'a> {
    pub(crate) const fn of(raw: &'a [u8]) -> Self {
        Self { rest: Some(raw), climbs: 0 }
    }
}

impl<'a> Iterator for Remaining<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while let Some(rest) = self.rest {
            let (before, segment) = match memrchr(b'/', rest) {
                Some(slash) => (Some(&rest[..slash]), &rest[slash + 1..]),
                None => (None, rest),
            };
            self.rest = before;
            match Step::of(segment) {
                Step::Stay => {}
                Step::Up => self.climbs += 1,
                Step::Down if self.climbs > 0 => self.climbs -= 1,
                Step::Down => return Some(segment),
            }
        }
        None
    }
}

/// Whether a path ends in a slash, or in a dot segment, which means the same.
pub(crate) fn is_directory(raw: &[u8]) -> bool {
    let last = memrchr(b'/', raw).map_or(raw, |slash| &raw[slash + 1..]);
    Step::of(last) != Step::Down
}

/// Percent-decodes a path as a whole, if [resolving](ResolvedPath) it would give the same. That holds for a path with
/// no dot segment, no encoded slash, and no empty segment except at its end.
#[cfg(feature = "files")]
pub(crate) fn decode_resolved(raw: &[u8]) -> Option<Cow<'_, str>> {
    let path = decode_segment(raw);
    let slashes = |bytes| memchr::memchr_iter(b'/', bytes).count();
    let mut segments = path.rsplit('/');
    let ends_well = segments.next().is_none_or(|last| !matches!(last, "." | ".."));
    let is_resolved = ends_well && segments.all(|segment| !matches!(segment, "" | "." | ".."));
    (is_resolved && slashes(raw) == slashes(path.as_bytes())).then_some(path)
}

/// A path whose dot segments are resolved (RFC 3986 §5.2.4), and whose empty segments are left out.
///
/// The path is split first, and then each segment is decoded once. So an encoded slash does not separate segments, and
/// `%2e%2e` means the same as `..`, because a dot need not be encoded (RFC 3986 §6.2.2.2).
#[cfg(feature = "files")]
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResolvedPath<'a> {
    pub(crate) segments: Vec<Cow<'a, str>>,
    /// The path ends in a slash, or in a dot segment, which means the same.
    pub(crate) is_directory: bool,
    /// The path tried to go above its start by `..`.
    pub(crate) climbed: bool,
}

#[cfg(feature = "files")]
impl<'a> ResolvedPath<'a> {
    pub(crate) fn of(raw: &'a [u8]) -> Self {
        let mut remaining = Remaining::of(raw);
        let mut segments: Vec<_> = remaining.by_ref().map(decode_segment).collect();
        segments.reverse();
        // A remaining climb is a `..` that found no segment to remove.
        Self { segments, is_directory: is_directory(raw), climbed: remaining.climbs > 0 }
    }
}

/// Whether resolving may change a path: false only if it has no dot segment, no empty segment and no encoded byte.
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

    #[cfg(feature = "files")]
    #[track_caller]
    fn check(raw: &str, expected: &[&str], is_directory: bool, climbed: bool) {
        let resolved = ResolvedPath::of(raw.as_bytes());
        assert_eq!(resolved.segments, expected, "{raw}");
        assert_eq!((resolved.is_directory, resolved.climbed), (is_directory, climbed), "{raw}");
    }

    #[cfg(feature = "files")]
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
        check("a/../../b", &["b"], false, true);
        check("../a/..", &[], true, true);
        check("a/b/c/../../d", &["a", "d"], false, false);
        check("../../etc/passwd", &["etc", "passwd"], false, true);
        check("a/%2e%2E/b", &["b"], false, false);
        check("%252e%252e/b", &["%2e%2e", "b"], false, false);
        check("a%2fb", &["a/b"], false, false);
        check("...", &["..."], false, false);
        check(".hidden/x.", &[".hidden", "x."], false, false);
    }

    #[test]
    fn a_plain_path_need_not_be_resolved() {
        assert!(["a/b", "a/b/", "", "a.b/c.d", "x..y/z."].iter().all(|path| !may_resolve(path.as_bytes())));
        for path in ["/a", "a//b", ".", "..", "a/.", "a/../b", ".a", "a%62"] {
            assert!(may_resolve(path.as_bytes()), "{path}");
        }
    }

    /// Resolves a path forwards, with a stack.
    fn resolve(raw: &str) -> (Vec<&str>, usize) {
        let (mut stack, mut climbs) = (Vec::new(), 0);
        for segment in raw.split('/') {
            match &*decode_segment(segment.as_bytes()) {
                "" | "." => {}
                ".." => climbs += usize::from(stack.pop().is_none()),
                _ => stack.push(segment),
            }
        }
        (stack, climbs)
    }

    #[test]
    fn resolving_backwards_gives_the_same_as_resolving_forwards() {
        const PARTS: [&str; 7] = ["", ".", "..", "a", "%62", "%2e", ".%2E"];
        for number in 0..PARTS.len().pow(6) {
            let parts: Vec<_> = (0..6).map(|at| PARTS[number / PARTS.len().pow(at) % PARTS.len()]).collect();
            let path = parts[..1 + number % 6].join("/");
            let mut remaining = Remaining::of(path.as_bytes());
            let mut found: Vec<_> = remaining.by_ref().map(|part| std::str::from_utf8(part).unwrap()).collect();
            found.reverse();
            assert_eq!((found, remaining.climbs), resolve(&path), "{path}");
        }
    }

    #[cfg(feature = "files")]
    #[test]
    fn a_path_decoded_as_a_whole_equals_the_resolved_path() {
        const PARTS: [&str; 8] = ["", ".", "a", "%62", "%2e", "%2e%2E", "c%2Fd", "%252e"];
        let mut count = 0;
        for number in 0..PARTS.len().pow(4) {
            let parts: Vec<_> = (0..4).map(|at| PARTS[number / PARTS.len().pow(at) % PARTS.len()]).collect();
            let path = parts[..1 + number % 4].join("/");
            let ResolvedPath { segments, is_directory, climbed } = ResolvedPath::of(path.as_bytes());
            let slash = if is_directory && !segments.is_empty() { "/" } else { "" };
            let expected = segments.join("/") + slash;
            if let Some(found) = decode_resolved(path.as_bytes()) {
                count += 1;
                assert_eq!((&*found, false), (&*expected, climbed), "{path}");
                assert!(!path.contains("%2F"), "{path}");
            } else {
                let odd = segments.iter().any(|segment| segment.contains('/'));
                assert!(odd || *decode_segment(path.as_bytes()) != *expected, "{path}");
            }
        }
        assert!(count > 100);
    }

    #[test]
    fn decodes_to_agrees_with_decode_segment() {
        for part in ["", "a", "%61", "%C3%A4", "100%25", "%2525", "a%2fb"] {
            let text = decode_segment(part.as_bytes());
            for other in ["", "a", "\u{e4}", "100%", "100%25", "%25", "a/b", "aa"] {
                assert_eq!(decodes_to(part.as_bytes(), other.as_bytes()), text == other, "{part} and {other}");
            }
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        assert_eq!(decode_segment(b"a%ffb%zz"), "a\u{fffd}b%zz");
    }
}
