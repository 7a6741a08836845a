use std::borrow::Cow;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{BodyWriter, Reply, Sent};
use crate::buffer::{Content, OutputQueue};
use crate::http::{Result, is_field_value};
use crate::wire::ProtocolError;
use crate::wire::reply::{BodyLength, ContentType, PreparedField};

/// The reply that a handler owes.
///
/// Each method that finishes it consumes it and returns a [`Sent`], which the handler must return. A handler that
/// forgets to finish does not compile:
///
/// ```compile_fail,E0308
/// # let mut app = monoloop::Router::new(());
/// app.get("/", |_, _, res| {
///     res.header("X-Forgot", "the content");   // not a Result<Sent>
/// });
/// ```
///
/// Nor does one that sets a header after the reply is finished:
///
/// ```compile_fail,E0382
/// # let mut app = monoloop::Router::new(());
/// app.get("/", |_, _, res| {
///     let sent = res.text("done");
///     res.header("X-Late", "yes");             // use of a moved value
///     sent
/// });
/// ```
///
/// ```
/// # let mut app = monoloop::Router::new(());
/// app.get("/login", |_, _, res| {
///     let res = res.header("Cache-Control", "no-store");
///     let res = res.append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2");
///     assert_eq!(res.get_header("cache-control"), Some("no-store"));
///     res.status(303).redirect("/home")
/// });
/// ```
///
/// A mistake with a header, such as a line break in its value, is never sent. The method that finishes the reply
/// returns the mistake as an error, and the client gets a 500.
#[doc(alias("reply", "res"))]
#[must_use = "a reply that is not finished is a 500"]
pub struct Response<'a> {
    pub(super) reply: &'a mut Reply,
    pub(super) output: &'a mut OutputQueue,
}

