//! How long the body of a request is, and whether the connection persists (RFC 9112 §6, §9.3). Request smuggling
//! becomes possible when two programs read these few fields differently, so each has one reading here, and it is
//! strict.

use crate::http::{Version, is_token, trim};
use crate::wire::ProtocolError;

/// How the body of a request is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is no body.
    None,
    /// The body has this many bytes.
    Length(u64),
    /// The body is in chunks, of which the last has size zero.
    Chunked,
}

/// What the client expects before it sends content (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expectation {
    #[default]
    None,
    Continue,
    /// An expectation that this server does not know. It leads to a 417.
    Unknown,
}

impl Expectation {
    /// Adds the list of another line. One unknown member makes the whole unknown (RFC 9110 §10.1.1).
    #[cold]
    pub(crate) fn and(self, value: &[u8]) -> Self {
        list(value).fold(self, |all, expectation| match all {
            Self::None | Self::Continue if expectation.eq_ignore_ascii_case(b"100-continue") => Self::Continue,
            _ => Self::Unknown,
        })
    }
}

/// The framing fields of a head, collected line by line.
#[derive(Debug, Default)]
pub(crate) struct FramingFields {
    content_length: Option<u64>,
    codings: Codings,
    pub(crate) options: Options,
}

/// The options of Connection that concern the server (RFC 9110 §7.6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options(u8);

impl Options {
    pub(crate) const CLOSE: Self = Self(1);
    pub(crate) const KEEP_ALIVE: Self = Self(2);
    pub(crate) const UPGRADE: Self = Self(4);

    fn add(&mut self, option: Self) {
        self.0 |= option.0;
    }

    /// Whether this option is among them.
    #[inline]
    pub(crate) const fn has(self, option: Self) -> bool {
        self.0 & option.0 != 0
    }
}

#[derive(Debug, Default)]
struct Codings {
    seen: bool,
    chunked: bool,
    unknown: bool,
}

impl FramingFields {
    /// Reads `1*DIGIT` that fits in 64 bits. A second line or a list is refused even if the values agree.
    pub(crate) fn content_length(&mut self, value: &[u8]) -> Result<(), ProtocolError> {
        if self.content_length.is_some() || value.is_empty() {
            return Err(ProtocolError::ContentLength);
        }
        let mut length = 0_u64;
        for &digit in value {
            if !digit.is_ascii_digit() {
                return Err(ProtocolError::ContentLength);
            }
            length = length
                .checked_mul(10)
                .and_then(|length| length.checked_add(u64::from(digit - b'0')))
                .ok_or(ProtocolError::ContentLength)?;
        }
        self.content_length = Some(length);
        Ok(())
    }

    /// Reads a list of codings, in one line or several. `chunked` must come last, and only once (RFC 9112 §6.1, §7).
    #[cold]
    pub(crate) fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), ProtocolError> {
        self.codings.seen = true;
        match value {
            // Nearly every client sends just this.
            b"chunked" if !self.codings.chunked => self.codings.chunked = true,
            list => self.transfer_encoding_list(list)?,
        }
        Ok(())
    }

    #[inline(never)]
    fn transfer_encoding_list(&mut self, value: &[u8]) -> Result<(), ProtocolError> {
        for coding in list(value) {
            // RFC 7230 removed `identity`. A coding with parameters is not a token, and chunked has none.
            if self.codings.chunked || !is_token(coding) || coding.eq_ignore_ascii_case(b"identity") {
                return Err(ProtocolError::TransferEncoding);
            }
            match coding.eq_ignore_ascii_case(b"chunked") {
                true => self.codings.chunked = true,
                false => self.codings.unknown = true,
            }
        }
        Ok(())
    }

    /// Reads a list of options, in one line or several.
    #[inline]
    pub(crate) fn connection(&mut self, value: &[u8]) {
        match value {
            // Browsers send this.
            b"keep-alive" => self.options.add(Options::KEEP_ALIVE),
            list => self.connection_list(list),
        }
    }

    #[inline(never)]
    fn connection_list(&mut self, value: &[u8]) {
        for option in list(value) {
            match option.len() {
                5 if option.eq_ignore_ascii_case(b"close") => self.options.add(Options::CLOSE),
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.options.add(Options::UPGRADE),
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.options.add(Options::KEEP_ALIVE),
                _ => {}
            }
        }
    }

    /// The framing of the body, when all lines have been read (RFC 9112 §6.3).
    #[inline]
    pub(crate) fn framing(&self, version: Version) -> Result<Framing, ProtocolError> {
        if self.codings.seen {
            return self.chunked(version);
        }
        Ok(match self.content_length {
            None | Some(0) => Framing::None,
            Some(length) => Framing::Length(length),
        })
    }

    #[cold]
    fn chunked(&self, version: Version) -> Result<Framing, ProtocolError> {
        if version == Version::Http10 || self.content_length.is_some() || !self.codings.chunked {
            return Err(ProtocolError::TransferEncoding);
        }
        if self.codings.unknown {
            return Err(ProtocolError::UnknownCoding);
        }
        Ok(Framing::Chunked)
    }
}

/// Whether a `TE` field says that the client accepts trailers (RFC 9110 §10.1.4).
#[cold]
pub(crate) fn takes_trailers(value: &[u8]) -> bool {
    list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// The members of a comma-separated list, without white space around them and without empty ones (RFC 9110 §5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|member| !member.is_empty())
}
