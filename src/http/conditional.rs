//! Conditional requests (RFC 9110 §13): whether a client already has the current representation, or expects another
//! one.

use super::{Fields, Method, parse_http_date};

/// The values that tell one state of a representation from another (RFC 9110 §8.8).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validators<'a> {
    /// The opaque tag, with its quotes and without `W/`. It is empty if there is none: no tag of a client is the same.
    pub(crate) tag: &'a str,
    /// The representation may change again without a new tag or a new date.
    pub(crate) weak: bool,
    /// When the representation was last modified, in seconds of Unix time, if that is known.
    pub(crate) modified: Option<u64>,
}

/// The result of evaluating the conditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The server performs the method.
    Perform,
    /// The client already has the current representation: 304.
    NotModified,
    /// The current representation is not the one that the client expects: 412.
    Failed,
}

/// The field lines of a request that select a representation or set conditions. One pass over the head finds all of
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions<'a> {
    if_match: Lines<'a>,
    if_none_match: Lines<'a>,
    if_modified_since: Lines<'a>,
    if_unmodified_since: Lines<'a>,
    #[cfg(feature = "files")]
    if_range: Lines<'a>,
    #[cfg(feature = "files")]
    pub(crate) range: Lines<'a>,
    #[cfg(feature = "files")]
    pub(crate) accept_encoding: Lines<'a>,
}

/// The field lines of one name; together they form one list (RFC 9110 §5.3).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines<'a> {
    first: Option<&'a [u8]>,
    /// Set if there is more than one line. [`all`](Self::all) then searches the whole head again.
    rest: Option<(Fields<'a>, &'static str)>,
}

impl<'a> Lines<'a> {
    fn add(&mut self, value: &'a [u8], fields: Fields<'a>, name: &'static str) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.rest = Some((fields, name)),
        }
    }

    pub(crate) const fn is_none(&self) -> bool {
        self.first.is_none()
    }

    /// The value, if there is one line and it is text.
    pub(crate) fn single(&self) -> Option<&'a str> {
        let value = self.first.filter(|_| self.rest.is_none())?;
        std::str::from_utf8(value).ok()
    }

    /// The values of all lines.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let first = self.first.filter(|_| self.rest.is_none());
        first.into_iter().chain(self.rest.into_iter().flat_map(|(fields, name)| fields.all(name)))
    }
}

impl<'a> Conditions<'a> {
    /// Finds these field lines in a head.
    pub(crate) fn of(fields: Fields<'a>) -> Self {
        let mut found = Self::default();
        for (name, value) in fields.iter() {
            // The length of the name already excludes nearly all other fields.
            let (lines, full): (_, &'static str) = match name.len() {
                #[cfg(feature = "files")]
                5 => (&mut found.range, "range"),
                8 if name.as_bytes()[3] | 0x20 == b'm' => (&mut found.if_match, "if-match"),
                #[cfg(feature = "files")]
                8 => (&mut found.if_range, "if-range"),
                13 => (&mut found.if_none_match, "if-none-match"),
                #[cfg(feature = "files")]
                15 => (&mut found.accept_encoding, "accept-encoding"),
                17 => (&mut found.if_modified_since, "if-modified-since"),
                19 => (&mut found.if_unmodified_since, "if-unmodified-since"),
                _ => continue,
            };
            if name.eq_ignore_ascii_case(full) {
                lines.add(value, fields, full);
            }
        }
        found
    }

    /// Whether only the target and the accepted codings decide what the client gets.
    #[cfg(feature = "files")]
    pub(crate) const fn is_plain(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
            && self.if_unmodified_since.is_none()
            && self.range.is_none()
    }

