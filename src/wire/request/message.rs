use std::cell::OnceCell;

use memchr::memchr;
use percent_encoding::percent_decode;

use super::framing::{self, Expectation, Framing, Options};
use crate::http::{Fields, Method, Version, collect_text, target_text};

/// A request head that has passed every check of the parser, so all of it is well-formed.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) method: Method,
    pub(crate) version: Version,
    /// The request target as it arrived. It is ASCII, like the parts of it below, but stays bytes: few handlers ask for
    /// it as text.
    pub(crate) target: &'a [u8],
    /// The path of the target as it arrived. The router splits it before it decodes the segments.
    pub(crate) raw_path: &'a [u8],
    /// The path, percent-decoded once, if decoding changes it and a handler has asked for it.
    pub(crate) decoded_path: OnceCell<Box<str>>,
    /// The part of the target after the first `?`.
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
        // The exact length, so that the box is not allocated a second time.
        let length = percent_decode(self.raw_path).count();
        collect_text(length, percent_decode(self.raw_path)).into()
    }
}

/// A whole, valid head, and its meaning for the message that it begins.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) head: Head<'a>,
    /// The length of the head, blank line included.
    pub(crate) len: usize,
    pub(crate) framing: Framing,
    pub(crate) expectation: Expectation,
    pub(super) options: Options,
    /// Whether bytes of another request have arrived already.
    pub(crate) followed: bool,
}

impl Message<'_> {
    /// Whether the connection persists after this request (RFC 9112 §9.3).
    #[inline]
    pub(crate) fn persistent(&self) -> bool {
        !self.options.has(Options::CLOSE) && (self.head.version == Version::Http11 || self.asked_keep_alive())
    }

    /// Whether the client sent `Connection: keep-alive`.
    #[inline]
    pub(crate) const fn asked_keep_alive(&self) -> bool {
        self.options.has(Options::KEEP_ALIVE)
    }

    /// Whether the client offers another protocol (RFC 9110 §7.8).
    #[inline]
    pub(crate) fn offers_upgrade(&self) -> bool {
        // "A server MUST ignore an Upgrade header field that is received in an HTTP/1.0 request."
        self.options.has(Options::UPGRADE) && self.head.version == Version::Http11
    }

    /// Whether the client accepts trailers.
    pub(crate) fn takes_trailers(&self) -> bool {
        self.head.fields.all("te").any(framing::takes_trailers)
    }
}
