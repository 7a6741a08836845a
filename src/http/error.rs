use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write};
use std::sync::Arc;

use super::printable::{Printable, is_unprintable};

/// What handlers return: a finished reply, or an error that becomes a reply.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that becomes a reply: a status code, a message for the client, and a source that only the log shows.
///
/// Every [`std::error::Error`] converts into one by `?`. It becomes a 500; its text is logged and never sent.
///
/// ```
/// use monoloop::Error;
///
/// let mine = Error::new(409, "That name is taken");
/// assert_eq!((mine.status(), mine.message()), (409, "That name is taken"));
///
/// let any: Error = "x".parse::<u32>().unwrap_err().into();
/// assert_eq!((any.status(), any.message()), (500, "Internal server error"));
/// ```
///
/// `Display` shows status and message, and `Debug` shows the causes, too. Both are for logs. Text of a client may be in
/// them, so they escape characters that could end the line or change its order.
///
/// `Error` does not implement `std::error::Error` itself, because that would prevent the conversion. It converts into a
/// `Box<dyn Error>`, so `?` works in a `main` that returns one. It is one pointer wide.
///
/// So a type of your own is either a `std::error::Error`, or it converts by an `impl From<MyError> for Error` with a
/// status of its own, but not both. [`ResultExt::or_status`] gives a status to the first kind.
#[doc(alias = "HttpError")]
pub struct Error(Arc<Inner>);

struct Inner {
    status: u16,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    fields: Vec<(Cow<'static, str>, String)>,
}

impl Error {
    /// An error whose reply has the status code `status` and tells the client `message`.
    ///
    /// A status outside 400..=599 is a mistake of the program and becomes a 500.
    pub fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        let (status, message) = match status {
            400..=599 => (status, message.into()),
            _ => (500, Cow::Borrowed(INTERNAL)),
        };
        Self(Arc::new(Inner { status, message, source: None, fields: Vec::new() }))
    }

    /// A 400 with this message.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, message)
    }

    /// A 404 with this message.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(404, message)
    }

    /// A 500 that tells the client nothing; `detail` goes to the log.
    ///
    /// ```
    /// let error = monoloop::Error::internal("the cache is gone");
    /// assert_eq!(error.message(), "Internal server error");
    /// assert_eq!(format!("{error:?}"), "500 Internal server error: the cache is gone");
    /// ```
    pub fn internal(detail: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(500, INTERNAL).with_source(detail)
    }

    /// Keeps the cause for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner().source = Some(source.into());
        self
    }

    /// Adds a field line to the reply, such as `WWW-Authenticate` to a 401. An invalid field line makes the reply a
    /// 500.
    ///
    /// ```
    /// let error = monoloop::Error::new(401, "Who are you?").with_header("WWW-Authenticate", "Basic realm=\"me\"");
    /// assert_eq!(error.headers().next(), Some(("WWW-Authenticate", "Basic realm=\"me\"")));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.inner().fields.push((name.into(), value.into()));
        self
    }

    /// The status code of the reply, 400..=599.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The message for the client.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The cause, for the log.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    /// The field lines that [`with_header`](Self::with_header) added.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.fields.iter().map(|(name, value)| (&**name, value.as_str()))
    }

    /// The content of the default error reply: `{"error":"..."}` as JSON (RFC 8259 §7).
    ///
    /// ```
    /// assert_eq!(monoloop::Error::not_found("No \"x\"").to_json(), r#"{"error":"No \"x\""}"#);
    /// ```
    pub fn to_json(&self) -> String {
        // An escaped character takes six bytes at most.
        let escapes = self.0.message.chars().filter(|&c| !is_plain(c)).count();
        let mut json = String::with_capacity(self.0.message.len() + 12 + 5 * escapes);
        json.push_str("{\"error\":");
        push_json_string(&mut json, &self.0.message);
        json.push('}');
        json
    }

    /// The contents, for a change. If the error shares them, this copies them first.
    fn inner(&mut self) -> &mut Inner {
        if Arc::get_mut(&mut self.0).is_none() {
            // Only a prepared error shares its contents, and it has no source.
            let Inner { status, message, fields, .. } = &*self.0;
            let (status, message, fields) = (*status, message.clone(), fields.clone());
            self.0 = Arc::new(Inner { status, message, source: None, fields });
        }
        Arc::get_mut(&mut self.0).expect("the contents are not shared")
    }
}

