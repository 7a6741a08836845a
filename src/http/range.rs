//! Range requests (RFC 9110 §14): which parts of a representation a client asks for.

use super::conditional::Lines;
use crate::limits::{MAX_RANGES, RANGE_GAP};

/// A part: the bytes from `start` up to, but not including, `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Part {
    pub(crate) const fn len(&self) -> u64 {
        self.end - self.start
    }
}

/// What a `Range` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The whole representation: there is no `Range`, or it is ignored.
    Whole,
    /// Parts that do not overlap: at least one, and none of them empty.
    Parts(Vec<Part>),
    /// Only parts that the representation does not have: 416.
    Nothing,
}

/// Reads a `Range` for a representation of `length` bytes.
///
/// "A server MAY ignore the Range header field" (§14.2). This one ignores a field that is malformed or repeated, that
/// uses another unit than bytes, or that asks for more than `MAX_RANGES` parts. Parts that overlap or nearly touch are
/// merged (§15.3.7.2), so no byte is sent twice.
pub(crate) fn wanted(range: &Lines<'_>, length: u64) -> Wanted {
    match range.single() {
        Some(value) => parse(value, length).unwrap_or(Wanted::Whole),
        None => Wanted::Whole,
    }
}

/// `None` if the field must be ignored.
fn parse(value: &str, length: u64) -> Option<Wanted> {
    let (unit, set) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (mut parts, mut count) = (Vec::new(), 0);
    // Any suffix of an empty representation is the whole of it, and a `Part` cannot express that.
    let mut all_of_nothing = false;
    for spec in set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty()) {
        count += 1;
        if count > MAX_RANGES {
            return None;
        }
        if let Some(part) = parse_one(spec, length)? {
            add(&mut parts, part);
        }
        let suffix = spec.strip_prefix('-').and_then(number);
        all_of_nothing |= length == 0 && suffix.is_some_and(|suffix| suffix > 0);
    }
    match (count, parts.is_empty()) {
        (0, _) => None,
        (_, true) if all_of_nothing => Some(Wanted::Whole),
        (_, true) => Some(Wanted::Nothing),
        (_, false) => Some(Wanted::Parts(parts)),
    }
}

/// Reads one `first-last`, `first-` or `-suffix`. The result is `Some(None)` if it is well-formed, but the
/// representation has none of its bytes.
fn parse_one(spec: &str, length: u64) -> Option<Option<Part>> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        let suffix = number(last)?;
        let start = length.saturating_sub(suffix);
        return Some((start < length).then_some(Part { start, end: length }));
    }
    let start = number(first)?;
    let end = match last {
        "" => length,
        last => {
            let last = number(last)?;
            if last < start {
                return None;
            }
            last.saturating_add(1).min(length)
        }
    };
    Some((start < length).then_some(Part { start, end }))
}

/// Reads digits only. A number that is too large for `u64` becomes `u64::MAX`, which is more than any file has.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Adds a part and merges it with those that it overlaps or nearly touches. The other parts keep their order.
fn add(parts: &mut Vec<Part>, new: Part) {
    let mut whole = new;
    let mut place = None;
    // Each time the merged part grows, it may reach further parts.
    while let Some(at) = parts.iter().position(|part| {
        part.start <= whole.end.saturating_add(RANGE_GAP) && whole.start <= part.end.saturating_add(RANGE_GAP)
    }) {
        let part = parts.remove(at);
        whole = Part { start: whole.start.min(part.start), end: whole.end.max(part.end) };
        place = Some(place.map_or(at, |place: usize| place.min(at)));
    }
    parts.insert(place.unwrap_or(parts.len()), whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: &str, length: u64, expected: Option<&[(u64, u64)]>) {
        let parts = |parts: &[(u64, u64)]| parts.iter().map(|&(start, end)| Part { start, end }).collect();
        let expected = match expected {
            None => Wanted::Whole,
            Some([]) => Wanted::Nothing,
            Some(list) => Wanted::Parts(parts(list)),
        };
        assert_eq!(parse(value, length).unwrap_or(Wanted::Whole), expected, "{value:?} of {length}");
    }

    #[test]
    fn one_part_is_read_in_each_of_its_forms() {
        check("bytes=0-0", 1000, Some(&[(0, 1)]));
        check("bytes=0-499", 1000, Some(&[(0, 500)]));
        check("BYTES=500-", 1000, Some(&[(500, 1000)]));
        check("bytes=-1", 1000, Some(&[(999, 1000)]));
        check("bytes=-2000", 1000, Some(&[(0, 1000)]));
        check("bytes=999-99999999999999999999999", 1000, Some(&[(999, 1000)]));
        check("bytes= 1-2 ,", 1000, Some(&[(1, 3)]));
        check("bytes=5000000000-5000000001", 6_000_000_000, Some(&[(5_000_000_000, 5_000_000_002)]));
    }

    #[test]
    fn a_part_that_the_representation_does_not_have_is_left_out() {
        check("bytes=1000-", 1000, Some(&[]));
        check("bytes=-0", 1000, Some(&[]));
        check("bytes=99999999999999999999999-", 1000, Some(&[]));
        check("bytes=0-", 0, Some(&[]));
        check("bytes=-5", 0, None);
        check("bytes=0-,-5", 0, None);
        check("bytes=-0", 0, Some(&[]));
        check("bytes=-0,-0", 0, Some(&[]));
        check("bytes=2000-, 0-1", 1000, Some(&[(0, 2)]));
    }

    #[test]
    fn a_malformed_range_is_ignored() {
        for value in ["bytes", "bytes=", "bytes=,", "bytes=a-b", "bytes=1", "bytes=--1", "bytes=-", "bytes=5-4"] {
            check(value, 1000, None);
        }
        for value in
            ["bytes=0-1,x", "bytes=+1-2", "bytes=1 - 2", "bytes=1-2-3", "lines=0-1", "bytes =0-1", "bytes=0x1-2"]
        {
            check(value, 1000, None);
        }
    }

    #[test]
    fn parts_that_touch_become_one_and_the_others_keep_their_order() {
        check("bytes=900-999,0-9", 1000, Some(&[(900, 1000), (0, 10)]));
        check("bytes=0-9,5-20,21-30", 1000, Some(&[(0, 31)]));
        check("bytes=0-9,500-509,0-600", 1000, Some(&[(0, 601)]));
        check("bytes=0-0,-1", 10_000, Some(&[(0, 1), (9_999, 10_000)]));
        check("bytes=0-9,50-59", 1000, Some(&[(0, 60)]));
    }

    #[test]
    fn a_range_bomb_is_ignored_or_merged_into_the_whole() {
        let many: Vec<String> = (0..MAX_RANGES as u64 + 1).map(|i| format!("{0}-{0}", i * 1000)).collect();
        check(&format!("bytes={}", many.join(",")), 1_000_000, None);
        let overlapping = vec!["0-"; MAX_RANGES].join(",");
        check(&format!("bytes={overlapping}"), 1_000_000, Some(&[(0, 1_000_000)]));
    }
}
