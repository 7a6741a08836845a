/// The reason phrase that the IANA registry gives for a status code. It is empty for a code that is not registered.
///
/// ```
/// assert_eq!(monoloop::http::reason_phrase(404), "Not Found");
/// ```
pub const fn reason_phrase(status: u16) -> &'static str {
    // The status line without "HTTP/1.1 404 " before the phrase and CRLF after it.
    match status_line(status) {
        Some(line) => {
            let (_, phrase) = line.split_at(13);
            phrase.split_at(phrase.len() - 2).0
        }
        None => "",
    }
}

/// The status lines of the registered final codes (RFC 9110 §15 and the IANA registry), ready to send.
macro_rules! status_lines {
    ($($code:literal $phrase:literal)*) => {
        /// The whole status line of a registered status code, CRLF included.
        pub(crate) const fn status_line(status: u16) -> Option<&'static str> {
            match status {
                $($code => Some(concat!("HTTP/1.1 ", $code, " ", $phrase, "\r\n")),)*
                _ => None,
            }
        }
    };
}

status_lines! {
    200 "OK"
    201 "Created"
    202 "Accepted"
    203 "Non-Authoritative Information"
    204 "No Content"
    205 "Reset Content"
    206 "Partial Content"
    207 "Multi-Status"
    208 "Already Reported"
    226 "IM Used"
    300 "Multiple Choices"
    301 "Moved Permanently"
    302 "Found"
    303 "See Other"
    304 "Not Modified"
    305 "Use Proxy"
    307 "Temporary Redirect"
    308 "Permanent Redirect"
    400 "Bad Request"
    401 "Unauthorized"
    402 "Payment Required"
    403 "Forbidden"
    404 "Not Found"
    405 "Method Not Allowed"
    406 "Not Acceptable"
    407 "Proxy Authentication Required"
    408 "Request Timeout"
    409 "Conflict"
    410 "Gone"
    411 "Length Required"
    412 "Precondition Failed"
    413 "Content Too Large"
    414 "URI Too Long"
    415 "Unsupported Media Type"
    416 "Range Not Satisfiable"
    417 "Expectation Failed"
    421 "Misdirected Request"
    422 "Unprocessable Content"
    423 "Locked"
    424 "Failed Dependency"
    425 "Too Early"
    426 "Upgrade Required"
    428 "Precondition Required"
    429 "Too Many Requests"
    431 "Request Header Fields Too Large"
    451 "Unavailable For Legal Reasons"
    500 "Internal Server Error"
    501 "Not Implemented"
    502 "Bad Gateway"
    503 "Service Unavailable"
    504 "Gateway Timeout"
    505 "HTTP Version Not Supported"
    506 "Variant Also Negotiates"
    507 "Insufficient Storage"
    508 "Loop Detected"
    511 "Network Authentication Required"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_cut_out_of_its_line() {
        assert_eq!(status_line(200), Some("HTTP/1.1 200 OK\r\n"));
        assert_eq!(reason_phrase(200), "OK");
        assert_eq!(reason_phrase(431), "Request Header Fields Too Large");
        assert_eq!(reason_phrase(299), "");
    }
}
