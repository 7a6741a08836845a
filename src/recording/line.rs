//! The lines of a recording. Each is a JSON object, and its member `event` says what it is about.

use std::fmt::Write;

use serde_json::{Map, Value};

/// Bytes of a write up to this number are recorded as they are. Of a longer one, the recording has the first
/// [`LONG_BEGINS`] and a hash of all.
const WHOLE: usize = 4096;
const LONG_BEGINS: usize = 256;

/// A line that is to be written, or to be compared with one that was.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) event: &'static str,
    pub(super) fields: Vec<(&'static str, Value)>,
    /// What a replay shows beside it, in words.
    pub(super) notes: Vec<String>,
}

impl Line {
    pub(super) const fn new(event: &'static str) -> Self {
        Self { event, fields: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// The bytes of a write.
    pub(super) fn with_output(self, bytes: &[u8]) -> Self {
        match bytes.len() <= WHOLE {
            true => self.with("bytes", text_of(bytes)),
            false => self.with("bytes", text_of(&bytes[..LONG_BEGINS])).with("hash", hash(bytes)),
        }
    }

    /// Writes the line, with its end.
    pub(super) fn encode(&self, into: &mut String) {
        // Writing to a string cannot fail, and neither can a value that is no map with foreign keys.
        let _ = write!(into, "{{\"event\":\"{}\"", self.event);
        for (name, value) in &self.fields {
            let _ = write!(into, ",\"{name}\":{value}");
        }
        into.push_str("}\n");
    }

    /// The line as a JSON object.
    pub(super) fn to_object(&self) -> Map<String, Value> {
        let event = ("event".to_owned(), Value::from(self.event));
        let fields = self.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        [event].into_iter().chain(fields).collect()
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// The byte of the line at which it is wrong, from 1, if that is known.
    pub(super) column: Option<usize>,
    pub(super) what: String,
}

impl Problem {
    pub(super) fn of_line(what: impl Into<String>) -> Self {
        Self { column: None, what: what.into() }
    }

    /// The text of the parser ends with a place. Its line is always the first one, since it gets one line.
    fn of_json(error: &serde_json::Error) -> Self {
        let (text, place) = (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
        let what = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        Self { column: Some(error.column()).filter(|&column| column > 0), what }
    }
}

/// A line that was read.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// The number of the line in its file, from 1.
    pub(super) number: usize,
    pub(super) event: String,
    pub(super) fields: Map<String, Value>,
}

impl Stored {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(number: usize, text: &str) -> Result<Self, Problem> {
        let mut fields: Map<String, Value> = serde_json::from_str(text).map_err(|error| Problem::of_json(&error))?;
        match fields.remove("event") {
            Some(Value::String(event)) => Ok(Self { number, event, fields }),
            _ => Err(Problem::of_line("it has no member `event`")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, String> {
        self.fields.get(name).and_then(Value::as_u64).ok_or_else(|| self.lacks(name, "a whole number"))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        self.fields.get(name).and_then(Value::as_str).ok_or_else(|| self.lacks(name, "a text"))
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, String> {
        self.fields.get(name).and_then(Value::as_bool).ok_or_else(|| self.lacks(name, "true or false"))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        bytes_of(self.text(name)?).ok_or_else(|| self.lacks(name, "characters up to U+00FF"))
    }

    pub(super) fn size(&self, name: &str) -> Result<usize, String> {
        usize::try_from(self.number(name)?).map_err(|_| self.lacks(name, "a size"))
    }

    fn lacks(&self, name: &str, what: &str) -> String {
        format!("`{name}` of `{}` must be {what}", self.event)
    }
}

/// Bytes as text: each character is a byte, from U+0000 to U+00FF.
pub(super) fn text_of(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The bytes that [`text_of`] has made a text of; `None` if it has not made it.
pub(super) fn bytes_of(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect()
}

/// FNV-1a, 64 bits, in hex. It is to find differences, not to resist anybody.
pub(super) fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, &byte: &u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_a_character_and_comes_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = String::new();
        Line::new("read").with("bytes", text_of(&bytes)).encode(&mut text);
        assert_eq!(text.matches('\n').count(), 1, "a line is a line: {text:?}");
        let stored = Stored::parse(7, &text).unwrap();
        assert_eq!((stored.bytes("bytes").unwrap(), stored.number), (bytes, 7));
        assert_eq!(bytes_of("\u{100}"), None);
    }

    #[test]
    fn text_can_be_read_by_people() {
        let mut text = String::new();
        Line::new("read").with("room", 99).with("bytes", text_of(b"GET / HTTP/1.1\r\n\r\n")).encode(&mut text);
        assert_eq!(text, "{\"event\":\"read\",\"room\":99,\"bytes\":\"GET / HTTP/1.1\\r\\n\\r\\n\"}\n");
    }

    #[test]
    fn a_long_output_has_its_beginning_and_a_hash_of_all_of_it() {
        let mut bytes = vec![b'a'; WHOLE + 1];
        let one = Line::new("write").with_output(&bytes);
        bytes[WHOLE] = b'b';
        let other = Line::new("write").with_output(&bytes);
        assert_eq!(one.value("bytes"), other.value("bytes"));
        assert_ne!(one.value("hash"), other.value("hash"));
        // The published test vector for "a".
        assert_eq!(hash(b"a"), "af63dc4c8601ec8c");
    }

    #[test]
    fn a_line_that_is_none_is_explained() {
        let problem = |text| Stored::parse(1, text).unwrap_err();
        assert!(problem("{\"event\":").what.contains("EOF"));
        assert_eq!(problem("{x}"), Problem { column: Some(2), what: "key must be a string".to_owned() });
        assert_eq!(problem("{\"a\":1}"), Problem::of_line("it has no member `event`"));
        let stored = Stored::parse(1, "{\"event\":\"open\",\"conn\":\"x\"}").unwrap();
        assert_eq!(stored.number("conn").unwrap_err(), "`conn` of `open` must be a whole number");
    }
}
