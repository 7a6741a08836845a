//! The paths of routes, and the comparison of a request's segments with them.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::rc::Rc;

use crate::exchange::{MAX_PARAMS, Spans};
use crate::http::{Remaining, decode_segment, decodes_to, is_directory, may_resolve};

/// A parsed path of a route: `/users/:id/files/*rest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// It is shared with the records of the replies that observers are told of.
    text: Rc<str>,
    segments: Vec<Segment>,
    names: Box<[Box<str>]>,
}

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Literal(Box<str>),
    Param,
    Rest,
}

impl Pattern {
    /// The pattern that covers every path: the scope of a middleware that is not mounted.
    pub(super) fn root() -> Self {
        Self { text: "/".into(), segments: Vec::new(), names: Box::default() }
    }

    /// # Panics
    /// If the path is malformed. That is a bug in the program, and the panic shows it at the start.
    #[track_caller]
    pub(super) fn parse(text: &str) -> Self {
        let Some(rest) = text.strip_prefix('/') else { panic!("a path must begin with a slash: {text:?}") };
        assert!(!text.contains(['?', '#']), "a path must not have a query: {text:?}");
        let mut names: Vec<Box<str>> = Vec::new();
        let segments: Vec<Segment> = rest
            .split('/')
            .map(|part| match part.as_bytes() {
                [b':', ..] => {
                    names.push(part[1..].into());
                    Segment::Param
                }
                [b'*', ..] => {
                    names.push(part[1..].into());
                    Segment::Rest
                }
                _ => Segment::Literal(decode_segment(part.as_bytes()).into()),
            })
            .collect();
        let unique = |i: usize| !names[i].is_empty() && !names[..i].contains(&names[i]);
        assert!((0..names.len()).all(unique), "each parameter needs a name of its own: {text:?}");
        assert!(names.len() <= MAX_PARAMS, "a path has at most {MAX_PARAMS} parameters: {text:?}");
        let rest = segments.iter().position(|segment| *segment == Segment::Rest);
        assert!(rest.is_none_or(|at| at + 1 == segments.len()), "*rest must be the last segment: {text:?}");
        Self { text: text.into(), segments, names: names.into() }
    }

