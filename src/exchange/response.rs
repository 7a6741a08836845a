use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::draft::Stage;
use super::flow::{BodySender, BodySource, Channel, Responder, Stream, Waited, Waiting};
use super::reply::{Reply, Rest};
use super::{BodyWriter, Sent};
use crate::buffer::{Content, OutputQueue};
use crate::http::{Error, Result, Version, is_field_value};
use crate::wire::body::{BodyEncoder, ChunkedEncoder};
use crate::wire::reply::{BodyLength, ContentType, PreparedField, encode_interim};

/// The reply that a handler owes.
///
/// Every method that finishes it consumes it and makes a [`Sent`], which the handler must return. So forgetting to
/// finish does not compile:
///
/// ```compile_fail,E0308
/// # let mut app = monoloop::Router::new(());
/// app.get("/", |_, _, res| {
///     res.header("X-Forgot", "the content");   // not a Result<Sent>
/// });
/// ```
///
/// nor does setting a header after the reply is finished:
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
///     let res = res.header("Cache-Control", "no-store").append_header("Set-Cookie", "a=1").append_header("Set-Cookie", "b=2");
///     assert_eq!(res.get_header("cache-control"), Some("no-store"));
///     res.status(303).redirect("/home")
/// });
/// ```
///
/// A mistake with a header, such as a line break in its value, never reaches the wire: the method that finishes the
/// reply returns it as an error, and the client gets a 500.
#[doc(alias("reply", "res"))]
#[must_use = "a reply that is not finished is a 500"]
pub struct Response<'a> {
    pub(super) reply: &'a mut Reply,
    pub(super) output: &'a mut OutputQueue,
}

const TEXT: ContentType = ContentType::new("Content-Type: text/plain; charset=utf-8\r\nContent-Length: ");
const HTML: ContentType = ContentType::new("Content-Type: text/html; charset=utf-8\r\nContent-Length: ");
const BYTES: ContentType = ContentType::new("Content-Type: application/octet-stream\r\nContent-Length: ");
#[cfg(feature = "json")]
const JSON: ContentType = ContentType::new("Content-Type: application/json\r\nContent-Length: ");
const NO_TYPE: ContentType = ContentType::NONE;

