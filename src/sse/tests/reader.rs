//! A reader of event streams that follows only the text of the standard, step by step (WHATWG HTML §9.2.6). It checks
//! the encoder and shares no code with it.

/// An event as a script gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) kind: String,
    pub(super) data: String,
    pub(super) last_event_id: String,
}

/// The state of a browser after it has read a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reader {
    data: String,
    kind: String,
    id: String,
    last_event_id: String,
    pub(super) retry: Option<String>,
    pub(super) seen: Vec<Seen>,
}

/// Reads a whole stream. An event that no empty line ends is discarded.
pub(super) fn read(stream: &[u8]) -> Reader {
    let text = std::str::from_utf8(stream).expect("the stream is UTF-8");
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::default();
    while let Some(end) = rest.find(['\r', '\n']) {
        reader.line(&rest[..end]);
        let pair = rest[end..].starts_with("\r\n");
        rest = &rest[end + if pair { 2 } else { 1 }..];
    }
    reader
}

impl Reader {
    fn line(&mut self, line: &str) {
        if line.is_empty() {
            self.dispatch();
        } else if line.starts_with(':') {
            // "Ignore the line."
        } else if let Some((field, value)) = line.split_once(':') {
            self.field(field, value.strip_prefix(' ').unwrap_or(value));
        } else {
            self.field(line, "");
        }
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => self.kind = value.to_owned(),
            "data" => {
                self.data.push_str(value);
                self.data.push('\n');
            }
            "id" if !value.contains('\0') => self.id = value.to_owned(),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => self.retry = Some(value.to_owned()),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        self.last_event_id = self.id.clone();
        let (mut data, kind) = (std::mem::take(&mut self.data), std::mem::take(&mut self.kind));
        if data.is_empty() {
            return;
        }
        data.pop();
        let kind = if kind.is_empty() { "message".to_owned() } else { kind };
        self.seen.push(Seen { kind, data, last_event_id: self.last_event_id.clone() });
    }
}

/// The examples of the standard, and the three kinds of line ends.
#[test]
fn the_reader_understands_the_examples_of_the_standard() {
    type Row = (&'static [u8], &'static [(&'static str, &'static str)]);
    let table: [Row; 5] = [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", &[("YHOO\n+2\n10", "")]),
        (
            b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event",
            &[("first event", "1"), ("second event", "")],
        ),
        (b"data\n\ndata\ndata\n\ndata:", &[("", ""), ("\n", "")]),
        (b"data:test\n\ndata: test\n\n", &[("test", ""), ("test", "")]),
        (b"\xef\xbb\xbfdata: a\rdata: b\r\ndata: c\n\r\n", &[("a\nb\nc", "")]),
    ];
    for (stream, expected) in table {
        let seen = read(stream).seen;
        let found: Vec<_> = seen.iter().map(|seen| (&seen.data[..], &seen.last_event_id[..])).collect();
        assert_eq!(found, expected, "{}", stream.escape_ascii());
    }
}
