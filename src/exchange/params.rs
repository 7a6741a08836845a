use std::borrow::Cow;

use percent_encoding::percent_decode;

/// Most parameters that a route may have.
pub(crate) const MAX_PARAMS: usize = 8;

/// Where in the raw path the values of the parameters lie: from, to.
pub(crate) type Spans = [(u32, u32); MAX_PARAMS];

/// The parameters of a matched route: names from the route, values in the raw path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a> {
    pub(crate) names: &'a [Box<str>],
    pub(crate) spans: &'a Spans,
}

impl<'a> Params<'a> {
    pub(crate) const NONE: Self = Self { names: &[], spans: &[(0, 0); MAX_PARAMS] };

    /// The value of the parameter, percent-decoded (the head was checked: its path decodes to UTF-8).
    pub(crate) fn get(&self, name: &str, raw_path: &'a [u8]) -> Option<Cow<'a, str>> {
        let index = self.names.iter().position(|known| **known == *name)?;
        let (start, end) = self.spans[index];
        let raw = &raw_path[start as usize..end as usize];
        Some(decode_segment(raw))
    }
}

/// A part of a request's path, percent-decoded. The head was checked: it decodes to UTF-8.
#[inline]
pub(crate) fn decode_segment(segment: &[u8]) -> Cow<'_, str> {
    percent_decode(segment).decode_utf8_lossy()
}
