//! Conditional requests (RFC 9110 §13) for replies that the application makes.

use std::fmt::{self, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Request, Response, Sent};
use crate::http::conditional::{Conditions, Validators, Verdict};
use crate::http::{Error, Method, Result, http_date, parse_http_date};

/// The field lines of a 200 that would tell a client wrong things about the content that it has (RFC 9110 §15.4.5).
const OF_CONTENT: [&str; 5] =
    ["Content-Type", "Content-Length", "Content-Encoding", "Content-Language", "Content-Disposition"];

impl Response<'_> {
    /// Sets the `ETag`: text or a number that is another one whenever the content is another one (RFC 9110 §8.8.3).
    /// Quotes are put around it, unless it has them. A tag like `W/"7"` is weak: it promises the same meaning, and not
    /// the same bytes.
    ///
    /// [`if_changed`](Self::if_changed) compares it with what the client has.
    ///
    /// A tag with a space, a quote or a control character in it is a mistake: the reply becomes a 500.
    #[doc(alias("cache", "version", "entity-tag"))]
    pub fn etag(self, tag: impl fmt::Display) -> Self {
        match entity_tag(tag) {
            Ok(tag) => self.header("ETag", tag),
            Err(text) => {
                self.reply.draft.blame(format!("not an ETag: {text:?}"));
                self
            }
        }
    }

    /// Sets `Last-Modified`, in whole seconds. A time in the future becomes the present (RFC 9110 §8.8.2.1).
    ///
    /// [`if_changed`](Self::if_changed) compares it with what the client has. An [`etag`](Self::etag) is safer, since
    /// content can change twice in a second.
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    /// use std::time::{Duration, UNIX_EPOCH};
    ///
    /// let mut app = Router::new(());
    /// app.get("/", |_, req, res| {
    ///     let time = UNIX_EPOCH + Duration::from_secs(784_111_777);
    ///     res.last_modified(time).if_changed(req, |res| res.text("news"))
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    /// assert_eq!(client.get("/").send().header("Last-Modified"), Some(date));
    /// assert_eq!(client.get("/").header("If-Modified-Since", date).send().status(), 304);
    /// ```
    pub fn last_modified(self, time: SystemTime) -> Self {
        let second = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let second = second.min(self.reply.unix_second());
        self.header("Last-Modified", http_date(second))
    }

    /// Finishes as the conditions of the request ask for it (RFC 9110 §13): if they let the server perform the method,
    /// `perform` makes the reply. Before, [`etag`](Self::etag) or [`last_modified`](Self::last_modified) says what is
    /// there now. If neither was called, there is nothing at this path yet.
    ///
    /// To a GET or HEAD of a client that has the current content already, the reply is a 304, and `perform` is not
    /// called. So what is expensive belongs there:
    ///
    /// ```
    /// use monoloop::{Router, TestClient};
    ///
    /// struct Note { version: u32, text: String }
    ///
    /// let mut app = Router::new(Note { version: 1, text: "milk".to_owned() });
    /// app.get("/note", |note, req, res| {
    ///     res.etag(note.version).if_changed(req, |res| res.text(note.text.as_str()))
    /// });
    /// app.put("/note", |note, req, res| {
    ///     res.etag(note.version).if_changed(req, |res| {
    ///         *note = Note { version: note.version + 1, text: String::from_utf8_lossy(req.body()).into_owned() };
    ///         res.etag(note.version).status(204).empty()
    ///     })
    /// });
    ///
    /// let mut client = TestClient::new(app);
    /// let reply = client.get("/note").send();
    /// assert_eq!((reply.header("ETag"), reply.text()), (Some("\"1\""), "milk"));
    /// assert_eq!(client.get("/note").header("If-None-Match", "\"1\"").send().status(), 304);
    ///
    /// // Two clients change what they have read, and the second one is told that it has missed something.
    /// let mut put = |text: &str| client.put("/note").header("If-Match", "\"1\"").body(text).send().status();
    /// assert_eq!((put("milk, bread"), put("milk, eggs")), (204, 412));
    /// ```
    ///
    /// With any other method, an `If-Match` of another state is a 412, and so is an `If-None-Match: *` of a client that
    /// wants to create what is there already. `perform` is not called then. Otherwise it gets the response without the
    /// validators, which are those of the old content.
    ///
    /// Conditions count only if the status that is set now is 2xx (§13.2.1), and not for OPTIONS and TRACE. Field lines
    /// that were set before are in the 304, too, but for those that describe its content. So set `Cache-Control` and
    /// `Vary` before this.
    ///
    /// # Errors
    /// A 412 `Precondition failed`; a mistake that was made with the head; what `perform` returns.
    #[doc(alias("304", "not_modified", "fresh", "if-none-match", "if-match", "412", "precondition"))]
    pub fn if_changed(self, request: &Request<'_>, perform: impl FnOnce(Self) -> Result<Sent>) -> Result<Sent> {
        self.reply.draft.seal()?;
        match self.judge(request) {
            Verdict::Perform if matches!(request.method(), Method::Get | Method::Head) => perform(self),
            Verdict::Perform => perform(self.remove_header("ETag").remove_header("Last-Modified")),
            Verdict::NotModified => self.answer_not_modified(),
            Verdict::Failed => Err(Error::new(412, "Precondition failed")),
        }
    }

    /// Evaluates the conditions of a request against the validators that were set.
    fn judge(&self, request: &Request<'_>) -> Verdict {
        let draft = &self.reply.draft;
        if !matches!(draft.rare.status, 200..=299) || matches!(request.method(), Method::Options | Method::Trace) {
            return Verdict::Perform;
        }
        let conditions = Conditions::of(request.headers());
        let (tag, modified) = (draft.fields.get("etag"), draft.fields.get("last-modified"));
        if tag.is_none() && modified.is_none() {
            // Without a current representation every If-Match fails, and every other condition is met (§13.1).
            return if conditions.has_if_match() { Verdict::Failed } else { Verdict::Perform };
        }
        let shown = tag.unwrap_or_default();
        let tag = shown.strip_prefix("W/").unwrap_or(shown);
        let weak = tag.len() < shown.len();
        let current = Validators { tag, weak, modified: modified.and_then(parse_http_date) };
        conditions.evaluate(request.method(), &current)
    }

    fn answer_not_modified(self) -> Result<Sent> {
        let fields = &mut self.reply.draft.fields;
        OF_CONTENT.iter().for_each(|name| fields.remove(name));
        // The tag says it already, and more exactly.
        if fields.get("etag").is_some() {
            fields.remove("last-modified");
        }
        self.status(304).empty()
    }
}

/// An entity tag with its quotes.
///
/// # Errors
/// The text, if it cannot be one.
fn entity_tag(tag: impl fmt::Display) -> Result<String, String> {
    let mut text = String::with_capacity(34);
    text.push('"');
    // A `String` takes everything, so an error is one of the value.
    let shown = write!(text, "{tag}");
    let quoted = text[1..].strip_prefix("W/").unwrap_or(&text[1..]);
    let (inner, is_quoted) = match quoted.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')) {
        Some(inner) => (inner, true),
        None => (&text[1..], false),
    };
    // etagc (RFC 9110 §8.8.3)
    if shown.is_err() || inner.bytes().any(|byte| matches!(byte, 0..=b' ' | b'"' | 0x7f)) {
        return Err(text.split_off(1));
    }
    Ok(if is_quoted {
        text.split_off(1)
    } else {
        text.push('"');
        text
    })
}