    /// Evaluates all conditions except `If-Range`, in the order of RFC 9110 §13.2.2.
    pub(crate) fn evaluate(&self, method: Method, current: &Validators<'_>) -> Verdict {
        let safe = matches!(method, Method::Get | Method::Head);
        if !self.if_match.is_none() {
            if !names(&self.if_match, |tag, weak| !weak && !current.weak && tag == current.tag.as_bytes()) {
                return Verdict::Failed;
            }
        } else if date_in(&self.if_unmodified_since).zip(current.modified).is_some_and(|(date, at)| at > date) {
            return Verdict::Failed;
        }
        if !self.if_none_match.is_none() {
            return match names(&self.if_none_match, |tag, _| tag == current.tag.as_bytes()) {
                true if safe => Verdict::NotModified,
                true => Verdict::Failed,
                false => Verdict::Perform,
            };
        }
        let unmodified = date_in(&self.if_modified_since).zip(current.modified).is_some_and(|(date, at)| at <= date);
        if safe && unmodified { Verdict::NotModified } else { Verdict::Perform }
    }

    /// Whether the client asks for a current representation, whichever it is.
    pub(crate) const fn has_if_match(&self) -> bool {
        !self.if_match.is_none()
    }

    /// Whether a part may be sent. An `If-Range`, if there is one, must match the current representation by a strong
    /// validator (RFC 9110 §13.1.5).
    #[cfg(feature = "files")]
    pub(crate) fn allow_range(&self, current: &Validators<'_>) -> bool {
        if self.if_range.is_none() {
            return true;
        }
        let Some(value) = self.if_range.single() else { return false };
        let same = if value.starts_with('"') {
            value == current.tag
        } else {
            parse_http_date(value).is_some_and(|date| current.modified == Some(date))
        };
        same && !current.weak
    }
}

/// The date in a field. Conditions on it are ignored if the representation has no date (RFC 9110 §13.1.3, §13.1.4).
fn date_in(lines: &Lines<'_>) -> Option<u64> {
    lines.single().and_then(parse_http_date)
}

/// Whether a list of tags is `*`, or has a tag that `is_same` accepts. That function gets the tag without `W/`, and
/// whether `W/` was there. A line matches nothing from its first malformed tag on.
fn names(lines: &Lines<'_>, is_same: impl Fn(&[u8], bool) -> bool) -> bool {
    lines.all().any(|line| line == b"*" || tag_in(line, &is_same))
}