/// An error for a frequent reply. It is made once, and each request gets it without an allocation.
pub(crate) struct PreparedError(Error);

impl PreparedError {
    /// # Panics
    /// If the error has a source: a source is the cause of one error, not of many.
    pub(crate) fn new(error: Error) -> Self {
        assert!(error.source().is_none(), "a prepared error has no source: {error:?}");
        Self(error)
    }

    /// The error for one request.
    pub(crate) fn get(&self) -> Error {
        Error(Arc::clone(&self.0.0))
    }
}

/// Whether a JSON string holds this character without an escape.
fn is_plain(c: char) -> bool {
    !matches!(c, '"' | '\\') && !is_unprintable(c)
}

/// Whether a JSON string holds `text` without any escape.
pub(crate) fn is_plain_json(text: &str) -> bool {
    text.chars().all(is_plain)
}

/// Appends `text` as a JSON string (RFC 8259 §7). All unprintable characters are escaped, also those that JSON allows:
/// a terminal would obey them.
pub(crate) fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            c if is_plain(c) => json.push(c),
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            // Writing to a `String` cannot fail.
            c => drop(write!(json, "\\u{:04x}", u32::from(c))),
        }
    }
    json.push('"');
}

const INTERNAL: &str = "Internal server error";

// Where `?` cannot convert an error, the compiler then says so, once, and does not explain why this cannot.
#[diagnostic::do_not_recommend]
impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        Self::internal(source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status, Printable(&self.0.message))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.0.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(cause) = source {
            write!(f, ": {}", Printable(cause))?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Turns a `None` into an [`Error`], so that a handler can use `?` on it.
///
/// ```
/// use monoloop::OptionExt;
///
/// let missing: Option<u8> = None;
/// assert_eq!(missing.or_not_found("User not found").unwrap_err().status(), 404);
/// ```
#[doc(alias = "not_found")]
pub trait OptionExt<T> {
    /// The value, or a 404 with this message.
    ///
    /// # Errors
    /// If there is no value.
    fn or_not_found(self, message: impl Into<Cow<'static, str>>) -> Result<T>;

    /// The value, or a 400 with this message.
    ///
    /// # Errors
    /// If there is no value.
    fn or_bad_request(self, message: impl Into<Cow<'static, str>>) -> Result<T>;

    /// The value, or an error with this status and message.
    ///
    /// # Errors
    /// If there is no value.
    fn or_status(self, status: u16, message: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T> OptionExt<T> for Option<T> {
    fn or_not_found(self, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.or_status(404, message)
    }

    fn or_bad_request(self, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.or_status(400, message)
    }

    fn or_status(self, status: u16, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.ok_or_else(|| Error::new(status, message))
    }
}

/// Gives the error of a `Result` a status and a message for the client. The error itself becomes the
/// [source](Error::source), which only the log shows.
///
/// ```
/// use monoloop::{Result, ResultExt};
///
/// fn port(text: &str) -> Result<u16> {
///     text.parse().or_bad_request("The port is a number")
/// }
///
/// let error = port("http").unwrap_err();
/// assert_eq!((error.status(), error.message()), (400, "The port is a number"));
/// assert_eq!(format!("{error:?}"), "400 The port is a number: invalid digit found in string");
/// ```
///
/// It works for every error that `?` takes, and also for texts and boxes.
#[doc(alias("map_err", "context"))]
pub trait ResultExt<T> {
    /// The value, or an error with this status and message. A status outside 400..=599 becomes a 500.
    ///
    /// # Errors
    /// If there is an error.
    fn or_status(self, status: u16, message: impl Into<Cow<'static, str>>) -> Result<T>;

    /// The value, or a 400 with this message.
    ///
    /// # Errors
    /// If there is an error.
    fn or_bad_request(self, message: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T, E: Into<Box<dyn StdError + Send + Sync>>> ResultExt<T> for Result<T, E> {
    fn or_status(self, status: u16, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.map_err(|source| Error::new(status, message).with_source(source))
    }

    fn or_bad_request(self, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.or_status(400, message)
    }
}

/// An [`Error`] in a box. It is a standard error, as the box asks for, and `Error` itself cannot be one.
struct Boxed(Error);

impl StdError for Boxed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source().map(|source| source as &dyn StdError)
    }
}

impl fmt::Display for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Boxed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync> {
    fn from(error: Error) -> Self {
        Box::new(Boxed(error))
    }
}

impl From<Error> for Box<dyn StdError> {
    fn from(error: Error) -> Self {
        Box::new(Boxed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_one_pointer() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }

    #[test]
    fn a_status_is_given_to_errors_of_all_kinds() {
        let failed: Result<(), fmt::Error> = Err(fmt::Error);
        let error = failed.or_status(409, "That name is taken").unwrap_err();
        assert_eq!((error.status(), error.message()), (409, "That name is taken"));
        assert!(error.source().and_then(|source| source.downcast_ref::<fmt::Error>()).is_some());
        let text: Result<(), &str> = Err("of a text");
        assert_eq!(format!("{:?}", text.or_bad_request("No").unwrap_err()), "400 No: of a text");
        let boxed: Result<(), Box<dyn StdError + Send + Sync>> = Err("of a box".into());
        assert_eq!(format!("{:?}", boxed.or_status(200, "No").unwrap_err()), "500 Internal server error: of a box");
        let own: Result<()> = Err(Error::not_found("No row").with_source("of an error"));
        assert_eq!(format!("{:?}", own.or_status(422, "No").unwrap_err()), "422 No: 404 No row: of an error");
        assert_eq!(Ok::<_, fmt::Error>(7).or_status(409, "No").unwrap(), 7);
    }

    /// As `main` does it.
    #[test]
    fn an_error_converts_into_a_box() {
        let main = || -> Result<(), Box<dyn StdError>> { Err(Error::not_found("No row").with_source("a cause"))? };
        let error = main().unwrap_err();
        assert_eq!((error.to_string(), format!("{error:?}")), ("404 No row".into(), "404 No row: a cause".into()));
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("a cause"));
    }

    #[test]
    fn a_change_to_one_copy_of_a_prepared_error_leaves_the_others_alone() {
        let prepared = PreparedError::new(Error::new(405, "Method not allowed").with_header("Allow", "GET"));
        let plain = prepared.get();
        let more = prepared.get().with_header("X-More", "yes").with_source("a cause");
        assert_eq!(more.headers().collect::<Vec<_>>(), [("Allow", "GET"), ("X-More", "yes")]);
        assert_eq!(format!("{more:?}"), "405 Method not allowed: a cause");
        for error in [plain, prepared.get()] {
            assert_eq!((error.status(), error.message()), (405, "Method not allowed"));
            assert_eq!((error.headers().count(), error.source().is_none()), (1, true));
        }
    }

    #[test]
    fn text_that_needs_no_escape_is_recognized() {
        for text in ["", "Not found", "caf\u{e9} \u{1f600} /{}'"] {
            assert!(is_plain_json(text), "{text}");
            assert_eq!(Error::not_found(text.to_owned()).to_json(), format!("{{\"error\":\"{text}\"}}"));
        }
        for text in ["a\"", "\\", "\n", "\u{0}", "\u{7f}", "\u{85}", "\u{2028}", "\u{202e}"] {
            assert!(!is_plain_json(text), "{text:?}");
        }
    }

    #[test]
    fn json_escapes_quotes_backslashes_and_control_characters() {
        let error = Error::bad_request("a\"b\\c\nd\r\te\u{1}f\u{e9}");
        assert_eq!(error.to_json(), "{\"error\":\"a\\\"b\\\\c\\nd\\r\\te\\u0001f\u{e9}\"}");
    }

    /// The causes are code of the application, and their text may be that of a client.
    #[test]
    fn the_text_of_an_error_cannot_forge_a_line_of_a_log() {
        let error = Error::bad_request("no \u{202e}moc.elpmaxe\nERROR").with_source("\x1b[2J\u{2028}cause\u{85}");
        assert_eq!(error.to_string(), r"400 no \u202emoc.elpmaxe\x0aERROR");
        assert_eq!(format!("{error:?}"), r"400 no \u202emoc.elpmaxe\x0aERROR: \x1b[2J\u2028cause\x85");
        assert_eq!(error.message(), "no \u{202e}moc.elpmaxe\nERROR");
        assert_eq!(error.to_json(), r#"{"error":"no \u202emoc.elpmaxe\nERROR"}"#);
    }

    #[test]
    fn a_status_that_is_not_an_error_becomes_a_500() {
        assert_eq!(Error::new(200, "fine").status(), 500);
        assert_eq!(Error::new(700, "odd").status(), 500);
    }
}
