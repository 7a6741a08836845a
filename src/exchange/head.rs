use crate::http::{Fields, Method, Version};

/// A request head that has passed every check of `h1/`: what stands here is well-formed.
#[derive(Debug)]
pub struct Head<'a> {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// The request target as it came. Like all that follows it is ASCII, but stays bytes: few handlers ask for it as text.
    pub(crate) target: &'a [u8],
    /// The path of the target, as it came: the router splits it before it decodes.
    pub(crate) raw_path: &'a [u8],
    /// The path, percent-decoded once, if that makes a difference.
    pub(crate) decoded_path: Option<Box<str>>,
    /// What stands behind the first `?`.
    pub(crate) query: Option<&'a [u8]>,
    /// From an absolute-form target, else from Host (RFC 9112 §3.2.2).
    pub(crate) authority: Option<&'a [u8]>,
    pub(crate) fields: Fields<'a>,
}
