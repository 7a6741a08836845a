use std::fmt;

use crate::http::Error;

/// What is wrong with a message. That more bytes are needed is not an error, so it is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProtocolError {
    RequestLine,
    EmptyLines,
    BareLf,
    Field,
    Target,
    Host,
    ContentLength,
    TransferEncoding,
    Chunk,
    Trailer,
    IncompleteHead,
    IncompleteContent,
    Timeout,
    ContentTooLarge,
    TargetTooLong,
    ExpectationFailed,
    NotSecured,
    HeadTooLarge,
    TooManyFields,
    TrailersTooLarge,
    UnknownMethod,
    UnknownCoding,
    Version,
}

impl ProtocolError {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::RequestLine
            | Self::EmptyLines
            | Self::BareLf
            | Self::Field
            | Self::Target
            | Self::Host
            | Self::ContentLength
            | Self::TransferEncoding
            | Self::Chunk
            | Self::Trailer
            | Self::IncompleteHead
            | Self::IncompleteContent => 400,
            Self::Timeout => 408,
            Self::ContentTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::ExpectationFailed => 417,
            Self::NotSecured => 421,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailersTooLarge => 431,
            Self::UnknownMethod | Self::UnknownCoding => 501,
            Self::Version => 505,
        }
    }

    /// The message for the client. It names the rule, so that the author of the client can find the mistake.
    const fn message(self) -> &'static str {
        match self {
            Self::RequestLine => "Malformed request line",
            Self::EmptyLines => "Too many empty lines before the request",
            Self::BareLf => "A line does not end in CRLF",
            Self::Field => "Malformed header field",
            Self::Target => "Malformed request target",
            Self::Host => "Missing, repeated or malformed Host",
            Self::ContentLength => "Malformed or repeated Content-Length",
            Self::TransferEncoding => "Malformed or forbidden Transfer-Encoding",
            Self::Chunk => "Malformed chunk",
            Self::Trailer => "Malformed trailer field",
            Self::IncompleteHead => "The request ended before its head did",
            Self::IncompleteContent => "The request ended before its content did",
            Self::Timeout => "The request took too long",
            Self::ContentTooLarge => "The content is too large",
            Self::TargetTooLong => "The request target is too long",
            Self::ExpectationFailed => "Unknown expectation",
            Self::NotSecured => "This connection is not secured",
            Self::HeadTooLarge => "The request head is too large",
            Self::TooManyFields => "The request head has too many fields",
            Self::TrailersTooLarge => "The trailer section is too large",
            Self::UnknownMethod => "Unknown method",
            Self::UnknownCoding => "Unknown transfer coding",
            Self::Version => "HTTP version not supported",
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        Self::new(error.status(), error.message())
    }
}
