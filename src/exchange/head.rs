use std::cell::OnceCell;

use memchr::memchr;
use percent_encoding::percent_decode;

use crate::http::{Fields, Method, Version, collect_text, target_text};

/// A request head that has passed every check of `h1/`: what stands here is well-formed.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// The request target as it came. Like all that follows it is ASCII, but stays bytes: few handlers ask for it as text.
    pub(crate) target: &'a [u8],
    /// The path of the target, as it came: the router splits it before it decodes.
    pub(crate) raw_path: &'a [u8],
    /// The path, percent-decoded once, if that makes a difference and somebody has asked for it.
    pub(crate) decoded_path: OnceCell<Box<str>>,
    /// What stands behind the first `?`.
    pub(crate) query: Option<&'a [u8]>,
    /// From an absolute-form target, else from Host (RFC 9112 §3.2.2).
    pub(crate) authority: Option<&'a [u8]>,
    pub(crate) fields: Fields<'a>,
}

impl Head<'_> {
    /// The path, percent-decoded once.
    pub(crate) fn path(&self) -> &str {
        match memchr(b'%', self.raw_path) {
            None => target_text(self.raw_path),
            Some(_) => self.decoded_path.get_or_init(|| self.decode_path()),
        }
    }

    #[cold]
    fn decode_path(&self) -> Box<str> {
        // As long as it will be, so that the box is not made a second time.
        let length = percent_decode(self.raw_path).count();
        collect_text(length, percent_decode(self.raw_path)).into()
    }
}