    /// Joins this pattern, as a prefix, with `inner`. If `inner` is `/`, the result is the prefix itself.
    #[track_caller]
    pub(super) fn join(&self, inner: &Self) -> Self {
        let prefix = self.text.trim_end_matches('/');
        match (prefix, inner.as_str()) {
            ("", _) => inner.clone(),
            (_, "/") => Self::parse(prefix),
            (_, inner) => Self::parse(&format!("{prefix}{inner}")),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text, to be shared.
    pub(super) const fn text(&self) -> &Rc<str> {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many segments it has as a prefix: a slash at its end adds none.
    pub(super) fn depth(&self) -> usize {
        match self.segments.split_last() {
            Some((Segment::Literal(last), before)) if last.is_empty() => before.len(),
            _ => self.segments.len(),
        }
    }

    /// How many segments come before `*rest`, if the pattern ends in it.
    pub(super) fn depth_of_rest(&self) -> Option<usize> {
        let (last, before) = self.segments.split_last()?;
        (*last == Segment::Rest).then_some(before.len())
    }

    /// Which pattern comes first if two that end in `*rest` match one path: the one with the longer prefix, and of two
    /// with the same length the one that the trie tries first. `None` if the pattern does not end in `*rest`.
    pub(super) fn rank_of_rest(&self) -> Option<(Reverse<usize>, Vec<bool>)> {
        let is_param = |segment: &Segment| *segment == Segment::Param;
        Some((Reverse(self.depth_of_rest()?), self.segments.iter().map(is_param).collect()))
    }

    /// Whether some path that leads to this pattern also matches `rest`, which ends in `*rest`: the trie tries this one
    /// first, because of the first segments that differ.
    pub(super) fn can_hide(&self, rest: &Self) -> bool {
        let mut own = self.segments.iter();
        let mut is_first = false;
        for segment in &rest.segments {
            match (own.next(), segment) {
                (None, _) => return false,
                (Some(Segment::Rest), _) => return is_first,
                (Some(_), Segment::Rest) => return true,
                (Some(Segment::Literal(own)), Segment::Literal(other)) if own != other => return false,
                (Some(Segment::Param), Segment::Literal(_)) if !is_first => return false,
                (Some(Segment::Literal(_)), Segment::Param) => is_first = true,
                (Some(_), _) => {}
            }
        }
        false
    }

    /// The positions of the parameters in a path of a request, if this pattern ends in `*rest` and matches the path as
    /// it is written. That is what the trie would find if it had this pattern alone.
    #[cold]
    pub(super) fn match_rest(&self, path: &[u8]) -> Option<Spans> {
        let mut spans = Spans::default();
        let (mut from, mut params) = (1, 0);
        for segment in &self.segments {
            // After the last segment there is no slash, so `from` is then one more than the length of the path.
            let part = path.get(from..)?.split(|&byte| byte == b'/').next()?;
            let end = from + part.len();
            match segment {
                Segment::Rest => {
                    spans[params] = (from as u32, path.len() as u32);
                    return Some(spans);
                }
                _ if !segment.fits(part) => return None,
                Segment::Param => {
                    spans[params] = (from as u32, end as u32);
                    params += 1;
                }
                Segment::Literal(_) => {}
            }
            from = end + 1;
        }
        None
    }

    /// The names of the parameters, in order.
    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    /// Whether `path` is this pattern or lies below it. Segments are decoded before they are compared, as in the trie,
    /// so that an encoded letter does not lead past a middleware.
    ///
    /// A path with dot segments or empty segments is also covered if its resolved form is, because `Files` serves the
    /// resolved form.
    #[inline]
    pub(super) fn covers(&self, path: &RequestPath<'_>) -> bool {
        self.segments.is_empty()
            || self.covers_as_written(path.raw)
            || path.resolved().is_some_and(|parts| self.covers_resolved(parts))
    }

    #[cold]
    fn covers_resolved(&self, path: &Resolved<'_>) -> bool {
        let heads = match self.segments.split_last() {
            Some((Segment::Rest, heads)) => heads,
            _ => &self.segments[..],
        };
        heads.len() <= path.count && heads.iter().zip(&*path.first(heads.len())).all(|(head, part)| head.fits(part))
    }

    fn covers_as_written(&self, path: &[u8]) -> bool {
        let mut parts = path.split(|&byte| byte == b'/').skip(1);
        self.segments.iter().all(|segment| match (segment, parts.next()) {
            (Segment::Rest, _) => true,
            (segment, part) => part.is_some_and(|part| segment.fits(part)),
        })
    }
}

/// The path of a request, which many patterns are held against. It is resolved at most once, when a pattern asks.
pub(super) struct RequestPath<'p> {
    raw: &'p [u8],
    /// `None` if resolving does not change the path.
    resolved: OnceCell<Option<Resolved<'p>>>,
}

/// A resolved path: the first of its raw segments, of which nearly every pattern needs no more.
struct Resolved<'p> {
    raw: &'p [u8],
    first: [&'p [u8]; KEPT],
    /// How many segments there are.
    count: usize,
}

const KEPT: usize = 8;

impl<'p> RequestPath<'p> {
    #[inline]
    pub(super) const fn new(raw: &'p [u8]) -> Self {
        Self { raw, resolved: OnceCell::new() }
    }

    #[inline]
    fn resolved(&self) -> Option<&Resolved<'p>> {
        self.resolved.get_or_init(|| Resolved::of(self.raw)).as_ref()
    }
}

impl<'p> Resolved<'p> {
    #[inline(never)]
    fn of(raw: &'p [u8]) -> Option<Self> {
        #[cfg(test)]
        tests::RESOLVED.set(tests::RESOLVED.get() + 1);
        if !may_resolve(raw.get(1..).unwrap_or_default()) {
            return None;
        }
        let count = segments_from_the_end(raw).count();
        let mut first = [&b""[..]; KEPT];
        let from = count.saturating_sub(KEPT);
        first[..count.min(KEPT)]
            .iter_mut()
            .rev()
            .zip(segments_from_the_end(raw).skip(from))
            .for_each(|(at, part)| *at = part);
        Some(Self { raw, first, count })
    }

    /// The first `len` segments.
    fn first(&self, len: usize) -> Cow<'_, [&'p [u8]]> {
        if let Some(first) = self.first.get(..len) {
            return first.into();
        }
        let mut parts: Vec<&[u8]> = segments_from_the_end(self.raw).skip(self.count - len).collect();
        parts.reverse();
        parts.into()
    }
}

