use std::borrow::Cow;

use crate::http::decode_segment;

/// The most parameters that a route may have.
pub(crate) const MAX_PARAMS: usize = 8;

/// Where in the raw path the values of the parameters are: from, to.
pub(crate) type Spans = [(u32, u32); MAX_PARAMS];

/// The parameters of a matched route. The route has the names, and the raw path the values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Params<'a> {
    pub(crate) names: &'a [Box<str>],
    pub(crate) spans: &'a Spans,
}

impl<'a> Params<'a> {
    pub(crate) const NONE: Self = Self { names: &[], spans: &[(0, 0); MAX_PARAMS] };

    /// The value of the parameter, percent-decoded. The parser has checked that the path decodes to UTF-8.
    pub(crate) fn get(&self, name: &str, raw_path: &'a [u8]) -> Option<Cow<'a, str>> {
        self.get_raw(name, raw_path).map(decode_segment)
    }

    /// The names and values of all parameters in the order of the path, percent-decoded.
    #[cfg(feature = "json")]
    pub(crate) fn iter(&self, raw_path: &'a [u8]) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> + use<'a> {
        let values = self.spans.iter().map(|&(start, end)| decode_segment(&raw_path[start as usize..end as usize]));
        self.names.iter().map(|name| &**name).zip(values)
    }

    /// The value of the parameter, still encoded.
    pub(crate) fn get_raw(&self, name: &str, raw_path: &'a [u8]) -> Option<&'a [u8]> {
        let index = self.names.iter().position(|known| **known == *name)?;
        let (start, end) = self.spans[index];
        Some(&raw_path[start as usize..end as usize])
    }
}
