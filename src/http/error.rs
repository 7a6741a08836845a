use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// What handlers return: a reply that was finished, or an error that becomes one.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that is answered: a status code, a message for the client, and a source that only the log sees.
///
/// Every [`std::error::Error`] converts into one by `?`: as a 500 whose text is logged and never sent.
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
/// It does not implement `std::error::Error` itself; that is what allows the conversion. It is one pointer wide.
pub struct Error(Box<Inner>);

struct Inner {
    status: u16,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
    fields: Vec<(Cow<'static, str>, String)>,
}

impl Error {
    /// An error that is answered with `status` and tells the client `message`.
    ///
    /// A status outside 400..=599 is a mistake of the program and is answered with 500.
    pub fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        let (status, message) = match status {
            400..=599 => (status, message.into()),
            _ => (500, Cow::Borrowed(INTERNAL)),
        };
        Self(Box::new(Inner { status, message, source: None, fields: Vec::new() }))
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
        self.0.source = Some(source.into());
        self
    }

    /// Adds a field line to the reply, such as `WWW-Authenticate` to a 401. One that is not valid makes the reply a 500.
    ///
    /// ```
    /// let error = monoloop::Error::new(401, "Who are you?").with_header("WWW-Authenticate", "Basic realm=\"me\"");
    /// assert_eq!(error.headers().next(), Some(("WWW-Authenticate", "Basic realm=\"me\"")));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.0.fields.push((name.into(), value.into()));
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
        let mut json = String::with_capacity(self.0.message.len() + 12);
        json.push_str("{\"error\":");
        push_json_string(&mut json, &self.0.message);
        json.push('}');
        json
    }
}

/// Appends `text` as a string of JSON (RFC 8259 §7). Of the control characters also those are escaped that need not be: a
/// terminal would obey them.
pub(crate) fn push_json_string(json: &mut String, text: &str) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            c if c.is_control() => json.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => json.push(c),
        }
    }
    json.push('"');
}

const INTERNAL: &str = "Internal server error";

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(source: E) -> Self {
        Self::internal(source)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.status, self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut source = self.0.source.as_deref().map(|source| source as &dyn StdError);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// Turns a `None` into an [`Error`], so that `?` answers it.
///
/// ```
/// use monoloop::OptionExt;
///
/// let missing: Option<u8> = None;
/// assert_eq!(missing.or_not_found("User not found").unwrap_err().status(), 404);
/// ```
pub trait OptionExt<T> {
    /// The value, or a 404 with this message.
    ///
    /// # Errors
    /// When there is no value.
    fn or_not_found(self, message: impl Into<Cow<'static, str>>) -> Result<T>;

    /// The value, or an error with this status and message.
    ///
    /// # Errors
    /// When there is no value.
    fn or_status(self, status: u16, message: impl Into<Cow<'static, str>>) -> Result<T>;
}

impl<T> OptionExt<T> for Option<T> {
    fn or_not_found(self, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.or_status(404, message)
    }

    fn or_status(self, status: u16, message: impl Into<Cow<'static, str>>) -> Result<T> {
        self.ok_or_else(|| Error::new(status, message))
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
    fn json_escapes_what_it_must() {
        let error = Error::bad_request("a\"b\\c\nd\r\te\u{1}f\u{e9}");
        assert_eq!(error.to_json(), "{\"error\":\"a\\\"b\\\\c\\nd\\r\\te\\u0001f\u{e9}\"}");
    }

    #[test]
    fn a_status_that_is_no_error_is_a_500() {
        assert_eq!(Error::new(200, "fine").status(), 500);
        assert_eq!(Error::new(700, "odd").status(), 500);
    }
}