/// What a `Location` must not hold as such: it is ASCII without spaces (RFC 3986 §2).
const LOCATION: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>').add(b'\\').add(b'^').add(b'`');

impl<'a> Response<'a> {
    pub(crate) fn new(reply: &'a mut Reply, output: &'a mut OutputQueue) -> Self {
        Self { reply, output }
    }

    /// Sets the status code, 200..=599; 200 if it is never set.
    pub fn status(self, status: u16) -> Self {
        match status {
            200..=599 => self.reply.draft.rare.status = status,
            _ => self.reply.draft.blame(format!("not a final status code: {status}")),
        }
        self
    }

    /// The status code as it is now.
    pub fn get_status(&self) -> u16 {
        self.reply.draft.rare.status
    }

    /// Sets the reason phrase, in place of the registered one.
    pub fn reason(self, phrase: &str) -> Self {
        if is_field_value(phrase.as_bytes()) {
            self.reply.draft.rare.reason = Some(phrase.into());
        } else {
            self.reply.draft.blame(format!("the reason phrase holds a control character: {phrase:?}"));
        }
        self
    }

    /// Sets a field line, in place of earlier ones of this name.
    ///
    /// A `Content-Length` must be the true one. `Connection: close` closes the connection after the reply.
    /// `Transfer-Encoding` is refused. `Date` and `Server` take the place of ours.
    #[doc(alias = "set_header")]
    pub fn header(self, name: &str, value: impl AsRef<str>) -> Self {
        self.reply.draft.set_field(name, value.as_ref(), true);
        self
    }

    /// Adds a field line beside earlier ones of this name: for `Set-Cookie`.
    #[doc(alias("cookie", "set-cookie", "session"))]
    pub fn append_header(self, name: &str, value: impl AsRef<str>) -> Self {
        self.reply.draft.set_field(name, value.as_ref(), false);
        self
    }

    /// The value of the first field line of this name that was set so far, in any case.
    pub fn get_header(&self, name: &str) -> Option<&str> {
        self.reply.draft.fields.get(name)
    }

    /// Whether a field line of this name was set.
    pub fn has_header(&self, name: &str) -> bool {
        self.get_header(name).is_some()
    }

    /// Removes all field lines of this name that were set so far.
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
    /// A mistake that was made with the head, as for all methods that finish.
    pub fn text<'c>(self, text: impl Into<Content<'c>>) -> Result<Sent> {
        self.finish(TEXT, text.into())
    }

    /// Finishes with HTML (`text/html; charset=utf-8` unless a `Content-Type` was set).
    ///
    /// # Errors
    /// A mistake that was made with the head.
    pub fn html<'c>(self, html: impl Into<Content<'c>>) -> Result<Sent> {
        self.finish(HTML, html.into())
    }

    /// Finishes with bytes (`application/octet-stream` unless a `Content-Type` was set).
    ///
    /// Large content that is given away (a `Vec`, a `String`) or shared (an `Arc<[u8]>`) is not copied.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    #[doc(alias("body", "bytes"))]
    pub fn send<'c>(self, content: impl Into<Content<'c>>) -> Result<Sent> {
        self.finish(BYTES, content.into())
    }

    /// Finishes without content: `res.status(204).empty()`.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    pub fn empty(self) -> Result<Sent> {
        self.finish(NO_TYPE, Content::Static(b""))
    }

    /// Finishes with JSON (`application/json` unless a `Content-Type` was set), serialised straight into the output.
    ///
    /// # Errors
    /// When the value does not serialise, or grows past
    /// [`Config::max_response_buffer`](crate::Config::max_response_buffer); or a mistake that was made with the head.
    #[cfg(feature = "json")]
    #[cfg_attr(docsrs, doc(cfg(feature = "json")))]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Result<Sent> {
        let mut body = BodyWriter::new(self.reply, self.output, JSON)?;
        serde_json::to_writer(&mut body, value)?;
        body.end()
    }

    /// Finishes by sending the client elsewhere: 302, or the 3xx that was set. What a URI cannot hold is
    /// percent-encoded.
    ///
    /// # Errors
    /// When `location` holds a line break or another control character; or a mistake that was made with the head.
    #[doc(alias = "location")]
    pub fn redirect(self, location: &str) -> Result<Sent> {
        let status = if matches!(self.reply.draft.rare.status, 300..=399) { self.reply.draft.rare.status } else { 302 };
        if !is_field_value(location.as_bytes()) {
            self.reply.draft.blame(format!("the location holds a control character: {location:?}"));
        }
        self.status(status).header("Location", encode_location(location)).empty()
    }

    /// Ends the head and begins the content, to be written piece by piece.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    #[doc(alias("write", "body"))]
    pub fn start(self) -> Result<BodyWriter<'a>> {
        BodyWriter::new(self.reply, self.output, NO_TYPE)
    }

    #[inline]
    fn finish(self, content_type: ContentType, content: Content<'_>) -> Result<Sent> {
        let length = content.as_bytes().len();
        if length == 0 || !self.reply.draft.is_ordinary() {
            return self.finish_unusual(content_type, content);
        }
        let Self { reply, output } = self;
        reply.head().encode_ordinary(output.inline(), content_type, length);
        output.push(content);
        Ok(reply.finish(length as u64))
    }

    #[inline(never)]
    fn finish_unusual(self, content_type: ContentType, content: Content<'_>) -> Result<Sent> {
        self.finish_by(content_type, content.as_bytes().len(), |output| output.push(content))
    }

    /// Finishes with content of this length, which `push` appends.
    fn finish_by(self, content_type: ContentType, length: usize, push: impl FnOnce(&mut OutputQueue)) -> Result<Sent> {
        let Self { reply, output } = self;
        reply.draft.seal()?;
        reply.draft.check_length(length as u64)?;
        let has_content = reply.draft.has_content();
        let announced = if reply.draft.rare.status == 205 { 0 } else { length };
        let content_type =
            if length == 0 || matches!(reply.draft.rare.status, 204 | 205) { NO_TYPE } else { content_type };
        reply.head().encode(output.inline(), content_type, BodyLength::Known(announced as u64));
        if !has_content {
            return Ok(reply.finish(0));
        }
        push(output);
        Ok(reply.finish(length as u64))
    }

    /// Finishes with text that lies in pieces, without joining them before.
    pub(crate) fn send_joined(self, pieces: [&str; 3]) -> Result<Sent> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        self.finish_by(BYTES, length, |output| {
            pieces.iter().for_each(|piece| output.inline().extend_from_slice(piece.as_bytes()));
        })
    }

    // ---- replies that go on -----------------------------------------------------------------------------------------

    /// Finishes with content that is produced while it is sent (`application/octet-stream` unless a `Content-Type` was
    /// set): the source is asked only while the client takes what it gave before.
    ///
    /// If its [length](BodySource::length) is known, or a `Content-Length` was set, the content must have that length.
    /// Else it is sent in chunks, or to a client of HTTP/1.0 until the end of the connection. A reply to HEAD, and one
    /// with 204, 205 or 304, has no content: then the source is not asked. The [guide](crate::guide::streaming) says when to
    /// stream.
    ///
    /// # Errors
    /// When the `Content-Length` that was set is not the length of the source; or a mistake that was made with the head.
    #[doc(alias = "chunked")]
    pub fn stream(self, source: impl BodySource + 'static) -> Result<Sent> {
        self.stream_boxed(Box::new(source))
    }

    fn stream_boxed(self, source: Box<dyn BodySource>) -> Result<Sent> {
        let Self { reply, output } = self;
        reply.draft.seal()?;
        let claimed = reply.draft.fields.has.content_length;
        let length = source.length().or(claimed);
        if claimed.is_some() && claimed != length {
            return Err(Error::internal(format!("Content-Length says {claimed:?}, but the source {length:?}")));
        }
        if reply.draft.rare.status == 205 && claimed.is_some_and(|length| length > 0) {
            return Err(Error::internal("a 205 has no content"));
        }
        let encoder = match length {
            Some(left) => BodyEncoder::Length { left },
            None if reply.draft.request.version == Version::Http11 => BodyEncoder::Chunked(ChunkedEncoder::default()),
            None => {
                reply.draft.rare.close = true;
                BodyEncoder::CloseDelimited
            }
        };
        if !reply.draft.has_content() {
            let (content_type, announced) = match reply.draft.rare.status {
                204 | 304 => (NO_TYPE, encoder.announced()),
                // It has no content, whatever the source says (RFC 9110 §15.3.6).
                205 => (NO_TYPE, BodyLength::Known(0)),
                _ => (BYTES, encoder.announced()),
            };
            reply.head().encode(output.inline(), content_type, announced);
            return Ok(reply.finish(0));
        }
        reply.head().encode(output.inline(), BYTES, encoder.announced());
        Ok(reply.leave(Rest::Stream(Stream::new(source, encoder))))
    }

    /// Finishes with content that is pushed, from any thread: the reply begins now, and [`BodySender`] goes on with it.
    ///
    /// # Errors
    /// A mistake that was made with the head.
    #[doc(alias = "push")]
    pub fn channel(self) -> Result<(Sent, BodySender)> {
        let (sender, source) = Channel::open(self.reply.address());
        Ok((self.stream(source)?, sender))
    }

    /// Puts the reply off: the [`Responder`] gives it, from any thread. What was set so far stays set.
    #[doc(alias = "async")]
    pub fn defer(self) -> (Sent, Responder) {
        let waiting = Waiting::new(self.reply.address(), self.reply.draft.request.version == Version::Http11);
        let sent = self.reply.leave(Rest::Deferred(Waited::new(Arc::clone(&waiting))));
        (sent, Responder::new(waiting))
    }

    /// Says that the content which is still to come will be taken, for a [`Service`](super::Service) of your own that
    /// [opens](super::Service::open) a request: the connection can go on after it. A reply that is finished without it says
    /// `Connection: close` where the content may be long.
    pub fn accept_content(self) -> Self {
        self.reply.draft.accept_content();
        self
    }

    /// Puts the reply off until the content has come, for a [`Service`](super::Service) of your own: it gets the response
    /// again in [`content_end`](super::Service::content_end). Only while it [opens](super::Service::open) a request; anywhere
    /// else it is a 500.
    pub fn later(self) -> Sent {
        if !matches!(self.reply.draft.request.stage, Stage::Open { .. }) {
            // Not finished: that is a 500.
            return Sent::new();
        }
        self.reply.draft.accept_content();
        self.reply.leave(Rest::Later)
    }

    /// Finishes with 101 and the name of the protocol, for a [`Service`](super::Service) of your own: the next bytes of
    /// the client belong to the [protocol](super::Service::protocol).
    ///
    /// # Errors
    /// Outside of [`upgrade`](super::Service::upgrade), where nobody has offered to switch; or a mistake that was made with the
    /// head.
    pub fn switch(self, protocol: &str) -> Result<Sent> {
        if self.reply.draft.request.stage != Stage::Upgrade {
            return Err(Error::internal("nobody has offered to go over to another protocol"));
        }
        self.reply.draft.rare.status = 101;
        self.reply.draft.fields.remove("content-length");
        self.reply.draft.set_field("Upgrade", protocol, true);
        self.reply.draft.seal()?;
        self.reply.head().encode_switch(self.output.inline());
        Ok(self.reply.leave(Rest::Switched))
    }

    /// Sends a 103 Early Hints (RFC 8297) ahead of this reply: mostly `Link` fields. It leaves together with what the
    /// handler sends, so it is of use to replies that are [deferred](Self::defer) or streamed. A client of HTTP/1.0 gets
    /// none (RFC 9110 §15.2).
    pub fn early_hints<N: AsRef<str>, V: AsRef<str>>(self, fields: impl IntoIterator<Item = (N, V)>) -> Self {
        match encode_interim(103, fields) {
            Ok(bytes) if self.reply.draft.request.version == Version::Http11 => {
                self.output.inline().extend_from_slice(&bytes);
                // It is whole: what follows may be taken back without it.
                self.reply.mark = self.output.mark();
            }
            Ok(_) => {}
            Err(error) => {
                self.reply.draft.rare.fault.get_or_insert(error);
            }
        }
        self
    }

    /// Sets a field line unless there is one of this name.
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

    /// From here on a roll-back keeps what is set now: it is a middleware's.
    #[inline]
    pub(crate) fn keep(&mut self) {
        self.reply.draft.keep();
    }
}

/// A `Location` in which what a URI cannot hold is percent-encoded.
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