/// The raw segments of the resolved path, the last one first. The path of a directory ends in an empty segment.
fn segments_from_the_end(raw: &[u8]) -> impl Iterator<Item = &[u8]> {
    is_directory(raw).then_some(&b""[..]).into_iter().chain(Remaining::of(raw))
}

impl Segment {
    /// Whether a raw segment of a request's path matches this one once it is decoded.
    fn fits(&self, part: &[u8]) -> bool {
        match self {
            Self::Rest => true,
            Self::Param => !part.is_empty(),
            Self::Literal(literal) => decodes_to(part, literal.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many times a path was resolved.
        pub(super) static RESOLVED: Cell<usize> = const { Cell::new(0) };
    }

    #[test]
    fn a_path_is_resolved_once_however_many_patterns_it_is_held_against() {
        let patterns: Vec<Pattern> = (0..500).map(|number| Pattern::parse(&format!("/mount{number}"))).collect();
        for (path, covered) in [("/x/../mount7/y", 1), ("/mount7/y", 1), (&*format!("/{}", "./".repeat(8_000)), 0)] {
            RESOLVED.set(0);
            let path = RequestPath::new(path.as_bytes());
            assert_eq!(patterns.iter().filter(|pattern| pattern.covers(&path)).count(), covered);
            assert_eq!(RESOLVED.get(), 1);
        }
    }

    #[test]
    fn a_mount_prefix_and_an_inner_path_are_joined() {
        let join = |prefix, inner| Pattern::parse(prefix).join(&Pattern::parse(inner)).as_str().to_owned();
        assert_eq!(join("/api", "/users/:id"), "/api/users/:id");
        assert_eq!(join("/api/", "/users"), "/api/users");
        assert_eq!(join("/api", "/"), "/api");
        assert_eq!(join("/", "/users"), "/users");
        assert_eq!(join("/", "/"), "/");
    }

    #[test]
    fn a_prefix_covers_itself_and_all_paths_below_it() {
        let covers = |prefix, path: &str| {
            Pattern::root().join(&Pattern::parse(prefix)).covers(&RequestPath::new(path.as_bytes()))
        };
        assert!(
            covers("/api", "/api") && covers("/api", "/api/") && covers("/api", "/api/x") && covers("/api", "/%61pi/x")
        );
        assert!(!covers("/api", "/") && !covers("/api", "/apis") && !covers("/api", "/x/api"));
        assert!(covers("/caf%C3%A9", "/caf%c3%a9/x") && covers("/a%2Fb", "/a%2fb") && covers("/100%", "/100%25/x"));
        assert!(!covers("/caf%C3%A9", "/caf%25C3%25A9") && !covers("/a%2Fb", "/a/b"));
        assert!(covers("/t/:id", "/t/1/x") && !covers("/t/:id", "/t") && !covers("/t/:id", "/t/"));
        assert!(covers("/api", "/x/../api/y") && covers("/api", "//api/y") && covers("/api", "/./%61pi"));
        assert!(covers("/api", "/api/../x") && !covers("/api", "/x/./api") && !covers("/api", "/%2e%2e/x"));
        assert!(covers("/a/:b", "/x/../a/%2e/1/y") && !covers("/a/:b", "/x/../a/./") && !covers("/a/b/c", "//a/b"));
        assert!(covers("/api/", "/x/../api/") && covers("/api/", "/api/x/..") && !covers("/api/", "/x/../api"));
        let deep = "/1/2/3/4/5/6/7/8/9";
        assert!(covers(deep, &format!("/x/..{deep}/y")) && !covers(deep, "/x/../1/2/3/4/5/6/7/8/y"));
        assert!(covers("/api", "/x/../../api") && !covers("/api", "/x/api/..") && covers("/", "/x/.."));
        for path in [&b"/"[..], b"/x/y", b"*"] {
            assert!(Pattern::root().covers(&RequestPath::new(path)));
        }
    }

    #[test]
    fn a_malformed_path_panics() {
        for text in ["", "users", "/:", "/*", "/:a/:a", "/*rest/x", "/a?b", "/:a/:b/:c/:d/:e/:f/:g/:h/:i"] {
            assert!(std::panic::catch_unwind(|| Pattern::parse(text)).is_err(), "{text}");
        }
    }
}
