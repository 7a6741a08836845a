//! Hides the values of field lines that are secrets, in a stream of bytes that comes in any pieces.
//!
//! It knows lines, not messages: a line of content that looks like such a field line is masked, too. For requests,
//! `request_mask` knows where content is. Each byte is replaced by one `*`, so all lengths stay the same.

/// The names of the fields whose values are replaced by `*` before they are recorded, in lower case. What
/// [`Recorder::about`](super::Recorder::about) writes is not searched for them.
pub const SECRET_FIELDS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// Whether the values of the field with this name are hidden.
pub(super) fn is_secret(name: impl AsRef<[u8]>) -> bool {
    SECRET_FIELDS.iter().any(|secret| secret.as_bytes().eq_ignore_ascii_case(name.as_ref()))
}

/// The length of the longest of these names.
const LONGEST: usize = 19;

/// One direction of a connection.
#[derive(Clone, Debug)]
pub(super) struct Mask {
    state: State,
    /// The name of the line, as far as it has come, in lower case.
    name: [u8; LONGEST],
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first byte of a line, which a CR alone begins, too. The line before it was a secret, or not: a line
    /// that begins with a space goes on with its value (obs-fold, RFC 9112 §5.2).
    Begin { after_secret: bool },
    /// Within a name.
    Name,
    /// After a name that is a secret, where only spaces come before the colon.
    BeforeColon,
    /// After the colon of a secret, before its value.
    BeforeValue,
    /// Within the value of a secret.
    Value,
    /// In a line that is no secret.
    Other,
}

impl Mask {
    pub(super) const fn new() -> Self {
        Self { state: State::Begin { after_secret: false }, name: [0; LONGEST], length: 0 }
    }

    /// Masks the next bytes of the stream.
    pub(super) fn apply(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while let Some(byte) = bytes.get_mut(at) {
            if self.take(*byte) {
                *byte = b'*';
            }
            at += 1;
            // Most bytes are in lines that are no secrets, and only the end of such a line matters.
            if self.state == State::Other {
                let rest = &bytes[at..];
                at += rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
            }
        }
    }

    /// Takes a byte, and returns whether it is to be hidden.
    fn take(&mut self, byte: u8) -> bool {
        let is_space = matches!(byte, b' ' | b'\t');
        self.state = match (self.state, byte) {
            (state, b'\n') => {
                self.length = 0;
                State::Begin { after_secret: matches!(state, State::BeforeValue | State::Value) }
            }
            (State::Begin { after_secret: true }, _) if is_space => State::BeforeValue,
            // The server refuses a head with such a line, but what it has is a secret all the same.
            (State::Begin { .. }, _) if is_space => self.state,
            (State::Begin { .. } | State::Name | State::BeforeColon | State::Other, b'\r') => {
                self.length = 0;
                State::Begin { after_secret: false }
            }
            (State::Begin { .. } | State::Name, byte) => self.in_name(byte),
            (State::BeforeColon, b':') => State::BeforeValue,
            (State::BeforeColon, _) if is_space => State::BeforeColon,
            (State::BeforeColon | State::Other, _) => State::Other,
            (State::BeforeValue, _) if is_space || byte == b'\r' => State::BeforeValue,
            (State::BeforeValue | State::Value, _) => State::Value,
        };
        // The server refuses a value with control characters, and a replay has to refuse it, too.
        self.state == State::Value && (byte == b'\t' || !byte.is_ascii_control())
    }

    fn in_name(&mut self, byte: u8) -> State {
        let name = &self.name[..self.length];
        match byte {
            b':' if is_secret(name) => State::BeforeValue,
            b' ' | b'\t' if is_secret(name) => State::BeforeColon,
            b':' | b' ' | b'\t' => State::Other,
            _ if self.length == LONGEST => State::Other,
            _ => {
                self.name[self.length] = byte.to_ascii_lowercase();
                self.length += 1;
                State::Name
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(what is sent, what is recorded)`.
    const TABLE: [(&str, &str); 15] = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("GET / HTTP/1.1\r\nCookie: a=b; c=d\r\nX: y\r\n", "GET / HTTP/1.1\r\nCookie: ********\r\nX: y\r\n"),
        ("x\r\nAUTHORIZATION:Basic eA==\r\nA: b\r\n", "x\r\nAUTHORIZATION:**********\r\nA: b\r\n"),
        ("x\nSet-Cookie: a\nSet-Cookie:\t b\r\n", "x\nSet-Cookie: *\nSet-Cookie:\t *\r\n"),
        ("x\r\nProxy-Authorization :a b\r\n", "x\r\nProxy-Authorization :***\r\n"),
        ("x\r\nCookie: a\r\n folded\r\n\tmore\r\nB: c", "x\r\nCookie: *\r\n ******\r\n\t****\r\nB: c"),
        ("x\r\nCookie: a\rb\r\n", "x\r\nCookie: *\r*\r\n"),
        ("x\r\nCookies: a\r\nX-Cookie: a\r\n", "x\r\nCookies: a\r\nX-Cookie: a\r\n"),
        ("x\r\nProxy-Authorizations: a\r\n", "x\r\nProxy-Authorizations: a\r\n"),
        ("x\r\nCookie x: a\r\nCookie\r\n: a", "x\r\nCookie x: a\r\nCookie\r\n: a"),
        ("x\r\n Cookie: a\r\nx\r\n\t cookie : a", "x\r\n Cookie: *\r\nx\r\n\t cookie : *"),
        ("x\r\nA: b\rCookie: a\rCookie: a\r\n", "x\r\nA: b\rCookie: *\r*********\r\n"),
        ("x\r\nCookie: a\0b\x7f\tc \r\n", "x\r\nCookie: *\0*\x7f***\r\n"),
        ("x\r\nCookie:\r\n a\r\n", "x\r\nCookie:\r\n *\r\n"),
        ("Cookie: a: b\r\n\r\nCookie: c", "Cookie: ****\r\n\r\nCookie: *"),
    ];

    #[test]
    fn secrets_are_hidden_wherever_the_bytes_are_split() {
        for (sent, recorded) in TABLE {
            for split in 0..=sent.len() {
                let mut bytes = sent.as_bytes().to_vec();
                let mut mask = Mask::new();
                let (first, second) = bytes.split_at_mut(split);
                mask.apply(first);
                mask.apply(second);
                assert_eq!(String::from_utf8_lossy(&bytes), recorded, "split at {split}");
            }
            let mut mask = Mask::new();
            let mut bytes = sent.as_bytes().to_vec();
            bytes.iter_mut().for_each(|byte| mask.apply(std::slice::from_mut(byte)));
            assert_eq!(String::from_utf8_lossy(&bytes), recorded, "byte by byte");
        }
    }

    #[test]
    fn what_is_masked_stays_the_same_if_it_is_masked_once_more() {
        for (_, recorded) in TABLE {
            let mut bytes = recorded.as_bytes().to_vec();
            Mask::new().apply(&mut bytes);
            assert_eq!(String::from_utf8_lossy(&bytes), recorded);
        }
    }
}
