use std::fmt;

use crate::http::Error;

/// What is wrong with a message, or with the server that reads it. That more bytes are needed is not an error, so it is
/// not here.
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
    OutOfMemory,
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
        self.reply().0
    }

    /// The message for the client. It names the rule, so that the author of the client can find the mistake.
    const fn message(self) -> &'static str {
        self.reply().1
    }

    /// The status code and the message of the reply.
    const fn reply(self) -> (u16, &'static str) {
        match self {
            Self::RequestLine => (400, "Malformed request line"),
            Self::EmptyLines => (400, "Too many empty lines before the request"),
            Self::BareLf => (400, "A line does not end in CRLF"),
            Self::Field => (400, "Malformed header field"),
            Self::Target => (400, "Malformed request target"),
            Self::Host => (400, "Missing, repeated or malformed Host"),
            Self::ContentLength => (400, "Malformed or repeated Content-Length"),
            Self::TransferEncoding => (400, "Malformed or forbidden Transfer-Encoding"),
            Self::Chunk => (400, "Malformed chunk"),
            Self::Trailer => (400, "Malformed trailer field"),
            Self::IncompleteHead => (400, "The request ended before its head did"),
            Self::IncompleteContent => (400, "The request ended before its content did"),
            Self::Timeout => (408, "The request took too long"),
            Self::OutOfMemory => (503, "The server is short of memory"),
            Self::ContentTooLarge => (413, "The content is too large"),
            Self::TargetTooLong => (414, "The request target is too long"),
            Self::ExpectationFailed => (417, "Unknown expectation"),
            Self::NotSecured => (421, "This connection is not secured"),
            Self::HeadTooLarge => (431, "The request head is too large"),
            Self::TooManyFields => (431, "The request head has too many fields"),
            Self::TrailersTooLarge => (431, "The trailer section is too large"),
            Self::UnknownMethod => (501, "Unknown method"),
            Self::UnknownCoding => (501, "Unknown transfer coding"),
            Self::Version => (505, "HTTP version not supported"),
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

#[diagnostic::do_not_recommend]
impl From<ProtocolError> for Error {
    fn from(error: ProtocolError) -> Self {
        let reply = Self::new(error.status(), error.message());
        match error {
            // RFC 9110 §10.2.3: in seconds. Memory is looked for once a second.
            ProtocolError::OutOfMemory => reply.with_header("Retry-After", "1"),
            _ => reply,
        }
    }
}