fn tag_in(mut list: &[u8], is_same: &impl Fn(&[u8], bool) -> bool) -> bool {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
    loop {
        let start = list.iter().position(|byte| !is_space(byte) && *byte != b',').unwrap_or(list.len());
        list = &list[start..];
        let (weak, rest) = list.strip_prefix(b"W/").map_or((false, list), |rest| (true, rest));
        // entity-tag = [ weak ] DQUOTE *etagc DQUOTE (RFC 9110 §8.8.3). An etagc is any printable character but a
        // quote, in any character set.
        let Some(length) = rest.strip_prefix(b"\"").and_then(|rest| memchr::memchr(b'"', rest)) else { return false };
        let (tag, behind) = rest.split_at(length + 2);
        if tag.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return false;
        }
        let next = behind.iter().position(|byte| !is_space(byte)).unwrap_or(behind.len());
        list = &behind[next..];
        if !matches!(list, [] | [b',', ..]) {
            return false;
        }
        if is_same(tag, weak) {
            return true;
        }
        if list.is_empty() {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::TestFields;

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const SECOND: u64 = 784_111_777;

    fn current(weak: bool) -> Validators<'static> {
        Validators { tag: "\"a\"", weak, modified: Some(SECOND) }
    }

    #[track_caller]
    fn with<T>(lines: &[(&str, &[u8])], judge: impl Fn(&Conditions<'_>) -> T) -> T {
        judge(&Conditions::of(TestFields::new(lines.iter().copied()).get()))
    }

    #[test]
    fn if_none_match_gives_304_to_a_read_and_412_to_a_change() {
        use Verdict::{Failed, NotModified, Perform};
        let rows: [(&str, &str, Verdict, Verdict); 9] = [
            ("If-None-Match", "\"a\"", NotModified, Failed),
            ("If-None-Match", "W/\"a\"", NotModified, Failed),
            ("If-None-Match", "*", NotModified, Failed),
            ("If-None-Match", "\"b\"", Perform, Perform),
            ("If-Modified-Since", DATE, NotModified, Perform),
            ("If-Match", "\"a\"", Perform, Perform),
            ("If-Match", "\"b\"", Failed, Failed),
            ("If-Unmodified-Since", DATE, Perform, Perform),
            ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", Failed, Failed),
        ];
        for (name, value, read, change) in rows {
            for (method, expected) in
                [(Method::Get, read), (Method::Head, read), (Method::Put, change), (Method::Delete, change)]
            {
                let verdict = with(&[(name, value.as_bytes())], |it| it.evaluate(method, &current(false)));
                assert_eq!(verdict, expected, "{method} with {name}: {value}");
            }
        }
    }

    #[test]
    fn a_weak_tag_matches_if_none_match_but_not_if_match() {
        let verdict =
            |name, value: &str| with(&[(name, value.as_bytes())], |it| it.evaluate(Method::Get, &current(true)));
        for value in ["\"a\"", "W/\"a\""] {
            assert_eq!(verdict("If-None-Match", value), Verdict::NotModified, "{value}");
            assert_eq!(verdict("If-Match", value), Verdict::Failed, "{value}");
        }
        assert_eq!(verdict("If-Match", "*"), Verdict::Perform);
    }

    #[cfg(feature = "files")]
    #[test]
    fn a_field_with_a_similar_name_is_not_a_condition() {
        for name in ["Ranges", "If-Matches", "If-None-March", "Accept", "X-If-Match", "Xange", "If-Rangf", "If-Mbtch"] {
            with(&[(name, b"\"a\"")], |it| {
                assert!(it.is_plain() && it.accept_encoding.is_none(), "{name}");
                assert_eq!(it.evaluate(Method::Get, &current(false)), Verdict::Perform, "{name}");
                assert!(it.allow_range(&current(false)), "{name}");
            });
        }
        for name in ["range", "IF-MATCH", "if-none-match", "If-Modified-Since", "IF-UNMODIFIED-SINCE"] {
            with(&[(name, b"x")], |it| assert!(!it.is_plain(), "{name}"));
        }
        // Without a `Range`, an `If-Range` has no effect.
        with(&[("If-Range", b"\"a\"")], |it| assert!(it.is_plain()));
    }

    #[cfg(feature = "files")]
    #[test]
    fn if_range_allows_a_part_only_on_a_strong_match() {
        let rows: [(&[&[u8]], bool); 13] = [
            (&[], true),
            (&[b"\"a\""], true),
            (&[b"W/\"a\""], false),
            (&[b"\"b\""], false),
            (&[b"\"a\", \"b\""], false),
            (&[b"\"a\"", b"\"a\""], false),
            (&[b"*"], false),
            (&[b"a"], false),
            (&[b""], false),
            (&[b"\xff"], false),
            (&[DATE.as_bytes()], true),
            (&[b"Sunday, 06-Nov-94 08:49:37 GMT"], true),
            (&[b"Sun, 06 Nov 1994 08:49:38 GMT"], false),
        ];
        for (values, expected) in rows {
            let lines: Vec<_> = values.iter().map(|value| ("If-Range", *value)).collect();
            with(&lines, |it| {
                assert_eq!(it.allow_range(&current(false)), expected, "{lines:?}");
                assert_eq!(it.allow_range(&current(true)), values.is_empty(), "{lines:?}, and the current tag is weak");
            });
        }
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        let lines: [(&str, &[u8]); 4] = [
            ("if-none-match", b"\"x\""),
            ("Accept", b"\"a\""),
            ("If-None-Match", b"\xff"),
            ("IF-NONE-MATCH", b"\"a\""),
        ];
        let verdict = |count| with(&lines[..count], |it| it.evaluate(Method::Get, &current(false)));
        assert_eq!(verdict(3), Verdict::Perform);
        assert_eq!(verdict(4), Verdict::NotModified);
    }
}