/// What a `Location` must not contain unencoded: it is ASCII without spaces (RFC 3986 §2).
const LOCATION: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`');

impl<'a> Response<'a> {
    pub(crate) fn new(reply: &'a mut Reply, output: &'a mut OutputQueue) -> Self {
        Self { reply, output }
    }

    /// Sets the status code, 200..=599. Without this call it is 200.
    pub fn status(self, status: u16) -> Self {
        match status {
            200..=599 => self.reply.draft.rare.status = status,
            _ => self.reply.draft.blame(format!("not a final status code: {status}")),
        }
        self
    }

    /// The status code that is set now.
    pub fn get_status(&self) -> u16 {
        self.reply.draft.rare.status
    }

    /// Sets the reason phrase, in place of the registered one.
    pub fn reason(self, phrase: &str) -> Self {
        if is_field_value(phrase.as_bytes()) {
            self.reply.draft.rare.reason = Some(phrase.into());
        } else {
            self.reply.draft.blame(format!("the reason phrase contains a control character: {phrase:?}"));
        }
        self
    }

    /// Sets a field line, in place of earlier ones of this name.
    ///
    /// A `Content-Length` must be the true length. `Connection: close` closes the connection after the reply.
    /// `Transfer-Encoding` is refused. `Date` and `Server` replace the lines of the server. `Vary` replaces nothing: it
    /// adds the names that are not listed yet, since the middleware may have set some (RFC 9110 §12.5.5).
    #[doc(alias = "set_header")]
    pub fn header(self, name: &str, value: impl AsRef<str>) -> Self {
        self.reply.draft.set_field(name, value.as_ref(), true);
        self
    }

    /// Adds a field line and keeps earlier ones of this name, as `Set-Cookie` needs it.
    #[doc(alias("cookie", "set-cookie", "session"))]
    pub fn append_header(self, name: &str, value: impl AsRef<str>) -> Self {
        self.reply.draft.set_field(name, value.as_ref(), false);
        self
    }

    /// The value of the first field line of this name that has been set, in any case.
    pub fn get_header(&self, name: &str) -> Option<&str> {
        self.reply.draft.fields.get(name)
    }

    /// Whether a field line of this name was set.
    pub fn has_header(&self, name: &str) -> bool {
        self.get_header(name).is_some()
    }

    /// Removes all field lines of this name that have been set.
    pub fn remove_header(self, name: &str) -> Self {
        self.reply.draft.remove_field(name);
        self
    }

    /// Sets the status code and field lines at once, like Node's `writeHead`.
    ///
    /// ```
    /// # let mut app = monoloop::Router::new(());
    /// app.get("/", |_, _, res| {
    ///     res.write_head(200, [("Content-Type", "text/plain"), ("X-Custom", "value")]).send("OK")
    /// });
    /// ```
    pub fn write_head<N: AsRef<str>, V: AsRef<str>>(
        self,
        status: u16,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        headers.into_iter().fold(self.status(status), |res, (name, value)| res.header(name.as_ref(), value))
    }

    /// Sets the idle timeout of this connection, from now on.
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.reply.draft.rare.idle_timeout = Some(timeout);
        self
    }

    /// Finishes with plain text (`text/plain; charset=utf-8` unless a `Content-Type` was set).
    ///
    /// # Errors
    /// A mistake that was made with the head. All methods that finish return it.
    pub fn text<'c>(self, text: impl Into<Content<'c>>) -> Result<Sent> {
        self.finish(ContentType::TEXT, text.into())
    }

    /// Finishes with HTML (`text/html; charset=utf-8` unless a `Content-Type` was set).
    ///
    /// # Errors
    /// A mistake that was made with the head.
    pub fn html<'c>(self, html: impl Into<Content<'c>>) -> Result<Sent> {
        self.finish(ContentType::HTML, html.into())
    }

    /// Finishes with bytes (`application/octet-stream` unless a `Content-Type` was set).
    ///
    /// Large content is not copied if it is owned (a `Vec`, a `String`) or shared (an `Arc<[u8]>`). Content that is
    /// shared or static does not count towards [`Config::max_memory`](crate::Config::max_memory).
    ///
    /// # Errors
    /// A mistake that was made with the head. Or a 503, when the content is larger than the memory that is left.
    #[doc(alias("body", "bytes"))]
    pub fn send<'c>(self, content: impl Into<Content<'c>>) -> Result<Sent> {
        self.finish(ContentType::BYTES, content.into())
    }

    /// Finishes without content: `res.status(204).empty()`.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    pub fn empty(self) -> Result<Sent> {
        self.finish(ContentType::NONE, Content::Static(b""))
    }

    /// Finishes with JSON (`application/json` unless a `Content-Type` was set), serialised straight into the output.
    ///
    /// # Errors
    /// When the value does not serialise, or grows past
    /// [`Config::max_response_buffer`](crate::Config::max_response_buffer); or a mistake that was made with the head.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Result<Sent> {
        let mut body = BodyWriter::new(self.reply, self.output, ContentType::JSON)?;
        serde_json::to_writer(&mut body, value)?;
        body.end()
    }

    /// Finishes by redirecting the client, with 302 or the 3xx that was set. Characters that a URI cannot contain are
    /// percent-encoded.
    ///
    /// # Errors
    /// When `location` contains a line break or another control character; or a mistake that was made with the head.
    #[doc(alias = "location")]
    pub fn redirect(self, location: impl AsRef<str>) -> Result<Sent> {
        let location = location.as_ref();
        let status = if matches!(self.reply.draft.rare.status, 300..=399) { self.reply.draft.rare.status } else { 302 };
        if !is_field_value(location.as_bytes()) {
            self.reply.draft.blame(format!("the location contains a control character: {location:?}"));
        }
        self.status(status).header("Location", encode_location(location)).empty()
    }

    /// Ends the head and begins the content, which is then written piece by piece.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    #[doc(alias("write", "body"))]
    pub fn start(self) -> Result<BodyWriter<'a>> {
        BodyWriter::new(self.reply, self.output, ContentType::NONE)
    }

    #[inline]
    fn finish(self, content_type: ContentType, content: Content<'_>) -> Result<Sent> {
        let length = content.as_bytes().len();
        // One comparison: the content is empty, or larger than the memory that is left.
        if length.wrapping_sub(1) >= self.reply.room || !self.reply.draft.is_ordinary() {
            return self.finish_unusual(content_type, content);
        }
        let Self { reply, output } = self;
        reply.head().encode_ordinary(output.inline(), content_type, length);
        output.push(content);
        Ok(reply.finish(length as u64))
    }

    #[inline(never)]
    pub(super) fn finish_unusual(self, content_type: ContentType, content: Content<'_>) -> Result<Sent> {
        let length = content.as_bytes().len();
        let takes_memory = matches!(content, Content::Owned(_) | Content::Borrowed(_));
        if takes_memory && length > self.reply.room && self.reply.draft.has_content() {
            self.reply.note_overflow();
            return Err(ProtocolError::OutOfMemory.into());
        }
        self.finish_by(content_type, length, |output| output.push(content))
    }

    /// Finishes with content of this length, which `push` appends.
    pub(super) fn finish_by(
        self,
        content_type: ContentType,
        length: usize,
        push: impl FnOnce(&mut OutputQueue),
    ) -> Result<Sent> {
        let Self { reply, output } = self;
        reply.draft.seal()?;
        reply.draft.check_length(length as u64)?;
        let has_content = reply.draft.has_content();
        let announced = if reply.draft.rare.status == 205 { 0 } else { length };
        let content_type =
            if length == 0 || matches!(reply.draft.rare.status, 204 | 205) { ContentType::NONE } else { content_type };
        reply.encode_head(output, content_type, BodyLength::Known(announced as u64));
        if !has_content {
            return Ok(reply.finish(0));
        }
        push(output);
        Ok(reply.finish(length as u64))
    }

    /// Finishes the reply to a HEAD whose content was not made, so that nobody knows its length: RFC 9110 §9.3.2 lets
    /// the server omit the fields that only the content would tell.
    #[cfg(feature = "files")]
    pub(crate) fn without_length(self) -> Result<Sent> {
        let Self { reply, output } = self;
        reply.draft.seal()?;
        reply.encode_head(output, ContentType::NONE, BodyLength::CloseDelimited);
        Ok(reply.finish(0))
    }

    /// Finishes with text in several pieces, which are not joined before.
    pub(crate) fn send_joined(self, pieces: [&str; 3]) -> Result<Sent> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.finish_by(ContentType::BYTES, length, |output| {
            pieces.iter().for_each(|piece| output.inline().extend_from_slice(piece.as_bytes()));
        })
    }

    /// Sets a field line, unless there is one of this name.
    #[cfg(any(feature = "json", feature = "files"))]
    pub(crate) fn header_if_none(self, name: &str, value: &str) -> Self {
        if self.has_header(name) { self } else { self.header(name, value) }
    }

    /// Sets a field line that was checked before.
    #[inline(always)]
    pub(crate) fn prepared(self, field: &PreparedField) -> Self {
        self.reply.draft.fields.set_prepared(field);
        self
    }

    /// Has the [service](super::Service::outgoing) see the reply before it is sent.
    pub(crate) fn hold(self) -> Self {
        self.reply.draft.rare.follow_up.is_held = true;
        self.keep_request()
    }

    /// Keeps the request if the reply is put off, because the service wants to see it again.
    pub(crate) fn keep_request(self) -> Self {
        self.reply.draft.rare.follow_up.wants_request = true;
        self
    }

    /// Whether the client prefers HTML to JSON, if the reply was put off.
    pub(super) fn prefers_html(&self) -> Option<bool> {
        self.reply.draft.rare.follow_up.prefers_html
    }

    /// Notes the pattern of the route that has the path of the request, if there is an observer.
    #[inline(always)]
    pub(crate) fn note_route(&mut self, pattern: &Rc<str>) {
        if self.reply.account.is_kept {
            self.reply.account.note_route(pattern);
        }
    }

    /// Makes a roll-back keep what is set now, because the middleware has set it.
    #[inline]
    pub(crate) fn keep(&mut self) {
        self.reply.draft.keep();
    }
}

/// Percent-encodes what a URI cannot contain.
fn encode_location(location: &str) -> Cow<'_, str> {
    let pieces = utf8_percent_encode(location, LOCATION);
    let length = pieces.clone().map(str::len).sum();
    if length == location.len() {
        return Cow::Borrowed(location);
    }
    let mut encoded = String::with_capacity(length);
    encoded.extend(pieces);
    Cow::Owned(encoded)
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({:?})", self.reply)
    }
}
