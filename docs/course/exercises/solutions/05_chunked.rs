/// The message breaks a rule, or has too much content.
#[derive(Debug, PartialEq)]
pub struct Bad;

/// Most bytes in the line of a size, without its CRLF.
const MAX_LINE: usize = 64;
/// Most digits in a size.
const MAX_DIGITS: usize = 8;

/// Where in the message the next byte is.
#[derive(Debug)]
enum State {
    Size {
        digits: usize,
        size: usize,
        line: usize,
    },
    Extension {
        size: usize,
        line: usize,
    },
    /// A CR has ended the line of a size.
    SizeLf {
        size: usize,
    },
    Data {
        left: usize,
    },
    DataCr,
    DataLf,
    EndCr,
    EndLf,
    Done,
}

impl State {
    const START: Self = Self::Size { digits: 0, size: 0, line: 0 };
}

/// Decodes content in the chunked coding (RFC 9112 §7.1), as it comes.
#[derive(Debug)]
pub struct Decoder {
    /// Bytes of content that may still come.
    left: usize,
    state: State,
}

impl Decoder {
    /// A decoder of content that has at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { left: limit, state: State::START }
    }

    /// Decodes the next bytes. Returns how many of them belong to the message.
    ///
    /// # Errors
    ///
    /// If the message breaks a rule of the coding, or has more content than the limit.
    pub fn decode(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, Bad> {
        let mut used = 0;
        while used < bytes.len() && !self.is_done() {
            // All of the data that has come is taken at once, all else byte by byte.
            if let State::Data { left } = &mut self.state {
                let count = (*left).min(bytes.len() - used);
                content.extend_from_slice(&bytes[used..used + count]);
                used += count;
                *left -= count;
                if *left == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            self.state = self.after(bytes[used])?;
            used += 1;
        }
        Ok(used)
    }

    /// The state after a byte that is not data.
    fn after(&mut self, byte: u8) -> Result<State, Bad> {
        Ok(match (&self.state, byte) {
            (State::Size { digits: 1.., size, .. } | State::Extension { size, .. }, b'\r') => {
                State::SizeLf { size: *size }
            }
            (State::Size { line: MAX_LINE, .. } | State::Extension { line: MAX_LINE, .. }, _) => return Err(Bad),
            (State::Size { digits, size, line }, byte) if byte.is_ascii_hexdigit() && *digits < MAX_DIGITS => {
                let digit = (byte as char).to_digit(16).ok_or(Bad)? as usize;
                State::Size { digits: digits + 1, size: size * 16 + digit, line: line + 1 }
            }
            (State::Size { digits: 1.., size, line }, b';') => State::Extension { size: *size, line: line + 1 },
            (State::Extension { .. }, b'\n') => return Err(Bad),
            (State::Extension { size, line }, _) => State::Extension { size: *size, line: line + 1 },
            (State::SizeLf { size: 0 }, b'\n') => State::EndCr,
            (State::SizeLf { size }, b'\n') => {
                self.left = self.left.checked_sub(*size).ok_or(Bad)?;
                State::Data { left: *size }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::START,
            (State::EndCr, b'\r') => State::EndLf,
            (State::EndLf, b'\n') => State::Done,
            _ => return Err(Bad),
        })
    }

    /// Whether the message has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }
}
