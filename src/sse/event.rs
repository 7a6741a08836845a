//! One event, and how it is written: WHATWG HTML §9.2.5 (the grammar) and §9.2.6 (what a browser makes of it).

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
/// A mistake, such as a line break in its name, never reaches the wire: [`encode`](Self::encode) returns it as an error,
/// and so does whatever sends it.
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
    /// An event with this data. Its lines may end in LF, CRLF or CR: the script gets them with LFs.
    pub fn new(data: impl Into<String>) -> Self {
        Self::of(Text::Data(data.into()))
    }

    /// An event with `value` as JSON for its data.
    ///
    /// ```
    /// use monoloop::sse::Event;
    ///
    /// assert_eq!(*Event::json(&["a", "b"])?.encode()?, *b"data: [\"a\",\"b\"]\n\n");
    /// # Ok::<(), monoloop::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the value does not serialise.
    #[cfg(feature = "json")]
    pub fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<Self> {
        Ok(Self::new(serde_json::to_string(value)?))
    }

    /// A comment: it reaches the browser, and no script. With an [`id`](Self::id) or a [`retry`](Self::retry) it still
    /// sets these.
    pub fn comment(text: impl Into<String>) -> Self {
        Self::of(Text::Comment(text.into()))
    }

    const fn of(text: Text) -> Self {
        Self { text, name: None, id: None, retry: None }
    }

    /// Sets the name: the script takes it by `addEventListener(name, …)`. Without one it is `message`, and `onmessage`
    /// takes it, too.
    ///
    /// A line break in it is a mistake.
    pub fn event(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the id, which the browser sends as [`Last-Event-ID`](super::last_event_id) when it comes again. It stays until
    /// another event sets another one; an empty one makes the browser forget it.
    ///
    /// It has to come back in a field line (RFC 9110 §5.5): a control character in it, or white space around it, is a
    /// mistake. Keep it short, since a request head that is too long is refused.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets how long the browser waits, from now on, before it comes again when it has lost the stream; in whole
    /// milliseconds, rounded down.
    pub const fn retry(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// The event as it goes on the wire, to be shared by all who get it.
    ///
    /// # Errors
    /// A mistake that was made with the name or the id; it is a 500 if it is returned from a handler.
    pub fn encode(&self) -> Result<Arc<[u8]>> {
        if let Some(name) = &self.name {
            check(!name.contains(['\r', '\n']), "the name of an event holds a line break", name)?;
        }
        if let Some(id) = &self.id {
            check(is_field_value(id.as_bytes()), "the id of an event holds a control character", id)?;
            check(*id == id.trim_matches([' ', '\t']), "the id of an event has white space around it", id)?;
        }
        // Written twice, the first time to learn its length: so the bytes that are shared are all that is allocated.
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

    /// Gives the event to `out`, piece by piece.
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

/// A field, or a comment if `name` is empty. One space behind the colon is not part of the value, so any other is.
fn line(out: &mut impl FnMut(&str), name: &str, value: &str) {
    out(name);
    out(if value.is_empty() { ":" } else { ": " });
    out(value);
    out("\n");
}

/// The lines of `text`: at least one, and one behind a line break at its end, so that it comes back.
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
