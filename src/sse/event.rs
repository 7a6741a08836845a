//! One event and its encoding: WHATWG HTML §9.2.5 (the grammar) and §9.2.6 (how a browser interprets it).

use std::sync::Arc;
use std::time::Duration;

use crate::http::{Error, Result, is_field_value};

/// An event, or a comment that no script sees.
///
/// ```
/// use monoloop::sse::Event;
/// use std::time::Duration;
///
/// let event = Event::new("Alice\nBob").event("joined").id("17").retry(Duration::from_secs(5));
/// assert_eq!(*event.encode()?, *b"event: joined\nid: 17\nretry: 5000\ndata: Alice\ndata: Bob\n\n");
/// assert_eq!(*Event::comment("still here").encode()?, *b": still here\n\n");
/// # Ok::<(), monoloop::Error>(())
/// ```
///
/// A mistake, such as a line break in the name, never reaches the wire: [`encode`](Self::encode) returns an error, and
/// so does each method that sends the event.
#[doc(alias("sse", "message"))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it has to be sent"]
pub struct Event {
    text: Text,
    name: Option<String>,
    id: Option<String>,
    retry: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Text {
    Data(String),
    Comment(String),
}

impl Event {
    /// An event with this data. Its lines may end in LF, CRLF or CR; the script gets them with LF.
    pub fn new(data: impl Into<String>) -> Self {
        Self::of(Text::Data(data.into()))
    }

    /// An event whose data is `value` as JSON.
    ///
    /// ```
    /// use monoloop::sse::Event;
    ///
    /// assert_eq!(*Event::json(&["a", "b"])?.encode()?, *b"data: [\"a\",\"b\"]\n\n");
    /// # Ok::<(), monoloop::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the value cannot be serialised.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::new(serde_json::to_string(value)?))
    }

    /// A comment: the browser receives it, but no script sees it. If it has an [`id`](Self::id) or a
    /// [`retry`](Self::retry), the browser still uses these.
    pub fn comment(text: impl Into<String>) -> Self {
        Self::of(Text::Comment(text.into()))
    }

    const fn of(text: Text) -> Self {
        Self { text, name: None, id: None, retry: None }
    }

    /// Sets the name: the script receives the event with `addEventListener(name, …)`. Without a name it is `message`,
    /// and `onmessage` receives it, too.
    ///
    /// A line break in the name is a mistake.
    pub fn event(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the id, which the browser sends as [`Last-Event-ID`](super::last_event_id) when it reconnects. The browser
    /// keeps it until another event sets another id; an empty id makes the browser forget it.
    ///
    /// The id must be a valid field value (RFC 9110 §5.5): a control character in it, or white space around it, is a
    /// mistake. Keep it short, since the server refuses a request head that is too long.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets how long the browser waits from now on before it reconnects after it has lost the stream. The time is sent
    /// in whole milliseconds, rounded down.
    pub const fn retry(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// Encodes the event for the wire. All clients can share the result.
    ///
    /// # Errors
    /// A mistake in the name or the id. If a handler returns it, it is a 500.
    pub fn encode(&self) -> Result<Arc<[u8]>> {
        if let Some(name) = &self.name {
            check(!name.contains(['\r', '\n']), "the name of an event holds a line break", name)?;
        }
        if let Some(id) = &self.id {
            check(is_field_value(id.as_bytes()), "the id of an event holds a control character", id)?;
            check(*id == id.trim_matches([' ', '\t']), "the id of an event has white space around it", id)?;
        }
        // The event is written twice, the first time to learn its length. So only the shared bytes are allocated.
        let mut length = 0;
        self.write(&mut |piece| length += piece.len());
        let mut encoded: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
        let mut room = Arc::get_mut(&mut encoded).expect("nobody else has it yet");
        self.write(&mut |piece| {
            let (place, rest) = std::mem::take(&mut room).split_at_mut(piece.len());
            place.copy_from_slice(piece.as_bytes());
            room = rest;
        });
        Ok(encoded)
    }

    /// Writes the event to `out`, piece by piece.
    fn write(&self, out: &mut impl FnMut(&str)) {
        if let Some(name) = &self.name {
            line(out, "event", name);
        }
        if let Some(id) = &self.id {
            line(out, "id", id);
        }
        if let Some(wait) = self.retry {
            line(out, "retry", itoa::Buffer::new().format(wait.as_millis()));
        }
        let (field, text) = match &self.text {
            Text::Data(data) => ("data", data),
            Text::Comment(comment) => ("", comment),
        };
        lines(text).for_each(|text| line(out, field, text));
        out("\n");
    }
}

fn check(holds: bool, mistake: &str, text: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::internal(format!("{mistake}: {text:?}"))) }
}

/// Writes a field, or a comment if `name` is empty. A browser removes one space after the colon, so one is written
/// before each non-empty value; further spaces belong to the value.
fn line(out: &mut impl FnMut(&str), name: &str, value: &str) {
    out(name);
    out(if value.is_empty() { ":" } else { ": " });
    out(value);
    out("\n");
}

/// The lines of `text`: at least one. If the text ends in a line break, an empty line follows, so that the browser
/// restores the break.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = memchr::memchr2(b'\r', b'\n', text.as_bytes()) else {
            rest = None;
            return Some(text);
        };
        let line_break = if text[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = Some(&text[end + line_break..]);
        Some(&text[..end])
    })
}
