//! Conditional requests (RFC 9110 §13): whether a client has what it asks for already, or asks about something else than
//! what is there.

use std::time::UNIX_EPOCH;

use super::{Fields, Method};

/// What tells one state of a representation from another (RFC 9110 §8.8).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validators<'a> {
    /// The opaque tag, with its quotes and without `W/`.
    pub(crate) tag: &'a str,
    /// It may change again without another tag, or another date.
    pub(crate) weak: bool,
    /// When it was last modified, in seconds of Unix time.
    pub(crate) modified: u64,
}

/// What the conditions of a request say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The method is performed.
    Perform,
    /// The client has it already: 304.
    NotModified,
    /// It is not what the client takes it for: 412.
    Failed,
}

/// The field lines of a request that choose, or make conditions: found in one look at its head.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Conditions<'a> {
    if_match: Lines<'a>,
    if_none_match: Lines<'a>,
    if_modified_since: Lines<'a>,
    if_unmodified_since: Lines<'a>,
    if_range: Lines<'a>,
    pub(crate) range: Lines<'a>,
    pub(crate) accept_encoding: Lines<'a>,
}

/// The field lines of one name, which are one list (RFC 9110 §5.3).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lines<'a> {
    first: Option<&'a [u8]>,
    /// There are more of them; then all are looked for again.
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
    /// Looks for them in a head.
    pub(crate) fn of(fields: Fields<'a>) -> Self {
        let mut found = Self::default();
        for (name, value) in fields.iter() {
            // The lengths tell them apart from nearly everything else.
            let (lines, full): (_, &'static str) = match name.len() {
                5 => (&mut found.range, "range"),
                8 if name.as_bytes()[3] | 0x20 == b'm' => (&mut found.if_match, "if-match"),
                8 => (&mut found.if_range, "if-range"),
                13 => (&mut found.if_none_match, "if-none-match"),
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

    /// Whether nothing but the target and the codings that the client takes decides what it gets.
    pub(crate) const fn is_plain(&self) -> bool {
        self.if_match.is_none()
            && self.if_none_match.is_none()
            && self.if_modified_since.is_none()
            && self.if_unmodified_since.is_none()
            && self.range.is_none()
    }

    /// Evaluates them in the order of RFC 9110 §13.2.2, but for `If-Range`.
    pub(crate) fn evaluate(&self, method: Method, current: &Validators<'_>) -> Verdict {
        let safe = matches!(method, Method::Get | Method::Head);
        if !self.if_match.is_none() {
            if !names(&self.if_match, |tag, weak| !weak && !current.weak && tag == current.tag) {
                return Verdict::Failed;
            }
        } else if self.if_unmodified_since.single().and_then(seconds).is_some_and(|date| current.modified > date) {
            return Verdict::Failed;
        }
        if !self.if_none_match.is_none() {
            return match names(&self.if_none_match, |tag, _| tag == current.tag) {
                true if safe => Verdict::NotModified,
                true => Verdict::Failed,
                false => Verdict::Perform,
            };
        }
        let unmodified = self.if_modified_since.single().and_then(seconds).is_some_and(|date| current.modified <= date);
        if safe && unmodified { Verdict::NotModified } else { Verdict::Perform }
    }

    /// Whether a part may be sent: if there is an `If-Range`, only when it names exactly what is there, by a validator
    /// that is strong (RFC 9110 §13.1.5).
    pub(crate) fn allow_range(&self, current: &Validators<'_>) -> bool {
        if self.if_range.is_none() {
            return true;
        }
        let Some(value) = self.if_range.single() else { return false };
        let same = if value.starts_with('"') {
            value == current.tag
        } else {
            seconds(value).is_some_and(|date| date == current.modified)
        };
        same && !current.weak
    }
}

/// Whether a list of tags is `*`, or has one that `is_same` (given without `W/`, and whether it was there). What does not
/// parse matches nothing, from there on.
fn names(lines: &Lines<'_>, is_same: impl Fn(&str, bool) -> bool) -> bool {
    lines.all().filter_map(|line| std::str::from_utf8(line).ok()).any(|line| line == "*" || tag_in(line, &is_same))
}

fn tag_in(mut list: &str, is_same: &impl Fn(&str, bool) -> bool) -> bool {
    loop {
        list = list.trim_start_matches([' ', '\t', ',']);
        let (weak, rest) = list.strip_prefix("W/").map_or((false, list), |rest| (true, rest));
        // entity-tag = [ weak ] DQUOTE *etagc DQUOTE (RFC 9110 §8.8.3): anything printable but a quote.
        let Some(length) = rest.strip_prefix('"').and_then(|rest| rest.find('"')) else { return false };
        let (tag, behind) = rest.split_at(length + 2);
        if tag.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return false;
        }
        list = behind.trim_start_matches([' ', '\t']);
        if !(list.is_empty() || list.starts_with(',')) {
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

/// An HTTP date in any of its three forms (RFC 9110 §5.6.7), as seconds of Unix time.
fn seconds(date: &str) -> Option<u64> {
    let time = httpdate::parse_http_date(date).ok()?;
    Some(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}
