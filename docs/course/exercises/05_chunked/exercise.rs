/// The message breaks a rule, or has too much content.
#[derive(Debug, PartialEq)]
pub struct Bad;

/// Decodes content in the chunked coding (RFC 9112 §7.1), as it comes.
///
/// ```text
///     3\r\n   abc\r\n   a;name=value\r\n   0123456789\r\n   0\r\n   \r\n
///     size    data      size, extension    data             last    end
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// Bytes of content that may still come.
    left: usize,
    done: bool,
}

impl Decoder {
    /// A decoder of content that has at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { left: limit, done: false }
    }

    /// Decodes the next bytes, which are never brought again, and puts the content at the end of `content`. Returns how
    /// many of the bytes belong to the message: all, unless it ends among them.
    ///
    /// # Errors
    ///
    /// If the message breaks a rule of the coding, or has more content than the limit. Too much content is an error as
    /// early as the size of the chunk is known. The rules: a size has one to eight hexadecimal digits and nothing else;
    /// an extension begins with `;` and is ignored; the line of a size has at most 64 bytes, its CRLF not counted; each
    /// line, and the data of each chunk, ends with CRLF, and no other CR or LF is in a line; after the last chunk comes
    /// an empty line (trailer fields are refused).
    pub fn decode(&mut self, bytes: &[u8], content: &mut Vec<u8>) -> Result<usize, Bad> {
        // This decodes a simple message, but only if all of it comes at once. What must be remembered if it does not?
        // And what must it not accept?
        let mut used = 0;
        while !self.done {
            let rest = &bytes[used..];
            let Some(line) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(used) };
            let digits = str::from_utf8(&rest[..line]).map_err(|_| Bad)?.trim();
            let size = usize::from_str_radix(digits, 16).map_err(|_| Bad)?;
            let Some(data) = rest.get(line + 1..line + 1 + size) else { return Ok(used) };
            content.extend_from_slice(data);
            used = bytes.len().min(used + line + 1 + size + 2);
            self.done = size == 0;
        }
        Ok(used)
    }

    /// Whether the message has ended.
    pub fn is_done(&self) -> bool {
        self.done
    }
}
